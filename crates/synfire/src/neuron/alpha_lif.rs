//! The neuron whose membrane answers an input with an alpha function.

use super::{Decay, EquationConfig, EquationNeuron, Reset, ResetRule, Threshold, Values};
use crate::dynamics::{Real, Step, Term};
use crate::{InvalidConfig, equation_config};

/// Reset of the currents and the membrane potential of an [`AlphaLif`] by a spike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlphaReset {
    /// All become 0.
    #[default]
    Hard,
    /// All become 0 one step later, which discards the input of that step: snnTorch's `reset_mechanism="zero"`, with
    /// [`ResetGradient::Detached`](super::ResetGradient::Detached).
    DelayedHard,
    /// No reset: snnTorch's `"none"`.
    None,
}

equation_config! {
    /// Configuration of an [`AlphaLif`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{AlphaLifConfig, AlphaReset, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = AlphaLifConfig::new().with_reset(AlphaReset::None).with_threshold(10.0).init(&device)?;
    /// // An input makes the membrane rise, and fall again.
    /// let input = Tensor::<2>::from_floats([[1.0], [0.0], [0.0], [0.0]], &device);
    /// let u = neuron.forward_recorded(input, None).0.u.to_data().try_to_vec::<f32>().unwrap();
    /// assert!(u[0] == 0.0 && u[1] > 0.0 && u[2] > u[1] && u[3] < u[2]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct AlphaLifConfig {
        /// The membrane potential at which the neuron fires: a number, one for each channel, or learned.
        with_threshold => threshold: Threshold = Threshold::from(0.5),
        /// Decay factor of the excitatory current per time step, above `decay_inhibitory`, below 1: a number, one for each
        /// channel, or learned (`alpha`).
        with_decay_excitatory => decay_excitatory: Decay = Decay::from(0.8),
        /// Decay factor of the inhibitory current per time step, above 0: a number, one for each channel, or learned
        /// (`beta`).
        with_decay_inhibitory => decay_inhibitory: Decay = Decay::from(0.5),
        /// The reset after a spike.
        with_reset => reset: AlphaReset = AlphaReset::Hard,
    }
}

/// Neurons whose membrane answers an input with the difference of two exponentials, which rises and falls like an alpha
/// function (spike response model), of any shape.
///
/// ```text
/// e[t] = alpha e[t-1] + x[t]                 `decay_excitatory` is alpha
/// i[t] = beta i[t-1] - x[t]                  `decay_inhibitory` is beta
/// u[t] = (ln alpha / (ln beta - ln alpha) + 1) (e[t] + i[t])
/// o[t] = 1 if u[t] >= threshold else 0
/// v, e, i = u[t] (1 - o[t]), e[t] (1 - o[t]), i[t] (1 - o[t])       AlphaReset::Hard
/// ```
///
/// [`AlphaReset::DelayedHard`] leaves `v = u`, and `r`, the spike at `v[t-1]`, makes `e`, `i` and `u` of the step 0. With
/// [`Forward::StrictStep`](crate::spike::Forward::StrictStep) and
/// [`ResetGradient::Detached`](super::ResetGradient::Detached) that is snnTorch's `Alpha`. While decays are learned they must
/// stay apart: where they meet, the equation divides by 0.
///
/// Created by [`AlphaLifConfig`].
///
/// State: `v`, the membrane potential, `excitatory`, the excitatory current `e`, `inhibitory`, the inhibitory current `i`.
pub type AlphaLif = EquationNeuron<AlphaLifConfig>;

impl EquationConfig for AlphaLifConfig {
    equations!(AlphaLif: decay_excitatory, decay_inhibitory, threshold);

    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term> {
        let [alpha, beta, threshold] = parameters.try_into().expect("three parameters");
        let [log_alpha, log_beta] = [&alpha, &beta].map(|decay| decay.clone().ln());
        let height = (log_alpha.clone() / (log_beta - log_alpha)).plus(1.0);
        vec![alpha, beta, height, threshold]
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let excitatory = self.decay_excitatory.values();
        let inhibitory = self.decay_inhibitory.values();
        if let (Values::PerChannel(excitatory), Values::PerChannel(inhibitory)) =
            (excitatory, inhibitory)
        {
            let (count, same) = (inhibitory.len(), excitatory.len() == inhibitory.len());
            let expected = "as many numbers as `decay_excitatory`";
            InvalidConfig::require(Self::NAME, "decay_inhibitory", count, same, expected)?;
        }
        let (excitatory, inhibitory) = (excitatory.as_slice(), inhibitory.as_slice());
        let count = excitatory.len().max(inhibitory.len());
        let pairs = excitatory.iter().cycle().zip(inhibitory.iter().cycle());
        for (excitatory, inhibitory) in pairs.take(count) {
            let accepted = *inhibitory > 0.0 && excitatory > inhibitory && *excitatory < 1.0;
            let found = format!("{excitatory} with a `decay_inhibitory` of {inhibitory}");
            let expected = "a number below 1, above `decay_inhibitory`, which is above 0";
            InvalidConfig::require(Self::NAME, "decay_excitatory", found, accepted, expected)?;
        }
        ResetRule::validate(Self::NAME, Reset::HARD, self.temporal_gradient, false)
    }
}

/// Scales a value by `kept`, if there is a reset. One value at a time: matching on several makes the compiler copy them to
/// memory.
#[inline(always)]
fn left<R: Real>(number: R, kept: &Option<R>) -> R {
    match kept {
        Some(kept) => number * kept.clone(),
        None => number,
    }
}

dynamics! {
    AlphaLifConfig: [v = 0.0, excitatory = 0.0, inhibitory = 0.0];
    fn step(&self, [alpha, beta, height, threshold], x, fire) {
        let rule = ResetRule::new(Reset::HARD, self.temporal_gradient);
        let excitatory = alpha.clone() * excitatory + x.clone();
        let inhibitory = beta.clone() * inhibitory - x;
        let u = height.clone() * (excitatory.clone() + inhibitory.clone());
        let kept = match self.reset {
            AlphaReset::DelayedHard => {
                let delayed = fire.fire(v - threshold.clone());
                Some((-rule.spike(delayed)).plus(1.0))
            }
            AlphaReset::Hard | AlphaReset::None => None,
        };
        let u = left(u, &kept);
        let (excitatory, inhibitory) = (left(excitatory, &kept), left(inhibitory, &kept));
        let spike = fire.fire(u.clone() - threshold.clone());
        let kept = match self.reset {
            AlphaReset::Hard => Some((-rule.spike(spike.clone())).plus(1.0)),
            AlphaReset::DelayedHard | AlphaReset::None => None,
        };
        let carried = [left(u.clone(), &kept), left(excitatory, &kept), left(inhibitory, &kept)];
        Step { carried, u, spike }
    }
}
