//! The blocks of the zoo's networks, also for networks of your own.
//!
//! [`LayersConfig`] holds the options that all layers share. [`Layers`] creates the layers in order. Each layer runs through a
//! [`Context`](crate::Context). See [`SpikingNetwork`](crate::SpikingNetwork) for an example.

mod attention;
mod chain;
mod classifier;
mod conv_block;
mod layers;
mod readout;
mod rep_conv;
mod residual;
mod transformer;

pub use attention::{
    Attention, MembraneSelfAttention, QkAttention, QkKind, SelfAttention, SpikeDrivenAttention,
};
pub use classifier::Classifier;
pub use conv_block::{ConvBlock, ConvNorm, as_images};
pub use layers::{Layers, LayersConfig, conv1x1, conv3x3};
pub use readout::{Readout, ReadoutConfig};
pub use rep_conv::RepConv;
pub use residual::{ResNet, ResidualBlock};
pub use transformer::{MembraneMlp, PooledConv, SpikingMlp, TransformerBlock};

pub(crate) use attention::{attention_neuron, validate_attention};
pub(crate) use chain::Chain;
pub(crate) use conv_block::{global_average, pooled_size, run_blocks};
pub(crate) use layers::ALIVE;
pub(crate) use residual::{
    BlockPlan, Named, Stages, add_shortcut, blocks, integrate_and_fire_layers, resnet_architecture,
    run_stages, stem, stem_pool,
};
pub(crate) use transformer::{
    attention_names, halved, loud_neuron, require_heads, residual, run_transformer,
    transformer_layers,
};
