//! The traits of networks and of their configurations.

use std::collections::HashMap;

use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Tensor};
use synfire::InvalidConfig;
use synfire::encode::EncoderConfig;
use synfire::neuron::NeuronConfig;

use crate::block::{Layers, LayersConfig};
use crate::context::{Context, DryNeurons};
use crate::fused::Fused;
use crate::state::NetworkState;
use crate::weights::BuiltIn;

/// A network that maps input sequences to output sequences of classes.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use synfire::record::Recorder;
/// use synfire_models::block::{Classifier, ConvBlock, Layers, LayersConfig, as_images, conv3x3};
/// use synfire_models::{Context, SpikingNetwork};
///
/// #[derive(Module, Debug)]
/// struct Mine {
///     conv: ConvBlock,
///     classifier: Classifier,
/// }
///
/// impl SpikingNetwork for Mine {
///     fn sample_shape(&self) -> Vec<usize> {
///         vec![1, 8, 8]
///     }
///
///     fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
///         let spikes = self.conv.forward("conv", as_images(input, [1, 8, 8]), context);
///         self.classifier.forward(spikes.flatten(2, 4), context)
///     }
/// }
///
/// let device = Device::default();
/// let config = LayersConfig::new();
/// let mut layers = Layers::new(&config, &device)?;
/// let network = Mine {
///     conv: layers.conv_block(&conv3x3([1, 6], 1))?,
///     classifier: layers.classifier(&[6 * 8 * 8, 20, 4])?,
/// };
/// assert_eq!(network.layer_names(), ["conv", "hidden", "output"]);
///
/// // 5 time steps of 2 images, from rest.
/// let images = Tensor::<5>::ones([5, 2, 1, 8, 8], &device);
/// assert_eq!(network.run(images.clone()).dims(), [5, 2, 4]);
///
/// // The same, looking inside, and going on where it ended.
/// let mut context = Context::new().with_recorder(Recorder::membranes());
/// network.forward(images.clone().flatten(2, 4), &mut context);
/// let (recorder, state) = context.into_parts();
/// assert_eq!(recorder.layer("hidden").unwrap().u.as_ref().unwrap().dims(), [5, 2, 20]);
/// network.forward(images.flatten(2, 4), &mut Context::new().with_state(state));
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub trait SpikingNetwork: Module {
    /// The shape of a sample in one time step, such as `[channels, height, width]` or `[features]`.
    fn sample_shape(&self) -> Vec<usize>;

    /// Runs a sequence, layer by layer, with the methods of the [`Context`].
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, elements]`, each sample in one row (`images.flatten(2, 4)`)
    /// - outputs: `[T, B, classes]`, spikes or, with a readout that does not spike, membrane potentials or currents
    ///
    /// # Panics
    ///
    /// If the input is not of that shape, or the state of the context is of a network or a batch of another shape.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3>;

    /// Runs a sequence of samples of any shape from rest, without recording.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`
    /// - outputs: `[T, B, classes]`
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    fn run<const D: usize>(&self, input: Tensor<D>) -> Tensor<3> {
        self.forward(rows(self, input), &mut Context::new())
    }

    /// The states of all layers at rest, with which [`Context::with_state`] begins as a pass without a state does. They are on the
    /// device of the network.
    ///
    /// # Shapes
    ///
    /// - states: `[1, B, ...]` each
    ///
    /// # Errors
    ///
    /// If `batch_size` is 0, or a layer [needs whole sequences](Context::need_whole) or differs from step to step, as parallel and
    /// gated neurons do. The value of the error names the layers.
    fn initial_state(&self, batch_size: usize) -> Result<NetworkState, InvalidConfig> {
        const OWNER: &str = "the state at rest";
        InvalidConfig::require_size(OWNER, "batch_size", batch_size)?;
        let mut context = Context::resting();
        let input = Tensor::zeros([1, batch_size, self.elements()], &self.device());
        self.forward(input, &mut context);
        let (state, whole) = context.into_rest();
        let (names, alike) = (whole.join(", "), whole.is_empty());
        let expected = "layers that do the same in every step";
        InvalidConfig::require(OWNER, "layers", names, alike, expected)?;
        Ok(state)
    }

    /// The network for inference, faster and with the same outputs to rounding: see [`Fused`].
    fn fuse(&self) -> Fused<Self> {
        Fused::new(self.valid())
    }

    /// The device of the network, of one without parameters the default one.
    fn device(&self) -> Device {
        self.devices().into_iter().next().unwrap_or_default()
    }

    /// The number of elements of a sample in one time step.
    fn elements(&self) -> usize {
        self.sample_shape().iter().product()
    }

    /// The names of the layers that spike, in the order in which they run. A dry run collects them: one step of one sample of
    /// zeros, in which neurons only register their names.
    fn layer_names(&self) -> Vec<String> {
        fn names(network: &impl SpikingNetwork, device: &Device) -> Vec<String> {
            let layers = dry_neurons(network, device).into_iter();
            layers.map(|layer| layer.name).collect()
        }
        let device = self.device();
        match synfire::ops::is_cubecl(&device) {
            // A GPU would compile kernels for it.
            #[cfg(feature = "flex")]
            true => names(&self.clone().to_device(&Device::flex()), &Device::flex()),
            _ => names(self, &device),
        }
    }
}

/// The layers that spike, by a dry run.
pub(crate) fn dry_neurons(network: &impl SpikingNetwork, device: &Device) -> Vec<DryNeurons> {
    let mut context = Context::dry();
    let input = Tensor::zeros([1, 1, network.elements()], device);
    network.forward(input, &mut context);
    context.into_neurons()
}

/// A sequence of samples of any shape, each in one row.
pub(crate) fn rows<const D: usize>(network: &impl SpikingNetwork, input: Tensor<D>) -> Tensor<3> {
    let (shape, elements) = (input.dims(), network.elements());
    assert!(
        D > 2 && shape[2..].iter().product::<usize>() == elements,
        "the input {shape:?} is not of samples {:?}",
        network.sample_shape()
    );
    input.reshape([shape[0], shape[1], elements])
}

/// A published network: an architecture with its sizes and the time steps of its paper.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset<C> {
    /// The name on the command line, in files and in documents.
    pub id: &'static str,
    /// The configuration.
    pub config: C,
    /// Time steps T.
    pub time_steps: usize,
    /// Recommended settings of a training run.
    pub training: Training,
    /// Evidence that it is the network of its paper.
    pub proof: &'static str,
}

/// Recommended settings of a training run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Samples per step.
    pub batch_size: usize,
    /// Initial learning rate of Adam.
    pub learning_rate: f64,
    /// The encoder of images.
    pub encoder: EncoderConfig,
}

impl<C> Preset<C> {
    pub(crate) fn new(id: &'static str, time_steps: usize, proof: &'static str, config: C) -> Self {
        Self {
            id,
            config,
            time_steps,
            training: Training {
                batch_size: 50,
                learning_rate: 1e-3,
                encoder: EncoderConfig::DIRECT,
            },
            proof,
        }
    }

    /// The same with other settings of a training run.
    pub(crate) fn with_training(
        mut self,
        batch_size: usize,
        learning_rate: f64,
        encoder: EncoderConfig,
    ) -> Self {
        self.training = Training {
            batch_size,
            learning_rate,
            encoder,
        };
        self
    }

    /// Maps the configuration to another type.
    pub(crate) fn map<D>(self, map: impl FnOnce(C) -> D) -> Preset<D> {
        Preset {
            id: self.id,
            config: map(self.config),
            time_steps: self.time_steps,
            training: self.training,
            proof: self.proof,
        }
    }
}

/// Properties of a network's configuration that `network_config!` implements.
pub trait NetworkSettings: Config + Clone + PartialEq {
    /// The network that is made from it.
    type Network: SpikingNetwork;

    /// The name of the network in errors.
    const OWNER: &'static str;

    /// The options that all networks have.
    fn layers(&self) -> LayersConfig;

    /// Sets [them](Self::layers).
    fn set_layers(&mut self, layers: LayersConfig);

    /// The shape of a sample in one time step, `[channels, height, width]`.
    fn image(&self) -> [usize; 3];

    /// The number of classes.
    fn classes(&self) -> usize;

    /// Fits input and output to a dataset.
    fn fit(&mut self, image: [usize; 3], classes: usize);
}

/// An architecture of the zoo, implemented in the file of a network.
pub trait Architecture: NetworkSettings {
    /// The name of the architecture in files and documents.
    const NAME: &'static str;

    /// Renaming of weights in older files: regular expressions and their replacements.
    const RENAMED: &'static [(&'static str, &'static str)] = &[];

    /// The available trained weights.
    const WEIGHTS: &'static [BuiltIn] = &[];

    /// The published networks.
    fn presets() -> Vec<Preset<Self>>;

    /// A small network with few channels that trains in seconds on images like those of MNIST.
    fn small() -> Self;

    /// The layers in one line, as papers write them.
    fn structure(&self) -> String;

    /// Checks all sizes, and returns the channels of all kinds of layers with neurons, outputs last.
    ///
    /// # Errors
    ///
    /// If a size is invalid.
    fn channels(&self) -> Result<Vec<usize>, InvalidConfig>;

    /// Creates the network, layer by layer, from a checked configuration.
    ///
    /// # Errors
    ///
    /// If a layer is invalid.
    fn build(&self, layers: &mut Layers) -> Result<Self::Network, InvalidConfig>;

    /// Checks everything but [sizes](Self::channels) and the common [options](NetworkSettings::layers).
    ///
    /// # Errors
    ///
    /// If it is invalid.
    fn check(&self) -> Result<(), InvalidConfig> {
        Ok(())
    }

    /// True if a sequence can be split, down to single steps: false if a layer but the neurons and the normalisations needs the
    /// whole one.
    fn streams(&self) -> bool {
        true
    }

    /// Fits the layers but the normalisations whose parameters depend on the number of time steps to sequences of so many.
    fn set_time_steps(&mut self, _time_steps: usize) {}

    /// Sets the neurons of all layers.
    fn set_neuron(&mut self, neuron: NeuronConfig) {
        let layers = self.layers();
        self.set_layers(layers.with_neuron(neuron));
    }

    /// The configuration of the neurons of a layer.
    fn neuron_of(&self, _layer: &str) -> NeuronConfig {
        self.layers().neuron
    }
}

/// Checks everything about a configuration.
pub(crate) fn validate<A: Architecture>(config: &A) -> Result<(), InvalidConfig> {
    let channels = config.channels()?;
    config.check()?;
    config.layers().validate(A::OWNER, &channels)
}

/// Creates a network.
pub(crate) fn init<A: Architecture>(
    config: &A,
    device: &Device,
) -> Result<A::Network, InvalidConfig> {
    validate(config)?;
    let layers = config.layers();
    let network = config.build(&mut Layers::new(&layers, device)?)?;
    match layers.neuron.each_channel().contains(&true) {
        true => Ok(with_channels(config, network, device)),
        false => Ok(network),
    }
}

/// The network with a number for each channel of every layer, where its neurons are to have them.
fn with_channels<A: Architecture>(config: &A, network: A::Network, device: &Device) -> A::Network {
    let mut channels = HashMap::new();
    for layer in dry_neurons(&network, device) {
        let each = config.neuron_of(&layer.name).each_channel();
        let parameters = layer.parameters.into_iter().zip(each);
        let parameters = parameters.filter(|(_, each)| *each);
        channels.extend(parameters.map(|(parameter, _)| (parameter, layer.channels)));
    }
    network.map(&mut Spread(channels))
}

/// Repeats the single number of parameters.
struct Spread(HashMap<ParamId, usize>);

impl ModuleMapper for Spread {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.get(&parameter.id) {
            Some(channels) => parameter.map(|tensor| {
                let learned = tensor.is_require_grad();
                let tensor = tensor.detach().repeat_dim(0, *channels);
                tensor.set_require_grad(learned)
            }),
            None => parameter,
        }
    }
}

/// Defines the configuration of a network: [`synfire::config!`] with the shape of a sample, the number of classes and the
/// options that all networks have, whose defaults are those of the `layers` at the end.
macro_rules! network_config {
    (
        $(#[$doc:meta])*
        pub struct $config:ident of $network:ident { $($fields:tt)* }
        samples: $image:expr => $classes:expr;
        layers: $layers:expr;
    ) => {
        $crate::network::network_config! {
            $(#[$doc])*
            pub struct $config of $network {
                $($fields)*
                /// Channels, height and width of a sample.
                with_image -> image: [usize; 3] = $image,
                /// The number of classes.
                with_classes -> classes: usize = $classes,
            }
            layers: $layers;

            fn image(&self) -> [usize; 3] {
                self.image
            }

            fn classes(&self) -> usize {
                self.classes
            }

            fn fit(&mut self, image: [usize; 3], classes: usize) {
                (self.image, self.classes) = (image, classes);
            }
        }
    };
    (
        $(#[$doc:meta])*
        pub struct $config:ident of $network:ident { $($fields:tt)* }
        layers: $layers:expr;
        $($samples:tt)*
    ) => {
        synfire::config! {
            $(#[$doc])*
            pub struct $config {
                $($fields)*
                /// The neurons of every layer with weights.
                with_neuron => neuron: synfire::neuron::NeuronConfig = $layers.neuron,
                /// The normalisation between the weights of a layer and its neurons.
                with_norm -> norm: Option<synfire::layer::NormConfig> = $layers.norm,
                /// The readout.
                with_readout -> readout: $crate::block::ReadoutConfig = $layers.readout,
                /// Dropout probability of the inputs of fully connected layers, see
                /// [`Dropout`](synfire::layer::Dropout).
                with_dropout -> dropout: f64 = $layers.dropout,
                /// Product of spikes and weights.
                with_product -> product: synfire::ops::Product = $layers.product,
                /// Initialisation of weights.
                with_initializer -> initializer: synfire::init::Initializer = $layers.initializer,
                /// Decides the initial weights.
                with_seed -> seed: u64 = $layers.seed,
            }
        }

        impl $crate::network::NetworkSettings for $config {
            type Network = $network;

            const OWNER: &'static str = stringify!($network);

            fn layers(&self) -> $crate::block::LayersConfig {
                $crate::block::LayersConfig {
                    neuron: self.neuron.clone(),
                    norm: self.norm,
                    readout: self.readout.clone(),
                    dropout: self.dropout,
                    product: self.product,
                    initializer: self.initializer,
                    seed: self.seed,
                }
            }

            fn set_layers(&mut self, layers: $crate::block::LayersConfig) {
                $crate::block::LayersConfig {
                    neuron: self.neuron,
                    norm: self.norm,
                    readout: self.readout,
                    dropout: self.dropout,
                    product: self.product,
                    initializer: self.initializer,
                    seed: self.seed,
                } = layers;
            }

            $($samples)*
        }

        impl $config {
            /// Checks everything that [`init`](Self::init) does.
            ///
            /// # Errors
            ///
            /// If a size is 0 or too large, or the neurons, the normalisation, the readout, the dropout (0 to below 1) or the
            /// gain of the initial weights (1e-37 to 1e37) are invalid or do not fit each other.
            pub fn validate(&self) -> Result<(), synfire::InvalidConfig> {
                $crate::network::validate(self)
            }

            /// Creates the network. Weights are allocated on first access.
            ///
            /// # Errors
            ///
            /// If the configuration is not [valid](Self::validate).
            pub fn init(&self, device: &burn::tensor::Device) -> Result<$network, synfire::InvalidConfig> {
                $crate::network::init(self, device)
            }
        }
    };
}

pub(crate) use network_config;

/// Evidence that a network is that of its paper.
pub(crate) mod proof {
    pub const STBP: &str = "plain loops, SpikingJelly 2.0.0 (one layer after the other)";
    pub const SPIKINGJELLY: &str = "SpikingJelly 2.0.0: count, outputs, spikes, gradients";
    pub const AUTHORS: &str =
        "a twin with the outputs of the authors' code: count, outputs, spikes, gradients";
    pub const PARTS: &str = "its parts against SpikingJelly 2.0.0; count by hand";
}

/// The names of `count` layers of one kind: `name` if it is the only one, else `name1`, `name2`, ...
pub(crate) fn numbered(name: &str, count: usize) -> Vec<String> {
    // As many digits for all, so that names sort in the order of the layers.
    let digits = count.to_string().len();
    (1..=count)
        .map(|i| match count {
            1 => name.to_owned(),
            _ => format!("{name}{i:0digits$}"),
        })
        .collect()
}
