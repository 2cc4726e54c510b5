//! Networks with inputs, for tests of other formats: one of each architecture, one with each neuron, and all trained weights.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use synfire::init::Initializer;
use synfire::layer::NormConfig;
use synfire::neuron::NeuronConfig;
use synfire_models::{AnyNetwork, Card, Context, NetworkConfig, SpikingNetwork, StbpMlpConfig};

/// A network with an input.
pub struct Case {
    /// Its name, also of files.
    pub name: String,
    /// The network, for inference.
    pub network: AnyNetwork,
    /// `[T, B, elements]`.
    pub input: Tensor<3>,
}

/// Steps of the small networks.
const TIME_STEPS: usize = 4;
/// Samples of a batch.
pub const BATCH: usize = 3;

fn random(time_steps: usize, network: &AnyNetwork, device: &Device) -> Tensor<3> {
    let shape = [time_steps, BATCH, network.elements()];
    Tensor::random(shape, Distribution::Uniform(0.0, 4.0), device)
}

/// A small network that fires. Its statistics are those of many passes: deep networks are silent with the first ones.
pub fn small(mut config: NetworkConfig, name: String, device: &Device) -> Option<Case> {
    config.set_time_steps(TIME_STEPS);
    config.validate().ok()?;
    let autodiff = device.clone().autodiff();
    let network = config.init(&autodiff).unwrap();
    device.seed(2);
    for _ in 0..40 {
        network.forward(random(TIME_STEPS, &network, &autodiff), &mut Context::new());
    }
    let network = network.valid();
    Some(Case {
        name,
        input: random(TIME_STEPS, &network, device),
        network,
    })
}

/// A network of low thresholds: deep layers are to fire, too.
fn loud(config: NetworkConfig) -> NetworkConfig {
    let mut neuron = config.layers().neuron;
    neuron.set("threshold", 0.1).unwrap();
    let mut value = serde_json::to_value(config.with_neuron(neuron)).unwrap();
    if let Some(threshold) = value.get_mut("attention_threshold") {
        *threshold = 0.05.into();
    }
    serde_json::from_value(value).unwrap()
}

/// The configuration of a small network of each architecture, with and without normalisations.
pub fn architectures() -> impl Iterator<Item = (String, NetworkConfig)> {
    NetworkConfig::small().into_iter().flat_map(|config| {
        [("", None), ("-norm", Some(NormConfig::td_batch()))].map(|(suffix, norm)| {
            let name = format!("{}{suffix}", config.name());
            let config = config.clone();
            (name, config.with_layers(|layers| layers.with_norm(norm)))
        })
    })
}

/// [`architectures`] of which deep layers fire, too.
pub fn loud_architectures(device: &Device) -> Vec<Case> {
    let case = |(name, config)| small(loud(config), name, device);
    architectures().filter_map(case).collect()
}

/// A perceptron with each neuron of the list.
pub fn neurons(device: &Device) -> Vec<Case> {
    let perceptron = |mut neuron: NeuronConfig| {
        let name = format!("neuron-{}", neuron.kind());
        // Not all have one.
        let _ = neuron.set("threshold", 0.25);
        let config = StbpMlpConfig::new().with_sizes(vec![12, 20, 5]);
        let config = config.with_initializer(Initializer::Uniform { gain: 8.0 });
        let config = NetworkConfig::from(config.with_neuron(neuron));
        small(config, name, device)
    };
    let all = NeuronConfig::all().into_iter();
    all.filter_map(perceptron).collect()
}

/// The networks of all trained weights. Their inputs are random: images in every step, or frames of few events.
pub fn trained(device: &Device) -> Vec<Case> {
    let cards = Card::all().unwrap().into_iter();
    let case = |card: Card| {
        let network = card.load(device).unwrap();
        device.seed(3);
        let time_steps = card.time_steps;
        let input = match network.sample_shape()[0] {
            2 => {
                let shape = [time_steps, BATCH, network.elements()];
                Tensor::random(shape, Distribution::Bernoulli(0.1), device)
            }
            _ => {
                let shape = [1, BATCH, network.elements()];
                let image = Tensor::<3>::random(shape, Distribution::Default, device);
                image.repeat_dim(0, time_steps)
            }
        };
        Case {
            name: card.id,
            network,
            input,
        }
    };
    cards.map(case).collect()
}
