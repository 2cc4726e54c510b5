//! Where forward and backward pass belong together (smooth spikes, each reset with its own derivative), gradients are
//! those of finite differences, also of what neurons learn.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use synfire::neuron::{
    Decay, FeedbackConfig, LeakyIntegratorConfig, LifConfig, Neuron, ParamInit, RecurrentConfig,
    Reset, ResetGradient, TemporalGradient, Threshold,
};
use synfire::random::Philox;
use synfire::spike::Forward;
use synfire::surrogate::Surrogate;
use synfire_tests::{assert_within, values};

const SHAPE: [usize; 3] = [6, 2, 3];
const H: f64 = 1e-6;

fn uniform(sequence: u64, low: f32, high: f32) -> Vec<f64> {
    let len = SHAPE.iter().product();
    let numbers = Philox::new(7).uniform(sequence, len, low, high);
    numbers.into_iter().map(f64::from).collect()
}

fn double<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        (device, DType::F64),
    )
}

/// The input of all tests.
fn input(device: &Device) -> Tensor<3> {
    double(&uniform(200, -0.5, 1.5), SHAPE, device)
}

/// A number that all outputs have a part in.
fn weighed(outputs: Tensor<3>, device: &Device) -> Tensor<1> {
    (outputs * double(&uniform(201, -1.0, 1.0), SHAPE, device)).sum()
}

/// The slope of `f` in each direction.
fn slopes(at: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..at.len())
        .map(|i| {
            let moved = |h: f64| {
                let mut moved = at.to_vec();
                moved[i] += h;
                f(&moved)
            };
            (moved(H) - moved(-H)) / (2.0 * H)
        })
        .collect()
}

#[test]
fn smooth_spikes_have_the_gradients_of_finite_differences() {
    let exact = TemporalGradient::Full(ResetGradient::Exact);
    let natural = [
        (Reset::HARD, exact),
        (Reset::HARD, TemporalGradient::Full(ResetGradient::Linear)),
        (Reset::Hard { to: -0.3 }, exact),
        (Reset::Soft, exact),
        (Reset::Exponential, exact),
        (
            Reset::Exponential,
            TemporalGradient::Full(ResetGradient::Exponential),
        ),
        (Reset::DelayedHard { to: 0.0 }, exact),
        (Reset::DelayedHard { to: 0.2 }, exact),
        (Reset::DelayedSoft, exact),
    ];
    let curves = [
        Surrogate::rectangular(1.0),
        Surrogate::polynomial(1.0),
        Surrogate::sigmoid(0.5),
        Surrogate::gaussian(0.4),
        Surrogate::atan(2.0),
        Surrogate::super_spike(2.0),
        Surrogate::piecewise_leaky_relu(0.7, 0.05),
    ]
    .map(Result::unwrap);
    for (reset, gradient) in natural {
        for surrogate in curves {
            let config = LifConfig::new()
                .with_decay(0.6)
                .with_reset(reset)
                .with_temporal_gradient(gradient)
                .with_surrogate(surrogate)
                .with_forward(Forward::Smooth);
            let loss = |x: Tensor<3>, device: &Device| {
                let lif = config.init(device).unwrap();
                weighed(lif.forward(x, None).0, device)
            };
            let autodiff = Device::flex().autodiff();
            let x = input(&autodiff).require_grad();
            let gradients = loss(x.clone(), &autodiff).backward();
            let analytic = values(&x.grad(&gradients).unwrap());
            let device = Device::flex();
            let numeric = slopes(&values(&x), |x| {
                values(&loss(double(x, SHAPE, &device), &device))[0]
            });
            assert_within(&analytic, &numeric, 1e-6, &format!("{config}"));
        }
    }
}

/// Puts numbers of double precision in place of a module's parameters, in their order.
struct Replace<'a> {
    values: &'a [Vec<f64>],
    next: usize,
    device: &'a Device,
}

impl ModuleMapper for Replace<'_> {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let new = double(&self.values[self.next], parameter.dims(), self.device);
        self.next += 1;
        parameter.map(|_| match self.device.is_autodiff() {
            true => new.require_grad(),
            false => new,
        })
    }
}

/// The gradients of a module's parameters, in their order.
struct Collect<'a> {
    gradients: &'a Gradients,
    found: Vec<Vec<f64>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let gradient = parameter.grad(self.gradients).expect("it is tracked");
        self.found.push(values(&gradient));
    }
}

/// Compares the gradients of all parameters of a module with finite differences. `start` are their values.
fn check_parameters<M: Module>(
    module: impl Fn(&Device) -> M,
    start: &[Vec<f64>],
    outputs: impl Fn(&M, Tensor<3>) -> Tensor<3>,
    what: &str,
) {
    let at = |values: &[Vec<f64>], device: &Device| {
        let mut replace = Replace {
            values,
            next: 0,
            device,
        };
        let module = module(device).map(&mut replace);
        assert_eq!(replace.next, values.len(), "{what}");
        module
    };
    let loss = |module: &M, device: &Device| weighed(outputs(module, input(device)), device);

    let autodiff = Device::flex().autodiff();
    let tracked = at(start, &autodiff);
    let gradients = loss(&tracked, &autodiff).backward();
    let mut collect = Collect {
        gradients: &gradients,
        found: Vec::new(),
    };
    tracked.visit(&mut collect);

    let device = Device::flex();
    for (p, analytic) in collect.found.iter().enumerate() {
        let numeric = slopes(&start[p], |values_of_p| {
            let mut moved = start.to_vec();
            moved[p] = values_of_p.to_vec();
            values(&loss(&at(&moved, &device), &device))[0]
        });
        assert!(
            numeric.iter().any(|g| g.abs() > 1e-3),
            "{what}: {numeric:?}"
        );
        assert_within(analytic, &numeric, 1e-6, &format!("{what}, parameter {p}"));
    }
}

#[test]
fn what_a_neuron_learns_has_the_gradients_of_finite_differences() {
    for reset in [
        Reset::HARD,
        Reset::Hard { to: -0.3 },
        Reset::Soft,
        Reset::Exponential,
        Reset::DelayedHard { to: 0.2 },
        Reset::DelayedSoft,
    ] {
        for (decay, decay_start) in [
            (Decay::learned(0.6), vec![0.6]),
            (Decay::learned(vec![0.5; 3]), vec![0.3, 0.6, 0.9]),
            (Decay::sigmoid(0.5), vec![0.4]),
            (Decay::sigmoid(vec![0.5; 3]), vec![-1.0, 0.4, 2.0]),
        ] {
            for (threshold, threshold_start) in [
                (Threshold::learned(0.5), vec![0.5]),
                (Threshold::learned(vec![0.5; 3]), vec![0.4, 0.5, 0.7]),
            ] {
                for (decay_input, rest) in [(false, 0.0), (true, -0.25)] {
                    let only_zero = reset == Reset::Exponential;
                    let config = LifConfig::new()
                        .with_threshold(threshold.clone())
                        .with_decay(decay.clone())
                        .with_decay_input(decay_input)
                        .with_rest(if only_zero { 0.0 } else { rest })
                        .with_reset(reset)
                        .with_surrogate(Surrogate::gaussian(0.4).unwrap())
                        .with_forward(Forward::Smooth);
                    check_parameters(
                        |device| config.init(device).unwrap(),
                        &[decay_start.clone(), threshold_start.clone()],
                        |lif, x| lif.forward(x, None).0,
                        &format!("{config}"),
                    );
                }
            }
        }
    }
}

#[test]
fn what_an_integrator_learns_has_the_gradients_of_finite_differences() {
    for (decay, start) in [
        (Decay::learned(vec![0.5; 3]), vec![0.3, 0.6, 0.9]),
        (Decay::sigmoid(0.5), vec![0.4]),
    ] {
        for decay_input in [false, true] {
            let config = LeakyIntegratorConfig::new()
                .with_decay(decay.clone())
                .with_decay_input(decay_input);
            check_parameters(
                |device| config.init(device).unwrap(),
                std::slice::from_ref(&start),
                |readout, x| readout.forward(x, None).0,
                &format!("{config}"),
            );
        }
    }
}

#[test]
fn recurrent_weights_have_the_gradients_of_finite_differences() {
    let (neurons, bias) = (SHAPE[2], true);
    let weight = ParamInit::learned(vec![0.5; 3]);
    let weights = Philox::new(7).uniform(202, neurons * neurons, -1.0, 1.0);
    let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
    for (feedback, start) in [
        (
            FeedbackConfig::AllToAll { neurons, bias },
            vec![weights, vec![0.1, -0.2, 0.3]],
        ),
        (
            FeedbackConfig::OneToOne { weight },
            vec![vec![0.4, -0.6, 0.8]],
        ),
    ] {
        for reset in [Reset::HARD, Reset::Soft, Reset::DelayedSoft] {
            let neuron = LifConfig::new()
                .with_decay(Decay::learned(0.6))
                .with_reset(reset)
                .with_surrogate(Surrogate::gaussian(0.4).unwrap())
                .with_forward(Forward::Smooth);
            let config = RecurrentConfig::new(neuron.into(), feedback.clone());
            let start = [vec![vec![0.6]], start.clone()].concat();
            check_parameters(
                |device| config.init(device).unwrap(),
                &start,
                |neurons, x| neurons.forward(x, None).0,
                &format!("{config}"),
            );
        }
    }
}
