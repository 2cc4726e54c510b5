//! Attention among the pixels of an image, in every time step: queries, keys and values are spikes.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::layer::{fork, self_attention};
use synfire::neuron::{AnyNeuron, NeuronConfig};

use super::{Block, ConvBlock, ConvNorm, Layers, conv1x1};
use crate::Context;

/// The factor of spiking self-attention in Spikformer's code, whatever the width of its heads.
pub(crate) const SCALE: f64 = 0.125;

/// Spiking self-attention (Zhou et al. 2023, *Spikformer*): spikes of `0.125 Q Kᵀ V` in each head, projected to spikes.
///
/// Created by [`Layers::self_attention`].
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Queries, keys and values.
    pub qkv: ConvBlock,
    /// The neurons of the attended values.
    pub neuron: AnyNeuron,
    /// The projection of their spikes.
    pub projection: ConvBlock,
    #[module(skip)]
    heads: usize,
}

impl Block for SelfAttention {
    /// The neurons are called `name.qkv`, `name.attention` and `name.projection`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let qkv = self.qkv.forward(&format!("{name}.qkv"), input, context);
        let attended = self_attention(qkv, self.heads, SCALE);
        let spikes = context.neurons(&format!("{name}.attention"), &self.neuron, attended);
        let projection = format!("{name}.projection");
        self.projection.forward(&projection, spikes, context)
    }
}

/// [`SelfAttention`] with neurons before weights, so that its outputs are currents (Meta-SpikeFormer, Max-Former).
///
/// Created by [`Layers::membrane_self_attention`].
#[derive(Module, Debug)]
pub struct MembraneSelfAttention {
    /// The neurons of the input.
    pub input: AnyNeuron,
    /// Queries, keys and values.
    pub qkv: ConvBlock,
    /// The neurons of the attended values.
    pub neuron: AnyNeuron,
    /// The projection of their spikes.
    pub projection: ConvNorm,
    #[module(skip)]
    heads: usize,
}

impl Block for MembraneSelfAttention {
    /// The neurons are called `name.input`, `name.qkv` and `name.attention`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let spikes = context.neurons(&format!("{name}.input"), &self.input, input);
        let qkv = self.qkv.forward(&format!("{name}.qkv"), spikes, context);
        let attended = self_attention(qkv, self.heads, SCALE);
        let spikes = context.neurons(&format!("{name}.attention"), &self.neuron, attended);
        self.projection.forward(spikes, context)
    }
}

/// What a [`QkAttention`] sums up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QkKind {
    /// The channels of a head: which tokens matter.
    #[default]
    Token,
    /// The tokens: which channels matter.
    Channel,
}

/// Q-K attention (Zhou et al. 2024, *QKFormer: Hierarchical Spiking Transformer using Q-K Attention*): sums of queries fire,
/// and where they do, keys pass. The rest is as in [`SelfAttention`].
///
/// Created by [`Layers::qk_attention`].
#[derive(Module, Debug)]
pub struct QkAttention {
    /// Queries and keys.
    pub qk: ConvBlock,
    /// The neurons of the sums of queries.
    pub neuron: AnyNeuron,
    /// The projection of the keys that pass.
    pub projection: ConvBlock,
    #[module(skip)]
    kind: QkKind,
    #[module(skip)]
    heads: usize,
}

impl Block for QkAttention {
    /// The neurons are called `name.qk`, `name.attention` and `name.projection`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let qk = self.qk.forward(&format!("{name}.qk"), input, context);
        let [steps, batch, channels, height, width] = qk.dims();
        let (channels, heads) = (channels / 2, self.heads);
        // Channels last, as in memory: the channels of a head are neighbours.
        let of_head = [steps, batch, height, width, 2 * heads, channels / heads];
        let qk: Tensor<6> = qk.permute([0, 1, 3, 4, 2]).reshape(of_head);
        let queries = qk.clone().slice_dim(4, 0..heads);
        let keys = qk.slice_dim(4, heads..2 * heads);
        let attention = format!("{name}.attention");
        let mask: Tensor<6> = match self.kind {
            QkKind::Token => {
                let sums: Tensor<5> = queries.sum_dim(5).squeeze_dim(5);
                let sums = sums.permute([0, 1, 4, 2, 3]);
                let spikes = context.neurons(&attention, &self.neuron, sums);
                spikes.permute([0, 1, 3, 4, 2]).unsqueeze_dim(5)
            }
            QkKind::Channel => {
                let sums = queries.sum_dim(3).sum_dim(2);
                let sums: Tensor<5> = sums.reshape([steps, batch, channels, 1, 1]);
                let spikes = context.neurons(&attention, &self.neuron, sums);
                spikes.reshape([steps, batch, 1, 1, heads, channels / heads])
            }
        };
        let passed: Tensor<5> = (keys * mask).reshape([steps, batch, height, width, channels]);
        let projection = format!("{name}.projection");
        let passed = passed.permute([0, 1, 4, 2, 3]);
        self.projection.forward(&projection, passed, context)
    }
}

/// Spike-driven self-attention (Yao et al. 2023, *Spike-driven Transformer*): products of keys and values, summed over the
/// tokens, fire, and where they do, queries pass. Neurons come before weights, so that its outputs are currents.
///
/// Created by [`Layers::spike_driven_attention`].
#[derive(Module, Debug)]
pub struct SpikeDrivenAttention {
    /// The neurons of the input.
    pub input: AnyNeuron,
    /// The queries.
    pub queries: ConvBlock,
    /// The keys.
    pub keys: ConvBlock,
    /// The values.
    pub values: ConvBlock,
    /// The neurons of the sums.
    pub neuron: AnyNeuron,
    /// The projection of the queries that pass.
    pub projection: ConvNorm,
}

impl Block for SpikeDrivenAttention {
    /// The neurons are called `name.input`, `name.queries`, `name.keys`, `name.values` and `name.attention`.
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let spikes = context.neurons(&format!("{name}.input"), &self.input, input);
        let [for_queries, rest] = fork(spikes);
        let [for_keys, for_values] = fork(rest);
        let queries = format!("{name}.queries");
        let queries = self.queries.forward(&queries, for_queries, context);
        let keys = self
            .keys
            .forward(&format!("{name}.keys"), for_keys, context);
        let values = format!("{name}.values");
        let values = self.values.forward(&values, for_values, context);
        // Channels last, as in memory.
        let [queries, keys, values] = [queries, keys, values].map(|x| x.permute([0, 1, 3, 4, 2]));
        let sums = (keys * values).sum_dim(3).sum_dim(2);
        let attention = format!("{name}.attention");
        let sums = sums.permute([0, 1, 4, 2, 3]);
        let mask = context.neurons(&attention, &self.neuron, sums);
        let passed = queries * mask.permute([0, 1, 3, 4, 2]);
        self.projection
            .forward(passed.permute([0, 1, 4, 2, 3]), context)
    }
}

/// Neurons with another threshold, if they have one.
pub(super) fn with_threshold(neuron: &NeuronConfig, threshold: f64) -> NeuronConfig {
    let mut neuron = neuron.clone();
    let _ = neuron.set("threshold", threshold);
    neuron
}

/// The configuration of the neurons of a layer, where those of attention have a threshold of their own.
pub(crate) fn neuron_of(layer: &str, neuron: &NeuronConfig, attention: f64) -> NeuronConfig {
    match layer.ends_with(".attention") {
        true => with_threshold(neuron, attention),
        false => neuron.clone(),
    }
}

/// Checks the neurons of attention, whose inputs have these numbers of channels.
pub(crate) fn validate_attention(
    owner: &'static str,
    neuron: &NeuronConfig,
    threshold: f64,
    channels: &[usize],
) -> Result<(), InvalidConfig> {
    InvalidConfig::require_finite(owner, "attention_threshold", threshold)?;
    let neuron = with_threshold(neuron, threshold);
    neuron.validate_channels(owner, channels)?;
    neuron.validate()
}

impl Layers<'_> {
    /// The neurons of attention, with this threshold.
    ///
    /// # Errors
    ///
    /// If they are invalid.
    pub(crate) fn attention_neuron(&self, threshold: f64) -> Result<AnyNeuron, InvalidConfig> {
        with_threshold(self.neuron_config(), threshold).init(self.device())
    }

    /// The next layers: spiking self-attention among tokens of so many channels, whose neurons have this threshold. The projection
    /// has a bias or not.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid.
    ///
    /// # Panics
    ///
    /// If the heads do not divide the channels.
    pub fn self_attention(
        &mut self,
        channels: usize,
        heads: usize,
        threshold: f64,
        bias: bool,
    ) -> Result<SelfAttention, InvalidConfig> {
        assert_heads(channels, heads);
        Ok(SelfAttention {
            qkv: self.conv_block(&conv1x1([channels, 3 * channels], 1))?,
            neuron: self.attention_neuron(threshold)?,
            projection: self.conv_block(&conv1x1([channels; 2], 1).with_bias(bias))?,
            heads,
        })
    }

    /// The next layers: spiking self-attention with neurons before weights, and a bias before the last normalisation.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid.
    ///
    /// # Panics
    ///
    /// If the heads do not divide the channels.
    pub fn membrane_self_attention(
        &mut self,
        channels: usize,
        heads: usize,
        threshold: f64,
    ) -> Result<MembraneSelfAttention, InvalidConfig> {
        assert_heads(channels, heads);
        let projection = conv1x1([channels; 2], 1).with_bias(true);
        Ok(MembraneSelfAttention {
            input: self.neuron()?,
            qkv: self.conv_block(&conv1x1([channels, 3 * channels], 1))?,
            neuron: self.attention_neuron(threshold)?,
            projection: self.conv_norm(&projection, 1)?,
            heads,
        })
    }

    /// The next layers: Q-K attention among tokens of so many channels, whose neurons have this threshold.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid.
    ///
    /// # Panics
    ///
    /// If the heads do not divide the channels.
    pub fn qk_attention(
        &mut self,
        channels: usize,
        heads: usize,
        kind: QkKind,
        threshold: f64,
    ) -> Result<QkAttention, InvalidConfig> {
        assert_heads(channels, heads);
        Ok(QkAttention {
            qk: self.conv_block(&conv1x1([channels, 2 * channels], 1))?,
            neuron: self.attention_neuron(threshold)?,
            projection: self.conv_block(&conv1x1([channels; 2], 1))?,
            kind,
            heads,
        })
    }

    /// The next layers: spike-driven self-attention among tokens of so many channels, whose neurons have this threshold. (Each
    /// channel is a head.)
    ///
    /// # Errors
    ///
    /// If the neurons are invalid.
    pub fn spike_driven_attention(
        &mut self,
        channels: usize,
        threshold: f64,
    ) -> Result<SpikeDrivenAttention, InvalidConfig> {
        let conv = conv1x1([channels; 2], 1);
        Ok(SpikeDrivenAttention {
            input: self.neuron()?,
            queries: self.conv_block(&conv)?,
            keys: self.conv_block(&conv)?,
            values: self.conv_block(&conv)?,
            neuron: self.attention_neuron(threshold)?,
            projection: self.conv_norm(&conv.with_bias(true), 1)?,
        })
    }
}

fn assert_heads(channels: usize, heads: usize) {
    assert!(
        heads > 0 && channels.is_multiple_of(heads),
        "Layers: {channels} channels do not divide into {heads} heads"
    );
}
