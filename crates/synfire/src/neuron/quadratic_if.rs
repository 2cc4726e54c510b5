//! The quadratic integrate-and-fire neuron.

use super::{EquationConfig, EquationNeuron, Reset, ResetRule, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`QuadraticIf`]. The defaults are those of SpikingJelly's `QIFNode`,
    /// except for the surrogate, a rectangle.
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
        /// The resting potential, to which the membrane returns from below `critical`.
        with_rest => rest: f64 = 0.0,
        /// The potential above which it grows without input.
        with_critical => critical: f64 = 0.8,
        /// Strength of the quadratic term, above 0 (`a0`).
        with_strength => strength: f64 = 1.0,
        /// The reset of the membrane potential after a spike. The target of a hard reset is also the initial potential.
        with_reset => reset: Reset = Reset::Hard { to: -0.1 },
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
/// Initially `v` is the target of a hard reset, else 0. It is SpikingJelly's `QIFNode`, whose `v_c` is `critical` and
/// whose `a0` is `strength`; the equation is that of Gerstner et al. (2014), *Neuronal Dynamics*, chapter 5.3.
///
/// The quadratic term may diverge: then the potential becomes infinite, and stays infinite after a soft reset.
///
/// Created by [`QuadraticIfConfig`].
///
/// State: `v`, the membrane potential.
pub type QuadraticIf = EquationNeuron<QuadraticIfConfig>;

reset_rule!(QuadraticIfConfig);

impl EquationConfig for QuadraticIfConfig {
    equations!(QuadraticIf: threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_tau(Self::NAME, "tau", self.tau)?;
        InvalidConfig::require_finite(Self::NAME, "rest", self.rest)?;
        InvalidConfig::require_finite(Self::NAME, "critical", self.critical)?;
        InvalidConfig::require_positive(Self::NAME, "strength", self.strength)?;
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    QuadraticIfConfig: [v = self.rule().target()];
    fn step(&self, [threshold], x, fire) {
        let square = v.clone().plus(-self.rest) * v.clone().plus(-self.critical);
        let u = v + (x + square.scale(self.strength)).scale(1.0 / self.tau);
        let spike = fire.fire(u.clone() - threshold.clone());
        let carried = [self.rule().left(&u, &spike, threshold)];
        Step { carried, u, spike }
    }
}
