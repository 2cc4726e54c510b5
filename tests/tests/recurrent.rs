//! Recurrent neurons are what their equation says: those of an explicit loop.

use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use synfire::layer::{SpikeLinear, each_step};
use synfire::neuron::{
    AdaptiveLifConfig, AnyFeedback, FeedbackConfig, IfConfig, LifConfig, Neuron, NeuronConfig,
    NeuronState, OneToOne, ParamInit, PsnConfig, Recurrent, RecurrentConfig, TemporalGradient,
};
use synfire::record::Recorder;
use synfire::surrogate::Surrogate;
use synfire_models::Context;
use synfire_tests::strategies::{configs, numbers};
use synfire_tests::{assert_close, assert_close_sums, linear, parameter_gradients, tensor, values};

const NEURONS: usize = 4;

/// Weights that are parts of 1024, so that sums are exact.
fn feedback(device: &Device) -> SpikeLinear {
    let sizes = [NEURONS, NEURONS];
    linear(
        &numbers(2, NEURONS * NEURONS),
        sizes,
        &numbers(3, NEURONS),
        device,
    )
    .into()
}

fn lif(config: &LifConfig, device: &Device) -> Recurrent<synfire::neuron::Lif, SpikeLinear> {
    Recurrent::new(config.init(device).unwrap(), feedback(device)).unwrap()
}

fn one_to_one(
    config: impl Into<NeuronConfig>,
    weight: impl Into<ParamInit>,
    device: &Device,
) -> Recurrent<synfire::neuron::AnyNeuron, OneToOne> {
    let neuron = config.into().init(device).unwrap();
    Recurrent::new(neuron, OneToOne::new(weight, device).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn neurons_are_an_explicit_loop_in_one_or_two_parts(
        config in configs(false),
        steps in 1..7usize,
        cut in 0..7usize,
    ) {
        let device = Device::flex().autodiff();
        let neurons = lif(&config, &device);
        let cut = cut % steps;
        let run = |run: &dyn Fn(Tensor<3>) -> Tensor<3>| {
            let x = tensor::<3>(&numbers(0, steps * 8), [steps, 2, NEURONS], &device).require_grad();
            let weight = tensor::<3>(&numbers(1, steps * 8), [steps, 2, NEURONS], &device);
            let spikes = run(x.clone());
            let gradients = (spikes.clone() * weight).sum().backward();
            let of_parameters = parameter_gradients(&neurons, &gradients);
            (values(&spikes), values(&x.grad(&gradients).unwrap()), of_parameters)
        };
        let in_parts = run(&|x| {
            let (mut state, mut parts) = (None, Vec::new());
            for part in [0..cut, cut..steps] {
                if !part.is_empty() {
                    let (spikes, next) = neurons.forward(x.clone().slice(part), state);
                    parts.push(spikes);
                    state = Some(next);
                }
            }
            assert_eq!(state.unwrap().steps(), steps);
            Tensor::cat(parts, 0)
        });
        let recorded = run(&|x| neurons.forward_recorded(x, None).0.spikes);
        let by_hand = run(&|x| {
            let off = config.temporal_gradient == TemporalGradient::Off;
            let mut spikes = Tensor::<3>::zeros([1, 2, NEURONS], &device);
            let (mut state, mut all) = (None, Vec::new());
            for t in 0..steps {
                if off {
                    spikes = spikes.detach();
                }
                let back = neurons.feedback().to_linear().forward(spikes);
                let (fired, next) = neurons.neuron().forward(x.clone().slice(t..t + 1) + back, state);
                spikes = fired.clone();
                all.push(fired);
                state = Some(next);
            }
            Tensor::cat(all, 0)
        });
        for (found, what) in [(in_parts, "in parts"), (recorded, "recorded")] {
            assert_close(&found.0, &by_hand.0, what);
            assert_close(&found.1, &by_hand.1, what);
            assert_eq!(found.2.len(), by_hand.2.len());
            for ((path, found), (_, expected)) in found.2.iter().zip(&by_hand.2) {
                assert_close_sums(found, expected, steps * 8, &format!("{what}: {path}"));
            }
        }
    }
}

#[test]
fn the_equation_holds_step_by_step_and_a_saved_state_goes_on() {
    let device = Device::flex();
    // Fires at once; each spike keeps the neuron from firing in the next step.
    let neurons = one_to_one(IfConfig::new().with_threshold(1.0), -2.0, &device);
    let input = tensor::<3>(&[1.0; 6], [6, 1, 1], &device);
    let (recording, state) = neurons.forward_recorded(input.clone().slice(0..4), None);
    // u: 1, 1 - 2, -1 + 1, 0 + 1
    assert_eq!(values(&recording.u), [1.0, -1.0, 0.0, 1.0]);
    assert_eq!(values(&recording.spikes), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(values(&state.get::<3>("recurrent").unwrap()), [1.0]);

    let text = serde_json::to_string(&state).unwrap();
    let loaded: NeuronState = serde_json::from_str(&text).unwrap();
    let (recording, _) =
        neurons.forward_recorded(input.slice(4..6), Some(loaded.to_device(&device)));
    // 1 - 2, -1 + 1
    assert_eq!(values(&recording.u), [-1.0, 0.0]);
}

#[test]
fn every_feedback_is_made_of_a_configuration_in_a_file() {
    let device = Device::flex().autodiff();
    let weight = ParamInit::learned(0.5);
    for (feedback, parameters) in [
        (
            FeedbackConfig::AllToAll {
                neurons: 5,
                bias: true,
            },
            &["weight", "bias"][..],
        ),
        (
            FeedbackConfig::AllToAll {
                neurons: 5,
                bias: false,
            },
            &["weight"],
        ),
        (FeedbackConfig::OneToOne { weight }, &["weight.parameter"]),
        (
            FeedbackConfig::Conv2d {
                channels: 3,
                kernel: [3, 5],
                bias: true,
            },
            &["weight", "bias"],
        ),
    ] {
        for mut neuron in NeuronConfig::all() {
            // No potential is too far from the threshold to learn.
            let surrogate = Surrogate::atan(2.0).unwrap();
            neuron.set("surrogate", surrogate).unwrap();
            let config = RecurrentConfig::new(neuron, feedback.clone());
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<RecurrentConfig>(&text).unwrap(),
                config
            );
            let neurons = match config.init(&device) {
                Ok(neurons) => neurons,
                Err(error) => {
                    assert!(!config.neuron.init(&device).unwrap().streams(), "{error}");
                    continue;
                }
            };
            // Strong enough for all kinds to fire before the last step.
            let x = tensor::<5>(&numbers(0, 2 * 3 * 4 * 5), [1, 2, 3, 4, 5], &device);
            let x = x.mul_scalar(12.0).expand([4, 2, 3, 4, 5]);
            let (spikes, _) = neurons.forward(x, None);
            let name = config.neuron.name();
            assert!(values(&spikes).iter().any(|spike| *spike != 0.0), "{name}");
            let gradients = (spikes.clone() * spikes).sum().backward();
            let found = parameter_gradients(&neurons, &gradients);
            let found: Vec<_> = found
                .iter()
                .filter_map(|(path, gradient)| Some((path.strip_prefix("recurrent.")?, gradient)))
                .collect();
            assert_eq!(
                found.iter().map(|(path, _)| *path).collect::<Vec<_>>(),
                parameters
            );
            for (path, gradient) in found {
                let some = gradient.iter().any(|g| *g != 0.0);
                assert!(
                    some && gradient.iter().all(|g| g.is_finite()),
                    "{name}: {path}: {gradient:?}"
                );
            }
        }
    }
}

#[test]
fn a_convolution_comes_back_in_its_place() {
    let device = Device::flex();
    let feedback = FeedbackConfig::Conv2d {
        channels: 2,
        kernel: [3, 5],
        bias: true,
    };
    let config = RecurrentConfig::new(LifConfig::new().into(), feedback);
    let neurons = config.init(&device).unwrap();
    let AnyFeedback::Conv2d(conv) = neurons.feedback() else {
        panic!("not a convolution")
    };
    let conv = conv.to_conv2d();
    let shape = [5, 2, 2, 4, 6];
    let x = tensor::<5>(&numbers(0, shape.iter().product()), shape, &device);
    let mut spikes = x.clone().slice(0..1).zeros_like();
    let (mut state, mut u) = (None, Vec::new());
    for x in x.clone().split(1, 0) {
        let back: Tensor<5> = each_step(spikes, |spikes: Tensor<4>| conv.forward(spikes));
        let (recording, next) = neurons.neuron().forward_recorded(x + back, state);
        (spikes, state) = (recording.spikes, Some(next));
        u.push(recording.u);
    }
    let (recording, _) = neurons.forward_recorded(x, None);
    assert_close(
        &values(&recording.u),
        &values(&Tensor::cat(u, 0)),
        "potentials",
    );
    assert!(values(&recording.spikes).contains(&1.0));
}

#[test]
fn recurrent_weights_learn_nothing_of_one_step_or_of_silent_neurons() {
    let device = Device::flex().autodiff();
    let neurons = lif(&LifConfig::new(), &device);
    let gradient = |input: Tensor<3>| {
        let gradients = neurons.forward(input, None).0.sum().backward();
        let weight = &neurons.feedback().weight;
        weight
            .grad(&gradients)
            .map_or(vec![0.0; 16], |g| values(&g))
    };
    // No spike comes back in the first step, and none of neurons that are silent.
    assert_eq!(
        gradient(Tensor::full([1, 2, NEURONS], 0.5, &device)),
        [0.0; 16]
    );
    assert_eq!(
        gradient(Tensor::full([6, 2, NEURONS], -9.0, &device)),
        [0.0; 16]
    );
    let alive = gradient(Tensor::full([6, 2, NEURONS], 0.5, &device));
    assert!(alive.iter().any(|g| *g != 0.0));
}

#[test]
fn without_the_temporal_path_the_spikes_that_come_back_are_constants() {
    let device = Device::flex().autodiff();
    let gradient = |temporal| {
        let config = LifConfig::new()
            .with_surrogate(Surrogate::atan(2.0).unwrap())
            .with_temporal_gradient(temporal);
        let neurons = lif(&config, &device);
        assert_eq!(neurons.temporal_gradient(), temporal);
        let x = tensor::<3>(&numbers(0, 3 * NEURONS), [3, 1, NEURONS], &device).require_grad();
        let (spikes, _) = neurons.forward(x.clone(), None);
        let gradients = spikes.slice(2..3).sum().backward();
        let weight = neurons.feedback().weight.grad(&gradients).unwrap();
        assert!(values(&weight).iter().any(|g| *g != 0.0));
        values(&x.grad(&gradients).unwrap())
    };
    let off = gradient(TemporalGradient::Off);
    assert_eq!(off[..8], [0.0; 8]);
    assert!(off[8..].iter().all(|g| *g != 0.0));
    let full = gradient(TemporalGradient::default());
    assert!(full[..8].iter().any(|g| *g != 0.0));
}

#[test]
fn they_stand_in_a_network_wherever_neurons_do() {
    let device = Device::flex();
    let config = AdaptiveLifConfig::new().with_threshold(0.3);
    let neurons = RecurrentConfig::all_to_all(config, 5)
        .init(&device)
        .unwrap();
    let x = tensor::<3>(&numbers(0, 6 * 2 * 5), [6, 2, 5], &device);
    let expected = neurons.forward_recorded(x.clone(), None).0;
    let mut context = Context::new().with_recorder(Recorder::membranes());
    let spikes = context.neurons("hidden", &neurons, x);
    let (recorder, state) = context.into_parts();
    assert_eq!(values(&spikes), values(&expected.spikes));
    let layer = recorder.layer("hidden").unwrap();
    assert_eq!(values(layer.u.as_ref().unwrap()), values(&expected.u));
    let text = serde_json::to_string(&state).unwrap();
    assert!(text.contains("recurrent"), "{text}");
}

#[test]
fn many_steps_are_cut_in_order() {
    let device = Device::flex().autodiff();
    // A sum of nine steps, by an integrator that never fires.
    let neurons = one_to_one(IfConfig::new().with_threshold(1e6), 0.0, &device);
    let x: Vec<f64> = (0..9).map(f64::from).collect();
    let (recording, _) =
        neurons.forward_recorded(tensor::<2>(&x, [9, 1], &device).require_grad(), None);
    assert_eq!(
        values(&recording.u),
        [0.0, 1.0, 3.0, 6.0, 10.0, 15.0, 21.0, 28.0, 36.0]
    );
}

#[test]
fn what_cannot_be_recurrent_is_an_error() {
    let device = Device::flex();
    let config = |feedback| RecurrentConfig::new(LifConfig::new().into(), feedback);
    let error = |config: RecurrentConfig| config.init(&device).unwrap_err().to_string();
    let none = FeedbackConfig::AllToAll {
        neurons: 0,
        bias: false,
    };
    assert!(error(config(none)).contains("`neurons` of Recurrent"));
    let even = FeedbackConfig::Conv2d {
        channels: 2,
        kernel: [3, 4],
        bias: false,
    };
    assert!(error(config(even)).contains("3x4, expected odd sizes"));
    let weight = f64::NAN.into();
    assert!(error(config(FeedbackConfig::OneToOne { weight })).contains("`weight` of Recurrent"));
    let whole = RecurrentConfig::all_to_all(PsnConfig::new(), 4);
    assert!(error(whole).contains("expected one that runs step by step"));
}

#[test]
#[should_panic(expected = "Recurrent: the input [0, 2, 3] has no time steps")]
fn recurrence_needs_time_steps() {
    let device = Device::flex();
    let neurons = one_to_one(LifConfig::new(), 1.0, &device);
    neurons.forward(Tensor::<3>::zeros([0, 2, 3], &device), None);
}

#[test]
#[should_panic(expected = "Recurrent: the feedback made [1, 2, 4] of a step [1, 2, 3]")]
fn what_comes_back_must_have_the_shape_of_a_step() {
    let device = Device::flex();
    let back = LinearConfig::new(3, 4).init(&device);
    let neurons = Recurrent::new(LifConfig::new().init(&device).unwrap(), back).unwrap();
    neurons.forward(Tensor::<3>::zeros([2, 2, 3], &device), None);
}

#[test]
#[should_panic(expected = "Recurrent: the state [1, 2, 3] does not belong to the input [2, 5, 3]")]
fn a_foreign_recurrent_state_is_named() {
    let device = Device::flex();
    let neurons = one_to_one(LifConfig::new(), 1.0, &device);
    let state = neurons.initial([2, 2, 3], &device);
    neurons.forward(Tensor::<3>::zeros([2, 5, 3], &device), Some(state));
}
