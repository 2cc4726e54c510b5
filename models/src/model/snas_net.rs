//! Networks of two searched cells, with connections forward and, optionally, back to earlier nodes in the next step.
//!
//! Kim, Li, Park, Venkatesha, Panda: *Neural Architecture Search for Spiking Neural Networks*, ECCV 2022 (SNASNet).

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::AvgPool2dConfig;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{AnyNorm, NormConfig, Pool2d, Pool2dConfig, Voting};
use synfire::neuron::{AnyNeuron, LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    Classifier, ConvNorm, Layers, LayersConfig, MembraneConv, ReadoutConfig, as_images, conv1x1,
    conv3x3, pooled_size,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};

/// A connection between two nodes of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnasConnection {
    /// There is none.
    #[default]
    None,
    /// The currents themselves.
    Skip,
    /// Neurons, a 1x1 convolution and the normalisation.
    Conv1,
    /// Neurons, a 3x3 convolution and the normalisation.
    Conv3,
    /// The mean of 3x3 pixels; those beyond the border are 0.
    Average,
}

/// The connections of four nodes: `[i][j]` is that from node `i` to node `j`, in the same step where `i < j`, to the next step where
/// `i > j`.
pub type SnasCellConfig = [[SnasConnection; NODES]; NODES];

/// The nodes of a cell.
const NODES: usize = 4;

network_config! {
    /// Configuration of a [`SnasNet`].
    pub struct SnasNetConfig of SnasNet {
        /// The connections of both cells.
        with_cell -> cell: SnasCellConfig = searched(),
        /// True if there are connections to the next step.
        with_feedback -> feedback: bool = true,
        /// The channels of the first cell; the second has twice as many.
        with_width -> width: usize = 128,
        /// The stride of the first convolution.
        with_stem_stride -> stem_stride: usize = 1,
        /// Height and width of the average pooling after the second cell.
        with_pool -> pool: usize = 2,
        /// The size of the hidden layer.
        with_hidden -> hidden: usize = 1024,
        /// The outputs of each class, whose mean is its vote.
        with_voters -> voters: usize = 5,
    }
    samples: [3, 32, 32] => 100;
    layers: snas_layers();
}

/// The cell that its authors found for CIFAR-100, with feedback.
fn searched() -> SnasCellConfig {
    use SnasConnection::{Conv1, Conv3, None};
    [
        [None, Conv3, None, Conv1],
        [None, None, Conv3, None],
        [Conv3, None, None, Conv3],
        [None; NODES],
    ]
}

/// Threshold 1, tau 4/3, reset to 0 without a gradient, arctangent of width 2.
fn snas_layers() -> LayersConfig {
    let neuron = LifConfig::spikingjelly(4.0 / 3.0)
        .expect("4/3 is above 1")
        .with_surrogate(Surrogate::atan(2.0).expect("2 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::batch()))
        .with_readout(ReadoutConfig::Currents)
        .with_dropout(0.5)
        .with_initializer(Initializer::Kaiming { gain: 1.0 })
}

impl SnasNetConfig {
    /// For CIFAR-10.
    pub fn cifar10() -> Self {
        let config = Self::new().with_width(256).with_voters(10);
        config.with_classes(10)
    }

    /// For CIFAR-100.
    pub fn cifar100() -> Self {
        Self::new()
    }

    /// For Tiny ImageNet.
    pub fn tiny_imagenet() -> Self {
        Self::new()
            .with_stem_stride(2)
            .with_hidden(4096)
            .with_image([3, 64, 64])
            .with_classes(200)
    }

    /// The inputs of the first linear layer.
    fn features(&self) -> Result<usize, InvalidConfig> {
        let size = pooled_size(Self::OWNER, self.image, 0)?;
        let size = size.map(|size| size.div_ceil(self.stem_stride) / 2 / self.pool);
        if size.contains(&0) {
            let image = format!("{:?}", self.image);
            let expected = "an image of a size that all poolings can take";
            return Err(InvalidConfig::new(Self::OWNER, "image", image, expected));
        }
        let features = [2 * self.width, size[0], size[1]].into_iter();
        let features = features.fold(1, usize::saturating_mul);
        InvalidConfig::require_size(Self::OWNER, "image", features)
    }

    fn cell(&self, layers: &mut Layers, width: usize) -> Result<SnasCell, InvalidConfig> {
        let mut edge = |from: usize, to: usize| {
            let connection = self.cell[from][to];
            let conv = match connection {
                SnasConnection::Conv1 => Some(conv1x1([width; 2], 1)),
                SnasConnection::Conv3 => Some(conv3x3([width; 2], 1)),
                _ => None,
            };
            let average = AvgPool2dConfig::new([3, 3])
                .with_strides([1, 1])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
            Ok(SnasEdge {
                conv: conv.map(|conv| layers.membrane_conv(&conv)).transpose()?,
                average: (connection == SnasConnection::Average)
                    .then(|| Pool2d::Average(average.init())),
                connected: connection != SnasConnection::None,
                from,
                to,
            })
        };
        let forward = forward_edges().map(|(from, to)| edge(from, to));
        let forward = forward.collect::<Result<_, InvalidConfig>>()?;
        let back = match self.feedback {
            true => back_edges().map(|(from, to)| edge(from, to)).collect(),
            false => Ok(vec![]),
        };
        Ok(SnasCell {
            forward,
            back: back?,
        })
    }
}

/// From and to which nodes connections in the same step lead, in SpikingJelly's order.
fn forward_edges() -> impl Iterator<Item = (usize, usize)> {
    (1..NODES).flat_map(|to| (0..to).map(move |from| (from, to)))
}

/// From and to which nodes connections to the next step lead.
fn back_edges() -> impl Iterator<Item = (usize, usize)> {
    (0..NODES - 1).flat_map(|to| (to + 1..NODES).map(move |from| (from, to)))
}

impl Architecture for SnasNetConfig {
    const NAME: &'static str = "snas-net";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 5, proof::SPIKINGJELLY, config);
        vec![
            preset("snas-net-cifar10", Self::cifar10()),
            preset("snas-net-cifar100", Self::cifar100()),
            preset("snas-net-tiny-imagenet", Self::tiny_imagenet()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_width(8)
            .with_hidden(64)
            .with_voters(2)
            .with_dropout(0.0)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let (width, wide) = (self.width, 2 * self.width);
        let kind = if self.feedback {
            "with feedback"
        } else {
            "without feedback"
        };
        let outputs = self.classes * self.voters;
        format!(
            "cells {width}-{wide} {kind}, {}-{outputs}-voting",
            self.hidden
        )
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let owner = Self::OWNER;
        for (field, size) in [
            ("width", self.width.saturating_mul(2)),
            ("stem_stride", self.stem_stride),
            ("pool", self.pool),
            ("hidden", self.hidden),
            ("classes", self.classes),
            ("voters", self.voters),
            ("voters", self.voters.saturating_mul(self.classes)),
        ] {
            InvalidConfig::require_size(owner, field, size)?;
        }
        self.features()?;
        Ok(vec![
            self.width,
            2 * self.width,
            self.hidden,
            self.classes * self.voters,
        ])
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        // Cells run step by step.
        let whole = self
            .norm
            .is_some_and(|mut norm| norm.time_steps_mut().is_some());
        let norm = self.norm.map_or("none", |norm| norm.abbreviation());
        let expected = "one that is the same for all time steps";
        InvalidConfig::require(Self::OWNER, "norm", norm, !whole, expected)?;
        let (neuron, expected) = (self.neuron.kind(), "one that runs step by step");
        let streams = self.neuron.streams();
        InvalidConfig::require(Self::OWNER, "neuron", neuron, streams, expected).map(drop)
    }

    fn build(&self, layers: &mut Layers) -> Result<SnasNet, InvalidConfig> {
        let (width, wide) = (self.width, 2 * self.width);
        let stem = layers.conv_norm(&conv3x3([self.image[0], width], self.stem_stride), 1)?;
        let first = self.cell(layers, width)?;
        let norm = layers.norm(width, 1)?;
        let down = layers.membrane_conv(&conv3x3([width, wide], 1))?;
        let second = self.cell(layers, wide)?;
        let last_norm = layers.norm(wide, 1)?;
        let sizes = [self.features()?, self.hidden, self.classes * self.voters];
        let mut classifier = layers.classifier(&sizes)?;
        classifier.layers[0].bias = None;
        Ok(SnasNet {
            stem,
            cells: vec![first, second],
            norms: [norm, last_norm].into_iter().flatten().collect(),
            down,
            halving: Pool2dConfig::new([2, 2]).init()?,
            last: layers.neuron()?,
            pool: Pool2dConfig::new([self.pool; 2]).init()?,
            classifier: classifier.with_voting(Voting::new(self.voters)?),
            image: self.image,
        })
    }
}

/// A convolution, two cells with a convolution between them, and linear layers. Its outputs are the votes of the last at each step.
///
/// All but the first convolution runs step by step: each step is normalised by its own statistics.
///
/// Created by [`SnasNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SnasNetConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = SnasNetConfig::cifar100().with_width(4).with_hidden(32);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([5, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 100]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SnasNet {
    stem: ConvNorm,
    cells: Vec<SnasCell>,
    /// After each cell, if there are normalisations.
    norms: Vec<AnyNorm>,
    down: MembraneConv,
    halving: Pool2d,
    last: AnyNeuron,
    pool: Pool2d,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A connection.
#[derive(Module, Debug)]
pub struct SnasEdge {
    conv: Option<MembraneConv>,
    average: Option<Pool2d>,
    #[module(skip)]
    connected: bool,
    #[module(skip)]
    from: usize,
    #[module(skip)]
    to: usize,
}

impl SnasEdge {
    /// The currents that it adds to its end, if it is connected. Its neurons are called `name.fromto`.
    fn forward(&self, name: &str, nodes: &[Tensor<5>], context: &mut Context) -> Option<Tensor<5>> {
        if !self.connected {
            return None;
        }
        let x = nodes[self.from].clone();
        Some(match (&self.conv, &self.average) {
            (Some(conv), _) => {
                let name = format!("{name}.{}to{}", self.from, self.to);
                conv.forward(&name, x, context)
            }
            (None, Some(average)) => average.forward(x),
            (None, None) => x,
        })
    }
}

/// A cell: nodes that are sums of what leads to them. The first is the input, the last the output.
#[derive(Module, Debug)]
pub struct SnasCell {
    forward: Vec<SnasEdge>,
    back: Vec<SnasEdge>,
}

impl SnasCell {
    /// Runs a step.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        if self.back.is_empty() {
            return self.nodes(name, input, vec![], context).remove(NODES - 1);
        }
        let [_, batch, channels, height, width] = input.dims();
        let shape = [1, batch, (NODES - 1) * channels, height, width];
        let device = input.device();
        let rest = || Tensor::<5>::zeros(shape, &device);
        context.feedback(name, rest, |last, context| {
            let last = last.split(channels, 2);
            let nodes = self.nodes(name, input, last, context);
            let silent = nodes[0].zeros_like();
            let next = (0..NODES - 1).map(|to| {
                let edges = self.back.iter().filter(|edge| edge.to == to);
                sum(edges, name, &nodes, context).unwrap_or_else(|| silent.clone())
            });
            let next = Tensor::cat(next.collect(), 2);
            (nodes[NODES - 1].clone(), next)
        })
    }

    /// All nodes, with what the last step added to them.
    fn nodes(
        &self,
        name: &str,
        input: Tensor<5>,
        last: Vec<Tensor<5>>,
        context: &mut Context,
    ) -> Vec<Tensor<5>> {
        let fed = |to: usize, x: Tensor<5>| match last.get(to) {
            Some(last) => x + last.clone(),
            None => x,
        };
        let silent = input.zeros_like();
        let mut nodes = vec![fed(0, input)];
        for to in 1..NODES {
            let edges = self.forward.iter().filter(|edge| edge.to == to);
            let x = sum(edges, name, &nodes, context).unwrap_or_else(|| silent.clone());
            nodes.push(fed(to, x));
        }
        nodes
    }
}

/// The sum of what connections add.
fn sum<'a>(
    edges: impl Iterator<Item = &'a SnasEdge>,
    name: &str,
    nodes: &[Tensor<5>],
    context: &mut Context,
) -> Option<Tensor<5>> {
    let mut added = Vec::new();
    for edge in edges {
        added.extend(edge.forward(name, nodes, context));
    }
    added.into_iter().reduce(|sum, x| sum + x)
}

impl SpikingNetwork for SnasNet {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `cell1.0to1`, ..., with the nodes that a connection joins, `down`, `cell2.0to1`, ..., `last`, and those
    /// of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let images = self.stem.forward(as_images(input, self.image), context);
        context.each_step(images, |x, context| {
            let normalize = |i: usize, x: Tensor<5>, context: &mut Context| match self.norms.get(i)
            {
                Some(norm) => context.normalize(norm, x),
                None => x,
            };
            let x = self.cells[0].forward("cell1", x, context);
            let x = normalize(0, x, context);
            let x = self.halving.forward(self.down.forward("down", x, context));
            let x = self.cells[1].forward("cell2", x, context);
            let x = normalize(1, x, context);
            let x = self.pool.forward(context.neurons("last", &self.last, x));
            self.classifier.forward(x.flatten(2, 4), context)
        })
    }
}

impl SpikingJelly for SnasNet {
    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_norm("stem", ["stem.0", "stem.1"]);
        for (i, cell) in self.cells.iter().enumerate() {
            let lists = [
                ("forward", "cell_architecture", &cell.forward),
                ("back", "cell_architecture_back", &cell.back),
            ];
            for (field, key, edges) in lists {
                for (j, edge) in edges.iter().enumerate() {
                    if edge.conv.is_some() {
                        let there = format!("cell{}.{key}.{j}", i + 1);
                        let parts = [1, 2].map(|part| format!("{there}.{part}"));
                        let here = format!("cells.{i}.{field}.{j}.conv.currents");
                        names.conv_norm(&here, parts);
                    }
                }
            }
        }
        for (i, there) in ["downconv1.0", "last_act.0"].iter().enumerate() {
            names.module(&format!("norms.{i}"), there);
        }
        names.conv_norm("down.currents", ["downconv1.2", "downconv1.3"]);
        names.module("classifier.layers.0", "classifier.1");
        names.module("classifier.layers.1", "classifier.3");
        names
    }
}
