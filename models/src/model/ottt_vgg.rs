//! VGG networks without normalisations, whose weights may be standardised.
//!
//! Xiao, Meng, Zhang, He, Lin: *Online Training Through Time for Spiking Neural Networks*, NeurIPS 2022 (OTTT), whose networks must
//! not depend on the statistics of a whole sequence. Here it trains with gradients through time, or without
//! ([`TemporalGradient::Off`](synfire::neuron::TemporalGradient::Off)), not with the traces of OTTT.

use burn::module::{Module, Param};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{Pooling, SpikeConv2d, each_step};
use synfire::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};

use crate::Context;
use crate::block::{
    Block, Chain, Classifier, ConvBlock, Layers, LayersConfig, ReadoutConfig, VGG11, VGG13, VGG16,
    VGG19, as_images, vgg_stages,
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
        /// True if there is a pooling after the last stage, too.
        with_last_pooling -> last_pooling: bool = false,
        /// Height and width of the average pooling's output before the linear layers.
        with_average_to -> average_to: usize = 1,
        /// The sizes of the linear layers before the last.
        with_hidden -> hidden: Vec<usize> = vec![],
        /// True if the weights of all layers but the last are standardised.
        with_standardized -> standardized: bool = true,
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

    /// SpikingJelly's `ottt_spiking_vgg11_ws`; without standardised weights its `ottt_spiking_vgg11`.
    pub fn vgg11() -> Self {
        Self::large_images(VGG11)
    }

    /// SpikingJelly's `ottt_spiking_vgg13_ws`; without standardised weights its `ottt_spiking_vgg13`.
    pub fn vgg13() -> Self {
        Self::large_images(VGG13)
    }

    /// SpikingJelly's `ottt_spiking_vgg16_ws`; without standardised weights its `ottt_spiking_vgg16`.
    pub fn vgg16() -> Self {
        Self::large_images(VGG16)
    }

    /// SpikingJelly's `ottt_spiking_vgg19_ws`; without standardised weights its `ottt_spiking_vgg19`.
    pub fn vgg19() -> Self {
        Self::large_images(VGG19)
    }

    /// Stages of so many convolutions each, for images of ImageNet, with three linear layers.
    fn large_images(convs: [usize; 5]) -> Self {
        Self::new()
            .with_stages(vgg_stages(convs))
            .with_pooling(Pooling::Max)
            .with_last_pooling(true)
            .with_average_to(7)
            .with_hidden(vec![4096, 4096])
            .with_dropout(0.5)
            .with_image([3, 224, 224])
            .with_classes(1000)
    }

    fn chain(&self) -> Chain<'_> {
        Chain {
            owner: Self::OWNER,
            image: self.image,
            stages: &self.stages,
            pooling: self.pooling,
            last_pooling: self.last_pooling,
            bias: true,
        }
    }
}

impl Architecture for OtttVggConfig {
    const NAME: &'static str = "ottt-vgg";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 6, proof::SPIKINGJELLY, config);
        let plain = |config: Self| config.with_standardized(false);
        vec![
            preset("ottt-vggws", Self::vggws()),
            preset("ottt-vgg11", plain(Self::vgg11())),
            preset("ottt-vgg11-ws", Self::vgg11()),
            preset("ottt-vgg13", plain(Self::vgg13())),
            preset("ottt-vgg13-ws", Self::vgg13()),
            preset("ottt-vgg16", plain(Self::vgg16())),
            preset("ottt-vgg16-ws", Self::vgg16()),
            preset("ottt-vgg19", plain(Self::vgg19())),
            preset("ottt-vgg19-ws", Self::vgg19()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_stages(vec![vec![16], vec![32]])
            .with_image([1, 28, 28])
    }

    fn structure(&self) -> String {
        let sizes = [self.hidden.as_slice(), &[self.classes]].concat();
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        let average = match self.average_to {
            1 => "GAP".to_owned(),
            size => format!("AP to {size}x{size}"),
        };
        let standardized = match self.standardized {
            true => ", standardised weights",
            false => "",
        };
        let (convs, linear) = (self.chain().structure(), sizes.join("-"));
        format!("{convs}{average}-{linear}{standardized}")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let chain = self.chain();
        chain.validate()?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        InvalidConfig::require_size(Self::OWNER, "average_to", self.average_to)?;
        InvalidConfig::require_sizes(Self::OWNER, "hidden", &self.hidden)?;
        let [channels, ..] = chain.output()?;
        let features = [channels, self.average_to, self.average_to];
        let features = features.into_iter().fold(1, usize::saturating_mul);
        InvalidConfig::require_size(Self::OWNER, "average_to", features)?;
        Ok([chain.channels(), self.hidden.clone(), vec![self.classes]].concat())
    }

    fn build(&self, layers: &mut Layers) -> Result<OtttVgg, InvalidConfig> {
        let scale = if self.standardized { SCALE } else { 1.0 };
        let blocks = self.chain().init(layers)?.into_iter().enumerate();
        let blocks = blocks.map(|(i, block)| {
            let [outputs, ..] = block.conv.weight.dims();
            StandardizedBlock {
                gain: self
                    .standardized
                    .then(|| Param::from_tensor(Tensor::ones([outputs, 1, 1, 1], layers.device()))),
                block,
                scale: if i == 0 { 1.0 } else { scale },
            }
        });
        let blocks: Vec<_> = blocks.collect();
        let [channels, ..] = self.chain().output()?;
        let inputs = channels * self.average_to * self.average_to;
        let sizes = [&[inputs], &self.hidden[..], &[self.classes]].concat();
        let gains = self.hidden.iter().filter(|_| self.standardized);
        let gains = gains.map(|outputs| Gain {
            gain: Param::from_tensor(Tensor::ones([*outputs, 1], layers.device())),
        });
        let gains = gains.collect();
        Ok(OtttVgg {
            blocks,
            average: AdaptiveAvgPool2dConfig::new([self.average_to; 2]).init(),
            gains,
            classifier: layers.classifier(&sizes)?.without_first_dropout(),
            scale,
            image: self.image,
        })
    }
}

/// Stages of convolutions with neurons and pooling, then linear layers with neurons between them. Its outputs are those of the last
/// linear layer at each step.
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
    average: AdaptiveAvgPool2d,
    /// Of the hidden layers, if their weights are standardised.
    gains: Vec<Gain>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    /// The factor of spikes.
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    image: [usize; 3],
}

/// A convolution, neurons, and optional pooling.
///
/// Standardised weights are
///
/// ```text
/// scale gain (w - mean(w)) / sqrt(n var(w) + epsilon)
/// ```
///
/// Mean and variance (over `n - 1`) are those of the `n` weights of an output channel. `scale` is the factor of the spikes before.
#[derive(Module, Debug)]
pub struct StandardizedBlock {
    block: ConvBlock,
    /// `[channels_out, 1, 1, 1]`, if weights are standardised.
    gain: Option<Param<Tensor<4>>>,
    #[module(skip)]
    scale: f64,
}

/// The factors of the standardised weights of a linear layer, one for each output.
#[derive(Module, Debug)]
pub struct Gain {
    /// `[outputs, 1]`
    gain: Param<Tensor<2>>,
}

/// Standardises weights, `[outputs, inputs]`, with the factors `[outputs, 1]`.
fn standardized(weights: Tensor<2>, gain: Tensor<2>) -> Tensor<2> {
    let count = weights.dims()[1];
    let centred = weights.clone() - weights.mean_dim(1);
    let squares = centred.clone().powi_scalar(2).sum_dim(1);
    // One weight is its own mean.
    let variance = squares / (count - 1).max(1) as f64;
    centred / (variance * count as f64 + EPSILON).sqrt() * gain
}

impl StandardizedBlock {
    fn standardized(&self) -> SpikeConv2d {
        let conv = self.block.conv.clone();
        let Some(gain) = &self.gain else {
            return conv;
        };
        let weight = conv.weight.val();
        let shape = weight.dims();
        let rows = standardized(weight.flatten::<2>(1, 3), gain.val().flatten::<2>(1, 3));
        SpikeConv2d {
            // The same parameter for `fuse`.
            weight: Param::initialized(conv.weight.id, rows.reshape(shape) * self.scale),
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
        let conv = match context.has_folded(&self.block.conv) {
            true => self.block.conv.clone(),
            false => self.standardized(),
        };
        let spikes = context.convolution(name, &conv, norm.as_ref(), neuron, input);
        match pool {
            Some(pool) => pool.forward(spikes),
            None => spikes,
        }
    }
}

impl OtttVgg {
    /// The linear layers with standardised weights, but the last.
    fn standardized(&self) -> Classifier {
        let mut classifier = self.classifier.clone();
        if self.gains.is_empty() && self.scale == 1.0 {
            return classifier;
        }
        for (i, layer) in classifier.layers.iter_mut().enumerate() {
            let weight = layer.weight.val();
            let weight = match self.gains.get(i) {
                Some(Gain { gain }) => standardized(weight.transpose(), gain.val()).transpose(),
                None => weight,
            };
            layer.weight = Param::initialized(layer.weight.id, weight * self.scale);
        }
        classifier
    }
}

impl SpikingNetwork for OtttVgg {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, ..., `hidden1`, ..., and `output`, if it spikes.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let names = numbered("conv", self.blocks.len());
        let blocks = self.blocks.iter().zip(&names);
        let x = blocks.fold(as_images(input, self.image), |x, (block, name)| {
            block.forward(name, x, context)
        });
        let x: Tensor<5> = each_step(x, |x: Tensor<4>| self.average.forward(x));
        self.standardized().forward(x.flatten(2, 4), context)
    }
}

impl SpikingJelly for OtttVgg {
    fn names(&self) -> Names {
        let mut names = Names::new();
        let mut next = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            let there = format!("features.{next}");
            names.module(&format!("blocks.{i}.block.conv"), &there);
            if block.gain.is_some() {
                names.module(&format!("blocks.{i}"), &there);
            }
            let neuron = format!("features.{}", next + 1);
            names.module(&format!("blocks.{i}.block.neuron"), &neuron);
            // Convolution, neurons, factor and pooling.
            next += 2 + usize::from(block.gain.is_some()) + usize::from(block.block.pool.is_some());
        }
        for i in 0..self.classifier.layers.len() {
            // After pooling and flattening: linear layer, neurons, factor, dropout.
            let there = format!("classifier.{}", 2 + 4 * i);
            names.module(&format!("classifier.layers.{i}"), &there);
            if i < self.gains.len() {
                names.module(&format!("gains.{i}"), &there);
            }
            if i < self.classifier.neurons.len() {
                let neuron = format!("classifier.{}", 3 + 4 * i);
                names.module(&format!("classifier.neurons.{i}"), &neuron);
            }
        }
        names
    }
}
