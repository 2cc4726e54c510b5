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
    conv3x3, global_average, pooled_size,
};
use crate::{Context, SpikingNetwork};

/// Gives the configuration of a [`ResNet`] with `blocks`, `bottleneck`, `groups`, `widening`, `width` and a method `block` the
/// depths of He et al. (2016), their variants, and its [`Architecture`](crate::Architecture): what comes before `-resnet` in its
/// name, the kind of its blocks in texts, and its trained weights if it has any.
macro_rules! resnet_architecture {
    ($config:ident: $name:literal, $kind:literal $(, $weights:ident)?) => {
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

            /// ResNeXt of 50 layers: bottlenecks of 32 groups of 4 channels (Xie et al. 2017).
            pub fn resnext50_32x4d() -> Self {
                Self::resnet50().with_groups(32).with_widening(2)
            }

            /// ResNeXt of 101 layers: bottlenecks of 32 groups of 8 channels.
            pub fn resnext101_32x8d() -> Self {
                Self::resnet101().with_groups(32).with_widening(4)
            }

            /// Wide ResNet of 50 layers: bottlenecks twice as wide (Zagoruyko and Komodakis 2016).
            pub fn wide_resnet50_2() -> Self {
                Self::resnet50().with_widening(2)
            }

            /// Wide ResNet of 101 layers.
            pub fn wide_resnet101_2() -> Self {
                Self::resnet101().with_widening(2)
            }

            fn of(blocks: [usize; 4], bottleneck: bool) -> Self {
                Self::new()
                    .with_blocks(blocks.to_vec())
                    .with_bottleneck(bottleneck)
            }

            fn stages(&self) -> $crate::block::Stages<'_> {
                $crate::block::Stages {
                    blocks: &self.blocks,
                    bottleneck: self.bottleneck.then_some($crate::block::Bottleneck {
                        groups: self.groups,
                        widening: self.widening,
                    }),
                    width: self.width,
                }
            }
        }

        impl Architecture for $config {
            const NAME: &'static str = concat!($name, "-resnet");
            $(const WEIGHTS: &'static [$crate::weights::BuiltIn] = $weights::BUILT_IN;)?

            fn presets() -> Vec<Preset<Self>> {
                let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
                vec![
                    preset(concat!($name, "-resnet18"), Self::resnet18()),
                    preset(concat!($name, "-resnet34"), Self::resnet34()),
                    preset(concat!($name, "-resnet50"), Self::resnet50()),
                    preset(concat!($name, "-resnet101"), Self::resnet101()),
                    preset(concat!($name, "-resnet152"), Self::resnet152()),
                    preset(concat!($name, "-resnext50-32x4d"), Self::resnext50_32x4d()),
                    preset(
                        concat!($name, "-resnext101-32x8d"),
                        Self::resnext101_32x8d(),
                    ),
                    preset(concat!($name, "-wide-resnet50-2"), Self::wide_resnet50_2()),
                    preset(
                        concat!($name, "-wide-resnet101-2"),
                        Self::wide_resnet101_2(),
                    ),
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
                let (owner, groups, widening) = (Self::OWNER, self.groups, self.widening);
                for (field, value) in [("groups", groups), ("widening", widening)] {
                    let accepted = value == 1 || self.bottleneck;
                    InvalidConfig::require(owner, field, value, accepted, "1 without bottlenecks")?;
                }
                let stages = self.stages();
                stages.channels(Self::OWNER, self.image, &[], self.classes)
            }

            fn build(&self, layers: &mut Layers) -> Result<Self::Network, InvalidConfig> {
                let stages = self.stages();
                Ok($crate::block::ResNet {
                    stem: layers.conv_block(&$crate::block::stem([self.image[0], self.width]))?,
                    pool: Some($crate::block::halving_pool()),
                    stages: stages.build(self.width, 1, |plan| self.block(layers, plan))?,
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

/// Rejects numbers of blocks that take much memory before anything is known of their sizes.
pub(crate) fn require_blocks(
    owner: &'static str,
    field: &'static str,
    blocks: &[usize],
) -> Result<(), InvalidConfig> {
    blocks.iter().try_for_each(|&number| {
        let accepted = (1..=1024).contains(&number);
        InvalidConfig::require(owner, field, number, accepted, "from 1 to 1024").map(drop)
    })
}

/// The stages of a residual network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stages<'a> {
    /// The blocks of each stage.
    pub blocks: &'a [usize],
    /// If blocks are bottlenecks: 1x1, 3x3 and 1x1 convolutions with four times the output channels, instead of two 3x3.
    pub bottleneck: Option<Bottleneck>,
    /// The channels of the first stage.
    pub width: usize,
}

/// The 3x3 convolutions of bottlenecks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bottleneck {
    /// The groups of channels.
    pub groups: usize,
    /// The ratio of their channels to those of the stage.
    pub widening: usize,
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
        let Self {
            blocks,
            width,
            bottleneck,
        } = self;
        if !(1..=8).contains(&blocks.len()) {
            let (blocks, expected) = (format!("{blocks:?}"), "from 1 to 8 stages");
            return Err(InvalidConfig::new(owner, "blocks", blocks, expected));
        }
        require_blocks(owner, "blocks", blocks)?;
        // Doubled for each stage, and times the expansion of bottlenecks.
        InvalidConfig::require_size(owner, "width", width)?;
        InvalidConfig::require_size(owner, "width", width << (blocks.len() + 1))?;
        if let Some(Bottleneck { groups, widening }) = bottleneck {
            InvalidConfig::require_size(owner, "widening", widening)?;
            let widest = (width << blocks.len()).saturating_mul(widening);
            InvalidConfig::require_size(owner, "widening", widest)?;
            let accepted = groups > 0 && (width * widening).is_multiple_of(groups);
            let expected = "a divisor of `width` times `widening`";
            InvalidConfig::require(owner, "groups", groups, accepted, expected)?;
        }
        pooled_size(owner, image, 0)?;
        InvalidConfig::require_size(owner, "classes", classes)?;
        InvalidConfig::require_sizes(owner, "hidden", hidden)?;
        let mut channels = Vec::new();
        for stage in 0..blocks.len() {
            channels.push(width << stage);
            if let Some(Bottleneck { widening, .. }) = bottleneck {
                channels.push((width << stage) * self.expansion());
                if widening > 1 {
                    channels.push((width << stage) * widening);
                }
            }
        }
        Ok([&channels[..], hidden, &[classes]].concat())
    }

    /// Ratio of a block's output channels to the channels of its stage.
    fn expansion(self) -> usize {
        if self.bottleneck.is_some() { 4 } else { 1 }
    }

    /// The output channels of the last block.
    pub fn outputs(self) -> usize {
        (self.width << (self.blocks.len() - 1)) * self.expansion()
    }

    /// Creates the blocks in order, the first for so many `inputs`. The first block of a stage has stride 2, in the first stage
    /// `first_stride`.
    pub fn build<B>(
        self,
        mut inputs: usize,
        first_stride: usize,
        mut block: impl FnMut(BlockPlan) -> Result<B, InvalidConfig>,
    ) -> Result<Vec<Vec<B>>, InvalidConfig> {
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
        let stages = stages_text(widths, self.blocks);
        match self.bottleneck {
            None => format!("{kind} blocks {stages}"),
            Some(Bottleneck { groups, widening }) => {
                let notes = [(groups, "groups"), (widening, "times as wide")].into_iter();
                let notes = notes.filter(|(number, _)| *number > 1);
                let notes: Vec<_> = notes
                    .map(|(number, what)| format!("{number} {what}"))
                    .collect();
                match notes.as_slice() {
                    [] => format!("{kind} bottlenecks {stages}"),
                    notes => format!("{kind} bottlenecks ({}) {stages}", notes.join(", ")),
                }
            }
        }
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
    bottleneck: Option<Bottleneck>,
}

impl BlockPlan {
    /// The convolutions of the branch.
    pub fn branch(self) -> Vec<Conv2dConfig> {
        match self.bottleneck {
            None => vec![
                conv3x3([self.inputs, self.channels], self.stride),
                conv3x3([self.channels, self.outputs], 1),
            ],
            Some(Bottleneck { groups, widening }) => {
                let wide = self.channels * widening;
                vec![
                    conv1x1([self.inputs, wide], 1),
                    conv3x3([wide; 2], self.stride).with_groups(groups),
                    conv1x1([wide, self.outputs], 1),
                ]
            }
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
    max_pool(2)
}

/// The maximum of 3x3 pixels, at steps of `stride`.
pub(crate) fn max_pool(stride: usize) -> Pool2d {
    let pool = MaxPool2dConfig::new([3, 3])
        .with_strides([stride; 2])
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
