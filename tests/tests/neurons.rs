//! Neurons with equations of their own: the numbers of other libraries, fused against unrolled, parts against the whole, and
//! gradients against finite differences.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use synfire::neuron::{
    AdLifConfig, AdaptiveLifConfig, AlphaLifConfig, AlphaReset, CubaLifConfig, Decay,
    ExponentialIfConfig, GatedLifConfig, IzhikevichConfig, KlifConfig, LifConfig, MaskedPsnConfig,
    Neuron, NeuronState, ParamInit, PsnConfig, QuadraticIfConfig, Reset, ResetGradient,
    ResonateAndFireConfig, SlidingPsnConfig, Spikes, TemporalGradient, Threshold, Values,
};
use synfire::ops::Execution;
use synfire::spike::Forward;
use synfire::surrogate::Surrogate;
use synfire_models::{Library, Names, import};
use synfire_tests::strategies::{CHANNELS, numbers};
use synfire_tests::{
    assert_close, assert_close_sums, parameter_gradients, say, tensor, values, write_tensors,
};

/// A neuron with the parameters of another library, by its names, as a file of it has them.
fn imported<N: Module>(
    mut neuron: N,
    library: Library,
    parameters: &[(&str, &str, Vec<f64>)],
) -> N {
    struct Shapes(Vec<(String, Vec<usize>)>, Vec<String>);

    impl ModuleVisitor for Shapes {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.0.push((self.1.join("."), parameter.dims().to_vec()));
        }

        fn enter_module(&mut self, name: &str, _container: &str) {
            self.1.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.1.pop();
        }
    }

    let mut shapes = Shapes(Vec::new(), Vec::new());
    neuron.visit(&mut shapes);
    let tensors = parameters.iter().map(|(ours, theirs, numbers)| {
        let (_, shape) = shapes.0.iter().find(|(name, _)| name == ours).unwrap();
        (*theirs, shape.clone(), numbers.clone())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("neuron.safetensors");
    write_tensors(&path, tensors);
    import(&mut neuron, &Names::new(), library, &path).unwrap();
    neuron
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    params: Value,
    shape: Vec<usize>,
    x: Vec<f64>,
    loss_weight: Vec<f64>,
    spikes: Vec<f64>,
    membranes: Option<Vec<f64>>,
    states: serde_json::Map<String, Value>,
    grad_x: Vec<f64>,
    learned: serde_json::Map<String, Value>,
    grad_learned: serde_json::Map<String, Value>,
}

fn list(value: &Value) -> Vec<f64> {
    Vec::deserialize(value).unwrap()
}

impl Case {
    fn flag(&self, name: &str) -> bool {
        self.params[name].as_bool().unwrap()
    }

    /// SpikingJelly's reset and its gradient.
    fn reset(&self) -> (Reset, TemporalGradient) {
        let reset = match self.params["v_reset"].as_f64() {
            Some(to) => Reset::Hard { to },
            None => Reset::Soft,
        };
        let gradient = match self.flag("detach") {
            true => ResetGradient::Detached,
            false => ResetGradient::Exact,
        };
        (reset, TemporalGradient::Full(gradient))
    }

    /// Compares a neuron with the case. `renamed` says what its states and parameters are called there.
    fn compare<N: Neuron>(&self, neuron: N, states: &[(&str, &str)], renamed: &[(&str, &str)]) {
        let what = format!("{} {}", self.kind, self.params);
        let device = Device::flex().autodiff();
        let learned: Vec<_> = renamed
            .iter()
            .filter(|(_, theirs)| self.learned.contains_key(*theirs))
            .map(|(ours, theirs)| (*ours, *theirs, list(&self.learned[*theirs])))
            .collect();
        assert_eq!(learned.len(), self.learned.len(), "{what}: parameters");
        let library = match self.kind.as_str() {
            "synaptic" | "alpha" => Library::SnnTorch,
            _ => Library::SpikingJelly,
        };
        let neuron = imported(neuron, library, &learned);

        // All in one row after the batch, or by channels.
        let [steps, batch, channels] = [0, 1, 2].map(|axis| self.shape[axis]);
        let rest: usize = self.shape[3..].iter().product();
        let check = |spikes: &Tensor<3>, of: &str| {
            assert_eq!(values(spikes), self.spikes, "{what}: {of}");
        };
        if rest > 1 {
            let shape = [steps, batch, channels, rest];
            let x = tensor::<4>(&self.x, shape, &device).require_grad();
            let (spikes, _) = neuron.forward(x.clone(), None);
            assert_eq!(values(&spikes), self.spikes, "{what}: spikes");
            let weight = tensor::<4>(&self.loss_weight, shape, &device);
            let gradients = (spikes * weight).sum().backward();
            let by_x = values(&x.grad(&gradients).unwrap());
            assert_close(&by_x, &self.grad_x, &format!("{what}: gradient"));
            self.compare_learned(&neuron, &gradients, &learned, &what);
            return;
        }
        let shape = [steps, batch, channels];
        let x = tensor::<3>(&self.x, shape, &device).require_grad();
        let weight = tensor::<3>(&self.loss_weight, shape, &device);
        let (recording, last) = neuron.forward_recorded(x.clone(), None);
        check(&recording.spikes, "spikes, recorded");
        if let Some(membranes) = &self.membranes {
            assert_close(&values(&recording.v), membranes, &format!("{what}: v"));
        }
        for (ours, name) in states {
            let expected = list(&self.states[*name]);
            let state = last.get::<3>(ours).unwrap();
            assert_close(&values(&state), &expected, &format!("{what}: {name}"));
        }
        let (spikes, last) = neuron.forward(x.clone(), None);
        check(&spikes, "spikes");
        for (ours, name) in states {
            let expected = list(&self.states[*name]);
            let state = last.get::<3>(ours).unwrap();
            assert_close(&values(&state), &expected, &format!("{what}: {name}"));
        }
        for spikes in [spikes, recording.spikes] {
            let gradients = (spikes * weight.clone()).sum().backward();
            let by_x = values(&x.grad(&gradients).unwrap());
            assert_close(&by_x, &self.grad_x, &format!("{what}: gradient"));
            self.compare_learned(&neuron, &gradients, &learned, &what);
        }
    }

    fn compare_learned(
        &self,
        neuron: &impl Module,
        gradients: &Gradients,
        learned: &[(&str, &str, Vec<f64>)],
        what: &str,
    ) {
        let found = parameter_gradients(neuron, gradients);
        for (ours, theirs, _) in learned {
            let (_, gradient) = found.iter().find(|(name, _)| name == ours).unwrap();
            let expected = list(&self.grad_learned[*theirs]);
            assert_close(gradient, &expected, &format!("{what}: gradient of {ours}"));
        }
    }
}

#[test]
fn other_libraries_compute_the_same() {
    let text = include_str!("../fixtures/neurons.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let cases: Vec<Case> = Vec::deserialize(&file["cases"]).unwrap();
    let device = Device::flex().autodiff();
    let atan = Surrogate::atan(2.0).unwrap();
    for case in &cases {
        match case.kind.as_str() {
            "quadratic-if" => {
                let (reset, gradient) = case.reset();
                let config = QuadraticIfConfig::new()
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(atan);
                case.compare(config.init(&device).unwrap(), &[("v", "v")], &[]);
            }
            "exponential-if" => {
                let (reset, gradient) = case.reset();
                let config = ExponentialIfConfig::new()
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(atan);
                case.compare(config.init(&device).unwrap(), &[("v", "v")], &[]);
            }
            "izhikevich" => {
                let (reset, gradient) = case.reset();
                let config = IzhikevichConfig::new()
                    .with_a(0.4)
                    .with_b(0.3)
                    .with_tau_recovery(3.0)
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(atan);
                let states = &[("v", "v"), ("w", "w")];
                case.compare(config.init(&device).unwrap(), states, &[]);
            }
            "resonate-and-fire" => {
                let (reset, gradient) = case.reset();
                let config = ResonateAndFireConfig::new()
                    .with_frequency(0.9)
                    .with_threshold(0.5)
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(atan);
                let states = &[("v", "v"), ("current", "u")];
                case.compare(config.init(&device).unwrap(), states, &[]);
            }
            "klif" => {
                let (reset, gradient) = case.reset();
                let config = KlifConfig::new()
                    .with_threshold(0.6)
                    .with_decay_input(case.flag("decay_input"))
                    .with_scale_reset(case.flag("scale_reset"))
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(atan);
                let renamed = [("slope.parameter", "k")];
                case.compare(config.init(&device).unwrap(), &[("v", "v")], &renamed);
            }
            "ternary-lif" => {
                let (reset, gradient) = case.reset();
                let config = LifConfig::new()
                    .with_spikes(Spikes::Ternary)
                    .with_threshold(0.4)
                    .with_decay(0.5)
                    .with_decay_input(case.flag("decay_input"))
                    .with_reset(reset)
                    .with_temporal_gradient(gradient)
                    .with_surrogate(atan);
                case.compare(config.init(&device).unwrap(), &[("v", "v")], &[]);
            }
            "gated-lif" => {
                let channels = case.params["channels"].as_u64().map(|c| c as usize);
                let config = GatedLifConfig::new()
                    .with_time_steps(6)
                    .with_channels(channels)
                    .with_surrogate(atan);
                let renamed = [
                    ("alpha", "alpha"),
                    ("beta", "beta"),
                    ("gamma", "gamma"),
                    ("decay", "tau"),
                    ("threshold", "v_threshold"),
                    ("leak", "linear_decay"),
                    ("subtracted", "v_subreset"),
                    ("conductance", "conduct"),
                ];
                case.compare(config.init(&device).unwrap(), &[], &renamed);
            }
            "psn" => {
                let config = PsnConfig::new().with_time_steps(6).with_surrogate(atan);
                let renamed = [("weight", "weight"), ("bias", "bias")];
                case.compare(config.init(&device).unwrap(), &[], &renamed);
            }
            "masked-psn" => {
                let config = MaskedPsnConfig::new()
                    .with_time_steps(6)
                    .with_order(3)
                    .with_mask(case.params["mask"].as_f64().unwrap())
                    .with_surrogate(atan);
                let renamed = [("weight", "weight"), ("bias", "bias")];
                case.compare(config.init(&device).unwrap(), &[], &renamed);
            }
            "sliding-psn" => {
                let config = SlidingPsnConfig::new().with_order(3).with_surrogate(atan);
                let renamed = [("weight", "weight"), ("bias", "bias")];
                case.compare(config.init(&device).unwrap(), &[], &renamed);
            }
            "synaptic" => {
                let reset = match case.params["reset"].as_str().unwrap() {
                    "subtract" => Reset::DelayedSoft,
                    _ => Reset::DelayedHard { to: 0.0 },
                };
                let learned = case.flag("learn");
                let decay = |value: f64| match learned {
                    true => Decay::learned(value),
                    false => value.into(),
                };
                let config = CubaLifConfig::new()
                    .with_synapse_decay(decay(0.7))
                    .with_decay(decay(0.85))
                    .with_threshold(match learned {
                        true => Threshold::learned(0.9),
                        false => 0.9.into(),
                    })
                    .with_reset(reset)
                    .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
                    .with_forward(Forward::StrictStep)
                    .with_surrogate(atan);
                let renamed = [
                    ("synapse_decay.parameter", "alpha"),
                    ("decay.parameter", "beta"),
                    ("threshold.parameter", "threshold"),
                ];
                let states = &[("v", "mem"), ("current", "syn")];
                case.compare(config.init(&device).unwrap(), states, &renamed);
            }
            "alpha" => {
                let config = AlphaLifConfig::new()
                    .with_decay_excitatory(0.8)
                    .with_decay_inhibitory(0.6)
                    .with_threshold(match case.flag("learn") {
                        true => Threshold::learned(0.4),
                        false => 0.4.into(),
                    })
                    .with_reset(match case.params["reset"].as_str().unwrap() {
                        "zero" => AlphaReset::DelayedHard,
                        _ => AlphaReset::None,
                    })
                    .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
                    .with_forward(Forward::StrictStep)
                    .with_surrogate(atan);
                let renamed = [("threshold.parameter", "threshold")];
                let states = &[
                    ("v", "mem"),
                    ("excitatory", "syn_exc"),
                    ("inhibitory", "syn_inh"),
                ];
                case.compare(config.init(&device).unwrap(), states, &renamed);
            }
            other => panic!("a case of {other}"),
        }
    }
    say(&format!("neurons.json: {} cases", cases.len()));
    assert_eq!(cases.len(), 55);
}

/// The tensors of a state.
fn tensors(state: &NeuronState) -> Vec<(String, Tensor<3>)> {
    let names = state.names();
    names
        .map(|name| (name.to_owned(), state.get(name).unwrap()))
        .collect()
}

/// Spikes, states and gradients of a neuron by input, states and parameters.
fn outcome<N: Neuron>(
    neuron: &N,
    shape: [usize; 3],
    state: Option<Vec<(String, Tensor<3>)>>,
) -> (Vec<f64>, Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let device = Device::flex().autodiff();
    let len = shape.iter().product::<usize>();
    let x = tensor::<3>(&numbers(0, len), shape, &device).require_grad();
    let before = state.clone();
    let (spikes, last) = neuron.forward(x.clone(), state.map(|state| NeuronState::new(state, 1)));
    let last = tensors(&last);
    let weight = tensor::<3>(&numbers(1, len), shape, &device);
    // There may be no path from the input to the spikes of a single step.
    let mut loss = (spikes.clone() * weight).sum() + x.clone().sum();
    for (i, (_, state)) in last.iter().enumerate() {
        let len = len / shape[0];
        let weight = tensor::<3>(&numbers(2 + i as u64, len), state.dims(), &device);
        loss = loss + (state.clone() * weight).sum();
    }
    let gradients = loss.backward();
    let mut found = vec![values(&x.grad(&gradients).unwrap())];
    for (_, state) in before.into_iter().flatten() {
        let zeros = vec![0.0; state.shape().num_elements()];
        found.push(state.grad(&gradients).map_or(zeros, |g| values(&g)));
    }
    let parameters = parameter_gradients(neuron, &gradients);
    found.extend(parameters.into_iter().map(|(_, gradient)| gradient));
    let last = last.iter().map(|(_, state)| values(state));
    (values(&spikes), last.collect(), found)
}

/// What can be chosen about any of the neurons.
#[derive(Clone, Copy, Debug)]
struct Setting {
    reset: Reset,
    gradient: TemporalGradient,
    forward: Forward,
    channels: bool,
    learned: bool,
    decay_input: bool,
}

impl Setting {
    fn values(self, start: f64) -> Values {
        match self.channels {
            true => Values::PerChannel(vec![start, 0.5, 0.625]),
            false => Values::One(start),
        }
    }

    fn decay(self, start: f64) -> Decay {
        match self.learned {
            true => Decay::learned(self.values(start)),
            false => Decay::Fixed(self.values(start)),
        }
    }

    fn number(self, start: f64) -> ParamInit {
        match self.learned {
            true => ParamInit::learned(self.values(start)),
            false => ParamInit::Fixed(self.values(start)),
        }
    }

    /// The reset in the step itself.
    fn now(self) -> Reset {
        match self.reset {
            Reset::DelayedHard { to } => Reset::Hard { to },
            Reset::DelayedSoft => Reset::Soft,
            reset => reset,
        }
    }
}

fn settings() -> impl Strategy<Value = Setting> {
    let reset = prop_oneof![
        Just(Reset::HARD),
        Just(Reset::Hard { to: -0.25 }),
        Just(Reset::Soft),
        Just(Reset::DelayedHard { to: 0.125 }),
        Just(Reset::DelayedSoft),
    ];
    let gradient = prop_oneof![
        Just(TemporalGradient::Full(ResetGradient::Exact)),
        Just(TemporalGradient::Full(ResetGradient::Detached)),
        Just(TemporalGradient::Off),
    ];
    let forward = prop_oneof![Just(Forward::Step), Just(Forward::StrictStep)];
    (reset, gradient, forward, any::<[bool; 3]>()).prop_map(
        |(reset, gradient, forward, [channels, learned, decay_input])| Setting {
            reset,
            gradient,
            forward,
            channels,
            learned,
            decay_input,
        },
    )
}

/// A test of each kind of neuron, which is made for an execution.
trait With {
    fn run<N: Neuron>(&self, name: &str, neuron: &dyn Fn(Execution, Forward) -> N);
}

/// Does something with every neuron that has equations of its own.
fn each_neuron(setting: Setting, with: &impl With) {
    let device = Device::flex().autodiff();
    let surrogate = Surrogate::atan(2.0).unwrap();
    /// Configures what all have, and makes the neuron.
    macro_rules! run {
        ($config:expr) => {{
            let config = $config
                .with_temporal_gradient(setting.gradient)
                .with_surrogate(surrogate);
            let neuron = |path: Execution, forward: Forward| {
                let config = config.clone().with_execution(path).with_forward(forward);
                config.init(&device).unwrap()
            };
            with.run(&format!("{config:?}"), &neuron);
        }};
    }
    let Setting { decay_input, .. } = setting;
    run!(
        CubaLifConfig::new()
            .with_reset(setting.reset)
            .with_synapse_decay(setting.decay(0.75))
            .with_decay(setting.decay(0.5))
            .with_threshold(setting.number(0.5))
    );
    run!(
        AdaptiveLifConfig::new()
            .with_reset(setting.now())
            .with_decay(setting.decay(0.75))
            .with_decay_input(decay_input)
            .with_adaptation_decay(setting.decay(0.5))
            .with_adaptation(setting.number(0.75))
            .with_threshold(setting.number(0.25))
    );
    run!(
        AdLifConfig::new()
            .with_reset(setting.now())
            .with_decay(setting.decay(0.5))
            .with_adaptation_decay(setting.decay(0.25))
            .with_a(setting.number(0.125))
            .with_b(setting.number(0.25))
            .with_threshold(setting.number(0.125))
    );
    run!(
        AlphaLifConfig::new()
            .with_reset(match setting.reset {
                Reset::HARD => AlphaReset::None,
                Reset::DelayedHard { .. } | Reset::DelayedSoft => AlphaReset::DelayedHard,
                _ => AlphaReset::Hard,
            })
            .with_decay_excitatory(match setting.learned {
                true => Decay::learned(vec![0.75, 0.875, 0.8125]),
                false => Decay::from(0.75),
            })
            .with_decay_inhibitory(setting.decay(0.5))
            .with_threshold(setting.number(0.25))
    );
    run!(
        KlifConfig::new()
            .with_reset(setting.now())
            .with_decay(setting.decay(0.5))
            .with_decay_input(decay_input)
            .with_scale_reset(setting.learned)
            .with_slope(setting.number(1.25))
            .with_threshold(setting.number(0.5))
    );
    run!(
        QuadraticIfConfig::new()
            .with_reset(match setting.now() {
                // Which lets the square run away.
                Reset::Soft => Reset::HARD,
                reset => reset,
            })
            .with_threshold(setting.number(0.5))
    );
    run!(
        ExponentialIfConfig::new()
            .with_reset(setting.now())
            .with_threshold(setting.number(0.75))
    );
    run!(
        IzhikevichConfig::new()
            .with_reset(match setting.now() {
                Reset::Soft => Reset::HARD,
                reset => reset,
            })
            .with_a(0.25)
            .with_b(0.5)
            .with_threshold(setting.number(0.5))
    );
    run!(
        ResonateAndFireConfig::new()
            .with_reset(setting.now())
            .with_damping(match setting.learned {
                true => ParamInit::learned(-0.25),
                false => (-0.125).into(),
            })
            .with_frequency(setting.number(0.75))
            .with_threshold(setting.number(0.25))
    );
    for spikes in [Spikes::Ternary, Spikes::Levels(3)] {
        run!(
            LifConfig::new()
                .with_spikes(spikes)
                .with_reset(setting.now())
                .with_decay(setting.decay(0.5))
                .with_decay_input(decay_input)
                .with_threshold(setting.number(0.25))
        );
    }
}

/// Fused against unrolled.
struct Paths {
    shape: [usize; 3],
    with_state: bool,
    setting: Setting,
}

impl With for Paths {
    fn run<N: Neuron>(&self, name: &str, neuron: &dyn Fn(Execution, Forward) -> N) {
        let device = Device::flex().autodiff();
        let Self { shape, setting, .. } = *self;
        let on = |path| {
            let one = [1, shape[1], shape[2]];
            let neuron = neuron(path, setting.forward);
            let rest = neuron.initial(shape, &device);
            let state = rest.names().enumerate().map(|(i, name)| {
                let numbers = numbers(7 + i as u64, one.iter().product());
                let tensor = tensor::<3>(&numbers, one, &device).require_grad();
                (name.to_owned(), tensor)
            });
            let state = self.with_state.then(|| state.collect());
            outcome(&neuron, shape, state)
        };
        let (fused, unrolled) = (on(Execution::Auto), on(Execution::Unrolled));
        let what = format!("{name} {shape:?} {setting:?}");
        assert_eq!(fused.0, unrolled.0, "{what}: spikes");
        for (i, (fused, unrolled)) in fused.1.iter().zip(&unrolled.1).enumerate() {
            assert_close(fused, unrolled, &format!("{what}: state {i}"));
        }
        assert_eq!(fused.2.len(), unrolled.2.len());
        for (i, (fused, unrolled)) in fused.2.iter().zip(&unrolled.2).enumerate() {
            let terms = shape.iter().product();
            assert_close_sums(fused, unrolled, terms, &format!("{what}: gradient {i}"));
        }
    }
}

/// Two parts with the state carried against the whole.
struct Parts(usize);

impl With for Parts {
    fn run<N: Neuron>(&self, name: &str, neuron: &dyn Fn(Execution, Forward) -> N) {
        let device = Device::flex();
        let shape = [7, 2, CHANNELS];
        let x = tensor::<3>(&numbers(0, 42), shape, &device);
        for path in [Execution::Auto, Execution::Unrolled] {
            let neuron = neuron(path, Forward::Step);
            let (whole, end) = neuron.forward(x.clone(), None);
            let first = x.clone().slice(0..self.0);
            let (first, state) = neuron.forward(first, Some(neuron.initial(shape, &device)));
            let text = serde_json::to_string(&state).unwrap();
            let state: NeuronState = serde_json::from_str(&text).unwrap();
            let rest = x.clone().slice(self.0..7);
            let (rest, last) = neuron.forward(rest, Some(state.to_device(&device)));
            let parts = Tensor::cat(vec![first, rest], 0);
            assert_eq!(values(&parts), values(&whole), "{name}");
            for ((_, last), (_, end)) in tensors(&last).iter().zip(&tensors(&end)) {
                assert_close(&values(last), &values(end), name);
            }
            let (recording, _) = neuron.forward_recorded(x.clone(), None);
            assert_eq!(values(&recording.spikes), values(&whole), "{name}");
            assert!(
                values(&whole).iter().any(|spike| *spike != 0.0),
                "{name} is silent"
            );
        }
    }
}

/// Gradients of a smooth forward pass against finite differences, in single precision: of the input alone.
struct Differences;

impl With for Differences {
    fn run<N: Neuron>(&self, name: &str, neuron: &dyn Fn(Execution, Forward) -> N) {
        const STEP: f64 = 1.0 / 256.0;
        if name.starts_with("Klif") {
            // Its membrane has a corner at 0.
            return;
        }
        let device = Device::flex().autodiff();
        let shape = [4, 1, CHANNELS];
        let neuron = neuron(Execution::Auto, Forward::Smooth);
        let start = numbers(0, 12);
        let weight = tensor::<3>(&numbers(1, 12), shape, &device);
        let loss = |x: Tensor<3>| (neuron.forward(x, None).0 * weight.clone()).sum();
        let x = tensor::<3>(&start, shape, &device).require_grad();
        let gradient = values(&x.grad(&loss(x.clone()).backward()).unwrap());
        let scale = gradient.iter().fold(0.0f64, |max, x| max.max(x.abs()));
        for (i, by_x) in gradient.iter().enumerate() {
            let at = |by: f64| {
                let mut moved = start.clone();
                moved[i] += by;
                values(&loss(tensor::<3>(&moved, shape, &device)))[0]
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            // Of the second order, and with the rounding of single precision.
            assert!(
                (by_x - difference).abs() <= 2e-3 * scale,
                "{name}: {by_x} by the graph, {difference} by a difference"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn fused_equals_unrolled(
        setting in settings(),
        steps in 1..9usize,
        batch in 1..4usize,
        with_state in any::<bool>(),
    ) {
        let shape = [steps, batch, CHANNELS];
        each_neuron(setting, &Paths { shape, with_state, setting });
    }
}

#[test]
fn fused_equals_unrolled_over_many_blocks() {
    let setting = Setting {
        reset: Reset::HARD,
        gradient: TemporalGradient::default(),
        forward: Forward::Step,
        channels: false,
        learned: true,
        decay_input: true,
    };
    for shape in [[3, 1, 4099], [200, 2, 97]] {
        each_neuron(
            setting_without_channels(setting),
            &Paths {
                shape,
                with_state: false,
                setting,
            },
        );
    }
}

/// Without numbers that only go with three channels.
fn setting_without_channels(setting: Setting) -> Setting {
    Setting {
        learned: false,
        ..setting
    }
}

#[test]
fn parts_are_the_whole() {
    for reset in [Reset::Hard { to: -0.25 }, Reset::Soft, Reset::DelayedSoft] {
        let setting = Setting {
            reset,
            gradient: TemporalGradient::default(),
            forward: Forward::Step,
            channels: true,
            learned: false,
            decay_input: false,
        };
        for first in [1, 4] {
            each_neuron(setting, &Parts(first));
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for reset in [
        Reset::Hard { to: -0.25 },
        Reset::Soft,
        Reset::DelayedHard { to: 0.125 },
    ] {
        let setting = Setting {
            reset,
            gradient: TemporalGradient::default(),
            forward: Forward::Smooth,
            channels: false,
            learned: false,
            decay_input: true,
        };
        each_neuron(setting, &Differences);
    }
}
