//! Parts of residual networks: stages of blocks, each with twice the channels of the previous one.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::MaxPool2dConfig;
use burn::tensor::Tensor;
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{NormConfig, Pool2d, join};
use synfire::neuron::{LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use super::{
    Block, Classifier, ConvBlock, ConvNorm, LayersConfig, ReadoutConfig, as_images, conv1x1,
    conv3x3, global_average,
};
use crate::{Context, SpikingNetwork};

/// Gives the configuration of a [`ResNet`] with `blocks`, `bottleneck`, `width` and a method `block` the depths of He et al.
/// (2016) and its [`Architecture`](crate::Architecture): the name, and the kind of its blocks in texts.
macro_rules! resnet_architecture {
    ($config:ident: $name:literal, $kind:literal) => {
        impl $config {
            /// 18 layers.
            pub fn resnet18() -> Self {
                Self::of([2, 2, 2, 2], false)
            }

            /// 34 layers.
            pub fn resnet34() -> Self {
                Self::of([3, 4, 6, 3], false)
            }

            /// 50 layers.
            pub fn resnet50() -> Self {
                Self::of([3, 4, 6, 3], true)
            }

            /// 101 layers.
            pub fn resnet101() -> Self {
                Self::of([3, 4, 23, 3], true)
            }

            /// 152 layers.
            pub fn resnet152() -> Self {
                Self::of([3, 8, 36, 3], true)
            }

            fn of(blocks: [usize; 4], bottleneck: bool) -> Self {
                Self::new()
                    .with_blocks(blocks.to_vec())
                    .with_bottleneck(bottleneck)
            }

            fn stages(&self) -> $crate::block::Stages<'_> {
                $crate::block::Stages {
                    blocks: &self.blocks,
                    bottleneck: self.bottleneck,
                    width: self.width,
                }
            }
        }

        impl Architecture for $config {
            const NAME: &'static str = $name;

            fn presets() -> Vec<Preset<Self>> {
                let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
                vec![
                    preset(concat!($name, "18"), Self::resnet18()),
                    preset(concat!($name, "34"), Self::resnet34()),
                    preset(concat!($name, "50"), Self::resnet50()),
                    preset(concat!($name, "101"), Self::resnet101()),
                    preset(concat!($name, "152"), Self::resnet152()),
                ]
            }

            fn small() -> Self {
                Self::new()
                    .with_blocks(vec![1, 1])
                    .with_width(8)
                    .with_image([1, 28, 28])
                    .with_classes(10)
            }

            fn structure(&self) -> String {
                self.stages().structure($kind)
            }

            fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
                let stages = self.stages();
                stages.channels(Self::OWNER, self.image, &[], self.classes)
            }

            fn build(&self, layers: &mut Layers) -> Result<Self::Network, InvalidConfig> {
                let stages = self.stages();
                Ok($crate::block::ResNet {
                    stem: layers.conv_block(&$crate::block::stem([self.image[0], self.width]))?,
                    pool: Some($crate::block::halving_pool()),
                    stages: stages.build(1, |plan| self.block(layers, plan))?,
                    classifier: layers.classifier(&[stages.outputs(), self.classes])?,
                    image: self.image,
                })
            }
        }
    };
}

pub(crate) use resnet_architecture;

/// Integrate-and-fire neurons of threshold 1, reset to 0 without a gradient, arctangent of width 2, and batch normalisation:
/// the layers of the SEW-ResNet paper, and those with which SpikingJelly trains residual networks on ImageNet.
pub(crate) fn integrate_and_fire_layers() -> LayersConfig {
    let neuron = LifConfig::new()
        .with_threshold(1.0)
        .with_decay(1.0)
        .with_surrogate(Surrogate::atan(2.0).expect("2 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::batch()))
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(Initializer::Kaiming { gain: 1.0 })
}

/// The stages of a residual network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stages<'a> {
    /// The blocks of each stage.
    pub blocks: &'a [usize],
    /// True if blocks are bottlenecks: 1x1, 3x3 and 1x1 convolutions with four times the output channels, instead of two 3x3.
    pub bottleneck: bool,
    /// The channels of the first stage.
    pub width: usize,
}

impl Stages<'_> {
    /// Checks all sizes of a network of these stages and linear layers, and returns the channels of every kind of layer with
    /// neurons, the outputs last.
    pub fn channels(
        self,
        owner: &'static str,
        image: [usize; 3],
        hidden: &[usize],
        classes: usize,
    ) -> Result<Vec<usize>, InvalidConfig> {
        let Self { blocks, width, .. } = self;
        if !(1..=8).contains(&blocks.len()) {
            let (blocks, expected) = (format!("{blocks:?}"), "from 1 to 8 stages");
            return Err(InvalidConfig::new(owner, "blocks", blocks, expected));
        }
        for number in blocks {
            InvalidConfig::require_size(owner, "blocks", *number)?;
        }
        // Doubled for each stage, and times the expansion of bottlenecks.
        InvalidConfig::require_size(owner, "width", width)?;
        InvalidConfig::require_size(owner, "width", width << (blocks.len() + 1))?;
        InvalidConfig::require_sizes(owner, "image", &image)?;
        InvalidConfig::require_size(owner, "classes", classes)?;
        InvalidConfig::require_sizes(owner, "hidden", hidden)?;
        let mut channels = Vec::new();
        for stage in 0..blocks.len() {
            channels.push(width << stage);
            if self.bottleneck {
                channels.push((width << stage) * self.expansion());
            }
        }
        Ok([&channels[..], hidden, &[classes]].concat())
    }

    /// Ratio of a block's output channels to the channels of its stage.
    fn expansion(self) -> usize {
        if self.bottleneck { 4 } else { 1 }
    }

    /// The output channels of the last block.
    pub fn outputs(self) -> usize {
        (self.width << (self.blocks.len() - 1)) * self.expansion()
    }

    /// Creates the blocks in order. The first block of a stage has stride 2, in the first stage `first_stride`.
    pub fn build<B>(
        self,
        first_stride: usize,
        mut block: impl FnMut(BlockPlan) -> Result<B, InvalidConfig>,
    ) -> Result<Vec<Vec<B>>, InvalidConfig> {
        let mut inputs = self.width;
        let stages = self.blocks.iter().enumerate().map(|(stage, blocks)| {
            let blocks = (0..*blocks).map(|b| {
                let channels = self.width << stage;
                let plan = BlockPlan {
                    inputs,
                    channels,
                    outputs: channels * self.expansion(),
                    stride: match (stage, b) {
                        (0, 0) => first_stride,
                        (_, 0) => 2,
                        _ => 1,
                    },
                    bottleneck: self.bottleneck,
                };
                inputs = plan.outputs;
                block(plan)
            });
            blocks.collect()
        });
        stages.collect()
    }

    /// The network in one line.
    pub fn structure(self, kind: &str) -> String {
        let widths = (0..self.blocks.len()).map(|stage| self.width << stage);
        let block = match self.bottleneck {
            true => "bottlenecks",
            false => "blocks",
        };
        format!("{kind} {block} {}", stages_text(widths, self.blocks))
    }
}

/// Stages in one line: the channels of each, and its number of blocks.
pub(crate) fn stages_text(widths: impl IntoIterator<Item = usize>, blocks: &[usize]) -> String {
    let stages = widths.into_iter().zip(blocks);
    let stages = stages.map(|(width, blocks)| format!("{width}x{blocks}"));
    stages.collect::<Vec<_>>().join("-")
}

/// The sizes of a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockPlan {
    /// The channels of its input.
    pub inputs: usize,
    /// The channels of its 3x3 convolutions.
    pub channels: usize,
    /// The channels of its output.
    pub outputs: usize,
    /// Factor by which it reduces height and width.
    pub stride: usize,
    bottleneck: bool,
}

impl BlockPlan {
    /// The convolutions of the branch.
    pub fn branch(self) -> Vec<Conv2dConfig> {
        let (first, last) = ([self.inputs, self.channels], [self.channels, self.outputs]);
        match self.bottleneck {
            false => vec![conv3x3(first, self.stride), conv3x3(last, 1)],
            true => vec![
                conv1x1(first, 1),
                conv3x3([self.channels; 2], self.stride),
                conv1x1(last, 1),
            ],
        }
    }

    /// The convolution of the shortcut, if output and input differ in shape.
    pub fn shortcut(self) -> Option<Conv2dConfig> {
        let differ = self.stride != 1 || self.inputs != self.outputs;
        differ.then(|| conv1x1([self.inputs, self.outputs], self.stride))
    }
}

/// The first convolution, `[inputs, outputs]`, 7x7 with stride 2.
pub(crate) fn stem(channels: [usize; 2]) -> Conv2dConfig {
    Conv2dConfig::new(channels, [7, 7])
        .with_stride([2, 2])
        .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
        .with_bias(false)
}

/// The pooling after the [stem], and in patch embeddings: the maximum of 3x3 pixels at every other one.
pub(crate) fn halving_pool() -> Pool2d {
    let pool = MaxPool2dConfig::new([3, 3])
        .with_strides([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
    Pool2d::Max(pool.init())
}

/// Adds the currents of a shortcut to those of a branch. A shortcut without weights is the input itself.
///
/// # Panics
///
/// If they are of different shapes.
pub(crate) fn add_shortcut(
    block: &str,
    currents: Tensor<5>,
    shortcut: Option<&ConvNorm>,
    input: Tensor<5>,
    context: &mut Context,
) -> Tensor<5> {
    let shortcut = match shortcut {
        Some(conv) => conv.forward(input, context),
        None => input,
    };
    assert!(
        currents.dims() == shortcut.dims(),
        "{block} makes {:?} and its shortcut {:?}",
        currents.dims(),
        shortcut.dims()
    );
    join([currents, shortcut], |currents, shortcut| {
        currents + shortcut
    })
}

/// A residual network: a convolution with neurons, optional pooling, stages of blocks, and fully connected layers.
#[derive(Module, Debug)]
pub struct ResNet<B: Module> {
    pub(crate) stem: ConvBlock,
    pub(crate) pool: Option<Pool2d>,
    pub(crate) stages: Vec<Vec<B>>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    pub(crate) image: [usize; 3],
}

impl<B: Block> SpikingNetwork for ResNet<B> {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `sn1`, then those of the blocks, `layer1.0.sn1`, `layer1.0.sn2`, ..., `layer2.0.shortcut`, ...,
    /// and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let images = as_images(input, self.image);
        let mut x = self.stem.forward("sn1", images, context);
        if let Some(pool) = &self.pool {
            x = pool.forward(x);
        }
        let x = run_stages(&self.stages, x, context);
        self.classifier.forward(global_average(x), context)
    }
}

/// Runs the blocks of all stages one after the other.
pub(crate) fn run_stages<B: Block>(
    stages: &[Vec<B>],
    input: Tensor<5>,
    context: &mut Context,
) -> Tensor<5> {
    blocks(stages).fold(input, |x, Named { there, block, .. }| {
        block.forward(&there, x, context)
    })
}

/// A block with its names.
pub(crate) struct Named<'a, B> {
    /// The path of its fields.
    pub here: String,
    /// The name in SpikingJelly and in recorders.
    pub there: String,
    /// The block.
    pub block: &'a B,
}

/// The blocks of all stages, in the order in which they run.
pub(crate) fn blocks<B>(stages: &[Vec<B>]) -> impl Iterator<Item = Named<'_, B>> {
    stages.iter().enumerate().flat_map(|(s, stage)| {
        stage.iter().enumerate().map(move |(b, block)| Named {
            here: format!("stages.{s}.{b}"),
            there: format!("layer{}.{b}", s + 1),
            block,
        })
    })
}
