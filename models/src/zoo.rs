//! The list of networks: one configuration and one module for any of them.

use burn::tensor::{Device, Tensor};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::neuron::NeuronConfig;

use crate::Context;
use crate::block::{LayersConfig, ReadoutConfig};
use crate::load::count_parameters;
use crate::network::{Architecture, NetworkSettings, Preset, SpikingNetwork};
use crate::weights::BuiltIn;

/// The list of networks: the file, the module and the configuration of each.
macro_rules! networks {
    ($define:ident) => {
        $define! {
            stbp_mlp::StbpMlp(StbpMlpConfig),
            stbp_cnn::StbpCnn(StbpCnnConfig),
            cifar_net::CifarNet(CifarNetConfig),
            plif_net::PlifNet(PlifNetConfig),
            td_resnet::TdResNet(TdResNetConfig),
            spiking_vgg::SpikingVgg(SpikingVggConfig),
            sew_resnet::SewResNet(SewResNetConfig),
            ms_resnet::MsResNet(MsResNetConfig),
            spiking_resnet::SpikingResNet(SpikingResNetConfig),
            nir_cnn::NirCnn(NirCnnConfig),
            spikformer::Spikformer(SpikformerConfig),
            qkformer::QkFormer(QkFormerConfig),
            spike_driven::SpikeDrivenTransformer(SpikeDrivenTransformerConfig),
            maxformer::MaxFormer(MaxFormerConfig),
            meta_spikeformer::MetaSpikeFormer(MetaSpikeFormerConfig),
            e_spikeformer::ESpikeFormer(ESpikeFormerConfig),
            ma_snn::MaSnn(MaSnnConfig),
            ottt_vgg::OtttVgg(OtttVggConfig),
            snas_net::SnasNet(SnasNetConfig),
            spike_dhs::SpikeDhs(SpikeDhsConfig),
            spikingresformer::SpikingResformer(SpikingResformerConfig),
        }
    };
}

macro_rules! modules {
    ($($file:ident::$network:ident($config:ident),)+) => {
        #[doc(hidden)]
        #[path = "model"]
        pub mod model {
            //! The networks, one file each.
            $(pub mod $file;)+
        }

        $(pub use model::$file::*;)+
    };
}

networks!(modules);

/// The key of the architecture in files.
const ARCHITECTURE: &str = "architecture";

/// Maximum number of parameters of a network, above that of any published one. Training holds several copies.
const MOST_PARAMETERS: usize = 1 << 28;

/// Defines [`NetworkConfig`] and [`AnyNetwork`], each with a variant for every network.
macro_rules! define {
    ($($file:ident::$network:ident($config:ident),)+) => {
        /// The configuration of any network of the zoo.
        ///
        /// In files it is the configuration of the network with the name of its `architecture`:
        ///
        /// ```
        /// use burn::tensor::Device;
        /// use synfire_models::NetworkConfig;
        ///
        /// let config = NetworkConfig::preset("sew-resnet18")?.config;
        /// let json = serde_json::to_value(&config).unwrap();
        /// assert_eq!(json["architecture"], "sew-resnet");
        /// assert_eq!(serde_json::from_value::<NetworkConfig>(json).unwrap(), config);
        /// let network = config.init(&Device::default())?;
        /// # Ok::<(), synfire::InvalidConfig>(())
        /// ```
        // A program has only one or a few.
        #[allow(clippy::large_enum_variant)]
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum NetworkConfig {
            $(
                #[doc = concat!("Of a [`", stringify!($network), "`].")]
                $network($config),
            )+
        }

        /// Any network of the zoo. Parameters have the same paths as in the wrapped network.
        // A program has only one or a few.
        #[allow(clippy::large_enum_variant)]
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyNetwork {
            $(
                #[doc = concat!("A [`", stringify!($network), "`].")]
                $network($network),
            )+
        }

        synfire::transparent_module!(AnyNetwork: $($network),+);

        $(
            impl From<$config> for NetworkConfig {
                fn from(config: $config) -> Self {
                    Self::$network(config)
                }
            }

            impl TryFrom<AnyNetwork> for $network {
                type Error = AnyNetwork;

                fn try_from(network: AnyNetwork) -> Result<Self, AnyNetwork> {
                    match network {
                        AnyNetwork::$network(network) => Ok(network),
                        other => Err(other),
                    }
                }
            }
        )+

        /// Calls the same expression for the configuration or the network of each variant.
        macro_rules! each {
            ($self:expr, $inside:ident => $call:expr) => {
                match $self {
                    $(Self::$network($inside) => $call,)+
                }
            };
        }

        impl NetworkConfig {
            /// The names of all architectures.
            pub const ARCHITECTURES: &'static [&'static str] = &[$($config::NAME),+];

            /// The published networks.
            pub fn presets() -> Vec<Preset<Self>> {
                let mut all = Vec::new();
                $(all.extend($config::presets().into_iter().map(|preset| preset.map(Self::$network)));)+
                all
            }

            /// A small network of each architecture, of few channels, that trains in seconds on images like those of MNIST.
            pub fn small() -> Vec<Self> {
                vec![$(Self::$network($config::small())),+]
            }

            /// All trained weights.
            pub(crate) fn weights() -> impl Iterator<Item = &'static BuiltIn> {
                [$($config::WEIGHTS),+].into_iter().flatten()
            }

            /// The name of the architecture.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$network(_) => $config::NAME,)+
                }
            }

            /// Renaming of weights of format 1.
            pub(crate) fn renamed(&self) -> &'static [(&'static str, &'static str)] {
                match self {
                    $(Self::$network(_) => $config::RENAMED,)+
                }
            }

            fn default_readout(&self) -> ReadoutConfig {
                match self {
                    $(Self::$network(_) => $config::new().readout,)+
                }
            }

            fn init_any(&self, device: &Device) -> Result<AnyNetwork, InvalidConfig> {
                Ok(match self {
                    $(Self::$network(config) => AnyNetwork::$network(config.init(device)?),)+
                })
            }

            fn from_value(architecture: &str, value: Value) -> serde_json::Result<Self> {
                match architecture {
                    $($config::NAME => serde_json::from_value(value).map(Self::$network),)+
                    _ => {
                        let known = Self::ARCHITECTURES.join(", ");
                        let reason = format!("`{ARCHITECTURE}` of a network: `{architecture}`, expected one of {known}");
                        Err(serde_json::Error::custom(reason))
                    }
                }
            }
        }
    };
}

networks!(define);

impl NetworkConfig {
    /// The published network of this name, such as `sew-resnet18`.
    ///
    /// # Errors
    ///
    /// If there is none; the error lists the known names.
    pub fn preset(id: &str) -> Result<Preset<Self>, InvalidConfig> {
        let all = Self::presets();
        let known: Vec<_> = all.iter().map(|preset| preset.id).collect();
        let unknown = InvalidConfig::new("the zoo", "preset", id, known.join(", "));
        let mut all = all.into_iter();
        all.find(|preset| preset.id == id).ok_or(unknown)
    }

    /// Its layers in one line, as papers write them, followed in brackets by the normalisation, and by the readout if it
    /// differs from the paper's.
    pub fn structure(&self) -> String {
        let layers = self.layers();
        let norm = layers.norm.map(|norm| norm.abbreviation());
        let readout = match &layers.readout {
            readout if *readout == self.default_readout() => None,
            ReadoutConfig::Spikes => Some("spiking readout"),
            ReadoutConfig::Membrane(_) => Some("membrane readout"),
            ReadoutConfig::Currents => Some("readout of currents"),
        };
        let others: Vec<_> = norm.into_iter().chain(readout).collect();
        let structure = each!(self, config => config.structure());
        match others.as_slice() {
            [] => structure,
            others => format!("{structure} ({})", others.join(", ")),
        }
    }

    /// The shape of a sample in one time step, `[channels, height, width]`.
    pub fn image(&self) -> [usize; 3] {
        each!(self, config => config.image())
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        each!(self, config => config.classes())
    }

    /// Fits input and output to a dataset: samples of `[channels, height, width]`, and the number of classes.
    pub fn fit(&mut self, image: [usize; 3], classes: usize) {
        each!(self, config => config.fit(image, classes));
    }

    /// Checks all sizes, and returns the channels of every kind of layer with neurons, the outputs last.
    ///
    /// # Errors
    ///
    /// If a size is invalid.
    pub fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        each!(self, config => config.channels())
    }

    /// Fits the layers whose parameters depend on the number of time steps (of some normalisations, and attention among steps) to
    /// sequences of so many.
    pub fn set_time_steps(&mut self, time_steps: usize) {
        let mut layers = self.layers();
        if let Some(of_norm) = layers.norm.as_mut().and_then(|norm| norm.time_steps_mut()) {
            *of_norm = time_steps;
            self.set_layers(layers);
        }
        each!(self, config => config.set_time_steps(time_steps));
    }

    /// True if a sequence can be split, down to single steps, as far as its [neurons](synfire::neuron::Neuron::streams) allow:
    /// neither the network nor its normalisations need the whole one.
    pub fn streams(&self) -> bool {
        let norm = self.layers().norm;
        let whole = norm.is_some_and(|mut norm| norm.time_steps_mut().is_some());
        !whole && each!(self, config => config.streams())
    }

    /// The options that all networks have.
    pub fn layers(&self) -> LayersConfig {
        each!(self, config => config.layers())
    }

    /// Sets [them](Self::layers).
    pub fn set_layers(&mut self, layers: LayersConfig) {
        each!(self, config => config.set_layers(layers));
    }

    /// The same network with other options of its layers: `config.with_layers(|layers| layers.with_dropout(0.5))`.
    pub fn with_layers(mut self, change: impl FnOnce(LayersConfig) -> LayersConfig) -> Self {
        self.set_layers(change(self.layers()));
        self
    }

    /// The same network with other neurons in all layers.
    pub fn with_neuron(mut self, neuron: impl Into<NeuronConfig>) -> Self {
        let neuron = neuron.into();
        each!(&mut self, config => config.set_neuron(neuron));
        self
    }

    /// The configuration of the neurons of a layer, by its name in [`SpikingNetwork::layer_names`].
    pub fn neuron_of(&self, layer: &str) -> NeuronConfig {
        each!(self, config => config.neuron_of(layer))
    }

    /// Checks everything that [`init`](Self::init) does but the number of parameters.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        each!(self, config => config.validate())
    }

    /// Creates the network. Weights are allocated on first access.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid, or the network has more than 2^28 parameters (1 GiB): valid sizes may have a product
    /// that no memory can hold.
    pub fn init(&self, device: &Device) -> Result<AnyNetwork, InvalidConfig> {
        let network = self.init_any(device)?;
        let parameters = count_parameters(&network, |_| true);
        if parameters > MOST_PARAMETERS {
            let structure = each!(self, config => config.structure());
            let bytes = 4 * parameters as u128;
            let found = format!("{parameters} of {structure} ({bytes} bytes)");
            let (field, expected) = ("number of parameters", "at most 268435456 (1 GiB)");
            return Err(InvalidConfig::new(self.name(), field, found, expected));
        }
        Ok(network)
    }
}

impl Serialize for NetworkConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let options = each!(self, config => serde_json::to_value(config));
        let mut options = options.map_err(S::Error::custom)?;
        options[ARCHITECTURE] = self.name().into();
        options.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NetworkConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let architecture = match map.remove(ARCHITECTURE) {
            Some(Value::String(name)) => name,
            other => {
                let found = other.map_or("nothing".to_owned(), |other| other.to_string());
                let reason = format!("`{ARCHITECTURE}` of a network: {found}, expected its name");
                return Err(D::Error::custom(reason));
            }
        };
        Self::from_value(&architecture, Value::Object(map)).map_err(D::Error::custom)
    }
}

impl AnyNetwork {
    /// Re-initialises the last layer for this many classes, to fine-tune a trained network on other data.
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
        let classifier = each!(&mut self, network => &mut network.classifier);
        let renewed = classifier.clone();
        *classifier = renewed.with_classes(classes, initializer, seed, device)?;
        Ok(self)
    }
}

impl SpikingNetwork for AnyNetwork {
    fn sample_shape(&self) -> Vec<usize> {
        each!(self, network => network.sample_shape())
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        each!(self, network => network.forward(input, context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::layer::NormConfig;
    use synfire::neuron::LeakyIntegratorConfig;

    #[test]
    fn structures_are_written_as_in_papers() {
        let structure = |config: NetworkConfig| config.structure();
        assert_eq!(structure(StbpMlpConfig::new().into()), "784-800-10");
        let cnn = StbpCnnConfig::new();
        assert_eq!(structure(cnn.into()), "28x28-15C5-P2-40C5-P2-300-10");
        let authors = StbpCnnConfig::authors();
        let layers = "28x28-32C3-AP2-32C3-AP2-128-10";
        assert_eq!(structure(authors.clone().into()), layers);
        let normalised = authors
            .with_norm(Some(NormConfig::td_batch()))
            .with_readout(ReadoutConfig::Membrane(LeakyIntegratorConfig::new()));
        let others = format!("{layers} (tdBN, membrane readout)");
        assert_eq!(structure(normalised.into()), others);
    }

    #[test]
    fn another_architecture_is_named_with_those_that_there_are() {
        let read = |text: &str| serde_json::from_str::<NetworkConfig>(text);
        let error = read(r#"{"architecture": "sew-res-net"}"#).unwrap_err();
        assert!(error.to_string().contains("sew-resnet"), "{error}");
        let error = read(r#"{"sizes": [3, 2]}"#).unwrap_err();
        assert!(error.to_string().contains("expected its name"), "{error}");
        let error = NetworkConfig::preset("resnet").unwrap_err();
        assert!(error.to_string().contains("sew-resnet18"), "{error}");
        // Missing values have their defaults.
        let mlp = read(r#"{"architecture": "stbp-mlp", "seed": 3}"#).unwrap();
        assert_eq!(mlp, StbpMlpConfig::new().with_seed(3).into());
    }
}
