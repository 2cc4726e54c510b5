//! The quadratic integrate-and-fire neuron.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
    /// Configuration of a [`QuadraticIf`]. The defaults are those of SpikingJelly's `QIFNode`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, QuadraticIfConfig};
    ///
    /// let device = Device::default();
    /// let neuron = QuadraticIfConfig::new().init(&device)?;
    /// let (spikes, _state) = neuron.forward(Tensor::<2>::full([6, 1], 1.0, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct QuadraticIfConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// The membrane's time constant in steps, above 1.
        with_tau => tau: f64 = 2.0,
        /// The potential to which it goes back below `critical`.
        with_rest => rest: f64 = 0.0,
        /// The potential above which it grows without input.
        with_critical => critical: f64 = 0.8,
        /// How strongly the potential acts on itself, above 0 (`a0`).
        with_strength => strength: f64 = 1.0,
        /// What a spike does to the membrane potential. Where a hard reset ends, there the neuron starts.
        with_reset => reset: Reset = Reset::Hard { to: -0.1 },
    }
}

impl QuadraticIfConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "QuadraticIf";
        self.threshold.validate(OWNER, "threshold")?;
        InvalidConfig::require_tau(OWNER, "tau", self.tau)?;
        InvalidConfig::require_finite(OWNER, "rest", self.rest)?;
        InvalidConfig::require_finite(OWNER, "critical", self.critical)?;
        InvalidConfig::require_positive(OWNER, "strength", self.strength)?;
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a potential is not a number from -1e37 to 1e37, `tau` not one above 1 or `strength` not one above 0, at most 1e37,
    /// the reset is not hard or soft, or its gradient that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<QuadraticIf, InvalidConfig> {
        self.validate()?;
        Ok(QuadraticIf {
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
    }
}

/// Quadratic integrate-and-fire neurons, of any shape.
///
/// ```text
/// u[t] = v[t-1] + (x[t] + strength (v[t-1] - rest) (v[t-1] - critical)) / tau
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// Before the first step `v` is where a hard reset ends, or 0. It is SpikingJelly's `QIFNode`, whose `v_c` is `critical` and
/// whose `a0` is `strength`; the equation is that of Gerstner et al. (2014), *Neuronal Dynamics*, chapter 5.3.
///
/// The square may run away: where it does, the potential becomes infinite, and after a soft reset stays so.
///
/// Created by [`QuadraticIfConfig`].
#[derive(Module, Debug)]
pub struct QuadraticIf {
    threshold: Coefficient,
    #[module(skip)]
    config: QuadraticIfConfig,
}

neuron_state! {
    /// What a step of a [`QuadraticIf`] leaves, `[1, B, ...]`. Saved and loaded by serde.
    pub struct QuadraticIfState {
        /// The membrane potential `v`.
        v,
    }
}

neuron_by_equations!(QuadraticIf, QuadraticIfConfig, QuadraticIfState);

impl QuadraticIf {
    fn equations(&self) -> QuadraticIfEquations {
        let config = &self.config;
        QuadraticIfEquations {
            tau: config.tau,
            rest: config.rest,
            critical: config.critical,
            strength: config.strength,
            rule: ResetRule::new(config.reset, config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 1] {
        let threshold = &self.threshold;
        [threshold.tensor("QuadraticIf: the threshold", sequence, device)]
    }
}

/// The equations of a [`QuadraticIf`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuadraticIfEquations {
    tau: f64,
    rest: f64,
    critical: f64,
    strength: f64,
    rule: ResetRule,
}

impl Dynamics<1, 1> for QuadraticIfEquations {
    fn rest(&self) -> [f64; 1] {
        [self.rule.target()]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [threshold]: &[R; 1],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        let square = v.clone().plus(-self.rest) * v.clone().plus(-self.critical);
        let u = v + (x + square.scale(self.strength)).scale(1.0 / self.tau);
        let spike = fire.fire(u.clone() - threshold.clone());
        Step {
            carried: [self.rule.left(&u, &spike, threshold)],
            u,
            spike,
        }
    }
}
