//! The layout of Meta-SpikeFormer and its successors: four blocks of convolutions, then two stages of transformer blocks.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::neuron::AnyNeuron;

use super::{
    Block, Classifier, ConvNorm, Layers, MembraneConv, MembraneMlp, as_images, conv3x3,
    global_average, pooled_size, require_blocks, require_heads, residual, run_transformer, stem,
};
use crate::interop::Names;
use crate::{Context, SpikingNetwork};

/// Hidden channels of fully connected layers and of the convolutions of the first stages, for each channel.
pub(crate) const RATIO: usize = 4;

/// A network of four blocks of convolutions, `C`, and two stages of transformer blocks, `B`. Its outputs are those of the linear
/// layer at each step.
#[derive(Module, Debug)]
pub struct MetaFormer<C: Module, B: Module> {
    stem: ConvNorm,
    downs: Vec<MembraneConv>,
    convs: Vec<C>,
    stages: Vec<Vec<B>>,
    head: AnyNeuron,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A block: a separable convolution `S`, then two convolutions of 3x3, each added to its input.
#[derive(Module, Debug)]
pub struct MetaConvBlock<S: Module> {
    separable: S,
    conv1: MembraneConv,
    conv2: MembraneConv,
}

impl<S: Block> Block for MetaConvBlock<S> {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{name}.conv{i}"));
        let x = residual(input, |x| self.separable.forward(name, x, context));
        let layers = [(&*name1, &self.conv1), (&*name2, &self.conv2)];
        residual(x, |x| MembraneConv::chain(layers, x, context))
    }
}

impl<C: Block, B: Block> SpikingNetwork for MetaFormer<C, B> {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `stage1.separable1`, `stage1.separable2`, ..., `stage1.conv1`, `stage1.conv2`, `down2`, ..., up to
    /// `stage4`, then those of the transformer blocks, `stage5.block1.input`, ..., up to `stage6`, then `head`, and those of the
    /// classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let mut x = self.stem.forward(as_images(input, self.image), context);
        // The last two blocks of convolutions share a stage.
        let before = [None, Some(&self.downs[0]), Some(&self.downs[1]), None];
        for (i, (block, down)) in self.convs.iter().zip(before).enumerate() {
            if let Some(down) = down {
                x = down.forward(&format!("down{}", i + 1), x, context);
            }
            x = block.forward(&format!("stage{}", i + 1), x, context);
        }
        for (i, (blocks, down)) in self.stages.iter().zip(&self.downs[2..]).enumerate() {
            x = down.forward(&format!("down{}", i + 4), x, context);
            x = run_transformer(blocks, &format!("stage{}.", i + 5), x, context);
        }
        let spikes = context.neurons("head", &self.head, global_average(x));
        self.classifier.forward(spikes, context)
    }
}

impl<S: Block, B: Block> MetaFormer<MetaConvBlock<S>, B> {
    /// The names in the authors' code, which has the same layout: `separable` names those of a separable convolution, `attention`
    /// those of all of a transformer block but its fully connected layers, from a path here to a key there.
    pub(crate) fn names_with(
        &self,
        separable: impl Fn(&mut Names, &str, &str),
        attention: impl Fn(&mut Names, &str, &str),
    ) -> Names {
        let mut names = Names::new();
        let down = |there| ["conv", "bn"].map(|part| format!("downsample{there}.encode_{part}"));
        names.conv_norm("stem", down("1_1"));
        for (i, there) in ["1_2", "2", "3", "4"].into_iter().enumerate() {
            names.conv_norm(&format!("downs.{i}.currents"), down(there));
        }
        for (i, there) in ["1_1", "1_2", "2_1", "2_2"].iter().enumerate() {
            let (here, there) = (format!("convs.{i}"), format!("ConvBlock{there}.0"));
            let [inside, conv] = [format!("{here}.separable"), format!("{there}.Conv")];
            separable(&mut names, &inside, &conv);
            for i in [1, 2] {
                let parts = ["conv", "bn"].map(|part| format!("{there}.{part}{i}"));
                names.conv_norm(&format!("{here}.conv{i}.currents"), parts);
            }
        }
        for (stage, blocks) in self.stages.iter().enumerate() {
            for block in 0..blocks.len() {
                let here = format!("stages.{stage}.{block}");
                let there = format!("block{}.{block}", stage + 3);
                attention(&mut names, &here, &there);
                let mlp = format!("{here}.mlp");
                MembraneMlp::names(&mut names, &mlp, |i| {
                    ["conv", "bn"].map(|part| format!("{there}.mlp.fc{i}_{part}"))
                });
                for layer in ["hidden", "output"] {
                    names.one_dimensional(&format!("{mlp}.{layer}.currents"));
                }
            }
        }
        names.module("classifier.layers.0", "head");
        names
    }
}

/// Gives a configuration with `widths`, `blocks` and `heads` its `layout()`.
macro_rules! meta_layout {
    ($config:ident) => {
        impl $config {
            fn layout(&self) -> $crate::block::MetaLayout {
                $crate::block::MetaLayout {
                    owner: Self::OWNER,
                    widths: self.widths,
                    blocks: self.blocks,
                    heads: self.heads,
                    image: self.image,
                    classes: self.classes,
                }
            }
        }
    };
}

pub(crate) use meta_layout;

/// The sizes of such a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetaLayout {
    /// The network, in errors.
    pub owner: &'static str,
    /// The channels of the stages.
    pub widths: [usize; 4],
    /// The transformer blocks of the last two stages.
    pub blocks: [usize; 2],
    /// The heads of attention.
    pub heads: usize,
    /// Channels, height and width of a sample.
    pub image: [usize; 3],
    /// The number of classes.
    pub classes: usize,
}

impl MetaLayout {
    /// Checks all sizes, and returns the channels of every kind of layer with neurons, the outputs last.
    pub fn channels(self) -> Result<Vec<usize>, InvalidConfig> {
        let owner = self.owner;
        InvalidConfig::require_sizes(owner, "widths", &self.widths)?;
        let [first, .., third, fourth] = self.widths;
        let widths = format!("{:?}", self.widths);
        let even = first.is_multiple_of(2);
        InvalidConfig::require(owner, "widths", widths, even, "an even first one")?;
        for width in self.widths {
            InvalidConfig::require_size(owner, "widths", width.saturating_mul(RATIO))?;
        }
        require_heads(owner, third, self.heads)?;
        require_heads(owner, fourth, self.heads)?;
        require_blocks(owner, "blocks", &self.blocks)?;
        pooled_size(owner, self.image, 0)?;
        InvalidConfig::require_size(owner, "classes", self.classes)?;
        let widths = [first / 2].into_iter().chain(self.widths);
        let channels = widths.flat_map(|width| [width, 2 * width, RATIO * width]);
        Ok(channels.chain([self.classes]).collect())
    }

    /// The layers in one line.
    pub fn structure(self) -> String {
        let [a, b, c, d] = self.widths;
        let [third, fourth] = self.blocks;
        format!("convolutions {a}x2-{b}x2, attention {c}x{third}-{d}x{fourth}")
    }

    /// Creates the network of separable convolutions and transformer blocks for so many channels, and the neurons before its
    /// classifier.
    pub fn build<S: Block, B: Block>(
        self,
        layers: &mut Layers,
        separable: impl Fn(&mut Layers, usize) -> Result<S, InvalidConfig>,
        block: impl Fn(&mut Layers, usize) -> Result<B, InvalidConfig>,
        head: AnyNeuron,
    ) -> Result<MetaFormer<MetaConvBlock<S>, B>, InvalidConfig> {
        let [a, b, c, d] = self.widths;
        let conv = |layers: &mut Layers, width: usize| {
            let hidden = RATIO * width;
            Ok(MetaConvBlock {
                separable: separable(layers, width)?,
                conv1: layers.membrane_conv(&conv3x3([width, hidden], 1))?,
                conv2: layers.membrane_conv(&conv3x3([hidden, width], 1))?,
            })
        };
        let stage = |layers: &mut Layers, stage: usize, width: usize| {
            let blocks = (0..self.blocks[stage]).map(|_| block(layers, width));
            blocks.collect::<Result<Vec<_>, _>>()
        };
        let stem = stem([self.image[0], a / 2]).with_bias(true);
        let stem = layers.conv_norm(&stem, 1)?;
        let mut convs = vec![conv(layers, a / 2)?];
        let mut downs = vec![down(layers, [a / 2, a], 2)?];
        convs.push(conv(layers, a)?);
        downs.push(down(layers, [a, b], 2)?);
        convs.push(conv(layers, b)?);
        convs.push(conv(layers, b)?);
        downs.push(down(layers, [b, c], 2)?);
        let third = stage(layers, 0, c)?;
        downs.push(down(layers, [c, d], 1)?);
        Ok(MetaFormer {
            stem,
            downs,
            convs,
            stages: vec![third, stage(layers, 1, d)?],
            head,
            classifier: layers.classifier(&[d, self.classes])?,
            image: self.image,
        })
    }
}

/// Neurons, and a convolution with a bias that halves height and width, or keeps them with a stride of 1.
fn down(
    layers: &mut Layers,
    channels: [usize; 2],
    stride: usize,
) -> Result<MembraneConv, InvalidConfig> {
    layers.membrane_conv(&conv3x3(channels, stride).with_bias(true))
}
