//! Transformers of neurons with whole-number spikes.
//!
//! Yao, Qiu, Hu, Hu, Chou, Tian, Liao, Leng, Xu, Li: *Scaling Spike-driven Transformer with Efficient Spike Firing Approximation
//! Training*, 2025 (Spike-driven Transformer V3, E-SpikeFormer): the layout of [`MetaSpikeFormer`](crate::MetaSpikeFormer), a
//! separable convolution in every block, and values of four times the channels. Layers and names as in the authors' code.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::fork;
use synfire::neuron::{AnyNeuron, IntegerLifConfig, NeuronConfig};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    Block, ConvBlock, Layers, LayersConfig, MembraneConv, MembraneMlp, MetaConvBlock, MetaFormer,
    RATIO, conv1x1, depthwise, meta_layout, residual, transformer_layers,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{Architecture, NetworkSettings, Preset, network_config, proof};

network_config! {
    /// Configuration of an [`ESpikeFormer`].
    pub struct ESpikeFormerConfig of ESpikeFormer {
        /// The channels of the stages; the first an even number, the last two multiples of the heads.
        with_widths -> widths: [usize; 4] = [64, 128, 256, 360],
        /// The blocks with attention of the last two stages.
        with_blocks -> blocks: [usize; 2] = [6, 2],
        /// The heads of attention.
        with_heads -> heads: usize = 8,
    }
    samples: [3, 224, 224] => 1000;
    layers: integer_layers();
}

/// Neurons of four levels without a memory, whose spikes are quarters.
fn integer_layers() -> LayersConfig {
    let neuron = IntegerLifConfig::new().with_decay(0.0);
    transformer_layers().with_neuron(neuron.with_normalized(true))
}

/// The neurons before the linear layer: their spikes are whole numbers.
fn head_neuron(neuron: &NeuronConfig) -> NeuronConfig {
    let mut neuron = neuron.clone();
    // Other neurons have no such option.
    let _ = neuron.set("normalized", false);
    neuron
}

meta_layout!(ESpikeFormerConfig);

impl ESpikeFormerConfig {
    /// Of 3 million parameters, for ImageNet.
    pub fn imagenet_t() -> Self {
        Self::new().with_widths([24, 48, 96, 128])
    }

    /// Of 5 million parameters, for ImageNet.
    pub fn imagenet_s() -> Self {
        Self::new().with_widths([32, 64, 128, 192])
    }

    /// Of 10 million parameters, for ImageNet.
    pub fn imagenet_m() -> Self {
        Self::new().with_widths([48, 96, 192, 240])
    }

    /// Of 19 million parameters, for ImageNet.
    pub fn imagenet_l() -> Self {
        Self::new()
    }

    fn attention(&self, layers: &mut Layers, width: usize) -> Result<EAttention, InvalidConfig> {
        let wide = RATIO * width;
        Ok(EAttention {
            input: layers.neuron()?,
            queries: layers.conv_block(&conv1x1([width; 2], 1))?,
            keys: layers.conv_block(&conv1x1([width; 2], 1))?,
            values: layers.conv_block(&conv1x1([width, wide], 1))?,
            attended: layers.membrane_conv(&conv1x1([wide, width], 1))?,
            heads: self.heads,
        })
    }
}

/// A separable convolution whose depthwise one is of this size.
fn separable(
    layers: &mut Layers,
    width: usize,
    size: usize,
) -> Result<SpikeSeparable, InvalidConfig> {
    let wide = 2 * width;
    Ok(SpikeSeparable {
        first: layers.membrane_conv(&conv1x1([width, wide], 1))?,
        depthwise: layers.membrane_conv(&depthwise(wide, size))?,
        second: layers.membrane_conv(&conv1x1([wide, width], 1))?,
    })
}

impl Architecture for ESpikeFormerConfig {
    const NAME: &'static str = "e-spikeformer";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 1, proof::AUTHORS, config);
        vec![
            preset("e-spikeformer-t", Self::imagenet_t()),
            preset("e-spikeformer-s", Self::imagenet_s()),
            preset("e-spikeformer-m", Self::imagenet_m()),
            preset("e-spikeformer-l", Self::imagenet_l()),
        ]
    }

    /// With lower levels and a gradient beyond their ends: with so few channels others learn late.
    fn small() -> Self {
        let neuron = IntegerLifConfig::new()
            .with_decay(0.0)
            .with_normalized(true)
            .with_threshold(0.5)
            .with_surrogate(Surrogate::atan(2.0).expect("2 is above 0"));
        Self::new()
            .with_neuron(neuron)
            .with_widths([8, 8, 32, 64])
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

    fn build(&self, layers: &mut Layers) -> Result<ESpikeFormer, InvalidConfig> {
        let block = |layers: &mut Layers, width: usize| {
            Ok(EBlock {
                separable: separable(layers, width, 3)?,
                attention: self.attention(layers, width)?,
                mlp: layers.membrane_mlp([width, RATIO * width])?,
            })
        };
        let separable = |layers: &mut Layers, width: usize| separable(layers, width, 7);
        let head = head_neuron(&self.neuron).init(layers.device())?;
        self.layout().build(layers, separable, block, head)
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        match layer {
            "head" => head_neuron(&self.neuron),
            _ => self.neuron.clone(),
        }
    }
}

/// A network of two stages of convolutions and two of attention, whose spikes are of several levels. Its outputs are those of the
/// linear layer at each step. With neurons without a memory, as by default, steps are independent, and one is enough.
///
/// Created by [`ESpikeFormerConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{ESpikeFormerConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = ESpikeFormerConfig::new().with_widths([8, 16, 32, 32]).with_blocks([1, 1]);
/// let network = config.with_classes(10).init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([1, 2, 3, 224, 224], &device));
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub type ESpikeFormer = MetaFormer<MetaConvBlock<SpikeSeparable>, EBlock>;

/// A separable convolution with neurons before each part: 1x1, depthwise, 1x1.
#[derive(Module, Debug)]
pub struct SpikeSeparable {
    first: MembraneConv,
    depthwise: MembraneConv,
    second: MembraneConv,
}

impl Block for SpikeSeparable {
    /// The neurons are called `name.separable1`, `name.separable2` and `name.separable3`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let names = [1, 2, 3].map(|i| format!("{name}.separable{i}"));
        let [name1, name2, name3] = names.each_ref().map(String::as_str);
        let layers = [
            (name1, &self.first),
            (name2, &self.depthwise),
            (name3, &self.second),
        ];
        MembraneConv::chain(layers, input, context)
    }
}

/// Spiking self-attention, `Q Kᵀ V` times `2 / sqrt(width of a head)`, with values of four times the channels.
#[derive(Module, Debug)]
pub struct EAttention {
    input: AnyNeuron,
    queries: ConvBlock,
    keys: ConvBlock,
    values: ConvBlock,
    /// The neurons of the attended values, and the projection.
    attended: MembraneConv,
    #[module(skip)]
    heads: usize,
}

impl Block for EAttention {
    /// The neurons are called `name.input`, `name.queries`, `name.keys`, `name.values` and `name.attention`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [steps, batch, channels, height, width] = input.dims();
        let [queries, rest] = fork(context.neurons(&format!("{name}.input"), &self.input, input));
        let [keys, values] = fork(rest);
        let mut heads = |what: &str, block: &ConvBlock, x| -> Tensor<4> {
            let spikes = block.forward(&format!("{name}.{what}"), x, context);
            let of_head = spikes.dims()[2] / self.heads;
            spikes.reshape([steps * batch, self.heads, of_head, height * width])
        };
        let queries = heads("queries", &self.queries, queries);
        let keys = heads("keys", &self.keys, keys);
        let values = heads("values", &self.values, values);
        let scale = 2.0 / ((channels / self.heads) as f64).sqrt();
        // In this order the number of tokens enters linearly.
        let attended = values.matmul(keys.transpose()).matmul(queries) * scale;
        let attended = attended.reshape([steps, batch, RATIO * channels, height, width]);
        let name = format!("{name}.attention");
        self.attended.forward(&name, attended, context)
    }
}

/// A block: a separable convolution, attention and fully connected layers, each added to its input.
#[derive(Module, Debug)]
pub struct EBlock {
    separable: SpikeSeparable,
    attention: EAttention,
    mlp: MembraneMlp,
}

impl Block for EBlock {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let x = residual(input, |x| self.separable.forward(name, x, context));
        let x = residual(x, |x| self.attention.forward(name, x, context));
        residual(x, |x| self.mlp.forward(name, x, context))
    }
}

/// The names are those of the authors' code: SpikingJelly has no such network.
impl SpikingJelly for ESpikeFormer {
    fn names(&self) -> Names {
        let separable = |names: &mut Names, here: &str, there: &str| {
            for (module, key) in [
                ("first", "pwconv1"),
                ("depthwise", "dwconv"),
                ("second", "pwconv2"),
            ] {
                let parts = [0, 1].map(|i| format!("{there}.{key}.{i}"));
                names.conv_norm(&format!("{here}.{module}.currents"), parts);
            }
        };
        self.names_with(separable, |names, here, there| {
            let [inside, conv] = [format!("{here}.separable"), format!("{there}.conv")];
            separable(names, &inside, &conv);
            let parts = [
                ("queries", "q"),
                ("keys", "k"),
                ("values", "v"),
                ("attended.currents", "proj"),
            ];
            for (module, key) in parts {
                let parts = [0, 1].map(|i| format!("{there}.attn.{key}_conv.{i}"));
                names.conv_norm(&format!("{here}.attention.{module}"), parts);
            }
        })
    }
}
