//! Synaptic layers, normalisation, pooling and dropout for spike sequences.
//!
//! [`SpikeLinear`] and [`SpikeConv2d`] have the parameters and records of Burn's `Linear` and `Conv2d`. They take whole sequences
//! and are faster on spikes. [`NormConfig`] is any of the normalisations. [`each_step`] applies any layer of Burn to every time
//! step.
//!
//! ```
//! use burn::nn::conv::Conv2dConfig;
//! use burn::tensor::{Device, Tensor};
//! use synfire::layer::{Pool2dConfig, SpikeConv2d, TdBatchNormConfig};
//!
//! let device = Device::default();
//! let conv = SpikeConv2d::from(Conv2dConfig::new([1, 4], [5, 5]).init(&device));
//! let norm = TdBatchNormConfig::new(4, 0.5).init(&device)?;
//! let pool = Pool2dConfig::new([2, 2]).init()?;
//!
//! let input = Tensor::<5>::ones([6, 2, 1, 28, 28], &device);
//! let current = conv.forward(input);
//! let pooled = pool.forward(norm.forward(current));
//! assert_eq!(pooled.dims(), [6, 2, 4, 12, 12]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod any_norm;
mod attention;
mod bntt;
mod dropout;
mod each_step;
mod fold;
mod normalization;
mod pool;
mod seq_batch_norm;
mod sew;
mod shortcut;
mod spike_conv;
mod spike_linear;
mod td_batch_norm;
mod te_batch_norm;
mod voting;

pub use any_norm::{AnyNorm, NormConfig};
pub use attention::self_attention;
pub use bntt::{BatchNormThroughTime, BatchNormThroughTimeConfig, StepNorm};
pub use dropout::{Dropout, DropoutConfig};
pub use each_step::each_step;
pub use normalization::Normalization;
pub use pool::{Pool2d, Pool2dConfig, Pooling};
pub use seq_batch_norm::{SeqBatchNorm, SeqBatchNormConfig};
pub use sew::SewJoin;
pub(crate) use shortcut::in_memory_order;
pub use shortcut::{fork, join};
pub use spike_conv::{SpikeConv2d, SpikeConv2dConfig};
pub use spike_linear::{SpikeLinear, SpikeLinearConfig};
pub use td_batch_norm::{TdBatchNorm, TdBatchNormConfig};
pub use te_batch_norm::{TeBatchNorm, TeBatchNormConfig};
pub use voting::Voting;
