//! Networks of searched cells, each with the outputs of the last two cells as inputs.
//!
//! Che, Leng, Zhang, Zhang, Meng, Cheng, Guo, Liao: *Differentiable Hierarchical and Surrogate Gradient Search for Spiking Neural
//! Networks*, NeurIPS 2022 (SpikeDHS). The search itself is not here, and its network for images has no auxiliary head.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{NormConfig, fork, join};
use synfire::neuron::{AnyNeuron, LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    Classifier, ConvBlock, ConvNorm, Layers, LayersConfig, ReadoutConfig, as_images, conv3x3,
    global_average, pooled_size, require_blocks,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};

/// The nodes of a cell, whose outputs are joined as channels.
const NODES: usize = 3;

network_config! {
    /// Configuration of a [`SpikeDhs`].
    pub struct SpikeDhsConfig of SpikeDhs {
        /// The cells of each level; the first cell of every level after the first halves height and width.
        with_cells -> cells: Vec<usize> = vec![2, 3, 3],
        /// The channels of a node of the first level; each level has twice the channels of the one before.
        with_width -> width: usize = 48,
    }
    samples: [3, 32, 32] => 100;
    layers: dhs_layers();
}

/// Threshold 0.5, decay 0.2, reset to 0 without a gradient, Dspike of steepness 3.
fn dhs_layers() -> LayersConfig {
    let neuron = LifConfig::new()
        .with_surrogate(Surrogate::dspike(3.0).expect("3 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::batch()))
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(Initializer::Kaiming { gain: 1.0 })
}

impl SpikeDhsConfig {
    /// For CIFAR-100.
    pub fn cifar100() -> Self {
        Self::new()
    }

    /// The channels of the nodes of each level.
    fn widths(&self) -> Vec<usize> {
        let levels = 0..self.cells.len() as u32;
        let widths = levels.map(|level| 2usize.checked_pow(level));
        widths
            .map(|factor| factor.map_or(usize::MAX, |factor| self.width.saturating_mul(factor)))
            .collect()
    }
}

impl Architecture for SpikeDhsConfig {
    const NAME: &'static str = "spike-dhs";

    fn presets() -> Vec<Preset<Self>> {
        let cifar100 = Self::cifar100();
        vec![Preset::new(
            "spike-dhs-cifar100",
            6,
            proof::SPIKINGJELLY,
            cifar100,
        )]
    }

    fn small() -> Self {
        Self::new()
            .with_cells(vec![1, 1, 1])
            .with_width(8)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let levels = self.widths().into_iter().zip(&self.cells);
        let levels = levels.map(|(width, cells)| format!("{width}x{cells}"));
        let levels: Vec<_> = levels.collect();
        format!("cells of {NODES} nodes {}", levels.join("-"))
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let owner = Self::OWNER;
        let (cells, expected) = (format!("{:?}", self.cells), "at least one level");
        InvalidConfig::require(owner, "cells", cells, !self.cells.is_empty(), expected)?;
        require_blocks(owner, "cells", &self.cells)?;
        let widths = self.widths();
        for width in &widths {
            InvalidConfig::require_size(owner, "width", width.saturating_mul(NODES))?;
        }
        InvalidConfig::require_size(owner, "classes", self.classes)?;
        pooled_size(owner, self.image, self.cells.len() - 1)?;
        let stem = NODES * self.width;
        Ok([vec![stem], widths, vec![self.classes]].concat())
    }

    fn build(&self, layers: &mut Layers) -> Result<SpikeDhs, InvalidConfig> {
        let stem = conv3x3([self.image[0], NODES * self.width], 1).with_bias(true);
        let stem = layers.conv_block(&stem)?;
        let mut inputs = [NODES * self.width; 2];
        let mut cells = Vec::new();
        for (level, (width, number)) in self.widths().into_iter().zip(&self.cells).enumerate() {
            for i in 0..*number {
                let mut node = |inputs: [usize; 2]| {
                    let mut conv = |inputs| {
                        let conv = conv3x3([inputs, width], 1).with_bias(true);
                        layers.conv_norm(&conv, 2)
                    };
                    Ok(DhsNode {
                        first: conv(inputs[0])?,
                        second: conv(inputs[1])?,
                        neuron: layers.neuron()?,
                    })
                };
                let nodes = [inputs, inputs, [width; 2]].map(&mut node);
                cells.push(DhsCell {
                    nodes: nodes.into_iter().collect::<Result<_, InvalidConfig>>()?,
                    halves: level > 0 && i == 0,
                });
                inputs = [inputs[1], NODES * width];
            }
        }
        Ok(SpikeDhs {
            stem,
            cells,
            last: layers.neuron()?,
            classifier: layers.all_normalized_classifier(&[inputs[1], self.classes])?,
            image: self.image,
        })
    }
}

/// A convolution, cells, and a linear layer of spikes of the mean of each channel. Its outputs are those of the linear layer,
/// normalised, at each step.
///
/// Created by [`SpikeDhsConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikeDhsConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = SpikeDhsConfig::cifar100().with_width(4);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([6, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 100]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SpikeDhs {
    stem: ConvBlock,
    cells: Vec<DhsCell>,
    /// The neurons of the means.
    last: AnyNeuron,
    /// The fully connected layer at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A node: neurons of the sum of two convolutions, each with its normalisation.
#[derive(Module, Debug)]
pub struct DhsNode {
    first: ConvNorm,
    second: ConvNorm,
    neuron: AnyNeuron,
}

impl DhsNode {
    fn forward(&self, name: &str, inputs: [Tensor<5>; 2], context: &mut Context) -> Tensor<5> {
        let [first, second] = inputs;
        let first = self.first.forward(first, context);
        let second = self.second.forward(second, context);
        let currents = join([first, second], |first, second| first + second);
        context.neurons(name, &self.neuron, currents)
    }
}

/// A cell: two nodes of both inputs, and one of these two.
#[derive(Module, Debug)]
pub struct DhsCell {
    nodes: Vec<DhsNode>,
    /// True if its outputs are half as high and wide as its second input.
    #[module(skip)]
    halves: bool,
}

impl DhsCell {
    fn forward(&self, name: &str, inputs: [Tensor<5>; 2], context: &mut Context) -> Tensor<5> {
        let [before, last] = inputs;
        let [.., height, width] = last.dims();
        let size = match self.halves {
            true => [height, width].map(|size| size.div_ceil(2)),
            false => [height, width],
        };
        let (before, last) = (fork(nearest(before, size)), fork(nearest(last, size)));
        let ([first, other_first], [second, other_second]) = (before, last);
        let names = [1, 2, 3].map(|node| format!("{name}.node{node}"));
        let first = self.nodes[0].forward(&names[0], [first, second], context);
        let second = self.nodes[1].forward(&names[1], [other_first, other_second], context);
        let ([first, out_first], [second, out_second]) = (fork(first), fork(second));
        let third = self.nodes[2].forward(&names[2], [first, second], context);
        Tensor::cat(vec![out_first, out_second, third], 2)
    }
}

/// The nearest pixels of an image of another size.
fn nearest(input: Tensor<5>, size: [usize; 2]) -> Tensor<5> {
    let [steps, batch, channels, height, width] = input.dims();
    if [height, width] == size {
        return input;
    }
    let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size);
    let output = interpolate(input.flatten::<4>(0, 1), options);
    output.reshape([steps, batch, channels, size[0], size[1]])
}

impl SpikingNetwork for SpikeDhs {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `stem`, then `cell1.node1` to `cell1.node3`, ..., `last`, and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let stem = self
            .stem
            .forward("stem", as_images(input, self.image), context);
        let mut inputs = fork(stem);
        let names = numbered("cell", self.cells.len());
        for (cell, name) in self.cells.iter().zip(&names) {
            let [before, last] = inputs;
            let [kept, last] = fork(last);
            let output = cell.forward(name, [before, last], context);
            inputs = [kept, output];
        }
        let [_, last] = inputs;
        let spikes = context.neurons("last", &self.last, global_average(last));
        self.classifier.forward(spikes, context)
    }
}

impl SpikingJelly for SpikeDhs {
    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_norm("stem", ["feature.stem0.conv_m", "feature.stem0.bn_m"]);
        ignore_copies(&mut names, "feature.stem0", &[""]);
        names.ignore("feature.auxiliary_head");
        for (i, cell) in self.cells.iter().enumerate() {
            for j in 0..cell.nodes.len() {
                let here = format!("cells.{i}.nodes.{j}");
                let there = format!("feature.cells.{i}._ops.{j}");
                for (branch, k) in [("first", 1), ("second", 2)] {
                    let parts = ["conv", "bn"].map(|part| format!("{there}.{part}{k}_m"));
                    names.conv_norm(&format!("{here}.{branch}"), parts);
                }
                ignore_copies(&mut names, &there, &["1", "2"]);
            }
        }
        names.module("classifier.layers.0", "classifier.linear");
        names.module("classifier.norms.0", "classifier.bn.0");
        names
    }
}

/// Ignores the copies of convolutions and normalisations with other surrogates, which their search leaves there.
fn ignore_copies(names: &mut Names, there: &str, convs: &[&str]) {
    names.ignore(&format!("{there}.dgs_alpha"));
    for (conv, copy) in convs.iter().flat_map(|conv| [(conv, "b"), (conv, "s")]) {
        names.ignore(&format!("{there}.conv{conv}_{copy}"));
        names.ignore(&format!("{there}.bn{conv}_{copy}"));
    }
}
