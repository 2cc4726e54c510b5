//! Modules that are saved and loaded do what they did before.

use burn::module::{Module, ModuleMapper, Param};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use synfire::layer::{NormConfig, TdBatchNormConfig};
use synfire::neuron::{
    Decay, LeakyIntegratorConfig, LifConfig, Neuron, OneToOne, ParamInit, Recurrent,
    RecurrentConfig, Threshold,
};
use synfire::random::Philox;
use synfire_models::block::ReadoutConfig;
use synfire_models::{AnyNetwork, NetworkConfig, SpikingNetwork, StbpCnnConfig, StbpMlpConfig};
use synfire_tests::{tensor, values};

/// Moves every parameter, as training does.
struct Move;

impl ModuleMapper for Move {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        parameter.map(|values| values.mul_scalar(1.125).add_scalar(0.03125))
    }
}

fn numbers<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let len = shape.iter().product();
    let numbers = Philox::new(5).uniform(0, len, 0.0, 1.0);
    let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
    tensor(&numbers, shape, &Device::flex())
}

/// Saves a changed module as safetensors and as a record of Burn's, loads both into new ones, and compares.
fn survives<M: Module>(fresh: M, outputs: impl Fn(&M) -> Vec<f64>, parameters: usize) {
    assert_eq!(fresh.num_params(), parameters);
    let trained = fresh.clone().map(&mut Move);
    let expected = outputs(&trained);
    assert!(
        expected != outputs(&fresh),
        "the parameters make no difference"
    );
    assert!(expected.iter().any(|x| *x != 0.0), "nothing happens");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("module.safetensors");
    trained
        .save_into(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    let mut loaded = fresh.clone();
    loaded
        .load_from(&mut SafetensorsStore::from_file(&path))
        .unwrap();
    assert_eq!(outputs(&loaded), expected);

    let loaded = fresh.try_load_record(trained.into_record()).unwrap();
    assert_eq!(outputs(&loaded), expected);
}

/// A neuron that learns all it can.
fn learner() -> LifConfig {
    LifConfig::new()
        .with_decay(Decay::sigmoid(vec![0.25, 0.5, 0.75]))
        .with_threshold(Threshold::learned(0.5))
}

#[test]
fn neurons_keep_what_they_learned() {
    let device = Device::flex();
    let x = || numbers([6, 4, 3, 2]);
    survives(
        learner().init(&device).unwrap(),
        |lif| values(&lif.forward_recorded(x(), None).0.u),
        4,
    );
    survives(
        LeakyIntegratorConfig::new()
            .with_decay(Decay::learned(0.75))
            .init(&device)
            .unwrap(),
        |readout| values(&readout.forward(x(), None).0),
        1,
    );
    survives(
        Recurrent::new(
            learner().init(&device).unwrap(),
            OneToOne::new(ParamInit::learned(-1.0), &device).unwrap(),
        )
        .unwrap(),
        |neurons| values(&neurons.forward_recorded(x(), None).0.u),
        4 + 1,
    );
    survives(
        RecurrentConfig::all_to_all(learner(), 2)
            .init(&device)
            .unwrap(),
        |neurons| values(&neurons.forward_recorded(x(), None).0.u),
        4 + 2 * 2,
    );
    // What is not learned is not in the file, and belongs to the configuration.
    let fixed = LifConfig::new().with_decay(vec![0.25, 0.5, 0.75]);
    assert_eq!(fixed.init(&device).unwrap().num_params(), 0);
}

#[test]
fn layers_keep_what_they_learned() {
    let norm = TdBatchNormConfig::new(3, 0.5)
        .init(&Device::flex())
        .unwrap();
    // Mean and variance count as parameters in Burn.
    let parameters = norm.num_params();
    survives(
        norm,
        |norm| values(&norm.forward(numbers([2, 4, 3, 2]))),
        parameters,
    );
}

#[test]
fn networks_keep_what_they_learned() {
    let device = Device::flex();
    let neuron = LifConfig::plif(2.0)
        .unwrap()
        .with_threshold(Threshold::learned(0.25));
    let mlp = StbpMlpConfig::new()
        .with_sizes(vec![20, 12, 5])
        .with_neuron(neuron.clone());
    let outputs = |network: &dyn Fn(Tensor<3>) -> Tensor<3>, inputs| {
        values(&network(numbers([5, 3, inputs])))
    };
    survives(
        mlp.init(&device).unwrap(),
        |mlp| outputs(&|x| mlp.run(x), 20),
        21 * 12 + 13 * 5 + 4,
    );
    let readout = LeakyIntegratorConfig::new().with_decay(Decay::learned(0.5));
    survives(
        mlp.with_readout(ReadoutConfig::Membrane(readout))
            .init(&device)
            .unwrap(),
        |mlp| outputs(&|x| mlp.run(x), 20),
        21 * 12 + 13 * 5 + 2 + 1,
    );
    let cnn = StbpCnnConfig::new()
        .with_image([1, 10, 10])
        .with_channels(vec![3])
        .with_kernel(3)
        .with_hidden(vec![6])
        .with_classes(4)
        .with_neuron(neuron);
    survives(
        cnn.init(&device).unwrap(),
        |cnn| outputs(&|x| cnn.run(x), 100),
        10 * 3 + (3 * 16 + 1) * 6 + 7 * 4 + 2 * 3,
    );
}

#[test]
fn normalised_networks_keep_their_statistics() {
    let device = Device::flex();
    let neuron = LifConfig::new().with_threshold(0.25);
    let mlp = StbpMlpConfig::new()
        .with_sizes(vec![64, 12, 5])
        .with_neuron(neuron.clone())
        .with_norm(Some(NormConfig::td_batch()));
    let cnn = StbpCnnConfig::new()
        .with_image([1, 8, 8])
        .with_channels(vec![3])
        .with_kernel(3)
        .with_hidden(vec![6])
        .with_classes(5)
        .with_neuron(neuron)
        .with_pool_neuron(None)
        .with_norm(Some(NormConfig::td_batch()));
    for config in [NetworkConfig::StbpMlp(mlp), NetworkConfig::StbpCnn(cnn)] {
        let outputs = |network: &AnyNetwork| values(&network.run(numbers([5, 3, 64])));
        // Statistics are shared by clones, so each of these is made anew.
        let untrained = config.init(&device).unwrap();
        let training = config.init(&device.clone().autodiff()).unwrap();
        for _ in 0..30 {
            let input = numbers([5, 3, 64]).mul_scalar(3.0);
            let input = Tensor::<3>::from_data(input.into_data(), &device.clone().autodiff());
            training.run(input);
        }
        let trained = training.valid();
        let expected = outputs(&trained);
        assert!(expected.contains(&1.0), "a silent network proves nothing");
        assert_ne!(outputs(&untrained), expected);

        let mut store = SafetensorsStore::from_bytes(None);
        trained.save_into(&mut store).unwrap();
        let bytes = store.get_bytes().unwrap();
        let mut loaded = config.init(&device).unwrap();
        loaded
            .load_from(&mut SafetensorsStore::from_bytes(Some(bytes)))
            .unwrap();
        assert_eq!(outputs(&loaded), expected);

        let loaded = config.init(&device).unwrap();
        let loaded = loaded.try_load_record(trained.into_record()).unwrap();
        assert_eq!(outputs(&loaded), expected);
    }
}
