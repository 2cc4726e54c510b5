//! Networks of the zoo as graphs: what is written computes the same.

#![cfg(feature = "export")]

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use synfire::layer::NormConfig;
use synfire_models::{Context, NetworkConfig, SpikingNetwork};
use synfire_nir::{Graph, Limits, NirNetwork, export};

/// The outputs of a network for a sequence.
fn outputs(network: &impl SpikingNetwork, input: Tensor<3>) -> Vec<f32> {
    let outputs = network.forward(input, &mut Context::new());
    outputs.into_data().try_to_vec().unwrap()
}

#[test]
fn networks_of_the_zoo_are_written_or_refused_by_name() {
    let device = Device::default();
    let mut written = Vec::new();
    let norms = [None, Some(NormConfig::td_batch())];
    for (small, norm) in NetworkConfig::small()
        .into_iter()
        .flat_map(|small| norms.clone().map(|norm| (small.clone(), norm)))
    {
        let name = format!("{}, {norm:?}", small.name());
        let mut config = small.with_layers(|layers| layers.with_norm(norm));
        config.set_time_steps(4);
        if config.validate().is_err() || !config.streams() {
            println!("{name}: not for single steps");
            continue;
        }
        let network = config.init(&device.clone().autodiff()).unwrap();
        let random = |batch: usize, device: &Device| {
            let shape = [4, batch, network.elements()];
            Tensor::<3>::random(shape, Distribution::Uniform(0.0, 4.0), device)
        };
        // Until nothing is left of the first statistics, with which deep networks are silent.
        device.seed(2);
        for _ in 0..40 {
            network.forward(random(3, &device.clone().autodiff()), &mut Context::new());
        }
        let network = network.valid();
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
        let shape = [4, 3, network.elements()];
        let input = Tensor::<3>::random(shape, Distribution::Uniform(0.0, 4.0), &device);
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
