//! What holds for every neuron, whatever its configuration and the shape of its input.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use synfire::neuron::{
    Decay, LeakyIntegratorConfig, Lif, LifConfig, Neuron, NeuronState, Reset, Threshold,
};
use synfire::spike::Forward;
use synfire_tests::strategies::{CHANNELS, configs, decays, numbers};
use synfire_tests::{assert_close, assert_close_sums, tensor, values};

/// What a neuron does with a sequence in two parts, the second from step `cut` on (from 0: in one), and the gradients
/// of its input and of what it learns.
fn in_parts<const D: usize>(config: &LifConfig, shape: [usize; D], cut: usize) -> Vec<Vec<f64>> {
    let device = Device::flex().autodiff();
    let lif = config.init(&device).unwrap();
    let len = shape.iter().product();
    let x = tensor::<D>(&numbers(0, len), shape, &device).require_grad();
    let weight = tensor::<D>(&numbers(1, len), shape, &device);
    let (mut u, mut v, mut state) = (Vec::new(), Vec::new(), None);
    let mut spikes = Vec::new();
    for part in [0..cut, cut..shape[0]] {
        if !part.is_empty() {
            let (recording, next) = lif.forward_recorded(x.clone().slice(part), state);
            spikes.push(recording.spikes);
            u.push(recording.u);
            v.push(recording.v);
            state = Some(next);
        }
    }
    let spikes = Tensor::cat(spikes, 0);
    let mut found = vec![
        values(&spikes),
        values(&Tensor::cat(u, 0)),
        values(&Tensor::cat(v, 0)),
        values(&state.unwrap().v::<D>()),
    ];
    let gradients = (spikes * weight).sum().backward();
    found.push(values(&x.grad(&gradients).unwrap()));
    for coefficient in [
        lif.parameter("decay").unwrap(),
        lif.parameter("threshold").unwrap(),
    ] {
        if let Some(parameter) = coefficient.parameter() {
            // A decay that nothing is carried by has no gradient.
            let gradient = parameter.grad(&gradients).map(|gradient| values(&gradient));
            found.push(gradient.unwrap_or_else(|| vec![0.0; parameter.dims()[0]]));
        }
    }
    found
}

/// Spikes are equal, the rest is close.
fn same(got: &[Vec<f64>], reference: &[Vec<f64>], config: &LifConfig) {
    assert_eq!(got.len(), reference.len(), "{config}");
    if config.forward != Forward::Smooth {
        assert_eq!(got[0], reference[0], "{config}");
    }
    let terms = got[0].len();
    for (i, (got, reference)) in got.iter().zip(reference).enumerate() {
        match i {
            0..5 => assert_close(got, reference, &format!("{config}")),
            // Gradients of what is learned.
            _ => assert_close_sums(got, reference, terms, &format!("{config}")),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn two_parts_with_the_state_carried_equal_the_whole(
        config in configs(false),
        steps in 1..9usize,
        batch in 1..3usize,
        cut in 0..9usize,
    ) {
        let shape = [steps, batch, 4];
        same(&in_parts(&config, shape, cut % steps), &in_parts(&config, shape, 0), &config);
    }

    #[test]
    fn every_rank_holds_the_same_neurons(
        config in configs(false),
        steps in 1..6usize,
        batch in 1..3usize,
    ) {
        // Rank 2 has no axis besides time and batch.
        let flat = in_parts(&config, [steps, batch * 12], 0);
        same(&in_parts(&config, [steps, batch, 12], 0), &flat, &config);
        same(&in_parts(&config, [steps, batch, 3, 4], 0), &flat, &config);
        same(&in_parts(&config, [steps, batch, 3, 2, 2], 0), &flat, &config);
    }

    #[test]
    fn channels_have_their_own_numbers(config in configs(true), steps in 1..6usize, batch in 1..3usize) {
        let flat = in_parts(&config, [steps, batch, CHANNELS], 0);
        prop_assert_eq!(flat[0].len(), steps * batch * CHANNELS);
        same(&in_parts(&config, [steps, batch, CHANNELS, 1], 0), &flat, &config);
        same(&in_parts(&config, [steps, batch, CHANNELS, 1, 1], steps / 2), &flat, &config);

        // Channel 1 alone, with its numbers for all.
        let one = |values: &[f64]| if values.len() > 1 { values[1] } else { values[0] };
        let decay = one(config.decay.values().as_slice());
        let threshold = one(config.threshold.values().as_slice());
        let alone = config.clone().with_decay(decay).with_threshold(threshold);
        let device = Device::flex();
        let all = config.init(&device).unwrap();
        let x = tensor::<3>(
            &numbers(0, steps * batch * CHANNELS),
            [steps, batch, CHANNELS],
            &device,
        );
        let (recording, _) = all.forward_recorded(x.clone(), None);
        let channel = |x: Tensor<3>| x.slice([0..steps, 0..batch, 1..2]);
        let (alone, _) = alone.init(&device).unwrap().forward_recorded(channel(x), None);
        assert_close(&values(&alone.u), &values(&channel(recording.u)), &format!("{config}"));
    }

    #[test]
    fn what_is_not_learned_is_what_learning_starts_from(config in configs(false), steps in 1..6usize) {
        let shape = [steps, 2, 3];
        let decay = Decay::Fixed(config.decay.values().clone());
        let threshold = Threshold::Fixed(config.threshold.values().clone());
        let one = |values: &[f64]| values[0];
        let fixed = config
            .clone()
            .with_decay(one(decay.values().as_slice()))
            .with_threshold(one(threshold.values().as_slice()));
        let (learned, fixed) = (in_parts(&config, shape, 0), in_parts(&fixed, shape, 0));
        // A sigmoid rounds; where that tips a spike, these are two different runs.
        let tipped = config.forward != Forward::Smooth && learned[0] != fixed[0];
        prop_assume!(!tipped);
        assert_close(&learned[1], &fixed[1], &format!("{config}"));
        assert_close(&learned[4], &fixed[4], &format!("{config}"));
    }

    #[test]
    fn a_state_goes_through_serde_and_devices(config in configs(false), batch in 1..3usize) {
        let device = Device::flex();
        let lif = config.init(&device).unwrap();
        let x = tensor::<4>(&numbers(0, 4 * batch * 6), [4, batch, 2, 3], &device);
        let (_, state) = lif.forward(x.clone(), None);
        let text = serde_json::to_string(&state).unwrap();
        let loaded: NeuronState = serde_json::from_str(&text).unwrap();
        let loaded = loaded.to_device(&device);
        prop_assert_eq!(values(&loaded.v::<4>()), values(&state.v::<4>()));
        let next = |state| values(&lif.forward(x.clone(), Some(state)).0);
        prop_assert_eq!(next(loaded), next(state));
        // At rest, said or unsaid.
        let initial = lif.initial(x.dims(), &device);
        let from_rest = values(&lif.forward(x.clone(), None).0);
        let next = next(initial);
        match config.forward {
            // A spike of the resting potential as a number is rounded once, as a tensor at every operation.
            Forward::Smooth => prop_assert!(
                next.iter().zip(&from_rest).all(|(a, b)| (a - b).abs() <= 1e-6),
                "{:?} {:?}", next, from_rest
            ),
            _ => prop_assert_eq!(next, from_rest),
        }
    }

    #[test]
    fn a_configuration_goes_through_json(config in configs(true)) {
        let text = serde_json::to_string(&config).unwrap();
        prop_assert_eq!(serde_json::from_str::<LifConfig>(&text).unwrap(), config);
    }

    #[test]
    fn an_integrator_in_two_parts_equals_the_whole(
        decay in decays(true),
        decay_input in any::<bool>(),
        temporal_gradient in any::<bool>(),
        steps in 1..9usize,
        cut in 0..9usize,
    ) {
        let device = Device::flex().autodiff();
        let readout = LeakyIntegratorConfig::new()
            .with_decay(decay)
            .with_decay_input(decay_input)
            .with_temporal_gradient(temporal_gradient)
            .init(&device)
            .unwrap();
        let cut = cut % steps;
        let shape = [steps, 1, CHANNELS, 2];
        let weight = tensor::<4>(&numbers(1, steps * CHANNELS * 2), shape, &device);
        let run = |cut: usize| {
            let x = tensor::<4>(&numbers(0, steps * CHANNELS * 2), shape, &device).require_grad();
            let (mut state, mut parts) = (Some(readout.initial(shape, &device)), Vec::new());
            for part in [0..cut, cut..steps] {
                if !part.is_empty() {
                    let (u, next) = readout.forward(x.clone().slice(part), state);
                    parts.push(u);
                    state = Some(next);
                }
            }
            let u = Tensor::cat(parts, 0);
            let gradients = (u.clone() * weight.clone()).sum().backward();
            (values(&u), values(&x.grad(&gradients).unwrap()))
        };
        let ((u, dx), (whole_u, whole_dx)) = (run(cut), run(0));
        assert_close(&u, &whole_u, "u");
        assert_close(&dx, &whole_dx, "gradient");
    }
}

#[test]
fn a_learned_decay_is_kept_in_its_range() {
    let device = Device::flex();
    let in_use = |lif: Lif, parameter: f64| {
        let moved = Moved(parameter);
        values(
            &lif.map(&mut { moved })
                .parameter("decay")
                .unwrap()
                .in_use(&device),
        )[0]
    };
    let learned = || LifConfig::new().with_decay(Decay::learned(0.5));
    assert_eq!(in_use(learned().init(&device).unwrap(), 1.5), 1.0);
    assert_eq!(in_use(learned().init(&device).unwrap(), -0.5), 0.0);
    assert_eq!(in_use(learned().init(&device).unwrap(), 0.25), 0.25);
    let gate = learned().with_reset(Reset::Exponential);
    assert!((in_use(gate.init(&device).unwrap(), -0.5) - 1e-3).abs() < 1e-9);
    let sigmoid = LifConfig::new().with_decay(Decay::sigmoid(0.5));
    assert_eq!(in_use(sigmoid.clone().init(&device).unwrap(), 0.0), 0.5);
    let gate = sigmoid.with_reset(Reset::Exponential);
    assert!((in_use(gate.init(&device).unwrap(), 50.0) - 1e-3).abs() < 1e-9);
    // What is fixed is in use as it is.
    let fixed = LifConfig::new()
        .with_decay(vec![0.25, 0.5])
        .init(&device)
        .unwrap();
    assert_eq!(
        values(&fixed.parameter("decay").unwrap().in_use(&device)),
        [0.25, 0.5]
    );
    assert_eq!(
        values(&fixed.parameter("threshold").unwrap().in_use(&device)),
        [0.5]
    );
}

/// Sets every parameter.
struct Moved(f64);

impl ModuleMapper for Moved {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        parameter.map(|values| values.full_like(self.0))
    }
}

#[test]
fn without_the_temporal_path_an_integrator_keeps_gradients_in_their_step() {
    let device = Device::flex().autodiff();
    let gradient = |temporal_gradient: bool| {
        let config = LeakyIntegratorConfig::new()
            .with_decay(0.5)
            .with_temporal_gradient(temporal_gradient);
        let x = tensor::<3>(&[1.0, 2.0, 3.0], [3, 1, 1], &device).require_grad();
        let (u, _) = config.init(&device).unwrap().forward(x.clone(), None);
        assert_eq!(values(&u), [1.0, 2.5, 4.25]);
        let gradients = u.slice(2..3).sum().backward();
        values(&x.grad(&gradients).unwrap())
    };
    assert_eq!(gradient(true), [0.25, 0.5, 1.0]);
    assert_eq!(gradient(false), [0.0, 0.0, 1.0]);
}

#[test]
#[should_panic(
    expected = "LeakyIntegrator: the state [1, 2, 3] does not belong to the input [2, 5, 3]"
)]
fn a_foreign_state_of_an_integrator_is_named() {
    let device = Device::flex();
    let readout = LeakyIntegratorConfig::new().init(&device).unwrap();
    let state = readout.initial([2, 2, 3], &device);
    readout.forward(Tensor::<3>::zeros([2, 5, 3], &device), Some(state));
}

#[test]
#[should_panic(expected = "LeakyIntegrator: `decay` has 2 channels")]
fn channels_of_an_integrator_must_be_those_of_the_input() {
    let device = Device::flex();
    let readout = LeakyIntegratorConfig::new()
        .with_decay(vec![0.5; 2])
        .init(&device)
        .unwrap();
    readout.forward(Tensor::<3>::zeros([2, 5, 3], &device), None);
}

#[test]
#[should_panic(
    expected = "Lif: `decay` has 3 channels, which do not belong to the input [2, 1, 4]"
)]
fn channels_must_be_those_of_the_input() {
    let device = Device::flex();
    let lif = LifConfig::new()
        .with_decay(vec![0.5; 3])
        .init(&device)
        .unwrap();
    lif.forward(Tensor::<3>::zeros([2, 1, 4], &device), None);
}

#[test]
#[should_panic(
    expected = "Lif: `threshold` has 2 channels, which do not belong to the input [2, 2]"
)]
fn an_input_without_channels_is_named() {
    let device = Device::flex();
    let config = LifConfig::new().with_threshold(Threshold::learned(vec![0.5; 2]));
    let lif = config.init(&device).unwrap();
    lif.forward(Tensor::<2>::zeros([2, 2], &device), None);
}

#[test]
#[should_panic(expected = "LeakyIntegrator: the input [0, 2, 3] has no time steps")]
fn an_integrator_needs_time_steps() {
    let device = Device::flex();
    let readout = LeakyIntegratorConfig::new().init(&device).unwrap();
    readout.forward(Tensor::<3>::zeros([0, 2, 3], &device), None);
}

#[test]
fn damaged_states_are_errors() {
    let device = Device::flex();
    let state = |v: Tensor<3>| serde_json::to_string(&NeuronState::new([("v", v)], 1)).unwrap();
    let read = |text: &str| serde_json::from_str::<NeuronState>(text);
    assert!(read(&state(Tensor::zeros([1, 2, 3], &device))).is_ok());
    let nan = read(&state(Tensor::full([1, 2, 3], f32::NAN, &device))).unwrap_err();
    assert!(nan.to_string().contains("expected finite"), "{nan}");
    assert!(read("{}").is_err());
    let zeros = state(Tensor::zeros([1, 2, 3], &device));
    let twice = format!("{},{}", zeros.trim_end_matches('}'), &zeros[1..]);
    assert!(
        read(&twice)
            .unwrap_err()
            .to_string()
            .contains("`v` is there twice")
    );
}
