//! The leaky integrate-and-fire neuron with an adaptive threshold.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Decay, Number, Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
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
        /// The part of the membrane potential that is left after one time step, 0 to 1: a number, one for each channel,
        /// or learned.
        with_decay => decay: Decay = Decay::from(0.5),
        /// Whether the input is multiplied by `1 - decay`, as in the paper.
        with_decay_input => decay_input: bool = false,
        /// The part of the adaptation that is left after one time step, 0 to 1: a number, one for each channel, or
        /// learned (`rho`).
        with_adaptation_decay => adaptation_decay: Decay = Decay::from(0.9),
        /// How far full adaptation raises the threshold: a number, one for each channel, or learned (`beta`).
        with_adaptation => adaptation: Number = Number::from(1.8),
        /// What a spike does to the membrane potential.
        with_reset => reset: Reset = Reset::Soft,
    }
}

impl AdaptiveLifConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "AdaptiveLif";
        self.threshold.validate(OWNER, "threshold")?;
        self.decay.validate(OWNER)?;
        self.adaptation_decay
            .validate_as(OWNER, "adaptation_decay")?;
        self.adaptation.validate(OWNER, "adaptation")?;
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a number is not from -1e37 to 1e37, a decay not in `[0, 1]` (for a sigmoid, in between), the reset not hard or soft,
    /// or its gradient that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<AdaptiveLif, InvalidConfig> {
        self.validate()?;
        Ok(AdaptiveLif {
            decay: self.decay.init(0.0, device),
            adaptation_decay: self.adaptation_decay.init(0.0, device),
            adaptation: self.adaptation.init(device),
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
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
#[derive(Module, Debug)]
pub struct AdaptiveLif {
    decay: Coefficient,
    adaptation_decay: Coefficient,
    adaptation: Coefficient,
    threshold: Coefficient,
    #[module(skip)]
    config: AdaptiveLifConfig,
}

neuron_state! {
    /// What a step of an [`AdaptiveLif`] leaves, each `[1, B, ...]`. Saved and loaded by serde.
    pub struct AdaptiveLifState {
        /// The membrane potential `v`.
        v,
        /// The adaptation `a`, a running mean of the spikes.
        a,
    }
}

neuron_by_equations!(AdaptiveLif, AdaptiveLifConfig, AdaptiveLifState);

impl AdaptiveLif {
    fn equations(&self) -> AdaptiveLifEquations {
        AdaptiveLifEquations {
            decay_input: self.config.decay_input,
            rule: ResetRule::new(self.config.reset, self.config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 4] {
        [
            ("AdaptiveLif: the decay", &self.decay),
            (
                "AdaptiveLif: the decay of the adaptation",
                &self.adaptation_decay,
            ),
            ("AdaptiveLif: the adaptation", &self.adaptation),
            ("AdaptiveLif: the threshold", &self.threshold),
        ]
        .map(|(name, number)| number.tensor(name, sequence, device))
    }
}

/// The equations of an [`AdaptiveLif`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdaptiveLifEquations {
    decay_input: bool,
    rule: ResetRule,
}

impl Dynamics<2, 4> for AdaptiveLifEquations {
    fn rest(&self) -> [f64; 2] {
        [0.0; 2]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, adaptation_decay, adaptation, threshold]: &[R; 4],
        [v, a]: [R; 2],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 2> {
        let x = match self.decay_input {
            true => (-decay.clone()).plus(1.0) * x,
            false => x,
        };
        let u = decay.clone() * v + x;
        let raised = threshold.clone() + adaptation.clone() * a.clone();
        let spike = fire.fire(u.clone() - raised.clone());
        let new = (-adaptation_decay.clone()).plus(1.0) * spike.clone();
        let a = adaptation_decay.clone() * a + new;
        Step {
            carried: [self.rule.left(&u, &spike, &raised), a],
            u,
            spike,
        }
    }
}
