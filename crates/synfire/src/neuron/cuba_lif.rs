//! The leaky integrate-and-fire neuron with a synaptic current.

use super::{Decay, EquationConfig, EquationNeuron, Reset, ResetRule, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of a [`CubaLif`]. SpikingJelly calls it `CUBALIFNode`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{CubaLifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let config = CubaLifConfig::new().with_synapse_decay(0.5).with_decay(1.0).with_threshold(1.5);
    /// let neuron = config.init(&device)?;
    /// let input = Tensor::<2>::from_floats([[1.0], [0.0], [0.0]], &device);
    /// let (spikes, state) = neuron.forward(input, None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
    /// assert_eq!(state.get::<2>("current").unwrap().into_scalar::<f32>(), 0.25);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct CubaLifConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// Decay factor of the synaptic current per time step, 0 to 1: a number, one for each channel, or learned.
        with_synapse_decay => synapse_decay: Decay = Decay::from(0.5),
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned.
        with_decay => decay: Decay = Decay::from(0.5),
        /// The reset of the membrane potential after a spike; the current is not reset.
        with_reset => reset: Reset = Reset::HARD,
    }
}

/// Leaky integrate-and-fire neurons with a synaptic current (current-based, or second-order, LIF), of any shape.
///
/// ```text
/// i[t] = synapse_decay i[t-1] + x[t]
/// u[t] = decay v[t-1] + i[t]
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// The delayed resets leave `v = u` and act in the next step, where `r` is the spike at `v[t-1]`:
///
/// ```text
/// u[t] = (decay v[t-1] + i[t]) (1 - r) + to r       Reset::DelayedHard
/// u[t] = decay v[t-1] + i[t] - threshold r          Reset::DelayedSoft
/// ```
///
/// With them, [`Forward::StrictStep`](crate::spike::Forward::StrictStep) and
/// [`ResetGradient::Detached`](super::ResetGradient::Detached) it is snnTorch's `Synaptic`, whose `alpha` is `synapse_decay`
/// and whose `beta` is `decay`: `reset_mechanism="zero"` and `"subtract"`.
///
/// Created by [`CubaLifConfig`].
///
/// State: `v`, the membrane potential, `current`, the synaptic current `i`.
pub type CubaLif = EquationNeuron<CubaLifConfig>;

reset_rule!(CubaLifConfig);

impl EquationConfig for CubaLifConfig {
    equations!(CubaLif: synapse_decay, decay, threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, true)
    }
}

dynamics! {
    CubaLifConfig: [v = 0.0, current = 0.0];
    fn step(&self, [synapse_decay, decay, threshold], x, fire) {
        let current = synapse_decay.clone() * current + x;
        let integrated = decay.clone() * v.clone() + current.clone();
        let u = self.rule().delayed(integrated, v, threshold, fire);
        let spike = fire.fire(u.clone() - threshold.clone());
        let carried = [self.rule().left(&u, &spike, threshold), current];
        Step { carried, u, spike }
    }
}
