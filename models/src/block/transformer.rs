//! Parts of transformers: images are embedded as tokens, their pixels after convolutions and poolings.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{NormConfig, Pool2d, fork, join};
use synfire::neuron::{AnyNeuron, LifConfig, NeuronConfig, ResetGradient, TemporalGradient};

use super::attention::with_threshold;
use super::{
    Block, ConvBlock, ConvNorm, Layers, LayersConfig, MembraneConv, ReadoutConfig, conv1x1,
};
use crate::Context;
use crate::interop::Names;
use crate::network::numbered;

/// SpikingJelly's neurons with tau 2, reset to 0 without a gradient, and batch normalisation.
pub(crate) fn transformer_layers() -> LayersConfig {
    let neuron = LifConfig::spikingjelly(2.0)
        .expect("2 is above 1")
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::batch()))
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(Initializer::Kaiming { gain: 1.0 })
}

/// The neurons with a lower threshold, for networks of few channels: attention among few tokens fires rarely, and where it never
/// does, the weights behind it learn nothing.
pub(crate) fn loud_neuron() -> NeuronConfig {
    with_threshold(&transformer_layers().neuron, 0.5)
}

/// Checks that heads divide the channels of tokens.
pub(crate) fn require_heads(
    owner: &'static str,
    channels: usize,
    heads: usize,
) -> Result<(), InvalidConfig> {
    InvalidConfig::require_size(owner, "heads", heads)?;
    match channels.is_multiple_of(heads) {
        true => Ok(()),
        false => {
            let expected = format!("a divisor of the {channels} channels");
            Err(InvalidConfig::new(owner, "heads", heads, expected))
        }
    }
}

/// Checks the channels of tokens, of which the first layers have an eighth.
pub(crate) fn require_width(owner: &'static str, width: usize) -> Result<(), InvalidConfig> {
    InvalidConfig::require_size(owner, "width", width)?;
    match width.is_multiple_of(8) {
        true => Ok(()),
        false => Err(InvalidConfig::new(owner, "width", width, "a multiple of 8")),
    }
}

/// Checks the ratio of hidden channels to those of tokens, `least` or more, and returns their number.
pub(crate) fn require_hidden(
    owner: &'static str,
    width: usize,
    ratio: usize,
    least: usize,
) -> Result<usize, InvalidConfig> {
    let accepted = (least..=1 << 24).contains(&ratio);
    let expected = format!("from {least} to 16777216");
    InvalidConfig::require(owner, "mlp_ratio", ratio, accepted, expected)?;
    let hidden = width.saturating_mul(ratio);
    InvalidConfig::require_size(owner, "mlp_ratio", hidden)?;
    Ok(hidden)
}

/// A convolution, an optional normalisation, optional pooling of its currents, and neurons.
///
/// Created by [`Layers::pooled_conv`].
#[derive(Module, Debug)]
pub struct PooledConv {
    /// The convolution and the normalisation.
    pub currents: ConvNorm,
    /// Pooling of the currents, if there is one.
    pub pool: Option<Pool2d>,
    /// The neurons.
    pub neuron: AnyNeuron,
}

impl PooledConv {
    /// Runs a sequence; the neurons are called `name`.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`, smaller after pooling
    pub fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let ConvNorm { conv, norm } = &self.currents;
        match &self.pool {
            Some(pool) => {
                let currents = context.pooled_currents(conv, norm.as_ref(), Some(pool), input);
                context.neurons(name, &self.neuron, currents)
            }
            None => context.convolution(name, conv, norm.as_ref(), &self.neuron, input),
        }
    }
}

/// Two layers of neurons for each token.
///
/// Created by [`Layers::spiking_mlp`].
#[derive(Module, Debug)]
pub struct SpikingMlp {
    /// The hidden layer.
    pub hidden: ConvBlock,
    /// The layer after it.
    pub output: ConvBlock,
}

impl SpikingMlp {
    /// Maps its layers to the convolution, the normalisation and the neurons that `there` names, by their number.
    pub(crate) fn names(names: &mut Names, here: &str, there: impl Fn(usize) -> [String; 3]) {
        for (layer, i) in [("hidden", 1), ("output", 2)] {
            let layer = format!("{here}.{layer}");
            names.conv_block(&layer, there(i)).one_dimensional(&layer);
        }
    }
}

impl Block for SpikingMlp {
    /// The neurons are called `name.hidden` and `name.output`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let hidden = format!("{name}.hidden");
        let hidden = self.hidden.forward(&hidden, input, context);
        self.output
            .forward(&format!("{name}.output"), hidden, context)
    }
}

/// Two layers for each token with neurons before their weights, so that its outputs are currents.
///
/// Created by [`Layers::membrane_mlp`].
#[derive(Module, Debug)]
pub struct MembraneMlp {
    /// The hidden layer.
    pub hidden: MembraneConv,
    /// The layer after it.
    pub output: MembraneConv,
}

impl MembraneMlp {
    /// Maps its convolutions and normalisations to what `there` names, by their number.
    pub(crate) fn names(names: &mut Names, here: &str, there: impl Fn(usize) -> [String; 2]) {
        for (layer, i) in [("hidden", 1), ("output", 2)] {
            names.conv_norm(&format!("{here}.{layer}.currents"), there(i));
        }
    }
}

impl Block for MembraneMlp {
    /// The neurons are called `name.mlp1` and `name.mlp2`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{name}.mlp{i}"));
        let layers = [(&*name1, &self.hidden), (&*name2, &self.output)];
        MembraneConv::chain(layers, input, context)
    }
}

/// Adds the output of a branch to its input.
pub(crate) fn residual(input: Tensor<5>, branch: impl FnOnce(Tensor<5>) -> Tensor<5>) -> Tensor<5> {
    let [x, shortcut] = fork(input);
    join([branch(x), shortcut], |x, shortcut| x + shortcut)
}

/// A block: attention and fully connected layers, each added to its input.
#[derive(Module, Debug)]
pub struct TransformerBlock<A: Module, M: Module> {
    /// The attention.
    pub attention: A,
    /// The fully connected layers.
    pub mlp: M,
}

impl<A: Block, M: Block> Block for TransformerBlock<A, M> {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let x = residual(input, |x| self.attention.forward(name, x, context));
        residual(x, |x| self.mlp.forward(name, x, context))
    }
}

/// Runs blocks one after the other, whose names begin with `prefix`: `block1`, `block2`, ...
pub(crate) fn run_transformer(
    blocks: &[impl Block],
    prefix: &str,
    input: Tensor<5>,
    context: &mut Context,
) -> Tensor<5> {
    let names = numbered("block", blocks.len());
    blocks.iter().zip(names).fold(input, |x, (block, name)| {
        block.forward(&format!("{prefix}{name}"), x, context)
    })
}

/// Maps the attention here to that of a block there. `projected` are its `qkv` or `qk`.
pub(crate) fn attention_names(names: &mut Names, here: &str, there: &str, projected: &str) {
    for (module, key) in [(projected, projected), ("projection", "proj")] {
        let parts = ["conv_bn.0", "conv_bn.1", "lif"];
        let parts = parts.map(|part| format!("{there}.attn.{key}_{part}"));
        let module = format!("{here}.{module}");
        names.conv_block(&module, parts).one_dimensional(&module);
    }
    let neuron = format!("{here}.neuron");
    names.module(&neuron, &format!("{there}.attn.attn_lif"));
}

impl Layers<'_> {
    /// The next layer: a convolution with the normalisation, a pooling of the currents if there is one, and neurons.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid, or their threshold is not above 0 where the normalisation depends on it.
    pub fn pooled_conv(
        &mut self,
        conv: &Conv2dConfig,
        pool: Option<Pool2d>,
    ) -> Result<PooledConv, InvalidConfig> {
        Ok(PooledConv {
            currents: self.conv_norm(conv, 1)?,
            pool,
            neuron: self.neuron()?,
        })
    }

    /// The next layers: two for tokens of so many channels, `[channels, hidden]`, with biases before the normalisations or without.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid, or their threshold is not above 0 where the normalisation depends on it.
    pub fn spiking_mlp(
        &mut self,
        [channels, hidden]: [usize; 2],
        bias: bool,
    ) -> Result<SpikingMlp, InvalidConfig> {
        Ok(SpikingMlp {
            hidden: self.conv_block(&conv1x1([channels, hidden], 1).with_bias(bias))?,
            output: self.conv_block(&conv1x1([hidden, channels], 1).with_bias(bias))?,
        })
    }

    /// The next layers: two with neurons before their weights, for tokens of so many channels, `[channels, hidden]`, with biases
    /// before the normalisations.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid, or their threshold is not above 0 where the normalisation depends on it.
    pub fn membrane_mlp(
        &mut self,
        [channels, hidden]: [usize; 2],
    ) -> Result<MembraneMlp, InvalidConfig> {
        Ok(MembraneMlp {
            hidden: self.membrane_conv(&conv1x1([channels, hidden], 1).with_bias(true))?,
            output: self.membrane_conv(&conv1x1([hidden, channels], 1).with_bias(true))?,
        })
    }
}
