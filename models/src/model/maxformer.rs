//! Transformers that keep high frequencies.
//!
//! Fang, Zhou, Wei, Cao, Li, Zhou, Yang, Zhang: *Spiking Neural Networks Need High Frequency Information*, NeurIPS 2025
//! (Max-Former): max pooling in the patch embedding, depthwise convolutions in place of attention in the first stages.
//! Layers as in SpikingJelly.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use synfire::InvalidConfig;
use synfire::layer::{Pool2d, fork, join};
use synfire::neuron::{AnyNeuron, NeuronConfig};

use crate::Context;
use crate::block::{
    Block, Classifier, ConvNorm, Layers, MembraneConv, MembraneMlp, MembraneSelfAttention,
    SelfAttention, as_images, attention_names, conv1x1, conv3x3, depthwise, global_average,
    halving_pool, loud_neuron, neuron_of, pooled_size, require_blocks, require_heads,
    require_hidden, require_width, residual, run_transformer, stages_text, transformer_layers,
    validate_attention,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};

/// The images that a [`MaxFormer`] is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaxFormerImages {
    /// Large ones: the first embedding divides height and width by 4, depthwise convolutions of 7x7 and 5x5, and neurons after the
    /// weights of attention.
    #[default]
    Large,
    /// Small ones: the first embedding keeps height and width, no depthwise convolution in the first stage and of 3x3 in the second, and
    /// neurons before the weights of attention.
    Small,
}

network_config! {
    /// Configuration of a [`MaxFormer`].
    pub struct MaxFormerConfig of MaxFormer {
        /// The images.
        with_images -> images: MaxFormerImages = MaxFormerImages::Large,
        /// The channels of tokens in the last stage, a multiple of 8; each stage has twice the channels of the previous one.
        with_width -> width: usize = 384,
        /// The blocks of each stage.
        with_blocks -> blocks: [usize; 3] = [1, 2, 7],
        /// The heads of attention in the last stage.
        with_heads -> heads: usize = 6,
        /// The channels of hidden layers, as a multiple of those of tokens, above 1.
        with_mlp_ratio -> mlp_ratio: usize = 4,
        /// The threshold of the neurons of attention.
        with_attention_threshold -> attention_threshold: f64 = 0.5,
    }
    samples: [3, 224, 224] => 1000;
    layers: transformer_layers();
}

impl MaxFormerConfig {
    /// 10 blocks of up to 384 channels for ImageNet: SpikingJelly's `maxformer_10_384`.
    pub fn imagenet_10_384() -> Self {
        Self::new()
    }

    /// 4 blocks of up to 384 channels for CIFAR-10: SpikingJelly's `maxformer_cifar` with 10 classes.
    pub fn cifar10() -> Self {
        Self::new()
            .with_images(MaxFormerImages::Small)
            .with_blocks([1, 1, 2])
            .with_heads(8)
            .with_image([3, 32, 32])
            .with_classes(10)
    }

    /// The channels of tokens in each stage.
    fn widths(&self) -> [usize; 3] {
        [4, 2, 1].map(|part| self.width / part)
    }

    /// The size of the depthwise convolutions of a stage, if it has any.
    fn kernel(&self, stage: usize) -> Option<usize> {
        match (self.images, stage) {
            (MaxFormerImages::Large, 0) => Some(7),
            (MaxFormerImages::Large, 1) => Some(5),
            (MaxFormerImages::Small, 1) => Some(3),
            _ => None,
        }
    }

    fn embedding(
        &self,
        layers: &mut Layers,
        stage: usize,
        [inputs, outputs]: [usize; 2],
    ) -> Result<MaxEmbedding, InvalidConfig> {
        let small = self.images == MaxFormerImages::Small;
        let biased = |conv: Conv2dConfig| conv.with_bias(!small);
        let conv = |layers: &mut Layers, conv| layers.conv_norm(&biased(conv), 1);
        let first = match (stage, small) {
            // One convolution of the branch with the neurons before it, and the same for the shortcut.
            (0, true) => None,
            (0, false) => Some(conv(layers, conv3x3([inputs, outputs], 2))?),
            _ => Some(conv(layers, conv3x3([inputs, outputs], 1))?),
        };
        let channels = if first.is_some() { outputs } else { inputs };
        let stride = if stage == 0 && !small { 2 } else { 1 };
        Ok(MaxEmbedding {
            neuron: layers.neuron()?,
            second_neuron: layers.neuron()?,
            second: conv(layers, conv3x3([channels, outputs], 1))?,
            shortcut: conv(layers, conv1x1([inputs, outputs], stride))?,
            pool: (stage > 0).then(halving_pool),
            first,
        })
    }
}

impl Architecture for MaxFormerConfig {
    const NAME: &'static str = "maxformer";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
        vec![
            preset("maxformer-10-384", Self::imagenet_10_384()),
            preset("maxformer-cifar10", Self::cifar10()),
        ]
    }

    fn small() -> Self {
        Self::cifar10()
            .with_neuron(loud_neuron())
            .with_attention_threshold(0.25)
            .with_width(32)
            .with_blocks([1, 1, 1])
            .with_heads(2)
            .with_mlp_ratio(2)
            .with_image([1, 28, 28])
    }

    fn structure(&self) -> String {
        let stages = stages_text(self.widths(), &self.blocks);
        format!("Max-Former blocks {stages}")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        require_width(Self::OWNER, self.width)?;
        require_blocks(Self::OWNER, "blocks", &self.blocks)?;
        require_heads(Self::OWNER, self.width, self.heads)?;
        require_hidden(Self::OWNER, self.width, self.mlp_ratio, 2)?;
        pooled_size(Self::OWNER, self.image, 0)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        let mut channels = vec![self.width / 8];
        for width in self.widths() {
            channels.extend([width, width * self.mlp_ratio]);
        }
        channels.extend([3 * self.width, self.classes]);
        Ok(channels)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let threshold = self.attention_threshold;
        validate_attention(Self::OWNER, &self.neuron, threshold, &[self.width])
    }

    fn build(&self, layers: &mut Layers) -> Result<MaxFormer, InvalidConfig> {
        let widths = self.widths();
        let small = self.images == MaxFormerImages::Small;
        let mut inputs = widths[0] / 2;
        let stride = if small { 1 } else { 2 };
        let stem = conv3x3([self.image[0], inputs], stride).with_bias(!small);
        let stem = layers.conv_norm(&stem, 1)?;
        let mut embeddings = Vec::new();
        let mut stages = Vec::new();
        for (stage, width) in widths.into_iter().enumerate() {
            embeddings.push(self.embedding(layers, stage, [inputs, width])?);
            inputs = width;
            let blocks = (0..self.blocks[stage]).map(|_| {
                let mut block = MaxBlock {
                    depthwise: None,
                    spikes: None,
                    currents: None,
                    mlp: layers.membrane_mlp([width, width * self.mlp_ratio])?,
                };
                if let Some(kernel) = self.kernel(stage) {
                    let conv = depthwise(width, kernel).with_bias(true);
                    block.depthwise = Some(layers.membrane_conv(&conv)?);
                }
                let (heads, threshold) = (self.heads, self.attention_threshold);
                match (stage, small) {
                    (2, false) => {
                        block.spikes = Some(layers.self_attention(width, heads, threshold, false)?);
                    }
                    (2, true) => {
                        let attention = layers.membrane_self_attention(width, heads, threshold)?;
                        block.currents = Some(attention);
                    }
                    _ => (),
                }
                Ok(block)
            });
            stages.push(blocks.collect::<Result<_, InvalidConfig>>()?);
        }
        Ok(MaxFormer {
            stem,
            embeddings,
            stages,
            head: layers.neuron()?,
            classifier: layers.classifier(&[self.width, self.classes])?,
            image: self.image,
        })
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        neuron_of(layer, &self.neuron, self.attention_threshold)
    }
}

/// A transformer of three stages with membrane shortcuts. Its outputs are those of the linear layer at each step.
///
/// Created by [`MaxFormerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{MaxFormerConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let network = MaxFormerConfig::cifar10().with_width(32).init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct MaxFormer {
    stem: ConvNorm,
    embeddings: Vec<MaxEmbedding>,
    stages: Vec<Vec<MaxBlock>>,
    head: AnyNeuron,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// An embedding of patches: neurons, two convolutions with neurons between them, and a convolution of the spikes as a shortcut.
#[derive(Module, Debug)]
pub struct MaxEmbedding {
    neuron: AnyNeuron,
    /// Absent where the shortcut has neurons of its own, `second_neuron`.
    first: Option<ConvNorm>,
    second_neuron: AnyNeuron,
    second: ConvNorm,
    shortcut: ConvNorm,
    /// Pooling of the currents of the first convolution and of the shortcut.
    pool: Option<Pool2d>,
}

impl MaxEmbedding {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{name}.patch{i}"));
        let pooled = |conv: &ConvNorm, x, context: &mut Context| {
            let ConvNorm { conv, norm } = conv;
            context.pooled_currents(conv, norm.as_ref(), self.pool.as_ref(), x)
        };
        let (main, shortcut) = match &self.first {
            Some(first) => {
                let [x, shortcut] = fork(context.neurons(&name1, &self.neuron, input));
                let currents = pooled(first, x, context);
                let spikes = context.neurons(&name2, &self.second_neuron, currents);
                (self.second.forward(spikes, context), shortcut)
            }
            None => {
                let [x, shortcut] = fork(input);
                let spikes = context.neurons(&name1, &self.neuron, x);
                let main = self.second.forward(spikes, context);
                (main, context.neurons(&name2, &self.second_neuron, shortcut))
            }
        };
        let shortcut = pooled(&self.shortcut, shortcut, context);
        join([main, shortcut], |main, shortcut| main + shortcut)
    }
}

/// A block: a depthwise convolution or attention, if there is one, and fully connected layers, each added to its input.
#[derive(Module, Debug)]
pub struct MaxBlock {
    depthwise: Option<MembraneConv>,
    /// Attention whose outputs are spikes.
    spikes: Option<SelfAttention>,
    /// Attention whose outputs are currents.
    currents: Option<MembraneSelfAttention>,
    mlp: MembraneMlp,
}

impl Block for MaxBlock {
    fn forward(&self, name: &str, mut x: Tensor<5>, context: &mut Context) -> Tensor<5> {
        if let Some(depthwise) = &self.depthwise {
            let name = format!("{name}.depthwise");
            x = residual(x, |x| depthwise.forward(&name, x, context));
        }
        if let Some(attention) = &self.spikes {
            x = residual(x, |x| attention.forward(name, x, context));
        }
        if let Some(attention) = &self.currents {
            x = residual(x, |x| attention.forward(name, x, context));
        }
        residual(x, |x| self.mlp.forward(name, x, context))
    }
}

impl SpikingNetwork for MaxFormer {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `stage1.patch1`, `stage1.patch2` and those of the blocks, `stage1.block1.depthwise`,
    /// `stage1.block1.mlp1`, `stage1.block1.mlp2`, ..., in the last stage also `stage3.block1.qkv`, `stage3.block1.attention` and
    /// `stage3.block1.projection` or `stage3.block1.input`, then `head`, and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let mut x = self.stem.forward(as_images(input, self.image), context);
        for (i, (embedding, blocks)) in self.embeddings.iter().zip(&self.stages).enumerate() {
            let stage = format!("stage{}", i + 1);
            x = embedding.forward(&stage, x, context);
            x = run_transformer(blocks, &format!("{stage}."), x, context);
        }
        let spikes = context.neurons("head", &self.head, global_average(x));
        self.classifier.forward(spikes, context)
    }
}

impl SpikingJelly for MaxFormer {
    fn names(&self) -> Names {
        let mut names = Names::new();
        let small = self.embeddings[0].first.is_none();
        let embed = "patch_embed1";
        let parts = |conv: &str, norm: &str| [conv, norm].map(|part| format!("{embed}.{part}"));
        if small {
            names.conv_norm("stem", parts("conv", "bn"));
            names.conv_norm("embeddings.0.second", parts("branch.1", "branch.2"));
            names.conv_norm("embeddings.0.shortcut", parts("shortcut.1", "shortcut.2"));
        } else {
            names.conv_norm("stem", parts("conv1", "bn1"));
            names.conv_norm("embeddings.0.first", parts("conv2", "bn2"));
            names.conv_norm("embeddings.0.second", parts("conv3", "bn3"));
            names.conv_norm("embeddings.0.shortcut", parts("shortcut.0", "shortcut.1"));
        }
        for stage in 1..3 {
            let there = format!("patch_embed{}", stage + 1);
            for (here, conv, norm) in [
                ("first", "conv1", "bn1"),
                ("second", "conv2", "bn2"),
                ("shortcut", "shortcut.0", "shortcut.1"),
            ] {
                let parts = [conv, norm].map(|part| format!("{there}.{part}"));
                names.conv_norm(&format!("embeddings.{stage}.{here}"), parts);
            }
        }
        for (stage, blocks) in self.stages.iter().enumerate() {
            for (i, block) in blocks.iter().enumerate() {
                let here = format!("stages.{stage}.{i}");
                let there = format!("stage{}.{i}", stage + 1);
                if block.depthwise.is_some() {
                    let parts = ["dwconv", "bn"].map(|part| format!("{there}.{part}"));
                    names.conv_norm(&format!("{here}.depthwise.currents"), parts);
                }
                if block.spikes.is_some() {
                    attention_names(&mut names, &format!("{here}.spikes"), &there, "qkv");
                }
                if block.currents.is_some() {
                    for (module, key) in [("qkv", "qkv"), ("projection", "proj")] {
                        let parts = [0, 1].map(|part| format!("{there}.attn.{key}.{part}"));
                        let module = format!("{here}.currents.{module}");
                        names.conv_norm(&module, parts).one_dimensional(&module);
                    }
                }
                let mlp = match small && stage == 0 {
                    true => there,
                    false => format!("{there}.mlp"),
                };
                MembraneMlp::names(&mut names, &format!("{here}.mlp"), |i| {
                    ["fc", "bn"].map(|part| format!("{mlp}.{part}{i}"))
                });
            }
        }
        names.module("classifier.layers.0", "head");
        names
    }
}
