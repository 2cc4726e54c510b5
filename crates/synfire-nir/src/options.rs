//! Options of the discretisation, which a file does not hold.

use serde::{Deserialize, Serialize};
use synfire::surrogate::Surrogate;
use synfire::{InvalidConfig, config};

use crate::error::Problem;

/// How a continuous equation becomes one step of length `dt`, for `tau v' = (v_leak - v) + r x`, with `v` before and `u` after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integration {
    /// Forward Euler, as in snnTorch, Norse and Lava: `u = v + dt/tau (v_leak - v + r x)`.
    #[default]
    Euler,
    /// Exponential Euler, exact for an input that is constant during the step:
    /// `u = v_leak + e^(-dt/tau) (v - v_leak) + (1 - e^(-dt/tau)) r x`.
    Exponential,
    /// Exact leak, and the input as in forward Euler, as in Rockpool: `u = v_leak + e^(-dt/tau) (v - v_leak) + dt/tau r x`.
    ExponentialLeak,
}

/// The reset of the membrane potential by a spike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSpike {
    /// It goes to `v_reset`, as the specification has it; to 0 where a file has none.
    #[default]
    Zero,
    /// It falls by `v_threshold - v_reset`, in the same step.
    Subtract,
}

/// The unit of time of neurons without a time constant, [`IF`](crate::IF) and [`I`](crate::I).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// The step: `u = v + r x`. Networks that were trained in steps are written so.
    #[default]
    Steps,
    /// The second, as the specification has it: `u = v + dt r x`.
    Seconds,
}

/// The synaptic current that enters the membrane of [`CubaLIF`](crate::CubaLIF) and [`CubaLI`](crate::CubaLI).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Current {
    /// That after this step's input, as in snnTorch.
    #[default]
    New,
    /// That before this step's input: forward Euler of both equations at once.
    Old,
}

config! {
    /// Options of the discretisation, which a file does not hold.
    ///
    /// ```
    /// use synfire_nir::{Integration, NirOptions, OnSpike};
    ///
    /// let options = NirOptions::new()
    ///     .with_dt(1e-3)
    ///     .with_integration(Integration::Exponential)
    ///     .with_reset(OnSpike::Subtract);
    /// assert!(options.validate().is_ok());
    /// ```
    pub struct NirOptions {
        /// The length of a step in the unit of the file's time constants, seconds by the specification.
        with_dt => dt: f64 = 1e-4,
        /// How an equation becomes a step.
        with_integration => integration: Integration = Integration::Euler,
        /// The reset of the membrane potential by a spike.
        with_reset => reset: OnSpike = OnSpike::Zero,
        /// The unit of time of neurons without a time constant.
        with_clock => clock: Clock = Clock::Steps,
        /// The synaptic current that enters a membrane.
        with_current => current: Current = Current::New,
        /// The surrogate derivative of spikes.
        with_surrogate => surrogate: Surrogate = Surrogate::default(),
    }
}

impl NirOptions {
    /// Checks everything that [`NirNetwork::new`](crate::NirNetwork::new) does.
    ///
    /// # Errors
    ///
    /// If `dt` is not above 0.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive("NirOptions", "dt", self.dt).map(drop)
    }

    /// The factors of `v - v_leak` and of `r x` in a step. `name` is that of the time constant.
    pub(crate) fn factors(&self, name: &'static str, tau: f64) -> Result<[f64; 2], Problem> {
        let part = self.dt / tau;
        if self.integration == Integration::Euler && part > 2.0 {
            let dt = self.dt;
            let problem = format!("has {tau}, where steps of {dt} by forward Euler diverge");
            return Err(Problem::new(name, problem));
        }
        let left = (-part).exp();
        Ok(match self.integration {
            Integration::Euler => [1.0 - part, part],
            // Exact also for a small part.
            Integration::Exponential => [left, -(-part).exp_m1()],
            Integration::ExponentialLeak => [left, part],
        })
    }
}
