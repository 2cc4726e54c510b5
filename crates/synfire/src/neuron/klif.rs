//! The KLIF neuron.

use super::{
    Decay, EquationConfig, EquationNeuron, ParamInit, Reset, ResetRule, Threshold, decayed,
    scaled_input,
};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`Klif`]. The defaults are those of SpikingJelly's `KLIFNode`,
    /// except for the surrogate, a rectangle.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{KlifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = KlifConfig::new().init(&device)?;
    /// assert_eq!(neuron.num_params(), 1);
    /// let (spikes, _state) = neuron.forward(Tensor::<2>::full([4, 1], 1.5, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct KlifConfig {
        /// The potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned.
        with_decay => decay: Decay = Decay::from(0.5),
        /// Multiplies the input by `1 - decay`.
        with_decay_input => decay_input: bool = true,
        /// Factor of the membrane potential before the neuron fires (`k`).
        with_slope => slope: ParamInit = ParamInit::learned(1.0),
        /// True if the reset acts on the potential before the multiplication by `slope`, which must then not become 0.
        with_scale_reset => scale_reset: bool = false,
        /// The reset of the membrane potential after a spike. The target of a hard reset is also the initial and the resting
        /// potential.
        with_reset => reset: Reset = Reset::HARD,
    }
}

/// Leaky integrate-and-fire neurons that learn the slope of their membrane, and are never below 0, of any shape.
///
/// ```text
/// m[t] = to + decay (v[t-1] - to) + k x[t]      k is 1, or 1 - decay with `decay_input`; `to` is 0 with Reset::Soft
/// u[t] = max(slope m[t], 0)
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]              Reset::Hard
/// v[t] = u[t] - threshold o[t]                  Reset::Soft
/// ```
///
/// With `scale_reset`, `u[t] / slope` and `threshold / slope` replace `u[t]` and `threshold` in the last two lines.
/// It is SpikingJelly's `KLIFNode`, whose `1 - 1 / tau` is `decay`; Jiang and Zhang (2023), *KLIF: An Optimized Spiking
/// Neuron Unit for Tuning Surrogate Gradient Slope and Membrane Potential*.
///
/// Created by [`KlifConfig`].
///
/// State: `v`, the membrane potential.
pub type Klif = EquationNeuron<KlifConfig>;

reset_rule!(KlifConfig);

impl EquationConfig for KlifConfig {
    equations!(Klif: decay, slope, threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        let accepted = !(self.scale_reset && self.slope.values().as_slice().contains(&0.0));
        let expected = "other than 0 where it is divided by";
        InvalidConfig::require(Self::NAME, "slope", 0.0, accepted, expected)?;
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    KlifConfig: [v = self.rule().target()];
    fn step(&self, [decay, slope, threshold], x, fire) {
        let x = scaled_input(self.decay_input, decay, x);
        let m = decayed(self.rule().target(), decay, v) + x;
        let u = (slope.clone() * m).positive();
        let spike = fire.fire(u.clone() - threshold.clone());
        let v = match self.scale_reset {
            true => {
                let threshold = threshold.clone() / slope.clone();
                let scaled = u.clone() / slope.clone();
                self.rule().left(&scaled, &spike, &threshold)
            }
            false => self.rule().left(&u, &spike, threshold),
        };
        let carried = [v];
        Step { carried, u, spike }
    }
}
