//! Fused kernels: another way to compute what an unrolled neuron computes.
//!
//! The unrolled graph is the definition of a neuron. A fused kernel makes one pass over the time steps forward and one
//! backward, with no tensor for a step, and must give the same spikes and, to rounding, the same gradients. It is chosen
//! by itself where there is one (of `Lif` in single precision, on the backend `flex`);
//! [`LifConfig::path`](crate::neuron::LifConfig::path) asks for the other.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::kernel::Path;
//! use synfire::neuron::{LifConfig, Neuron};
//!
//! let device = Device::default();
//! let spikes = |path| {
//!     let lif = LifConfig::new().with_path(path).init(&device)?;
//!     Ok(lif.forward(Tensor::<3>::full([9, 2, 5], 0.4, &device), None).0.to_data())
//! };
//! assert_eq!(spikes(Path::Auto)?, spikes(Path::Unrolled)?);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod autodiff;
mod flex;
mod lif;

use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

pub use autodiff::LifOps;
pub(crate) use lif::LifKernel;

/// How a neuron computes a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// By a fused kernel where there is one for the device, the type of the numbers and what is asked; else unrolled.
    #[default]
    Auto,
    /// Always unrolled: a graph of Burn's operations for every step.
    Unrolled,
}

/// Whether there are fused kernels for a tensor.
pub(crate) fn supports<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}
