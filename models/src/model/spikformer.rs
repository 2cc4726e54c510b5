//! Transformers with spiking self-attention.
//!
//! Zhou, Zhu, He, Wang, Yan, Tian, Yuan: *Spikformer: When Spiking Neural Network Meets Transformer*, ICLR 2023.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::neuron::NeuronConfig;

use crate::Context;
use crate::block::{
    Classifier, Layers, PooledConv, SelfAttention, SpikingMlp, TransformerBlock, as_images,
    attention_names, conv3x3, global_average, halving_pool, loud_neuron, neuron_of, pooled_size,
    require_blocks, require_heads, require_hidden, require_width, residual, run_transformer,
    transformer_layers, validate_attention,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`Spikformer`].
    pub struct SpikformerConfig of Spikformer {
        /// The channels of tokens, a multiple of 8 and of the heads.
        with_width -> width: usize = 384,
        /// The number of blocks.
        with_depth -> depth: usize = 8,
        /// The heads of each attention.
        with_heads -> heads: usize = 12,
        /// The channels of hidden layers, as a multiple of the width.
        with_mlp_ratio -> mlp_ratio: usize = 4,
        /// The height and width of the image's patches that become tokens: 1, 2, 4, 8 or 16.
        with_patch_size -> patch_size: usize = 16,
        /// True if projections and fully connected layers have biases before their normalisations, as in the paper. SpikingJelly's
        /// have none: its weights are imported, and were compared, without.
        with_bias -> bias: bool = true,
        /// The threshold of the neurons of attention.
        with_attention_threshold -> attention_threshold: f64 = 0.5,
    }
    samples: [3, 224, 224] => 1000;
    layers: transformer_layers();
}

weights! {
    /// Trained weights of a [`Spikformer`].
    pub enum SpikformerWeights of Spikformer {
        /// Articles of clothing, with narrow layers.
        FashionMnist = "spikformer-4-384-fashion-mnist",
    }
}

/// Convolutions of the patch embedding before that of positions.
const STAGES: usize = 4;

impl SpikformerConfig {
    /// 8 blocks of 384 channels for ImageNet: Spikformer-8-384.
    pub fn imagenet_8_384() -> Self {
        Self::new()
    }

    /// 8 blocks of 512 channels for ImageNet: Spikformer-8-512.
    pub fn imagenet_8_512() -> Self {
        Self::new().with_width(512).with_heads(8)
    }

    /// 8 blocks of 768 channels for ImageNet: Spikformer-8-768.
    pub fn imagenet_8_768() -> Self {
        Self::new().with_width(768)
    }

    /// 4 blocks of 384 channels for CIFAR-10: Spikformer-4-384.
    pub fn cifar10() -> Self {
        Self::new()
            .with_depth(4)
            .with_patch_size(4)
            .with_image([3, 32, 32])
            .with_classes(10)
    }

    /// The poolings, after the last ones of the convolutions.
    fn poolings(&self) -> usize {
        self.patch_size.trailing_zeros() as usize
    }
}

impl Architecture for SpikformerConfig {
    const NAME: &'static str = "spikformer";
    const WEIGHTS: &'static [BuiltIn] = SpikformerWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
        vec![
            preset("spikformer-4-384", Self::cifar10()),
            preset("spikformer-8-384", Self::imagenet_8_384()),
            preset("spikformer-8-512", Self::imagenet_8_512()),
            preset("spikformer-8-768", Self::imagenet_8_768()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_neuron(loud_neuron())
            .with_attention_threshold(0.25)
            .with_width(32)
            .with_depth(1)
            .with_heads(4)
            .with_mlp_ratio(2)
            .with_patch_size(4)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let Self {
            width,
            depth,
            heads,
            patch_size,
            ..
        } = self;
        format!("patches of {patch_size}, {depth} blocks of {width} in {heads} heads")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let Self {
            width, patch_size, ..
        } = *self;
        require_width(Self::OWNER, width)?;
        require_blocks(Self::OWNER, "depth", &[self.depth])?;
        let hidden = require_hidden(Self::OWNER, width, self.mlp_ratio, 1)?;
        require_heads(Self::OWNER, width, self.heads)?;
        let known = patch_size.is_power_of_two() && patch_size <= 1 << STAGES;
        InvalidConfig::require(
            Self::OWNER,
            "patch_size",
            patch_size,
            known,
            "1, 2, 4, 8 or 16",
        )?;
        pooled_size(Self::OWNER, self.image, 0)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        let stages = (0..STAGES).map(|stage| width >> (STAGES - 1 - stage));
        Ok(stages.chain([3 * width, hidden, self.classes]).collect())
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let threshold = self.attention_threshold;
        validate_attention(Self::OWNER, &self.neuron, threshold, &[self.width])
    }

    fn build(&self, layers: &mut Layers) -> Result<Spikformer, InvalidConfig> {
        let (width, hidden) = (self.width, self.width * self.mlp_ratio);
        let mut inputs = self.image[0];
        let stages = (0..STAGES).map(|stage| {
            let outputs = width >> (STAGES - 1 - stage);
            let pool = (stage + self.poolings() >= STAGES).then(halving_pool);
            let stage = layers.pooled_conv(&conv3x3([inputs, outputs], 1), pool);
            inputs = outputs;
            stage
        });
        let stages = stages.collect::<Result<_, _>>()?;
        let positions = layers.pooled_conv(&conv3x3([width; 2], 1), None)?;
        let blocks = (0..self.depth).map(|_| {
            Ok(TransformerBlock {
                attention: layers.self_attention(
                    width,
                    self.heads,
                    self.attention_threshold,
                    self.bias,
                )?,
                mlp: layers.spiking_mlp([width, hidden], self.bias)?,
            })
        });
        Ok(Spikformer {
            stages,
            positions,
            blocks: blocks.collect::<Result<_, _>>()?,
            classifier: layers.classifier(&[width, self.classes])?,
            image: self.image,
        })
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        neuron_of(layer, &self.neuron, self.attention_threshold)
    }
}

/// A transformer of spiking neurons. Its outputs are those of the linear layer at each step.
///
/// Created by [`SpikformerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikformerConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = SpikformerConfig::cifar10().with_width(32).with_heads(4).with_depth(1);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct Spikformer {
    stages: Vec<PooledConv>,
    positions: PooledConv,
    blocks: Vec<TransformerBlock<SelfAttention, SpikingMlp>>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

impl SpikingNetwork for Spikformer {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `patch1` to `patch4`, `positions`, then those of the blocks, `block1.qkv`, `block1.attention`,
    /// `block1.projection`, `block1.hidden`, `block1.output`, ..., and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let mut x = as_images(input, self.image);
        for (stage, name) in self.stages.iter().zip(numbered("patch", STAGES)) {
            x = stage.forward(&name, x, context);
        }
        x = residual(x, |x| self.positions.forward("positions", x, context));
        x = run_transformer(&self.blocks, "", x, context);
        self.classifier.forward(global_average(x), context)
    }
}

impl SpikingJelly for Spikformer {
    fn names(&self) -> Names {
        let mut names = Names::new();
        let stages = (0..STAGES).map(|i| (format!("stages.{i}"), format!("stages.{i}")));
        let positions = ("positions".to_owned(), "positional_encoding".to_owned());
        for (here, there) in stages.chain([positions]) {
            let there = format!("patch_embed.{there}");
            let parts = [0, 1].map(|i| format!("{there}.conv_bn.block.{i}"));
            names.conv_norm(&format!("{here}.currents"), parts);
            names.module(&format!("{here}.neuron"), &format!("{there}.neuron"));
        }
        for i in 0..self.blocks.len() {
            let block = format!("blocks.{i}");
            attention_names(&mut names, &format!("{block}.attention"), &block, "qkv");
            SpikingMlp::names(&mut names, &format!("{block}.mlp"), |i| {
                let parts = [format!("fc{i}.0"), format!("fc{i}.1"), format!("neuron{i}")];
                parts.map(|part| format!("{block}.mlp.{part}"))
            });
        }
        names.module("classifier.layers.0", "head");
        names
    }
}
