//! Products by events compute what dense products do, and layers take tensors however they lie in memory.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::store::{ModuleSnapshot, SafetensorsStore};
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use synfire::decode;
use synfire::init::Initializer;
use synfire::layer::{
    Pool2dConfig, Pooling, SeqBatchNormConfig, SpikeConv2d, SpikeLinear, TdBatchNormConfig,
};
use synfire::metric::firing_rate;
use synfire::neuron::{LifConfig, Neuron, NeuronState, TemporalGradient};
use synfire::ops::{Execution, Keep, Product};
use synfire::random::Philox;
use synfire::record::Recorder;
use synfire::spike::Forward;
use synfire::surrogate::Surrogate;
use synfire_models::{Context, NetworkState, SpikingNetwork, StbpCnnConfig, StbpMlpConfig};
use synfire_tests::strategies::{CHANNELS, configs, numbers};
use synfire_tests::{assert_close, assert_close_sums, tensor, values};

/// Zeros and ones; about so many of them are ones.
fn spikes(sequence: u64, len: usize, density: f32) -> Vec<f64> {
    let numbers = Philox::new(7).uniform(sequence, len, 0.0, 1.0);
    numbers
        .into_iter()
        .map(|x| f64::from(u8::from(x < density)))
        .collect()
}

/// The numbers that an input has in place of ones.
#[derive(Clone, Copy, Debug)]
enum Levels {
    Ones,
    /// From 1 to 3, as sums of spikes are.
    Counts,
    /// 1 and -1.
    Signed,
    /// From a quarter to 1, as means of four spikes are.
    Quarters,
    /// None that planes of bits could hold.
    Real,
}

fn levels() -> impl Strategy<Value = Levels> {
    use Levels::{Counts, Ones, Quarters, Real, Signed};
    prop_oneof![
        Just(Ones),
        Just(Counts),
        Just(Signed),
        Just(Quarters),
        Just(Real)
    ]
}

/// [`spikes`] of these levels.
fn graded(levels: Levels, len: usize, density: f32) -> Vec<f64> {
    let numbers = Philox::new(7).uniform(9, len, 0.0, 1.0).into_iter();
    let ones = spikes(0, len, density).into_iter().zip(numbers);
    let graded = ones.map(|(one, x)| {
        let x = f64::from(x);
        one * match levels {
            Levels::Ones => 1.0,
            Levels::Counts => 1.0 + (3.0 * x).floor(),
            Levels::Signed => 1.0 - 2.0 * (2.0 * x).floor(),
            Levels::Quarters => 0.25 * (1.0 + (4.0 * x).floor()),
            Levels::Real => x - 0.3,
        }
    });
    graded.collect()
}

fn densities() -> impl Strategy<Value = f32> {
    prop::sample::select(vec![0.0, 0.02, 0.13, 0.5, 0.75, 0.9, 1.0])
}

/// Weights without a pattern.
fn parameter<const D: usize>(
    sequence: u64,
    shape: [usize; D],
    device: &Device,
) -> Param<Tensor<D>> {
    let len = shape.iter().product();
    Param::from_tensor(tensor(&numbers(sequence, len), shape, device))
}

fn linear([inputs, outputs]: [usize; 2], bias: bool, device: &Device) -> Linear {
    let config = LinearConfig::new(inputs, outputs).with_bias(bias);
    let mut linear = config.init(device);
    linear.weight = parameter(1, [inputs, outputs], device);
    linear.bias = linear.bias.map(|_| parameter(2, [outputs], device));
    linear
}

fn conv(config: &Conv2dConfig, device: &Device) -> Conv2d {
    let mut conv = config.init(device);
    let shape = conv.weight.lazy_shape().dims();
    conv.weight = parameter(1, shape, device);
    conv.bias = conv.bias.map(|_| parameter(2, [shape[0]], device));
    conv
}

/// The output, and the gradients of the input, the weights and the biases under a loss that weighs each output on its own.
fn outcome<const D: usize, const W: usize>(
    x: Tensor<D>,
    weight: &Param<Tensor<W>>,
    bias: Option<&Param<Tensor<1>>>,
    forward: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Vec<Vec<f64>> {
    let x = x.require_grad();
    let output = forward(x.clone());
    let shape = output.dims();
    let weights = numbers(3, shape.iter().product());
    let loss = (output.clone() * tensor::<D>(&weights, shape, &output.device())).sum();
    let gradients = loss.backward();
    let mut found = vec![
        values(&output),
        values(&x.grad(&gradients).unwrap()),
        values(&weight.grad(&gradients).unwrap()),
    ];
    found.extend(bias.map(|bias| values(&bias.grad(&gradients).unwrap())));
    found
}

fn compare(got: &[Vec<f64>], expected: &[Vec<f64>]) {
    for (what, (got, expected)) in ["output", "input", "weight", "bias"]
        .into_iter()
        .zip(got.iter().zip(expected))
    {
        assert_close(got, expected, what);
    }
}

fn compare_linear(layer: Linear, x: Tensor<3>) {
    let expected = outcome(x.clone(), &layer.weight, layer.bias.as_ref(), |x| {
        layer.forward(x)
    });
    // `Auto` subtracts where most inputs fire.
    for product in [Product::Events, Product::Auto] {
        let events = SpikeLinear::from(layer.clone()).with_product(product);
        let got = outcome(x.clone(), &events.weight, events.bias.as_ref(), |x| {
            events.forward(x)
        });
        compare(&got, &expected);
    }
}

fn compare_conv(layer: Conv2d, x: Tensor<5>) {
    let dense = |x: Tensor<5>| {
        let [steps, batch, channels, height, width] = x.dims();
        let output = layer.forward(x.reshape([steps * batch, channels, height, width]));
        let [_, channels, height, width] = output.dims();
        output.reshape([steps, batch, channels, height, width])
    };
    let expected = outcome(x.clone(), &layer.weight, layer.bias.as_ref(), dense);
    for product in [Product::Events, Product::Auto] {
        let events = SpikeConv2d::from(layer.clone()).with_product(product);
        let got = outcome(x.clone(), &events.weight, events.bias.as_ref(), |x| {
            events.forward(x)
        });
        // The same kernels, with weights stored in their order.
        let ordered = events.clone().ordered();
        let other = outcome(x.clone(), &ordered.weight, ordered.bias.as_ref(), |x| {
            ordered.forward(x)
        });
        assert_eq!(other[0], got[0], "weights in the order of the kernels");
        compare(&other, &got);
        compare(&got, &expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn linear_layers_agree(
        steps in 1..5usize,
        batch in 1..17usize,
        inputs in prop_oneof![1..10usize, 60..70usize, 120..140usize, Just(300)],
        outputs in prop_oneof![1..20usize, 60..70usize, Just(130)],
        levels in levels(),
        density in densities(),
        bias in any::<bool>(),
    ) {
        let device = Device::flex().autodiff();
        let shape = [steps, batch, inputs];
        let x = tensor(&graded(levels, steps * batch * inputs, density), shape, &device);
        compare_linear(linear([inputs, outputs], bias, &device), x);
    }

    #[test]
    fn convolutions_agree(
        (steps, batch) in (1..3usize, 1..4usize),
        // The last are depthwise.
        (groups, channels, outputs) in prop_oneof![
            4 => (prop_oneof![Just(1), Just(1), Just(2), Just(3)], 1..8usize, 1..5usize),
            1 => (2..40usize, Just(1), Just(1)),
        ],
        size in (1..13usize, 1..13usize),
        kernel in (1..5usize, 1..5usize),
        stride in (1..4usize, 1..4usize),
        dilation in (1..3usize, 1..3usize),
        padding in (0..3usize, 0..3usize, 0..3usize, 0..3usize),
        same in prop::bool::weighted(0.1),
        levels in levels(),
        density in densities(),
        bias in any::<bool>(),
    ) {
        let device = Device::flex().autodiff();
        let (channels, outputs) = (groups * channels, groups * outputs);
        let (top, left, bottom, right) = padding;
        // Burn's `Same` knows no dilation.
        let dilation = if same { (1, 1) } else { dilation };
        let padding = match same {
            true => PaddingConfig2d::Same,
            false => PaddingConfig2d::Explicit(top, left, bottom, right),
        };
        let fits = |size, kernel, dilation, padding| size + padding > dilation * (kernel - 1);
        prop_assume!(same || fits(size.0, kernel.0, dilation.0, top + bottom));
        prop_assume!(same || fits(size.1, kernel.1, dilation.1, left + right));
        let config = Conv2dConfig::new([channels, outputs], [kernel.0, kernel.1])
            .with_stride([stride.0, stride.1])
            .with_dilation([dilation.0, dilation.1])
            .with_groups(groups)
            .with_padding(padding)
            .with_bias(bias);
        let shape = [steps, batch, channels, size.0, size.1];
        let x = tensor(&graded(levels, shape.iter().product(), density), shape, &device);
        compare_conv(conv(&config, &device), x);
    }

    #[test]
    fn pooling_agrees_however_images_lie_in_memory(
        (steps, batch, channels) in (1..3usize, 1..3usize, 1..5usize),
        size in (2..9usize, 2..9usize),
        window in (1..3usize, 1..3usize),
        last in any::<bool>(),
        max in any::<bool>(),
    ) {
        let device = Device::flex().autodiff();
        let shape = [steps, batch, size.0, size.1, channels];
        // Ties, too: which of equals gets the gradient is Burn's choice, and ours.
        let all = spikes(0, shape.iter().product(), 0.3);
        let x = || {
            let x = tensor::<5>(&all, shape, &device).require_grad();
            let images = x.clone().permute([0, 1, 4, 2, 3]);
            // With the channels last, or with a copy that has them first.
            let images = if last { images } else { images + 0.0 };
            (x, images)
        };
        let outcome = |pool: &dyn Fn(Tensor<5>) -> Tensor<5>| {
            let (x, images) = x();
            let output = pool(images);
            let shape = output.dims();
            let weights = tensor::<5>(&numbers(1, shape.iter().product()), shape, &device);
            let gradients = (output.clone() * weights).sum().backward();
            [values(&output), values(&x.grad(&gradients).unwrap())]
        };
        let pooling = if max { Pooling::Max } else { Pooling::Average };
        let window = [window.0, window.1];
        let pool = Pool2dConfig::new(window).with_pooling(pooling).init().unwrap();
        let got = outcome(&|x| pool.forward(x));
        let expected = outcome(&|x| {
            let [steps, batch, channels, height, width] = x.dims();
            let x = x.reshape([steps * batch, channels, height, width]);
            let output = match max {
                true => MaxPool2dConfig::new(window).with_strides(window).init().forward(x),
                false => AvgPool2dConfig::new(window).with_strides(window).init().forward(x),
            };
            let [_, channels, height, width] = output.dims();
            output.reshape([steps, batch, channels, height, width])
        });
        assert_close(&got[0], &expected[0], "pooled");
        assert_close(&got[1], &expected[1], "its gradient");
    }

    #[test]
    fn neurons_take_images_however_they_lie_in_memory(
        config in configs(true),
        (steps, batch, size) in (1..5usize, 1..3usize, 1..40usize),
        (membranes, with_state) in any::<(bool, bool)>(),
        order in 0..4usize,
    ) {
        let device = Device::flex().autodiff();
        let keep = if membranes { Keep::Membranes } else { Keep::Input };
        prop_assume!(config.forward != Forward::Smooth);
        let off = config.temporal_gradient == TemporalGradient::Off;
        let config = config.with_keep(keep);
        // The same shape in the end, from another order of the axes in memory.
        let orders: [[usize; 4]; 4] = [[0, 1, 2, 3], [0, 1, 3, 2], [0, 3, 1, 2], [2, 1, 0, 3]];
        let order = orders[order];
        let sizes = [steps, batch, CHANNELS, size];
        let inside = order.map(|axis| sizes[axis]);
        let mut back = [0; 4];
        for (at, axis) in order.into_iter().enumerate() {
            back[axis] = at;
        }
        let outcome = |path| {
            let lif = config.clone().with_execution(path).init(&device).unwrap();
            let len: usize = sizes.iter().product();
            let x = tensor::<4>(&numbers(0, len), inside, &device).require_grad();
            let v = tensor::<4>(&numbers(5, len / steps), [1, batch, CHANNELS, size], &device);
            let v = v.require_grad();
            let state = with_state.then(|| NeuronState::new([("v", v.clone())], 1));
            let (spikes, state) = lif.forward(x.clone().permute(back.map(|at| at as isize)), state);
            let weights = tensor::<4>(&numbers(1, len), sizes, &device);
            let of_spikes = (spikes.clone() * weights).sum();
            let loss = match off {
                // The state is a constant.
                true => of_spikes,
                false => of_spikes + state.v::<4>().sum(),
            };
            let gradients = loss.backward();
            let mut found = vec![
                values(&spikes),
                values(&state.v::<4>()),
                values(&x.grad(&gradients).unwrap()),
            ];
            found.push(v.grad(&gradients).map_or_else(Vec::new, |g| values(&g)));
            for coefficient in [lif.parameter("decay").unwrap(), lif.parameter("threshold").unwrap()] {
                if let Some(parameter) = coefficient.parameter() {
                    let gradient = parameter.grad(&gradients);
                    found.push(gradient.map_or_else(Vec::new, |g| values(&g)));
                }
            }
            found
        };
        let (fused, unrolled) = (outcome(Execution::Auto), outcome(Execution::Unrolled));
        prop_assert_eq!(&fused[0], &unrolled[0]);
        for (i, (fused, unrolled)) in fused.iter().zip(&unrolled).enumerate() {
            if fused.len() != unrolled.len() {
                // A gradient that is zero throughout may be none.
                let all = fused.iter().chain(unrolled);
                prop_assert!(all.into_iter().all(|x| *x == 0.0));
                continue;
            }
            let what = format!("{i} of {config}");
            match i {
                0..2 => assert_close(fused, unrolled, &what),
                // Gradients of each neuron's input and state, and of decay and threshold.
                2..4 => assert_close_sums(fused, unrolled, steps, &what),
                _ => assert_close_sums(fused, unrolled, steps * batch * size, &what),
            }
        }
    }
}

/// What a convolution and its neurons do together or, if not, one after the other by Burn's operations alone. `ask` says
/// which outputs the loss is made of.
fn layer_outcome(
    config: &LifConfig,
    conv: &Conv2dConfig,
    shape: [usize; 5],
    density: f32,
    with_state: bool,
    ask: (bool, bool),
    together: bool,
) -> Vec<Vec<f64>> {
    let device = Device::flex().autodiff();
    let (path, product) = match together {
        true => (Execution::Auto, Product::Events),
        false => (Execution::Unrolled, Product::Dense),
    };
    let layer = SpikeConv2d::from(self::conv(conv, &device)).with_product(product);
    let lif = config.clone().with_execution(path).init(&device).unwrap();
    let x = tensor::<5>(&spikes(0, shape.iter().product(), density), shape, &device).require_grad();
    let [_, batch, channels, height, width] = layer.forward(x.clone()).dims();
    let one = [1, batch, channels, height, width];
    let count: usize = one.iter().product();
    let v = tensor::<5>(&numbers(5, count), one, &device).require_grad();
    let state = with_state.then(|| NeuronState::new([("v", v.clone())], 1));
    let (spikes, last) = layer.forward_into(&lif, x.clone(), state);
    let mut found = vec![values(&spikes), values(&last.v::<5>())];
    let all = shape[0] * count;
    let of_spikes = tensor::<1>(&numbers(3, all), [all], &device).reshape(spikes.dims());
    let of_spikes = (spikes * of_spikes).sum();
    let of_state = (last.v::<5>() * tensor::<5>(&numbers(4, count), one, &device)).sum();
    let loss = match ask {
        (true, true) => of_spikes + of_state,
        (true, false) => of_spikes,
        (false, _) => of_state,
    };
    let gradients = loss.backward();
    let mut keep = |gradient: Option<Vec<f64>>, len: usize| {
        found.push(gradient.unwrap_or_else(|| vec![0.0; len]));
    };
    keep(
        x.grad(&gradients).map(|g| values(&g)),
        shape.iter().product(),
    );
    keep(v.grad(&gradients).map(|g| values(&g)), count);
    let weight = layer.weight.grad(&gradients);
    keep(
        weight.map(|g| values(&g)),
        layer.weight.dims().iter().product(),
    );
    if let Some(bias) = &layer.bias {
        keep(bias.grad(&gradients).map(|g| values(&g)), bias.dims()[0]);
    }
    for coefficient in [
        lif.parameter("decay").unwrap(),
        lif.parameter("threshold").unwrap(),
    ] {
        if let Some(parameter) = coefficient.parameter() {
            let gradient = parameter.grad(&gradients);
            keep(gradient.map(|g| values(&g)), parameter.dims()[0]);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn convolutions_and_their_neurons_agree(
        config in configs(true),
        (steps, batch) in (1..6usize, 1..4usize),
        (groups, channels) in prop_oneof![Just((1, 1)), Just((1, 2)), Just((3, 3)), Just((3, 6))],
        size in (3..12usize, 3..12usize),
        kernel in (1..4usize, 1..4usize),
        stride in 1..3usize,
        padding in 0..2usize,
        density in densities(),
        bias in any::<bool>(),
        with_state in any::<bool>(),
        ask in any::<(bool, bool)>(),
    ) {
        prop_assume!(config.forward != Forward::Smooth);
        // Without a path through time the state is a constant.
        let off = config.temporal_gradient == TemporalGradient::Off;
        let ask = if off { (true, ask.1) } else { ask };
        let conv = Conv2dConfig::new([channels, CHANNELS], [kernel.0, kernel.1])
            .with_stride([stride, stride])
            .with_groups(groups)
            .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
            .with_bias(bias);
        let shape = [steps, batch, channels, size.0, size.1];
        let [got, expected] = [true, false].map(|together| {
            layer_outcome(&config, &conv, shape, density, with_state, ask, together)
        });
        // Weights are parts of 1024: currents are exact in any order, and neurons compute the same with them.
        prop_assert_eq!(&got[0], &expected[0]);
        for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let what = format!("{i} of {config}");
            match i {
                0..2 => assert_close(got, expected, &what),
                // Gradients of each pixel and state, with terms of each step, and of what is learned, with all.
                2..4 => assert_close_sums(got, expected, steps, &what),
                _ => assert_close_sums(got, expected, steps * batch * size.0 * size.1, &what),
            }
        }
    }
}

#[test]
fn convolutions_and_their_neurons_agree_in_many_chunks() {
    // More neurons than a chunk, more samples than parts, the same gradient in every step.
    let config = LifConfig::new();
    let conv = Conv2dConfig::new([2, 20], [3, 3]);
    let [got, expected] = [true, false].map(|together| {
        layer_outcome(
            &config,
            &conv,
            [4, 19, 2, 16, 11],
            0.2,
            false,
            (true, false),
            together,
        )
    });
    assert_eq!(got[0], expected[0]);
    for (got, expected) in got.iter().zip(&expected) {
        assert_close(got, expected, "chunks");
    }
}

#[test]
fn a_layer_takes_what_is_no_spike_and_what_has_no_gradients() {
    let device = Device::flex();
    let layer = SpikeConv2d::from(conv(&Conv2dConfig::new([2, 3], [3, 3]), &device));
    let lif = LifConfig::new().init(&device).unwrap();
    let shape = [3, 2, 2, 6, 5];
    let count = shape.iter().product();
    for all in [spikes(0, count, 0.2), numbers(0, count)] {
        let x = || tensor::<5>(&all, shape, &device);
        let (together, state) = layer.forward_into(&lif, x(), None);
        let (apart, expected) = lif.forward(layer.forward(x()), None);
        assert_eq!(values(&together), values(&apart));
        assert_close(
            &values(&state.v::<5>()),
            &values(&expected.v::<5>()),
            "state",
        );
    }
    let device = device.autodiff();
    let layer = SpikeConv2d::from(conv(&Conv2dConfig::new([2, 3], [3, 3]), &device));
    let lif = LifConfig::new().init(&device).unwrap();
    let x = tensor::<5>(&numbers(0, count), shape, &device).require_grad();
    let gradients = layer.forward_into(&lif, x.clone(), None).0.sum().backward();
    let together = values(&x.grad(&gradients).unwrap());
    let gradients = lif
        .forward(layer.forward(x.clone()), None)
        .0
        .sum()
        .backward();
    assert_eq!(together, values(&x.grad(&gradients).unwrap()));
}

#[test]
fn many_rows_and_many_pixels_agree() {
    // Enough for several tasks, tiles and parts of sums.
    let device = Device::flex().autodiff();
    let x = tensor(&spikes(0, 3 * 700 * 200, 0.1), [3, 700, 200], &device);
    compare_linear(linear([200, 150], true, &device), x);
    let shape = [5, 8, 2, 24, 24];
    let x = tensor(&spikes(0, shape.iter().product(), 0.1), shape, &device);
    compare_conv(conv(&Conv2dConfig::new([2, 20], [5, 5]), &device), x);
}

#[test]
fn views_are_read_as_what_they_show() {
    let device = Device::flex().autodiff();
    let x = tensor::<3>(&spikes(0, 6 * 8 * 10, 0.3), [6, 8, 10], &device);
    let views = [
        x.clone().swap_dims(0, 2),
        x.clone().slice([1..3, 2..5, 3..9]),
        x.clone().slice([0..6, 0..1, 0..10]).expand([6, 7, 10]),
        x.flip([2]),
    ];
    for view in views {
        let inputs = view.dims()[2];
        compare_linear(linear([inputs, 9], true, &device), view);
    }
    let x = tensor::<5>(&spikes(0, 2 * 3 * 6 * 7 * 2, 0.3), [2, 3, 6, 7, 2], &device);
    let config = Conv2dConfig::new([2, 4], [3, 2]);
    // Channels last in memory; an axis of another order; a part.
    for view in [
        x.clone().permute([0, 1, 4, 2, 3]),
        x.clone().permute([1, 0, 4, 3, 2]),
        x.permute([0, 1, 4, 2, 3])
            .slice([0..2, 1..3, 0..2, 1..6, 2..7]),
    ] {
        compare_conv(conv(&config, &device), view);
    }
}

#[test]
fn what_is_not_a_spike_goes_the_dense_way() {
    let device = Device::flex().autodiff();
    for other in [0.5, -1.0, 2.0, f64::NAN, f64::INFINITY] {
        let mut all = spikes(0, 4 * 12, 0.3);
        all[17] = other;
        let x = || tensor::<2>(&all, [4, 12], &device).require_grad();
        let layer = linear([12, 7], true, &device);
        let events = SpikeLinear::from(layer.clone()).with_product(Product::Events);
        let bits = |x: Tensor<2>| values(&x).into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(events.forward(x())), bits(layer.forward(x())));

        let x = || x().reshape([1, 3, 4, 4]);
        let layer = conv(&Conv2dConfig::new([3, 2], [2, 2]), &device);
        let events = SpikeConv2d::from(layer.clone()).with_product(Product::Events);
        assert_eq!(
            bits(events.forward(x()).reshape([2, 9])),
            bits(layer.forward(x()).reshape([2, 9]))
        );
    }
    // Values that are means of spikes, with gradients.
    let x = tensor::<3>(&numbers(0, 5 * 4 * 30), [5, 4, 30], &device);
    compare_linear(linear([30, 11], true, &device), x);
}

/// Weights that no spike meets show which way was taken: not a number in a dense product, nothing by events.
#[test]
fn what_is_chosen_is_what_runs() {
    let device = Device::flex();
    let lif = LifConfig::new().init(&device).unwrap();
    let nan = |tensor: Tensor<5>| values(&tensor).iter().any(|x| x.is_nan());
    let mut layer = conv(&Conv2dConfig::new([2, 3], [3, 3]), &device);
    let weights = layer.weight.val();
    let silent = Tensor::full([3, 1, 3, 3], f32::NAN, &device);
    layer.weight = Param::from_tensor(Tensor::cat(vec![weights.slice([0..3, 0..1]), silent], 1));
    // The first channel fires everywhere or hardly ever, the second never.
    let image = |density: f32| {
        let shape = [2, 3, 1, 6, 6];
        let first = tensor::<5>(&spikes(0, 216, density), shape, &device);
        Tensor::cat(vec![first.clone(), first.zeros_like()], 2)
    };
    for (product, density, dense) in [
        (Product::Dense, 0.1, true),
        (Product::Events, 0.1, false),
        (Product::Events, 1.0, false),
        (Product::Auto, 0.1, false),
    ] {
        let layer = SpikeConv2d::from(layer.clone()).with_product(product);
        assert_eq!(
            nan(layer.forward(image(density))),
            dense,
            "{product:?} {density}"
        );
        // NaN does not fire, but stays in the membrane.
        let state = layer.forward_into(&lif, image(density), None).1;
        assert_eq!(
            nan(state.v::<5>()),
            dense,
            "{product:?} {density} with neurons"
        );
    }

    let weights = [[1.0], [f32::NAN]];
    let mut layer = linear([2, 1], false, &device);
    layer.weight = Param::from_tensor(Tensor::from_floats(weights, &device));
    let row = Tensor::<5>::from_floats([[[[[1.0, 0.0]]]]], &device);
    for (product, dense) in [(Product::Dense, true), (Product::Events, false)] {
        let layer = SpikeLinear::from(layer.clone()).with_product(product);
        assert_eq!(nan(layer.forward(row.clone())), dense, "{product:?}");
    }
    // Too many ones for `Auto` are in few rows, or in numbers of several planes.
    for (rows, row, dense) in [
        (1, [1.0, 0.0, 0.0, 0.0], false),
        (1, [1.0, 1.0, 1.0, 0.0], true),
        (100, [1.0, 1.0, 1.0, 0.0], false),
        (1, [3.0, 0.0, 0.0, 0.0], false),
        (100, [3.0, 3.0, 0.0, 0.0], true),
    ] {
        let layer = linear([4, 1], false, &device);
        let silent = Tensor::<1>::from_floats(row, &device).equal_elem(0.0);
        let weight = layer.weight.val();
        let weight = weight.mask_fill(silent.unsqueeze_dim(1), f32::NAN);
        let mut layer = SpikeLinear::from(layer);
        layer.weight = Param::from_tensor(weight);
        let input = Tensor::<1>::from_floats(row, &device)
            .reshape([1, 1, 1, 1, 4])
            .repeat_dim(1, rows);
        assert_eq!(nan(layer.forward(input)), dense, "{rows} rows of {row:?}");
    }
}

/// Sums over many steps and pixels, each with the same gradient: numbers that are added one by one to a large sum are lost.
#[test]
fn long_sums_stay_accurate() {
    let device = Device::flex().autodiff();
    let shape = [100, 1, 1, 30, 30];
    let x = tensor::<5>(&spikes(0, 90_000, 0.2), shape, &device);
    let mut layer = conv(&Conv2dConfig::new([1, 1], [3, 3]), &device);
    // Always within the surrogate's rectangle, never firing, and the same everywhere.
    layer.weight = Param::from_tensor(Tensor::zeros([1, 1, 3, 3], &device));
    layer.bias = Some(Param::from_tensor(Tensor::from_floats([0.25], &device)));
    let lif = LifConfig::new().with_decay(0.0).init(&device).unwrap();
    let layer = SpikeConv2d::from(layer).with_product(Product::Events);
    let counts: Vec<f64> = {
        let ones = Tensor::ones([1, 1, 28, 28], &device);
        let images = x.clone().reshape([100, 1, 30, 30]);
        let counts = burn::tensor::module::conv2d(
            images,
            ones,
            None,
            burn::tensor::ops::ConvOptions::new([1, 1], [0, 0], [1, 1], 1),
        );
        values(&counts.sum_dim(0))
    };
    for together in [true, false] {
        let spikes = match together {
            true => layer.forward_into(&lif, x.clone(), None).0,
            false => lif.forward(layer.forward(x.clone()), None).0,
        };
        let gradients = spikes.sum().mul_scalar(0.1).backward();
        let weight = values(&layer.weight.grad(&gradients).unwrap());
        let expected: Vec<f64> = counts
            .iter()
            .map(|count| count * f64::from(0.1f32))
            .collect();
        assert_close(&weight, &expected, "weights");
        let bias = values(&layer.bias.as_ref().unwrap().grad(&gradients).unwrap());
        assert_close(&bias, &[78_400.0 * f64::from(0.1f32)], "bias");
    }
}

#[test]
fn empty_batches_have_gradients_of_zero() {
    let device = Device::flex().autodiff();
    let layer = SpikeConv2d::from(conv(&Conv2dConfig::new([2, 3], [3, 3]), &device));
    let lif = LifConfig::new().init(&device).unwrap();
    let x = Tensor::<5>::zeros([4, 0, 2, 6, 5], &device);
    let (spikes, _) = layer.forward_into(&lif, x, None);
    assert_eq!(spikes.dims(), [4, 0, 3, 4, 3]);
    let gradients = spikes.sum().backward();
    let weight = values(&layer.weight.grad(&gradients).unwrap());
    assert_eq!(weight, vec![0.0; 3 * 2 * 9]);
}

/// A network of all layers with kernels, under both ways of keeping what the backward pass needs.
#[test]
fn gradient_checkpointing_changes_nothing() {
    let plain = Device::flex().autodiff();
    let checkpointing = Device::flex().autodiff().gradient_checkpointing();
    let run = |device: &Device| {
        let first = SpikeConv2d::from(conv(&Conv2dConfig::new([2, 3], [3, 3]), device));
        let second = SpikeLinear::from(linear([12, 4], true, device));
        let norm = TdBatchNormConfig::new(3, 0.5).init(device).unwrap();
        let pool = Pool2dConfig::new([2, 2]).init().unwrap();
        // A derivative that is nowhere 0.
        let config = LifConfig::new().with_surrogate(Surrogate::atan(2.0).unwrap());
        let lif = config.init(device).unwrap();
        let x = tensor::<5>(&spikes(0, 3 * 2 * 2 * 36, 0.4), [3, 2, 2, 6, 6], device);
        let (spikes, _) = first.forward_into(&lif, x.clone(), None);
        let (also, _) = lif.forward(norm.forward(first.forward(x)), None);
        let (pooled, _) = lif.forward(pool.forward(spikes + also), None);
        let (output, _) = lif.forward(second.forward(pooled.flatten::<3>(2, 4)), None);
        let rates = decode::rate(output);
        let weights = tensor::<2>(&numbers(1, 8), [2, 4], device);
        let gradients = (rates * weights).sum().backward();
        [
            values(&first.weight.grad(&gradients).unwrap()),
            values(&second.weight.grad(&gradients).unwrap()),
        ]
    };
    let found = run(&plain);
    assert!(
        found
            .iter()
            .all(|gradient| gradient.iter().any(|x| *x != 0.0))
    );
    assert_eq!(found, run(&checkpointing));
}

#[test]
fn each_loads_the_records_of_the_other() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("layer.safetensors");
    let x = tensor::<2>(&spikes(0, 40, 0.3), [4, 10], &device);
    let saved = linear([10, 6], true, &device);
    saved
        .save_into(&mut SafetensorsStore::from_file(&file))
        .unwrap();
    let mut loaded = SpikeLinear::from(LinearConfig::new(10, 6).init(&device));
    loaded
        .load_from(&mut SafetensorsStore::from_file(&file))
        .unwrap();
    assert_close(
        &values(&loaded.forward(x.clone())),
        &values(&saved.forward(x.clone())),
        "linear",
    );
    loaded.weight = parameter(9, [10, 6], &device);
    let record = loaded.clone().into_record();
    let back = LinearConfig::new(10, 6).init(&device).load_record(record);
    assert_close(
        &values(&back.forward(x.clone())),
        &values(&loaded.forward(x)),
        "linear again",
    );

    let file = folder.path().join("conv.safetensors");
    let config = Conv2dConfig::new([2, 3], [3, 3]);
    let x = tensor::<4>(&spikes(0, 2 * 2 * 25, 0.3), [2, 2, 5, 5], &device);
    let saved = conv(&config, &device);
    saved
        .save_into(&mut SafetensorsStore::from_file(&file))
        .unwrap();
    let mut loaded = SpikeConv2d::from(config.init(&device));
    loaded
        .load_from(&mut SafetensorsStore::from_file(&file))
        .unwrap();
    assert_close(
        &values(&loaded.forward(x.clone())),
        &values(&saved.forward(x.clone())),
        "conv",
    );
    let back = config.init(&device).load_record(loaded.into_record());
    assert_close(
        &values(&back.forward(x.clone())),
        &values(&saved.forward(x)),
        "conv again",
    );
}

#[test]
fn normalisation_takes_images_however_they_lie_in_memory() {
    for autodiff in [true, false] {
        let device = Device::flex();
        let device = if autodiff { device.autodiff() } else { device };
        let norm = TdBatchNormConfig::new(3, 0.5).init(&device).unwrap();
        let all = numbers(0, 4 * 2 * 5 * 6 * 3);
        let outcome = |last: bool| {
            let x = tensor::<5>(&all, [4, 2, 5, 6, 3], &device);
            let x = if autodiff { x.require_grad() } else { x };
            let images = x.clone().permute([0, 1, 4, 2, 3]);
            // With the channels last, or with a copy that has them first.
            let images = if last { images } else { images + 0.0 };
            let output = norm.forward(images);
            assert_eq!(output.dims(), [4, 2, 3, 5, 6]);
            let mut found = vec![values(&output)];
            if autodiff {
                let weights = tensor::<5>(&numbers(1, all.len()), output.dims(), &device);
                let gradients = (output * weights).sum().backward();
                found.push(values(&x.grad(&gradients).unwrap()));
                found.push(values(&norm.norm.gamma.grad(&gradients).unwrap()));
            }
            found
        };
        for (got, expected) in outcome(true).iter().zip(&outcome(false)) {
            assert_close(got, expected, "normalised");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn normalisation_agrees_with_that_of_burn(
        (steps, batch) in (1..4usize, 1..5usize),
        channels in prop_oneof![1..6usize, 15..18usize, 60..70usize],
        size in (1..7usize, 1..7usize),
        (mean, epsilon) in (prop_oneof![Just(0.0), Just(30.0)], prop_oneof![Just(1e-5), Just(1e-2)]),
        last in any::<bool>(),
    ) {
        // Of a single number the variance is 0.
        prop_assume!(steps * batch * size.0 * size.1 > 1);
        let device = Device::flex().autodiff();
        let mut norm = SeqBatchNormConfig::new(channels).with_epsilon(epsilon).init(&device).unwrap();
        norm.norm.gamma = parameter(4, [channels], &device);
        norm.norm.beta = parameter(5, [channels], &device);
        let images = [steps * batch, channels, size.0, size.1];
        let all: Vec<_> = numbers(0, images.iter().product()).iter().map(|x| x + mean).collect();
        let x = match last {
            false => tensor::<4>(&all, images, &device),
            true => tensor::<4>(&all, [images[0], size.0, size.1, channels], &device).permute([0, 3, 1, 2]),
        };
        let run = |forward: &dyn Fn(Tensor<4>) -> Tensor<4>| {
            let mut found = outcome(x.clone(), &norm.norm.gamma, Some(&norm.norm.beta), forward);
            found.push(values(&norm.norm.running_mean.value_sync()));
            found.push(values(&norm.norm.running_var.value_sync()));
            found
        };
        let before = [&norm.norm.running_mean, &norm.norm.running_var].map(|running| running.value_sync());
        let sequence = [steps, batch, channels, size.0, size.1];
        let got = run(&|x| norm.forward(x.reshape(sequence)).reshape(images));
        norm.norm.running_mean.update(before[0].clone());
        norm.norm.running_var.update(before[1].clone());
        let expected = run(&|x| norm.norm.forward(x));
        for (what, (got, expected)) in
            ["output", "input", "gamma", "beta", "mean", "variance"].iter().zip(got.iter().zip(&expected))
        {
            // Burn loses digits where the mean is large.
            let scale = expected.iter().fold(1.0f64, |most, x| most.max(x.abs()));
            for (got, expected) in got.iter().zip(expected) {
                prop_assert!((got - expected).abs() <= 1e-3 * scale, "{what}: {got} {expected}");
            }
        }
    }
}

#[test]
fn means_have_the_gradients_of_means() {
    let device = Device::flex().autodiff();
    let all = spikes(0, 5 * 3 * 4, 0.4);
    let outcome = |mean: &dyn Fn(Tensor<3>) -> Tensor<2>| {
        let x = tensor::<3>(&all, [5, 3, 4], &device).require_grad();
        let mean = mean(x.clone());
        let weights = tensor::<2>(
            &numbers(1, mean.dims().iter().product()),
            mean.dims(),
            &device,
        );
        let gradients = (mean.clone() * weights).sum().backward();
        (values(&mean), values(&x.grad(&gradients).unwrap()))
    };
    let (rate, of_rate) = outcome(&decode::rate);
    let (expected, of_expected) = outcome(&|x| x.mean_dim(0).squeeze_dim(0));
    assert_close(&rate, &expected, "rate");
    assert_close(&of_rate, &of_expected, "gradient of rate");
    let (mean, of_mean) = outcome(&|x| firing_rate(x).reshape([1, 1]));
    let (expected, of_expected) = outcome(&|x| x.mean().reshape([1, 1]));
    assert_close(&mean, &expected, "firing rate");
    assert_close(&of_mean, &of_expected, "gradient of firing rate");
}

#[test]
fn networks_agree_by_events_and_by_burn_alone() {
    let device = Device::flex().autodiff();
    let input = tensor::<3>(&spikes(0, 6 * 4 * 784, 0.13), [6, 4, 784], &device);
    let outcome = |network: &dyn Fn(Tensor<3>, &mut Context) -> Tensor<3>| {
        let mut context = Context::new().with_recorder(Recorder::spikes());
        network(input.clone(), &mut context);
        let layers = context.recorder().layers().iter();
        let spikes = layers.flat_map(|layer| values(layer.spikes.as_ref().unwrap()));
        spikes.collect::<Vec<_>>()
    };
    let flips = |a: Vec<f64>, b: Vec<f64>| {
        assert!(a.iter().sum::<f64>() > 0.02 * a.len() as f64);
        let flips = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        assert!(
            flips as f64 <= 1e-3 * a.len() as f64,
            "{flips} of {} spikes",
            a.len()
        );
    };
    let choices = [
        (Execution::Auto, Product::Events),
        (Execution::Unrolled, Product::Dense),
    ];
    let [events, burn] = choices.map(|(path, product)| {
        let neuron = LifConfig::new().with_execution(path);
        let config = StbpMlpConfig::new()
            .with_initializer(Initializer::Uniform { gain: 2.0 })
            .with_neuron(neuron)
            .with_product(product);
        let model = config.init(&device).unwrap();
        outcome(&|x, context| model.forward(x, context))
    });
    flips(events, burn);
    let [events, burn] = choices.map(|(path, product)| {
        let neuron = LifConfig::new().with_execution(path);
        let config = StbpCnnConfig::new()
            .with_neuron(neuron.clone())
            .with_pool_neuron(Some(neuron.into()))
            .with_product(product);
        let model = config.init(&device).unwrap();
        outcome(&|x, context| model.forward(x, context))
    });
    flips(events, burn);
}

#[test]
fn a_network_runs_step_by_step_as_in_one_go() {
    let device = Device::flex();
    let input = tensor::<3>(&spikes(0, 7 * 2 * 784, 0.13), [7, 2, 784], &device);
    // `Auto` looks at the density of all that it is given.
    let product = Product::Events;
    fn check(network: &impl SpikingNetwork, input: Tensor<3>) {
        let whole = network.run(input.clone());
        let mut state: Option<NetworkState> = None;
        let mut outputs = Vec::new();
        for step in input.split(1, 0) {
            let mut context = Context::new().with_state(state);
            outputs.push(network.forward(step, &mut context));
            // As if it had been saved in between.
            let text = serde_json::to_string(&context.finish().detach()).unwrap();
            state = Some(serde_json::from_str::<NetworkState>(&text).unwrap());
        }
        assert_eq!(values(&Tensor::cat(outputs, 0)), values(&whole));
    }
    let mlp = StbpMlpConfig::new().with_product(product);
    check(&mlp.init(&device).unwrap(), input.clone());
    let cnn = StbpCnnConfig::new().with_product(product);
    check(&cnn.init(&device).unwrap(), input);
}
