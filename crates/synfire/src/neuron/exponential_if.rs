//! The exponential integrate-and-fire neuron.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
    /// Configuration of an [`ExponentialIf`]. The defaults are those of SpikingJelly's `EIFNode`.
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
        /// The potential without input, but for the exponential.
        with_rest => rest: f64 = 0.0,
        /// The potential at which the exponential takes over (`theta_rh`, the rheobase threshold).
        with_rheobase => rheobase: f64 = 0.8,
        /// The potential over which the exponential grows by `e`, above 0 (`Delta_T`).
        with_sharpness => sharpness: f64 = 1.0,
        /// What a spike does to the membrane potential. Where a hard reset ends, there the neuron starts.
        with_reset => reset: Reset = Reset::Hard { to: -0.1 },
    }
}

impl ExponentialIfConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "ExponentialIf";
        self.threshold.validate(OWNER, "threshold")?;
        InvalidConfig::require_tau(OWNER, "tau", self.tau)?;
        InvalidConfig::require_finite(OWNER, "rest", self.rest)?;
        InvalidConfig::require_finite(OWNER, "rheobase", self.rheobase)?;
        InvalidConfig::require_positive(OWNER, "sharpness", self.sharpness)?;
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a potential is not a number from -1e37 to 1e37, `tau` not one above 1 or `sharpness` not one above 0, at most
    /// 1e37, the reset is not hard or soft, or its gradient that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<ExponentialIf, InvalidConfig> {
        self.validate()?;
        Ok(ExponentialIf {
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
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
/// Before the first step `v` is where a hard reset ends, or 0. It is SpikingJelly's `EIFNode`, whose `theta_rh` is
/// `rheobase` and whose `delta_T` is `sharpness`; the equation is that of Fourcaud-Trocmé et al. (2003), *How Spike Generation
/// Mechanisms Determine the Neuronal Response to Fluctuating Inputs*.
///
/// Created by [`ExponentialIfConfig`].
#[derive(Module, Debug)]
pub struct ExponentialIf {
    threshold: Coefficient,
    #[module(skip)]
    config: ExponentialIfConfig,
}

neuron_state! {
    /// What a step of an [`ExponentialIf`] leaves, `[1, B, ...]`. Saved and loaded by serde.
    pub struct ExponentialIfState {
        /// The membrane potential `v`.
        v,
    }
}

neuron_by_equations!(ExponentialIf, ExponentialIfConfig, ExponentialIfState);

impl ExponentialIf {
    fn equations(&self) -> ExponentialIfEquations {
        let config = &self.config;
        ExponentialIfEquations {
            tau: config.tau,
            rest: config.rest,
            rheobase: config.rheobase,
            sharpness: config.sharpness,
            rule: ResetRule::new(config.reset, config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 1] {
        let threshold = &self.threshold;
        [threshold.tensor("ExponentialIf: the threshold", sequence, device)]
    }
}

/// The equations of an [`ExponentialIf`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExponentialIfEquations {
    tau: f64,
    rest: f64,
    rheobase: f64,
    sharpness: f64,
    rule: ResetRule,
}

impl Dynamics<1, 1> for ExponentialIfEquations {
    fn rest(&self) -> [f64; 1] {
        [self.rule.target()]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [threshold]: &[R; 1],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        let above = v.clone().plus(-self.rheobase).scale(1.0 / self.sharpness);
        let pull = x + above.exp().scale(self.sharpness) - v.clone().plus(-self.rest);
        let u = v + pull.scale(1.0 / self.tau);
        let spike = fire.fire(u.clone() - threshold.clone());
        Step {
            carried: [self.rule.left(&u, &spike, threshold)],
            u,
            spike,
        }
    }
}
