//! Izhikevich's neuron.

use super::{EquationConfig, EquationNeuron, Reset, ResetRule, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of an [`Izhikevich`] neuron. The defaults are those of SpikingJelly's `IzhikevichNode`, whose recovery
    /// does nothing unless `a` or `b` is set.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{IzhikevichConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = IzhikevichConfig::new().with_b(0.5).init(&device)?;
    /// let (spikes, state) = neuron.forward(Tensor::<2>::full([9, 1], 1.2, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0., 1., 0., 0., 1., 0., 0., 1., 0.]);
    /// assert!(state.get::<2>("w").unwrap().into_scalar::<f32>() > 0.0);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct IzhikevichConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// The membrane's time constant in steps, above 1.
        with_tau => tau: f64 = 2.0,
        /// The resting potential, to which the membrane returns from below `critical`.
        with_rest => rest: f64 = -0.1,
        /// The potential above which it grows without input (`v_c`).
        with_critical => critical: f64 = 0.8,
        /// Strength of the quadratic term, above 0 (`a0`).
        with_strength => strength: f64 = 1.0,
        /// The recovery's time constant in steps, at least 1.
        with_tau_recovery => tau_recovery: f64 = 2.0,
        /// Coupling of the recovery to the membrane potential.
        with_a => a: f64 = 0.0,
        /// Increment of the recovery by a spike.
        with_b => b: f64 = 0.0,
        /// The reset of the membrane potential after a spike. The target of a hard reset is also the initial potential.
        with_reset => reset: Reset = Reset::HARD,
    }
}

/// Izhikevich's neurons, of any shape: a quadratic membrane and a recovery that follows it and its spikes.
///
/// ```text
/// u[t] = v[t-1] + (x[t] + strength (v[t-1] - rest) (v[t-1] - critical) - w[t-1]) / tau
/// o[t] = 1 if u[t] >= threshold else 0
/// w[t] = w[t-1] + (a (u[t] - rest) - w[t-1]) / tau_recovery + b o[t]
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// Initially `v` is the target of a hard reset, else 0, and `w` is 0. It is SpikingJelly's `IzhikevichNode`; the model
/// is that of Izhikevich (2003), *Simple Model of Spiking Neurons*. The spike in the recovery has a gradient of its own, also
/// where that in the reset is detached.
///
/// Created by [`IzhikevichConfig`].
///
/// State: `v`, the membrane potential, `w`, the recovery.
pub type Izhikevich = EquationNeuron<IzhikevichConfig>;

reset_rule!(IzhikevichConfig);

impl EquationConfig for IzhikevichConfig {
    equations!(Izhikevich: threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_tau(Self::NAME, "tau", self.tau)?;
        for (field, value) in [
            ("rest", self.rest),
            ("critical", self.critical),
            ("a", self.a),
            ("b", self.b),
        ] {
            InvalidConfig::require_finite(Self::NAME, field, value)?;
        }
        InvalidConfig::require_positive(Self::NAME, "strength", self.strength)?;
        let tau = self.tau_recovery;
        let accepted = (1.0..=1e37).contains(&tau);
        let expected = "a number from 1 to 1e37";
        InvalidConfig::require(Self::NAME, "tau_recovery", tau, accepted, expected)?;
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    IzhikevichConfig: [v = self.rule().target(), w = 0.0];
    fn step(&self, [threshold], x, fire) {
        let square = v.clone().plus(-self.rest) * v.clone().plus(-self.critical);
        let pull = x + square.scale(self.strength) - w.clone();
        let u = v + pull.scale(1.0 / self.tau);
        let spike = fire.fire(u.clone() - threshold.clone());
        let towards = u.clone().plus(-self.rest).scale(self.a) - w.clone();
        let w = w + towards.scale(1.0 / self.tau_recovery) + spike.clone().scale(self.b);
        let carried = [self.rule().left(&u, &spike, threshold), w];
        Step { carried, u, spike }
    }
}
