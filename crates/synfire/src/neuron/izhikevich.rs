//! Izhikevich's neuron.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Reset, Threshold};
use crate::InvalidConfig;

equations_config! {
    /// Configuration of an [`Izhikevich`] neuron. The defaults are those of SpikingJelly's `IzhikevichNode`, whose recovery
    /// does nothing unless `a` or `b` is set.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{IzhikevichConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = IzhikevichConfig::new().with_b(0.5).init(&device)?;
    /// let (spikes, state) = neuron.forward(Tensor::<2>::full([9, 1], 1.2, &device), None);
    /// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0., 1., 0., 0., 1., 0., 0., 1., 0.]);
    /// assert!(state.w.into_scalar::<f32>() > 0.0);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct IzhikevichConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(1.0),
        /// The membrane's time constant in steps, above 1.
        with_tau => tau: f64 = 2.0,
        /// The potential to which it goes back below `critical`.
        with_rest => rest: f64 = -0.1,
        /// The potential above which it grows without input (`v_c`).
        with_critical => critical: f64 = 0.8,
        /// How strongly the potential acts on itself, above 0 (`a0`).
        with_strength => strength: f64 = 1.0,
        /// The recovery's time constant in steps, at least 1.
        with_tau_recovery => tau_recovery: f64 = 2.0,
        /// How strongly the potential drives the recovery.
        with_a => a: f64 = 0.0,
        /// What a spike adds to the recovery.
        with_b => b: f64 = 0.0,
        /// What a spike does to the membrane potential. Where a hard reset ends, there the neuron starts.
        with_reset => reset: Reset = Reset::HARD,
    }
}

impl IzhikevichConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "Izhikevich";
        self.threshold.validate(OWNER, "threshold")?;
        InvalidConfig::require_tau(OWNER, "tau", self.tau)?;
        for (field, value) in [
            ("rest", self.rest),
            ("critical", self.critical),
            ("a", self.a),
            ("b", self.b),
        ] {
            InvalidConfig::require_finite(OWNER, field, value)?;
        }
        InvalidConfig::require_positive(OWNER, "strength", self.strength)?;
        if !(1.0..=1e37).contains(&self.tau_recovery) {
            let expected = "a number from 1 to 1e37";
            let value = self.tau_recovery;
            return Err(InvalidConfig::new(OWNER, "tau_recovery", value, expected));
        }
        ResetRule::validate(OWNER, self.reset, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a number is not from -1e37 to 1e37, `tau` not above 1, `strength` not above 0, `tau_recovery` below 1, the reset is
    /// not hard or soft, or its gradient that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<Izhikevich, InvalidConfig> {
        self.validate()?;
        Ok(Izhikevich {
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
    }
}

/// Izhikevich's neurons, of any shape: a quadratic membrane and a recovery that follows it and its spikes.
///
/// ```text
/// u[t] = v[t-1] + (x[t] + strength (v[t-1] - rest) (v[t-1] - critical) - w[t-1]) / tau
/// o[t] = 1 if u[t] >= threshold else 0
/// w[t] = w[t-1] + (a (u[t] - rest) - w[t-1]) / tau_recovery + b o[t]
/// v[t] = u[t] (1 - o[t]) + to o[t]          Reset::Hard
/// v[t] = u[t] - threshold o[t]              Reset::Soft
/// ```
///
/// Before the first step `v` is where a hard reset ends, or 0, and `w` is 0. It is SpikingJelly's `IzhikevichNode`; the model
/// is that of Izhikevich (2003), *Simple Model of Spiking Neurons*. The spike in the recovery has a gradient of its own, also
/// where that in the reset is detached.
///
/// Created by [`IzhikevichConfig`].
#[derive(Module, Debug)]
pub struct Izhikevich {
    threshold: Coefficient,
    #[module(skip)]
    config: IzhikevichConfig,
}

neuron_state! {
    /// What a step of an [`Izhikevich`] neuron leaves, each `[1, B, ...]`. Saved and loaded by serde.
    pub struct IzhikevichState {
        /// The membrane potential `v`.
        v,
        /// The recovery `w`.
        w,
    }
}

neuron_by_equations!(Izhikevich, IzhikevichConfig, IzhikevichState);

impl Izhikevich {
    fn equations(&self) -> IzhikevichEquations {
        let config = &self.config;
        IzhikevichEquations {
            tau: config.tau,
            rest: config.rest,
            critical: config.critical,
            strength: config.strength,
            tau_recovery: config.tau_recovery,
            a: config.a,
            b: config.b,
            rule: ResetRule::new(config.reset, config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 1] {
        let threshold = &self.threshold;
        [threshold.tensor("Izhikevich: the threshold", sequence, device)]
    }
}

/// The equations of an [`Izhikevich`] neuron.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IzhikevichEquations {
    tau: f64,
    rest: f64,
    critical: f64,
    strength: f64,
    tau_recovery: f64,
    a: f64,
    b: f64,
    rule: ResetRule,
}

impl Dynamics<2, 1> for IzhikevichEquations {
    fn rest(&self) -> [f64; 2] {
        [self.rule.target(), 0.0]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [threshold]: &[R; 1],
        [v, w]: [R; 2],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 2> {
        let square = v.clone().plus(-self.rest) * v.clone().plus(-self.critical);
        let pull = x + square.scale(self.strength) - w.clone();
        let u = v + pull.scale(1.0 / self.tau);
        let spike = fire.fire(u.clone() - threshold.clone());
        let towards = u.clone().plus(-self.rest).scale(self.a) - w.clone();
        let w = w + towards.scale(1.0 / self.tau_recovery) + spike.clone().scale(self.b);
        Step {
            carried: [self.rule.left(&u, &spike, threshold), w],
            u,
            spike,
        }
    }
}
