//! Networks of the zoo as graphs: what is written computes the same.

use burn::module::Module;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use synfire::layer::{SpikeConv2d, SpikeLinear};
use synfire::neuron::{
    CubaLif, CubaLifConfig, Feedback, Lif, LifConfig, OneToOne, ParamInit, Recurrent, Values,
};
use synfire_models::{Context, NetworkConfig, NirCnnConfig, SpikingNetwork, StbpMlpConfig};
use synfire_nir::{Graph, Limits, NirNetwork, export};
use synfire_tests::cases::{Case, architectures, small};

/// The outputs of a network for a sequence.
fn outputs(network: &impl SpikingNetwork, input: Tensor<3>) -> Vec<f32> {
    let outputs = network.forward(input, &mut Context::new());
    outputs.into_data().try_to_vec().unwrap()
}

#[test]
fn networks_of_the_zoo_are_written_or_refused_by_name() {
    let device = Device::default();
    let mut written = Vec::new();
    for (name, config) in architectures() {
        let case = config
            .streams()
            .then(|| small(config, name.clone(), &device));
        let Some(Case { network, input, .. }) = case.flatten() else {
            println!("{name}: not for single steps");
            continue;
        };
        let exported = match export(&network) {
            Ok(exported) => exported,
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("not a graph of NIR: "), "{name}: {text}");
                println!("{name}: {text}");
                continue;
            }
        };
        // Through a file.
        let bytes = exported.graph.to_bytes().unwrap();
        let graph = Graph::from_bytes(bytes, Limits::default()).unwrap();
        let same = NirNetwork::new(&graph, &exported.options, &device).unwrap();
        let (expected, got) = (outputs(&network, input.clone()), outputs(&same, input));
        let largest = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
        assert!(largest > 0.0, "{name}: silent networks prove nothing");
        let apart = expected.iter().zip(&got);
        let apart = apart
            .filter(|(x, y)| (*x - *y).abs() > 1e-4 * largest)
            .count();
        assert!(
            apart * 100 <= expected.len(),
            "{name}: {apart} of {}",
            expected.len()
        );
        written.push(name);
    }
    println!("written: {written:?}");
    assert!(written.len() >= 18, "{written:?}");
}

/// Two layers that receive their own spikes.
#[derive(Module, Debug)]
struct Loops<F: Module> {
    linear: SpikeLinear,
    first: Recurrent<Lif, F>,
    second: SpikeLinear,
    last: Recurrent<CubaLif, OneToOne>,
    image: Vec<usize>,
}

impl<F: Feedback> SpikingNetwork for Loops<F> {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.clone()
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let spikes = match self.image[..] {
            [channels, height, width] => {
                let [steps, batch, _] = input.dims();
                let images = input.reshape([steps, batch, channels, height, width]);
                let spikes = context.neurons("first", &self.first, images);
                spikes.flatten(2, 4)
            }
            _ => {
                let current = context.linear(&self.linear, input);
                context.neurons("first", &self.first, current)
            }
        };
        let current = context.linear(&self.second, spikes);
        context.neurons("last", &self.last, current)
    }
}

/// A network with this connection of its first neurons.
fn loops<F: Feedback>(feedback: F, image: Vec<usize>, device: &Device) -> Loops<F> {
    let linear =
        |inputs, outputs| SpikeLinear::from(LinearConfig::new(inputs, outputs).init(device));
    let lif = LifConfig::new().with_threshold(0.4).with_decay(0.7);
    let cuba = CubaLifConfig::new().with_threshold(0.2);
    let back = OneToOne::new(
        Values::PerNeuron {
            shape: vec![4],
            values: vec![0.5, -0.5, 0.0, 1.0],
        },
        device,
    );
    Loops {
        linear: linear(5, 12),
        first: Recurrent::new(lif.init(device).unwrap(), feedback).unwrap(),
        second: linear(12, 4),
        last: Recurrent::new(cuba.init(device).unwrap(), back.unwrap()).unwrap(),
        image,
    }
}

fn check_loops<F: Feedback>(feedback: F, image: Vec<usize>, device: &Device) {
    let network = loops(feedback, image, device);
    let exported = export(&network).unwrap();
    let bytes = exported.graph.to_bytes().unwrap();
    let graph = Graph::from_bytes(bytes, Limits::default()).unwrap();
    let same = NirNetwork::new(&graph, &exported.options, device).unwrap();
    assert_eq!(same.late_edges().len(), 2, "{:?}", same.late_edges());
    let shape = [20, 3, network.elements()];
    let input = Tensor::<3>::random(shape, Distribution::Uniform(0.0, 2.0), device);
    let (expected, got) = (outputs(&network, input.clone()), outputs(&same, input));
    assert!(expected.contains(&1.0), "silence proves nothing");
    assert_eq!(expected, got);
}

#[test]
fn recurrent_layers_are_written() {
    let device = Device::default();
    device.seed(5);
    let all = LinearConfig::new(12, 12).init(&device);
    check_loops(SpikeLinear::from(all), vec![5], &device);
    let learned = OneToOne::new(ParamInit::learned(0.4), &device).unwrap();
    check_loops(learned, vec![5], &device);
    let conv = Conv2dConfig::new([3, 3], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device);
    check_loops(SpikeConv2d::from(conv), vec![3, 2, 2], &device);
}

#[test]
fn graphs_of_the_zoo_are_networks_of_the_zoo() {
    let device = Device::default();
    device.seed(6);
    let neuron = LifConfig::new().with_threshold(0.3).with_decay(0.5);
    let mlp = StbpMlpConfig::new().with_sizes(vec![8, 20, 10, 3]);
    let mlp = NetworkConfig::from(mlp.with_neuron(neuron));
    let cnn = NetworkConfig::from(NirCnnConfig::new().with_image([2, 20, 20]));
    for config in [mlp, cnn] {
        let network = config.init(&device).unwrap();
        let exported = export(&network).unwrap();
        let graph = NirNetwork::new(&exported.graph, &exported.options, &device).unwrap();
        let (found, same) = graph.to_zoo().expect("it is of the zoo");
        assert_eq!(found.name(), config.name());
        let shape = [6, 3, network.elements()];
        let input = Tensor::<3>::random(shape, Distribution::Uniform(0.0, 4.0), &device);
        assert_eq!(outputs(&network, input.clone()), outputs(&same, input));
    }
    // One with a layer that the zoo's has not.
    let exported = export(&loops(
        OneToOne::new(0.5, &device).unwrap(),
        vec![5],
        &device,
    ))
    .unwrap();
    let graph = NirNetwork::new(&exported.graph, &exported.options, &device).unwrap();
    assert!(graph.chain().is_none() && graph.to_zoo().is_none());
}
