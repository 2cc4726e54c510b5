//! The leaky integrate-and-fire neuron.

use serde::{Deserialize, Serialize};

use super::{
    Decay, EquationConfig, EquationNeuron, Parameter, Reset, ResetGradient, ResetRule, Spikes,
    TemporalGradient, Threshold, decayed, scaled_input,
};
use crate::dynamics::{Equations, Fire, Real, Step};
use crate::ops::{Keep, LifKernel};
use crate::spike::Forward;
use crate::surrogate::Surrogate;
use crate::{InvalidConfig, equation_config};

/// The lowest value of a learned decay that the equations divide by.
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
        /// Decay factor of the membrane potential per time step, 0 to 1 (paper: `tau`): a number, one for each channel, or
        /// learned. An exponential gate divides by it: then it must be at least 1e-37, and a learned one at least 1e-3,
        /// where it is clamped.
        with_decay => decay: Decay = Decay::from(0.2),
        /// The resting potential, to which the membrane decays and at which it starts. 0 with the paper's gates and their
        /// gradients.
        with_rest => rest: f64 = 0.0,
        /// Multiplies the input by `1 - decay`, as in SpikingJelly by default.
        with_decay_input => decay_input: bool = false,
        /// The reset of the membrane potential after a spike.
        with_reset => reset: Reset = Reset::HARD,
        /// The tensors that a fused kernel saves for backward.
        with_keep => keep: Keep = Keep::Least,
        /// The kinds of spikes.
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
/// for each neuron. Learned parameters are saved with the weights.
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
        let tau = Self::time_constant(tau)?;
        Ok(Self::new()
            .with_decay(Decay::sigmoid(1.0 - 1.0 / tau))
            .with_decay_input(true))
    }

    /// snnTorch's `Leaky(beta)` with its default options and `surrogate.atan()`: threshold 1, fired above; the threshold is
    /// subtracted one step later, and no gradient goes through that.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire::neuron::{Decay, LifConfig, Reset};
    ///
    /// let device = Device::default();
    /// let leaky = LifConfig::snntorch_leaky(0.95).init(&device)?;
    /// // Leaky(beta=0.9, learn_beta=True, reset_mechanism="zero")
    /// let leaky = LifConfig::snntorch_leaky(Decay::learned(0.9))
    ///     .with_reset(Reset::DelayedHard { to: 0.0 })
    ///     .init(&device)?;
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn snntorch_leaky(beta: impl Into<Decay>) -> Self {
        Self::new()
            .with_threshold(1.0)
            .with_decay(beta)
            .with_reset(Reset::DelayedSoft)
            .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
            .with_surrogate(Surrogate::atan(2.0).expect("2 is a valid alpha"))
            .with_forward(Forward::StrictStep)
    }

    /// SpikingJelly's `LIFNode(tau)` with its default options: threshold 1, a hard reset to 0, the input scaled by `1/tau`,
    /// `surrogate.Sigmoid()`.
    ///
    /// # Errors
    ///
    /// If `tau` is not a number above 1, at most 1e6.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use synfire::neuron::{LifConfig, Reset};
    /// use synfire::surrogate::Surrogate;
    ///
    /// // LIFNode(tau=2.0, v_reset=None, surrogate_function=surrogate.ATan())
    /// let lif = LifConfig::spikingjelly(2.0)?
    ///     .with_reset(Reset::Soft)
    ///     .with_surrogate(Surrogate::atan(2.0)?)
    ///     .init(&Device::default())?;
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn spikingjelly(tau: f64) -> Result<Self, InvalidConfig> {
        Ok(Self::new()
            .with_threshold(1.0)
            .with_decay(1.0 - 1.0 / Self::time_constant(tau)?)
            .with_decay_input(true)
            .with_surrogate(Surrogate::sigmoid(0.25).expect("0.25 is a valid width")))
    }

    /// Checks a membrane time constant, in steps.
    fn time_constant(tau: f64) -> Result<f64, InvalidConfig> {
        let accepted = tau > 1.0 && tau <= 1e6;
        InvalidConfig::require("Lif", "tau", tau, accepted, "a number above 1, at most 1e6")
    }
}

impl EquationConfig for LifConfig {
    const NAME: &'static str = "Lif";

    fn parameters(&self) -> Vec<Parameter> {
        // The exponential gate divides by the decay, and its derivative by the square of it.
        let lowest = match LifEquations::of(self).has_exponential() {
            true => LOWEST_LEARNED,
            false => 0.0,
        };
        vec![
            self.decay.named("decay").with_lowest(lowest),
            self.threshold.named("threshold"),
        ]
    }

    fn equations(&self) -> Equations {
        Equations::new(LifEquations::of(self))
    }

    fn kernel(&self) -> Option<LifKernel> {
        let strict = match self.forward {
            Forward::Step => false,
            Forward::StrictStep => true,
            Forward::Smooth => return None,
        };
        (self.spikes == Spikes::Binary).then(|| LifKernel {
            equations: LifEquations::of(self),
            surrogate: self.surrogate,
            strict,
            keep: self.keep,
        })
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
        let exponential = LifEquations::of(self).has_exponential();
        let linear = TemporalGradient::Full(ResetGradient::Linear);
        if exponential || self.temporal_gradient == linear {
            let expected = "0 for the paper's gates and their gradients";
            InvalidConfig::require("Lif", "rest", self.rest, self.rest == 0.0, expected)?;
            match self.reset {
                Reset::Hard { to } => {
                    let expected = "0 for the gradients of the paper's gates";
                    InvalidConfig::require("Lif", "reset.to", to, to == 0.0, expected)?;
                }
                Reset::Exponential => {}
                Reset::Soft | Reset::DelayedHard { .. } | Reset::DelayedSoft => {
                    let field = "temporal_gradient";
                    let found = format!("{:?}", self.temporal_gradient);
                    let expected = "exact, detached or off for a soft or delayed reset";
                    return Err(InvalidConfig::new("Lif", field, found, expected));
                }
            }
        }
        let (lowest, expected) = match self.decay {
            Decay::Fixed(_) => (1e-37, "at least 1e-37 for an exponential gate"),
            _ => (
                LOWEST_LEARNED,
                "at least 0.001 for an exponential gate that is learned",
            ),
        };
        for decay in self.decay.values().as_slice() {
            let accepted = !exponential || *decay >= lowest;
            InvalidConfig::require("Lif", "decay", *decay, accepted, expected)?;
        }
        Ok(())
    }
}

/// The equations of [`Lif`] neurons.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LifEquations {
    pub rest: f64,
    pub decay_input: bool,
    pub reset: Reset,
    pub gradient: TemporalGradient,
    pub spikes: Spikes,
}

/// The parameters of [`LifEquations`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LifTerms<R> {
    pub decay: R,
    pub threshold: R,
    /// The gate after a spike of 1, if it was computed before.
    pub gate: Option<R>,
}

impl LifEquations {
    fn of(config: &LifConfig) -> Self {
        Self {
            rest: config.rest,
            decay_input: config.decay_input,
            reset: config.reset,
            gradient: config.temporal_gradient,
            spikes: config.spikes,
        }
    }

    /// True if they divide by the decay.
    pub fn has_exponential(&self) -> bool {
        self.reset == Reset::Exponential
            || self.gradient == TemporalGradient::Full(ResetGradient::Exponential)
    }

    /// True if a step fires again at the `v` of the last step (delayed reset), with a gradient.
    pub fn fires_again(&self) -> bool {
        self.reset.is_delayed() && !self.rule().is_detached()
    }

    #[inline(always)]
    fn rule(&self) -> ResetRule {
        ResetRule::new(self.reset, self.gradient)
    }

    /// `u`, from `v` and the input.
    #[inline(always)]
    pub fn integrate<R: Real>(&self, terms: &LifTerms<R>, v: R, x: R, fire: &impl Fire<R>) -> R {
        let LifTerms {
            decay, threshold, ..
        } = terms;
        let carried = match self.reset {
            Reset::DelayedHard { .. } => {
                let kept = self.rule().delayed(v.clone(), v, threshold, fire);
                decayed(self.rest, decay, kept)
            }
            Reset::DelayedSoft => {
                let decayed = decayed(self.rest, decay, v.clone());
                self.rule().delayed(decayed, v, threshold, fire)
            }
            Reset::Hard { .. } | Reset::Exponential | Reset::Soft => decayed(self.rest, decay, v),
        };
        carried + scaled_input(self.decay_input, decay, x)
    }

    /// The spike and `v`, from `u`.
    #[inline(always)]
    pub fn fire<R: Real>(&self, terms: &LifTerms<R>, u: &R, fire: &impl Fire<R>) -> (R, R) {
        let (spike, any) = self.spikes.fire(u, &terms.threshold, fire);
        // The derivative of another gate by the spike.
        let slope = match (self.gradient, self.reset) {
            (TemporalGradient::Full(ResetGradient::Linear), Reset::Exponential) => -u.clone(),
            (TemporalGradient::Full(ResetGradient::Exponential), Reset::Hard { .. }) => {
                -(u.clone() * (terms.gate(spike.clone()) / terms.decay.clone()))
            }
            _ => {
                let v = self.left(terms, u, any, spike.clone());
                return (spike, v);
            }
        };
        let v = self.left(terms, u, any.constant(), spike.clone().constant());
        let v = v + slope.constant() * zero_of(&spike);
        (spike, v)
    }

    /// `v` after reset, from `u` and the spike; `any` is 1 if there is one.
    #[inline(always)]
    fn left<R: Real>(&self, terms: &LifTerms<R>, u: &R, any: R, spike: R) -> R {
        match self.reset {
            Reset::Exponential => u.clone() * terms.gate(self.rule().spike(spike)),
            _ => self.rule().left_by(u, &any, &spike, &terms.threshold),
        }
    }
}

/// Zero, with the derivatives of a number.
#[inline(always)]
fn zero_of<R: Real>(number: &R) -> R {
    number.clone() - number.clone().constant()
}

impl<R: Real> LifTerms<R> {
    /// The exponential gate, `e^(-o / decay)`.
    #[inline(always)]
    fn gate(&self, spike: R) -> R {
        let Some(gate) = &self.gate else {
            return (-(spike / self.decay.clone())).exp();
        };
        let one = gate.clone().constant().scale(0.0).plus(1.0);
        let gate = spike.clone().select(gate.clone(), one);
        let slope = -(gate.clone() / self.decay.clone()).constant();
        gate + slope * zero_of(&spike)
    }
}

dynamics! {
    LifEquations: [v = self.rest];
    fn step(&self, [decay, threshold], x, fire) {
        let terms = LifTerms {
            decay: decay.clone(),
            threshold: threshold.clone(),
            gate: None,
        };
        let u = self.integrate(&terms, v, x, fire);
        let (spike, v) = self.fire(&terms, &u, fire);
        let carried = [v];
        Step { carried, u, spike }
    }
}
