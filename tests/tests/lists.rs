//! Every neuron in every network of the lists, with normalisations and readouts in turn. What is added to a list is tested
//! here as well.

use burn::tensor::{Device, Tensor, TensorData};
use synfire::layer::NormConfig;
use synfire::neuron::{LeakyIntegratorConfig, Neuron, NeuronConfig};
use synfire::random::Philox;
use synfire::record::Recorder;
use synfire::spike::Forward;
use synfire::surrogate::Surrogate;
use synfire_models::block::ReadoutConfig;
use synfire_models::{
    Context, NetworkConfig, NetworkState, SpikingNetwork, load_network, save_network,
};
use synfire_tests::{assert_close, parameter_gradients, values};

/// Time steps, enough for a signal to pass through neurons with a delay of a step.
const STEPS: usize = 8;

/// What goes by channels or steps is that of the run.
fn neurons() -> Vec<NeuronConfig> {
    let wide = Surrogate::atan(2.0).unwrap();
    let all = NeuronConfig::all().into_iter().map(|mut neuron| {
        if neuron.get::<usize>("time_steps").is_some() {
            neuron.set("time_steps", STEPS).unwrap();
        }
        // A gradient passes however far the membrane is.
        neuron.set("surrogate", wide).unwrap();
        neuron
    });
    all.collect()
}

/// Every network with every neuron; of the normalisations and readouts those whose turn it is, so that each comes with every
/// network and with every neuron.
fn all() -> Vec<(String, NetworkConfig)> {
    let norms = NormConfig::all(STEPS).map(Some);
    let norms = [&norms[..], &[None]].concat();
    let readouts = [
        ReadoutConfig::Spikes,
        ReadoutConfig::Membrane(LeakyIntegratorConfig::new()),
        ReadoutConfig::Currents,
    ];
    let mut all = Vec::new();
    for (i, neuron) in neurons().into_iter().enumerate() {
        for (j, mut config) in NetworkConfig::small().into_iter().enumerate() {
            config.fit([1, 16, 16], 4);
            config.set_time_steps(STEPS);
            let norm = norms[(i + j) % norms.len()];
            let readout = readouts[(i + j) % readouts.len()].clone();
            let config = config.with_neuron(neuron.clone());
            let config = config.with_layers(|layers| layers.with_norm(norm).with_readout(readout));
            // Where layers run step by step, what needs a whole sequence is refused.
            let (norm, config) = match config.validate() {
                Ok(()) => (norm, config),
                Err(error) if error.field == "norm" && neuron.streams() => {
                    let norm = Some(NormConfig::batch());
                    (norm, config.with_layers(|layers| layers.with_norm(norm)))
                }
                Err(error) => {
                    assert!(!neuron.streams(), "{error}");
                    continue;
                }
            };
            let norm = norm.map_or("no norm", |norm| norm.abbreviation());
            let what = format!("{} in {}, {norm}", neuron.kind(), config.name());
            all.push((what, config));
        }
    }
    all
}

fn input(device: &Device) -> Tensor<3> {
    let numbers = Philox::new(3).uniform(0, STEPS * 2 * 256, 0.0, 2.0);
    Tensor::from_data(TensorData::new(numbers, [STEPS, 2, 256]), device)
}

#[test]
fn every_neuron_runs_in_every_network() {
    let device = Device::flex();
    for (what, config) in all() {
        let json = serde_json::to_string(&config).unwrap();
        let config: NetworkConfig = serde_json::from_str(&json).unwrap();
        let network = config.init(&device).unwrap();
        let kind = config.layers().neuron.kind();
        let mut context = Context::new().with_recorder(Recorder::membranes());
        let output = network.forward(input(&device), &mut context);
        assert_eq!(output.dims(), [STEPS, 2, 4], "{what}");
        let (recorder, end) = context.into_parts();
        let layers = recorder.layers().iter();
        let names: Vec<_> = layers
            .filter(|layer| layer.spikes.is_some())
            .map(|layer| layer.name.clone())
            .collect();
        assert_eq!(names, network.layer_names(), "{what}");
        assert!(names.iter().all(|name| end.layer(name).is_some()), "{what}");

        // As a file holds it.
        let bytes = save_network(&network, &config, burn::tensor::DType::F32).unwrap();
        let loaded = load_network(&config, bytes, &device).unwrap();
        let again = network.run(input(&device));
        assert_eq!(
            loaded.run(input(&device)).into_data(),
            again.clone().into_data(),
            "{what}"
        );
        // What does not spike is rounded in another order where it is recorded.
        // Attention of rectifiers, which have no bound, may overflow.
        if kind == "relu" && values(&again).iter().any(|x| x.abs() > 1e6) {
            continue;
        }
        assert_close(&values(&again), &values(&output), &what);

        // In two parts, with a state that waits on disk.
        let streams = |name: &String| config.neuron_of(name).streams();
        if !config.streams() || !names.iter().all(streams) {
            continue;
        }
        let mut context = Context::new();
        let first = network.forward(input(&device).slice(0..1), &mut context);
        let text = serde_json::to_string(&context.finish()).unwrap();
        let state: NetworkState = serde_json::from_str(&text).unwrap();
        let mut context = Context::new().with_state(state.to_device(&device));
        let rest = network.forward(input(&device).slice(1..STEPS), &mut context);
        let parts = Tensor::cat(vec![first, rest], 0);
        assert_close(&values(&parts), &values(&output), &what);
    }
}

/// Whether the input of a step has no effect on the spikes of the same step.
fn answers_late(neuron: &NeuronConfig, device: &Device) -> bool {
    let neuron = neuron.init(device).unwrap();
    let input = Tensor::<2>::ones([STEPS, 1], device).require_grad();
    let (spikes, _) = neuron.forward(input.clone(), None);
    let gradients = spikes.slice(STEPS - 1..STEPS).sum().backward();
    let gradient = values(&input.grad(&gradients).unwrap());
    gradient[STEPS - 1] == 0.0
}

/// With smooth spikes, so that no layer is silent, whatever the scale of a neuron's threshold: what is tested is that every
/// parameter is on the way from the input to the loss. `zoo` tests that networks of their own neurons learn.
#[test]
fn every_parameter_has_a_gradient() {
    let device = Device::flex().autodiff();
    let mut dead = Vec::new();
    for (what, config) in all() {
        let mut neuron = config.layers().neuron;
        neuron.set("forward", Forward::Smooth).unwrap();
        let late = answers_late(&neuron, &device);
        let config = config.with_neuron(neuron);
        let network = config.init(&device).unwrap();
        let deep = network.layer_names().len() > 2 * STEPS;
        let mut norm = config.layers().norm;
        let of_steps = norm
            .as_mut()
            .is_some_and(|norm| norm.time_steps_mut().is_some());
        let output = network.run(input(&device));
        let weight = Philox::new(5).uniform(0, STEPS * 2 * 4, 0.5, 1.0);
        let weight = Tensor::from_data(TensorData::new(weight, [STEPS, 2, 4]), &device);
        let gradients = (output * weight).sum().backward();
        let all = parameter_gradients(&network, &gradients).into_iter();
        let without: Vec<_> = all
            .filter(|(name, g)| !name.contains("running") && g.iter().all(|g| *g == 0.0))
            // The last steps come too late for an answer, and the first ones of later layers have no input: normalised by itself,
            // a step without input is 0.
            .filter(|(name, _)| !(late && (name.contains(".steps.") || deep && of_steps)))
            .map(|(name, _)| name)
            .collect();
        if !without.is_empty() {
            dead.push(format!("{what}: {without:?}"));
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}
