//! Hierarchical transformers with Q-K attention.
//!
//! Zhou, Zhang, Ma, Yu, Zhou, Huang, Ma, Zhang, Tian: *QKFormer: Hierarchical Spiking Transformer using Q-K Attention*, NeurIPS
//! 2024. Layers as in SpikingJelly.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{fork, join};
use synfire::neuron::NeuronConfig;

use crate::Context;
use crate::block::{
    Classifier, ConvBlock, Layers, PooledConv, QkAttention, QkKind, SelfAttention, SpikingMlp,
    TransformerBlock, as_images, attention_names, conv1x1, conv3x3, global_average, halving_pool,
    loud_neuron, neuron_of, pooled_size, require_blocks, require_heads, require_hidden,
    require_width, run_transformer, stages_text, transformer_layers, validate_attention,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`QkFormer`].
    pub struct QkFormerConfig of QkFormer {
        /// The channels of tokens in the last stage, a multiple of 8; each stage has twice the channels of the previous one.
        with_width -> width: usize = 384,
        /// The blocks of each stage.
        with_blocks -> blocks: [usize; 3] = [1, 2, 7],
        /// The heads of each stage.
        with_heads -> heads: [usize; 3] = [6, 6, 6],
        /// What Q-K attention sums up.
        with_attention -> attention: QkKind = QkKind::Token,
        /// The channels of hidden layers, as a multiple of those of tokens.
        with_mlp_ratio -> mlp_ratio: usize = 4,
        /// The threshold of the neurons of attention.
        with_attention_threshold -> attention_threshold: f64 = 0.5,
    }
    samples: [3, 224, 224] => 1000;
    layers: transformer_layers();
}

weights! {
    /// Trained weights of a [`QkFormer`].
    pub enum QkFormerWeights of QkFormer {
        /// Articles of clothing, with narrow layers.
        FashionMnist = "qkformer-10-384-fashion-mnist",
    }
}

impl QkFormerConfig {
    /// 10 blocks of up to 384 channels for ImageNet: QKFormer-10-384, SpikingJelly's `qkformer_10_384`.
    pub fn imagenet_10_384() -> Self {
        Self::new()
    }

    /// 10 blocks of up to 512 channels for ImageNet: QKFormer-10-512.
    pub fn imagenet_10_512() -> Self {
        Self::new().with_width(512).with_heads([8, 8, 8])
    }

    /// 10 blocks of up to 768 channels for ImageNet: QKFormer-10-768.
    pub fn imagenet_10_768() -> Self {
        Self::new().with_width(768).with_heads([12, 12, 12])
    }

    /// The channels of tokens in each stage.
    fn widths(&self) -> [usize; 3] {
        [4, 2, 1].map(|part| self.width / part)
    }
}

impl Architecture for QkFormerConfig {
    const NAME: &'static str = "qkformer";
    const WEIGHTS: &'static [BuiltIn] = QkFormerWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
        vec![
            preset("qkformer-10-384", Self::imagenet_10_384()),
            preset("qkformer-10-512", Self::imagenet_10_512()),
            preset("qkformer-10-768", Self::imagenet_10_768()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_neuron(loud_neuron())
            .with_attention_threshold(0.25)
            .with_width(64)
            .with_blocks([1, 1, 1])
            .with_heads([2, 2, 4])
            .with_mlp_ratio(2)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        format!("Q-K blocks {}", stages_text(self.widths(), &self.blocks))
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        require_width(Self::OWNER, self.width)?;
        require_blocks(Self::OWNER, "blocks", &self.blocks)?;
        require_hidden(Self::OWNER, self.width, self.mlp_ratio, 1)?;
        pooled_size(Self::OWNER, self.image, 0)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        let mut channels = vec![self.width / 8];
        for (stage, (width, heads)) in self.widths().into_iter().zip(self.heads).enumerate() {
            require_heads(Self::OWNER, width, heads)?;
            let projected = if stage < 2 { 2 * width } else { 3 * width };
            channels.extend([width, projected, width * self.mlp_ratio]);
        }
        channels.push(self.classes);
        Ok(channels)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let sums = match self.attention {
            QkKind::Token => self.heads,
            QkKind::Channel => self.widths(),
        };
        let channels = [sums[0], sums[1], self.width];
        let threshold = self.attention_threshold;
        validate_attention(Self::OWNER, &self.neuron, threshold, &channels)
    }

    fn build(&self, layers: &mut Layers) -> Result<QkFormer, InvalidConfig> {
        let widths = self.widths();
        let threshold = self.attention_threshold;
        let mut inputs = widths[0] / 2;
        let stem = biased(conv3x3([self.image[0], inputs], 1));
        let stem = layers.pooled_conv(&stem, Some(halving_pool()))?;
        let mut embeddings = Vec::new();
        let (mut stages, mut last) = (Vec::new(), Vec::new());
        for (stage, width) in widths.into_iter().enumerate() {
            embeddings.push(QkEmbedding {
                first: layers
                    .pooled_conv(&biased(conv3x3([inputs, width], 1)), Some(halving_pool()))?,
                second: layers.pooled_conv(&biased(conv3x3([width; 2], 1)), None)?,
                shortcut: layers.conv_block(&biased(conv1x1([inputs, width], 2)))?,
            });
            inputs = width;
            let (heads, hidden) = (self.heads[stage], width * self.mlp_ratio);
            let mut blocks = Vec::new();
            for _ in 0..self.blocks[stage] {
                if stage == 2 {
                    let attention = layers.self_attention(width, heads, threshold, false)?;
                    let mlp = layers.spiking_mlp([width, hidden], true)?;
                    last.push(TransformerBlock { attention, mlp });
                } else {
                    let attention = layers.qk_attention(width, heads, self.attention, threshold)?;
                    let mlp = layers.spiking_mlp([width, hidden], true)?;
                    blocks.push(TransformerBlock { attention, mlp });
                }
            }
            if stage < 2 {
                stages.push(blocks);
            }
        }
        Ok(QkFormer {
            stem,
            embeddings,
            stages,
            last,
            classifier: layers.classifier(&[self.width, self.classes])?,
            image: self.image,
        })
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        neuron_of(layer, &self.neuron, self.attention_threshold)
    }
}

/// SpikingJelly's convolutions have biases before normalisations.
fn biased(conv: Conv2dConfig) -> Conv2dConfig {
    conv.with_bias(true)
}

/// A transformer of three stages: Q-K attention in the first two, spiking self-attention in the last. Its outputs are those of
/// the linear layer at each step.
///
/// Created by [`QkFormerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{QkFormerConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = QkFormerConfig::new().with_width(48).with_blocks([1, 1, 1]);
/// let network = config.with_image([3, 32, 32]).with_classes(10).init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct QkFormer {
    stem: PooledConv,
    embeddings: Vec<QkEmbedding>,
    /// The first two stages.
    stages: Vec<Vec<TransformerBlock<QkAttention, SpikingMlp>>>,
    /// The last stage.
    last: Vec<TransformerBlock<SelfAttention, SpikingMlp>>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// An embedding of patches with a shortcut.
#[derive(Module, Debug)]
pub struct QkEmbedding {
    first: PooledConv,
    second: PooledConv,
    shortcut: ConvBlock,
}

impl QkEmbedding {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [x, shortcut] = fork(input);
        let x = self.first.forward(&format!("{name}.patch1"), x, context);
        let x = self.second.forward(&format!("{name}.patch2"), x, context);
        let shortcut = self
            .shortcut
            .forward(&format!("{name}.shortcut"), shortcut, context);
        join([x, shortcut], |x, shortcut| x + shortcut)
    }
}

impl SpikingNetwork for QkFormer {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `stem`, then in each stage `stage1.patch1`, `stage1.patch2`, `stage1.shortcut` and those of the
    /// blocks, `stage1.block1.qk` (`qkv` in the last stage), `stage1.block1.attention`, `stage1.block1.projection`,
    /// `stage1.block1.hidden`, `stage1.block1.output`, ..., and those of the classifier.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let mut x = self
            .stem
            .forward("stem", as_images(input, self.image), context);
        for (i, embedding) in self.embeddings.iter().enumerate() {
            let name = format!("stage{}", i + 1);
            x = embedding.forward(&name, x, context);
            x = match self.stages.get(i) {
                Some(blocks) => run_transformer(blocks, &format!("{name}."), x, context),
                None => run_transformer(&self.last, &format!("{name}."), x, context),
            };
        }
        self.classifier.forward(global_average(x), context)
    }
}

impl SpikingJelly for QkFormer {
    fn names(&self) -> Names {
        let mut names = Names::new();
        let pooled = |names: &mut Names, here: &str, there: &str, i: usize| {
            let [conv, norm, neuron] =
                ["conv", "bn", "lif"].map(|part| format!("{there}.{part}{i}"));
            names.conv_norm(&format!("{here}.currents"), [conv, norm]);
            names.module(&format!("{here}.neuron"), &neuron);
        };
        pooled(&mut names, "stem", "patch_embed1", 1);
        for stage in 0..3 {
            let here = format!("embeddings.{stage}");
            let there = format!("patch_embed{}", stage + 1);
            let first = if stage == 0 { 2 } else { 1 };
            pooled(&mut names, &format!("{here}.first"), &there, first);
            pooled(&mut names, &format!("{here}.second"), &there, first + 1);
            let parts = [0, 1, 2].map(|i| format!("{there}.shortcut.{i}"));
            names.conv_block(&format!("{here}.shortcut"), parts);
            let (here, blocks, projected) = match self.stages.get(stage) {
                Some(blocks) => (format!("stages.{stage}"), blocks.len(), "qk"),
                None => ("last".to_owned(), self.last.len(), "qkv"),
            };
            for block in 0..blocks {
                let here = format!("{here}.{block}");
                let there = format!("stage{}.{block}", stage + 1);
                attention_names(&mut names, &format!("{here}.attention"), &there, projected);
                SpikingMlp::names(&mut names, &format!("{here}.mlp"), |i| {
                    ["fc", "bn", "lif"].map(|part| format!("{there}.mlp.{part}{i}"))
                });
            }
        }
        names.module("classifier.layers.0", "head");
        names
    }
}
