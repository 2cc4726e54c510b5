//! The exponential integrate-and-fire neuron.

use super::{EquationConfig, EquationNeuron, Reset, ResetRule, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of an [`ExponentialIf`]. The defaults are those of SpikingJelly's `EIFNode`,
    /// except for the surrogate, a rectangle.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{ExponentialIfConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = ExponentialIfConfig::new().init(&device)?;
    /// let (spikes, _state) = neuron.forward(Tensor::<2>::full([4, 1], 0.9, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct ExponentialIfConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// The membrane's time constant in steps, above 1.
        with_tau => tau: f64 = 2.0,
        /// The resting potential, without the exponential term.
        with_rest => rest: f64 = 0.0,
        /// The potential at which the exponential takes over (`theta_rh`, the rheobase threshold).
        with_rheobase => rheobase: f64 = 0.8,
        /// The potential over which the exponential grows by `e`, above 0 (`Delta_T`).
        with_sharpness => sharpness: f64 = 1.0,
        /// The reset of the membrane potential after a spike. The target of a hard reset is also the initial potential.
        with_reset => reset: Reset = Reset::Hard { to: -0.1 },
    }
}

/// Exponential integrate-and-fire neurons, of any shape.
///
/// ```text
/// u[t] = v[t-1] + (x[t] + rest - v[t-1] + sharpness e^((v[t-1] - rheobase) / sharpness)) / tau
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// Initially `v` is the target of a hard reset, else 0. It is SpikingJelly's `EIFNode`, whose `theta_rh` is
/// `rheobase` and whose `delta_T` is `sharpness`; the equation is that of Fourcaud-Trocmé et al. (2003), *How Spike Generation
/// Mechanisms Determine the Neuronal Response to Fluctuating Inputs*.
///
/// Created by [`ExponentialIfConfig`].
///
/// State: `v`, the membrane potential.
pub type ExponentialIf = EquationNeuron<ExponentialIfConfig>;

reset_rule!(ExponentialIfConfig);

impl EquationConfig for ExponentialIfConfig {
    equations!(ExponentialIf: threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_tau(Self::NAME, "tau", self.tau)?;
        InvalidConfig::require_finite(Self::NAME, "rest", self.rest)?;
        InvalidConfig::require_finite(Self::NAME, "rheobase", self.rheobase)?;
        InvalidConfig::require_positive(Self::NAME, "sharpness", self.sharpness)?;
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    ExponentialIfConfig: [v = self.rule().target()];
    fn step(&self, [threshold], x, fire) {
        let above = v.clone().plus(-self.rheobase).scale(1.0 / self.sharpness);
        let pull = x + above.exp().scale(self.sharpness) - v.clone().plus(-self.rest);
        let u = v + pull.scale(1.0 / self.tau);
        let spike = fire.fire(u.clone() - threshold.clone());
        let carried = [self.rule().left(&u, &spike, threshold)];
        Step { carried, u, spike }
    }
}
