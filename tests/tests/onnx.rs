//! Networks as ONNX models. That ONNX Runtime computes the same, `tests/fixtures/onnx_check.py` tests with files written here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use serde_json::json;
use synfire::neuron::{Lif, LifConfig, NeuronConfig, PsnConfig};
use synfire::record::Recorder;
use synfire_models::{Context, NetworkConfig, SpikingNetwork, StbpMlpConfig};
use synfire_nir::{NirNetwork, NirOptions};
use synfire_onnx::{OnnxError, OnnxOptions, export};
use synfire_tests::cases::{self, BATCH, Case};
use synfire_tests::nir;

fn all_cases(device: &Device) -> Vec<Case> {
    let mut all = cases::loud_architectures(device);
    all.extend(cases::neurons(device));
    all
}

#[test]
fn every_architecture_and_neuron_is_written_and_starts_at_rest() {
    let device = Device::flex();
    let mut operators = BTreeMap::<String, usize>::new();
    let (mut whole, mut silent) = (Vec::new(), Vec::new());
    let cases = all_cases(&device);
    let neurons = cases.iter().filter(|case| case.name.starts_with("neuron-"));
    assert_eq!(neurons.count(), NeuronConfig::all().len());
    let architectures = NetworkConfig::small().len();
    assert!(cases.len() >= architectures + NeuronConfig::all().len());
    for case in cases {
        let time_steps = case.input.dims()[0];
        let sequence = OnnxOptions::sequence(time_steps).with_batch_size(BATCH);
        let model = export(&case.network, &sequence).unwrap();
        let mut context = Context::new().with_recorder(Recorder::spikes());
        let output = case.network.forward(case.input.clone(), &mut context);
        let layers = context.recorder().layers().iter();
        let spikes: Vec<_> = layers.filter_map(|layer| layer.spikes.clone()).collect();
        let count = spikes.len();
        let firing = spikes
            .into_iter()
            .map(|spikes| spikes.any().into_scalar::<bool>());
        let firing = firing.filter(|fires| *fires).count();
        if 3 * firing < 2 * count {
            silent.push(format!("{}: {firing} of {count} layers fire", case.name));
        }
        let classes = output.dims()[2];
        let expected = [
            ("output".to_owned(), vec![time_steps, BATCH, classes]),
            ("mean".to_owned(), vec![BATCH, classes]),
        ];
        assert_eq!(model.outputs(), expected, "{}", case.name);
        for (operator, count) in model.operators() {
            *operators.entry(operator.to_owned()).or_default() += count;
        }
        let step = OnnxOptions::step().with_batch_size(BATCH);
        let step = export(&case.network, &step);
        match step {
            Ok(step) => {
                let state = case.network.initial_state(BATCH).unwrap();
                let mut context = Context::new().with_state(state);
                let begun = case.network.forward(case.input.clone(), &mut context);
                assert_eq!(begun.into_data(), output.into_data(), "{}", case.name);
                let (inputs, outputs) = (step.inputs(), step.outputs());
                assert_eq!(inputs.len(), outputs.len(), "{}", case.name);
                for ((from, shape), (to, next)) in inputs.iter().zip(&outputs).skip(1) {
                    assert_eq!(from.replace("state.", "next."), *to);
                    assert_eq!(shape, next);
                }
            }
            Err(error) => {
                println!("{}: {error}", case.name);
                whole.push(case.name);
            }
        }
    }
    assert!(silent.len() <= 3, "silence proves nothing: {silent:?}");
    println!("{silent:?}\n{operators:?}");
    // The table of docs/onnx.md.
    let expected = [
        "ma-snn",
        "ma-snn-norm",
        "neuron-gated-lif",
        "neuron-masked-psn",
        "neuron-psn",
        "neuron-sliding-psn",
    ];
    whole.sort();
    assert_eq!(whole, expected);
}

/// A network that looks at all steps, or keeps something to itself, without the methods of a context.
#[derive(Module, Debug)]
struct Apart {
    neuron: Lif,
    #[module(skip)]
    keeps: bool,
}

impl SpikingNetwork for Apart {
    fn sample_shape(&self) -> Vec<usize> {
        vec![3]
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        if !self.keeps {
            let mean = input.clone().mean_dim(0);
            return context.neurons("output", &self.neuron, input + mean);
        }
        let mut last = input.clone().slice(0..1).zeros_like();
        context.each_step(input, |x, context| {
            let spikes = context.neurons("output", &self.neuron, x - last.clone());
            last = spikes.clone();
            spikes
        })
    }
}

/// A network with an operation that is not written.
#[derive(Module, Debug)]
struct Backwards {
    neuron: Lif,
}

impl SpikingNetwork for Backwards {
    fn sample_shape(&self) -> Vec<usize> {
        vec![3]
    }

    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        context.neurons("hidden", &self.neuron, input).flip([2])
    }
}

#[test]
fn what_is_not_written_is_named() {
    let neuron = LifConfig::new().init(&Device::flex()).unwrap();
    let error = export(&Backwards { neuron }, &OnnxOptions::sequence(2)).unwrap_err();
    let expected =
        "the operation `Flip` of Burn, after the layer `hidden`, cannot be written as ONNX";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_is_not_the_same_in_every_step_has_no_step() {
    let device = Device::flex();
    let step = OnnxOptions::step();
    let neuron = NeuronConfig::from(PsnConfig::new().with_time_steps(3));
    let config = StbpMlpConfig::new().with_sizes(vec![4, 3]);
    let network = config.with_neuron(neuron).init(&device).unwrap();
    let error = export(&network, &step).unwrap_err();
    assert!(
        matches!(&error, OnnxError::Step { layers } if layers == "output"),
        "{error}"
    );
    for keeps in [false, true] {
        let neuron = LifConfig::new().init(&device).unwrap();
        let error = export(&Apart { neuron, keeps }, &step).unwrap_err();
        assert!(matches!(error, OnnxError::Step { .. }), "{error}");
    }
    for invalid in [
        OnnxOptions::sequence(3).with_batch_size(0),
        OnnxOptions::sequence(0),
        OnnxOptions::image(65_536).with_batch_size(1 << 20),
    ] {
        let error = export(&network, &invalid).unwrap_err();
        assert!(matches!(error, OnnxError::Options(_)), "{error}");
    }
}

/// Writes a network in all ways, with what it computes here.
fn write(folder: &Path, name: &str, network: &impl SpikingNetwork, input: Tensor<3>) {
    let [time_steps, batch, _] = input.dims();
    let sequence = OnnxOptions::sequence(time_steps).with_layers(true);
    let step = OnnxOptions::step().with_layers(true);
    let image = OnnxOptions::image(time_steps);
    let mut kinds = Vec::new();
    for (kind, options) in [("sequence", sequence), ("step", step), ("image", image)] {
        match export(network, &options.with_batch_size(batch)) {
            Ok(model) => {
                let path = folder.join(format!("{name}.{kind}.onnx"));
                model.save(path).unwrap();
                kinds.push(kind);
            }
            Err(error) => assert_eq!(kind, "step", "{name}: {error}"),
        }
    }
    let numbers = |tensor: Tensor<3>| tensor.into_data().try_to_vec::<f32>().unwrap();
    let mut context = Context::new().with_recorder(Recorder::spikes());
    let output = network.fuse().forward(input.clone(), &mut context);
    let layers = context.recorder().layers().iter();
    let layers: BTreeMap<_, _> = layers
        .filter_map(|layer| Some((layer.name.clone(), numbers(layer.spikes.clone()?))))
        .collect();
    let first = input.clone().slice(0..1);
    let of_image = network.fuse().run(first.clone().repeat_dim(0, time_steps));
    let text = json!({
        "kinds": kinds,
        "input": numbers(input),
        "output": numbers(output),
        "image": numbers(first),
        "output_of_image": numbers(of_image),
        "layers": layers,
    });
    let path = folder.join(format!("{name}.json"));
    std::fs::write(path, text.to_string()).unwrap();
}

/// For `tests/fixtures/onnx_check.py`: `SYNFIRE_ONNX=DIR cargo test --workspace --test onnx -- --ignored`.
#[test]
#[ignore = "writes files for another program"]
fn files_for_onnx_runtime() {
    let folder = std::env::var_os("SYNFIRE_ONNX").expect("SYNFIRE_ONNX names a folder");
    let folder = PathBuf::from(folder);
    let device = Device::flex();
    for case in all_cases(&device)
        .into_iter()
        .chain(cases::trained(&device))
    {
        write(&folder, &case.name, &case.network, case.input);
    }
    // Graphs of NIR are networks, too.
    let every = ("primitives", nir::every_primitive());
    for (name, graph) in [every].into_iter().chain(nir::for_other_libraries()) {
        let network = NirNetwork::new(&graph, &NirOptions::new(), &device).unwrap();
        let shape = [12, BATCH, network.elements()];
        let input = Tensor::random(shape, Distribution::Uniform(0.0, 8.0), &device);
        write(&folder, &format!("nir-{name}"), &network, input);
    }
}
