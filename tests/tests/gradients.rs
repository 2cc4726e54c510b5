//! Autodiff over the unrolled graph is spatio-temporal backpropagation: it equals the recursions written as plain loops.

use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use synfire::decode;
use synfire::layer::each_step;
use synfire::loss::StbpLoss;
use synfire::neuron::{
    Decay, IfConfig, LifConfig, Neuron, NeuronState, Reset, ResetGradient, TemporalGradient,
};
use synfire::random::Philox;
use synfire::surrogate::Surrogate;
use synfire_tests::reference::{self, Layer, Sequence, flat};
use synfire_tests::{assert_close, linear, tensor, values};

const GRADIENTS: [TemporalGradient; 5] = [
    TemporalGradient::Full(ResetGradient::Exact),
    TemporalGradient::Full(ResetGradient::Linear),
    TemporalGradient::Full(ResetGradient::Exponential),
    TemporalGradient::Full(ResetGradient::Detached),
    TemporalGradient::Off,
];

fn curves() -> [Surrogate; 7] {
    [
        Surrogate::rectangular(1.0),
        Surrogate::polynomial(1.0),
        Surrogate::sigmoid(0.5),
        Surrogate::gaussian(0.4),
        Surrogate::atan(2.0),
        Surrogate::super_spike(2.0),
        Surrogate::piecewise_leaky_relu(0.7, 0.05),
    ]
    .map(Result::unwrap)
}

/// Uniform numbers that `f32` holds exactly.
fn uniform(sequence: u64, len: usize, low: f32, high: f32) -> Vec<f64> {
    let numbers = Philox::new(7).uniform(sequence, len, low, high);
    numbers.into_iter().map(f64::from).collect()
}

fn nested(values: &[f64], shape: [usize; 3]) -> Sequence {
    let [_, samples, size] = shape;
    values
        .chunks(samples * size)
        .map(|step| step.chunks(size).map(<[f64]>::to_vec).collect())
        .collect()
}

const SIZES: [usize; 4] = [9, 8, 7, 4];
const STEPS: usize = 8;
const SAMPLES: usize = 3;

struct Problem {
    layers: Vec<Layer>,
    input: Sequence,
    targets: Vec<Vec<f64>>,
}

/// A network whose neurons are all alive, with random input.
fn problem() -> Problem {
    let layers = SIZES
        .windows(2)
        .enumerate()
        .map(|(n, size)| {
            let weights = uniform(2 * n as u64, size[0] * size[1], -0.5, 1.0);
            Layer {
                weights: weights.chunks(size[1]).map(<[f64]>::to_vec).collect(),
                biases: uniform(2 * n as u64 + 1, size[1], -0.2, 0.2),
            }
        })
        .collect();
    let input = uniform(100, STEPS * SAMPLES * SIZES[0], 0.0, 1.0);
    let input: Vec<f64> = input.iter().map(|p| f64::from(*p < 0.4)).collect();
    let targets = uniform(101, SAMPLES * SIZES[3], 0.0, 1.0);
    Problem {
        layers,
        input: nested(&input, [STEPS, SAMPLES, SIZES[0]]),
        targets: targets.chunks(SIZES[3]).map(<[f64]>::to_vec).collect(),
    }
}

/// Compares Burn with the plain loops. Returns Burn's gradient of the first layer's weights.
fn check(config: &LifConfig, problem: &Problem, device: &Device) -> Vec<f64> {
    let expected = reference::run(config, &problem.layers, &problem.input, &problem.targets);
    let lif = config.init(device).unwrap();
    let input =
        tensor::<3>(&flat(&problem.input), [STEPS, SAMPLES, SIZES[0]], device).require_grad();
    let linears: Vec<Linear> = problem
        .layers
        .iter()
        .map(|layer| {
            let shape = [layer.weights.len(), layer.biases.len()];
            linear(&layer.weights.concat(), shape, &layer.biases, device)
        })
        .collect();
    let mut x = input.clone();
    for (n, layer) in linears.iter().enumerate() {
        let current: Tensor<3> = each_step(x, |x: Tensor<2>| layer.forward(x));
        let (recording, _) = lif.forward_recorded(current, None);
        assert_eq!(
            values(&recording.spikes),
            flat(&expected.spikes[n]),
            "{config}"
        );
        let rate =
            flat(&expected.spikes[n]).iter().sum::<f64>() / flat(&expected.spikes[n]).len() as f64;
        assert!(
            (0.02..0.9).contains(&rate),
            "layer {n} is not alive: {rate}"
        );
        assert_close(&values(&recording.u), &flat(&expected.u[n]), "potentials");
        x = recording.spikes;
    }
    let targets = tensor::<2>(&problem.targets.concat(), [SAMPLES, SIZES[3]], device);
    let loss = StbpLoss::new().forward_rates(decode::rate(x), targets);
    assert_close(&values(&loss), &[expected.loss], "loss");
    let gradients = loss.backward();
    for (n, layer) in linears.iter().enumerate() {
        let what = format!("{config}, layer {n}");
        let weight = values(&layer.weight.grad(&gradients).unwrap());
        assert_close(&weight, &expected.gradients[n].weights.concat(), &what);
        let bias = values(&layer.bias.as_ref().unwrap().grad(&gradients).unwrap());
        assert_close(&bias, &expected.gradients[n].biases, &what);
    }
    let dx = values(&input.grad(&gradients).unwrap());
    let expected_dx = flat(&expected.input_gradient);
    assert_close(&dx, &expected_dx, &format!("{config}, input"));
    values(&linears[0].weight.grad(&gradients).unwrap())
}

fn configurations() -> Vec<LifConfig> {
    let mut all = Vec::new();
    for reset in [Reset::HARD, Reset::Exponential] {
        for gradient in GRADIENTS {
            for surrogate in curves() {
                for decay in [0.2, 0.5, 1.0] {
                    all.push(
                        LifConfig::new()
                            .with_threshold(0.8)
                            .with_decay(decay)
                            .with_reset(reset)
                            .with_temporal_gradient(gradient)
                            .with_surrogate(surrogate),
                    );
                }
            }
        }
    }
    all
}

/// Resets that have no gate, resting potentials and scaled input.
fn other_configurations() -> Vec<LifConfig> {
    let mut all = Vec::new();
    for gradient in [GRADIENTS[0], GRADIENTS[3], GRADIENTS[4]] {
        for reset in [Reset::Soft, Reset::HARD, Reset::Hard { to: -0.25 }] {
            for rest in [0.0, -0.25, 0.125] {
                for decay_input in [false, true] {
                    // Scaled input needs a lower threshold for the neurons to be alive.
                    let config = LifConfig::new()
                        .with_threshold(if decay_input { 0.3 } else { 0.8 })
                        .with_decay(0.5)
                        .with_rest(rest)
                        .with_decay_input(decay_input)
                        .with_reset(reset)
                        .with_temporal_gradient(gradient);
                    all.push(config.with_surrogate(curves()[3]));
                }
            }
        }
    }
    all
}

#[test]
fn autodiff_equals_the_recursions() {
    let problem = problem();
    let device = Device::flex().autodiff();
    for config in configurations().into_iter().chain(other_configurations()) {
        check(&config, &problem, &device);
    }
    // No decay is a neuron without memory; only the linear gate allows it.
    check(&LifConfig::new().with_decay(0.0), &problem, &device);
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    let problem = problem();
    let device = Device::flex().autodiff().gradient_checkpointing();
    for config in configurations() {
        check(&config, &problem, &device);
    }
}

#[test]
fn the_ways_through_time_differ() {
    let problem = problem();
    let device = Device::flex().autodiff();
    let run = |gradient| {
        let config = LifConfig::new().with_threshold(0.8).with_decay(0.5);
        check(&config.with_temporal_gradient(gradient), &problem, &device)
    };
    let exact = run(GRADIENTS[0]);
    assert!(
        exact == run(GRADIENTS[1]),
        "the exact gradient of a hard reset is the linear one"
    );
    for other in &GRADIENTS[2..] {
        assert!(exact != run(*other), "{other:?}");
    }
}

#[test]
fn two_halves_with_the_state_carried_equal_the_whole() {
    let device = Device::flex().autodiff();
    let shape = [8, 2, 5];
    for config in configurations().into_iter().chain(other_configurations()) {
        let lif = config.init(&device).unwrap();
        let weight = tensor::<3>(&uniform(301, 80, -1.0, 1.0), shape, &device);
        let input = || tensor::<3>(&uniform(300, 80, -0.5, 1.5), shape, &device).require_grad();
        let gradient = |x: &Tensor<3>, spikes: Tensor<3>| {
            let gradients = (spikes * weight.clone()).sum().backward();
            values(&x.grad(&gradients).unwrap())
        };

        let x = input();
        let (whole, last) = lif.forward(x.clone(), None);
        let of_whole = gradient(&x, whole.clone());

        let x = input();
        let (first, state) = lif.forward(x.clone().slice(0..3), None);
        let (second, end) = lif.forward(x.clone().slice(3..8), Some(state));
        let halves = Tensor::cat(vec![first, second], 0);
        assert_eq!(values(&halves), values(&whole), "{config}");
        assert_eq!(values(&end.v::<3>()), values(&last.v::<3>()), "{config}");
        assert_close(&gradient(&x, halves), &of_whole, &format!("{config}"));

        // Detached, nothing of the second half reaches the first.
        let x = input();
        let (_, state) = lif.forward(x.clone().slice(0..3), None);
        let (second, _) = lif.forward(x.clone().slice(3..8), Some(state.detach()));
        let gradients = second.sum().backward();
        let dx = values(&x.grad(&gradients).unwrap());
        assert!(dx[..30].iter().all(|g| *g == 0.0), "{config}");
    }
}

#[test]
fn without_the_temporal_path_a_state_from_outside_is_a_constant() {
    let device = Device::flex().autodiff();
    let reaches = |gradient| {
        let lif = LifConfig::new()
            .with_temporal_gradient(gradient)
            .init(&device)
            .unwrap();
        let v = tensor::<3>(&uniform(500, 10, 0.0, 1.0), [1, 2, 5], &device).require_grad();
        let x = tensor::<3>(&uniform(501, 10, 0.0, 1.0), [1, 2, 5], &device).require_grad();
        let (spikes, _) = lif.forward(x, Some(NeuronState::new([("v", v.clone())], 1)));
        let gradients = spikes.sum().backward();
        v.grad(&gradients)
            .is_some_and(|gradient| values(&gradient).iter().any(|g| *g != 0.0))
    };
    assert!(reaches(TemporalGradient::default()));
    assert!(!reaches(TemporalGradient::Off));
}

#[test]
fn every_rank_is_the_same_neurons() {
    let device = Device::flex();
    let lif = LifConfig::new().init(&device).unwrap();
    let x = tensor::<2>(&uniform(400, 96, -0.5, 1.5), [4, 24], &device);
    let flat = values(&lif.forward(x.clone(), None).0);
    let three = lif.forward(x.clone().reshape([4, 2, 12]), None).0;
    let four = lif.forward(x.clone().reshape([4, 2, 3, 4]), None).0;
    let five = lif.forward(x.clone().reshape([4, 1, 2, 3, 4]), None).0;
    assert_eq!(values(&three), flat);
    assert_eq!(values(&four), flat);
    assert_eq!(values(&five), flat);
    let one_step = lif.forward(x.slice(0..1), None).0;
    assert_eq!(values(&one_step), flat[..24]);
}

#[test]
#[should_panic(expected = "the input [0, 2, 3] has no time steps")]
fn no_time_steps_are_named() {
    let device = Device::flex();
    let lif = LifConfig::new().init(&device).unwrap();
    lif.forward(Tensor::<3>::zeros([0, 2, 3], &device), None);
}

#[test]
#[should_panic(
    expected = "the state [1, 2, 3] does not belong to the input [4, 5, 3], expected [1, 5, 3]"
)]
fn a_foreign_state_is_named() {
    let device = Device::flex();
    let lif = LifConfig::new().init(&device).unwrap();
    let (_, state) = lif.forward(Tensor::<3>::zeros([4, 2, 3], &device), None);
    lif.forward(Tensor::<3>::zeros([4, 5, 3], &device), Some(state));
}

#[test]
fn invalid_neurons_are_named() {
    let error = |config: LifConfig| config.init(&Device::flex()).unwrap_err().to_string();
    let exponential = TemporalGradient::Full(ResetGradient::Exponential);
    for decay in [-0.1, 1.1, f64::NAN] {
        assert!(error(LifConfig::new().with_decay(decay)).contains("`decay` of Lif"));
    }
    let gate = LifConfig::new().with_decay(0.0);
    assert!(
        error(gate.clone().with_reset(Reset::Exponential))
            .contains("at least 1e-37 for an exponential gate")
    );
    assert!(
        error(gate.with_temporal_gradient(exponential))
            .contains("at least 1e-37 for an exponential gate")
    );
    assert!(error(LifConfig::new().with_decay(vec![])).contains("`decay` of Lif: []"));
    assert!(error(LifConfig::new().with_decay(vec![0.5, 2.0])).contains("`decay` of Lif: 2"));
    assert!(error(LifConfig::new().with_threshold(vec![])).contains("`threshold` of Lif: []"));
    for decay in [0.0, 1.0, f64::NAN] {
        let config = LifConfig::new().with_decay(Decay::sigmoid(decay));
        assert!(error(config).contains("above 0 and below 1 for a sigmoid"));
    }
    let learned = LifConfig::new().with_decay(Decay::learned(1e-4));
    assert!(
        error(learned.with_reset(Reset::Exponential))
            .contains("at least 0.001 for an exponential gate that is learned")
    );
    let delayed = Reset::DelayedHard { to: f64::NAN };
    assert!(error(LifConfig::new().with_reset(delayed)).contains("`reset.to` of Lif: NaN"));
    for tau in [1.0, 0.5, f64::NAN, f64::INFINITY] {
        let error = LifConfig::plif(tau).unwrap_err().to_string();
        assert!(error.contains("`tau` of Lif"), "{error}");
    }
    let neuron = IfConfig::new().with_threshold(f64::NAN);
    let text = neuron.init(&Device::flex()).unwrap_err().to_string();
    assert!(text.contains("`threshold` of If: NaN"), "{text}");
    let neuron = IfConfig::new()
        .with_reset(Reset::Hard { to: 0.5 })
        .with_temporal_gradient(GRADIENTS[1]);
    let text = neuron.init(&Device::flex()).unwrap_err().to_string();
    assert!(text.contains("`reset.to` of If: 0.5"), "{text}");
    assert!(error(LifConfig::new().with_threshold(f64::NAN)).contains("`threshold` of Lif: NaN"));
    assert!(error(LifConfig::new().with_rest(f64::INFINITY)).contains("`rest` of Lif: inf"));
    let to = LifConfig::new().with_reset(Reset::Hard { to: f64::NAN });
    assert!(error(to).contains("`reset.to` of Lif: NaN"));
    // Combinations that mean nothing.
    let linear = LifConfig::new().with_temporal_gradient(GRADIENTS[1]);
    let to = linear.clone().with_reset(Reset::Hard { to: 0.5 });
    assert!(error(to).contains("`reset.to` of Lif: 0.5, expected 0"));
    assert!(error(linear.clone().with_rest(0.5)).contains("`rest` of Lif: 0.5, expected 0"));
    let soft = linear.with_reset(Reset::Soft);
    assert!(error(soft).contains("`temporal_gradient` of Lif: Full(Linear)"));
    let exponential = LifConfig::new()
        .with_reset(Reset::Exponential)
        .with_rest(-1.0);
    assert!(error(exponential).contains("`rest` of Lif: -1, expected 0"));
}
