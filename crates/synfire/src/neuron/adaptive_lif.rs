//! The leaky integrate-and-fire neuron with an adaptive threshold.

use super::{
    Decay, EquationConfig, EquationNeuron, ParamInit, Reset, ResetRule, Threshold, scaled_input,
};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of an [`AdaptiveLif`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{AdaptiveLifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let config = AdaptiveLifConfig::new().with_decay(0.0).with_adaptation_decay(0.5).with_adaptation(2.0);
    /// let neuron = config.init(&device)?;
    /// // The same input is enough for the first spike, and then not for a while.
    /// let (spikes, _state) = neuron.forward(Tensor::<2>::full([4, 1], 1.0, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct AdaptiveLifConfig {
        /// The membrane potential at which the neuron fires while it has not adapted: a number, one for each channel, or
        /// learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned.
        with_decay => decay: Decay = Decay::from(0.5),
        /// Multiplies the input by `1 - decay`, as in the paper.
        with_decay_input => decay_input: bool = false,
        /// Decay factor of the adaptation per time step, 0 to 1: a number, one for each channel, or learned (`rho`).
        with_adaptation_decay => adaptation_decay: Decay = Decay::from(0.9),
        /// Increase of the threshold at full adaptation: a number, one for each channel, or learned (`beta`).
        with_adaptation => adaptation: ParamInit = ParamInit::from(1.8),
        /// The reset of the membrane potential after a spike.
        with_reset => reset: Reset = Reset::Soft,
    }
}

/// Leaky integrate-and-fire neurons whose threshold rises with their spikes (ALIF), of any shape.
///
/// ```text
/// u[t] = decay v[t-1] + k x[t]                       k is 1, or 1 - decay with `decay_input`
/// B[t] = threshold + adaptation a[t-1]
/// o[t] = 1 if u[t] >= B[t] else 0
/// a[t] = adaptation_decay a[t-1] + (1 - adaptation_decay) o[t]
/// v[t] = u[t] - B[t] o[t]                            Reset::Soft
/// v[t] = u[t] (1 - o[t]) + to o[t]                   Reset::Hard
/// ```
///
/// The neurons of LSNNs: Bellec et al. (2018), *Long Short-Term Memory and Learning-to-Learn in Networks of Spiking Neurons*,
/// whose `alpha` is `decay` (with `decay_input`), whose `rho` is `adaptation_decay` and whose `beta` is `adaptation`. Their
/// surrogate is of `(u - B) / B`, a triangle of dampened height; here it is of `u - B`.
///
/// Created by [`AdaptiveLifConfig`].
///
/// State: `v`, the membrane potential, `a`, the adaptation, a running mean of the spikes.
pub type AdaptiveLif = EquationNeuron<AdaptiveLifConfig>;

reset_rule!(AdaptiveLifConfig);

impl EquationConfig for AdaptiveLifConfig {
    equations!(AdaptiveLif: decay, adaptation_decay, adaptation, threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    AdaptiveLifConfig: [v = 0.0, a = 0.0];
    fn step(&self, [decay, adaptation_decay, adaptation, threshold], x, fire) {
        let x = scaled_input(self.decay_input, decay, x);
        let u = decay.clone() * v + x;
        let raised = threshold.clone() + adaptation.clone() * a.clone();
        let spike = fire.fire(u.clone() - raised.clone());
        let new = (-adaptation_decay.clone()).plus(1.0) * spike.clone();
        let a = adaptation_decay.clone() * a + new;
        let carried = [self.rule().left(&u, &spike, &raised), a];
        Step { carried, u, spike }
    }
}
