//! One model on every backend.

use burn::tensor::{Device, Int, Tensor};
use synfire::decode;
use synfire::encode::{BernoulliEncoderConfig, Draw};
use synfire::loss::{StbpLoss, one_hot};
use synfire::neuron::{LifConfig, Neuron, Reset, ResetGradient, TemporalGradient};
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

#[test]
fn spikes_and_their_derivatives_agree() {
    let curves = [
        Surrogate::rectangular(1.0),
        Surrogate::polynomial(2.0),
        Surrogate::sigmoid(0.5),
        Surrogate::gaussian(0.3),
    ];
    for surrogate in curves.map(Result::unwrap) {
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
    let curves = [
        Surrogate::rectangular(1.0),
        Surrogate::polynomial(2.0),
        Surrogate::sigmoid(0.5),
        Surrogate::gaussian(0.3),
    ];
    let x = numbers(0, 600);
    for surrogate in curves.map(Result::unwrap) {
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
    for reset in [Reset::Hard, Reset::Exponential] {
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
            let lif = config.init().unwrap();
            let x: Vec<f64> = numbers(1, 240)
                .iter()
                .map(|x| (x * 8.0).round() / 8.0)
                .collect();
            compare_with_checkpointing(
                |device| {
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
                    if reset == Reset::Hard {
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
        .with_gain(2.0);
    config.init(device).unwrap()
}

#[test]
fn a_network_learns_the_same() {
    let encoder = BernoulliEncoderConfig::new(8).init().unwrap();
    let intensities: Vec<f64> = numbers(5, 32 * 100).iter().map(|x| x.abs() / 4.0).collect();
    let labels: Vec<i32> = (0..32).map(|i| i % 10).collect();
    compare(
        |device| {
            let device = device.clone().autodiff();
            let model = network(&device);
            let images = tensor::<2>(&intensities, [32, 100], &device);
            let input: Tensor<3> = encoder.encode(images, &Draw::new(0, (0..32).collect()));
            let spikes = model.forward_layers(input);
            let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
            let rates = decode::rate(spikes[1].clone());
            let loss = StbpLoss::new().forward_rates(rates, one_hot(labels, 10));
            let gradients = loss.backward();
            let mut weights = Vec::new();
            for linear in model.linears() {
                weights.push(values(&linear.weight.grad(&gradients).unwrap()));
            }
            (
                spikes.iter().map(values).collect::<Vec<_>>(),
                values(&loss),
                weights,
            )
        },
        |name, got, reference| {
            for (layer, (got, reference)) in got.0.iter().zip(&reference.0).enumerate() {
                let flips = got.iter().zip(reference).filter(|(a, b)| a != b).count();
                say(&format!(
                    "{name}, layer {layer}: {flips} of {} spikes differ",
                    got.len()
                ));
                assert!(
                    flips * 1000 <= got.len(),
                    "{name}, layer {layer}: {flips} flips"
                );
            }
            // A flipped spike changes the gradients: compare them where none did.
            if got.0 == reference.0 {
                assert_close(&got.1, &reference.1, name);
                for (got, reference) in got.2.iter().zip(&reference.2) {
                    assert_close(got, reference, name);
                }
            }
        },
    );
}
