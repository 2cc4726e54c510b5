//! The leaky integrate-and-fire neuron with a current of adaptation.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Decay, Number, Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
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
        /// The part of the membrane potential that is left after one time step, 0 to 1: a number, one for each channel,
        /// or learned (`alpha`).
        with_decay => decay: Decay = Decay::from(0.9),
        /// The part of the adaptation that is left after one time step, 0 to 1: a number, one for each channel, or
        /// learned (`beta`).
        with_adaptation_decay => adaptation_decay: Decay = Decay::from(0.95),
        /// What a membrane potential of 1 adds to the adaptation: a number, one for each channel, or learned.
        with_a => a: Number = Number::from(0.0),
        /// What a spike adds to the adaptation: a number, one for each channel, or learned.
        with_b => b: Number = Number::from(1.0),
        /// What a spike does to the membrane potential.
        with_reset => reset: Reset = Reset::Soft,
    }
}

impl AdLifConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "AdLif";
        self.threshold.validate(OWNER, "threshold")?;
        self.decay.validate(OWNER)?;
        self.adaptation_decay
            .validate_as(OWNER, "adaptation_decay")?;
        self.a.validate(OWNER, "a")?;
        self.b.validate(OWNER, "b")?;
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a number is not from -1e37 to 1e37, a decay not in `[0, 1]` (for a sigmoid, in between), the reset not hard or soft,
    /// or its gradient that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<AdLif, InvalidConfig> {
        self.validate()?;
        Ok(AdLif {
            decay: self.decay.init(0.0, device),
            adaptation_decay: self.adaptation_decay.init(0.0, device),
            a: self.a.init(device),
            b: self.b.init(device),
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
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
#[derive(Module, Debug)]
pub struct AdLif {
    decay: Coefficient,
    adaptation_decay: Coefficient,
    a: Coefficient,
    b: Coefficient,
    threshold: Coefficient,
    #[module(skip)]
    config: AdLifConfig,
}

neuron_state! {
    /// What a step of an [`AdLif`] leaves, each `[1, B, ...]`. Saved and loaded by serde.
    pub struct AdLifState {
        /// The membrane potential `v`.
        v,
        /// The adaptation `w`.
        w,
    }
}

neuron_by_equations!(AdLif, AdLifConfig, AdLifState);

impl AdLif {
    fn equations(&self) -> AdLifEquations {
        AdLifEquations {
            rule: ResetRule::new(self.config.reset, self.config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 5] {
        [
            ("AdLif: the decay", &self.decay),
            ("AdLif: the decay of the adaptation", &self.adaptation_decay),
            ("AdLif: a", &self.a),
            ("AdLif: b", &self.b),
            ("AdLif: the threshold", &self.threshold),
        ]
        .map(|(name, number)| number.tensor(name, sequence, device))
    }
}

/// The equations of an [`AdLif`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdLifEquations {
    rule: ResetRule,
}

impl Dynamics<2, 5> for AdLifEquations {
    fn rest(&self) -> [f64; 2] {
        [0.0; 2]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, adaptation_decay, a, b, threshold]: &[R; 5],
        [v, w]: [R; 2],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 2> {
        let u = decay.clone() * v + (-decay.clone()).plus(1.0) * (x - w.clone());
        let spike = fire.fire(u.clone() - threshold.clone());
        let new = a.clone() * u.clone() + b.clone() * spike.clone();
        let w = adaptation_decay.clone() * w + new;
        Step {
            carried: [self.rule.left(&u, &spike, threshold), w],
            u,
            spike,
        }
    }
}
