//! A custom neuron: its configuration and its equations.

use synfire::dynamics::{Dynamics, Equations, Fire, Real, Step};
use synfire::equation_config;
use synfire::neuron::{
    Decay, EquationConfig, EquationNeuron, ParamInit, Parameter, Reset, ResetRule, Threshold,
};

equation_config! {
    /// Configuration of a [`Saturating`].
    pub struct SaturatingConfig {
        /// The membrane potential at which the neuron fires.
        with_threshold => threshold: Threshold = Threshold::from(0.3),
        /// The decay of the membrane potential per step.
        with_decay => decay: Decay = Decay::sigmoid(0.7),
        /// The maximum potential that an input can add.
        with_most => most: ParamInit = ParamInit::learned(1.5),
        /// The reset of the membrane potential after a spike.
        with_reset => reset: Reset = Reset::Soft,
    }
}

/// A leaky neuron whose input saturates: `u[t] = decay v[t-1] + most tanh(x[t] / most)`.
pub type Saturating = EquationNeuron<SaturatingConfig>;

impl EquationConfig for SaturatingConfig {
    const NAME: &'static str = "Saturating";

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            self.decay.named("decay"),
            self.most.named("most"),
            self.threshold.named("threshold"),
        ]
    }

    fn equations(&self) -> Equations {
        Equations::new(self.clone())
    }
}

impl Dynamics<1, 3> for SaturatingConfig {
    const CARRIED: [&'static str; 1] = ["v"];

    fn rest(&self) -> [f64; 1] {
        [0.0]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [decay, most, threshold]: &[R; 3],
        [v]: [R; 1],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 1> {
        // tanh(x) = 2 sigmoid(2 x) - 1
        let tanh = (x / most.clone())
            .scale(2.0)
            .sigmoid()
            .scale(2.0)
            .plus(-1.0);
        let u = decay.clone() * v + most.clone() * tanh;
        let spike = fire.fire(u.clone() - threshold.clone());
        let rule = ResetRule::new(self.reset, self.temporal_gradient);
        let v = rule.left(&u, &spike, threshold);
        Step {
            carried: [v],
            u,
            spike,
        }
    }
}
