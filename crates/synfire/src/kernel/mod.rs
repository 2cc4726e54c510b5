//! Kernels: faster ways to compute what a graph of Burn's operations computes.
//!
//! The unrolled graph is the definition of a neuron, Burn's products that of a layer. Kernels must give the same spikes (on
//! GPUs, which may contract a product and a sum, but where a membrane potential is within rounding of the threshold)
//! and, to rounding, the same currents and gradients. They are chosen by themselves where there are some: on the backend
//! `flex`, in single precision, and those of the first and the last row also on GPUs (`wgpu`, `vulkan`, `metal`, `cuda`,
//! `rocm`) and on CubeCL's own `cpu`, in single and half precision.
//!
//! | kernel | of | instead of | asked for by |
//! | --- | --- | --- | --- |
//! | fused neuron | [`Lif`](crate::neuron::Lif) in all its forms | a graph for every step | [`Execution`] |
//! | fused equations | all neurons with equations of their own | a graph for every step | [`Execution`] |
//! | product by events | [`SpikeLinear`](crate::layer::SpikeLinear), [`SpikeConv2d`](crate::layer::SpikeConv2d) | dense products | [`Product`] |
//! | both together | [`SpikeConv2d::forward_into`](crate::layer::SpikeConv2d::forward_into) | one after the other | [`Keep`] |
//! | pooling, rates | [`Pool2d`](crate::layer::Pool2d), [`decode::rate`](crate::decode::rate), [`firing_rate`](crate::metric::firing_rate) | Burn's reductions | |
//! | draws | [`BernoulliEncoder`](crate::encode::BernoulliEncoder), on GPUs | draws on the host | |
//!
//! *A fused neuron* makes one pass over the time steps forward and one backward, with no tensor for a step. On a GPU a unit
//! of the device takes a neuron, or up to four neighbours, through all steps. It computes in single precision whatever
//! the numbers are stored in, and keeps the input alone ([`Keep`] is of no account there): the backward pass computes the
//! membrane potentials once more, in registers, more than 32 steps in blocks. Burn's fusion has it as one operation.
//!
//! *By events*: spikes are packed to bits, and each output is the sum of the rows of weights that the bits choose. Nothing is
//! multiplied, and what is silent costs nothing. It is taken where the input is nothing but zeros and ones and few of them
//! are ones; what few means was measured.
//!
//! *Memory*: backward passes keep spikes as bits and, at most, one number for each neuron and step ([`Keep`]). Images lie in
//! memory with the channels last, whatever the order of the axes; a Burn operation that wants another order copies them.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::kernel::Execution;
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

#[cfg(feature = "cube")]
mod bernoulli_cube;
mod bits;
mod conv;
mod dynamics_flex;
mod dynamics_ops;
#[cfg(feature = "cube")]
mod fusion;
mod layer_flex;
mod layer_ops;
mod lif;
#[cfg(feature = "cube")]
mod lif_cube;
mod lif_flex;
mod lif_ops;
#[cfg(feature = "cube")]
mod lif_shader;
mod memory;
mod pool_flex;
mod pool_ops;
mod product;
mod synapse_flex;
mod synapse_ops;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing as Balanced;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

// What Burn's dispatch calls; not for others.
#[cfg(feature = "cube")]
#[doc(hidden)]
pub use bernoulli_cube::BernoulliOps;
#[doc(hidden)]
pub use dynamics_ops::DynamicsOps;
#[doc(hidden)]
pub use layer_ops::LayerOps;
#[doc(hidden)]
pub use lif_ops::LifOps;
#[doc(hidden)]
pub use pool_ops::PoolOps;
#[doc(hidden)]
pub use synapse_ops::SynapseOps;

#[cfg(feature = "cube")]
pub(crate) use bernoulli_cube::Draws;
pub(crate) use conv::Window;
pub(crate) use dynamics_flex::{BlockBackward, BlockForward};
pub(crate) use dynamics_ops::DynamicsKernel;
pub(crate) use layer_ops::Layer;
pub(crate) use lif::LifKernel;
pub(crate) use pool_ops::Pool;
pub(crate) use synapse_ops::{Synapse, SynapseKind};

/// How a neuron computes a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Execution {
    /// By a fused kernel where there is one for the device, the type of the numbers and what is asked; else unrolled.
    #[default]
    Auto,
    /// Always unrolled: a graph of Burn's operations for every step.
    Unrolled,
}

/// What a fused neuron keeps for its backward pass, on `flex`; on CubeCL's devices it is always the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// What takes the least memory, for batches of more samples than cores. Neurons that run together with the convolution
    /// that feeds them ([`SpikeConv2d::forward_into`](crate::layer::SpikeConv2d::forward_into)) keep of a sequence nothing
    /// but the spikes that came in, one bit for each; the backward pass computes currents and membranes again, of one sample
    /// on each core at a time. Other neurons are as with [`Membranes`](Self::Membranes).
    #[default]
    Least,
    /// The membrane potentials, in place of the input where nobody else has it; or the input, where the gradient of a decay
    /// that scales it needs it.
    Membranes,
    /// The input; the membrane potentials are computed once more.
    Input,
}

/// How a layer multiplies spikes with weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// By events where there is a kernel for it, the input is nothing but zeros and ones, and few of them are ones; else
    /// dense. The whole input is looked at: the same sample may come out different to rounding in another batch, or in
    /// parts. Where that matters, choose one of the others.
    #[default]
    Auto,
    /// Always by Burn's own products.
    Dense,
    /// By events at any density, where there is a kernel for it and the input is nothing but zeros and ones.
    Events,
}

/// Whether the channels of `[T, B, C, ...]` are fastest in memory, and nothing else is out of order; of images on CubeCL's
/// devices, whose convolutions leave them so, this is taken for granted.
pub(crate) fn channels_last<const D: usize>(x: &Tensor<D>) -> bool {
    if D == 5 && on_cubecl(x) {
        return true;
    }
    if D < 4 || !supports(x) {
        return false;
    }
    let plain = match x.device().is_autodiff() {
        true => x
            .clone()
            .try_into_primitive::<Autodiff<Flex>>()
            .map(|tensor| tensor.into_primitive())
            .or_else(|_| {
                let checkpointing = x.clone().try_into_primitive::<Autodiff<Flex, Balanced>>();
                checkpointing.map(|tensor| tensor.into_primitive())
            }),
        false => x.clone().try_into_primitive::<Flex>(),
    };
    plain.is_ok_and(|tensor| {
        let order = memory::storage_order(&tensor);
        order[..2] == [0, 1] && order[D - 1] == 2 && order[2..D - 1].is_sorted()
    })
}

/// Whether there are fused kernels for a tensor.
pub(crate) fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// Whether there is a fused [`Lif`](crate::neuron::Lif) of this kind for a tensor: in CubeCL not with every surrogate.
pub(crate) fn supports_lif<const D: usize>(x: &Tensor<D>, kernel: &LifKernel) -> bool {
    #[cfg(feature = "cube")]
    let in_cubecl = lif_cube::curve(kernel.surrogate).is_some();
    #[cfg(not(feature = "cube"))]
    let in_cubecl = {
        let _ = kernel;
        false
    };
    supports(x) || (in_cubecl && on_cubecl(x))
}

/// Whether there are the kernels in CubeCL for a tensor.
pub(crate) fn on_cubecl<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16) && is_cubecl(&x.device())
}

/// Whether a device is one of CubeCL's, as all GPUs are: it works on its own while the program goes on, and has kernels in
/// CubeCL.
pub fn is_cubecl(device: &Device) -> bool {
    #[cfg(feature = "cube")]
    {
        let device = device.clone().inner();
        matches!(device.as_dispatch(), burn::backend::DispatchDevice::Cube(_))
    }
    #[cfg(not(feature = "cube"))]
    {
        let _ = device;
        false
    }
}

/// Every kind of vectors that this processor has, none among them.
#[cfg(test)]
fn architectures() -> Vec<pulp::Arch> {
    let mut all = vec![pulp::Arch::Scalar, pulp::Arch::new()];
    #[cfg(target_arch = "x86_64")]
    all.extend(pulp::x86::V3::try_new().map(pulp::Arch::V3));
    all
}
