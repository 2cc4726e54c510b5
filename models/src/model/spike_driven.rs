//! Transformers with spike-driven self-attention.
//!
//! Yao, Hu, Zhou, Yuan, Tian, Xu, Li: *Spike-driven Transformer*, NeurIPS 2023: neurons precede weights, so that shortcuts carry
//! membrane currents. Layers as in SpikingJelly.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::Pool2d;
use synfire::neuron::{AnyNeuron, NeuronConfig};

use crate::Context;
use crate::block::{
    Classifier, ConvBlock, ConvNorm, Layers, MembraneMlp, SpikeDrivenAttention, TransformerBlock,
    as_images, conv3x3, global_average, halving_pool, loud_neuron, neuron_of, pooled_size,
    require_blocks, require_hidden, require_width, residual, run_transformer, transformer_layers,
    validate_attention,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`SpikeDrivenTransformer`].
    pub struct SpikeDrivenTransformerConfig of SpikeDrivenTransformer {
        /// The channels of tokens, a multiple of 8.
        with_width -> width: usize = 384,
        /// The number of blocks.
        with_depth -> depth: usize = 8,
        /// The channels of hidden layers, as a multiple of the width, above 1.
        with_mlp_ratio -> mlp_ratio: usize = 4,
        /// Which of the convolutions of the patch embedding have a pooling.
        with_pooled -> pooled: [bool; 4] = [true; 4],
        /// The threshold of the neurons of attention.
        with_attention_threshold -> attention_threshold: f64 = 0.5,
    }
    samples: [3, 224, 224] => 1000;
    layers: transformer_layers();
}

weights! {
    /// Trained weights of a [`SpikeDrivenTransformer`].
    pub enum SpikeDrivenTransformerWeights of SpikeDrivenTransformer {
        /// Articles of clothing, with narrow layers.
        FashionMnist = "spike-driven-transformer-2-512-fashion-mnist",
    }
}

/// Convolutions of the patch embedding before that of positions.
const STAGES: usize = 4;

impl SpikeDrivenTransformerConfig {
    /// 8 blocks of 384 channels for ImageNet: SpikingJelly's `sdt_8_384`.
    pub fn imagenet_8_384() -> Self {
        Self::new()
    }

    /// 8 blocks of 512 channels for ImageNet.
    pub fn imagenet_8_512() -> Self {
        Self::new().with_width(512)
    }

    /// 8 blocks of 768 channels for ImageNet.
    pub fn imagenet_8_768() -> Self {
        Self::new().with_width(768)
    }

    /// 2 blocks of 512 channels for CIFAR-10.
    pub fn cifar10() -> Self {
        Self::new()
            .with_width(512)
            .with_depth(2)
            .with_pooled([false, false, true, true])
            .with_image([3, 32, 32])
            .with_classes(10)
    }
}

impl Architecture for SpikeDrivenTransformerConfig {
    const NAME: &'static str = "spike-driven-transformer";
    const WEIGHTS: &'static [BuiltIn] = SpikeDrivenTransformerWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
        vec![
            preset("spike-driven-transformer-2-512", Self::cifar10()),
            preset("spike-driven-transformer-8-384", Self::imagenet_8_384()),
            preset("spike-driven-transformer-8-512", Self::imagenet_8_512()),
            preset("spike-driven-transformer-8-768", Self::imagenet_8_768()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_neuron(loud_neuron())
            .with_attention_threshold(0.25)
            .with_width(32)
            .with_depth(1)
            .with_mlp_ratio(2)
            .with_pooled([false, false, true, true])
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let patch = 1 << self.pooled.iter().filter(|pooled| **pooled).count();
        format!(
            "patches of {patch}, {} blocks of {}",
            self.depth, self.width
        )
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let width = self.width;
        require_width(Self::OWNER, width)?;
        require_blocks(Self::OWNER, "depth", &[self.depth])?;
        let hidden = require_hidden(Self::OWNER, width, self.mlp_ratio, 2)?;
        pooled_size(Self::OWNER, self.image, 0)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        let stages = (0..STAGES).map(|stage| width >> (STAGES - 1 - stage));
        Ok(stages.chain([hidden, self.classes]).collect())
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let threshold = self.attention_threshold;
        validate_attention(Self::OWNER, &self.neuron, threshold, &[self.width])
    }

    fn build(&self, layers: &mut Layers) -> Result<SpikeDrivenTransformer, InvalidConfig> {
        let (width, hidden) = (self.width, self.width * self.mlp_ratio);
        let mut inputs = self.image[0];
        let mut stages = Vec::new();
        for (stage, pooled) in self.pooled[..STAGES - 1].iter().enumerate() {
            let outputs = width >> (STAGES - 1 - stage);
            let mut block = layers.conv_block(&conv3x3([inputs, outputs], 1).with_bias(true))?;
            block.pool = pooled.then(halving_pool);
            stages.push(block);
            inputs = outputs;
        }
        let last = layers.conv_norm(&conv3x3([inputs, width], 1).with_bias(true), 1)?;
        let neuron = layers.neuron()?;
        let positions = layers.conv_norm(&conv3x3([width; 2], 1), 1)?;
        let blocks = (0..self.depth).map(|_| {
            Ok(TransformerBlock {
                attention: layers.spike_driven_attention(width, self.attention_threshold)?,
                mlp: layers.membrane_mlp([width, hidden])?,
            })
        });
        let blocks = blocks.collect::<Result<_, InvalidConfig>>()?;
        Ok(SpikeDrivenTransformer {
            stages,
            last,
            pool: self.pooled[STAGES - 1].then(halving_pool),
            neuron,
            positions,
            blocks,
            head: layers.neuron()?,
            classifier: layers.classifier(&[width, self.classes])?,
            image: self.image,
        })
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        neuron_of(layer, &self.neuron, self.attention_threshold)
    }
}

/// A transformer whose blocks have no products but those of spikes and weights, and of spikes. Its outputs are those of the linear
/// layer at each step.
///
/// Created by [`SpikeDrivenTransformerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikeDrivenTransformerConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = SpikeDrivenTransformerConfig::cifar10().with_width(32).with_depth(1);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SpikeDrivenTransformer {
    stages: Vec<ConvBlock>,
    last: ConvNorm,
    pool: Option<Pool2d>,
    neuron: AnyNeuron,
    positions: ConvNorm,
    blocks: Vec<TransformerBlock<SpikeDrivenAttention, MembraneMlp>>,
    head: AnyNeuron,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

impl SpikingNetwork for SpikeDrivenTransformer {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `patch1` to `patch4`, then those of the blocks, `block1.input`, `block1.queries`, `block1.keys`,
    /// `block1.values`, `block1.attention`, `block1.mlp1`, `block1.mlp2`, ..., `head`, and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let names = numbered("patch", STAGES);
        let mut x = as_images(input, self.image);
        for (stage, name) in self.stages.iter().zip(&names) {
            x = stage.forward(name, x, context);
        }
        let ConvNorm { conv, norm } = &self.last;
        x = context.pooled_currents(conv, norm.as_ref(), self.pool.as_ref(), x);
        x = residual(x, |x| {
            let spikes = context.neurons(&names[STAGES - 1], &self.neuron, x);
            self.positions.forward(spikes, context)
        });
        x = run_transformer(&self.blocks, "", x, context);
        let spikes = context.neurons("head", &self.head, global_average(x));
        self.classifier.forward(spikes, context)
    }
}

impl SpikingJelly for SpikeDrivenTransformer {
    fn names(&self) -> Names {
        let mut names = Names::new();
        for stage in 0..STAGES - 1 {
            let parts = [0, 1, 2].map(|i| format!("patch_embed.stages.{stage}.{i}"));
            names.conv_block(&format!("stages.{stage}"), parts);
        }
        names.conv_norm(
            "last",
            [0, 1].map(|i| format!("patch_embed.final_stage.{i}")),
        );
        names.module("neuron", "patch_embed.final_lif");
        names.conv_norm("positions", ["patch_embed.rpe_conv", "patch_embed.rpe_bn"]);
        for i in 0..self.blocks.len() {
            let block = format!("blocks.{i}");
            let attention = format!("{block}.attn");
            for (here, there) in [("queries", "q"), ("keys", "k"), ("values", "v")] {
                let parts = ["conv", "bn", "lif"].map(|part| format!("{attention}.{there}_{part}"));
                names.conv_block(&format!("{block}.attention.{here}"), parts);
            }
            let parts = ["conv", "bn"].map(|part| format!("{attention}.proj_{part}"));
            names.conv_norm(&format!("{block}.attention.projection"), parts);
            for (here, there) in [("input", "shortcut_lif"), ("neuron", "attn_lif")] {
                let here = format!("{block}.attention.{here}");
                names.module(&here, &format!("{attention}.{there}"));
            }
            let mlp = format!("{block}.mlp");
            MembraneMlp::names(&mut names, &mlp, |i| {
                ["fc", "bn"].map(|part| format!("{mlp}.{part}{i}"))
            });
        }
        names.module("head", "head_lif");
        names.module("classifier.layers.0", "head");
        names
    }
}
