//! Transformers with convolutions in the first stages and spiking self-attention in the last.
//!
//! Yao, Hu, Hu, Xu, Zhou, Tian, Xu, Li: *Spike-driven Transformer V2: Meta Spiking Neural Network Architecture Inspiring the Design
//! of Next-generation Neuromorphic Chips*, ICLR 2024 (Meta-SpikeFormer). Shortcuts carry membrane currents. Layers and names as in
//! the authors' code.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{AnyNorm, SpikeConv2d, fork, self_attention};
use synfire::neuron::{AnyNeuron, NeuronConfig};

use crate::Context;
use crate::block::{
    Block, ConvNorm, Layers, MembraneConv, MembraneMlp, MetaConvBlock, MetaFormer, RATIO, RepConv,
    SCALE, TransformerBlock, conv1x1, depthwise, loud_neuron, meta_layout, neuron_of,
    transformer_layers, validate_attention,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{Architecture, NetworkSettings, Preset, network_config, proof};

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

meta_layout!(MetaSpikeFormerConfig);

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
        self.layout().structure()
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        self.layout().channels()
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let threshold = self.attention_threshold;
        validate_attention(Self::OWNER, &self.neuron, threshold, &self.widths[2..])
    }

    fn build(&self, layers: &mut Layers) -> Result<MetaSpikeFormer, InvalidConfig> {
        let separable = |layers: &mut Layers, width: usize| {
            let wide = 2 * width;
            let depthwise = depthwise(wide, 7);
            Ok(MetaSeparable {
                first: layers.membrane_conv(&conv1x1([width, wide], 1))?,
                neuron: layers.neuron()?,
                depthwise: layers.conv(&depthwise),
                second: layers.conv_norm(&conv1x1([wide, width], 1), 1)?,
            })
        };
        let block = |layers: &mut Layers, width: usize| {
            Ok(TransformerBlock {
                attention: self.attention(layers, width)?,
                mlp: layers.membrane_mlp([width, RATIO * width])?,
            })
        };
        let head = layers.neuron()?;
        self.layout().build(layers, separable, block, head)
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
pub type MetaSpikeFormer = MetaFormer<MetaConvBlock<MetaSeparable>, MetaBlock>;

/// A block of the last two stages.
type MetaBlock = TransformerBlock<MetaAttention, MembraneMlp>;

/// A separable convolution of spikes: 1x1, depthwise 7x7, 1x1.
#[derive(Module, Debug)]
pub struct MetaSeparable {
    first: MembraneConv,
    neuron: AnyNeuron,
    depthwise: SpikeConv2d,
    second: ConvNorm,
}

impl Block for MetaSeparable {
    /// The neurons are called `name.separable1` and `name.separable2`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{name}.separable{i}"));
        let MembraneConv { neuron, currents } = &self.first;
        let spikes = context.neurons(&name1, neuron, input);
        let spikes = currents.forward_into(&name2, &self.neuron, spikes, context);
        let currents = context.currents(&self.depthwise, None::<&AnyNorm>, spikes);
        self.second.forward(currents, context)
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

/// The names are those of the authors' code: SpikingJelly has no such network.
impl SpikingJelly for MetaSpikeFormer {
    fn names(&self) -> Names {
        let separable = |names: &mut Names, here: &str, there: &str| {
            for (module, i) in [("first.currents", 1), ("second", 2)] {
                let parts = ["pwconv", "bn"].map(|part| format!("{there}.{part}{i}"));
                names.conv_norm(&format!("{here}.{module}"), parts);
            }
            names.module(&format!("{here}.depthwise"), &format!("{there}.dwconv"));
        };
        self.names_with(separable, |names, here, there| {
            for (part, key) in ["q", "k", "v"].into_iter().enumerate() {
                let part = format!("{here}.attention.parts.{part}.conv");
                RepConv::names(names, &part, &format!("{there}.attn.{key}_conv"));
            }
            let projection = format!("{here}.attention.projection");
            RepConv::names(names, &projection, &format!("{there}.attn.proj_conv"));
        })
    }
}
