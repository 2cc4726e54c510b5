//! The gated leaky integrate-and-fire neuron.

use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};

use super::equation_neuron::Run;
use super::{
    InNetwork, Neuron, NeuronSettings, NeuronState, Recording, Reset, ResetRule, TemporalGradient,
};
use crate::dynamics::{Equations, Real, Step, Term};
use crate::random::{Philox, Purpose};
use crate::{InvalidConfig, neuron_config};

neuron_config! {
    /// Configuration of a [`GatedLif`]. The defaults are those of SpikingJelly's `GatedLIFNode`, with 4
    /// time steps, except for the surrogate, a rectangle.
    ///
    /// ```
    /// use burn::module::Module;
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::{GatedLifConfig, Neuron};
    ///
    /// let device = Device::default();
    /// let neuron = GatedLifConfig::new().with_time_steps(6).with_channels(Some(3)).init(&device)?;
    /// assert_eq!(neuron.num_params(), 3 * (7 + 6));
    /// let (spikes, _state) = neuron.forward(Tensor::<5>::ones([6, 2, 3, 4, 4], &device), None);
    /// assert_eq!(spikes.dims(), [6, 2, 3, 4, 4]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct GatedLifConfig {
        /// The number of time steps, each with its own conductance.
        with_time_steps -> time_steps: usize = 4,
        /// The number of channels (axis 2), each with its own parameters; `None`: all neurons share them.
        with_channels -> channels: Option<usize> = None,
        /// Initial decay factor of the exponential leak, above 0 and below 1.
        with_decay => decay: f64 = 0.25,
        /// Initial threshold, above 0 and below 1.
        with_threshold => threshold: f64 = 0.5,
        /// Initial linear leak per step, above 0 and below 1; `None`: the threshold divided by twice the number of time
        /// steps.
        with_leak => leak: Option<f64> = None,
        /// Initial value that a soft reset subtracts, above 0 and below 1; `None`: the threshold.
        with_subtracted => subtracted: Option<f64> = None,
        /// Initial conductance: the factor of the input in each step, above 0 and below 1.
        with_conductance => conductance: f64 = 0.5,
        /// Seed of the initial gates, which are random and near 0.5.
        with_seed -> seed: u64 = 0,
    }
}

impl GatedLifConfig {
    /// The initial linear leak.
    fn first_leak(&self) -> f64 {
        self.leak
            .unwrap_or(self.threshold / (2 * self.time_steps) as f64)
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// As for `init`.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "GatedLif";
        InvalidConfig::require_size(OWNER, "time_steps", self.time_steps)?;
        if let Some(channels) = self.channels {
            InvalidConfig::require_size(OWNER, "channels", channels)?;
        }
        for (field, value) in [
            ("decay", self.decay),
            ("threshold", self.threshold),
            ("leak", self.first_leak()),
            ("subtracted", self.subtracted.unwrap_or(self.threshold)),
            ("conductance", self.conductance),
        ] {
            InvalidConfig::require_sigmoid(OWNER, field, value)?;
        }
        ResetRule::validate(OWNER, Reset::Soft, self.temporal_gradient, false)
    }

    /// Creates the neuron.
    ///
    /// # Errors
    ///
    /// If there are no time steps or channels, a number is not above 0 and below 1, or the gradient of the reset is that of
    /// one of the paper's gates.
    pub fn init(&self, device: &Device) -> Result<GatedLif, InvalidConfig> {
        self.validate()?;
        let channels = self.channels.unwrap_or(1);
        let philox = Philox::new(self.seed).for_purpose(Purpose::Initialize);
        let row = |values: Vec<f32>| {
            let data = TensorData::new(values, [channels]);
            Param::from_tensor(Tensor::<1>::from_data(data, device))
        };
        let gate = |sequence| row(philox.uniform(sequence, channels, -0.1, 0.1));
        let start = |value: f64| (value / (1.0 - value)).ln();
        let number = |value: f64| row(vec![start(value) as f32; channels]);
        Ok(GatedLif {
            alpha: gate(0),
            beta: gate(1),
            gamma: gate(2),
            decay: number(self.decay),
            threshold: number(self.threshold),
            leak: number(self.first_leak()),
            subtracted: number(self.subtracted.unwrap_or(self.threshold)),
            conductance: Param::from_tensor(Tensor::full(
                [self.time_steps, channels],
                start(self.conductance),
                device,
            )),
            equations: Equations::new(self.clone()).of(Some(self.clone().into())),
            config: self.clone(),
        })
    }
}

/// Leaky integrate-and-fire neurons that learn how they leak, integrate and reset (GLIF), of any shape.
///
/// ```text
/// y[t] = (1 - beta (1 - g[t])) x[t]                                              `conductance` is g
/// u[t] = m v[t-1] - (1 - alpha) leak + y[t] - gamma m v[t-1] o[t-1] - (1 - gamma) subtracted o[t-1]
///        with m = 1 - alpha (1 - decay)
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t]
/// ```
///
/// Everything but `x`, `u`, `v` and `o` is learned, as a sigmoid. The gate `alpha` chooses between an exponential (1) and a
/// linear leak (0), `gamma` between a hard and a soft reset, which acts in the next step, and `beta` between an input that
/// is scaled by step and one that is not. Yao et al. (2022), *GLIF: A Unified Gated Leaky Integrate-and-Fire Neuron for
/// Spiking Neural Networks*. It is SpikingJelly's `GatedLIFNode`, whose `tau` is `decay`, `linear_decay` is `leak`, `v_subreset`
/// is `subtracted` and `conduct` is `conductance`; SpikingJelly's neuron cannot resume from a state.
///
/// Each step has its own conductance, so a state counts the steps, and a sequence can have no more steps than the
/// configuration.
///
/// Created by [`GatedLifConfig`]. State: `v`, the membrane potential; `spikes`, whose reset is to come.
#[derive(Module, Debug)]
pub struct GatedLif {
    alpha: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    gamma: Param<Tensor<1>>,
    decay: Param<Tensor<1>>,
    threshold: Param<Tensor<1>>,
    leak: Param<Tensor<1>>,
    subtracted: Param<Tensor<1>>,
    /// `[T, 1]` or `[T, C]`.
    conductance: Param<Tensor<2>>,
    #[module(skip)]
    equations: Equations,
    #[module(skip)]
    config: GatedLifConfig,
}

/// The sigmoids of parameters for this many steps, in the shape that broadcasts over sequences of rank `D`. The last axis
/// holds the channels.
fn sigmoids<const D: usize, const FROM: usize>(numbers: Tensor<FROM>, steps: usize) -> Term {
    let mut shape = [1; D];
    shape[0] = steps;
    let channels = numbers.dims()[FROM - 1];
    if channels > 1 {
        shape[2] = channels;
    }
    Term::from(sigmoid(numbers).reshape(shape))
}

impl GatedLif {
    /// The configuration the neuron was made from.
    pub fn config(&self) -> &GatedLifConfig {
        &self.config
    }

    fn run(&self) -> Run<'_> {
        Run {
            owner: "GatedLif",
            equations: &self.equations,
            settings: self.config.settings(),
        }
    }

    /// The parameters of the equations, `[1]` or `[C]` each, in the form that goes with sequences of rank `D`.
    fn terms<const D: usize>(&self) -> Vec<Term> {
        let number = |parameter: &Param<Tensor<1>>| sigmoids::<D, 1>(parameter.val(), 1);
        let (alpha, gamma) = (number(&self.alpha), number(&self.gamma));
        let kept = (alpha.clone() * number(&self.decay).complement()).complement();
        let leak = alpha.complement() * number(&self.leak);
        let subtracted = gamma.clone().complement() * number(&self.subtracted);
        vec![kept, leak, gamma, subtracted, number(&self.threshold)]
    }

    /// The input after the conductance, for the steps after the first `before` ones.
    fn integrated<const D: usize>(&self, input: Tensor<D>, before: usize) -> Tensor<D> {
        let shape = input.dims();
        let [all, channels] = self.conductance.dims();
        let end = before + shape[0];
        assert!(
            end <= all,
            "GatedLif: {} time steps after {before}, expected at most {all} in all",
            shape[0]
        );
        assert!(
            channels == 1 || (D > 2 && shape[2] == channels),
            "GatedLif: the input {shape:?}, expected [T, B, {channels}, ...]"
        );
        let conductance = self.conductance.val().slice([before..end, 0..channels]);
        let conductance = sigmoids::<D, 2>(conductance, shape[0]);
        let part = (sigmoids::<D, 1>(self.beta.val(), 1) * conductance.complement()).complement();
        input * part.tensor()
    }
}

impl InNetwork for GatedLifConfig {
    fn threshold(&self) -> f64 {
        self.threshold
    }

    fn equations(&self) -> Option<Equations> {
        Some(Equations::new(self.clone()))
    }
}

impl Neuron for GatedLif {
    fn temporal_gradient(&self) -> TemporalGradient {
        self.config.temporal_gradient
    }

    fn is_alike_in_all_steps(&self) -> bool {
        false
    }

    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        self.run().initial(sequence, device)
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        let input = self.integrated(input, state.as_ref().map_or(0, NeuronState::steps));
        self.run().recorded(input, state, &self.terms::<D>())
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let input = self.integrated(input, state.as_ref().map_or(0, NeuronState::steps));
        self.run().forward(input, state, &self.terms::<D>())
    }
}

dynamics! {
    GatedLifConfig: [v = 0.0, spikes = 0.0];
    fn step(&self, [kept, leak, gamma, subtracted, threshold], x, fire) {
        let spikes = ResetRule::new(Reset::Soft, self.temporal_gradient).spike(spikes);
        let v = kept.clone() * v;
        let reset = v.clone() * gamma.clone() * spikes.clone() + subtracted.clone() * spikes;
        let u = v - leak.clone() + x - reset;
        let spike = fire.fire(u.clone() - threshold.clone());
        let carried = [u.clone(), spike.clone()];
        Step { carried, u, spike }
    }
}
