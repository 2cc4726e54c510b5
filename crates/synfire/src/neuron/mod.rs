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

mod ad_lif;
mod adaptive_lif;
mod alpha_lif;
mod coefficient;
mod config;
mod cuba_lif;
pub(crate) mod dynamics;
mod equations;
mod exponential_if;
mod gated_lif;
mod graded;
mod izhikevich;
mod klif;
mod leaky_integrator;
mod lif;
mod lif_config;
mod psn;
mod quadratic_if;
pub(crate) mod real;
mod recurrent;
mod reset;
mod resonate_and_fire;
mod state;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

pub use ad_lif::{AdLif, AdLifConfig, AdLifState};
pub use adaptive_lif::{AdaptiveLif, AdaptiveLifConfig, AdaptiveLifState};
pub use alpha_lif::{AlphaLif, AlphaLifConfig, AlphaLifState, AlphaReset};
pub use coefficient::{Coefficient, Decay, Number, Threshold, Values};
pub use cuba_lif::{CubaLif, CubaLifConfig, CubaLifState};
pub(crate) use equations::{AnyEquations, with_equations};
pub use exponential_if::{ExponentialIf, ExponentialIfConfig, ExponentialIfState};
pub use gated_lif::{GatedLif, GatedLifConfig, GatedLifState};
pub use graded::Spikes;
pub use izhikevich::{Izhikevich, IzhikevichConfig, IzhikevichState};
pub use klif::{Klif, KlifConfig, KlifState};
pub use leaky_integrator::{LeakyIntegrator, LeakyIntegratorConfig, LeakyIntegratorState};
pub use lif::{Lif, LifState};
pub use lif_config::{IfConfig, LifConfig};
pub use psn::{MaskedPsn, MaskedPsnConfig, Psn, PsnConfig, PsnState, SlidingPsn, SlidingPsnConfig};
pub use quadratic_if::{QuadraticIf, QuadraticIfConfig, QuadraticIfState};
pub use recurrent::{Recurrent, RecurrentState};
pub use reset::{Reset, ResetGradient, TemporalGradient};
pub use resonate_and_fire::{ResonateAndFire, ResonateAndFireConfig, ResonateAndFireState};
pub use state::NeuronState;

/// What every neuron model does.
pub trait Neuron: Module {
    /// What is carried from one step to the next, each tensor `[1, B, ...]`.
    type State<const D: usize>: NeuronState;

    /// How its gradients travel through time. What stands around a neuron and carries state of its own follows it.
    fn temporal_gradient(&self) -> TemporalGradient;

    /// The state at rest, which `None` stands for.
    ///
    /// # Shapes
    ///
    /// - sequence: that of the input, `[T, B, ...]`
    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> Self::State<D>;

    /// Runs a sequence and keeps what it saw.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, the synaptic input of each step, T at least 1
    /// - recording: `[T, B, ...]` each
    ///
    /// # Panics
    ///
    /// If the input has no time steps, the state is not of the shape `[1, B, ...]` that belongs to it, or the neuron has
    /// numbers for channels that the input does not have.
    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Recording<D>, Self::State<D>);

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
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Self::State<D>);
}

/// What a neuron did in every step of a sequence, each `[T, B, ...]`.
#[derive(Clone, Debug)]
pub struct Recording<const D: usize> {
    /// The spikes `o`.
    pub spikes: Tensor<D>,
    /// The membrane potential `u` after integration, before reset.
    pub u: Tensor<D>,
    /// The membrane potential `v` after reset.
    pub v: Tensor<D>,
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
