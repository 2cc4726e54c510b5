//! Neurons with the parameters of NIR: one step of their equations.

use serde::{Deserialize, Serialize};
use synfire::dynamics::{Dynamics, Equations, Fire, Real, Step};
use synfire::equation_config;
use synfire::neuron::{EquationConfig, EquationNeuron, ParamInit, Parameter};

use crate::{Current, OnSpike};

/// The output of a membrane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Returns {
    /// Spikes, with this effect on the potential.
    Spikes(OnSpike),
    /// The potential.
    #[default]
    Potential,
}

impl Returns {
    /// True for spikes.
    pub(crate) fn is_spikes(self) -> bool {
        matches!(self, Self::Spikes(_))
    }

    /// The output, and the potential after it.
    #[inline(always)]
    fn of<R: Real>(self, u: &R, threshold: &R, to: &R, fire: &impl Fire<R>) -> [R; 2] {
        match self {
            Self::Potential => [u.clone(), u.clone()],
            Self::Spikes(reset) => {
                let spike = fire.fire(u.clone() - threshold.clone());
                let left = match reset {
                    OnSpike::Zero => {
                        u.clone() * spike.clone().complement() + to.clone() * spike.clone()
                    }
                    OnSpike::Subtract => {
                        u.clone() - (threshold.clone() - to.clone()) * spike.clone()
                    }
                };
                [spike, left]
            }
        }
    }
}

equation_config! {
    /// Configuration of a [`Membrane`].
    pub struct MembraneConfig {
        /// The factor of the potential.
        with_decay => decay: ParamInit = ParamInit::from(0.9),
        /// The factor of the input.
        with_gain => gain: ParamInit = ParamInit::from(1.0),
        /// The potential at rest.
        with_leak => leak: ParamInit = ParamInit::from(0.0),
        /// The potential above which the neuron fires.
        with_threshold => threshold: ParamInit = ParamInit::from(1.0),
        /// The potential after a spike.
        with_to => to: ParamInit = ParamInit::from(0.0),
        /// The output.
        with_returns => returns: Returns = Returns::Potential,
    }
}

/// One membrane for `LIF`, `IF`, `LI` and `I`, with numbers for each neuron.
///
/// ```text
/// u[t] = leak + decay (v[t-1] - leak) + gain x[t]          v[-1] = 0
/// o[t] = 1 if u[t] > threshold else 0, or u[t]
/// ```
///
/// State: `v`.
pub type Membrane = EquationNeuron<MembraneConfig>;

impl EquationConfig for MembraneConfig {
    const NAME: &'static str = "Membrane";

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            self.decay.named("decay"),
            self.gain.named("gain"),
            self.leak.named("leak"),
            self.threshold.named("threshold"),
            self.to.named("to"),
        ]
    }

    fn equations(&self) -> Equations {
        Equations::new(self.clone())
    }
}

impl Dynamics<1, 5> for MembraneConfig {
    const CARRIED: [&'static str; 1] = ["v"];

    fn rest(&self) -> [f64; 1] {
        [0.0]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, gain, leak, threshold, to]: &[R; 5],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        let u = leak.clone() + decay.clone() * (v - leak.clone()) + gain.clone() * x;
        let [spike, v] = self.returns.of(&u, threshold, to, fire);
        Step {
            carried: [v],
            u,
            spike,
        }
    }
}

equation_config! {
    /// Configuration of a [`CurrentMembrane`].
    pub struct CurrentMembraneConfig {
        /// The factor of the current.
        with_synapse_decay => synapse_decay: ParamInit = ParamInit::from(0.5),
        /// The factor of the input.
        with_synapse_gain => synapse_gain: ParamInit = ParamInit::from(1.0),
        /// The factor of the potential.
        with_decay => decay: ParamInit = ParamInit::from(0.9),
        /// The factor of the current in the membrane.
        with_gain => gain: ParamInit = ParamInit::from(1.0),
        /// The potential at rest.
        with_leak => leak: ParamInit = ParamInit::from(0.0),
        /// The potential above which the neuron fires.
        with_threshold => threshold: ParamInit = ParamInit::from(1.0),
        /// The potential after a spike.
        with_to => to: ParamInit = ParamInit::from(0.0),
        /// The output.
        with_returns => returns: Returns = Returns::Potential,
        /// The current that enters the membrane.
        with_current => current: Current = Current::New,
    }
}

/// One membrane with a synaptic current for `CubaLIF` and `CubaLI`, with numbers for each neuron.
///
/// ```text
/// i[t] = synapse_decay i[t-1] + synapse_gain x[t]          i[-1] = 0
/// u[t] = leak + decay (v[t-1] - leak) + gain i[t]          Current::New; i[t-1] for Current::Old
/// o[t] = 1 if u[t] > threshold else 0, or u[t]
/// ```
///
/// State: `v` and `current`.
pub type CurrentMembrane = EquationNeuron<CurrentMembraneConfig>;

impl EquationConfig for CurrentMembraneConfig {
    const NAME: &'static str = "CurrentMembrane";

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            self.synapse_decay.named("synapse_decay"),
            self.synapse_gain.named("synapse_gain"),
            self.decay.named("decay"),
            self.gain.named("gain"),
            self.leak.named("leak"),
            self.threshold.named("threshold"),
            self.to.named("to"),
        ]
    }

    fn equations(&self) -> Equations {
        Equations::new(self.clone())
    }
}

impl Dynamics<2, 7> for CurrentMembraneConfig {
    const CARRIED: [&'static str; 2] = ["v", "current"];

    fn rest(&self) -> [f64; 2] {
        [0.0; 2]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [
            synapse_decay,
            synapse_gain,
            decay,
            gain,
            leak,
            threshold,
            to,
        ]: &[R; 7],
        [v, before]: [R; 2],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 2> {
        let current = synapse_decay.clone() * before.clone() + synapse_gain.clone() * x;
        let entering = match self.current {
            Current::New => current.clone(),
            Current::Old => before,
        };
        let u = leak.clone() + decay.clone() * (v - leak.clone()) + gain.clone() * entering;
        let [spike, v] = self.returns.of(&u, threshold, to, fire);
        Step {
            carried: [v, current],
            u,
            spike,
        }
    }
}
