//! The complementary leaky integrate-and-fire neuron.

use super::{Decay, EquationConfig, EquationNeuron, Reset, ResetRule, Threshold, scaled_input};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`Clif`]. SpikingJelly calls it `ComplementaryLIFNode`. The defaults are those of the
    /// authors' code.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{ClifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = ClifConfig::new().init(&device)?;
    /// // A spike takes more the more of them there were.
    /// let (spikes, state) = neuron.forward(Tensor::<2>::full([6, 1], 1.25, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]);
    /// assert!(state.get::<2>("m").unwrap().into_scalar::<f32>() > 1.0);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct ClifConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned
        /// (`1 - 1 / tau`).
        with_decay => decay: Decay = Decay::from(0.5),
        /// Multiplies the input by `1 - decay`.
        with_decay_input => decay_input: bool = false,
    }
}

/// Leaky integrate-and-fire neurons with a second, complementary membrane, of any shape: it remembers spikes, decays the less
/// the higher the first one is, and makes a soft reset deeper. Gradients reach further back through it.
///
/// ```text
/// u[t] = decay v[t-1] + k x[t]                        k is 1, or 1 - decay with `decay_input`
/// o[t] = 1 if u[t] >= threshold else 0
/// m[t] = m[t-1] sigmoid((1 - decay) u[t]) + o[t]
/// v[t] = u[t] - o[t] (threshold + sigmoid(m[t]))
/// ```
///
/// Huang et al. (2024), *CLIF: Complementary Leaky Integrate-and-Fire Neuron for Spiking Neural Networks*, whose `gamma` is
/// `decay`.
///
/// Created by [`ClifConfig`].
///
/// State: `v`, the membrane potential; `m`, the complementary one.
pub type Clif = EquationNeuron<ClifConfig>;

impl EquationConfig for ClifConfig {
    equations!(Clif: decay, threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        ResetRule::validate(Self::NAME, Reset::Soft, self.temporal_gradient, false)
    }
}

dynamics! {
    ClifConfig: [v = 0.0, m = 0.0];
    fn step(&self, [decay, threshold], x, fire) {
        let x = scaled_input(self.decay_input, decay, x);
        let u = decay.clone() * v + x;
        let spike = fire.fire(u.clone() - threshold.clone());
        let kept = (decay.clone().complement() * u.clone()).sigmoid();
        let m = m * kept + spike.clone();
        let depth = threshold.clone() + m.clone().sigmoid();
        let rule = ResetRule::new(Reset::Soft, self.temporal_gradient);
        let carried = [rule.left(&u, &spike, &depth), m];
        Step { carried, u, spike }
    }
}
