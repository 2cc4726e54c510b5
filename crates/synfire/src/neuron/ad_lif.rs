//! The leaky integrate-and-fire neuron with a current of adaptation.

use super::{Decay, EquationConfig, EquationNeuron, ParamInit, Reset, ResetRule, Threshold};
use crate::dynamics::Step;
use crate::{InvalidConfig, equation_config};

equation_config! {
    /// Configuration of an [`AdLif`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{AdLifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = AdLifConfig::new().with_decay(0.5).with_b(1.0).init(&device)?;
    /// let (spikes, _state) = neuron.forward(Tensor::<2>::full([6, 1], 3.0, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct AdLifConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned
        /// (`alpha`).
        with_decay => decay: Decay = Decay::from(0.9),
        /// Decay factor of the adaptation per time step, 0 to 1: a number, one for each channel, or learned (`beta`).
        with_adaptation_decay => adaptation_decay: Decay = Decay::from(0.95),
        /// Coupling of the adaptation to the membrane potential: a number, one for each channel, or learned.
        with_a => a: ParamInit = ParamInit::from(0.0),
        /// Increment of the adaptation by a spike: a number, one for each channel, or learned.
        with_b => b: ParamInit = ParamInit::from(1.0),
        /// The reset of the membrane potential after a spike.
        with_reset => reset: Reset = Reset::Soft,
    }
}

/// Leaky integrate-and-fire neurons with a current of adaptation that follows membrane and spikes (adLIF), of any shape.
///
/// ```text
/// u[t] = decay v[t-1] + (1 - decay) (x[t] - w[t-1])
/// o[t] = 1 if u[t] >= threshold else 0
/// w[t] = adaptation_decay w[t-1] + a u[t] + b o[t]
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// ```
///
/// Bittar and Garner (2022), *A Surrogate Gradient Spiking Baseline for Speech Command Recognition*, whose `alpha` is `decay`
/// and whose `beta` is `adaptation_decay`. They learn all four numbers of each neuron, from `a` in `[-1, 1]`, `b` in `[0, 2]`,
/// `alpha` in `[e^(-1/5), e^(-1/25)]` and `beta` in `[e^(-1/30), e^(-1/120)]` on, and start from potentials at random; here it
/// starts from 0.
///
/// Created by [`AdLifConfig`].
///
/// State: `v`, the membrane potential, `w`, the adaptation.
pub type AdLif = EquationNeuron<AdLifConfig>;

reset_rule!(AdLifConfig);

impl EquationConfig for AdLifConfig {
    equations!(AdLif: decay, adaptation_decay, a, b, threshold);

    fn check(&self) -> Result<(), InvalidConfig> {
        ResetRule::validate(Self::NAME, self.reset, self.temporal_gradient, false)
    }
}

dynamics! {
    AdLifConfig: [v = 0.0, w = 0.0];
    fn step(&self, [decay, adaptation_decay, a, b, threshold], x, fire) {
        let u = decay.clone() * v + (-decay.clone()).plus(1.0) * (x - w.clone());
        let spike = fire.fire(u.clone() - threshold.clone());
        let new = a.clone() * u.clone() + b.clone() * spike.clone();
        let w = adaptation_decay.clone() * w + new;
        let carried = [self.rule().left(&u, &spike, threshold), w];
        Step { carried, u, spike }
    }
}
