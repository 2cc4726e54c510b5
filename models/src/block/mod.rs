//! The blocks of the zoo's networks, also for networks of your own.
//!
//! [`LayersConfig`] holds the options that all layers share. [`Layers`] creates the layers in order. Each layer runs through a
//! [`Context`]. See [`SpikingNetwork`](crate::SpikingNetwork) for an example.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::Context;

mod attention;
mod chain;
mod classifier;
mod conv_block;
mod layers;
mod meta_former;
mod multi_attention;
mod readout;
mod rep_conv;
mod residual;
mod transformer;

pub use attention::{
    MembraneSelfAttention, QkAttention, QkKind, SelfAttention, SpikeDrivenAttention,
};
pub use classifier::Classifier;
pub use conv_block::{ConvBlock, ConvNorm, MembraneConv, as_images};
pub use layers::{Layers, LayersConfig, conv1x1, conv3x3};
pub use meta_former::{MetaConvBlock, MetaFormer};
pub use multi_attention::{AxisAttention, MultiAttention};
pub use readout::{Readout, ReadoutConfig};
pub use rep_conv::RepConv;
pub use residual::ResNet;
pub use transformer::{MembraneMlp, PooledConv, SpikingMlp, TransformerBlock};

pub(crate) use attention::{SCALE, neuron_of, validate_attention};
pub(crate) use chain::{Chain, VGG11, VGG13, VGG16, VGG19, vgg_stages};
pub(crate) use conv_block::{global_average, pooled_size, run_blocks};
pub(crate) use layers::{ALIVE, depthwise};
pub(crate) use meta_former::{MetaLayout, RATIO, meta_layout};
pub(crate) use residual::{
    BlockPlan, Bottleneck, Named, Stages, add_shortcut, blocks, halving_pool,
    integrate_and_fire_layers, max_pool, require_blocks, resnet_architecture, run_stages,
    stages_text, stem,
};
pub(crate) use transformer::{
    attention_names, loud_neuron, require_heads, require_hidden, require_width, residual,
    run_transformer, transformer_layers,
};

/// A part of a network: a block of layers of which the network has several.
pub trait Block: Module + ModuleDisplay {
    /// Runs a sequence; the names of its neurons begin with `name`.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - output: `[T, B, channels_out, height_out, width_out]`
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5>;
}
