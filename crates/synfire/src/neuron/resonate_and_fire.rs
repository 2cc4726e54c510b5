//! The resonate-and-fire neuron.

use super::{EquationConfig, EquationNeuron, ParamInit, Reset, ResetRule, Threshold};
use crate::dynamics::{Real, Step, Term};
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`ResonateAndFire`] neuron. The defaults are those of SpikingJelly's `RAFNode`,
    /// except for the surrogate, a rectangle.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{Neuron, ResonateAndFireConfig};
    ///
    /// let device = Device::default();
    /// let neuron = ResonateAndFireConfig::new().with_frequency(1.5).with_threshold(0.75).init(&device)?;
    /// // One input makes the membrane swing, up to a spike in the next step.
    /// let input = Tensor::<2>::from_floats([[1.0], [0.0], [0.0]], &device);
    /// let (spikes, _state) = neuron.forward(input, None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct ResonateAndFireConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// Exponential growth rate of the oscillation, at most 0: a number, one for each channel, or learned (`b`).
        with_damping => damping: ParamInit = ParamInit::from(-0.2),
        /// Angular frequency in radians per unit of time: a number, one for each channel, or learned (`omega`).
        with_frequency => frequency: ParamInit = ParamInit::from(1.0),
        /// A time step in units of time, above 0.
        with_dt => dt: f64 = 1.0,
        /// The reset of the membrane potential after a spike; the current is not reset. The target of a hard reset is also
        /// the initial potential.
        with_reset => reset: Reset = Reset::HARD,
    }
}

/// Resonate-and-fire neurons, of any shape: membrane and current oscillate, and respond most to an input at their own
/// frequency.
///
/// ```text
/// c[t] = e^(damping dt) (c[t-1] cos(frequency dt) - v[t-1] sin(frequency dt)) + x[t]
/// u[t] = e^(damping dt) (c[t-1] sin(frequency dt) + v[t-1] cos(frequency dt))
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// Izhikevich (2001), *Resonate-and-Fire Neurons*, with an exact rotation per step. It is SpikingJelly's `RAFNode`, whose `b`
/// is `damping`, whose `omega` is `frequency` and whose `u` is `c`.
///
/// Created by [`ResonateAndFireConfig`].
///
/// State: `v`, the membrane potential, the imaginary part, `current`, the current `c`, the real part.
pub type ResonateAndFire = EquationNeuron<ResonateAndFireConfig>;

reset_rule!(ResonateAndFireConfig);

impl EquationConfig for ResonateAndFireConfig {
    equations!(ResonateAndFire: damping, frequency, threshold);

    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term> {
        let [damping, frequency, threshold] = parameters.try_into().expect("three parameters");
        let left = damping.scale(self.dt).exp();
        let angle = frequency.scale(self.dt);
        let (cos, sin) = (angle.clone().cos(), angle.sin());
        vec![left.clone() * cos, left * sin, threshold]
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        for damping in self.damping.values().as_slice() {
            let expected = "at most 0, so that the swing does not grow";
            InvalidConfig::require(Self::NAME, "damping", damping, *damping <= 0.0, expected)?;
        }
        InvalidConfig::require_positive(Self::NAME, "dt", self.dt)?;
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    ResonateAndFireConfig: [v = self.rule().target(), current = 0.0];
    fn step(&self, [cos, sin, threshold], x, fire) {
        let u = sin.clone() * current.clone() + cos.clone() * v.clone();
        let current = cos.clone() * current - sin.clone() * v + x;
        let spike = fire.fire(u.clone() - threshold.clone());
        let carried = [self.rule().left(&u, &spike, threshold), current];
        Step { carried, u, spike }
    }
}
