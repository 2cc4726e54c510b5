//! The leaky integrate-and-fire neuron.

use burn::backend::Dispatch;
use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use super::coefficient::{Coefficient, Value};
use super::dynamics::{ResetRule, Run, Settings};
use super::graded::GradedEquations;
use super::lif_config::LOWEST_LEARNED;
use super::reset::{delayed, reset};
use super::{
    LifConfig, Neuron, NeuronState, Recording, Reset, Spikes, TemporalGradient, check_sequence,
};
use crate::kernel::{self, LifKernel, LifOps, Path};
use crate::spike::spike_with;

/// Leaky integrate-and-fire neurons, of any shape.
///
/// ```text
/// u[t] = rest + decay (v[t-1] - rest) + k x[t]      v before the first step is `rest`
/// o[t] = 1 if u[t] >= threshold else 0
/// v[t] = u[t] (1 - o[t]) + to o[t]                  Reset::Hard
/// v[t] = u[t] e^(-o[t] / decay)                     Reset::Exponential
/// v[t] = u[t] - threshold o[t]                      Reset::Soft
/// v[t] = u[t]                                       Reset::DelayedHard, Reset::DelayedSoft: see there
/// ```
///
/// Spikes may be of more than one kind, see [`Spikes`].
///
/// `x` is the synaptic input including bias; `k` is 1, or `1 - decay` with `decay_input`. This is the iterative LIF
/// model of Wu et al. (2018), with `decay = tau`; in the backward pass the spike's derivative is the surrogate's at
/// `u - threshold`.
///
/// Decay and threshold are fixed or learned, one for all neurons or one for each channel, which is axis 2 of the
/// input. What is learned is saved with the weights.
///
/// Created by [`LifConfig`] or [`IfConfig`](super::IfConfig).
#[derive(Module, Debug)]
pub struct Lif {
    decay: Coefficient,
    threshold: Coefficient,
    #[module(skip)]
    config: LifConfig,
}

/// The membrane potential that a step leaves, `v`, of shape `[1, B, ...]`.
///
/// Saved and loaded by serde; what is loaded lies on the default device until it is
/// [moved](NeuronState::to_device).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::neuron::{LifConfig, LifState, Neuron, NeuronState};
///
/// let device = Device::default();
/// let lif = LifConfig::new().init(&device)?;
/// let (_, state) = lif.forward(Tensor::<3>::full([4, 2, 3], 0.1, &device), None);
/// let text = serde_json::to_string(&state).unwrap();
/// let loaded: LifState<3> = serde_json::from_str(&text).unwrap();
/// assert_eq!(loaded.to_device(&device).v.to_data(), state.v.to_data());
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifState<const D: usize> {
    /// `v`, what the last step left.
    #[serde(deserialize_with = "super::state::tensor")]
    pub v: Tensor<D>,
}

impl<const D: usize> NeuronState for LifState<D> {
    fn detach(self) -> Self {
        Self { v: self.v.detach() }
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            v: self.v.to_device(device),
        }
    }
}

/// The equations of one step, with the numbers in the form that goes with a sequence.
pub(super) struct Equations<'a, const D: usize> {
    pub config: &'a LifConfig,
    pub decay: Value<D>,
    pub threshold: Value<D>,
}

impl<const D: usize> Equations<'_, D> {
    /// The spikes at a membrane potential.
    pub fn fire(&self, u: Tensor<D>) -> Tensor<D> {
        let x = self.threshold.less(u);
        spike_with(x, self.config.surrogate, self.config.forward)
    }

    /// What is left of `v` after one time step.
    pub fn decayed(&self, v: Tensor<D>) -> Tensor<D> {
        match self.config.rest {
            0.0 => self.decay.times(v),
            rest => self.decay.times(v.sub_scalar(rest)).add_scalar(rest),
        }
    }

    /// What the last step hands to this one.
    fn carried(&self, v: Tensor<D>) -> Tensor<D> {
        let v = match self.config.temporal_gradient {
            // The carried state is a constant, also one that came from outside.
            TemporalGradient::Off => v.detach(),
            TemporalGradient::Full(_) => v,
        };
        match self.config.reset {
            Reset::Hard { .. } | Reset::Exponential | Reset::Soft => self.decayed(v),
            Reset::DelayedHard { .. } | Reset::DelayedSoft => delayed(v, self),
        }
    }
}

impl Lif {
    pub(super) fn new(config: LifConfig, device: &Device) -> Self {
        // The exponential gate divides by the decay, and its derivative by the square of it.
        let lowest = match config.has_exponential() {
            true => LOWEST_LEARNED,
            false => 0.0,
        };
        Self {
            decay: config.decay.init(lowest, device),
            threshold: config.threshold.init(device),
            config,
        }
    }

    /// The configuration the neuron was made from.
    pub fn config(&self) -> &LifConfig {
        &self.config
    }

    /// The decay.
    pub fn decay(&self) -> &Coefficient {
        &self.decay
    }

    /// The threshold.
    pub fn threshold(&self) -> &Coefficient {
        &self.threshold
    }

    /// The fused kernel that does for this input what unrolling does, if there is one and it may be taken.
    pub(crate) fn kernel<const D: usize>(&self, input: &Tensor<D>) -> Option<LifKernel> {
        match self.config.path {
            Path::Auto if kernel::supports_lif(input) => LifKernel::new(&self.config),
            _ => None,
        }
    }

    /// Decay and threshold for a kernel, if they and the state go with a sequence of this shape.
    pub(crate) fn numbers<const D: usize>(
        &self,
        sequence: [usize; D],
        state: Option<&LifState<D>>,
        device: &Device,
    ) -> [Tensor<1>; 2] {
        check_sequence("Lif", sequence, state.map(|state| state.v.dims()));
        [
            self.decay.tensor("Lif: the decay", sequence, device),
            self.threshold
                .tensor("Lif: the threshold", sequence, device),
        ]
    }

    fn fused<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
        kernel: LifKernel,
    ) -> (Tensor<D>, LifState<D>) {
        let [decay, threshold] = self.numbers(input.dims(), state.as_ref(), &input.device());
        // Kernels take sequence and state in one type, and these numbers in single precision.
        let [decay, threshold] = [decay, threshold].map(|number| number.cast(FloatDType::F32));
        let state = state.map(|state| state.v.cast(FloatDType::from(input.dtype())));
        let has_state = state.is_some();
        // In place of a state that is not there stands something else. Not the input: who alone has it may write over it.
        let v = match state {
            Some(v) => v.into_dispatch(),
            None => decay.clone().into_dispatch(),
        };
        let (spikes, v) = <Dispatch as LifOps>::lif(
            input.into_dispatch(),
            v,
            decay.into_dispatch(),
            threshold.into_dispatch(),
            has_state,
            kernel,
            self.config.keep,
        );
        let state = LifState {
            v: Tensor::from_dispatch(v),
        };
        (Tensor::from_dispatch(spikes), state)
    }

    /// Unrolls the equation over the time steps and hands each `(u, o, v)` to `each`. Returns the state.
    fn unroll<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
        mut each: impl FnMut(Tensor<D>, Tensor<D>, Tensor<D>),
    ) -> LifState<D> {
        let shape = input.dims();
        check_sequence("Lif", shape, state.as_ref().map(|state| state.v.dims()));
        let config = &self.config;
        let equations = Equations {
            config,
            decay: self.decay.value("Lif: the decay", shape),
            threshold: self.threshold.value("Lif: the threshold", shape),
        };

        let delayed = matches!(config.reset, Reset::DelayedHard { .. } | Reset::DelayedSoft);
        let mut v = match state {
            Some(state) => Some(state.v),
            // Whether `rest` is above the threshold counts from the first step on.
            None if delayed => Some(
                input
                    .clone()
                    .slice(0..1)
                    .zeros_like()
                    .add_scalar(config.rest),
            ),
            None => None,
        };
        let input = match config.decay_input {
            true => equations.decay.complement().times(input),
            false => input,
        };
        for x in input.split(1, 0) {
            let u = match v {
                Some(v) => equations.carried(v) + x,
                None if config.rest == 0.0 => x,
                None => x.add_scalar(config.rest),
            };
            let spikes = equations.fire(u.clone());
            let left = match (delayed, config.temporal_gradient) {
                (true, TemporalGradient::Off) => u.clone().detach(),
                (true, TemporalGradient::Full(_)) => u.clone(),
                (false, _) => reset(u.clone(), spikes.clone(), &equations),
            };
            each(u, spikes, left.clone());
            v = Some(left);
        }
        LifState {
            v: v.expect("there is at least one time step"),
        }
    }
}

impl Lif {
    /// How spikes of more than one kind are run, if there are any.
    fn graded<const D: usize>(
        &self,
        sequence: [usize; D],
        device: &Device,
    ) -> Option<Run<GradedEquations, 1, 2>> {
        let config = &self.config;
        let equations = match config.spikes {
            Spikes::Binary => return None,
            spikes => GradedEquations {
                spikes,
                rest: config.rest,
                decay_input: config.decay_input,
                rule: ResetRule::new(config.reset, config.temporal_gradient),
            },
        };
        Some(Run {
            owner: "Lif",
            equations,
            numbers: self.numbers(sequence, None, device),
            settings: Settings {
                temporal_gradient: config.temporal_gradient,
                surrogate: config.surrogate,
                forward: config.forward,
                path: config.path,
            },
        })
    }
}

impl Neuron for Lif {
    type State<const D: usize> = LifState<D>;

    fn temporal_gradient(&self) -> TemporalGradient {
        self.config.temporal_gradient
    }

    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> LifState<D> {
        let mut shape = sequence;
        shape[0] = 1;
        LifState {
            v: Tensor::full(shape, self.config.rest, device),
        }
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
    ) -> (Recording<D>, LifState<D>) {
        if let Some(graded) = self.graded(input.dims(), &input.device()) {
            let (recording, [v]) = graded.recorded(input, state.map(|state| [state.v]));
            return (recording, LifState { v });
        }
        let (mut us, mut spikes, mut vs) = (Vec::new(), Vec::new(), Vec::new());
        let state = self.unroll(input, state, |u, o, v| {
            us.push(u);
            spikes.push(o);
            vs.push(v);
        });
        let recording = Recording {
            spikes: Tensor::cat(spikes, 0),
            u: Tensor::cat(us, 0),
            v: Tensor::cat(vs, 0),
        };
        (recording, state)
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LifState<D>>,
    ) -> (Tensor<D>, LifState<D>) {
        if let Some(kernel) = self.kernel(&input) {
            return self.fused(input, state, kernel);
        }
        if let Some(graded) = self.graded(input.dims(), &input.device()) {
            let (spikes, [v]) = graded.forward(input, state.map(|state| [state.v]));
            return (spikes, LifState { v });
        }
        let mut spikes = Vec::new();
        let state = self.unroll(input, state, |_, o, _| spikes.push(o));
        (Tensor::cat(spikes, 0), state)
    }
}
