//! Every applicable case of the reference numbers, see `fixtures/README.md`.

use std::env;
use std::fs;
use std::path::PathBuf;

use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use synfire::decode;
use synfire::layer::each_step;
use synfire::loss::StbpLoss;
use synfire::neuron::{
    AnyNeuron, Decay, IfConfig, Lif, LifConfig, Neuron, NeuronConfig, Reset, ResetGradient,
    ScaledIfConfig, TemporalGradient, Threshold,
};
use synfire::spike::{spike, surrogate_derivative};
use synfire::surrogate::Surrogate;
use synfire_tests::{assert_close, linear, say, tensor, values};
use synfire_train::augment::Operation;

#[derive(Deserialize)]
struct File {
    cases: Vec<Value>,
}

/// The folder of other numbers, if one is named.
fn elsewhere() -> Option<PathBuf> {
    let folder = env::var_os("SYNFIRE_ORACLES")?;
    (!folder.is_empty()).then(|| PathBuf::from(folder))
}

fn cases(name: &str) -> Vec<Value> {
    let own = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"));
    let path = elsewhere().unwrap_or_else(own).join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: File =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.cases
}

/// A case that applies, in the form that its test needs.
fn typed<C: DeserializeOwned>(name: &str, number: usize, case: &Value) -> C {
    C::deserialize(case).unwrap_or_else(|error| panic!("{name}, case {number}: {error}"))
}

/// Prints how many cases ran, and fails if none did or, of the numbers that come with the tests, not all that should.
fn ran(name: &str, ran: usize, all: usize, expected: usize, left_out: &str) {
    say(&format!(
        "{name}: {ran} of {all} cases ran; left out: {left_out}"
    ));
    assert!(ran > 0, "{name}: no case ran");
    if elsewhere().is_none() {
        assert_eq!(ran, expected, "{name}");
    }
}

/// The curve of a case, if Synfire has it.
fn surrogate(case: &Value) -> Option<Surrogate> {
    let a = case["a"].as_f64()?;
    let surrogate = match case["curve"].as_str()? {
        "rectangular" => Surrogate::rectangular(a),
        "polynomial" => Surrogate::polynomial(a),
        "sigmoid" => Surrogate::sigmoid(a),
        "gaussian" => Surrogate::gaussian(a),
        "atan" => Surrogate::atan(a),
        _ => return None,
    };
    Some(surrogate.expect("the parameters of the cases are valid"))
}

fn reset_gradient(detach: bool) -> TemporalGradient {
    TemporalGradient::Full(if detach {
        ResetGradient::Detached
    } else {
        ResetGradient::Exact
    })
}

#[derive(Deserialize)]
struct CurveCase {
    curve: String,
    a: f64,
    x: Vec<f64>,
    spike: Vec<f64>,
    derivative: Vec<f64>,
}

#[test]
fn surrogate_derivatives() {
    const NAME: &str = "surrogate_derivatives.json";
    let cases = cases(NAME);
    let device = Device::flex().autodiff();
    let mut count = 0;
    for (number, case) in cases.iter().enumerate() {
        let Some(surrogate) = surrogate(case) else {
            continue;
        };
        let case: CurveCase = typed(NAME, number, case);
        let what = format!("{} with a = {}", case.curve, case.a);
        let plain: Vec<f64> = case.x.iter().map(|x| surrogate.derivative(*x)).collect();
        assert_close(&plain, &case.derivative, &format!("{what}, plain"));

        let x = tensor::<1>(&case.x, [case.x.len()], &device).require_grad();
        let spikes = spike(x.clone(), surrogate);
        assert_eq!(values(&spikes), case.spike, "{what}, spikes");
        let gradients = spikes.sum().backward();
        let backward = values(&x.grad(&gradients).expect("x is tracked"));
        assert_close(&backward, &case.derivative, &format!("{what}, backward"));
        let direct = values(&surrogate_derivative(x, surrogate));
        assert_eq!(direct, backward, "{what}, direct");
        count += 1;
    }
    ran(NAME, count, cases.len(), 25, "none");
}

#[derive(Deserialize)]
struct NeuronCase {
    kind: String,
    decay: Option<f64>,
    v_threshold: f64,
    reset: String,
    v_reset: Option<f64>,
    #[serde(default)]
    decay_input: bool,
    detach_reset: bool,
    x: Vec<Vec<Vec<f64>>>,
    loss_weight: Vec<Vec<Vec<f64>>>,
    spikes: Vec<Vec<Vec<f64>>>,
    membrane_after_reset: Vec<Vec<Vec<f64>>>,
    grad_x: Vec<Vec<Vec<f64>>>,
    plif_w: Option<f64>,
    grad_plif_w: Option<f64>,
}

impl NeuronCase {
    fn neuron(&self, surrogate: Surrogate, device: &Device) -> AnyNeuron {
        let rest = self.v_reset.unwrap_or(0.0);
        let reset = match self.reset.as_str() {
            "soft" => Reset::Soft,
            _ => Reset::Hard { to: rest },
        };
        let neuron: NeuronConfig = match self.kind.as_str() {
            "if" => IfConfig::new()
                .with_threshold(self.v_threshold)
                .with_reset(reset)
                .with_temporal_gradient(reset_gradient(self.detach_reset))
                .with_surrogate(surrogate)
                .into(),
            // The library's own options.
            "lif" if self.decay_input && reset == Reset::HARD && !self.detach_reset => {
                let tau = 1.0 / (1.0 - self.decay.expect("a leaky neuron has a decay"));
                let lif = LifConfig::spikingjelly(tau).expect("the time constant is valid");
                lif.with_threshold(self.v_threshold)
                    .with_surrogate(surrogate)
                    .into()
            }
            kind => LifConfig::new()
                .with_threshold(self.v_threshold)
                .with_decay(match (kind, self.decay) {
                    ("plif", Some(decay)) => Decay::sigmoid(decay),
                    (_, decay) => Decay::from(decay.expect("a leaky neuron has a decay")),
                })
                .with_rest(rest)
                .with_decay_input(self.decay_input)
                .with_reset(reset)
                .with_temporal_gradient(reset_gradient(self.detach_reset))
                .with_surrogate(surrogate)
                .into(),
        };
        let neuron = neuron.init(device);
        neuron.expect("the parameters of the cases are valid")
    }
}

fn flat(nested: &[Vec<Vec<f64>>]) -> Vec<f64> {
    nested.iter().flatten().flatten().copied().collect()
}

fn shape(nested: &[Vec<Vec<f64>>]) -> [usize; 3] {
    [nested.len(), nested[0].len(), nested[0][0].len()]
}

#[test]
fn neuron_sequences() {
    const NAME: &str = "neuron_sequences.json";
    let cases = cases(NAME);
    let device = Device::flex().autodiff();
    let mut count = 0;
    for (number, case) in cases.iter().enumerate() {
        let Some(surrogate) = surrogate(case) else {
            continue;
        };
        let case: NeuronCase = typed(NAME, number, case);
        let lif = case.neuron(surrogate, &device);
        let what = format!("case {number}, {}", lif.config());
        let shape = shape(&case.x);
        let x = tensor::<3>(&flat(&case.x), shape, &device).require_grad();
        let weight = tensor::<3>(&flat(&case.loss_weight), shape, &device);
        let (recording, state) = lif.forward_recorded(x.clone(), None);
        assert_eq!(
            values(&recording.spikes),
            flat(&case.spikes),
            "{what}, spikes"
        );
        let membrane = flat(&case.membrane_after_reset);
        assert_close(
            &values(&recording.v),
            &membrane,
            &format!("{what}, membrane"),
        );
        let last = flat(&case.membrane_after_reset[shape[0] - 1..]);
        assert_close(&values(&state.v::<3>()), &last, &format!("{what}, state"));

        let gradients = (recording.spikes * weight).sum().backward();
        let dx = values(&x.grad(&gradients).expect("x is tracked"));
        assert_close(&dx, &flat(&case.grad_x), &format!("{what}, gradient"));
        if let (Some(w), Some(grad_w)) = (case.plif_w, case.grad_plif_w) {
            let AnyNeuron::Lif(lif) = &lif else {
                panic!("{what}: learned")
            };
            let decay = lif.parameter("decay").expect("it has one");
            let parameter = decay.parameter().expect("the decay is learned");
            let start = values(&parameter.val());
            assert!((start[0] - w).abs() < 1e-6, "{what}, w: {start:?}");
            let gradient = values(&parameter.grad(&gradients).expect("w is tracked"));
            assert_close(&gradient, &[grad_w], &format!("{what}, gradient of w"));
        }
        count += 1;
    }
    ran(NAME, count, cases.len(), 52, "none");
}

#[derive(Deserialize)]
struct LeakyParameters {
    beta: f64,
    threshold: f64,
    reset_mechanism: String,
    #[serde(default)]
    learn_beta: bool,
    #[serde(default)]
    learn_threshold: bool,
}

#[derive(Deserialize)]
struct LeakyCase {
    params: LeakyParameters,
    surrogate: String,
    x: Vec<Vec<Vec<f64>>>,
    loss_weight: Vec<Vec<Vec<f64>>>,
    spikes: Vec<Vec<Vec<f64>>>,
    membrane: Vec<Vec<Vec<f64>>>,
    grad_x: Vec<Vec<Vec<f64>>>,
    grad_beta: Option<f64>,
    grad_threshold: Option<f64>,
}

impl LeakyCase {
    fn neuron(&self, device: &Device) -> Lif {
        let LeakyParameters {
            beta, threshold, ..
        } = self.params;
        assert_eq!(self.surrogate, "atan alpha=2");
        let leaky = LifConfig::snntorch_leaky(match self.params.learn_beta {
            true => Decay::learned(beta),
            false => Decay::from(beta),
        });
        leaky
            .with_threshold(match self.params.learn_threshold {
                true => Threshold::learned(threshold),
                false => Threshold::from(threshold),
            })
            .with_reset(match self.params.reset_mechanism.as_str() {
                "subtract" => Reset::DelayedSoft,
                "zero" => Reset::DelayedHard { to: 0.0 },
                other => panic!("reset mechanism `{other}`"),
            })
            .init(device)
            .expect("the parameters of the cases are valid")
    }
}

#[test]
fn snntorch_leaky() {
    const NAME: &str = "snntorch_leaky.json";
    let cases = cases(NAME);
    let device = Device::flex().autodiff();
    for (number, case) in cases.iter().enumerate() {
        let case: LeakyCase = typed(NAME, number, case);
        let lif = case.neuron(&device);
        let what = format!("case {number}, {}", lif.config());
        let shape = shape(&case.x);
        let x = tensor::<3>(&flat(&case.x), shape, &device).require_grad();
        let weight = tensor::<3>(&flat(&case.loss_weight), shape, &device);
        let (recording, _) = lif.forward_recorded(x.clone(), None);
        assert_eq!(
            values(&recording.spikes),
            flat(&case.spikes),
            "{what}, spikes"
        );
        assert_close(&values(&recording.v), &flat(&case.membrane), &what);

        let gradients = (recording.spikes * weight).sum().backward();
        let dx = values(&x.grad(&gradients).expect("x is tracked"));
        assert_close(&dx, &flat(&case.grad_x), &format!("{what}, gradient"));
        for (coefficient, reference) in [
            (lif.parameter("decay").unwrap(), case.grad_beta),
            (lif.parameter("threshold").unwrap(), case.grad_threshold),
        ] {
            let parameter = coefficient.parameter();
            assert_eq!(parameter.is_some(), reference.is_some(), "{what}");
            if let (Some(parameter), Some(reference)) = (parameter, reference) {
                let gradient = values(&parameter.grad(&gradients).expect("it is tracked"));
                assert_close(&gradient, &[reference], &what);
            }
        }
    }
    ran(NAME, cases.len(), cases.len(), 6, "none");
}

#[derive(Deserialize)]
struct NetworkCase {
    curve: String,
    decay: f64,
    v_threshold: f64,
    detach_reset: bool,
    input_spikes: Vec<Vec<Vec<f64>>>,
    target: Vec<Vec<f64>>,
    weights_out_in: Vec<Vec<Vec<f64>>>,
    biases: Vec<Vec<f64>>,
    layer_spikes: Vec<Vec<Vec<Vec<f64>>>>,
    rate: Vec<Vec<f64>>,
    loss: f64,
    grad_weights_out_in: Vec<Vec<Vec<f64>>>,
    grad_biases: Vec<Vec<f64>>,
}

/// `[out][in]` as `[in, out]`, row by row.
fn transposed(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len())
        .flat_map(|i| rows.iter().map(move |row| row[i]))
        .collect()
}

#[test]
fn network_gradients() {
    const NAME: &str = "network_gradients.json";
    let cases = cases(NAME);
    let device = Device::flex().autodiff();
    let mut count = 0;
    for (number, case) in cases.iter().enumerate() {
        let Some(surrogate) = surrogate(case).filter(|_| case["reset"] == "hard") else {
            continue;
        };
        let case: NetworkCase = typed(NAME, number, case);
        let what = format!("case {number}, {} {}", case.curve, case.decay);
        let lif = LifConfig::new()
            .with_threshold(case.v_threshold)
            .with_decay(case.decay)
            .with_temporal_gradient(reset_gradient(case.detach_reset))
            .with_surrogate(surrogate)
            .init(&device)
            .expect("the parameters of the cases are valid");
        let linears: Vec<Linear> = case
            .weights_out_in
            .iter()
            .zip(&case.biases)
            .map(|(weight, bias)| {
                let shape = [weight[0].len(), weight.len()];
                linear(&transposed(weight), shape, bias, &device)
            })
            .collect();

        let input = flat(&case.input_spikes);
        let mut x = tensor::<3>(&input, shape(&case.input_spikes), &device);
        for (linear, reference) in linears.iter().zip(&case.layer_spikes) {
            let current: Tensor<3> = each_step(x, |x: Tensor<2>| linear.forward(x));
            x = lif.forward(current, None).0;
            assert_eq!(values(&x), flat(reference), "{what}, spikes");
        }
        let rates = decode::rate(x);
        assert_close(
            &values(&rates),
            &case.rate.concat(),
            &format!("{what}, rates"),
        );
        let target = tensor::<2>(
            &case.target.concat(),
            [case.target.len(), case.target[0].len()],
            &device,
        );
        let loss = StbpLoss::new().forward_rates(rates, target);
        assert_close(&values(&loss), &[case.loss], &format!("{what}, loss"));

        let gradients = loss.backward();
        for (layer, linear) in linears.iter().enumerate() {
            let weight = values(&linear.weight.grad(&gradients).expect("weights are tracked"));
            let reference = transposed(&case.grad_weights_out_in[layer]);
            assert_close(
                &weight,
                &reference,
                &format!("{what}, weights of layer {layer}"),
            );
            let bias = linear.bias.as_ref().expect("there is a bias");
            let bias = values(&bias.grad(&gradients).expect("biases are tracked"));
            let reference = &case.grad_biases[layer];
            assert_close(
                &bias,
                reference,
                &format!("{what}, biases of layer {layer}"),
            );
        }
        count += 1;
    }
    ran(NAME, count, cases.len(), 9, "none");
}

#[test]
fn augmentation_has_torchvisions_operations() {
    #[derive(Deserialize)]
    struct Case {
        shape: [usize; 3],
        image: Vec<f32>,
        changed: Vec<Changed>,
    }
    #[derive(Deserialize)]
    struct Changed {
        operation: Operation,
        values: Vec<f32>,
    }
    let text = include_str!("../fixtures/augment.json");
    let file: File = serde_json::from_str(text).unwrap();
    let mut operations = 0;
    for case in file.cases {
        let case: Case = serde_json::from_value(case).unwrap();
        for Changed { operation, values } in case.changed {
            let mut image: Vec<f32> = case.image.iter().map(|x| x / 255.0).collect();
            operation.apply(&mut image, case.shape);
            for (i, (got, expected)) in image.iter().zip(&values).enumerate() {
                let (shape, error) = (case.shape, (got - expected).abs());
                assert!(
                    error < 2e-4,
                    "{operation:?} of {shape:?} at {i}: {got} {expected}"
                );
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 50);
}

#[test]
fn converted_neurons_are_those_of_spikingjelly() {
    #[derive(Deserialize)]
    struct Case {
        start: f64,
        threshold: Vec<f64>,
        shape: [usize; 4],
        currents: Vec<f64>,
        outputs: Vec<f64>,
    }
    let file: File = serde_json::from_str(include_str!("../fixtures/conversion.json")).unwrap();
    assert_eq!(file.cases.len(), 2);
    let device = Device::flex();
    for case in file.cases {
        let case: Case = serde_json::from_value(case).unwrap();
        let config = ScaledIfConfig::new()
            .with_threshold(case.threshold)
            .with_start(case.start);
        let currents = tensor(&case.currents, case.shape, &device);
        let (outputs, _) = config.init(&device).unwrap().forward(currents, None);
        assert_close(&values(&outputs), &case.outputs, "outputs");
    }
}
