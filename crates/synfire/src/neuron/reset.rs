//! What a spike does to the membrane potential, and which gradient goes through that.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// The reset of the membrane potential by a spike.
///
/// With `u` the potential after integration and `o` the spike, `v` is what is left for the next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// To zero: `v = u (1 - o)`. With the decay that follows it is the linear forget gate
    /// `f(o) = tau (1 - o)` of the code that the paper's authors published.
    #[default]
    Hard,
    /// The paper's forget gate `f(o) = tau e^(-o/tau)`: `v = u e^(-o/tau)`, where `tau` is the decay.
    /// It comes near zero only for a small decay: a spike leaves 4.5e-5 of `u` at 0.1, and 0.14 at 0.5.
    Exponential,
}

/// The derivative of the reset with respect to the spike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetGradient {
    /// That of the reset in use.
    #[default]
    Exact,
    /// That of the linear gate, `dv/do = -u`, whatever the forward pass does. The exact one of [`Reset::Hard`].
    Linear,
    /// That of the exponential gate, `dv/do = -(u/tau) e^(-o/tau)`, whatever the forward pass does. The exact one of
    /// [`Reset::Exponential`]; needs a decay above 0.
    Exponential,
    /// None: the spike in the reset is a constant (snnTorch, and SpikingJelly's `detach_reset`).
    Detached,
}

/// How gradients travel through time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemporalGradient {
    /// Through the carried membrane potential: spatio-temporal backpropagation.
    Full(ResetGradient),
    /// Not at all: the carried state is a constant for the backward pass. The paper calls this SDBP and compares
    /// against it. The forward pass is unchanged.
    Off,
}

impl Default for TemporalGradient {
    fn default() -> Self {
        Self::Full(ResetGradient::Exact)
    }
}

/// `v` from `u` and `o`, with the chosen derivative by `o`; the derivative by `u` is that of the forward pass.
pub(super) fn reset<const D: usize>(
    u: Tensor<D>,
    spikes: Tensor<D>,
    reset: Reset,
    gradient: TemporalGradient,
    decay: f64,
) -> Tensor<D> {
    // What is left of u, and its derivative by o, for one kind of gate.
    let left = |reset, o: Tensor<D>| match reset {
        Reset::Hard => o.neg().add_scalar(1.0),
        Reset::Exponential => o.mul_scalar(-1.0 / decay).exp(),
    };
    let slope = |reset, o: Tensor<D>| match reset {
        Reset::Hard => o.ones_like().neg(),
        Reset::Exponential => left(reset, o).mul_scalar(-1.0 / decay),
    };

    let of = match gradient {
        TemporalGradient::Off => {
            return (u.detach() * left(reset, spikes.detach())).detach();
        }
        TemporalGradient::Full(ResetGradient::Detached) => return u * left(reset, spikes.detach()),
        TemporalGradient::Full(ResetGradient::Exact) => reset,
        TemporalGradient::Full(ResetGradient::Linear) => Reset::Hard,
        TemporalGradient::Full(ResetGradient::Exponential) => Reset::Exponential,
    };
    if of == reset {
        return u * left(reset, spikes);
    }
    // The forward value of one gate with the slope of the other: `spikes - constant` is 0 with derivative 1.
    let constant = spikes.clone().detach();
    let zero = spikes - constant.clone();
    u.clone() * left(reset, constant.clone()) + u.detach() * slope(of, constant) * zero
}
