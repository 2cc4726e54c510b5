//! A readout that does not spike.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::coefficient::Coefficient;
use super::config::neuron_config;
use super::{Decay, NeuronState, check_sequence};
use crate::InvalidConfig;

neuron_config! {
    /// Configuration of a [`LeakyIntegrator`].
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::LeakyIntegratorConfig;
    ///
    /// let device = Device::default();
    /// let readout = LeakyIntegratorConfig::new().with_decay(0.5).init(&device)?;
    /// let (u, _state) = readout.forward(Tensor::<2>::ones([3, 1], &device), None);
    /// assert_eq!(u.to_data().try_to_vec::<f32>().unwrap(), [1.0, 1.5, 1.75]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub struct LeakyIntegratorConfig {
        /// The part of the membrane potential that is left after one time step, 0 to 1: a number, one for each channel,
        /// or learned. At 1 it is a sum.
        with_decay => decay: Decay = Decay::from(0.9),
        /// Whether the input is multiplied by `1 - decay`.
        with_decay_input => decay_input: bool = false,
        /// Whether gradients travel through time. If not, the carried membrane is a constant for the backward pass, as
        /// under [`TemporalGradient::Off`](super::TemporalGradient::Off).
        with_temporal_gradient => temporal_gradient: bool = true,
    }
}

impl LeakyIntegratorConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If a decay is not in `[0, 1]` (for a sigmoid, in between).
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.decay.validate("LeakyIntegrator")
    }

    /// Creates the integrator.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<LeakyIntegrator, InvalidConfig> {
        self.validate()?;
        Ok(LeakyIntegrator {
            decay: self.decay.init(0.0, device),
            config: self.clone(),
        })
    }
}

/// A membrane without spikes, `u[t] = decay u[t-1] + k x[t]`, whose potential is a network's answer
/// (SpikingJelly's `NonSpikingLIFNode`): for losses on membrane potentials, where rates of a few steps are too coarse.
///
/// `k` is 1, or `1 - decay` with `decay_input`. The decay is fixed or learned, one for all or one for each channel.
///
/// Created by [`LeakyIntegratorConfig`].
#[derive(Module, Debug)]
pub struct LeakyIntegrator {
    decay: Coefficient,
    #[module(skip)]
    config: LeakyIntegratorConfig,
}

/// The membrane potential `u` after the last step, of shape `[1, B, ...]`. Saved and loaded by serde.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeakyIntegratorState<const D: usize> {
    /// `u`.
    #[serde(deserialize_with = "super::state::tensor")]
    pub u: Tensor<D>,
}

impl<const D: usize> NeuronState for LeakyIntegratorState<D> {
    fn detach(self) -> Self {
        Self { u: self.u.detach() }
    }

    fn to_device(self, device: &Device) -> Self {
        Self {
            u: self.u.to_device(device),
        }
    }
}

impl LeakyIntegrator {
    /// The configuration the integrator was made from.
    pub fn config(&self) -> &LeakyIntegratorConfig {
        &self.config
    }

    /// The decay.
    pub fn decay(&self) -> &Coefficient {
        &self.decay
    }

    /// The state at rest, which `None` stands for.
    ///
    /// # Shapes
    ///
    /// - sequence: that of the input, `[T, B, ...]`
    pub fn initial<const D: usize>(
        &self,
        sequence: [usize; D],
        device: &Device,
    ) -> LeakyIntegratorState<D> {
        let mut shape = sequence;
        shape[0] = 1;
        LeakyIntegratorState {
            u: Tensor::zeros(shape, device),
        }
    }

    /// Runs a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, the synaptic input of each step, T at least 1
    /// - membrane potentials: `[T, B, ...]`
    ///
    /// # Panics
    ///
    /// As for [`Neuron::forward`](super::Neuron::forward).
    pub fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<LeakyIntegratorState<D>>,
    ) -> (Tensor<D>, LeakyIntegratorState<D>) {
        let shape = input.dims();
        let mut u = state.map(|state| state.u);
        check_sequence("LeakyIntegrator", shape, u.as_ref().map(Tensor::dims));
        let decay = self.decay.value("LeakyIntegrator: the decay", shape);
        let input = match self.config.decay_input {
            true => decay.complement().times(input),
            false => input,
        };
        let mut potentials = Vec::with_capacity(shape[0]);
        for x in input.split(1, 0) {
            let next = match u {
                Some(u) if self.config.temporal_gradient => decay.times(u) + x,
                Some(u) => decay.times(u.detach()) + x,
                None => x,
            };
            potentials.push(next.clone());
            u = Some(next);
        }
        let state = LeakyIntegratorState {
            u: u.expect("there is at least one time step"),
        };
        (Tensor::cat(potentials, 0), state)
    }
}
