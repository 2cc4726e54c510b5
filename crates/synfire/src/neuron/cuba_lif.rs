//! The leaky integrate-and-fire neuron with a synaptic current.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Decay, Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
    /// Configuration of a [`CubaLif`].
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
    /// assert_eq!(state.current.into_scalar::<f32>(), 0.25);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct CubaLifConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// The part of the synaptic current that is left after one time step, 0 to 1: a number, one for each channel, or
        /// learned.
        with_synapse_decay => synapse_decay: Decay = Decay::from(0.5),
        /// The part of the membrane potential that is left after one time step, 0 to 1: a number, one for each channel,
        /// or learned.
        with_decay => decay: Decay = Decay::from(0.5),
        /// What a spike does to the membrane potential; not to the current.
        with_reset => reset: Reset = Reset::HARD,
    }
}

impl CubaLifConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "CubaLif";
        self.threshold.validate(OWNER, "threshold")?;
        self.synapse_decay.validate_as(OWNER, "synapse_decay")?;
        self.decay.validate(OWNER)?;
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, true)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a threshold or the potential after a reset is not a number from -1e37 to 1e37, a decay is not in `[0, 1]` (for a
    /// sigmoid, in between), or reset or gradient are those of the paper's exponential gate.
    pub fn init(&self, device: &Device) -> Result<CubaLif, InvalidConfig> {
        self.validate()?;
        Ok(CubaLif {
            synapse_decay: self.synapse_decay.init(0.0, device),
            decay: self.decay.init(0.0, device),
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
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
/// With them, [`Forward::StrictStep`](crate::spike::Forward::StrictStep) and [`ResetGradient::Detached`](super::ResetGradient::Detached) it is snnTorch's
/// `Synaptic`, whose `alpha` is `synapse_decay` and whose `beta` is `decay`: `reset_mechanism="zero"` and `"subtract"`.
///
/// Created by [`CubaLifConfig`].
#[derive(Module, Debug)]
pub struct CubaLif {
    synapse_decay: Coefficient,
    decay: Coefficient,
    threshold: Coefficient,
    #[module(skip)]
    config: CubaLifConfig,
}

neuron_state! {
    /// What a step of a [`CubaLif`] leaves, each `[1, B, ...]`. Saved and loaded by serde.
    pub struct CubaLifState {
        /// The membrane potential `v`.
        v,
        /// The synaptic current `i`.
        current,
    }
}

neuron_by_equations!(CubaLif, CubaLifConfig, CubaLifState);

impl CubaLif {
    fn equations(&self) -> CubaLifEquations {
        CubaLifEquations {
            rule: ResetRule::new(self.config.reset, self.config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 3] {
        [
            ("CubaLif: the decay of the synapse", &self.synapse_decay),
            ("CubaLif: the decay", &self.decay),
            ("CubaLif: the threshold", &self.threshold),
        ]
        .map(|(name, number)| number.tensor(name, sequence, device))
    }
}

/// The equations of a [`CubaLif`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct CubaLifEquations {
    rule: ResetRule,
}

impl Dynamics<2, 3> for CubaLifEquations {
    fn rest(&self) -> [f64; 2] {
        [0.0; 2]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [synapse_decay, decay, threshold]: &[R; 3],
        [v, i]: [R; 2],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 2> {
        let i = synapse_decay.clone() * i + x;
        let integrated = decay.clone() * v.clone() + i.clone();
        let u = self.rule.delayed(integrated, v, threshold, fire);
        let spike = fire.fire(u.clone() - threshold.clone());
        let v = self.rule.left(&u, &spike, threshold);
        Step {
            carried: [v, i],
            u,
            spike,
        }
    }
}
