//! A VGG network with standardised weights in place of normalisations.
//!
//! Xiao, Meng, Zhang, He, Lin: *Online Training Through Time for Spiking Neural Networks*, NeurIPS 2022 (OTTT), whose networks must
//! not depend on the statistics of a whole sequence. Here it trains with gradients through time, or without
//! ([`TemporalGradient::Off`](synfire::neuron::TemporalGradient::Off)), not with the traces of OTTT.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{Pooling, SpikeConv2d};
use synfire::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};

use crate::Context;
use crate::block::{
    Block, Chain, Classifier, ConvBlock, Layers, LayersConfig, ReadoutConfig, as_images,
    global_average,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};

/// The factor of spikes, which restores the variance that they take from currents of variance 1.
const SCALE: f64 = 2.74;

/// Added to the variance of weights.
const EPSILON: f64 = 1e-4;

network_config! {
    /// Configuration of an [`OtttVgg`].
    pub struct OtttVggConfig of OtttVgg {
        /// The channels of the 3x3 convolutions of each stage, with a pooling of 2x2 between the stages.
        with_stages -> stages: Vec<Vec<usize>> =
            vec![vec![64, 128], vec![256; 2], vec![512; 2], vec![512; 2]],
        /// The kind of pooling.
        with_pooling -> pooling: Pooling = Pooling::Average,
    }
    samples: [3, 32, 32] => 10;
    layers: ottt_layers();
}

/// SpikingJelly's neurons with tau 2 and threshold 1, without a factor for the input, with a soft reset without a gradient.
fn ottt_layers() -> LayersConfig {
    let neuron = LifConfig::spikingjelly(2.0)
        .expect("2 is above 1")
        .with_decay_input(false)
        .with_reset(Reset::Soft)
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(Initializer::Kaiming { gain: 1.0 })
}

impl OtttVggConfig {
    /// SpikingJelly's `ottt_spiking_vggws` for 10 classes.
    pub fn vggws() -> Self {
        Self::new()
    }

    fn chain(&self) -> Chain<'_> {
        Chain {
            owner: Self::OWNER,
            image: self.image,
            stages: &self.stages,
            pooling: self.pooling,
            last_pooling: false,
            bias: true,
        }
    }
}

impl Architecture for OtttVggConfig {
    const NAME: &'static str = "ottt-vgg";

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::new(
            "ottt-vggws",
            6,
            proof::SPIKINGJELLY,
            Self::vggws(),
        )]
    }

    fn small() -> Self {
        Self::new()
            .with_stages(vec![vec![16], vec![32]])
            .with_image([1, 28, 28])
    }

    fn structure(&self) -> String {
        format!(
            "{}GAP-{}, standardised weights",
            self.chain().structure(),
            self.classes
        )
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let chain = self.chain();
        chain.validate()?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        Ok([chain.channels(), vec![self.classes]].concat())
    }

    fn build(&self, layers: &mut Layers) -> Result<OtttVgg, InvalidConfig> {
        let blocks = self.chain().init(layers)?.into_iter().enumerate();
        let blocks = blocks.map(|(i, block)| {
            let [outputs, ..] = block.conv.weight.dims();
            StandardizedBlock {
                gain: Param::from_tensor(Tensor::ones([outputs, 1, 1, 1], layers.device())),
                block,
                scale: if i == 0 { 1.0 } else { SCALE },
            }
        });
        let blocks: Vec<_> = blocks.collect();
        let [channels, ..] = self.chain().output()?;
        Ok(OtttVgg {
            blocks,
            classifier: layers.classifier(&[channels, self.classes])?,
            image: self.image,
        })
    }
}

/// Stages of convolutions with standardised weights and neurons, then a linear layer of the mean of each channel. Its outputs are
/// those of the linear layer at each step.
///
/// Created by [`OtttVggConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{OtttVggConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = OtttVggConfig::vggws().with_stages(vec![vec![4], vec![8, 8]]);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([6, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct OtttVgg {
    blocks: Vec<StandardizedBlock>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A convolution with standardised weights, neurons, and optional pooling.
///
/// ```text
/// weights = scale gain (w - mean(w)) / sqrt(n var(w) + epsilon)
/// ```
///
/// Mean and variance (over `n - 1`) are those of the `n` weights of an output channel. `scale` is the factor of the spikes before.
#[derive(Module, Debug)]
pub struct StandardizedBlock {
    block: ConvBlock,
    /// `[channels_out, 1, 1, 1]`
    gain: Param<Tensor<4>>,
    #[module(skip)]
    scale: f64,
}

impl StandardizedBlock {
    fn standardized(&self) -> SpikeConv2d {
        let conv = self.block.conv.clone();
        let weight = conv.weight.val();
        let shape @ [outputs, inputs, height, width] = weight.dims();
        let count = inputs * height * width;
        let rows: Tensor<2> = weight.reshape([outputs, count]);
        let centred = rows.clone() - rows.mean_dim(1);
        let squares = centred.clone().powi_scalar(2).sum_dim(1);
        let variance = squares / (count - 1) as f64;
        let rows = centred / (variance * count as f64 + EPSILON).sqrt();
        let weight = rows.reshape(shape) * self.gain.val() * self.scale;
        SpikeConv2d {
            // The same parameter for `fuse`.
            weight: Param::initialized(conv.weight.id, weight),
            ..conv
        }
    }
}

impl Block for StandardizedBlock {
    /// The neurons are called `name`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let ConvBlock {
            norm, neuron, pool, ..
        } = &self.block;
        let conv = self.standardized();
        let spikes = context.convolution(name, &conv, norm.as_ref(), neuron, input);
        match pool {
            Some(pool) => pool.forward(spikes),
            None => spikes,
        }
    }
}

impl SpikingNetwork for OtttVgg {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, ..., and `output`, if it spikes.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let names = numbered("conv", self.blocks.len());
        let blocks = self.blocks.iter().zip(&names);
        let x = blocks.fold(as_images(input, self.image), |x, (block, name)| {
            block.forward(name, x, context)
        });
        self.classifier.forward(global_average(x) * SCALE, context)
    }
}

impl SpikingJelly for OtttVgg {
    fn names(&self) -> Names {
        let mut names = Names::new();
        let mut next = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            let there = format!("features.{next}");
            for here in [format!("blocks.{i}"), format!("blocks.{i}.block.conv")] {
                names.module(&here, &there);
            }
            let neuron = format!("features.{}", next + 1);
            names.module(&format!("blocks.{i}.block.neuron"), &neuron);
            // Convolution, neurons, factor and pooling.
            next += 3 + usize::from(block.block.pool.is_some());
        }
        names.module("classifier.layers.0", "classifier.2");
        names
    }
}
