//! Any of the networks, for programs that choose one when they run.

use burn::module::Module;
use burn::store::{ApplyResult, ModuleSnapshot, SafetensorsStore, SafetensorsStoreError};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::kernel::Product;
use synfire::layer::Pooling;
use synfire::neuron::LifConfig;

use crate::{Norm, Pass, Readout, SpikingNetwork, StbpCnn, StbpCnnConfig, StbpMlp, StbpMlpConfig};

/// The configuration of one of the networks.
// There is one in a network, or a few.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkConfig {
    /// Fully connected.
    StbpMlp(StbpMlpConfig),
    /// Convolutional.
    StbpCnn(StbpCnnConfig),
}

impl NetworkConfig {
    /// The name of the architecture.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StbpMlp(_) => "stbp-mlp",
            Self::StbpCnn(_) => "stbp-cnn",
        }
    }

    /// Its layers in one line, as papers write them, and behind them in brackets what is not as in the STBP paper.
    pub fn structure(&self) -> String {
        let (norm, readout) = match self {
            Self::StbpMlp(config) => (config.norm, &config.readout),
            Self::StbpCnn(config) => (config.norm, &config.readout),
        };
        let mut others = Vec::new();
        if let Some(Norm::TdBatch) = norm {
            others.push("tdBN");
        }
        if let Readout::Membrane(_) = readout {
            others.push("membrane readout");
        }
        match others.as_slice() {
            [] => self.layers(),
            others => format!("{} ({})", self.layers(), others.join(", ")),
        }
    }

    fn layers(&self) -> String {
        let join = |sizes: &[usize]| {
            let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
            sizes.join("-")
        };
        match self {
            Self::StbpMlp(config) => join(&config.sizes),
            Self::StbpCnn(config) => {
                let [_, height, width] = config.image;
                let pool = match (config.pooling, &config.pool_neuron) {
                    (Pooling::Average, Some(_)) => "P",
                    (Pooling::Average, None) => "AP",
                    (Pooling::Max, _) => "MP",
                };
                let blocks = config
                    .channels
                    .iter()
                    .map(|channels| format!("{channels}C{}-{pool}{}-", config.kernel, config.pool));
                let tail = [config.hidden.as_slice(), &[config.classes]].concat();
                format!(
                    "{height}x{width}-{}{}",
                    blocks.collect::<String>(),
                    join(&tail)
                )
            }
        }
    }

    /// Fits input and output to a dataset: samples of `[channels, height, width]`, and the number of classes.
    pub fn set_samples(&mut self, shape: [usize; 3], classes: usize) {
        match self {
            Self::StbpMlp(config) => {
                if let Some(first) = config.sizes.first_mut() {
                    *first = shape.iter().product();
                }
                if let Some(last) = config.sizes.last_mut() {
                    *last = classes;
                }
            }
            Self::StbpCnn(config) => {
                config.image = shape;
                config.classes = classes;
            }
        }
    }

    /// Sets the sizes of the fully connected layers before the last.
    pub fn set_hidden(&mut self, hidden: &[usize]) {
        match self {
            Self::StbpMlp(config) => {
                if let [first, .., last] = config.sizes[..] {
                    config.sizes = [&[first], hidden, &[last]].concat();
                }
            }
            Self::StbpCnn(config) => config.hidden = hidden.to_vec(),
        }
    }

    /// The configurations of the neurons after weights.
    pub fn neuron(&self) -> &LifConfig {
        match self {
            Self::StbpMlp(config) => &config.neuron,
            Self::StbpCnn(config) => &config.neuron,
        }
    }

    /// The configuration of the neurons of a layer, by its name as [`SpikingNetwork::layer_names`] has it.
    pub fn neuron_of(&self, layer: &str) -> &LifConfig {
        match self {
            Self::StbpCnn(StbpCnnConfig {
                pool_neuron: Some(neuron),
                ..
            }) if layer.starts_with("pool") => neuron,
            _ => self.neuron(),
        }
    }

    /// The configurations of all neurons, those after weights first.
    pub fn neurons_mut(&mut self) -> Vec<&mut LifConfig> {
        match self {
            Self::StbpMlp(config) => vec![&mut config.neuron],
            Self::StbpCnn(config) => {
                let mut neurons = vec![&mut config.neuron];
                neurons.extend(&mut config.pool_neuron);
                neurons
            }
        }
    }

    /// What stands between the weights of a layer and its neurons.
    pub fn norm_mut(&mut self) -> &mut Option<Norm> {
        match self {
            Self::StbpMlp(config) => &mut config.norm,
            Self::StbpCnn(config) => &mut config.norm,
        }
    }

    /// What stands at the end.
    pub fn readout_mut(&mut self) -> &mut Readout {
        match self {
            Self::StbpMlp(config) => &mut config.readout,
            Self::StbpCnn(config) => &mut config.readout,
        }
    }

    /// How weights start.
    pub fn initializer_mut(&mut self) -> &mut Initializer {
        match self {
            Self::StbpMlp(config) => &mut config.initializer,
            Self::StbpCnn(config) => &mut config.initializer,
        }
    }

    /// How spikes are multiplied with weights.
    pub fn product_mut(&mut self) -> &mut Product {
        match self {
            Self::StbpMlp(config) => &mut config.product,
            Self::StbpCnn(config) => &mut config.product,
        }
    }

    /// The probability with which neurons are left out in training.
    pub fn dropout_mut(&mut self) -> &mut f64 {
        match self {
            Self::StbpMlp(config) => &mut config.dropout,
            Self::StbpCnn(config) => &mut config.dropout,
        }
    }

    /// The seed of the initial weights.
    pub fn seed_mut(&mut self) -> &mut u64 {
        match self {
            Self::StbpMlp(config) => &mut config.seed,
            Self::StbpCnn(config) => &mut config.seed,
        }
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        match self {
            Self::StbpMlp(config) => config.validate(),
            Self::StbpCnn(config) => config.validate(),
        }
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    pub fn init(&self, device: &Device) -> Result<Network, InvalidConfig> {
        Ok(match self {
            Self::StbpMlp(config) => Network::StbpMlp(config.init(device)?),
            Self::StbpCnn(config) => Network::StbpCnn(config.init(device)?),
        })
    }
}

/// One of the networks.
// There is one in a network, or a few.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Network {
    /// Fully connected.
    StbpMlp(StbpMlp),
    /// Convolutional.
    StbpCnn(StbpCnn),
}

impl Network {
    /// Writes the weights into a store, under the names of the network itself.
    ///
    /// # Errors
    ///
    /// If the store cannot take them.
    pub fn save_into(&self, store: &mut SafetensorsStore) -> Result<(), SafetensorsStoreError> {
        match self {
            Self::StbpMlp(network) => network.save_into(store),
            Self::StbpCnn(network) => network.save_into(store),
        }
    }

    /// Reads the weights from a store.
    ///
    /// # Errors
    ///
    /// If they are not those of such a network.
    pub fn load_from(
        &mut self,
        store: &mut SafetensorsStore,
    ) -> Result<ApplyResult, SafetensorsStoreError> {
        match self {
            Self::StbpMlp(network) => network.load_from(store),
            Self::StbpCnn(network) => network.load_from(store),
        }
    }

    /// The weights as Burn's own record.
    pub fn record(&self) -> burn::store::ModuleRecord {
        match self.clone() {
            Self::StbpMlp(network) => network.into_record(),
            Self::StbpCnn(network) => network.into_record(),
        }
    }
}

impl SpikingNetwork for Network {
    fn inputs(&self) -> usize {
        match self {
            Self::StbpMlp(network) => network.inputs(),
            Self::StbpCnn(network) => network.inputs(),
        }
    }

    fn layer_names(&self) -> Vec<String> {
        match self {
            Self::StbpMlp(network) => network.layer_names(),
            Self::StbpCnn(network) => network.layer_names(),
        }
    }

    fn forward_pass(&self, input: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
        match self {
            Self::StbpMlp(network) => network.forward_pass(input, pass),
            Self::StbpCnn(network) => network.forward_pass(input, pass),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::neuron::LeakyIntegratorConfig;

    #[test]
    fn structures_are_written_as_in_papers() {
        let mlp = NetworkConfig::StbpMlp(StbpMlpConfig::new());
        assert_eq!(mlp.structure(), "784-800-10");
        let cnn = NetworkConfig::StbpCnn(StbpCnnConfig::new());
        assert_eq!(cnn.structure(), "28x28-15C5-P2-40C5-P2-300-10");
        let authors = NetworkConfig::StbpCnn(StbpCnnConfig::authors());
        assert_eq!(authors.structure(), "28x28-32C3-AP2-32C3-AP2-128-10");
        let mut normalised = authors;
        *normalised.norm_mut() = Some(Norm::TdBatch);
        *normalised.readout_mut() = Readout::Membrane(LeakyIntegratorConfig::new());
        assert_eq!(
            normalised.structure(),
            "28x28-32C3-AP2-32C3-AP2-128-10 (tdBN, membrane readout)"
        );
        assert_eq!(serde_json::to_value(&mlp).unwrap()[mlp.name()]["seed"], 0);
    }
}
