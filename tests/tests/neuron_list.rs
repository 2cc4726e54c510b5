//! Tests of every neuron of the list. A neuron that is added is tested here as well.

use burn::module::Module;
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use synfire::neuron::{AnyNeuron, Neuron, NeuronConfig, NeuronState};
use synfire::ops::Execution;
use synfire::random::Philox;
use synfire_tests::{assert_close, devices, parameter_gradients, say, tensor, values};
use tempfile::tempdir;

/// Time steps, for which neurons that have some are made by default.
const STEPS: usize = 4;

/// Every neuron of the list, its parameters learned where they can be.
fn all() -> Vec<NeuronConfig> {
    let mut all = NeuronConfig::all();
    for config in &mut all {
        let learned: Vec<_> = config
            .parameters()
            .iter()
            .map(|parameter| (parameter.name, parameter.values().clone()))
            .collect();
        for (name, values) in learned {
            // Low enough for all of them to fire within a few steps.
            let values = match name {
                "threshold" => 0.25.into(),
                _ => values,
            };
            let start = serde_json::json!({ "learned": values });
            // Some belong to no field, such as the decay of neurons that do not leak.
            if config.get::<serde_json::Value>(name).is_some() {
                config.set(name, start).unwrap();
            }
        }
        config.validate().unwrap();
    }
    all
}

/// Numbers that make every neuron fire, and not all the time.
fn input(steps: usize, device: &Device) -> Tensor<3> {
    let numbers = Philox::new(3).uniform(0, steps * 2 * 40, -0.5, 2.5);
    let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
    tensor::<3>(&numbers, [steps, 2, 40], device)
}

fn fires(kind: &str, spikes: &[f64]) {
    assert!(spikes.iter().any(|spike| *spike != 0.0), "{kind} is silent");
    assert!(spikes.contains(&0.0), "{kind} fires all the time");
}

#[test]
fn names_are_those_of_files() {
    let kinds = NeuronConfig::all();
    let kinds: Vec<_> = kinds.iter().map(NeuronConfig::kind).collect();
    let mut unique = kinds.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), kinds.len(), "{kinds:?}");
    for (kind, config) in kinds.iter().zip(NeuronConfig::all()) {
        assert_eq!(NeuronConfig::of_kind(kind).unwrap(), config);
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains(&format!(r#""kind":"{kind}""#)), "{json}");
        assert_eq!(
            serde_json::from_str::<NeuronConfig>(&json).unwrap(),
            config,
            "{json}"
        );
        let device = Device::flex();
        assert_eq!(config.init(&device).unwrap().config(), config);
    }
    let error = NeuronConfig::of_kind("perceptron").unwrap_err().to_string();
    assert!(error.contains("klif, lif"), "{error}");
    let error = serde_json::from_str::<NeuronConfig>(r#"{"kind":"perceptron"}"#).unwrap_err();
    assert!(error.to_string().contains("perceptron"), "{error}");
    say(&format!("{} neurons: {}", kinds.len(), kinds.join(", ")));
}

#[test]
fn trains_on_every_backend() {
    for config in all() {
        let kind = config.kind();
        let mut first: Option<[Vec<f64>; 2]> = None;
        for (name, device) in devices::all() {
            let device = device.autodiff();
            let neuron = config.init(&device).unwrap();
            let x = input(STEPS, &device).require_grad();
            let (spikes, _) = neuron.forward(x.clone(), None);
            let found = values(&spikes);
            fires(&kind, &found);
            let weight = input(STEPS, &device).sin();
            let gradients = (spikes * weight).sum().backward();
            let by_x = values(&x.grad(&gradients).unwrap());
            let all = [("input".to_owned(), by_x.clone())];
            for (parameter, gradient) in parameter_gradients(&neuron, &gradients)
                .into_iter()
                .chain(all)
            {
                assert!(
                    gradient.iter().all(|g| g.is_finite()),
                    "{kind} on {name}: {parameter}"
                );
                assert!(
                    gradient.iter().any(|g| *g != 0.0),
                    "{kind} on {name}: `{parameter}` has no gradient"
                );
            }
            match &first {
                None => first = Some([found, by_x]),
                Some([spikes, gradient]) => {
                    assert_eq!(&found, spikes, "{kind} on {name}");
                    assert_close(&by_x, gradient, &format!("{kind} on {name}"));
                }
            }
        }
    }
}

#[test]
fn is_the_same_fused_and_unrolled() {
    let device = Device::flex().autodiff();
    for config in all() {
        let kind = config.kind();
        let run = |path: Execution| {
            let mut config = config.clone();
            // Parallel neurons have no steps to unroll.
            if config.get::<Execution>("execution").is_some() {
                config.set("execution", path).unwrap();
            }
            let neuron = config.init(&device).unwrap();
            let x = input(STEPS, &device).require_grad();
            let (spikes, _) = neuron.forward(x.clone(), None);
            let gradients = (spikes.clone() * input(STEPS, &device).sin())
                .sum()
                .backward();
            let mut found = vec![values(&x.grad(&gradients).unwrap())];
            let parameters = parameter_gradients(&neuron, &gradients);
            found.extend(parameters.into_iter().map(|(_, gradient)| gradient));
            (values(&spikes), found)
        };
        let (fused, unrolled) = (run(Execution::Auto), run(Execution::Unrolled));
        assert_eq!(fused.0, unrolled.0, "{kind}");
        for (fused, unrolled) in fused.1.iter().zip(&unrolled.1) {
            assert_close(fused, unrolled, &kind);
        }
    }
}

#[test]
fn parts_are_the_whole() {
    let device = Device::flex();
    for config in all() {
        let kind = config.kind();
        let neuron = config.init(&device).unwrap();
        let x = input(STEPS, &device);
        let (whole, _) = neuron.forward(x.clone(), None);
        let (recording, _) = neuron.forward_recorded(x.clone(), None);
        assert_eq!(values(&recording.spikes), values(&whole), "{kind}");
        if !neuron.streams() {
            continue;
        }
        let mut state: Option<NeuronState> = None;
        let mut steps = Vec::new();
        for step in x.split(1, 0) {
            let (spikes, next) = neuron.forward(step, state);
            steps.push(spikes);
            let text = serde_json::to_string(&next).unwrap();
            let read: NeuronState = serde_json::from_str(&text).unwrap();
            assert_eq!(read.steps(), steps.len(), "{kind}");
            state = Some(read.to_device(&device));
        }
        assert_eq!(values(&Tensor::cat(steps, 0)), values(&whole), "{kind}");
    }
}

/// Saves a module and loads it into another.
fn copied(neuron: &AnyNeuron, mut other: AnyNeuron) -> AnyNeuron {
    let folder = tempdir().unwrap();
    let path = folder.path().join("neuron.safetensors");
    neuron
        .save_into(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    other
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    other
}

#[test]
fn is_saved_and_loaded() {
    let device = Device::flex();
    for config in all() {
        let kind = config.kind();
        let neuron = config.init(&device).unwrap();
        if neuron.num_params() == 0 {
            continue;
        }
        // Others than at the start.
        struct Moved;
        impl burn::module::ModuleMapper for Moved {
            fn map_float<const D: usize>(
                &mut self,
                parameter: burn::module::Param<Tensor<D>>,
            ) -> burn::module::Param<Tensor<D>> {
                parameter.map(|value| value * 1.0625)
            }
        }
        let moved = neuron.clone().map(&mut Moved);
        let loaded = copied(&moved, neuron.clone());
        let run = |neuron: &AnyNeuron| {
            let (recording, _) = neuron.forward_recorded(input(STEPS, &device), None);
            values(&recording.u)
        };
        assert_eq!(run(&loaded), run(&moved), "{kind}");
    }
}
