//! Operations: faster implementations of graphs of Burn's operations.
//!
//! The unrolled graph defines a neuron, and Burn's products define a layer. An operation computes the same spikes and, up to
//! rounding, the same currents and gradients. On GPUs, which may contract a product and a sum, spikes may differ where a
//! membrane potential is within rounding of the threshold. Operations are selected automatically where available: on the
//! backend `flex` in single precision; those of the first and the last row also on GPUs (`wgpu`, `vulkan`, `metal`, `cuda`,
//! `rocm`) and on CubeCL's `cpu`, in single and half precision.
//!
//! | operation | serves | replaces | option |
//! | --- | --- | --- | --- |
//! | fused LIF | [`Lif`](crate::neuron::Lif) in all its forms | a graph for every step | [`Execution`] |
//! | fused equations | all neurons written as equations | a graph for every step | [`Execution`] |
//! | event-driven product | [`SpikeLinear`](crate::layer::SpikeLinear), [`SpikeConv2d`](crate::layer::SpikeConv2d) | dense products | [`Product`] |
//! | convolution and LIF | [`SpikeConv2d::forward_into`](crate::layer::SpikeConv2d::forward_into) | one after the other | [`Keep`] |
//! | batch normalisation and neurons | [`Normalization::normalize_into`](crate::layer::Normalization::normalize_into), in training | one after the other | [`Keep`], [`Execution`] |
//! | spiking self-attention | [`self_attention`](crate::layer::self_attention) | products of matrices | |
//! | pooling, firing rates | [`Pool2d`](crate::layer::Pool2d), [`decode::rate`](crate::decode::rate), [`firing_rate`](crate::metric::firing_rate) | Burn's reductions | |
//! | random spikes | [`BernoulliEncoder`](crate::encode::BernoulliEncoder), on GPUs | draws on the host | |
//!
//! A *fused neuron* makes one pass over the time steps forward and one backward, without a tensor per step. On a GPU, a unit
//! of the device processes one neuron, or up to four neighbours, for all steps. It computes in single precision whatever the
//! storage type, and saves only the input for backward ([`Keep`] has no effect there): the backward pass recomputes the
//! membrane potentials in registers, in blocks for more than 32 steps. For Burn's fusion it is one operation.
//!
//! *Event-driven products* pack spikes into bits; each output is the sum of the rows of weights that the bits select. They
//! need no multiplications, and silent inputs cost nothing. Of many spikes, blocks of 128 of which more than half fire are the sum
//! of all their rows less those of the silent ones. Small whole numbers (joined, graded and signed spikes) and multiples of a
//! quarter (average-pooled ones) are up to four planes of bits. [`Product::Auto`] selects these products up to a measured number
//! of additions.
//!
//! *Dense products* of a convolution (other inputs, and the gradient of any input) need no column matrix: pixels whose taps lie
//! at the same distances are rows of one matrix product, with weights packed once. Depthwise convolutions are products of vectors
//! of channels.
//!
//! *Memory*: backward passes save spikes as bits and at most one number per neuron and step ([`Keep`]). Images are stored
//! with channels last, whatever the order of the axes; a Burn operation that needs another layout copies them.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::ops::Execution;
//! use synfire::neuron::{LifConfig, Neuron};
//!
//! let device = Device::default();
//! let spikes = |path| {
//!     let lif = LifConfig::new().with_execution(path).init(&device)?;
//!     Ok(lif.forward(Tensor::<3>::full([9, 2, 5], 0.4, &device), None).0.to_data())
//! };
//! assert_eq!(spikes(Execution::Auto)?, spikes(Execution::Unrolled)?);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod attention;
mod backward;
#[cfg(feature = "cube")]
mod bernoulli;
mod bits;
mod block;
mod conv;
mod dense;
mod dynamics;
mod layer;
mod lif;
mod memory;
mod norm;
mod normalized;
#[cfg(feature = "fusion")]
mod operation;
mod optional;
mod pool;
mod product;
#[cfg(feature = "remote")]
pub(crate) mod remote;
pub(crate) mod serves;
mod synapse;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

#[cfg(feature = "capture")]
#[doc(hidden)]
pub use serves::captured_id;
pub use serves::is_cubecl;

// Called by Burn's dispatch; not part of the public API.
#[doc(hidden)]
pub use attention::AttentionOps;
#[cfg(feature = "cube")]
#[doc(hidden)]
pub use bernoulli::BernoulliOps;
#[doc(hidden)]
pub use dynamics::DynamicsOps;
#[doc(hidden)]
pub use layer::LayerOps;
#[doc(hidden)]
pub use lif::LifOps;
#[doc(hidden)]
pub use norm::NormOps;
#[doc(hidden)]
pub use normalized::NormalizedOps;
#[doc(hidden)]
pub use pool::PoolOps;
#[doc(hidden)]
pub use synapse::SynapseOps;

pub(crate) use attention::Attention;
#[cfg(feature = "cube")]
pub(crate) use bernoulli::SpikeDraws;
pub(crate) use conv::Window;
pub(crate) use dynamics::{BlockBackward, BlockForward, DynamicsKernel};
pub(crate) use layer::Layer;
pub(crate) use lif::LifKernel;
pub(crate) use normalized::NormalizedKernel;
pub(crate) use optional::OptionalTensor;
pub(crate) use pool::{Pool, Windows};
pub(crate) use synapse::{Synapse, SynapseKind};

/// The way in which a neuron computes a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// Fused where an operation serves the device, the type and the neuron; else unrolled.
    #[default]
    Auto,
    /// Always unrolled: a graph of Burn's operations for every step.
    Unrolled,
}

/// The tensors that a fused neuron saves for backward on `flex`. CubeCL devices always save the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The least memory, for batches of more samples than cores. Neurons that run together with their convolution
    /// ([`SpikeConv2d::forward_into`](crate::layer::SpikeConv2d::forward_into)) save only the incoming spikes, one bit each;
    /// the backward pass recomputes currents and membranes, one sample per core at a time. Neurons that run together with their
    /// batch normalisation ([`normalize_into`](crate::layer::Normalization::normalize_into)) save only the currents before it.
    /// Other neurons behave as with [`Membranes`](Self::Membranes).
    #[default]
    Least,
    /// The membrane potentials, in place of the input if nothing else shares it; or the input, if the gradient of a decay
    /// that scales it needs it.
    Membranes,
    /// The input; the backward pass recomputes the membrane potentials.
    Input,
}

/// The algorithm by which a layer multiplies spikes with weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// Event-driven where an operation serves an input of spikes (0 and 1, small whole numbers or multiples of a quarter) with
    /// few additions, as any input of zeros and ones with at least 24 rows; else dense. Where most inputs fire, silent ones are
    /// subtracted from the sum of all: rounding errors are relative to the sum of 128 weights (or gradients), the silent ones among
    /// them. The whole input decides, so the same sample may differ by rounding in another batch or when split. Where that matters,
    /// choose one of the others.
    #[default]
    Auto,
    /// Always Burn's own products.
    Dense,
    /// Event-driven where an operation serves an input of spikes, without subtractions.
    Events,
}

/// Makes this thread a part of Rayon's global pool, whose threads share the operations of CPU backends. Returns whether it did:
/// not if there is a pool already, or if the pool has a single thread, which must not wait for others.
///
/// Call it first in the `main` of a program that trains on the thread of `main`. Otherwise each operation hands all of its work
/// to other threads and waits for them; where layers are narrow, these switches take a good part of the time. The thread must
/// live as long as the program.
///
/// ```
/// synfire::ops::join_pool();
/// // Now there is a pool.
/// assert!(!synfire::ops::join_pool());
/// ```
pub fn join_pool() -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // As Rayon counts them.
    let wanted = std::env::var("RAYON_NUM_THREADS").ok();
    let wanted = wanted.and_then(|threads| threads.parse().ok());
    let threads = wanted.filter(|threads| *threads > 0).unwrap_or(cores);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread();
    threads > 1 && pool.build_global().is_ok()
}

/// Every vector architecture of this processor, including scalar.
#[cfg(test)]
fn architectures() -> Vec<pulp::Arch> {
    let mut all = vec![pulp::Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    all.extend(pulp::x86::V3::try_new().map(pulp::Arch::V3));
    all.push(pulp::Arch::new());
    all
}
