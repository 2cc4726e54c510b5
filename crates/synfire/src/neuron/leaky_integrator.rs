//! A readout that does not spike.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Coefficient, Decay, NeuronState, check_sequence, scaled_input, time_steps};
use crate::{InvalidConfig, config};

config! {
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
        /// Decay factor of the membrane potential per time step, 0 to 1: a number, one for each channel, or learned. With 1
        /// the integrator is a sum.
        with_decay => decay: Decay = Decay::from(0.9),
        /// Multiplies the input by `1 - decay`.
        with_decay_input => decay_input: bool = false,
        /// True if gradients flow through time. If not, the carried membrane is a constant for the backward pass, as with
        /// [`TemporalGradient::Off`](super::TemporalGradient::Off).
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
        self.decay.named("decay").validate("LeakyIntegrator")
    }

    /// Creates the integrator.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<LeakyIntegrator, InvalidConfig> {
        self.validate()?;
        Ok(LeakyIntegrator {
            decay: self.decay.named("decay").init(device),
            config: self.clone(),
        })
    }
}

/// A membrane without spikes, `u[t] = decay u[t-1] + k x[t]`, whose potential is a network's answer
/// (SpikingJelly's `NonSpikingLIFNode`): for losses on membrane potentials, where rates of a few steps are too coarse.
///
/// `k` is 1, or `1 - decay` with `decay_input`. The decay is fixed or learned, one for all or one for each channel.
///
/// Created by [`LeakyIntegratorConfig`]. State: `u`, the membrane potential.
#[derive(Module, Debug)]
pub struct LeakyIntegrator {
    decay: Coefficient,
    #[module(skip)]
    config: LeakyIntegratorConfig,
}

impl LeakyIntegrator {
    /// The configuration the integrator was made from.
    pub fn config(&self) -> &LeakyIntegratorConfig {
        &self.config
    }

    /// The configuration with the decay that it has now.
    #[doc(hidden)]
    pub fn described(&self) -> LeakyIntegratorConfig {
        let mut config = self.config.clone();
        if let Some(values) = self.decay.learned() {
            config.decay = Decay::Fixed(values);
        }
        config
    }

    /// The decay.
    pub fn decay(&self) -> &Coefficient {
        &self.decay
    }

    /// The state at rest, equivalent to `None`.
    ///
    /// # Shapes
    ///
    /// - sequence: that of the input, `[T, B, ...]`
    pub fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        let mut shape = sequence;
        shape[0] = 1;
        NeuronState::new([("u", Tensor::<D>::zeros(shape, device))], 0)
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
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let shape = input.dims();
        let before = state.as_ref().map_or(0, NeuronState::steps);
        let mut u = state.map(|state| state.expect::<D>("u"));
        check_sequence("LeakyIntegrator", shape, u.as_ref().map(Tensor::dims));
        let decay = self.decay.term("LeakyIntegrator", "decay", &input);
        let input = scaled_input(self.config.decay_input, &decay, input.into()).tensor::<D>();
        let mut potentials = Vec::with_capacity(shape[0]);
        for x in time_steps(input) {
            let next = match u {
                None => x,
                Some(u) => {
                    let u = match self.config.temporal_gradient {
                        true => u,
                        false => u.detach(),
                    };
                    (decay.clone() * u.into()).tensor::<D>() + x
                }
            };
            potentials.push(next.clone());
            u = Some(next);
        }
        let u = u.expect("there is at least one time step");
        let state = NeuronState::new([("u", u)], before + shape[0]);
        (Tensor::cat(potentials, 0), state)
    }
}
