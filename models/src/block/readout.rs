//! The last layer of a network.

use burn::module::Module;
use burn::nn::Identity;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::neuron::{AnyNeuron, LeakyIntegrator, LeakyIntegratorConfig, NeuronConfig};

use crate::Context;

/// Configuration of a [`Readout`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReadoutConfig {
    /// Spiking neurons, as in the STBP paper.
    #[default]
    Spikes,
    /// Membranes without spikes.
    Membrane(LeakyIntegratorConfig),
    /// The currents of the last layer.
    Currents,
}

impl ReadoutConfig {
    /// Checks the configuration.
    ///
    /// # Errors
    ///
    /// If it is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        match self {
            Self::Spikes | Self::Currents => Ok(()),
            Self::Membrane(config) => config.validate(),
        }
    }

    /// Checks that it fits this number of outputs.
    pub(crate) fn validate_channels(
        &self,
        owner: &'static str,
        neuron: &NeuronConfig,
        outputs: usize,
    ) -> Result<(), InvalidConfig> {
        match self {
            Self::Spikes => neuron.validate_channels(owner, &[outputs]),
            Self::Membrane(config) => validate_decay(owner, config, outputs),
            Self::Currents => Ok(()),
        }
    }

    /// Creates the readout; `neuron` applies if it spikes.
    pub(crate) fn init(
        &self,
        neuron: &NeuronConfig,
        device: &Device,
    ) -> Result<Readout, InvalidConfig> {
        Ok(match self {
            Self::Spikes => Readout::Spikes(neuron.init(device)?),
            Self::Membrane(config) => Readout::Membrane(config.init(device)?),
            Self::Currents => Readout::Currents(Identity::new()),
        })
    }
}

/// The last layer of a network, `output`.
// A network has only one or a few.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Readout {
    /// Spiking neurons.
    Spikes(AnyNeuron),
    /// Membranes without spikes.
    Membrane(LeakyIntegrator),
    /// The currents, unchanged.
    Currents(Identity),
}

/// Checks that the decays of membranes fit this number of outputs.
fn validate_decay(
    owner: &'static str,
    config: &LeakyIntegratorConfig,
    outputs: usize,
) -> Result<(), InvalidConfig> {
    let decay = config.decay.named("readout.decay");
    decay.validate_channels(owner, &[outputs])
}

/// The name of the last layer.
const OUTPUT: &str = "output";

impl Readout {
    /// Runs the layer.
    ///
    /// # Shapes
    ///
    /// - current, outputs: `[T, B, classes]`
    pub fn forward(&self, current: Tensor<3>, context: &mut Context) -> Tensor<3> {
        match self {
            Self::Spikes(neuron) => context.neurons(OUTPUT, neuron, current),
            Self::Membrane(integrator) => context.membranes(OUTPUT, integrator, current),
            Self::Currents(_) => current,
        }
    }

    /// Checks that it fits this number of outputs.
    pub(crate) fn validate_channels(
        &self,
        owner: &'static str,
        outputs: usize,
    ) -> Result<(), InvalidConfig> {
        match self {
            Self::Spikes(neuron) => neuron.config().validate_channels(owner, &[outputs]),
            Self::Membrane(integrator) => validate_decay(owner, integrator.config(), outputs),
            Self::Currents(_) => Ok(()),
        }
    }
}
