//! Reset of the membrane potential by a spike, and gradients through it.

use serde::{Deserialize, Serialize};

use crate::InvalidConfig;
use crate::dynamics::{Fire, Real};

/// The reset of the membrane potential by a spike.
///
/// `u` is the potential after integration, `o` the spike, and `v` the potential carried to the next step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reset {
    /// To a value: `v = u (1 - o) + to o`. To 0 ([`Reset::HARD`]), and with the decay that follows, it is the linear
    /// forget gate `f(o) = tau (1 - o)` of the code that the paper's authors published.
    Hard {
        /// The potential after a spike. SpikingJelly's `v_reset`, which is its resting potential, too.
        #[serde(default)]
        to: f64,
    },
    /// The paper's forget gate `f(o) = tau e^(-o/tau)`: `v = u e^(-o/tau)`, where `tau` is the decay.
    /// It comes near zero only for a small decay: a spike leaves 4.5e-5 of `u` at 0.1, and 0.14 at 0.5.
    Exponential,
    /// By the threshold: `v = u - V_th o`. The excess over the threshold is kept.
    Soft,
    /// To a value, one step later: snnTorch's `reset_mechanism="zero"`, with [`ResetGradient::Detached`] and `to` 0.
    ///
    /// A step carries `v[t] = u[t]`. The next one first fires again at it, `r = 1 if v >= V_th else 0`, and continues from
    /// `v (1 - r) + to r`. The spikes are those of [`Reset::Hard`]; the carried membrane differs.
    DelayedHard {
        /// The potential after a spike.
        #[serde(default)]
        to: f64,
    },
    /// By the threshold, one step later and after the decay: snnTorch's `reset_mechanism="subtract"`, with
    /// [`ResetGradient::Detached`].
    ///
    /// A step carries `v[t] = u[t]`. With `r` as in [`DelayedHard`](Self::DelayedHard), the next one is
    /// `u[t+1] = rest + decay (v[t] - rest) + k x[t+1] - V_th r`.
    DelayedSoft,
}

impl Reset {
    /// To zero.
    pub const HARD: Self = Self::Hard { to: 0.0 };

    /// True if the reset acts one step later.
    pub(crate) fn is_delayed(self) -> bool {
        matches!(self, Self::DelayedHard { .. } | Self::DelayedSoft)
    }
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
    /// The derivative of the reset in use: `to - u` for a hard, `-(u/tau) e^(-o/tau)` for an exponential, `-V_th` for a soft
    /// one. (A delayed reset fires again in the next step; its derivative is by that spike, through the surrogate.)
    #[default]
    Exact,
    /// The derivative of the linear gate, `dv/do = -u`, under either gate of the paper. Exact for [`Reset::HARD`].
    Linear,
    /// The derivative of the exponential gate, `dv/do = -(u/tau) e^(-o/tau)`, under either gate of the paper. Exact for
    /// [`Reset::Exponential`]; needs a decay above 0.
    Exponential,
    /// None: the spike in the reset is a constant (snnTorch, and SpikingJelly's `detach_reset`).
    Detached,
}

/// Gradients through time. In files it is the name of the reset's gradient, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "GradientName", rename_all = "kebab-case")]
pub enum TemporalGradient {
    /// None: the carried state is a constant for the backward pass. The paper calls this SDBP and compares against it. The
    /// forward pass is unchanged. The returned state and `v` are constants as well, so a loss must use spikes or `u`.
    Off,
    /// Through the carried membrane potential: spatio-temporal backpropagation.
    #[serde(untagged)]
    Full(ResetGradient),
}

impl Default for TemporalGradient {
    fn default() -> Self {
        Self::Full(ResetGradient::Exact)
    }
}

/// A [`TemporalGradient`] in a file.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum GradientName {
    Exact,
    Linear,
    Exponential,
    Detached,
    Off,
}

impl From<GradientName> for TemporalGradient {
    fn from(name: GradientName) -> Self {
        Self::Full(match name {
            GradientName::Exact => ResetGradient::Exact,
            GradientName::Linear => ResetGradient::Linear,
            GradientName::Exponential => ResetGradient::Exponential,
            GradientName::Detached => ResetGradient::Detached,
            GradientName::Off => return Self::Off,
        })
    }
}

/// A reset in the equations of a neuron: hard, soft or delayed.
///
/// [`Reset::Exponential`] is part of the equations of [`Lif`](super::Lif) alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResetRule {
    reset: Reset,
    /// True if the spike in the reset is a constant for the backward pass.
    detached: bool,
}

impl ResetRule {
    /// The rule of a reset and its gradient.
    #[inline(always)]
    pub fn new(reset: Reset, gradient: TemporalGradient) -> Self {
        Self {
            reset,
            // A delayed reset depends on the `v` of the last step, which then has no gradient.
            detached: matches!(
                gradient,
                TemporalGradient::Off | TemporalGradient::Full(ResetGradient::Detached)
            ),
        }
    }

    /// Checks that the equations of a neuron can have this reset and gradient; those of [`Lif`](super::Lif) have more.
    ///
    /// # Errors
    ///
    /// If the reset is exponential, or delayed where that is not allowed, its potential is not a number from -1e37 to 1e37, or
    /// the gradient is that of one of the paper's gates.
    pub fn validate(
        owner: &'static str,
        reset: Reset,
        gradient: TemporalGradient,
        delayed: bool,
    ) -> Result<(), InvalidConfig> {
        if let Reset::Hard { to } | Reset::DelayedHard { to } = reset {
            InvalidConfig::require_finite(owner, "reset.to", to)?;
        }
        let accepted = reset != Reset::Exponential && (delayed || !reset.is_delayed());
        let expected = match delayed {
            true => "a hard, soft or delayed reset",
            false => "a hard or soft reset",
        };
        let found = format!("{reset:?}");
        InvalidConfig::require(owner, "reset", found, accepted, expected)?;
        let accepted = !matches!(
            gradient,
            TemporalGradient::Full(ResetGradient::Linear | ResetGradient::Exponential)
        );
        let (found, expected) = (format!("{gradient:?}"), "exact, detached or off");
        InvalidConfig::require(owner, "temporal_gradient", found, accepted, expected).map(drop)
    }

    /// True if the spike in it is a constant for the backward pass.
    pub(crate) fn is_detached(self) -> bool {
        self.detached
    }

    /// The target of a hard reset; else 0.
    #[inline(always)]
    pub fn target(self) -> f64 {
        match self.reset {
            Reset::Hard { to } | Reset::DelayedHard { to } => to,
            Reset::Exponential | Reset::Soft | Reset::DelayedSoft => 0.0,
        }
    }

    /// The spike in the reset, detached if it is a constant.
    #[inline(always)]
    pub fn spike<R: Real>(self, spike: R) -> R {
        match self.detached {
            true => spike.constant(),
            false => spike,
        }
    }

    /// `u` after a delayed reset, which fires again at the `v` of the last step.
    #[inline(always)]
    pub fn delayed<R: Real>(self, u: R, v: R, threshold: &R, fire: &impl Fire<R>) -> R {
        match self.reset {
            Reset::DelayedHard { to } => {
                let r = self.spike(fire.fire(v - threshold.clone()));
                u * (-r.clone()).plus(1.0) + r.scale(to)
            }
            Reset::DelayedSoft => {
                u - threshold.clone() * self.spike(fire.fire(v - threshold.clone()))
            }
            Reset::Hard { .. } | Reset::Exponential | Reset::Soft => u,
        }
    }

    /// `v` from `u` and the spike.
    #[inline(always)]
    pub fn left<R: Real>(self, u: &R, spike: &R, threshold: &R) -> R {
        self.left_by(u, spike, spike, threshold)
    }

    /// [`left`](Self::left) for spikes with several values: `any` is 1 if there is a spike.
    #[inline(always)]
    pub fn left_by<R: Real>(self, u: &R, any: &R, spike: &R, threshold: &R) -> R {
        match self.reset {
            Reset::Hard { to } => {
                let any = self.spike(any.clone());
                let kept = u.clone() * (-any.clone()).plus(1.0);
                match to {
                    0.0 => kept,
                    to => kept + any.scale(to),
                }
            }
            Reset::Soft => u.clone() - threshold.clone() * self.spike(spike.clone()),
            Reset::DelayedHard { .. } | Reset::DelayedSoft | Reset::Exponential => u.clone(),
        }
    }
}
