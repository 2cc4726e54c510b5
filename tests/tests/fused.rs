//! Fused kernels compute what unrolled neurons do.

use burn::module::Param;
use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use synfire::neuron::{Decay, LifConfig, Neuron, NeuronState, TemporalGradient};
use synfire::ops::{Execution, Keep};
use synfire::spike::Forward;
use synfire_tests::strategies::{CHANNELS, configs, numbers};
use synfire_tests::{assert_close, assert_close_sums, tensor, values};

/// Spikes, state and all gradients of a neuron, on one of the two paths. `ask` says which outputs the loss is made of.
fn outcome<const D: usize>(
    config: &LifConfig,
    shape: [usize; D],
    with_state: bool,
    ask: (bool, bool),
) -> Vec<Vec<f64>> {
    let device = Device::flex().autodiff();
    let lif = config.init(&device).unwrap();
    let len = shape.iter().product::<usize>();
    let mut one = shape;
    one[0] = 1;
    let step = len / shape[0];
    let x = tensor::<D>(&numbers(0, len), shape, &device).require_grad();
    let v = tensor::<D>(&numbers(5, step), one, &device).require_grad();
    let state = with_state.then(|| NeuronState::new([("v", v.clone())], 1));
    let (spikes, last) = lif.forward(x.clone(), state);
    let mut found = vec![values(&spikes), values(&last.v::<D>())];
    let of_spikes = (spikes * tensor::<D>(&numbers(1, len), shape, &device)).sum();
    let of_state = (last.v::<D>() * tensor::<D>(&numbers(2, step), one, &device)).sum();
    let loss = match ask {
        (true, true) => of_spikes + of_state,
        (true, false) => of_spikes,
        (false, _) => of_state,
    };
    let gradients = loss.backward();
    let mut keep = |gradient: Option<Vec<f64>>, len: usize| {
        found.push(gradient.unwrap_or_else(|| vec![0.0; len]));
    };
    keep(x.grad(&gradients).map(|g| values(&g)), len);
    keep(v.grad(&gradients).map(|g| values(&g)), step);
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

fn compare<const D: usize>(
    config: &LifConfig,
    shape: [usize; D],
    with_state: bool,
    ask: (bool, bool),
) {
    let on = |path| outcome(&config.clone().with_execution(path), shape, with_state, ask);
    let (fused, unrolled) = (on(Execution::Auto), on(Execution::Unrolled));
    assert_eq!(fused[0], unrolled[0], "spikes of {config}");
    for (i, (fused, unrolled)) in fused.iter().zip(&unrolled).enumerate() {
        let what = format!("{i} of {config}");
        match i {
            0..2 => assert_close(fused, unrolled, &what),
            // Gradients of each neuron's input and state, with terms of each step, and of decay and threshold, with all.
            2..4 => assert_close_sums(fused, unrolled, shape[0], &what),
            _ => assert_close_sums(fused, unrolled, shape.iter().product(), &what),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn fused_equals_unrolled(
        config in configs(false),
        steps in 1..12usize,
        batch in 1..4usize,
        size in 1..40usize,
        with_state in any::<bool>(),
        ask in any::<(bool, bool)>(),
    ) {
        prop_assume!(config.forward != Forward::Smooth);
        // Without a path through time the state is a constant.
        let off = config.temporal_gradient == TemporalGradient::Off;
        let ask = if off { (true, ask.1) } else { ask };
        compare(&config, [steps, batch, size], with_state, ask);
    }

    #[test]
    fn fused_equals_unrolled_with_channels(
        config in configs(true),
        steps in 1..7usize,
        batch in 1..4usize,
        size in 1..6usize,
        with_state in any::<bool>(),
    ) {
        prop_assume!(config.forward != Forward::Smooth);
        compare(&config, [steps, batch, CHANNELS, size, 2], with_state, (true, true));
        compare(&config, [steps, batch, CHANNELS], with_state, (true, false));
    }
}

/// Potentials are stored in place of an input that nothing else has, and of no other.
#[test]
fn an_input_is_overwritten_only_where_nothing_else_has_it() {
    let device = Device::flex().autodiff();
    for size in [1, 15, 16, 17, 1025] {
        let shape = [5, 2, size];
        let x = tensor::<3>(&numbers(0, 10 * size), shape, &device).require_grad();
        let weight = tensor::<3>(&numbers(1, 10 * size), shape, &device);
        let run = |execution, shared: bool| {
            let config = LifConfig::new().with_execution(execution);
            let lif = config.init(&device).unwrap();
            let input = match shared {
                true => x.clone(),
                false => x.clone().mul_scalar(1.0),
            };
            let (spikes, _) = lif.forward(input, None);
            let gradients = (spikes.clone() * weight.clone()).sum().backward();
            [values(&spikes), values(&x.grad(&gradients).unwrap())]
        };
        let before = values(&x);
        let unrolled = run(Execution::Unrolled, true);
        for shared in [true, false] {
            let fused = run(Execution::Auto, shared);
            assert_eq!(fused[0], unrolled[0], "{size} {shared}");
            assert_close_sums(&fused[1], &unrolled[1], 5, "gradients");
            assert_eq!(values(&x), before, "{size} {shared}");
        }
    }
}

/// Of a loss of rates every step has the same gradient, as a view.
#[test]
fn the_same_gradient_in_every_step_is_that_of_all_steps() {
    let device = Device::flex().autodiff();
    let learned = LifConfig::new()
        .with_decay(Decay::learned(0.5))
        .with_decay_input(true);
    for config in [LifConfig::new(), learned] {
        for steps in [1, 5] {
            let shape = [steps, 2, 17];
            let x = tensor::<3>(&numbers(0, steps * 34), shape, &device).require_grad();
            let weight = tensor::<3>(&numbers(1, 34), [1, 2, 17], &device);
            let run = |execution| {
                let config = config.clone().with_execution(execution);
                let lif = config.init(&device).unwrap();
                let (spikes, _) = lif.forward(x.clone(), None);
                let gradients = (spikes.sum_dim(0) * weight.clone()).sum().backward();
                let decay = lif.parameter("decay").unwrap().parameter();
                let decay = decay.map(|decay| values(&decay.grad(&gradients).unwrap()));
                (
                    values(&x.grad(&gradients).unwrap()),
                    decay.unwrap_or_default(),
                )
            };
            let (fused, unrolled) = (run(Execution::Auto), run(Execution::Unrolled));
            assert_close_sums(&fused.0, &unrolled.0, steps, "of the input");
            assert_close_sums(&fused.1, &unrolled.1, steps * 34, "of the decay");
        }
    }
}

#[test]
fn blocks_of_neurons_meet_without_a_gap() {
    // Blocks are of 1024 neurons at most and, where the potentials are computed again, of fewer the longer the sequence.
    for shape in [[1, 1, 4096], [2, 3, 4099], [3, 1, 12289], [600, 2, 97]] {
        for keep in [Keep::Membranes, Keep::Input] {
            let config = LifConfig::new().with_keep(keep);
            compare(&config, shape, false, (true, true));
        }
    }
}

#[test]
fn gradient_checkpointing_changes_nothing() {
    let plain = Device::flex().autodiff();
    let checkpointing = Device::flex().autodiff().gradient_checkpointing();
    let linear = |device: &Device| {
        let mut linear = LinearConfig::new(6, 5).init(device);
        let weights = tensor::<2>(&numbers(3, 30), [6, 5], device);
        linear.weight = Param::from_tensor(weights);
        linear.bias = None;
        linear
    };
    let run = |device: &Device| {
        let lif = LifConfig::new()
            .with_decay(Decay::learned(0.5))
            .init(device)
            .unwrap();
        let (first, second) = (
            linear(device),
            lif.parameter("decay").unwrap().parameter().unwrap(),
        );
        let x = tensor::<3>(&numbers(0, 4 * 2 * 6), [4, 2, 6], device);
        let (spikes, state) = lif.forward(first.forward(x), None);
        let weight = tensor::<3>(&numbers(1, 40), [4, 2, 5], device);
        let gradients = ((spikes * weight).sum() + state.v::<3>().sum()).backward();
        let of_weights = values(&first.weight.grad(&gradients).unwrap());
        [of_weights, values(&second.grad(&gradients).unwrap())]
    };
    assert_eq!(run(&plain), run(&checkpointing));
}

#[test]
fn views_are_read_as_what_they_show() {
    let device = Device::flex();
    let x = tensor::<3>(&numbers(0, 240), [4, 6, 10], &device);
    let lif = |path| LifConfig::new().with_execution(path).init(&device).unwrap();
    for view in [
        x.clone().swap_dims(0, 2),
        x.clone().slice([1..3, 2..5, 3..9]),
        x.clone().slice([0..4, 0..1, 0..10]).expand([4, 7, 10]),
        x.clone().flip([2]),
    ] {
        let spikes = |path| values(&lif(path).forward(view.clone(), None).0);
        assert_eq!(spikes(Execution::Auto), spikes(Execution::Unrolled));
    }
}

#[test]
fn numbers_that_are_not_finite_are_the_same_too() {
    let device = Device::flex();
    let x = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.3,
        1.0,
        f32::MAX,
    ];
    let steps = Tensor::<1>::from_floats(x, &device).reshape([1, 1, 6]);
    let input = Tensor::cat(vec![steps.clone(), steps.clone().flip([2]), steps], 0);
    let spikes = |path| {
        let lif = LifConfig::new().with_execution(path).init(&device).unwrap();
        let (spikes, state) = lif.forward(input.clone(), None);
        let bits = |v: f64| (v.is_nan(), if v.is_nan() { 0 } else { v.to_bits() });
        let v: Vec<_> = values(&state.v::<3>()).into_iter().map(bits).collect();
        (values(&spikes), v)
    };
    assert_eq!(spikes(Execution::Auto), spikes(Execution::Unrolled));
}
