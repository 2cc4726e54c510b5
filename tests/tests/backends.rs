//! One model on every backend.

use burn::data::dataloader::DataLoader;
use burn::tensor::{Device, FloatDType, Int, Tensor};
use synfire::decode;
use synfire::encode::{BernoulliEncoderConfig, Encoder, SampleKeys};
use synfire::init::Initializer;
use synfire::layer::{DropoutConfig, Pool2dConfig, Pooling, SpikeLinear, TdBatchNormConfig};
use synfire::loss::{StbpLoss, one_hot};
use synfire::neuron::{
    Decay, LeakyIntegratorConfig, LifConfig, Neuron, NeuronState, OneToOne, Recurrent, Reset,
    ResetGradient, TemporalGradient, Threshold,
};
use synfire::ops::Execution;
use synfire::random::Philox;
use synfire::spike::{Forward, spike, spike_with, surrogate_derivative};
use synfire::surrogate::Surrogate;
use synfire_data::DataSource;
use synfire_data::DatasetName;
use synfire_models::{StbpMlp, StbpMlpConfig};
use synfire_tests::runs::on_digits;
use synfire_tests::{assert_close, devices, say, tensor, values};
use synfire_train::data::EpochLoader;
use synfire_train::{Output, RunConfig};
use tempfile::tempdir;

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

/// Neurons with a reset and every gradient that goes with it. Their ties are exact: multiples of 1/8 with a decay of 1/2, and
/// a threshold among them.
fn every_gradient(reset: Reset) -> Vec<LifConfig> {
    let gradients = [
        TemporalGradient::Full(ResetGradient::Exact),
        TemporalGradient::Full(ResetGradient::Linear),
        TemporalGradient::Full(ResetGradient::Exponential),
        TemporalGradient::Full(ResetGradient::Detached),
        TemporalGradient::Off,
    ];
    let config = |gradient| {
        LifConfig::new()
            .with_decay(0.5)
            .with_reset(reset)
            .with_temporal_gradient(gradient)
    };
    let (valid, invalid): (Vec<_>, Vec<_>) = gradients
        .map(config)
        .into_iter()
        .partition(|config| config.validate().is_ok());
    let all_go = matches!(reset, Reset::Hard { to: 0.0 } | Reset::Exponential);
    assert!(invalid.is_empty() || !all_go, "{invalid:?}");
    valid
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
        for config in every_gradient(reset) {
            let x = eighths(1, 240);
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

/// How the numbers of a sequence lie in memory.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Contiguous,
    ChannelsLast,
    /// A part of longer rows.
    Gaps,
    /// The same numbers in every step.
    Repeated,
}

/// Multiples of 1/8: with decays of such numbers ties are exact, in any order of operations.
fn eighths(sequence: u64, len: usize) -> Vec<f64> {
    let all = numbers(sequence, len).into_iter();
    all.map(|x| (x * 8.0).round() / 8.0).collect()
}

/// What a neuron makes of a sequence: spikes, what is left, and the gradients by the input, by the first state, if there is
/// one, and by what is learned.
fn fused(
    config: &LifConfig,
    shape: [usize; 5],
    layout: Layout,
    with_state: bool,
    device: &Device,
) -> Vec<Vec<f64>> {
    let lif = config.init(device).unwrap();
    let [steps, batch, channels, height, width] = shape;
    let leaf = |shape: [usize; 5]| {
        let x = eighths(20, shape.iter().product());
        tensor::<5>(&x, shape, device).require_grad()
    };
    let (given, x) = match layout {
        Layout::Contiguous => {
            let x = leaf(shape);
            (x.clone(), x)
        }
        Layout::ChannelsLast => {
            let x = leaf([steps, batch, height, width, channels]);
            (x.clone(), x.permute([0, 1, 4, 2, 3]))
        }
        Layout::Gaps => {
            let x = leaf([steps, batch, channels, height, 2 * width]);
            let part = x.clone().narrow(4, width, width);
            (x, part)
        }
        Layout::Repeated => {
            let x = leaf([1, batch, channels, height, width]);
            (x.clone(), x.expand(shape))
        }
    };
    let len: usize = shape.iter().product();
    let first = [1, batch, channels, height, width];
    let v = tensor::<5>(&eighths(21, len / steps), first, device).require_grad();
    let state = with_state.then(|| NeuronState::new([("v", v.clone())], 1));
    let (spikes, left) = lif.forward(x, state);
    let weights = tensor::<5>(&numbers(22, len), shape, device);
    let weights_left = tensor::<5>(&numbers(23, len / steps), first, device);
    let loss = (spikes.clone() * weights).sum() + (left.v::<5>() * weights_left).sum();
    let gradients = loss.backward();
    let mut made = vec![values(&spikes), values(&left.v::<5>())];
    let of_input = given.grad(&gradients);
    assert!(of_input.is_some() || len == 0);
    made.push(of_input.map_or_else(Vec::new, |gradient| values(&gradient)));
    // Without one the state is a constant.
    let of_state = v.grad(&gradients);
    made.push(of_state.map_or_else(Vec::new, |gradient| values(&gradient)));
    for learned in [
        lif.parameter("decay").unwrap(),
        lif.parameter("threshold").unwrap(),
    ] {
        if let Some(parameter) = learned.parameter() {
            made.push(values(&parameter.grad(&gradients).unwrap()));
        }
    }
    made
}

/// Compares neurons as they choose to compute with Burn's graph on flex, with and without a state.
fn fused_agrees(config: &LifConfig, shape: [usize; 5], layout: Layout) {
    let unrolled = config.clone().with_execution(Execution::Unrolled);
    for with_state in [false, true] {
        if shape.contains(&0) && !with_state {
            // Burn's graph has no gradients of nothing.
            continue;
        }
        let run = |config, device: Device| fused(config, shape, layout, with_state, &device);
        let reference = run(&unrolled, Device::flex().autodiff());
        for (name, device) in devices::all() {
            let made = run(config, device.autodiff());
            let what = format!("{name}, {shape:?}, {layout:?}, state {with_state}, {config}");
            if config.reset != Reset::Exponential {
                assert_eq!(made[0], reference[0], "{what}");
            }
            for (made, reference) in made.iter().zip(&reference) {
                if !reference.is_empty() {
                    assert_close(made, reference, &what);
                }
            }
        }
    }
}

#[test]
fn fused_neurons_agree() {
    let shape = [5, 3, 3, 1, 7];
    for reset in [
        Reset::HARD,
        Reset::Hard { to: -0.25 },
        Reset::Soft,
        Reset::Exponential,
        Reset::DelayedHard { to: 0.125 },
        Reset::DelayedSoft,
    ] {
        for config in every_gradient(reset) {
            fused_agrees(&config, shape, Layout::Contiguous);
            let learned = config
                .with_decay(Decay::learned(vec![0.25, 0.5, 0.75]))
                .with_threshold(Threshold::learned(0.5))
                .with_surrogate(Surrogate::atan(2.0).unwrap());
            fused_agrees(&learned, shape, Layout::Contiguous);
            let resting = learned.with_rest(-0.125).with_decay_input(true);
            if resting.validate().is_ok() {
                fused_agrees(&resting, shape, Layout::Contiguous);
            }
        }
    }
}

#[test]
fn fused_neurons_of_all_sizes_agree() {
    let plain = LifConfig::new().with_decay(0.5);
    let decays = plain
        .clone()
        .with_decay(Decay::learned(vec![0.25, 0.5, 0.75]))
        .with_decay_input(true);
    let thresholds = plain.clone().with_threshold(vec![0.5, 0.25, 1.0]);
    // What a step found also decides its gradients, across blocks of steps as within them.
    let late = decays.clone().with_reset(Reset::DelayedSoft);
    for config in [plain, decays, thresholds, late] {
        // One step, odd numbers, more than a cube of the device, as many steps as fit into registers, several blocks of
        // them, with and without a rest, nothing at all.
        for shape in [
            [1, 1, 3, 1, 1],
            [1, 5, 3, 2, 2],
            [7, 2, 3, 1, 11],
            [3, 64, 3, 4, 6],
            [32, 1, 3, 2, 2],
            [33, 2, 3, 2, 3],
            [48, 1, 3, 2, 2],
            [70, 1, 3, 1, 5],
            [4, 0, 3, 1, 6],
        ] {
            for layout in [Layout::Contiguous, Layout::ChannelsLast] {
                fused_agrees(&config, shape, layout);
            }
        }
        for layout in [Layout::Gaps, Layout::Repeated] {
            fused_agrees(&config, [6, 4, 3, 1, 5], layout);
        }
    }
}

#[test]
fn fused_neurons_have_every_surrogate() {
    for surrogate in curves() {
        let config = LifConfig::new().with_decay(0.5).with_surrogate(surrogate);
        fused_agrees(&config, [6, 4, 3, 1, 5], Layout::Contiguous);
        let strict = config.with_forward(Forward::StrictStep);
        fused_agrees(&strict, [6, 4, 3, 1, 5], Layout::Contiguous);
    }
}

/// With numbers of 16 bits a sequence is computed in 32 and stored in 16.
#[test]
fn fused_neurons_store_half_precision() {
    for dtype in [FloatDType::F16, FloatDType::BF16] {
        for (name, device) in devices::on_cubecl() {
            if !device.supports_dtype(dtype) {
                say(&format!("skipped: {name}, its device has no {dtype:?}"));
                continue;
            }
            let device = device.autodiff();
            let lif = LifConfig::new().with_decay(0.5).init(&device).unwrap();
            let x = tensor::<3>(&numbers(24, 6 * 4 * 10), [6, 4, 10], &device);
            let x = x.cast(dtype).detach().require_grad();
            // What is stored is what is computed with.
            let wide = x.clone().cast(FloatDType::F32).detach().require_grad();
            let weights = tensor::<3>(&numbers(25, 6 * 4 * 10), [6, 4, 10], &device);
            // In the type that the device has by itself.
            let state = || Some(lif.initial([6, 4, 10], &device));
            let run = |x: Tensor<3>, weights: Tensor<3>| {
                let (spikes, left) = lif.forward(x.clone(), state());
                assert_eq!(left.v::<3>().dtype(), x.dtype());
                let gradients = (spikes.clone() * weights).sum().backward();
                let gradient = x.grad(&gradients).unwrap().cast(FloatDType::F32);
                (values(&spikes.cast(FloatDType::F32)), values(&gradient))
            };
            let half = run(x, weights.clone().cast(dtype));
            let single = run(wide, weights.cast(dtype).cast(FloatDType::F32));
            assert_eq!(half.0, single.0, "{name}, {dtype:?}");
            let scale = single.1.iter().fold(0.0f64, |max, x| max.max(x.abs()));
            let digits = if dtype == FloatDType::F16 { 2e-3 } else { 1e-2 };
            for (half, single) in half.1.iter().zip(&single.1) {
                assert!((half - single).abs() <= digits * scale, "{name}, {dtype:?}");
            }
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
            let neurons = Recurrent::new(lif, OneToOne::new(-0.25, device).unwrap()).unwrap();
            let x = tensor::<4>(&numbers(6, 6 * 4 * 3 * 5), [6, 4, 3, 5], device);
            let (spikes, _) = neurons.forward(x, None);
            let (u, _) = readout.forward(spikes.clone(), None);
            let gradients = (u.clone() * u.clone()).mean().backward();
            let lif = neurons.neuron();
            let learned = [
                lif.parameter("decay").unwrap(),
                lif.parameter("threshold").unwrap(),
                readout.decay(),
            ];
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
    let draw = SampleKeys::new(3, vec![5, 9]);
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
            let spikes: Tensor<3> = encoder.encode(images, &SampleKeys::new(4, vec![9, u32::MAX]));
            let model = network(device);
            let weights = model
                .classifier
                .layers
                .iter()
                .map(|l| values(&l.weight.val()));
            (values(&spikes), weights.collect::<Vec<_>>())
        },
        |name, got, reference| assert!(got == reference, "{name}"),
    );
}

#[test]
fn batches_are_the_same_bit_for_bit() {
    let data = DatasetName::Mnist.load(&DataSource::Embedded).unwrap();
    for encoder in ["bernoulli", "direct", "latency"] {
        let settings = [
            ("encoder", encoder),
            ("time_steps", "5"),
            ("augmentation.shift", "1"),
        ];
        let coding = RunConfig::default().with(settings).unwrap();
        let coding = coding.coding().unwrap();
        compare(
            |device| {
                let indices = (0..30).map(|i| i * 11).collect();
                let samples = data.train.clone();
                let loader = EpochLoader::new(samples, indices, &coding, 8, device).shuffled(3, 2);
                let batches = loader.iter().map(|batch| {
                    let batch = batch.unwrap();
                    (values(&batch.input), batch.repeats, batch.last)
                });
                batches.collect::<Vec<_>>()
            },
            |name, got, reference| assert!(got == reference, "{name}, {encoder}"),
        );
    }
}

#[test]
fn training_runs_agree() {
    let folder = tempdir().unwrap();
    let run = |device: &str| {
        let run = on_digits(&folder.path().join(device))
            .on(device)
            .set("samples", 2000)
            .set("learning_rate", 5e-3)
            .hidden(&[40])
            .set("time_steps", 4)
            .set("batch_size", 20)
            .set("epochs", 2)
            .with_output(Output::Nothing);
        run.run().unwrap()
    };
    let reference = run("flex");
    assert!(reference.test_accuracy > 0.5);
    for (name, _) in devices::on_cubecl() {
        let report = run(name);
        let accuracy = report.test_accuracy;
        say(&format!(
            "{name}: {accuracy}, flex: {}",
            reference.test_accuracy
        ));
        assert!((accuracy - reference.test_accuracy).abs() < 0.01, "{name}");
        for (epoch, reference) in report.history.iter().zip(&reference.history) {
            for (part, reference) in [
                (&epoch.train, &reference.train),
                (&epoch.validation, &reference.validation),
            ] {
                // Spikes that flip by rounding make other networks of them, a little.
                assert!((part.loss / reference.loss - 1.0).abs() < 0.01, "{name}");
                assert!((part.accuracy - reference.accuracy).abs() < 0.02, "{name}");
                let rates = part.firing_rates.iter().zip(&reference.firing_rates);
                for (rate, reference) in rates {
                    assert!((rate / reference - 1.0).abs() < 0.01, "{name}");
                }
            }
        }
    }
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
    let mut x: Tensor<3> = encoder.encode(images, &SampleKeys::new(0, (0..32).collect()));
    let (mut spikes, mut u) = (Vec::new(), Vec::new());
    for linear in &model.classifier.layers {
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
        weight_gradients: model.classifier.layers.iter().map(gradient).collect(),
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
