//! The spike: a step in the forward pass, a surrogate derivative in the backward pass.
//!
//! [`spike`] is a custom Burn operation that works on tensors of any rank, on every backend Synfire has a
//! feature for, with gradient checkpointing on or off. Nothing else in this crate is special to spiking
//! networks as far as gradients go: neurons are ordinary Burn operations around it, and autodiff over the graph
//! that they unroll is spatio-temporal backpropagation.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::spike::spike;
//! use synfire::surrogate::Surrogate;
//!
//! let device = Device::default().autodiff();
//! // x = u - threshold
//! let x = Tensor::<1>::from_floats([-1.0, -0.2, 0.0, 0.2], &device).require_grad();
//! let spikes = spike(x.clone(), Surrogate::rectangular(1.0)?);
//! assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 1.0]);
//!
//! let gradients = spikes.sum().backward();
//! let dx = x.grad(&gradients).unwrap();
//! assert_eq!(dx.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 1.0, 1.0]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod autodiff;
mod ops;

use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use ops::SpikeOps;

use crate::dynamics::{Real, Term};
use crate::surrogate::{AnyCurve, Custom, Surrogate};

/// The forward pass of a spike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forward {
    /// 1 where `x >= 0`, else 0: the spike.
    #[default]
    Step,
    /// 1 where `x > 0`, else 0: a neuron that is exactly at its threshold does not fire, as in snnTorch and Norse.
    StrictStep,
    /// The [primitive](Surrogate::primitive) of the surrogate in place of the step, so that forward and backward
    /// pass belong together and gradients can be checked against finite differences. Not a spiking network.
    Smooth,
}

/// Fires where `x >= 0`; the backward pass multiplies by `surrogate.derivative(x)`.
///
/// # Shapes
///
/// - x: `[...]`, any rank: the distance `u - V_th` of the membrane potential from the threshold
/// - output: the shape of `x`; exactly 0 or 1. NaN does not fire.
pub fn spike<const D: usize>(x: Tensor<D>, surrogate: Surrogate) -> Tensor<D> {
    spike_with(x, surrogate, Forward::Step)
}

/// [`spike`] with a choice of the forward pass.
///
/// # Shapes
///
/// - x: `[...]`, any rank
/// - output: the shape of `x`
pub fn spike_with<const D: usize>(
    x: Tensor<D>,
    surrogate: Surrogate,
    forward: Forward,
) -> Tensor<D> {
    Tensor::from_dispatch(spike_dispatch(x.into_dispatch(), surrogate, forward))
}

/// [`spike_with`] of a tensor of any rank.
pub(crate) fn spike_dispatch(
    x: DispatchTensor,
    surrogate: Surrogate,
    forward: Forward,
) -> DispatchTensor {
    if let AnyCurve::Custom(curve) = surrogate.curve() {
        return custom_spike(Term::Tensor(x), curve, surrogate.scale(), forward).primitive();
    }
    ops::forward::<Dispatch>(x, surrogate, forward)
}

/// [`spike_dispatch`] for a custom curve, which the operation does not support.
fn custom_spike(x: Term, curve: Custom, scale: f64, forward: Forward) -> Term {
    let at = x.clone().constant();
    // Any surrogate will do: a constant has no gradient.
    let any = Surrogate::default();
    let spikes = match forward {
        Forward::Smooth => curve.primitive(at.clone()).scale(scale),
        forward => Term::Tensor(spike_dispatch(at.clone().primitive(), any, forward)),
    };
    spikes.with_gradient_of(x * curve.derivative(at).scale(scale))
}

/// `surrogate.derivative(x)` of every element, as a tensor. It carries no gradient of its own.
///
/// # Shapes
///
/// - x: `[...]`, any rank
/// - output: the shape of `x`
pub fn surrogate_derivative<const D: usize>(x: Tensor<D>, surrogate: Surrogate) -> Tensor<D> {
    let x = x.detach().into_dispatch();
    Tensor::from_dispatch(match surrogate.curve() {
        AnyCurve::Custom(curve) => {
            let derivative = curve.derivative(Term::Tensor(x));
            derivative.scale(surrogate.scale()).primitive()
        }
        _ => <Dispatch as SpikeOps>::surrogate_derivative(x, surrogate),
    })
}
