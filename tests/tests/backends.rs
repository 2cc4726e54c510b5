//! One model on every backend.

use burn::tensor::{Device, Int, Tensor};
use synfire::decode;
use synfire::encode::{BernoulliEncoderConfig, Draw, Encoder};
use synfire::init::Initializer;
use synfire::layer::{DropoutConfig, Pool2dConfig, Pooling, SpikeLinear, TdBatchNormConfig};
use synfire::loss::{StbpLoss, one_hot};
use synfire::neuron::{
    Decay, LeakyIntegratorConfig, LifConfig, Neuron, Recurrent, Reset, ResetGradient,
    TemporalGradient, Threshold,
};
use synfire::random::Philox;
use synfire::spike::{Forward, spike, spike_with, surrogate_derivative};
use synfire::surrogate::Surrogate;
use synfire_models::{StbpMlp, StbpMlpConfig};
use synfire_tests::{assert_close, devices, say, tensor, values};

/// The first device, on which the others' results are judged, and the others.
fn compare<R>(run: impl Fn(&Device) -> R, judge: impl Fn(&str, &R, &R)) {
    let mut devices = devices::all().into_iter();
    let (_, first) = devices.next().unwrap();
    let reference = run(&first);
    for (name, device) in devices {
        judge(name, &run(&device), &reference);
    }
}

/// The same with autodiff, with and without gradient checkpointing.
fn compare_with_checkpointing<R>(run: impl Fn(&Device) -> R, judge: impl Fn(&str, &R, &R)) {
    compare(|device| run(&device.clone().autodiff()), &judge);
    compare(
        |device| run(&device.clone().autodiff().gradient_checkpointing()),
        &judge,
    );
}

fn numbers(sequence: u64, len: usize) -> Vec<f64> {
    let numbers = Philox::new(1).uniform(sequence, len, -2.0, 2.0);
    numbers.into_iter().map(f64::from).collect()
}

fn curves() -> [Surrogate; 7] {
    [
        Surrogate::rectangular(1.0),
        Surrogate::polynomial(2.0),
        Surrogate::sigmoid(0.5),
        Surrogate::gaussian(0.3),
        Surrogate::atan(2.0),
        Surrogate::super_spike(3.0),
        Surrogate::piecewise_leaky_relu(0.7, 0.05),
    ]
    .map(Result::unwrap)
}

#[test]
fn spikes_and_their_derivatives_agree() {
    for surrogate in curves() {
        compare(
            |device| {
                let device = device.clone().autodiff();
                let x = tensor::<2>(&numbers(0, 600), [20, 30], &device).require_grad();
                let spikes = spike(x.clone(), surrogate);
                let gradients = spikes.clone().sum().backward();
                [
                    values(&spikes),
                    values(&x.grad(&gradients).unwrap()),
                    values(&surrogate_derivative(x, surrogate)),
                ]
            },
            |name, got, reference| {
                assert_eq!(got[0], reference[0], "{name}");
                assert_close(&got[1], &reference[1], name);
                assert_close(&got[2], &reference[2], name);
            },
        );
    }
}

#[test]
fn smooth_spikes_are_the_primitives_everywhere() {
    let x = numbers(0, 600);
    for surrogate in curves() {
        let plain: Vec<f64> = x.iter().map(|x| surrogate.primitive(*x)).collect();
        for (name, device) in devices::all() {
            let x = tensor::<1>(&x, [600], &device);
            let smooth = values(&spike_with(x, surrogate, Forward::Smooth));
            assert_close(&smooth, &plain, &format!("{name}, {surrogate:?}"));
        }
    }
}

#[test]
fn neurons_agree() {
    for reset in [
        Reset::HARD,
        Reset::Soft,
        Reset::Exponential,
        Reset::DelayedHard { to: 0.125 },
        Reset::DelayedSoft,
    ] {
        for gradient in [
            TemporalGradient::Full(ResetGradient::Exact),
            TemporalGradient::Full(ResetGradient::Linear),
            TemporalGradient::Full(ResetGradient::Exponential),
            TemporalGradient::Full(ResetGradient::Detached),
            TemporalGradient::Off,
        ] {
            // Ties are exact: multiples of 1/8 with a decay of 1/2, and a threshold among them.
            let config = LifConfig::new()
                .with_decay(0.5)
                .with_reset(reset)
                .with_temporal_gradient(gradient);
            if config.validate().is_err() {
                assert!(
                    !matches!(reset, Reset::Hard { .. } | Reset::Exponential),
                    "{config}"
                );
                continue;
            }
            let x: Vec<f64> = numbers(1, 240)
                .iter()
                .map(|x| (x * 8.0).round() / 8.0)
                .collect();
            compare_with_checkpointing(
                |device| {
                    let lif = config.init(device).unwrap();
                    let x = tensor::<3>(&x, [6, 4, 10], device).require_grad();
                    let (recording, _) = lif.forward_recorded(x.clone(), None);
                    let weight = tensor::<3>(&numbers(2, 240), [6, 4, 10], device);
                    let gradients = (recording.spikes.clone() * weight).sum().backward();
                    [
                        values(&recording.spikes),
                        values(&recording.v),
                        values(&x.grad(&gradients).unwrap()),
                    ]
                },
                |name, got, reference| {
                    if reset != Reset::Exponential {
                        assert_eq!(got[0], reference[0], "{name}, {config}");
                    }
                    assert_close(&got[1], &reference[1], name);
                    assert_close(&got[2], &reference[2], name);
                },
            );
        }
    }
}

#[test]
fn neurons_that_learn_agree() {
    let config = LifConfig::new()
        .with_decay(Decay::sigmoid(vec![0.25, 0.5, 0.75]))
        .with_threshold(Threshold::learned(0.5))
        .with_decay_input(true)
        .with_rest(-0.125)
        .with_surrogate(Surrogate::atan(2.0).unwrap())
        .with_forward(Forward::StrictStep);
    let readout = LeakyIntegratorConfig::new().with_decay(Decay::learned(0.75));
    compare_with_checkpointing(
        |device| {
            let lif = config.init(device).unwrap();
            let readout = readout.init(device).unwrap();
            let neurons = Recurrent::new(lif);
            let x = tensor::<4>(&numbers(6, 6 * 4 * 3 * 5), [6, 4, 3, 5], device);
            let (spikes, _) = neurons.forward(x, None, |spikes| spikes.mul_scalar(-0.25));
            let (u, _) = readout.forward(spikes.clone(), None);
            let gradients = (u.clone() * u.clone()).mean().backward();
            let lif = neurons.neuron();
            let learned = [lif.decay(), lif.threshold(), readout.decay()];
            let gradient = learned.map(|coefficient| {
                let parameter = coefficient.parameter().unwrap();
                values(&parameter.grad(&gradients).unwrap())
            });
            (values(&spikes), values(&u), gradient)
        },
        |name, got, reference| {
            assert_eq!(got.0, reference.0, "{name}");
            assert_close(&got.1, &reference.1, name);
            for (got, reference) in got.2.iter().zip(&reference.2) {
                assert_close(got, reference, name);
            }
        },
    );
}

#[test]
fn layers_agree() {
    let draw = Draw::new(3, vec![5, 9]);
    compare(
        |device| {
            let device = device.clone().autodiff();
            let x = tensor::<5>(&numbers(7, 4 * 2 * 3 * 36), [4, 2, 3, 6, 6], &device);
            let x = x.require_grad();
            let norm = TdBatchNormConfig::new(3, 0.5).init(&device).unwrap();
            let dropout = DropoutConfig::new(0.25).init().unwrap();
            let masked = dropout.forward(x.ones_like(), &draw);
            let normal = norm.forward(x.clone() * masked.clone());
            let [average, max] = [Pooling::Average, Pooling::Max].map(|pooling| {
                let pool = Pool2dConfig::new([2, 2]).with_pooling(pooling);
                pool.init().unwrap().forward(normal.clone())
            });
            let weight = tensor::<5>(&numbers(8, 4 * 2 * 3 * 9), [4, 2, 3, 3, 3], &device);
            let gradients = ((average.clone() + max.clone()) * weight).sum().backward();
            let dx = values(&x.grad(&gradients).unwrap());
            (values(&masked), [values(&average), values(&max), dx])
        },
        |name, got, reference| {
            assert!(got.0 == reference.0, "{name}: masks differ");
            for (got, reference) in got.1.iter().zip(&reference.1) {
                assert_close(got, reference, name);
            }
        },
    );
}

#[test]
fn input_and_initial_weights_are_the_same_bit_for_bit() {
    let encoder = BernoulliEncoderConfig::new(6).with_seed(3).init().unwrap();
    compare(
        |device| {
            let images = tensor::<2>(&numbers(3, 100), [2, 50], device);
            let spikes: Tensor<3> = encoder.encode(images, &Draw::new(4, vec![9, 2]));
            let model = network(device);
            let weights = model.linears().iter().map(|l| values(&l.weight.val()));
            (values(&spikes), weights.collect::<Vec<_>>())
        },
        |name, got, reference| assert!(got == reference, "{name}"),
    );
}

fn network(device: &Device) -> StbpMlp {
    let config = StbpMlpConfig::new()
        .with_sizes(vec![100, 40, 10])
        .with_initializer(Initializer::Uniform { gain: 2.0 });
    config.init(device).unwrap()
}

/// What a backend makes of a training step.
struct Step {
    spikes: Vec<Vec<f64>>,
    /// Membrane potentials before reset.
    u: Vec<Vec<f64>>,
    loss: Vec<f64>,
    weight_gradients: Vec<Vec<f64>>,
}

fn step(device: &Device) -> Step {
    let intensities: Vec<f64> = numbers(5, 32 * 100).iter().map(|x| x.abs() / 4.0).collect();
    let labels: Vec<i32> = (0..32).map(|i| i % 10).collect();
    let model = network(device);
    let neuron = LifConfig::new().init(device).unwrap();

    let images = tensor::<2>(&intensities, [32, 100], device);
    let encoder = BernoulliEncoderConfig::new(8).init().unwrap();
    let mut x: Tensor<3> = encoder.encode(images, &Draw::new(0, (0..32).collect()));
    let (mut spikes, mut u) = (Vec::new(), Vec::new());
    for linear in model.linears() {
        let current = linear.forward(x);
        let (recording, _) = neuron.forward_recorded(current, None);
        spikes.push(values(&recording.spikes));
        u.push(values(&recording.u));
        x = recording.spikes;
    }
    let targets = one_hot(Tensor::<1, Int>::from_ints(labels.as_slice(), device), 10);
    let loss = StbpLoss::new().forward_rates(decode::rate(x), targets);
    let gradients = loss.backward();
    let gradient = |linear: &SpikeLinear| values(&linear.weight.grad(&gradients).unwrap());
    Step {
        spikes,
        u,
        loss: values(&loss),
        weight_gradients: model.linears().iter().map(gradient).collect(),
    }
}

#[test]
fn a_network_learns_the_same() {
    let threshold = LifConfig::new().threshold.values().as_slice()[0];
    compare(
        |device| step(&device.clone().autodiff()),
        |name, got, reference| {
            for layer in 0..reference.spikes.len() {
                let spikes = &reference.spikes[layer];
                let rate = spikes.iter().sum::<f64>() / spikes.len() as f64;
                assert!(
                    (0.02..0.6).contains(&rate),
                    "layer {layer} is not alive: {rate}"
                );

                let differ = |i: &usize| got.spikes[layer][*i] != spikes[*i];
                let flips: Vec<usize> = (0..spikes.len()).filter(differ).collect();
                say(&format!(
                    "{name}, layer {layer}: {} of {} spikes differ",
                    flips.len(),
                    spikes.len()
                ));
                assert!(flips.len() * 1000 <= spikes.len(), "{name}, layer {layer}");
                let u = &reference.u[layer];
                let scale = u.iter().fold(0.0f64, |max, u| max.max(u.abs()));
                for i in &flips {
                    let distance = (u[*i] - threshold).abs();
                    assert!(
                        distance <= 1e-5 * scale,
                        "{name}, layer {layer}: {distance}"
                    );
                }
                if !flips.is_empty() {
                    // From here on the two are different networks.
                    say(&format!(
                        "{name}: what comes after layer {layer} was not compared"
                    ));
                    return;
                }
                assert_close(&got.u[layer], u, name);
            }
            assert_close(&got.loss, &reference.loss, name);
            for (got, reference) in got.weight_gradients.iter().zip(&reference.weight_gradients) {
                assert_close(got, reference, name);
            }
        },
    );
}
