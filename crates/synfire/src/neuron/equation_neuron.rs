//! Neurons defined by equations.

use std::fmt::Debug;

use burn::backend::{Dispatch, DispatchTensor};
use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::{Device, FloatDType, Shape, Tensor};
use serde::{Deserialize, Serialize};

use super::by_hand::{ByEquations, ByHand};
use super::coefficient::Coefficient;
use super::{
    Neuron, NeuronConfig, NeuronState, Parameter, Recording, TemporalGradient, check_sequence,
    time_steps,
};
use crate::InvalidConfig;
use crate::dynamics::{Equations, FireTerm, Real, Term, common_shape};
use crate::ops::{DynamicsKernel, DynamicsOps, Execution, LifKernel, OptionalTensor, serves};
use crate::spike::Forward;
use crate::surrogate::Surrogate;

/// A configuration of neurons defined by equations: everything that [`EquationNeuron`] needs to run them.
///
/// Usually the configuration implements [`Dynamics`](crate::dynamics::Dynamics) itself. A complete neuron:
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::dynamics::{Dynamics, Equations, Fire, Real, Step};
/// use synfire::neuron::{Decay, EquationConfig, EquationNeuron, Neuron, Parameter, Threshold};
/// use synfire::{InvalidConfig, equation_config};
///
/// equation_config! {
///     /// Configuration of a [`Leaky`].
///     pub struct LeakyConfig {
///         /// The potential at which the neuron fires.
///         with_threshold => threshold: Threshold = Threshold::from(1.0),
///         /// The part of the potential that one step leaves.
///         with_decay => decay: Decay = Decay::from(0.5),
///     }
/// }
///
/// /// `u[t] = decay v[t-1] + x[t]`, reset to 0.
/// pub type Leaky = EquationNeuron<LeakyConfig>;
///
/// impl EquationConfig for LeakyConfig {
///     const NAME: &'static str = "Leaky";
///
///     fn parameters(&self) -> Vec<Parameter> {
///         vec![self.decay.named("decay"), self.threshold.named("threshold")]
///     }
///
///     fn equations(&self) -> Equations {
///         Equations::new(self.clone())
///     }
/// }
///
/// impl Dynamics<1, 2> for LeakyConfig {
///     const CARRIED: [&'static str; 1] = ["v"];
///
///     fn rest(&self) -> [f64; 1] {
///         [0.0]
///     }
///
///     #[inline(always)]
///     fn step<R: Real>(&self, [decay, threshold]: &[R; 2], [v]: [R; 1], x: R, fire: &impl Fire<R>) -> Step<R, 1> {
///         let u = decay.clone() * v + x;
///         let spike = fire.fire(u.clone() - threshold.clone());
///         let v = u.clone() * spike.clone().complement();
///         Step { carried: [v], u, spike }
///     }
/// }
///
/// let device = Device::default();
/// let neuron: Leaky = LeakyConfig::new().with_decay(Decay::learned(0.9)).init(&device)?;
/// let (spikes, state) = neuron.forward(Tensor::<3>::ones([4, 2, 5], &device), None);
/// # Ok::<(), InvalidConfig>(())
/// ```
pub trait EquationConfig: NeuronSettings + Clone + Debug + Send + Sync + 'static {
    /// The name of the neuron, for messages and files.
    const NAME: &'static str;

    /// The parameters of the module, by name.
    fn parameters(&self) -> Vec<Parameter>;

    /// The equations.
    fn equations(&self) -> Equations;

    /// The parameters of the equations, in their order, from those of the module, in theirs: the same unless a neuron says
    /// otherwise.
    fn prepare(&self, parameters: Vec<Term>) -> Vec<Term> {
        parameters
    }

    /// Checks everything but the [parameters](Self::parameters).
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    fn check(&self) -> Result<(), InvalidConfig> {
        Ok(())
    }

    /// The name of the neuron, for messages.
    #[doc(hidden)]
    fn name(&self) -> &'static str {
        Self::NAME
    }

    /// The hand-written kernel for the same equations, if there is one.
    #[doc(hidden)]
    fn kernel(&self) -> Option<LifKernel> {
        None
    }

    /// Checks everything that creating the neuron does.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    fn validate(&self) -> Result<(), InvalidConfig> {
        for parameter in self.parameters() {
            parameter.validate(self.name())?;
        }
        self.check()
    }
}

/// A configuration with the options that all neurons have in common; [`equation_config!`](crate::equation_config) implements it.
pub trait NeuronSettings {
    /// The options that all neurons have in common.
    fn settings(&self) -> Settings;
}

/// The options that all neurons have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Gradients through time and reset.
    pub temporal_gradient: TemporalGradient,
    /// The surrogate derivative of the spike.
    pub surrogate: Surrogate,
    /// The spike function, or a smooth one for gradient checks.
    pub forward: Forward,
    /// Execution of a sequence: by a fused kernel where there is one, or unrolled.
    pub execution: Execution,
}

/// Neurons defined by equations, of any shape: a module with the parameters of its configuration.
///
/// `Klif` and the others are this module, each with its own configuration. Created by the configurations, or from a custom
/// configuration by [`new`](Self::new).
#[derive(Clone, Debug)]
pub struct EquationNeuron<C> {
    /// The names of the parameters.
    names: Vec<&'static str>,
    /// The parameters, in the order of their names.
    coefficients: Vec<Coefficient>,
    equations: Equations,
    settings: Settings,
    /// The hand-written kernel for the same equations, if there is one.
    kernel: Option<LifKernel>,
    config: C,
}

impl<C: EquationConfig> EquationNeuron<C> {
    /// Creates neurons.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](EquationConfig::validate), or this build has no operations for the device.
    pub fn new(config: C, device: &Device) -> Result<Self, InvalidConfig> {
        config.validate()?;
        serves::require_registered(config.name(), device)?;
        let parameters = config.parameters();
        let coefficients = parameters.iter().map(|parameter| parameter.init(device));
        Ok(Self {
            names: parameters.iter().map(|parameter| parameter.name).collect(),
            coefficients: coefficients.collect(),
            equations: config.equations().of(NeuronConfig::of_any(&config)),
            settings: config.settings(),
            kernel: config.kernel(),
            config,
        })
    }

    /// The configuration the neuron was made from.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&Coefficient> {
        let found = self.parameters().find(|(other, _)| *other == name);
        found.map(|(_, coefficient)| coefficient)
    }

    /// All parameters by name.
    fn parameters(&self) -> impl Iterator<Item = (&'static str, &Coefficient)> {
        self.names.iter().copied().zip(&self.coefficients)
    }

    fn run(&self) -> Run<'_> {
        Run {
            owner: self.config.name(),
            equations: &self.equations,
            settings: self.settings,
        }
    }

    /// The parameters of the equations, as terms for such a sequence.
    fn terms<const D: usize>(&self, input: &Tensor<D>) -> Vec<Term> {
        let owner = self.config.name();
        let terms = self.parameters();
        let terms = terms.map(|(name, coefficient)| coefficient.term(owner, name, input));
        self.config.prepare(terms.collect())
    }
}

impl<C: EquationConfig> Neuron for EquationNeuron<C> {
    fn temporal_gradient(&self) -> TemporalGradient {
        self.settings.temporal_gradient
    }

    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        self.run().initial(sequence, device)
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        let terms = self.terms(&input);
        self.run().recorded(input, state, &terms)
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        if let Some(by_hand) = self.by_hand(&input) {
            return by_hand.forward(input, state);
        }
        let terms = self.terms(&input);
        self.run().forward(input, state, &terms)
    }

    fn described(&self) -> Option<NeuronConfig> {
        let mut config = NeuronConfig::of_any(&self.config)?;
        for (name, coefficient) in self.parameters() {
            if let Some(values) = coefficient.learned() {
                config.set(name, values).ok()?;
            }
        }
        Some(config)
    }

    fn by_hand<const D: usize>(&self, input: &Tensor<D>) -> Option<ByHand<'_>> {
        let kernel = self.kernel?;
        if self.settings.execution != Execution::Auto || !serves::lif(input, &kernel) {
            return None;
        }
        let [decay, threshold] = ["decay", "threshold"].map(|name| {
            let coefficient = self.parameter(name);
            coefficient.filter(|coefficient| !coefficient.is_per_neuron())
        });
        Some(ByHand {
            owner: self.config.name(),
            decay: decay?,
            threshold: threshold?,
            kernel,
        })
    }

    fn by_equations<const D: usize>(&self, input: &Tensor<D>) -> Option<ByEquations<'_>> {
        let run = self.run();
        if !run.is_fused(input) || self.coefficients.iter().any(Coefficient::is_per_neuron) {
            return None;
        }
        let parameters = self.terms(input);
        (!are_per_neuron(&common_shape(&parameters))).then_some(ByEquations { run, parameters })
    }
}

/// A run of equations over a sequence.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The name of the neuron, for messages.
    pub owner: &'static str,
    pub equations: &'a Equations,
    pub settings: Settings,
}

impl Run<'_> {
    pub fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        let mut shape = sequence;
        shape[0] = 1;
        let rest = self.equations.any().rest().into_iter();
        self.state(rest.map(|rest| Tensor::<D>::full(shape, rest, device)), 0)
    }

    /// The spikes, and the state after the last step.
    pub fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
        parameters: &[Term],
    ) -> (Tensor<D>, NeuronState) {
        if self.is_fused(&input) {
            return self.fused(
                input,
                state,
                parameters,
                <Dispatch as DynamicsOps>::dynamics,
            );
        }
        let mut spikes = Vec::new();
        let state = self.unroll(input, state, parameters, |step| spikes.push(step.spikes));
        (Tensor::cat(spikes, 0), state)
    }

    /// True if a sequence runs as one operation.
    fn is_fused<const D: usize>(&self, input: &Tensor<D>) -> bool {
        self.settings.execution == Execution::Auto
            && self.settings.forward != Forward::Smooth
            && serves::dynamics(input, self.equations, self.settings.surrogate)
    }

    /// The record of every step, and the state after the last one.
    pub fn recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
        parameters: &[Term],
    ) -> (Recording<D>, NeuronState) {
        let mut steps = Vec::new();
        let state = self.unroll(input, state, parameters, |step| steps.push(step));
        (Recording::cat(steps), state)
    }

    /// The number of previous steps, and the carried values, if any.
    fn start<const D: usize>(
        &self,
        sequence: [usize; D],
        state: Option<NeuronState>,
    ) -> (usize, Option<Vec<Tensor<D>>>) {
        check_sequence(self.owner, sequence, None);
        let Some(state) = state else {
            return (0, None);
        };
        let names = self.equations.any().carried().iter();
        let carried = names.map(|name| {
            let tensor = state.expect::<D>(name);
            check_sequence(self.owner, sequence, Some(tensor.dims()));
            tensor
        });
        (state.steps(), Some(carried.collect()))
    }

    /// The state of these tensors after this many steps.
    fn state<const D: usize>(
        &self,
        carried: impl Iterator<Item = Tensor<D>>,
        steps: usize,
    ) -> NeuronState {
        let names = self.equations.any().carried().iter().copied();
        NeuronState::new(names.zip(carried), steps)
    }

    fn unroll<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
        parameters: &[Term],
        mut each: impl FnMut(Recording<D>),
    ) -> NeuronState {
        let equations = self.equations.any();
        let mut shape = input.dims();
        let (before, carried) = self.start(shape, state);
        let steps = before + shape[0];
        shape[0] = 1;
        let like = input.clone().into_dispatch();
        let tensor = |term: Term| -> Tensor<D> {
            Tensor::from_dispatch(term.expanded(&like, Shape::from(shape)))
        };
        let fire = FireTerm {
            surrogate: self.settings.surrogate,
            forward: self.settings.forward,
        };
        let off = self.settings.temporal_gradient == TemporalGradient::Off;
        let constant_if_off = |terms: Vec<Term>| match off {
            true => terms.into_iter().map(Real::constant).collect(),
            false => terms,
        };
        let carried: Vec<Term> = match carried {
            Some(carried) => {
                let dtype = FloatDType::from(input.dtype());
                carried.into_iter().map(|v| v.cast(dtype).into()).collect()
            }
            None => equations
                .rest()
                .iter()
                .map(|rest| Term::Number(*rest as f32))
                .collect(),
        };
        let mut carried = constant_if_off(carried);
        for x in time_steps(input) {
            let step = equations.step_terms(parameters, carried, x.into(), &fire);
            carried = constant_if_off(step.carried);
            each(Recording {
                spikes: tensor(step.spike),
                u: tensor(step.u),
                v: tensor(carried[0].clone()),
            });
        }
        self.state(carried.into_iter().map(tensor), steps)
    }

    /// Runs an operation, of the neurons alone or with a layer before them that keeps the shape. It takes the input, the state, the
    /// parameters, `[P, 1]`, `[P, C]` or `[P, neurons]`, and the equations, and returns the spikes and the last state.
    pub(crate) fn fused<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
        parameters: &[Term],
        operation: impl FnOnce(
            DispatchTensor,
            OptionalTensor<Dispatch>,
            DispatchTensor,
            DynamicsKernel,
        ) -> (DispatchTensor, DispatchTensor),
    ) -> (Tensor<D>, NeuronState) {
        let shape = input.dims();
        let (before, carried) = self.start(shape, state);
        let (numbers, per_neuron) = rows(parameters, &input);
        let carried = carried.map(|carried| Tensor::cat(carried, 0));
        let kernel = DynamicsKernel {
            equations: self.equations.clone(),
            per_neuron,
            surrogate: self.settings.surrogate,
            strict: self.settings.forward == Forward::StrictStep,
            off: self.settings.temporal_gradient == TemporalGradient::Off,
        };
        let carried = OptionalTensor::of(carried);
        let (spikes, carried) = operation(input.into_dispatch(), carried, numbers, kernel);
        let carried: Tensor<D> = Tensor::from_dispatch(carried);
        let state = self.state(carried.split(1, 0).into_iter(), before + shape[0]);
        (Tensor::from_dispatch(spikes), state)
    }
}

/// True if parameters of this shape differ among the neurons of a channel.
fn are_per_neuron(shape: &[usize]) -> bool {
    let mut axes = shape.iter().enumerate();
    axes.any(|(axis, size)| axis != 2 && *size > 1)
}

/// Parameters as rows, `[P, 1]`, `[P, C]` or `[P, neurons]`, and whether they are per neuron.
fn rows<const D: usize>(parameters: &[Term], input: &Tensor<D>) -> (DispatchTensor, bool) {
    let mut shape = common_shape(parameters);
    shape.resize(D, 1);
    let per_neuron = are_per_neuron(&shape);
    if per_neuron {
        shape = [&[1, 1], &input.dims()[2..]].concat();
    }
    let count = shape.iter().product();
    let like = input.clone().into_dispatch();
    let rows = parameters.iter().map(|term| {
        let row = term.clone().expanded(&like, Shape::from(shape.clone()));
        Tensor::<D>::from_dispatch(row).reshape([1, count])
    });
    (Tensor::cat(rows.collect(), 0).into_dispatch(), per_neuron)
}

/// The type that visitors of the parameters are told.
const CONTAINER: &str = "Struct:EquationNeuron";

impl<C: EquationConfig> EquationNeuron<C> {
    /// The same with other coefficients.
    fn change(mut self, change: impl FnOnce(Vec<Coefficient>) -> Vec<Coefficient>) -> Self {
        self.coefficients = change(self.coefficients);
        self
    }
}

// As Burn's derive does for a struct with a field for each parameter.
impl<C: EquationConfig> Module for EquationNeuron<C> {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.coefficients.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.change(|coefficients| coefficients.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.change(|coefficients| coefficients.to_device(device))
    }

    fn train(self) -> Self {
        self.change(Module::train)
    }

    fn valid(&self) -> Self {
        self.clone().change(|coefficients| coefficients.valid())
    }

    fn materialize(self) -> Self {
        self.change(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, coefficient) in self.parameters() {
            visitor.enter_module(name, CONTAINER);
            coefficient.visit(visitor);
            visitor.exit_module(name, CONTAINER);
        }
    }

    fn map<M: ModuleMapper>(mut self, mapper: &mut M) -> Self {
        let named = self.names.iter().zip(self.coefficients);
        let mapped = named.map(|(name, coefficient)| {
            mapper.enter_module(name, CONTAINER);
            let coefficient = coefficient.map(mapper);
            mapper.exit_module(name, CONTAINER);
            coefficient
        });
        self.coefficients = mapped.collect();
        self
    }
}

impl<C: EquationConfig> ModuleDisplayDefault for EquationNeuron<C> {
    fn content(&self, content: Content) -> Option<Content> {
        let content = content.set_top_level_type(self.config.name());
        let all = self.parameters();
        all.fold(content, |content, (name, coefficient)| {
            content.add(name, coefficient)
        })
        .optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl<C: EquationConfig> ModuleDisplay for EquationNeuron<C> {}

impl<C: EquationConfig> std::fmt::Display for EquationNeuron<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&ModuleDisplay::format(self, Default::default()))
    }
}
