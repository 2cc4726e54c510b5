//! The leaky integrate-and-fire neuron.

use std::fmt::Display;

use super::{
    Decay, EquationConfig, EquationNeuron, Parameter, Reset, ResetGradient, ResetRule, Spikes,
    TemporalGradient, Threshold,
};
use crate::dynamics::{Dynamics, Equations, Fire, Real, Step};
use crate::ops::{Keep, LifKernel};
use crate::{InvalidConfig, equation_config};

/// Below it a learned decay does not fall where it is divided by.
const LOWEST_LEARNED: f64 = 1e-3;

equation_config! {
    /// Configuration of a [`Lif`] neuron.
    ///
    /// Threshold, decay, weights and surrogate width must fit each other: with PyTorch-like weights (uniform in
    /// `+-1/sqrt(fan-in)`) and these defaults a network is alive from the start; with the paper's literal threshold of
    /// 1.5 no neuron may ever fire.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire::neuron::{LifConfig, Reset};
    ///
    /// let device = Device::default();
    /// let lif = LifConfig::new().with_reset(Reset::Exponential).with_decay(0.1).init(&device)?;
    /// let error = LifConfig::new().with_decay(1.5).init(&device).unwrap_err();
    /// assert_eq!(error.to_string(), "invalid `decay` of Lif: 1.5, expected a number from 0 to 1");
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct LifConfig {
        /// The membrane potential at which the neuron fires (paper: `V_th`): a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// The part of the membrane potential that is left after one time step, 0 to 1 (paper: `tau`): a number, one
        /// for each channel, or learned. An exponential gate divides by it: there it must be at least 1e-37 and, where
        /// it is learned, at least 1e-3, below which it is kept from falling.
        with_decay => decay: Decay = Decay::from(0.2),
        /// The membrane potential without input, to which it decays and at which it starts. 0 with the paper's gates and
        /// their gradients.
        with_rest => rest: f64 = 0.0,
        /// Multiplies the input by `1 - decay`, as in SpikingJelly by default.
        with_decay_input => decay_input: bool = false,
        /// The reset of the membrane potential after a spike.
        with_reset => reset: Reset = Reset::HARD,
        /// The tensors that a fused kernel saves for backward.
        #[serde(default)]
        with_keep => keep: Keep = Keep::Least,
        /// The kinds of spikes.
        #[serde(default)]
        with_spikes => spikes: Spikes = Spikes::Binary,
    }
}

/// Leaky integrate-and-fire neurons, of any shape.
///
/// ```text
/// u[t] = rest + decay (v[t-1] - rest) + k x[t]      v before the first step is `rest`
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]                  Reset::Hard
/// v[t] = u[t] e^(-o[t] / decay)                     Reset::Exponential
/// v[t] = u[t] - threshold o[t]                      Reset::Soft
/// v[t] = u[t]                                       Reset::DelayedHard, Reset::DelayedSoft: see there
/// ```
///
/// Spikes may be of more than one kind, see [`Spikes`].
///
/// `x` is the synaptic input including bias; `k` is 1, or `1 - decay` with `decay_input`. This is the iterative LIF
/// model of Wu et al. (2018), with `decay = tau`; in the backward pass the spike's derivative is the surrogate's at
/// `u - threshold`.
///
/// Decay and threshold are fixed or learned, one for all neurons, one for each channel, which is axis 2 of the input, or one
/// for each neuron. What is learned is saved with the weights.
///
/// Created by [`LifConfig`] or [`IfConfig`](super::IfConfig). State: `v`.
pub type Lif = EquationNeuron<LifConfig>;

impl LifConfig {
    /// The parametric leaky integrate-and-fire neuron (PLIF) of Fang et al. (2021): the membrane time constant, `tau`
    /// steps at the start, is learned as `1/tau = sigmoid(w)`, and the input is scaled by `1/tau`. (Their later code can
    /// leave the input as it is: `with_decay_input(false)`.) Everything else is as in [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// If `tau` is not a number above 1, at most 1e6.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::tensor::Device;
    /// use synfire::neuron::LifConfig;
    ///
    /// let plif = LifConfig::plif(2.0)?.with_threshold(1.0).init(&Device::default())?;
    /// assert_eq!(plif.num_params(), 1);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn plif(tau: f64) -> Result<Self, InvalidConfig> {
        if !(tau > 1.0 && tau <= 1e6) {
            let expected = "a number above 1, at most 1e6";
            return Err(InvalidConfig::new("Lif", "tau", tau, expected));
        }
        Ok(Self::new()
            .with_decay(Decay::sigmoid(1.0 - 1.0 / tau))
            .with_decay_input(true))
    }

    /// `v` after the decay of one step.
    #[inline(always)]
    fn decayed<R: Real>(&self, v: R, decay: &R) -> R {
        match self.rest {
            0.0 => decay.clone() * v,
            rest => (decay.clone() * v.plus(-rest)).plus(rest),
        }
    }

    /// True if the equations divide by the decay.
    fn has_exponential(&self) -> bool {
        self.reset == Reset::Exponential
            || self.temporal_gradient == TemporalGradient::Full(ResetGradient::Exponential)
    }
}

impl EquationConfig for LifConfig {
    const NAME: &'static str = "Lif";

    fn parameters(&self) -> Vec<Parameter> {
        // The exponential gate divides by the decay, and its derivative by the square of it.
        let lowest = match self.has_exponential() {
            true => LOWEST_LEARNED,
            false => 0.0,
        };
        vec![
            self.decay.named("decay").with_lowest(lowest),
            self.threshold.named("threshold"),
        ]
    }

    fn equations(&self) -> Equations {
        Equations::new(self.clone())
    }

    fn kernel(&self) -> Option<LifKernel> {
        LifKernel::new(self)
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_finite("Lif", "rest", self.rest)?;
        if self.spikes != Spikes::Binary {
            self.spikes.validate("Lif")?;
            ResetRule::validate("Lif", self.reset, self.temporal_gradient, false)?;
        }
        if let Reset::Hard { to } | Reset::DelayedHard { to } = self.reset {
            InvalidConfig::require_finite("Lif", "reset.to", to)?;
        }
        let invalid = |field, value: &dyn Display, expected| {
            Err(InvalidConfig::new("Lif", field, value, expected))
        };

        let gate_gradient = matches!(
            self.temporal_gradient,
            TemporalGradient::Full(ResetGradient::Linear | ResetGradient::Exponential)
        );
        let gate = gate_gradient || self.reset == Reset::Exponential;
        if gate && self.rest != 0.0 {
            let expected = "0 for the paper's gates and their gradients";
            return invalid("rest", &self.rest, expected);
        }
        match self.reset {
            Reset::Hard { to } if gate && to != 0.0 => {
                return invalid("reset.to", &to, "0 for the gradients of the paper's gates");
            }
            Reset::Soft | Reset::DelayedHard { .. } | Reset::DelayedSoft if gate => {
                return invalid(
                    "temporal_gradient",
                    &format!("{:?}", self.temporal_gradient),
                    "exact, detached or off for a soft or delayed reset",
                );
            }
            _ => {}
        }
        let (lowest, expected) = match self.decay {
            Decay::Fixed(_) => (1e-37, "at least 1e-37 for an exponential gate"),
            _ => (
                LOWEST_LEARNED,
                "at least 0.001 for an exponential gate that is learned",
            ),
        };
        let decays = self.decay.values().as_slice();
        match decays.iter().find(|decay| **decay < lowest) {
            Some(decay) if self.has_exponential() => invalid("decay", decay, expected),
            _ => Ok(()),
        }
    }
}

/// The exponential gate, `e^(-o / decay)`.
#[inline(always)]
fn exponential<R: Real>(spike: R, decay: &R) -> R {
    (-(spike / decay.clone())).exp()
}

impl Dynamics<1, 2> for LifConfig {
    const CARRIED: [&'static str; 1] = ["v"];

    fn rest(&self) -> [f64; 1] {
        [self.rest]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, threshold]: &[R; 2],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        let rule = ResetRule::new(self.reset, self.temporal_gradient);
        let x = match self.decay_input {
            true => decay.clone().complement() * x,
            false => x,
        };
        let carried = match self.reset {
            Reset::DelayedHard { .. } => {
                let kept = rule.delayed(v.clone(), v, threshold, fire);
                self.decayed(kept, decay)
            }
            Reset::DelayedSoft => rule.delayed(self.decayed(v.clone(), decay), v, threshold, fire),
            Reset::Hard { .. } | Reset::Exponential | Reset::Soft => self.decayed(v, decay),
        };
        let u = carried + x;
        let (spike, any) = self.spikes.fire(&u, threshold, fire);
        // The derivative of another gate by the spike.
        let slope = match (self.temporal_gradient, self.reset) {
            (TemporalGradient::Full(ResetGradient::Linear), Reset::Exponential) => Some(-u.clone()),
            (TemporalGradient::Full(ResetGradient::Exponential), Reset::Hard { .. }) => {
                let gate = exponential(spike.clone(), decay);
                Some(-(u.clone() * (gate / decay.clone())))
            }
            _ => None,
        };
        let (in_reset, any) = match slope {
            None => (spike.clone(), any),
            Some(_) => (spike.clone().constant(), any.constant()),
        };
        let v = match self.reset {
            Reset::Exponential => u.clone() * exponential(rule.spike(in_reset), decay),
            _ => rule.left_by(&u, &any, &in_reset, threshold),
        };
        let v = match slope {
            None => v,
            // Zero, with a derivative of 1.
            Some(slope) => v + slope.constant() * (spike.clone() - spike.clone().constant()),
        };
        Step {
            carried: [v],
            u,
            spike,
        }
    }
}
