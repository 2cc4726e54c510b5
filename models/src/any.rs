//! Any of the networks, for programs that choose one when they run.

use burn::module::Module;
use burn::store::{ApplyResult, ModuleSnapshot, SafetensorsStore, SafetensorsStoreError};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::init::{Initializer, LayerInit};
use synfire::layer::Pooling;
use synfire::neuron::NeuronConfig;
use synfire::ops::Product;

use crate::load::all_parameters;
use crate::parts::renew;
use crate::{
    CifarNet, CifarNetConfig, Context, MsResNet, MsResNetConfig, NirCnn, NirCnnConfig, Norm,
    PlifNet, PlifNetConfig, ReadoutConfig, SewResNet, SewResNetConfig, SpikingNetwork, SpikingVgg,
    SpikingVggConfig, StbpCnn, StbpCnnConfig, StbpMlp, StbpMlpConfig, TdResNet, TdResNetConfig,
};

/// What the configurations of networks that are put together from [parts](crate::parts) have in common.
pub(crate) trait ZooConfig {
    /// Fits input and output to a dataset.
    fn set_samples(&mut self, image: [usize; 3], classes: usize);

    /// The layers in one line.
    fn structure(&self) -> String;
}

/// Parameters of a network, of which training holds some copies: more than any that was published has.
const MOST_PARAMETERS: usize = 1 << 28;

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
    /// Convolutional, with learned time constants.
    PlifNet(PlifNetConfig),
    /// Convolutional, for CIFAR-10.
    CifarNet(CifarNetConfig),
    /// Convolutional, in stages.
    SpikingVgg(SpikingVggConfig),
    /// Convolutional, for N-MNIST.
    NirCnn(NirCnnConfig),
    /// Residual, by currents.
    TdResNet(TdResNetConfig),
    /// Residual, by spikes.
    SewResNet(SewResNetConfig),
    /// Residual, by membrane shortcuts.
    MsResNet(MsResNetConfig),
}

/// Calls the same for each of the variants.
macro_rules! each {
    ($self:expr, $inside:ident => $call:expr) => {
        match $self {
            Self::StbpMlp($inside) => $call,
            Self::StbpCnn($inside) => $call,
            Self::PlifNet($inside) => $call,
            Self::CifarNet($inside) => $call,
            Self::SpikingVgg($inside) => $call,
            Self::NirCnn($inside) => $call,
            Self::TdResNet($inside) => $call,
            Self::SewResNet($inside) => $call,
            Self::MsResNet($inside) => $call,
        }
    };
}

/// A reference to a field that the two networks of the STBP paper have themselves, and all others in their layers.
macro_rules! field {
    ($self:ident, $field:ident, $($borrow:tt)+) => {
        match $self {
            Self::StbpMlp(config) => $($borrow)+ config.$field,
            Self::StbpCnn(config) => $($borrow)+ config.$field,
            Self::PlifNet(config) => $($borrow)+ config.layers.$field,
            Self::CifarNet(config) => $($borrow)+ config.layers.$field,
            Self::SpikingVgg(config) => $($borrow)+ config.layers.$field,
            Self::NirCnn(config) => $($borrow)+ config.layers.$field,
            Self::TdResNet(config) => $($borrow)+ config.layers.$field,
            Self::SewResNet(config) => $($borrow)+ config.layers.$field,
            Self::MsResNet(config) => $($borrow)+ config.layers.$field,
        }
    };
}

impl NetworkConfig {
    /// The name of the architecture.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StbpMlp(_) => "stbp-mlp",
            Self::StbpCnn(_) => "stbp-cnn",
            Self::PlifNet(_) => "plif-net",
            Self::CifarNet(_) => "cifar-net",
            Self::SpikingVgg(_) => "spiking-vgg",
            Self::NirCnn(_) => "nir-cnn",
            Self::TdResNet(_) => "td-res-net",
            Self::SewResNet(_) => "sew-res-net",
            Self::MsResNet(_) => "ms-res-net",
        }
    }

    /// The configuration, if it is of a network that is put together from parts.
    fn zoo(&self) -> Option<&dyn ZooConfig> {
        match self {
            Self::StbpMlp(_) | Self::StbpCnn(_) => None,
            Self::PlifNet(config) => Some(config),
            Self::CifarNet(config) => Some(config),
            Self::SpikingVgg(config) => Some(config),
            Self::NirCnn(config) => Some(config),
            Self::TdResNet(config) => Some(config),
            Self::SewResNet(config) => Some(config),
            Self::MsResNet(config) => Some(config),
        }
    }

    /// Its layers in one line, as papers write them, and behind them in brackets what is not as in the STBP paper.
    pub fn structure(&self) -> String {
        let mut others = Vec::new();
        match field!(self, norm, &) {
            Some(Norm::TdBatch) => others.push("tdBN"),
            Some(Norm::Batch) => others.push("BN"),
            None => {}
        }
        match (self.readout(), self.zoo()) {
            (ReadoutConfig::Membrane(_), _) => others.push("membrane readout"),
            (ReadoutConfig::Currents, None) => others.push("readout of currents"),
            _ => {}
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
            _ => self.zoo().map(ZooConfig::structure).unwrap_or_default(),
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
            Self::PlifNet(config) => config.set_samples(shape, classes),
            Self::CifarNet(config) => config.set_samples(shape, classes),
            Self::SpikingVgg(config) => config.set_samples(shape, classes),
            Self::NirCnn(config) => config.set_samples(shape, classes),
            Self::TdResNet(config) => config.set_samples(shape, classes),
            Self::SewResNet(config) => config.set_samples(shape, classes),
            Self::MsResNet(config) => config.set_samples(shape, classes),
        }
    }

    /// The sizes of the fully connected layers before the last (before the voters, where there are any).
    pub fn hidden(&self) -> Vec<usize> {
        match self {
            Self::StbpMlp(config) => match config.sizes.as_slice() {
                [_, hidden @ .., _] => hidden.to_vec(),
                _ => vec![],
            },
            Self::StbpCnn(config) => config.hidden.clone(),
            Self::PlifNet(config) => vec![config.hidden],
            Self::CifarNet(config) => config.hidden.clone(),
            Self::SpikingVgg(config) => config.hidden.clone(),
            Self::NirCnn(_) => vec![256],
            Self::TdResNet(config) => config.hidden.clone(),
            Self::SewResNet(_) | Self::MsResNet(_) => vec![],
        }
    }

    /// Sets [them](Self::hidden).
    ///
    /// # Errors
    ///
    /// If the architecture has another number of them.
    pub fn set_hidden(&mut self, hidden: &[usize]) -> Result<(), InvalidConfig> {
        match (&mut *self, hidden) {
            (Self::StbpMlp(config), _) => {
                if let [first, .., last] = config.sizes[..] {
                    config.sizes = [&[first], hidden, &[last]].concat();
                }
            }
            (Self::StbpCnn(config), _) => config.hidden = hidden.to_vec(),
            (Self::PlifNet(config), [size]) => config.hidden = *size,
            (Self::CifarNet(config), _) => config.hidden = hidden.to_vec(),
            (Self::SpikingVgg(config), _) => config.hidden = hidden.to_vec(),
            (Self::TdResNet(config), _) => config.hidden = hidden.to_vec(),
            _ => return Err(self.fixed("hidden", hidden)),
        }
        Ok(())
    }

    /// The channels that can be chosen: of each convolution, of all convolutions, or of the first stage.
    pub fn channels(&self) -> Vec<usize> {
        match self {
            Self::StbpMlp(_) | Self::NirCnn(_) => vec![],
            Self::StbpCnn(config) => config.channels.clone(),
            Self::PlifNet(config) => vec![config.channels],
            Self::CifarNet(config) => config.stages.concat(),
            Self::SpikingVgg(config) => config.stages.concat(),
            Self::TdResNet(config) => vec![config.width],
            Self::SewResNet(config) => vec![config.width],
            Self::MsResNet(config) => vec![config.width],
        }
    }

    /// Sets [them](Self::channels).
    ///
    /// # Errors
    ///
    /// If the architecture has another number of them.
    pub fn set_channels(&mut self, channels: &[usize]) -> Result<(), InvalidConfig> {
        let set = |stages: &mut Vec<Vec<usize>>| {
            let all = stages.iter_mut().flatten();
            all.zip(channels).for_each(|(old, new)| *old = *new);
        };
        match (&mut *self, channels) {
            (Self::StbpCnn(config), _) => config.channels = channels.to_vec(),
            (Self::PlifNet(config), [one]) => config.channels = *one,
            (Self::CifarNet(config), _) if channels.len() == config.stages.concat().len() => {
                set(&mut config.stages);
            }
            (Self::SpikingVgg(config), _) if channels.len() == config.stages.concat().len() => {
                set(&mut config.stages);
            }
            (Self::TdResNet(config), [one]) => config.width = *one,
            (Self::SewResNet(config), [one]) => config.width = *one,
            (Self::MsResNet(config), [one]) => config.width = *one,
            _ => return Err(self.fixed("channels", channels)),
        }
        Ok(())
    }

    /// The error where sizes do not go with the architecture.
    fn fixed(&self, field: &'static str, sizes: &[usize]) -> InvalidConfig {
        let expected = "as many as the architecture has";
        InvalidConfig::new(self.name(), field, format!("{sizes:?}"), expected)
    }

    /// The configurations of the neurons after weights.
    pub fn neuron(&self) -> &NeuronConfig {
        field!(self, neuron, &)
    }

    /// The configuration of the neurons of a layer, by its name as [`SpikingNetwork::layer_names`] has it.
    pub fn neuron_of(&self, layer: &str) -> &NeuronConfig {
        match self {
            Self::StbpCnn(StbpCnnConfig {
                pool_neuron: Some(neuron),
                ..
            }) if layer.starts_with("pool") => neuron,
            _ => self.neuron(),
        }
    }

    /// The same network with other neurons, after pooling as well.
    pub fn with_neuron(mut self, neuron: impl Into<NeuronConfig>) -> Self {
        let neuron = neuron.into();
        for old in self.neurons_mut() {
            *old = neuron.clone();
        }
        self
    }

    /// The configurations of all neurons, those after weights first.
    pub fn neurons_mut(&mut self) -> Vec<&mut NeuronConfig> {
        match self {
            Self::StbpCnn(config) => {
                let mut neurons = vec![&mut config.neuron];
                neurons.extend(&mut config.pool_neuron);
                neurons
            }
            _ => vec![field!(self, neuron, &mut)],
        }
    }

    /// What stands between the weights of a layer and its neurons.
    pub fn norm_mut(&mut self) -> &mut Option<Norm> {
        field!(self, norm, &mut)
    }

    /// The readout.
    pub fn readout(&self) -> &ReadoutConfig {
        field!(self, readout, &)
    }

    /// The same, to be changed.
    pub fn readout_mut(&mut self) -> &mut ReadoutConfig {
        field!(self, readout, &mut)
    }

    /// How weights start.
    pub fn initializer_mut(&mut self) -> &mut Initializer {
        field!(self, initializer, &mut)
    }

    /// How spikes are multiplied with weights.
    pub fn product_mut(&mut self) -> &mut Product {
        field!(self, product, &mut)
    }

    /// The probability with which neurons are left out in training.
    pub fn dropout_mut(&mut self) -> &mut f64 {
        field!(self, dropout, &mut)
    }

    /// The seed of the initial weights.
    pub fn seed_mut(&mut self) -> &mut u64 {
        field!(self, seed, &mut)
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        each!(self, config => config.validate())
    }

    /// Creates the network. Its weights take memory when they are first looked at.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid, or the network has more than 2^28 parameters, 1 GiB of them: sizes that are good
    /// each by itself may have a product that nothing can hold.
    pub fn init(&self, device: &Device) -> Result<Network, InvalidConfig> {
        let network = self.init_any(device)?;
        let parameters = all_parameters(&network);
        match parameters <= MOST_PARAMETERS {
            true => Ok(network),
            false => Err(InvalidConfig::new(
                self.name(),
                "number of parameters",
                format!(
                    "{parameters} of {} ({} bytes)",
                    self.layers(),
                    4 * parameters as u128
                ),
                "at most 268435456 (1 GiB)",
            )),
        }
    }

    fn init_any(&self, device: &Device) -> Result<Network, InvalidConfig> {
        Ok(match self {
            Self::StbpMlp(config) => Network::StbpMlp(config.init(device)?),
            Self::StbpCnn(config) => Network::StbpCnn(config.init(device)?),
            Self::PlifNet(config) => Network::PlifNet(config.init(device)?),
            Self::CifarNet(config) => Network::CifarNet(config.init(device)?),
            Self::SpikingVgg(config) => Network::SpikingVgg(config.init(device)?),
            Self::NirCnn(config) => Network::NirCnn(config.init(device)?),
            Self::TdResNet(config) => Network::TdResNet(config.init(device)?),
            Self::SewResNet(config) => Network::SewResNet(config.init(device)?),
            Self::MsResNet(config) => Network::MsResNet(config.init(device)?),
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
    /// Convolutional, with learned time constants.
    PlifNet(PlifNet),
    /// Convolutional, for CIFAR-10.
    CifarNet(CifarNet),
    /// Convolutional, in stages.
    SpikingVgg(SpikingVgg),
    /// Convolutional, for N-MNIST.
    NirCnn(NirCnn),
    /// Residual, by currents.
    TdResNet(TdResNet),
    /// Residual, by spikes.
    SewResNet(SewResNet),
    /// Residual, by membrane shortcuts.
    MsResNet(MsResNet),
}

impl Network {
    /// Writes the weights into a store, under the names of the network itself.
    ///
    /// # Errors
    ///
    /// If the store cannot take them.
    pub fn save_into(&self, store: &mut SafetensorsStore) -> Result<(), SafetensorsStoreError> {
        each!(self, network => network.save_into(store))
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
        each!(self, network => network.load_from(store))
    }

    /// The same with a last layer for so many classes, whose weights are drawn anew: to go on with a trained network on data
    /// of one's own.
    ///
    /// # Errors
    ///
    /// If there are no classes, or the gain is not a number from 1e-37 to 1e37.
    pub fn with_classes(
        mut self,
        classes: usize,
        initializer: Initializer,
        seed: u64,
        device: &Device,
    ) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_size("Network", "classes", classes)?;
        let mut init = LayerInit::new(initializer, seed, device)?;
        let classifier = match &mut self {
            Self::StbpMlp(network) => {
                renew(network.last_layer(), classes, &mut init);
                return Ok(self);
            }
            Self::StbpCnn(network) => {
                renew(network.last_layer(), classes, &mut init);
                return Ok(self);
            }
            Self::PlifNet(network) => &mut network.classifier,
            Self::CifarNet(network) => &mut network.classifier,
            Self::SpikingVgg(network) => &mut network.classifier,
            Self::NirCnn(network) => &mut network.classifier,
            Self::TdResNet(network) => &mut network.classifier,
            Self::SewResNet(network) => &mut network.classifier,
            Self::MsResNet(network) => &mut network.classifier,
        };
        let renewed = classifier.clone();
        *classifier = renewed.with_classes(classes, initializer, seed, device)?;
        Ok(self)
    }

    /// The weights as Burn's own record.
    pub fn record(&self) -> burn::store::ModuleRecord {
        each!(self.clone(), network => network.into_record())
    }
}

impl SpikingNetwork for Network {
    fn inputs(&self) -> usize {
        each!(self, network => network.inputs())
    }

    fn layer_names(&self) -> Vec<String> {
        each!(self, network => network.layer_names())
    }

    fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        each!(self, network => network.forward_pass(input, context))
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
        *normalised.readout_mut() = ReadoutConfig::Membrane(LeakyIntegratorConfig::new());
        assert_eq!(
            normalised.structure(),
            "28x28-32C3-AP2-32C3-AP2-128-10 (tdBN, membrane readout)"
        );
        assert_eq!(serde_json::to_value(&mlp).unwrap()[mlp.name()]["seed"], 0);
    }
}
