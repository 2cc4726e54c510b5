//! Spiking neurons as Burn modules that unroll over time.
//!
//! A neuron takes a sequence `[T, B, ...]`, time first, and a state, and returns the spikes of the same shape and
//! the state after the last step. No module keeps a membrane potential: there is nothing to reset between samples,
//! nothing stale in a checkpoint. `None` as the state starts at rest; a returned state carries gradients until it
//! is [detached](NeuronState::detach).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::neuron::{LifConfig, Neuron};
//!
//! let device = Device::default();
//! let lif = LifConfig::new().with_threshold(1.0).with_decay(0.5).init(&device)?;
//! // 4 time steps, 1 sample, 2 neurons
//! let input = Tensor::<3>::from_floats([[[0.6, 1.0]], [[0.6, 0.0]], [[0.6, 0.0]], [[0.6, 0.9]]], &device);
//! let (spikes, state) = lif.forward(input.clone(), None);
//! assert_eq!(
//!     spikes.to_data().try_to_vec::<f32>().unwrap(),
//!     [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
//! );
//! // The next call goes on where this one ended.
//! let (_more, _state) = lif.forward(input, Some(state));
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! [`Recurrent`] neurons wrap any others and also receive their own spikes of the previous step.

/// The list of neurons: the kind of each in files, its file, its module and its configuration.
macro_rules! neurons {
    ($define:ident) => {
        $define! {
            "ad-lif" => ad_lif::AdLif(AdLifConfig),
            "adaptive-lif" => adaptive_lif::AdaptiveLif(AdaptiveLifConfig),
            "alpha-lif" => alpha_lif::AlphaLif(AlphaLifConfig),
            "clif" => clif::Clif(ClifConfig),
            "cuba-lif" => cuba_lif::CubaLif(CubaLifConfig),
            "exponential-if" => exponential_if::ExponentialIf(ExponentialIfConfig),
            "gated-lif" => gated_lif::GatedLif(GatedLifConfig),
            "if" => integrate_and_fire::If(IfConfig),
            "integer-lif" => integer_lif::IntegerLif(IntegerLifConfig),
            "izhikevich" => izhikevich::Izhikevich(IzhikevichConfig),
            "klif" => klif::Klif(KlifConfig),
            "lif" => lif::Lif(LifConfig),
            "masked-psn" => masked_psn::MaskedPsn(MaskedPsnConfig),
            "psn" => psn::Psn(PsnConfig),
            "quadratic-if" => quadratic_if::QuadraticIf(QuadraticIfConfig),
            "quantized-relu" => quantized_relu::QuantizedRelu(QuantizedReluConfig),
            "relu" => relu::Relu(ReluConfig),
            "resonate-and-fire" => resonate_and_fire::ResonateAndFire(ResonateAndFireConfig),
            "scaled-if" => scaled_if::ScaledIf(ScaledIfConfig),
            "sliding-psn" => sliding_psn::SlidingPsn(SlidingPsnConfig),
        }
    };
}

/// Items of [`EquationConfig`] for a configuration that implements [`Dynamics`](crate::dynamics::Dynamics) itself: the name,
/// the parameters from these fields, and the equations.
macro_rules! equations {
    ($name:ident: $($field:ident),+) => {
        const NAME: &'static str = stringify!($name);

        fn parameters(&self) -> Vec<$crate::neuron::Parameter> {
            vec![$(self.$field.named(stringify!($field)),)+]
        }

        fn equations(&self) -> $crate::dynamics::Equations {
            $crate::dynamics::Equations::new(self.clone())
        }
    };
}

/// Gives a configuration with the fields `reset` and `temporal_gradient` its `rule()`.
macro_rules! reset_rule {
    ($config:ident) => {
        impl $config {
            #[inline(always)]
            fn rule(&self) -> $crate::neuron::ResetRule {
                $crate::neuron::ResetRule::new(self.reset, self.temporal_gradient)
            }
        }
    };
}

/// Implements [`Dynamics`](crate::dynamics::Dynamics) for equations that carry these values, each from its value at rest, under
/// these names in a state.
macro_rules! dynamics {
    (
        $equations:ident: [$($carried:ident = $rest:expr),+];
        fn step(&$self:ident, [$($parameter:ident),+], $x:ident, $fire:ident) $step:block
    ) => {
        const _: () = {
            const N: usize = [$(stringify!($carried)),+].len();
            const P: usize = [$(stringify!($parameter)),+].len();

            impl $crate::dynamics::Dynamics<N, P> for $equations {
                const CARRIED: [&'static str; N] = [$(stringify!($carried)),+];

                fn rest(&$self) -> [f64; N] {
                    [$($rest),+]
                }

                #[inline(always)]
                fn step<R: $crate::dynamics::Real>(
                    &$self,
                    [$($parameter),+]: &[R; P],
                    [$($carried),+]: [R; N],
                    $x: R,
                    $fire: &impl $crate::dynamics::Fire<R>,
                ) -> Step<R, N> $step
            }
        };
    };
}

macro_rules! modules {
    ($($kind:literal => $file:ident::$name:ident($config:ident),)+) => {
        $(
            mod $file;
            pub use $file::{$config, $name};
        )+
    };
}

neurons!(modules);

mod by_hand;
mod coefficient;
mod config;
mod custom;
mod equation_neuron;
mod leaky_integrator;
mod list;
mod recurrent;
mod reset;
mod spikes;
mod state;

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor};

use crate::InvalidConfig;
use crate::dynamics::Real;
use neurons;

pub use alpha_lif::AlphaReset;
#[doc(hidden)]
pub use by_hand::{ByEquations, ByHand};
pub use coefficient::{Coefficient, Decay, ParamInit, Parameter, Threshold, Values};
pub use custom::CustomConfig;
pub use equation_neuron::{EquationConfig, EquationNeuron, NeuronSettings, Settings};
pub use leaky_integrator::{LeakyIntegrator, LeakyIntegratorConfig};
pub(crate) use lif::{LifEquations, LifTerms};
use list::InNetwork;
pub use list::{AnyNeuron, NeuronConfig};
pub use recurrent::{AnyFeedback, Feedback, FeedbackConfig, OneToOne, Recurrent, RecurrentConfig};
pub use reset::{Reset, ResetGradient, ResetRule, TemporalGradient};
pub use spikes::Spikes;
pub use state::NeuronState;

/// A spiking neuron.
pub trait Neuron: Module + ModuleDisplay {
    /// Gradients of the neuron through time. Wrappers that carry their own state follow it.
    fn temporal_gradient(&self) -> TemporalGradient {
        TemporalGradient::default()
    }

    /// True if a sequence can be split, down to single steps.
    fn streams(&self) -> bool {
        true
    }

    /// True if it is the same function of input and state in all steps.
    fn is_alike_in_all_steps(&self) -> bool {
        self.streams()
    }

    /// The state at rest, equivalent to `None`; by default without tensors.
    ///
    /// # Shapes
    ///
    /// - sequence: that of the input, `[T, B, ...]`
    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        let _ = (sequence, device);
        NeuronState::default()
    }

    /// Runs a sequence and keeps the membrane potentials of every step.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, the synaptic input of each step, T at least 1
    /// - recording: `[T, B, ...]` each
    ///
    /// # Panics
    ///
    /// If the input has no time steps, the state is not of the shape `[1, B, ...]` that belongs to it or not of this kind of
    /// neuron, or the neuron has parameters for channels that the input does not have.
    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState);

    /// Runs a sequence. A single step is a sequence with T = 1.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, the synaptic input of each step, T at least 1
    /// - spikes: `[T, B, ...]`
    ///
    /// # Panics
    ///
    /// As for [`forward_recorded`](Self::forward_recorded).
    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let (recording, state) = self.forward_recorded(input, state);
        (recording.spikes, state)
    }

    /// The configuration with the values that the parameters have now, if it is one of the list.
    #[doc(hidden)]
    fn described(&self) -> Option<NeuronConfig> {
        None
    }

    /// The input of the next step from the spikes of a step, if the neurons are recurrent.
    #[doc(hidden)]
    fn fed_back<const D: usize>(&self, spikes: Tensor<D>) -> Option<Tensor<D>> {
        let _ = spikes;
        None
    }

    /// The neurons, if they have a hand-written kernel for this input.
    #[doc(hidden)]
    fn by_hand<const D: usize>(&self, input: &Tensor<D>) -> Option<ByHand<'_>> {
        let _ = input;
        None
    }

    /// The neurons, if they run by their equations as one operation for this input, with the same parameters in all of a channel.
    #[doc(hidden)]
    fn by_equations<const D: usize>(&self, input: &Tensor<D>) -> Option<ByEquations<'_>> {
        let _ = input;
        None
    }
}

/// Spikes and membrane potentials of every step of a sequence, each `[T, B, ...]`.
#[derive(Clone, Debug)]
pub struct Recording<const D: usize> {
    /// The spikes `o`.
    pub spikes: Tensor<D>,
    /// The membrane potential `u` after integration, before reset.
    pub u: Tensor<D>,
    /// The membrane potential `v` after reset.
    pub v: Tensor<D>,
}

impl<const D: usize> Recording<D> {
    /// The recordings of steps, one after the other.
    fn cat(steps: Vec<Self>) -> Self {
        let steps = steps.into_iter();
        let (spikes, u, v): (Vec<_>, Vec<_>, Vec<_>) =
            steps.map(|step| (step.spikes, step.u, step.v)).collect();
        Self {
            spikes: Tensor::cat(spikes, 0),
            u: Tensor::cat(u, 0),
            v: Tensor::cat(v, 0),
        }
    }
}

/// The input of a membrane: `x`, or `(1 - decay) x`.
#[inline(always)]
fn scaled_input<R: Real>(decay_input: bool, decay: &R, x: R) -> R {
    match decay_input {
        true => decay.clone().complement() * x,
        false => x,
    }
}

/// The membrane potential after the decay of one step, towards the potential at rest.
#[inline(always)]
fn decayed<R: Real>(rest: f64, decay: &R, v: R) -> R {
    match rest {
        0.0 => decay.clone() * v,
        rest => (decay.clone() * v.plus(-rest)).plus(rest),
    }
}

/// The steps of a sequence, `[1, B, ...]` each.
///
/// The backward pass of a slice fills the whole sliced shape: recursive halving costs T log T for T steps, T slices of the
/// whole sequence T squared.
fn time_steps<const D: usize>(sequence: Tensor<D>) -> Vec<Tensor<D>> {
    let count = sequence.dims()[0];
    if count <= 2 || !sequence.is_autodiff() {
        return sequence.split(1, 0);
    }
    let halves = sequence.split(count.div_ceil(2), 0);
    halves.into_iter().flat_map(time_steps).collect()
}

/// Panics unless the input has time steps and the state, if there is one, belongs to it.
fn check_sequence<const D: usize>(owner: &str, input: [usize; D], state: Option<[usize; D]>) {
    assert!(
        input[0] > 0,
        "{owner}: the input {input:?} has no time steps, expected [T, B, ...] with T at least 1"
    );
    if let Some(state) = state {
        let mut expected = input;
        expected[0] = 1;
        assert!(
            state == expected,
            "{owner}: the state {state:?} does not belong to the input {input:?}, expected {expected:?}"
        );
    }
}
