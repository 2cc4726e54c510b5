//! The neuron whose membrane answers an input with an alpha function.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::coefficient::Coefficient;
use super::config::equations_config;
use super::dynamics::{Dynamics, ResetRule, Step, neuron_by_equations, neuron_state};
use super::real::{Fire, Real};
use super::{Decay, Threshold, Values};
use crate::InvalidConfig;

/// What a spike of an [`AlphaLif`] does to its currents and its membrane potential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlphaReset {
    /// All become 0.
    #[default]
    Hard,
    /// All become 0, one step later, whose input is lost: snnTorch's `reset_mechanism="zero"`, with
    /// [`ResetGradient::Detached`](super::ResetGradient::Detached).
    DelayedHard,
    /// Nothing: snnTorch's `"none"`.
    None,
}

equations_config! {
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
        /// The part of the current that excites that is left after one time step, above `decay_inhibitory`, below 1: a
        /// number, one for each channel, or learned (`alpha`).
        with_decay_excitatory => decay_excitatory: Decay = Decay::from(0.8),
        /// The part of the current that inhibits that is left after one time step, above 0: a number, one for each
        /// channel, or learned (`beta`).
        with_decay_inhibitory => decay_inhibitory: Decay = Decay::from(0.5),
        /// What a spike does.
        with_reset => reset: AlphaReset = AlphaReset::Hard,
    }
}

impl AlphaLifConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "AlphaLif";
        self.threshold.validate(OWNER, "threshold")?;
        self.decay_excitatory
            .validate_as(OWNER, "decay_excitatory")?;
        self.decay_inhibitory
            .validate_as(OWNER, "decay_inhibitory")?;
        let (excitatory, inhibitory) = (
            self.decay_excitatory.values(),
            self.decay_inhibitory.values(),
        );
        if let (Values::PerChannel(excitatory), Values::PerChannel(inhibitory)) =
            (excitatory, inhibitory)
            && excitatory.len() != inhibitory.len()
        {
            return Err(InvalidConfig::new(
                OWNER,
                "decay_inhibitory",
                inhibitory.len(),
                "as many numbers as `decay_excitatory`",
            ));
        }
        let count = excitatory.as_slice().len().max(inhibitory.as_slice().len());
        let pairs = excitatory
            .as_slice()
            .iter()
            .cycle()
            .zip(inhibitory.as_slice().iter().cycle());
        for (excitatory, inhibitory) in pairs.take(count) {
            if !(*inhibitory > 0.0 && excitatory > inhibitory && *excitatory < 1.0) {
                return Err(InvalidConfig::new(
                    OWNER,
                    "decay_excitatory",
                    format!("{excitatory} with a `decay_inhibitory` of {inhibitory}"),
                    "a number below 1, above `decay_inhibitory`, which is above 0",
                ));
            }
        }
        ResetRule::validate(OWNER, super::Reset::HARD, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If a threshold is not a number from -1e37 to 1e37, the decays are not `1 > excitatory > inhibitory > 0`, or the
    /// gradient of the reset is that of one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<AlphaLif, InvalidConfig> {
        self.validate()?;
        Ok(AlphaLif {
            decay_excitatory: self.decay_excitatory.init(0.0, device),
            decay_inhibitory: self.decay_inhibitory.init(0.0, device),
            threshold: self.threshold.init(device),
            config: self.clone(),
        })
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
#[derive(Module, Debug)]
pub struct AlphaLif {
    decay_excitatory: Coefficient,
    decay_inhibitory: Coefficient,
    threshold: Coefficient,
    #[module(skip)]
    config: AlphaLifConfig,
}

neuron_state! {
    /// What a step of an [`AlphaLif`] leaves, each `[1, B, ...]`. Saved and loaded by serde.
    pub struct AlphaLifState {
        /// The membrane potential `v`.
        v,
        /// The current that excites, `e`.
        excitatory,
        /// The current that inhibits, `i`.
        inhibitory,
    }
}

neuron_by_equations!(AlphaLif, AlphaLifConfig, AlphaLifState);

impl AlphaLif {
    fn equations(&self) -> AlphaLifEquations {
        AlphaLifEquations {
            reset: self.config.reset,
            rule: ResetRule::new(super::Reset::HARD, self.config.temporal_gradient),
        }
    }

    fn numbers<const D: usize>(&self, sequence: [usize; D], device: &Device) -> [Tensor<1>; 4] {
        let [alpha, beta, threshold] = [
            ("AlphaLif: the decay that excites", &self.decay_excitatory),
            ("AlphaLif: the decay that inhibits", &self.decay_inhibitory),
            ("AlphaLif: the threshold", &self.threshold),
        ]
        .map(|(name, number)| number.tensor(name, sequence, device));
        let [log_alpha, log_beta] = [&alpha, &beta].map(|decay| decay.clone().log());
        let height = log_alpha.clone() / (log_beta - log_alpha) + 1.0;
        [alpha, beta, height, threshold]
    }
}

/// The equations of an [`AlphaLif`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlphaLifEquations {
    reset: AlphaReset,
    rule: ResetRule,
}

/// What is left of a number, of which a part is kept or all. One number at a time: choices between several become copies in
/// memory.
#[inline(always)]
fn left<R: Real>(number: R, kept: &Option<R>) -> R {
    match kept {
        Some(kept) => number * kept.clone(),
        None => number,
    }
}

impl Dynamics<3, 4> for AlphaLifEquations {
    fn rest(&self) -> [f64; 3] {
        [0.0; 3]
    }

    #[inline(always)]
    fn step<R: Real>(
        &self,
        [alpha, beta, height, threshold]: &[R; 4],
        [v, e, i]: [R; 3],
        x: R,
        fire: &impl Fire<R>,
    ) -> Step<R, 3> {
        let e = alpha.clone() * e + x.clone();
        let i = beta.clone() * i - x;
        let u = height.clone() * (e.clone() + i.clone());
        let kept = match self.reset {
            AlphaReset::DelayedHard => {
                let delayed = fire.fire(v - threshold.clone());
                Some((-self.rule.spike(delayed)).plus(1.0))
            }
            AlphaReset::Hard | AlphaReset::None => None,
        };
        let (u, e, i) = (left(u, &kept), left(e, &kept), left(i, &kept));
        let spike = fire.fire(u.clone() - threshold.clone());
        let kept = match self.reset {
            AlphaReset::Hard => Some((-self.rule.spike(spike.clone())).plus(1.0)),
            AlphaReset::DelayedHard | AlphaReset::None => None,
        };
        let carried = [left(u.clone(), &kept), left(e, &kept), left(i, &kept)];
        Step { carried, u, spike }
    }
}
