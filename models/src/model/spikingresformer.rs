//! Residual networks with dual spike self-attention.
//!
//! Shi, Hao, Yu: *SpikingResformer: Bridging ResNet and Vision Transformer in Spiking Neural Networks*, CVPR 2024. Shortcuts carry
//! membrane currents, and no layer has biases. Layers and names as in the authors' code.

use burn::module::{Module, RunningState};
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use synfire::InvalidConfig;
use synfire::layer::Pool2d;
use synfire::neuron::{AnyNeuron, LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    Block, Classifier, ConvNorm, Layers, LayersConfig, MembraneConv, TransformerBlock, as_images,
    conv1x1, conv3x3, global_average, halving_pool, loud_neuron, pooled_size, require_blocks,
    require_heads, residual, stages_text, stem, transformer_layers,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};

/// Stem of a [`SpikingResformer`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResformerStem {
    /// A 7x7 convolution of stride 2 and a pooling, for large images.
    #[default]
    Large,
    /// A 3x3 convolution, for small images.
    Small,
}

network_config! {
    /// Configuration of a [`SpikingResformer`].
    pub struct SpikingResformerConfig of SpikingResformer {
        /// The channels of each stage, multiples of the heads and, times 4, of the group.
        with_widths -> widths: [usize; 3] = [64, 192, 384],
        /// The heads of each stage.
        with_heads -> heads: [usize; 3] = [1, 3, 6],
        /// The height and width of the patches of each stage that attention is among.
        with_patches -> patches: [usize; 3] = [4, 2, 1],
        /// The blocks of each stage.
        with_blocks -> blocks: [usize; 3] = [1, 2, 3],
        /// The channels of a group of the grouped convolutions.
        with_group -> group: usize = 64,
        /// The stem.
        with_stem -> stem: ResformerStem = ResformerStem::Large,
    }
    samples: [3, 224, 224] => 1000;
    layers: resformer_layers();
}

/// SpikingJelly's neurons with tau 2, reset to 0 without a gradient and the arc tangent, and batch normalisation.
fn resformer_layers() -> LayersConfig {
    let neuron = LifConfig::spikingjelly(2.0)
        .expect("2 is above 1")
        .with_surrogate(Surrogate::atan(2.0).expect("2 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    transformer_layers().with_neuron(neuron)
}

/// Channels of fully connected layers, for each channel.
const RATIO: usize = 4;
/// The weight of the past in running firing rates.
const MOMENTUM: f64 = 0.999;

impl SpikingResformerConfig {
    /// SpikingResformer-Ti for ImageNet.
    pub fn tiny() -> Self {
        Self::new()
    }

    /// SpikingResformer-S for ImageNet.
    pub fn s() -> Self {
        Self::new()
            .with_widths([64, 256, 512])
            .with_heads([1, 4, 8])
    }

    /// SpikingResformer-M for ImageNet.
    pub fn m() -> Self {
        Self::new()
            .with_widths([64, 384, 768])
            .with_heads([1, 6, 12])
    }

    /// SpikingResformer-L for ImageNet.
    pub fn l() -> Self {
        Self::new()
            .with_widths([128, 512, 1024])
            .with_heads([2, 8, 16])
    }

    /// SpikingResformer-Ti for CIFAR-10.
    pub fn cifar10() -> Self {
        Self::new()
            .with_stem(ResformerStem::Small)
            .with_image([3, 32, 32])
            .with_classes(10)
    }

    /// Height and width of the images of each stage.
    fn sizes(&self) -> [[usize; 2]; 3] {
        let [_, height, width] = self.image;
        let halvings = match self.stem {
            ResformerStem::Large => 2,
            ResformerStem::Small => 0,
        };
        [0, 1, 2].map(|stage| [height, width].map(|size| size.div_ceil(1 << (halvings + stage))))
    }

    fn attention(&self, layers: &mut Layers, stage: usize) -> Result<DualAttention, InvalidConfig> {
        let (width, heads) = (self.widths[stage], self.heads[stage]);
        let patch = self.patches[stage];
        let conv = Conv2dConfig::new([width, 2 * width], [patch; 2])
            .with_stride([patch; 2])
            .with_bias(false);
        let [rows, columns] = self.sizes()[stage].map(|size| size / patch);
        let device = layers.device().clone();
        Ok(DualAttention {
            input: layers.neuron()?,
            input_rate: RunningRate::new(heads, &device),
            patches: layers.conv_norm(&conv, 1)?,
            attention: layers.neuron()?,
            attention_rate: RunningRate::new(heads, &device),
            output: layers.neuron()?,
            projection: layers.conv_norm(&conv1x1([width; 2], 1), 1)?,
            heads,
            length: rows * columns,
        })
    }

    fn feed_forward(
        &self,
        layers: &mut Layers,
        width: usize,
    ) -> Result<GroupWiseFeedForward, InvalidConfig> {
        let wide = RATIO * width;
        let grouped = conv3x3([wide; 2], 1).with_groups(wide / self.group);
        Ok(GroupWiseFeedForward {
            up: layers.membrane_conv(&conv1x1([width, wide], 1))?,
            grouped: layers.membrane_conv(&grouped)?,
            down: layers.membrane_conv(&conv1x1([wide, width], 1))?,
        })
    }
}

impl Architecture for SpikingResformerConfig {
    const NAME: &'static str = "spikingresformer";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::AUTHORS, config);
        vec![
            preset("spikingresformer-ti", Self::tiny()),
            preset("spikingresformer-s", Self::s()),
            preset("spikingresformer-m", Self::m()),
            preset("spikingresformer-l", Self::l()),
            preset("spikingresformer-cifar10", Self::cifar10()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_neuron(loud_neuron())
            .with_widths([8, 8, 16])
            .with_heads([1, 1, 1])
            .with_patches([2, 1, 1])
            .with_blocks([1, 1, 1])
            .with_group(8)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let stages = stages_text(self.widths, &self.blocks);
        format!("Resformer blocks {stages}")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        for (field, sizes) in [
            ("widths", &self.widths[..]),
            ("group", &[self.group]),
            ("classes", &[self.classes]),
        ] {
            InvalidConfig::require_sizes(Self::OWNER, field, sizes)?;
        }
        require_blocks(Self::OWNER, "blocks", &self.blocks)?;
        pooled_size(Self::OWNER, self.image, 0)?;
        for patch in self.patches {
            let accepted = (1..=64).contains(&patch);
            InvalidConfig::require(Self::OWNER, "patches", patch, accepted, "from 1 to 64")?;
        }
        let mut channels = Vec::new();
        for (stage, width) in self.widths.into_iter().enumerate() {
            require_heads(Self::OWNER, width, self.heads[stage])?;
            let wide = width.saturating_mul(RATIO);
            InvalidConfig::require_size(Self::OWNER, "widths", wide)?;
            if !wide.is_multiple_of(self.group) {
                let expected = format!("a divisor of 4 times {width} channels");
                return Err(InvalidConfig::new(
                    Self::OWNER,
                    "group",
                    self.group,
                    expected,
                ));
            }
            let patch = self.patches[stage];
            if self.sizes()[stage].iter().any(|size| *size < patch) {
                let image = format!("{:?}", self.image);
                let expected = "an image with a patch in every stage";
                return Err(InvalidConfig::new(Self::OWNER, "image", image, expected));
            }
            channels.extend([width, wide]);
        }
        channels.push(self.classes);
        Ok(channels)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        // The channels of attention are its heads.
        self.neuron.validate_channels(Self::OWNER, &self.heads)
    }

    fn build(&self, layers: &mut Layers) -> Result<SpikingResformer, InvalidConfig> {
        let [first, ..] = self.widths;
        let (conv, pool) = match self.stem {
            ResformerStem::Large => (stem([self.image[0], first]), Some(halving_pool())),
            ResformerStem::Small => (conv3x3([self.image[0], first], 1), None),
        };
        let stem = layers.conv_norm(&conv, 1)?;
        let mut stages = Vec::new();
        for (stage, width) in self.widths.into_iter().enumerate() {
            let down = match stage {
                0 => None,
                _ => {
                    let conv = conv3x3([self.widths[stage - 1], width], 2);
                    Some(layers.membrane_conv(&conv)?)
                }
            };
            let blocks = (0..self.blocks[stage]).map(|_| {
                Ok(TransformerBlock {
                    attention: self.attention(layers, stage)?,
                    mlp: self.feed_forward(layers, width)?,
                })
            });
            let blocks = blocks.collect::<Result<_, InvalidConfig>>()?;
            stages.push(ResformerStage { down, blocks });
        }
        let classifier = layers.classifier(&[self.widths[2], self.classes])?;
        Ok(SpikingResformer {
            stem,
            pool,
            stages,
            classifier: classifier.without_biases(),
            image: self.image,
        })
    }
}

/// A residual network with attention in every block. Its outputs are those of the linear layer at each step.
///
/// Attention scales by firing rates, of which the network remembers running means, as batch normalisations do of their statistics.
///
/// Created by [`SpikingResformerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, SpikingResformerConfig};
///
/// let device = Device::default();
/// let config = SpikingResformerConfig::cifar10().with_widths([16, 32, 64]).with_heads([1, 2, 4]);
/// let network = config.with_blocks([1, 1, 1]).init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SpikingResformer {
    stem: ConvNorm,
    pool: Option<Pool2d>,
    stages: Vec<ResformerStage>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// Blocks of the same number of channels.
#[derive(Module, Debug)]
pub struct ResformerStage {
    /// Neurons, and a convolution to half the height and width.
    down: Option<MembraneConv>,
    blocks: Vec<ResformerBlock>,
}

/// A block, whose fully connected layers have a grouped convolution between them.
type ResformerBlock = TransformerBlock<DualAttention, GroupWiseFeedForward>;

/// The running mean of firing rates, `[1, 1, heads, 1, 1]`.
#[derive(Module, Debug)]
pub struct RunningRate {
    running_rate: RunningState<Tensor<5>>,
}

impl RunningRate {
    fn new(heads: usize, device: &Device) -> Self {
        Self {
            running_rate: RunningState::new(Tensor::zeros([1, 1, heads, 1, 1], device)),
        }
    }

    /// The rates, in training with those of these spikes, `[T, B, heads, ...]`. The first rates replace the initial zeros.
    fn of(&self, spikes: &Tensor<5>, context: &Context) -> Tensor<5> {
        let device = spikes.device();
        let before = self.running_rate.value_sync().to_device(&device);
        if !device.is_autodiff() || context.is_dry() {
            return before;
        }
        let now = spikes.clone().detach();
        let now = now.mean_dim(0).mean_dim(1).mean_dim(3).mean_dim(4);
        let none = before.clone().sum().equal_scalar(0.0).float();
        let before = before + now.clone() * none.reshape([1, 1, 1, 1, 1]);
        let rate = (before * MOMENTUM + now * (1.0 - MOMENTUM)).detach();
        self.running_rate.update(rate.clone());
        rate
    }
}

/// Dual spike self-attention: spikes of products of linear functions of patches with the spikes of all pixels.
///
/// ```text
/// A = spikes of (F1(x)^T x) / sqrt(rate of x * channels of a head)        F1, F2: of each patch, in each head
/// output = spikes of (F2(x) A) / sqrt(rate of A * patches)
/// ```
///
/// Heads that never fired are scaled as if their rate were 1e-6; the authors' code divides by 0.
#[derive(Module, Debug)]
pub struct DualAttention {
    input: AnyNeuron,
    input_rate: RunningRate,
    patches: ConvNorm,
    attention: AnyNeuron,
    attention_rate: RunningRate,
    output: AnyNeuron,
    projection: ConvNorm,
    #[module(skip)]
    heads: usize,
    /// The number of patches.
    #[module(skip)]
    length: usize,
}

impl Block for DualAttention {
    /// The neurons are called `name.input`, `name.attention` and `name.output`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [steps, batch, channels, height, width] = input.dims();
        let (heads, of_head) = (self.heads, channels / self.heads);
        let spikes = context.neurons(&format!("{name}.input"), &self.input, input);
        let mixed = self.patches.forward(spikes.clone(), context);
        let [.., rows, columns] = mixed.dims();
        let mixed = mixed.reshape([steps, batch, heads, 2 * of_head, rows * columns]);
        let first = mixed.clone().slice_dim(3, 0..of_head);
        let second = mixed.slice_dim(3, of_head..2 * of_head);
        let pixels = spikes.reshape([steps, batch, heads, of_head, height * width]);
        let scale =
            |rate: Tensor<5>, terms: usize| (rate.clamp_min(1e-6) * terms as f64).sqrt().recip();
        let by = scale(self.input_rate.of(&pixels, context), of_head);
        let attention = first.transpose().matmul(pixels) * by;
        let attention = context.neurons(&format!("{name}.attention"), &self.attention, attention);
        let by = scale(self.attention_rate.of(&attention, context), self.length);
        let attended: Tensor<5> = second.matmul(attention) * by;
        let attended = attended.reshape([steps, batch, channels, height, width]);
        let spikes = context.neurons(&format!("{name}.output"), &self.output, attended);
        self.projection.forward(spikes, context)
    }
}

/// Two fully connected layers for each pixel, with a grouped convolution between them.
#[derive(Module, Debug)]
pub struct GroupWiseFeedForward {
    up: MembraneConv,
    grouped: MembraneConv,
    down: MembraneConv,
}

impl Block for GroupWiseFeedForward {
    /// The neurons are called `name.up`, `name.grouped` and `name.down`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [up, grouped, down] = ["up", "grouped", "down"].map(|part| format!("{name}.{part}"));
        let x = self.up.forward(&up, input, context);
        let x = residual(x, |x| self.grouped.forward(&grouped, x, context));
        self.down.forward(&down, x, context)
    }
}

impl SpikingNetwork for SpikingResformer {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `stage1.0.input`, `stage1.0.attention`, `stage1.0.output`, `stage1.0.up`, `stage1.0.grouped`,
    /// `stage1.0.down`, `stage2.downsampling`, ..., and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let ConvNorm { conv, norm } = &self.stem;
        let images = as_images(input, self.image);
        let mut x = context.pooled_currents(conv, norm.as_ref(), self.pool.as_ref(), images);
        for (i, stage) in self.stages.iter().enumerate() {
            let name = format!("stage{}", i + 1);
            if let Some(down) = &stage.down {
                x = down.forward(&format!("{name}.downsampling"), x, context);
            }
            for (i, block) in stage.blocks.iter().enumerate() {
                x = block.forward(&format!("{name}.{i}"), x, context);
            }
        }
        self.classifier.forward(global_average(x), context)
    }
}

/// The names are those of the authors' code: SpikingJelly has no such network.
impl SpikingJelly for SpikingResformer {
    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_norm("stem", ["prologue.0", "prologue.1.bn"]);
        for (s, stage) in self.stages.iter().enumerate() {
            let mut at = 0;
            let mut next = || {
                at += 1;
                format!("layers.{s}.{}", at - 1)
            };
            if stage.down.is_some() {
                let there = next();
                let parts = ["conv", "norm.bn"].map(|part| format!("{there}.{part}"));
                names.conv_norm(&format!("stages.{s}.down.currents"), parts);
            }
            for b in 0..stage.blocks.len() {
                let (here, there) = (format!("stages.{s}.blocks.{b}.attention"), next());
                for (module, conv, norm) in [
                    ("patches", "W", "norm.bn"),
                    ("projection", "Wproj", "norm_proj.bn"),
                ] {
                    let parts = [conv, norm].map(|part| format!("{there}.{part}"));
                    names.conv_norm(&format!("{here}.{module}"), parts);
                }
                for (rate, key) in [("input_rate", "x"), ("attention_rate", "attn")] {
                    names.module(
                        &format!("{here}.{rate}"),
                        &format!("{there}.firing_rate_{key}"),
                    );
                }
                let (here, there) = (format!("stages.{s}.blocks.{b}.mlp"), next());
                for (module, key) in [("up", "up"), ("grouped", "conv.0"), ("down", "down")] {
                    let parts = ["1", "2.bn"].map(|part| format!("{there}.{key}.{part}"));
                    names.conv_norm(&format!("{here}.{module}.currents"), parts);
                }
            }
        }
        names.module("classifier.layers.0", "classifier");
        names
    }
}
