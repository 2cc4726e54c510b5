//! What a spike does to the membrane potential, and which gradient goes through that.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::lif::Equations;

/// The reset of the membrane potential by a spike.
///
/// With `u` the potential after integration and `o` the spike, `v` is what is left for the next step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reset {
    /// To a value: `v = u (1 - o) + to o`. To 0 ([`Reset::HARD`]), and with the decay that follows, it is the linear
    /// forget gate `f(o) = tau (1 - o)` of the code that the paper's authors published.
    Hard {
        /// The potential after a spike. SpikingJelly's `v_reset`, which is its resting potential, too.
        to: f64,
    },
    /// The paper's forget gate `f(o) = tau e^(-o/tau)`: `v = u e^(-o/tau)`, where `tau` is the decay.
    /// It comes near zero only for a small decay: a spike leaves 4.5e-5 of `u` at 0.1, and 0.14 at 0.5.
    Exponential,
    /// By the threshold: `v = u - V_th o`. What was above the threshold is kept.
    Soft,
    /// To a value, one step later: snnTorch's `reset_mechanism="zero"`, with [`ResetGradient::Detached`] and `to` 0.
    ///
    /// `v[t] = u[t]` is what the step leaves. The next one first fires again at it, `r = 1 if v >= V_th else 0`, and goes
    /// on from `v (1 - r) + to r`. The spikes are those of [`Reset::Hard`]; the membrane that is left differs.
    DelayedHard {
        /// The potential after a spike.
        to: f64,
    },
    /// By the threshold, one step later and after the decay: snnTorch's `reset_mechanism="subtract"`, with
    /// [`ResetGradient::Detached`].
    ///
    /// `v[t] = u[t]` is what the step leaves, and with `r` as in [`DelayedHard`](Self::DelayedHard) the next one is
    /// `u[t+1] = rest + decay (v[t] - rest) + k x[t+1] - V_th r`.
    DelayedSoft,
}

impl Reset {
    /// To zero.
    pub const HARD: Self = Self::Hard { to: 0.0 };
}

impl Default for Reset {
    fn default() -> Self {
        Self::HARD
    }
}

/// The derivative of the reset with respect to the spike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetGradient {
    /// That of the reset in use: `to - u` for a hard, `-(u/tau) e^(-o/tau)` for an exponential, `-V_th` for a soft one.
    /// (A delayed reset fires again in the next step; its derivative is by that spike, through the surrogate.)
    #[default]
    Exact,
    /// That of the linear gate, `dv/do = -u`, under either gate of the paper. The exact one of [`Reset::HARD`].
    Linear,
    /// That of the exponential gate, `dv/do = -(u/tau) e^(-o/tau)`, under either gate of the paper. The exact one of
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
    /// against it. The forward pass is unchanged. The state and `v` that are returned are constants as well, so a loss is
    /// to be made of spikes or of `u`.
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
    equations: &Equations<D>,
) -> Tensor<D> {
    let config = equations.config;
    let exponential = |o: Tensor<D>| equations.decay.divide(o).neg().exp();
    let exact = |u: Tensor<D>, o: Tensor<D>| match config.reset {
        Reset::HARD => u * o.neg().add_scalar(1.0),
        Reset::Hard { to } => u * o.clone().neg().add_scalar(1.0) + o.mul_scalar(to),
        Reset::Exponential => u * exponential(o),
        Reset::Soft => u - equations.threshold.times(o),
        Reset::DelayedHard { .. } | Reset::DelayedSoft => {
            unreachable!("a delayed reset is the next step's")
        }
    };
    // The forward value of one gate with the slope of the other: `spikes - constant` is 0 with derivative 1.
    let with_slope = |slope: &dyn Fn(Tensor<D>) -> Tensor<D>| {
        let constant = spikes.clone().detach();
        let zero = spikes.clone() - constant.clone();
        exact(u.clone(), constant.clone()) + u.clone().detach() * slope(constant) * zero
    };
    match (config.temporal_gradient, config.reset) {
        (TemporalGradient::Off, _) => exact(u.detach(), spikes.detach()).detach(),
        (TemporalGradient::Full(ResetGradient::Detached), _) => exact(u, spikes.detach()),
        (TemporalGradient::Full(ResetGradient::Exact), _)
        | (TemporalGradient::Full(ResetGradient::Linear), Reset::Hard { .. })
        | (TemporalGradient::Full(ResetGradient::Exponential), Reset::Exponential) => {
            exact(u, spikes)
        }
        (TemporalGradient::Full(ResetGradient::Linear), _) => with_slope(&|o| o.ones_like().neg()),
        (TemporalGradient::Full(ResetGradient::Exponential), _) => {
            with_slope(&|o| equations.decay.divide(exponential(o)).neg())
        }
    }
}

/// What a delayed reset and the decay leave of the last step's `v`. Under [`TemporalGradient::Off`] `v` is a constant
/// already.
pub(super) fn delayed<const D: usize>(v: Tensor<D>, equations: &Equations<D>) -> Tensor<D> {
    let config = equations.config;
    let fired = equations.fire(v.clone());
    let fired = match config.temporal_gradient {
        TemporalGradient::Off | TemporalGradient::Full(ResetGradient::Detached) => fired.detach(),
        TemporalGradient::Full(_) => fired,
    };
    match config.reset {
        Reset::DelayedHard { to } => {
            let kept = v * fired.clone().neg().add_scalar(1.0);
            equations.decayed(match to {
                0.0 => kept,
                to => kept + fired.mul_scalar(to),
            })
        }
        _ => equations.decayed(v) - equations.threshold.times(fired),
    }
}
