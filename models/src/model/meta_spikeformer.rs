//! Transformers with convolutions in the first stages and spiking self-attention in the last.
//!
//! Yao, Hu, Hu, Xu, Zhou, Tian, Xu, Li: *Spike-driven Transformer V2: Meta Spiking Neural Network Architecture Inspiring the Design
//! of Next-generation Neuromorphic Chips*, ICLR 2024 (Meta-SpikeFormer). Shortcuts carry membrane currents. Layers and names as in
//! the authors' code.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{AnyNorm, SpikeConv2d, fork, self_attention};
use synfire::neuron::{AnyNeuron, NeuronConfig};

use crate::Context;
use crate::block::{
    Block, Classifier, ConvNorm, Layers, MembraneConv, MembraneMlp, RepConv, SCALE,
    TransformerBlock, as_images, conv1x1, conv3x3, global_average, loud_neuron, neuron_of,
    require_heads, residual, run_transformer, stem, transformer_layers, validate_attention,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};

network_config! {
    /// Configuration of a [`MetaSpikeFormer`].
    pub struct MetaSpikeFormerConfig of MetaSpikeFormer {
        /// The channels of the stages; the first an even number, the last two multiples of the heads.
        with_widths -> widths: [usize; 4] = [128, 256, 512, 640],
        /// The blocks with attention of the last two stages.
        with_blocks -> blocks: [usize; 2] = [6, 2],
        /// The heads of attention.
        with_heads -> heads: usize = 8,
        /// The threshold of the neurons of attention.
        with_attention_threshold -> attention_threshold: f64 = 0.5,
    }
    samples: [3, 224, 224] => 1000;
    layers: transformer_layers();
}

/// Hidden channels of fully connected layers and of the convolutions of the first stages, for each channel.
const RATIO: usize = 4;

impl MetaSpikeFormerConfig {
    /// Of 15 million parameters, for ImageNet.
    pub fn imagenet_8_256() -> Self {
        Self::new().with_widths([64, 128, 256, 360])
    }

    /// Of 31 million parameters, for ImageNet.
    pub fn imagenet_8_384() -> Self {
        Self::new().with_widths([96, 192, 384, 480])
    }

    /// Of 55 million parameters, for ImageNet.
    pub fn imagenet_8_512() -> Self {
        Self::new()
    }

    fn attention(&self, layers: &mut Layers, width: usize) -> Result<MetaAttention, InvalidConfig> {
        let mut part = || {
            Ok(MetaProjection {
                conv: layers.rep_conv(width)?,
                neuron: layers.neuron()?,
            })
        };
        let parts = [part()?, part()?, part()?];
        Ok(MetaAttention {
            input: layers.neuron()?,
            parts,
            neuron: layers.attention_neuron(self.attention_threshold)?,
            projection: layers.rep_conv(width)?,
            heads: self.heads,
        })
    }

    fn stage(
        &self,
        layers: &mut Layers,
        stage: usize,
        width: usize,
    ) -> Result<Vec<MetaBlock>, InvalidConfig> {
        let blocks = (0..self.blocks[stage]).map(|_| {
            Ok(TransformerBlock {
                attention: self.attention(layers, width)?,
                mlp: layers.membrane_mlp([width, RATIO * width])?,
            })
        });
        blocks.collect()
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

fn conv_stage(layers: &mut Layers, width: usize) -> Result<MetaConvBlock, InvalidConfig> {
    let (wide, hidden) = (2 * width, RATIO * width);
    let depthwise = Conv2dConfig::new([wide; 2], [7, 7])
        .with_groups(wide)
        .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
        .with_bias(false);
    Ok(MetaConvBlock {
        separable: MetaSeparable {
            first: layers.membrane_conv(&conv1x1([width, wide], 1))?,
            neuron: layers.neuron()?,
            depthwise: layers.conv(&depthwise),
            second: layers.conv_norm(&conv1x1([wide, width], 1), 1)?,
        },
        conv1: layers.membrane_conv(&conv3x3([width, hidden], 1))?,
        conv2: layers.membrane_conv(&conv3x3([hidden, width], 1))?,
    })
}

impl Architecture for MetaSpikeFormerConfig {
    const NAME: &'static str = "meta-spikeformer";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::AUTHORS, config);
        vec![
            preset("meta-spikeformer-8-256", Self::imagenet_8_256()),
            preset("meta-spikeformer-8-384", Self::imagenet_8_384()),
            preset("meta-spikeformer-8-512", Self::imagenet_8_512()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_neuron(loud_neuron())
            .with_attention_threshold(0.1)
            .with_widths([8, 8, 16, 16])
            .with_blocks([1, 1])
            .with_heads(2)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let [a, b, c, d] = self.widths;
        let [third, fourth] = self.blocks;
        format!("convolutions {a}x2-{b}x2, attention {c}x{third}-{d}x{fourth}")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        InvalidConfig::require_sizes(Self::OWNER, "widths", &self.widths)?;
        let [first, .., third, fourth] = self.widths;
        if !first.is_multiple_of(2) {
            let widths = format!("{:?}", self.widths);
            return Err(InvalidConfig::new(
                Self::OWNER,
                "widths",
                widths,
                "an even first one",
            ));
        }
        for width in self.widths {
            InvalidConfig::require_size(Self::OWNER, "widths", width.saturating_mul(RATIO))?;
        }
        require_heads(Self::OWNER, third, self.heads)?;
        require_heads(Self::OWNER, fourth, self.heads)?;
        InvalidConfig::require_sizes(Self::OWNER, "blocks", &self.blocks)?;
        InvalidConfig::require_sizes(Self::OWNER, "image", &self.image)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        let widths = [first / 2].into_iter().chain(self.widths);
        let channels = widths.flat_map(|width| [width, 2 * width, RATIO * width]);
        Ok(channels.chain([self.classes]).collect())
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let threshold = self.attention_threshold;
        validate_attention(Self::OWNER, &self.neuron, threshold, &self.widths[2..])
    }

    fn build(&self, layers: &mut Layers) -> Result<MetaSpikeFormer, InvalidConfig> {
        let [a, b, c, d] = self.widths;
        let stem = stem([self.image[0], a / 2]).with_bias(true);
        let stem = layers.conv_norm(&stem, 1)?;
        let mut convs = vec![conv_stage(layers, a / 2)?];
        let mut downs = vec![down(layers, [a / 2, a], 2)?];
        convs.push(conv_stage(layers, a)?);
        downs.push(down(layers, [a, b], 2)?);
        convs.push(conv_stage(layers, b)?);
        convs.push(conv_stage(layers, b)?);
        downs.push(down(layers, [b, c], 2)?);
        let third = self.stage(layers, 0, c)?;
        downs.push(down(layers, [c, d], 1)?);
        Ok(MetaSpikeFormer {
            stem,
            downs,
            convs,
            stages: vec![third, self.stage(layers, 1, d)?],
            head: layers.neuron()?,
            classifier: layers.classifier(&[d, self.classes])?,
            image: self.image,
        })
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        neuron_of(layer, &self.neuron, self.attention_threshold)
    }
}

/// A network of two stages of convolutions and two of attention. Its outputs are those of the linear layer at each step.
///
/// Created by [`MetaSpikeFormerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{MetaSpikeFormerConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = MetaSpikeFormerConfig::new().with_widths([8, 16, 32, 32]).with_blocks([1, 1]);
/// let network = config.with_classes(10).init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([1, 2, 3, 224, 224], &device));
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct MetaSpikeFormer {
    stem: ConvNorm,
    downs: Vec<MembraneConv>,
    convs: Vec<MetaConvBlock>,
    stages: Vec<Vec<MetaBlock>>,
    head: AnyNeuron,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A separable convolution of spikes: 1x1, depthwise 7x7, 1x1.
#[derive(Module, Debug)]
pub struct MetaSeparable {
    first: MembraneConv,
    neuron: AnyNeuron,
    depthwise: SpikeConv2d,
    second: ConvNorm,
}

impl MetaSeparable {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{name}.separable{i}"));
        let currents = self.first.forward(&name1, input, context);
        let spikes = context.neurons(&name2, &self.neuron, currents);
        let currents = context.currents(&self.depthwise, None::<&AnyNorm>, spikes);
        self.second.forward(currents, context)
    }
}

/// A block: a separable convolution, then two convolutions of 3x3, each added to its input.
#[derive(Module, Debug)]
pub struct MetaConvBlock {
    separable: MetaSeparable,
    conv1: MembraneConv,
    conv2: MembraneConv,
}

impl MetaConvBlock {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{name}.conv{i}"));
        let x = residual(input, |x| self.separable.forward(name, x, context));
        residual(x, |x| {
            let hidden = self.conv1.forward(&name1, x, context);
            self.conv2.forward(&name2, hidden, context)
        })
    }
}

/// Queries, keys or values.
#[derive(Module, Debug)]
pub struct MetaProjection {
    conv: RepConv,
    neuron: AnyNeuron,
}

/// Spiking self-attention whose projections are re-parameterised convolutions.
#[derive(Module, Debug)]
pub struct MetaAttention {
    input: AnyNeuron,
    /// Queries, keys and values.
    parts: [MetaProjection; 3],
    neuron: AnyNeuron,
    projection: RepConv,
    #[module(skip)]
    heads: usize,
}

impl Block for MetaAttention {
    /// The neurons are called `name.input`, `name.queries`, `name.keys`, `name.values` and `name.attention`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [queries, rest] = fork(context.neurons(&format!("{name}.input"), &self.input, input));
        let [keys, values] = fork(rest);
        let inputs = [("queries", queries), ("keys", keys), ("values", values)];
        let parts = self.parts.iter().zip(inputs).map(|(part, (what, x))| {
            let currents = part.conv.forward(x, context);
            let spikes = context.neurons(&format!("{name}.{what}"), &part.neuron, currents);
            // Channels last, as in memory.
            spikes.permute([0, 1, 3, 4, 2])
        });
        let qkv = Tensor::cat(parts.collect(), 4).permute([0, 1, 4, 2, 3]);
        let attended = self_attention(qkv, self.heads, SCALE);
        let spikes = context.neurons(&format!("{name}.attention"), &self.neuron, attended);
        self.projection.forward(spikes, context)
    }
}

/// A block of the last two stages.
type MetaBlock = TransformerBlock<MetaAttention, MembraneMlp>;

impl SpikingNetwork for MetaSpikeFormer {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `stage1.separable1`, `stage1.separable2`, `stage1.conv1`, `stage1.conv2`, `down2`, ..., up to `stage4`,
    /// `stage5.block1.input`, `stage5.block1.queries`, `stage5.block1.keys`, `stage5.block1.values`, `stage5.block1.attention`,
    /// `stage5.block1.mlp1`, `stage5.block1.mlp2`, ..., up to `stage6`, then `head`, and those of the classifier.
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

/// The names are those of the authors' code: SpikingJelly has no such network.
impl SpikingJelly for MetaSpikeFormer {
    fn names(&self) -> Names {
        let mut names = Names::new();
        let down = |there| ["conv", "bn"].map(|part| format!("downsample{there}.encode_{part}"));
        names.conv_norm("stem", down("1_1"));
        for (i, there) in ["1_2", "2", "3", "4"].into_iter().enumerate() {
            names.conv_norm(&format!("downs.{i}.currents"), down(there));
        }
        for (i, there) in ["1_1", "1_2", "2_1", "2_2"].iter().enumerate() {
            let (here, there) = (format!("convs.{i}"), format!("ConvBlock{there}.0"));
            let separable = format!("{there}.Conv");
            for (module, i) in [("first.currents", 1), ("second", 2)] {
                let parts = ["pwconv", "bn"].map(|part| format!("{separable}.{part}{i}"));
                names.conv_norm(&format!("{here}.separable.{module}"), parts);
            }
            let depthwise = format!("{here}.separable.depthwise");
            names.module(&depthwise, &format!("{separable}.dwconv"));
            for i in [1, 2] {
                let parts = ["conv", "bn"].map(|part| format!("{there}.{part}{i}"));
                names.conv_norm(&format!("{here}.conv{i}.currents"), parts);
            }
        }
        for (stage, blocks) in self.stages.iter().enumerate() {
            for block in 0..blocks.len() {
                let here = format!("stages.{stage}.{block}");
                let there = format!("block{}.{block}", stage + 3);
                for (part, key) in ["q", "k", "v"].into_iter().enumerate() {
                    let part = format!("{here}.attention.parts.{part}.conv");
                    RepConv::names(&mut names, &part, &format!("{there}.attn.{key}_conv"));
                }
                let projection = format!("{here}.attention.projection");
                RepConv::names(&mut names, &projection, &format!("{there}.attn.proj_conv"));
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
