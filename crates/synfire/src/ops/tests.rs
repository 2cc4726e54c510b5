//! Covers every path through `unsafe` code, fast enough for a sanitiser. The tests `fused` and `events` compare results for all
//! configurations.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::{AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Execution, Keep, Product};
use crate::decode;
use crate::layer::{
    Normalization, Pool2d, Pool2dConfig, Pooling, SeqBatchNorm, SeqBatchNormConfig, SpikeConv2d,
    SpikeLinear, each_step,
};
use crate::metric::firing_rate;
use crate::neuron::{
    CubaLifConfig, Decay, LifConfig, Neuron, NeuronConfig, NeuronState, Reset, Threshold,
};
use crate::random::Philox;

/// Pseudo-random elements.
fn numbers<const D: usize>(sequence: u64, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = Philox::new(5).uniform(sequence, shape.iter().product(), -0.6, 1.0);
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn spikes<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    numbers(0, shape, device).greater_elem(0.6).float()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

fn close(got: &[Vec<f32>], expected: &[Vec<f32>]) {
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got.len(), expected.len());
        let scale = expected.iter().fold(1e-6f32, |max, x| max.max(x.abs()));
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() <= 3e-5 * scale, "{a} {b}");
        }
    }
}

/// Spikes, state and the gradient of the input.
fn neurons(config: &LifConfig, shape: [usize; 4], with_state: bool) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let lif = config.init(&device).unwrap();
    let x = numbers(1, shape, &device).require_grad();
    let state = with_state.then(|| {
        let v = x.clone().slice(0..1).detach().mul_scalar(0.5);
        NeuronState::new([("v", v)], 1)
    });
    let (spikes, state) = lif.forward(x.clone(), state);
    let loss = (spikes.clone() * x.clone().detach()).sum() + state.v::<4>().sum();
    let gradients = loss.backward();
    vec![
        values(spikes),
        values(state.v::<4>()),
        values(x.grad(&gradients).unwrap()),
    ]
}

#[test]
fn blocks_of_neurons_cover_every_neuron_once() {
    // One block, several with a rest, several because the sequence is long; neurons that are no multiple of a vector.
    for shape in [[1, 1, 3, 1], [2, 2, 3, 1367], [3, 1, 3, 5], [700, 2, 3, 31]] {
        for reset in [Reset::HARD, Reset::DelayedSoft] {
            for (with_state, keep) in [(false, Keep::Input), (true, Keep::Membranes)] {
                let config = LifConfig::new()
                    .with_reset(reset)
                    .with_keep(keep)
                    .with_decay(Decay::learned(vec![0.25, 0.5, 0.75]))
                    .with_threshold(Threshold::learned(0.5));
                let on = |path| neurons(&config.clone().with_execution(path), shape, with_state);
                let fused = on(Execution::Auto);
                // The unrolled graph of a long sequence takes long.
                if shape[0] <= 10 {
                    let unrolled = on(Execution::Unrolled);
                    assert_eq!(fused[0], unrolled[0]);
                    close(&fused, &unrolled);
                }
            }
        }
    }
}

#[test]
fn blocks_of_equations_cover_every_neuron_once() {
    let device = Device::flex().autodiff();
    let run = |path, shape: [usize; 4], with_state: bool| {
        let config = CubaLifConfig::new()
            .with_execution(path)
            .with_decay(Decay::learned(vec![0.25, 0.5, 0.75]))
            .with_threshold(Threshold::learned(0.5));
        let neuron = config.init(&device).unwrap();
        let x = numbers(1, shape, &device).require_grad();
        let half = || x.clone().slice(0..1).detach().mul_scalar(0.5);
        let tensors = || [("v", half()), ("current", half())];
        let state = with_state.then(|| NeuronState::new(tensors(), 1));
        let (spikes, state) = neuron.forward(x.clone(), state);
        let loss = (spikes.clone() * x.clone().detach()).sum() + state.v::<4>().sum();
        let gradients = loss.backward();
        vec![
            values(spikes),
            values(state.v::<4>()),
            values(state.get::<4>("current").unwrap()),
            values(x.grad(&gradients).unwrap()),
        ]
    };
    for shape in [[1, 1, 3, 1], [2, 2, 3, 1367], [3, 1, 3, 5], [700, 2, 3, 31]] {
        for with_state in [false, true] {
            let fused = run(Execution::Auto, shape, with_state);
            if shape[0] <= 10 {
                let unrolled = run(Execution::Unrolled, shape, with_state);
                assert_eq!(fused[0], unrolled[0]);
                close(&fused, &unrolled);
            }
        }
    }
}

/// The output of a layer with parameters, and the gradients by its input and parameters.
fn results<const D: usize, const W: usize>(
    x: &Tensor<D>,
    output: Tensor<D>,
    weight: &Param<Tensor<W>>,
    bias: &Option<Param<Tensor<1>>>,
) -> Vec<Vec<f32>> {
    let weights = numbers(3, output.dims(), &output.device());
    let gradients = (output.clone() * weights).sum().backward();
    vec![
        values(output),
        values(x.grad(&gradients).unwrap()),
        values(weight.grad(&gradients).unwrap()),
        values(bias.as_ref().unwrap().grad(&gradients).unwrap()),
    ]
}

#[test]
fn linear_layers_by_events() {
    let device = Device::flex().autodiff();
    // Few rows and many, outputs that are no multiple of a vector, tiles with a rest, several tasks.
    for (rows, inputs, outputs) in [(1, 70, 10), (5, 3, 33), (40, 200, 130), (1100, 130, 70)] {
        let layer = LinearConfig::new(inputs, outputs).init(&device);
        let mut layer = SpikeLinear::from(layer);
        layer.weight = Param::from_tensor(numbers(2, [inputs, outputs], &device));
        let outcome = |product| {
            let layer = layer.clone().with_product(product);
            let x = spikes([rows, inputs], &device).require_grad();
            let output = layer.forward(x.clone());
            results(&x, output, &layer.weight, &layer.bias)
        };
        close(&outcome(Product::Events), &outcome(Product::Dense));
    }
}

#[test]
fn convolutions_by_events_alone_and_with_their_neurons() {
    let device = Device::flex().autodiff();
    // Windows in a word, over lines of one word and of two, and in several words; groups; many images and chunks.
    for (shape, outputs, kernel, groups) in [
        ([2, 3, 1, 9, 8], 5, [3, 3], 1),
        ([2, 1, 4, 5, 20], 3, [2, 3], 1),
        ([1, 2, 6, 6, 7], 20, [4, 3], 1),
        ([2, 2, 4, 6, 5], 6, [3, 2], 2),
        ([2, 5, 21, 6, 5], 21, [3, 2], 21),
        ([2, 2, 24, 6, 5], 36, [3, 2], 12),
        ([3, 18, 2, 12, 11], 16, [3, 3], 1),
    ] {
        let config = Conv2dConfig::new([shape[2], outputs], kernel).with_groups(groups);
        let layer = SpikeConv2d::from(config.init(&device));
        let lif = LifConfig::new()
            .with_decay(Decay::learned(0.5))
            .with_decay_input(shape[1] == 1)
            .init(&device)
            .unwrap();
        for with_neurons in [false, true] {
            let outcome = |product| {
                let layer = layer.clone().with_product(product);
                let x = spikes(shape, &device).require_grad();
                let output = match with_neurons {
                    true => layer.forward_into(&lif, x.clone(), None).0,
                    false => layer.forward(x.clone()),
                };
                let weights = numbers(3, output.dims(), &device);
                let gradients = (output.clone() * weights).sum().backward();
                vec![
                    values(output),
                    values(x.grad(&gradients).unwrap()),
                    values(layer.weight.grad(&gradients).unwrap()),
                    values(layer.bias.as_ref().unwrap().grad(&gradients).unwrap()),
                ]
            };
            let (events, dense) = (outcome(Product::Events), outcome(Product::Dense));
            // A spike that depends on rounding would change everything after it.
            if !with_neurons || events[0] == dense[0] {
                close(&events, &dense);
            }
        }
    }
}

#[test]
fn convolutions_of_real_numbers() {
    let device = Device::flex().autodiff();
    // Images, outputs, kernel, stride, padding, dilation, groups.
    for (shape, outputs, kernel, stride, padding, dilation, groups) in [
        ([1, 1, 1, 3, 3], 1, [3, 3], [1, 1], [0, 0], [1, 1], 1),
        ([2, 3, 3, 9, 8], 70, [3, 3], [1, 1], [1, 1], [1, 1], 1),
        ([1, 2, 7, 8, 9], 5, [3, 2], [2, 1], [1, 0], [1, 2], 1),
        ([2, 2, 8, 7, 7], 12, [1, 1], [2, 2], [0, 0], [1, 1], 2),
        ([1, 3, 130, 2, 2], 140, [3, 3], [1, 1], [1, 1], [1, 1], 1),
        ([1, 2, 6, 5, 6], 6, [3, 3], [3, 2], [2, 1], [1, 1], 6),
        ([3, 20, 2, 20, 20], 66, [7, 7], [2, 2], [3, 3], [1, 1], 1),
    ] {
        let [height, width] = padding;
        let config = Conv2dConfig::new([shape[2], outputs], kernel)
            .with_stride(stride)
            .with_padding(PaddingConfig2d::Explicit(height, width, height, width))
            .with_dilation(dilation)
            .with_groups(groups);
        let layer = SpikeConv2d::from(config.init(&device));
        let outcome = |product| {
            let layer = layer.clone().with_product(product);
            let x = numbers(1, shape, &device).require_grad();
            let output = layer.forward(x.clone());
            results(&x, output, &layer.weight, &layer.bias)
        };
        close(&outcome(Product::Auto), &outcome(Product::Dense));
    }
}

/// With parameters that differ from channel to channel.
fn normalisation(channels: usize, device: &Device) -> SeqBatchNorm {
    let mut norm = SeqBatchNormConfig::new(channels).init(device).unwrap();
    norm.norm.gamma = Param::from_tensor(numbers(5, [channels], device));
    norm.norm.beta = Param::from_tensor(numbers(6, [channels], device));
    norm
}

#[test]
fn neurons_behind_a_normalisation() {
    let device = Device::flex().autodiff();
    // All neurons, and some with learned parameters.
    let mut all = NeuronConfig::all();
    for config in [
        LifConfig::new().with_decay(Decay::learned(vec![0.3, 0.5, 0.9])),
        LifConfig::new()
            .with_decay(Decay::learned(0.5))
            .with_decay_input(true),
        LifConfig::new().with_threshold(Threshold::learned(0.3)),
        LifConfig::new().with_keep(Keep::Membranes),
    ] {
        all.push(config.into());
    }
    all.push(CubaLifConfig::new().with_decay(Decay::learned(0.5)).into());
    let mut fused = 0;
    for config in all {
        let channels = 3;
        let neuron = config.init(&device).unwrap();
        let x = Tensor::<5>::zeros([1; 5], &device);
        if neuron.by_hand(&x).is_none() && neuron.by_equations(&x).is_none() {
            continue;
        }
        fused += 1;
        // A single step, a single pixel, blocks with a rest on one core, on several, and several parts of the sums.
        let most = if config == LifConfig::new().into() {
            121
        } else {
            7
        };
        for (shape, with_state) in [
            ([1, 2, 5, 7], false),
            ([4, 5, 1, 1], true),
            ([4, 3, 11, 13], true),
            ([5, 1, 37, 41], false),
            ([2, 1, 97, most], true),
        ] {
            let [steps, batch, height, width] = shape;
            let run = |together: bool| {
                let norm = normalisation(channels, &device);
                let x = numbers(1, [steps, batch, height, width, channels], &device) * 3.0;
                let x = x.detach().require_grad();
                let images = x.clone().permute([0, 1, 4, 2, 3]);
                let before = numbers(7, images.dims(), &device).slice(0..1) * 0.5;
                let before = before.detach().require_grad();
                let state = with_state.then(|| {
                    let rest = neuron.initial(images.dims(), &device);
                    let names: Vec<_> = rest.names().map(str::to_owned).collect();
                    let states = names.into_iter().map(|name| (name, before.clone()));
                    NeuronState::new(states, 1)
                });
                let (spikes, state) = match together {
                    true => norm.normalize_into(&neuron, images, state),
                    false => neuron.forward(norm.normalize(images), state),
                };
                let state = state.v::<5>();
                let weights = numbers(3, spikes.dims(), &device);
                let loss = (spikes.clone() * weights).sum() + state.clone().sum();
                let gradients = loss.backward();
                let mut found = vec![
                    values(spikes),
                    values(norm.norm.running_mean.value_sync()),
                    values(norm.norm.running_var.value_sync()),
                    values(x.grad(&gradients).unwrap()),
                    values(norm.norm.gamma.grad(&gradients).unwrap()),
                    values(norm.norm.beta.grad(&gradients).unwrap()),
                ];
                found.push(values(state));
                found.extend(before.grad(&gradients).map(values));
                let mut learned = Gradients(gradients, Vec::new());
                neuron.visit(&mut learned);
                found.push(learned.1);
                found
            };
            let (together, apart) = (run(true), run(false));
            assert_eq!(together[..3], apart[..3], "{}", config.kind());
            close(&together, &apart);
        }
    }
    assert!(fused >= 15, "{fused} neurons");
}

/// The gradients of all parameters of a module.
struct Gradients(burn::tensor::Gradients, Vec<f32>);

impl ModuleVisitor for Gradients {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = parameter.val().grad(&self.0);
        self.1.extend(gradient.map(values).unwrap_or_default());
    }
}

#[test]
fn batch_normalisation_of_rows() {
    let device = Device::flex().autodiff();
    for (shape, shift) in [
        ([1, 2, 1, 1, 1], 0.0),
        ([2, 3, 5, 7, 4], 3.0),
        ([3, 40, 70, 5, 6], -20.0),
        ([2, 150, 3, 12, 13], 0.5),
    ] {
        let [steps, batch, channels, height, width] = shape;
        let norm = normalisation(channels, &device);
        let rows = numbers(1, [steps, batch, height, width, channels], &device) + shift;
        let rows = rows.detach().require_grad();
        let output = norm.forward(rows.clone().permute([0, 1, 4, 2, 3]));
        let output = output.permute([0, 1, 3, 4, 2]);
        let weights = numbers(3, output.dims(), &device);
        let gradients = (output.clone() * weights.clone()).sum().backward();
        let [gamma, beta] = [&norm.norm.gamma, &norm.norm.beta];
        let outcome = [
            values(output),
            values(rows.grad(&gradients).unwrap()),
            values(gamma.grad(&gradients).unwrap()),
            values(beta.grad(&gradients).unwrap()),
            values(norm.norm.running_mean.value_sync()),
            values(norm.norm.running_var.value_sync()),
        ];
        // In f64, a channel after the other: sums of so many numbers are too coarse in Burn's operations.
        let [x, dy] = [rows.inner(), weights.inner()].map(Tensor::into_data);
        let [gamma, beta] = [gamma, beta].map(|parameter| parameter.val().inner().into_data());
        let mut expected: [Vec<f64>; 6] = [0, 1, 2, 3, 4, 5].map(|i| vec![0.0; outcome[i].len()]);
        let n = (steps * batch * height * width) as f64;
        for c in 0..channels {
            let column = |tensor: &TensorData| -> Vec<f64> {
                let values = tensor.as_slice::<f32>().unwrap().iter();
                values
                    .skip(c)
                    .step_by(channels)
                    .map(|x| f64::from(*x))
                    .collect()
            };
            let (x, dy) = (column(&x), column(&dy));
            let (gamma, beta) = (column(&gamma)[0], column(&beta)[0]);
            let mean = x.iter().sum::<f64>() / n;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            let deviation = (variance + norm.norm.epsilon).sqrt();
            let normal = |x: f64| (x - mean) / deviation;
            let by_beta: f64 = dy.iter().sum();
            let by_gamma: f64 = dy.iter().zip(&x).map(|(dy, x)| dy * normal(*x)).sum();
            for (row, (x, dy)) in x.iter().zip(&dy).enumerate() {
                let at = row * channels + c;
                expected[0][at] = normal(*x) * gamma + beta;
                let shares = (by_beta + normal(*x) * by_gamma) / n;
                expected[1][at] = gamma / deviation * (dy - shares);
            }
            expected[2][c] = by_gamma;
            expected[3][c] = by_beta;
            let momentum = norm.norm.momentum;
            expected[4][c] = momentum * mean;
            expected[5][c] = 1.0 - momentum + momentum * variance;
        }
        for (got, expected) in outcome.iter().zip(expected) {
            let scale = expected.iter().fold(1e-3f64, |max, x| max.max(x.abs()));
            for (a, b) in got.iter().zip(expected) {
                assert!(
                    (f64::from(*a) - b).abs() <= 3e-5 * scale,
                    "{shape:?}: {a} {b}"
                );
            }
        }
    }
}

#[test]
fn pooling_of_images_and_time() {
    let device = Device::flex().autodiff();
    for pooling in [Pooling::Average, Pooling::Max] {
        let pool = Pool2dConfig::new([2, 3])
            .with_pooling(pooling)
            .init()
            .unwrap();
        let outcome = |last: bool| {
            let x = numbers(1, [2, 3, 5, 7, 4], &device).require_grad();
            let images = x.clone().permute([0, 1, 4, 2, 3]);
            // With the channels last, or with a copy that has them first.
            let images = if last { images } else { images + 0.0 };
            let pooled = pool.forward(images);
            assert_eq!(pooled.dims(), [2, 3, 4, 2, 2]);
            let rates = decode::rate(pooled.clone().flatten::<3>(2, 4));
            let loss = (rates.clone() * rates).sum() + firing_rate(pooled.clone()).sum();
            let gradients = loss.backward();
            vec![values(pooled), values(x.grad(&gradients).unwrap())]
        };
        close(&outcome(true), &outcome(false));
    }
}

#[test]
fn pooling_of_padded_and_overlapping_windows() {
    let device = Device::flex().autodiff();
    for (size, stride, padding, shape) in [
        ([3, 3], [2, 2], [1, 1], [2, 3, 5, 8, 7]),
        ([2, 3], [1, 2], [0, 1], [1, 2, 4, 5, 6]),
        ([3, 2], [3, 3], [1, 0], [1, 1, 70, 4, 9]),
        ([1, 1], [2, 2], [0, 0], [1, 2, 3, 5, 5]),
    ] {
        let padding = PaddingConfig2d::Explicit(padding[0], padding[1], padding[0], padding[1]);
        let max = MaxPool2dConfig::new(size)
            .with_strides(stride)
            .with_padding(padding.clone());
        let mean = AvgPool2dConfig::new(size)
            .with_strides(stride)
            .with_padding(padding);
        for pool in [Pool2d::Max(max.init()), Pool2d::Average(mean.init())] {
            let outcome = |last: Option<bool>| {
                let [steps, batch, channels, height, width] = shape;
                let x = numbers(1, [steps, batch, height, width, channels], &device).require_grad();
                let images = x.clone().permute([0, 1, 4, 2, 3]);
                let pooled = match last {
                    Some(true) => pool.forward(images),
                    Some(false) => pool.forward(images + 0.0),
                    // Burn's own.
                    None => each_step(images, |x: Tensor<4>| match &pool {
                        Pool2d::Average(pool) => pool.forward(x),
                        Pool2d::Max(pool) => pool.forward(x),
                    }),
                };
                let weights = numbers(3, pooled.dims(), &device);
                let gradients = (pooled.clone() * weights).sum().backward();
                vec![values(pooled), values(x.grad(&gradients).unwrap())]
            };
            let expected = outcome(None);
            close(&outcome(Some(true)), &expected);
            close(&outcome(Some(false)), &expected);
        }
    }
}

#[test]
fn sums_do_not_depend_on_the_number_of_threads() {
    let run = || {
        let device = Device::flex().autodiff();
        let conv = Conv2dConfig::new([2, 20], [3, 3]).init(&device);
        let mut conv = SpikeConv2d::from(conv);
        conv.weight = Param::from_tensor(numbers(2, [20, 2, 3, 3], &device));
        conv.bias = Some(Param::from_tensor(numbers(4, [20], &device)));
        let mut linear = SpikeLinear::from(LinearConfig::new(150, 70).init(&device));
        linear.weight = Param::from_tensor(numbers(5, [150, 70], &device));
        linear.bias = Some(Param::from_tensor(numbers(8, [70], &device)));
        let lif = LifConfig::new()
            .with_decay(Decay::learned(0.5))
            .init(&device)
            .unwrap();
        let images = spikes([4, 70, 2, 12, 11], &device);
        let (together, _) = conv.forward_into(&lif, images.clone(), None);
        let apart = conv.forward(images);
        let (rows, _) = lif.forward(linear.forward(spikes([30, 50, 150], &device)), None);
        let loss = (together.clone() * numbers(3, together.dims(), &device)).sum()
            + (apart.clone() * numbers(6, apart.dims(), &device)).sum()
            + (rows.clone() * numbers(7, rows.dims(), &device)).sum();
        let gradients = loss.backward();
        [
            values(conv.weight.grad(&gradients).unwrap()),
            values(conv.bias.as_ref().unwrap().grad(&gradients).unwrap()),
            values(linear.weight.grad(&gradients).unwrap()),
            values(
                lif.parameter("decay")
                    .unwrap()
                    .parameter()
                    .unwrap()
                    .grad(&gradients)
                    .unwrap(),
            ),
            values(firing_rate(together)),
        ]
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(run)
    };
    let one = on(1);
    assert!(
        one.iter()
            .all(|gradient| gradient.iter().any(|x| *x != 0.0))
    );
    for threads in [2, 3, 8] {
        for (i, (got, expected)) in on(threads).iter().zip(&one).enumerate() {
            assert!(got == expected, "number {i} on {threads} threads");
        }
    }
}

/// The message of a call that panics.
fn refused<R>(call: impl FnOnce() -> R) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
    let payload = panic.err().expect("it should have been refused");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

#[test]
fn groups_that_do_not_divide_the_outputs_are_refused() {
    let device = Device::flex();
    // Outputs without a group would be uninitialised memory.
    for (weights, groups) in [
        ([7, 1, 3, 3], 4),
        ([3, 1, 3, 3], 2),
        ([6, 1, 3, 3], 4),
        ([2, 3, 3, 3], 0),
    ] {
        let channels = weights[1] * groups;
        let mut conv = SpikeConv2d::from(
            Conv2dConfig::new([weights[1], weights[0]], [3, 3])
                .with_bias(false)
                .init(&device),
        );
        conv.groups = groups;
        let spikes = Tensor::<5>::ones([2, 3, channels, 6, 6], &device);
        let lif = LifConfig::new().init(&device).unwrap();
        for product in [Product::Auto, Product::Events, Product::Dense] {
            let conv = conv.clone().with_product(product);
            let said = refused(|| conv.forward(spikes.clone()));
            assert!(said.contains("expected groups that divide"), "{said}");
            let said = refused(|| conv.forward_into(&lif, spikes.clone(), None));
            assert!(said.contains("expected groups that divide"), "{said}");
        }
    }
}

#[test]
fn fields_of_a_convolution_that_go_with_no_window_are_refused() {
    let device = Device::flex();
    let conv = || SpikeConv2d::from(Conv2dConfig::new([1, 2], [3, 3]).init(&device));
    let spikes = Tensor::<5>::ones([1, 1, 1, 6, 6], &device);
    let with = |set: fn(&mut SpikeConv2d)| {
        let mut conv = conv();
        set(&mut conv);
        refused(|| conv.forward(spikes.clone()))
    };
    let zero_stride = with(|conv| conv.stride = [1, 0]);
    assert!(zero_stride.contains("`stride` is [1, 0]"), "{zero_stride}");
    let zero_dilation = with(|conv| conv.dilation = [0, 1]);
    assert!(
        zero_dilation.contains("sizes of at least 1"),
        "{zero_dilation}"
    );
    // Sizes whose product wraps to 0.
    let wrapping = with(|conv| {
        let half = (1 << 31) - 2;
        conv.padding = PaddingConfig2d::Explicit(half, half, half, half);
    });
    assert!(
        wrapping.contains("more of them than memory can hold"),
        "{wrapping}"
    );
    let beyond = with(|conv| {
        conv.padding = PaddingConfig2d::Explicit(usize::MAX, 0, usize::MAX, 0);
    });
    assert!(beyond.contains("sizes of at least 1"), "{beyond}");
}

#[test]
fn sequences_beyond_memory_are_refused() {
    let device = Device::flex();
    const HUGE: i64 = 1 << 62;
    let said = |said: String| assert!(said.contains("than memory can hold"), "{said}");
    let sequence = || Tensor::<2>::ones([1, 4], &device).expand([HUGE, 4]);
    let lif = LifConfig::new().init(&device).unwrap();
    said(refused(|| lif.forward(sequence(), None)));
    let cuba = CubaLifConfig::new().init(&device).unwrap();
    said(refused(|| cuba.forward(sequence(), None)));
    let rows = || Tensor::<3>::ones([1, 1, 4], &device).expand([HUGE, 1, 4]);
    said(refused(|| decode::rate(rows())));
    said(refused(|| firing_rate(sequence())));
    let linear = SpikeLinear::from(LinearConfig::new(4, 3).init(&device));
    said(refused(|| linear.forward(sequence())));
    let images = || Tensor::<5>::ones([1, 1, 1, 4, 4], &device).expand([HUGE, 1, 1, 4, 4]);
    for pooling in [Pooling::Average, Pooling::Max] {
        let pool = Pool2dConfig::new([2, 2]).with_pooling(pooling);
        said(refused(|| pool.init().unwrap().forward(images())));
    }
    let conv = SpikeConv2d::from(Conv2dConfig::new([1, 2], [3, 3]).init(&device));
    said(refused(|| conv.forward(images())));
    said(refused(|| conv.forward_into(&lif, images(), None)));
}
