//! One pass of a sequence through a network.

use std::cell::{RefCell, RefMut};
use std::fmt;

use burn::backend::DispatchTensor;
use burn::module::ParamId;
use burn::tensor::Tensor;
use synfire::encode::SampleKeys;
use synfire::layer::{Dropout, Normalization, Pool2d, SpikeConv2d, SpikeLinear};
use synfire::metric::LayerOperations;
use synfire::neuron::{LeakyIntegrator, Neuron, NeuronState};
use synfire::record::Recorder;

use crate::convert::Parameters;
use crate::fused::{Described, FoldedLayers};
use crate::state::{NetworkState, States};

/// Context of a forward pass: the states of the neurons, a recorder, and the samples that dropout draws for. Each of its
/// methods runs a layer, so a custom network is a list of calls:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SpikeLinear;
/// use synfire::neuron::{Lif, LifConfig};
/// use synfire::record::Recorder;
/// use synfire_models::{Context, SpikingNetwork};
///
/// #[derive(Module, Debug)]
/// struct Perceptron {
///     linear: SpikeLinear,
///     neuron: Lif,
/// }
///
/// impl SpikingNetwork for Perceptron {
///     fn sample_shape(&self) -> Vec<usize> {
///         vec![self.linear.weight.dims()[0]]
///     }
///
///     fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
///         let current = context.linear(&self.linear, input);
///         context.neurons("output", &self.neuron, current)
///     }
/// }
///
/// let device = Device::default();
/// let network = Perceptron {
///     linear: LinearConfig::new(6, 2).init(&device).into(),
///     neuron: LifConfig::new().init(&device)?,
/// };
/// let input = Tensor::<3>::ones([4, 1, 6], &device);
/// let mut context = Context::new().with_recorder(Recorder::spikes());
/// assert_eq!(network.forward(input.clone(), &mut context).dims(), [4, 1, 2]);
/// assert_eq!(context.recorder().layers()[0].name, "output");
///
/// // Goes on where it ended.
/// let mut context = Context::new().with_state(context.finish());
/// network.forward(input, &mut context);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
///
/// A stream runs step by step in constant memory (without autodiff, or with [detached](NetworkState::detach) states):
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{Context, SpikingNetwork, StbpMlpConfig};
///
/// let device = Device::default();
/// let network = StbpMlpConfig::new().init(&device)?;
/// let mut context = Context::new();
/// let mut spikes = Tensor::<3>::zeros([1, 1, 10], &device);
/// for _step in 0..20 {
///     let input = Tensor::ones([1, 1, 784], &device);
///     spikes = spikes + network.forward(input, &mut context);
///     context = Context::new().with_state(context.finish());
/// }
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Debug, Default)]
pub struct Context {
    recorder: Recorder,
    states: States,
    draw: Option<SampleKeys>,
    repeats: Option<usize>,
    /// Used in place of the layers that they are folded from.
    folded: FoldedLayers,
    dry: Option<Dry>,
    replace: Option<Replace>,
}

/// Runs in place of neurons.
struct Replace(Box<ReplaceNeurons>);

type ReplaceNeurons = dyn FnMut(&str, DispatchTensor, DispatchTensor);

impl fmt::Debug for Replace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Replace")
    }
}

/// The neurons of a layer.
#[derive(Debug)]
pub(crate) struct DryNeurons {
    /// The name of the layer.
    pub name: String,
    /// Their parameters, in the order of the module.
    pub parameters: Vec<ParamId>,
    /// The channels.
    pub channels: usize,
    /// The weights of the synapses that run next, before other neurons.
    pub behind: Vec<ParamId>,
}

/// A run in which no neuron fires.
#[derive(Debug, Default)]
struct Dry {
    /// The layers that spike.
    neurons: Vec<DryNeurons>,
    /// Neurons and readouts by the names of their layers, if they are asked for: parameters are read from the device.
    described: Option<Vec<(String, Option<Described>)>>,
    /// Whether layers are folded.
    fold: bool,
    /// The layers that need whole sequences, if layers leave their states at rest.
    rest: Option<RefCell<Vec<String>>>,
}

impl Context {
    /// A pass from rest, without recording and dropout.
    pub fn new() -> Self {
        Self::default()
    }

    /// A dry run that only collects names of neurons, see [`SpikingNetwork::layer_names`](crate::SpikingNetwork::layer_names).
    pub(crate) fn dry() -> Self {
        Self {
            dry: Some(Dry::default()),
            ..Self::new()
        }
    }

    /// Whether this is a dry run, in which nothing is to be remembered.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry.is_some()
    }

    /// The layers that spike, after a dry run.
    pub(crate) fn into_neurons(self) -> Vec<DryNeurons> {
        self.dry.unwrap_or_default().neurons
    }

    /// A dry run that describes neurons and readouts, see [`Fused::neurons`](crate::Fused::neurons).
    pub(crate) fn describing() -> Self {
        let described = Some(Vec::new());
        Self {
            dry: Some(Dry {
                described,
                ..Dry::default()
            }),
            ..Self::new()
        }
    }

    /// The neurons and readouts of such a run; none of neurons that are not of the list.
    pub(crate) fn into_described(self) -> Vec<(String, Option<Described>)> {
        let described = self.dry.and_then(|dry| dry.described);
        described.unwrap_or_default()
    }

    /// Runs a function in place of all neurons and readouts, with the name of the layer, its current, `[T, B, ...]`, and zeros of the
    /// same shape that stand for its spikes or potentials. For programs that record the structure of a network.
    #[doc(hidden)]
    pub fn with_neurons_replaced(
        mut self,
        replace: impl FnMut(&str, DispatchTensor, DispatchTensor) + 'static,
    ) -> Self {
        self.replace = Some(Replace(Box::new(replace)));
        self
    }

    /// The tensor that stands for the spikes if something runs in place of neurons. They may feed back to themselves.
    fn replaced<const D: usize>(
        &mut self,
        name: &str,
        current: &Tensor<D>,
        fed_back: impl FnOnce(Tensor<D>) -> Option<Tensor<D>>,
    ) -> Option<Tensor<D>> {
        let Replace(replace) = self.replace.as_mut()?;
        let mut current = repeated(current.clone(), self.repeats.take());
        let spikes = current.zeros_like();
        if let Some(back) = fed_back(spikes.clone()) {
            current = current + back;
        }
        replace(
            name,
            current.into_dispatch(),
            spikes.clone().into_dispatch(),
        );
        Some(spikes)
    }

    /// A dry run that leaves states at rest, see [`SpikingNetwork::initial_state`](crate::SpikingNetwork::initial_state).
    pub(crate) fn resting() -> Self {
        let mut context = Self::dry();
        let dry = context.dry.iter_mut();
        dry.for_each(|dry| dry.rest = Some(RefCell::default()));
        context
    }

    /// The states of such a run, and the layers that need whole sequences.
    pub(crate) fn into_rest(self) -> (NetworkState, Vec<String>) {
        let whole = self.dry.and_then(|dry| dry.rest);
        (self.states.finish(), whole.unwrap_or_default().into_inner())
    }

    /// The layers that need whole sequences, in a run that leaves states at rest.
    fn whole(&self) -> Option<RefMut<'_, Vec<String>>> {
        let rest = self.dry.as_ref().and_then(|dry| dry.rest.as_ref());
        rest.map(RefCell::borrow_mut)
    }

    /// Leaves a layer at rest and returns true, in a run that does so.
    fn rests(
        &mut self,
        name: &str,
        is_alike_in_all_steps: bool,
        initial: impl FnOnce() -> NeuronState,
    ) -> bool {
        let rests = self.whole().is_some();
        if rests {
            if !is_alike_in_all_steps {
                self.need_whole(name);
            }
            self.states.put(name, initial());
        }
        rests
    }

    /// Says that a layer needs whole sequences, or differs from step to step: the network has no
    /// [initial state](crate::SpikingNetwork::initial_state). Layers that the methods of a context run need not say so.
    pub fn need_whole(&self, layer: &str) {
        if let Some(mut whole) = self.whole()
            && !whole.iter().any(|known| known == layer)
        {
            whole.push(layer.to_owned());
        }
    }

    /// A dry run that folds layers, see [`SpikingNetwork::fuse`](crate::SpikingNetwork::fuse).
    pub(crate) fn folding() -> Self {
        let mut context = Self::dry();
        context.dry.iter_mut().for_each(|dry| dry.fold = true);
        context
    }

    /// The folded layers of such a run.
    pub(crate) fn into_folded(self) -> FoldedLayers {
        self.folded
    }

    /// Uses folded layers in place of those that they are of.
    pub(crate) fn set_folded(&mut self, folded: FoldedLayers) {
        self.folded = folded;
    }

    /// True if what runs in place of this convolution is known: its weights are not read.
    pub(crate) fn has_folded(&self, conv: &SpikeConv2d) -> bool {
        self.folded.has_conv(conv)
    }

    fn folds(&self) -> bool {
        self.dry.as_ref().is_some_and(|dry| dry.fold)
    }

    /// Sets the initial state; `None` is rest.
    pub fn with_state(mut self, state: impl Into<Option<NetworkState>>) -> Self {
        self.states = States::new(state.into());
        self
    }

    /// Sets the recorder.
    pub fn with_recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = recorder;
        self
    }

    /// Repeats an input of one step, `[1, B, ...]`, T times, like the
    /// [direct encoder](synfire::encode::DirectEncoder): a first layer with weights computes its product only once.
    pub fn with_repeats(mut self, time_steps: usize) -> Self {
        self.repeats = Some(time_steps);
        self
    }

    /// The input of a network as a sequence: one that is [repeated](Self::with_repeats) is written out.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, or `[1, B, ...]` if it is repeated
    /// - sequence: `[T, B, ...]`
    pub fn sequence<const D: usize>(&mut self, input: Tensor<D>) -> Tensor<D> {
        repeated(input, self.repeats.take())
    }

    /// Sets the samples of the batch, and the epoch, that dropout draws for. Without them there is no dropout.
    pub fn with_draw(mut self, draw: SampleKeys) -> Self {
        self.draw = Some(draw);
        self
    }

    /// The recorder.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The states after the last step.
    ///
    /// # Panics
    ///
    /// If the state at the beginning was of a network with more layers.
    pub fn finish(self) -> NetworkState {
        self.states.finish()
    }

    /// The recorder, and the states after the last step.
    ///
    /// # Panics
    ///
    /// As [`finish`](Self::finish).
    pub fn into_parts(self) -> (Recorder, NetworkState) {
        (self.recorder, self.states.finish())
    }

    /// Runs a convolution [into](SpikeConv2d::forward_into) its neurons or, if there is a normalisation between them, the
    /// convolution, and the normalisation [into](Normalization::normalize_into) the neurons.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`
    pub fn convolution(
        &mut self,
        name: &str,
        conv: &SpikeConv2d,
        norm: Option<&impl Normalization>,
        neuron: &impl Neuron,
        input: Tensor<5>,
    ) -> Tensor<5> {
        let replaced = self.dry.is_some() || self.replace.is_some();
        if self.repeats.is_some() || replaced {
            let current = self.currents(conv, norm, input);
            return self.neurons(name, neuron, current);
        }
        self.recorder
            .synapses(|| LayerOperations::conv2d(input.clone(), &conv.to_conv2d()));
        let (conv, norm) = self.folded.conv(conv, norm);
        let recorder = &mut self.recorder;
        self.states.run(name, |state| match norm {
            Some(norm) => recorder.normalize_into(name, norm, neuron, conv.forward(input), state),
            None => recorder.convolution(name, conv, neuron, input, state),
        })
    }

    /// Runs a convolution and its normalisation, before neurons or a sum. A repeated input is convolved once, and normalised
    /// once if the normalisation is the same in all steps: the statistics equal those of all steps.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - currents: `[T, B, channels_out, height_out, width_out]`
    pub fn currents(
        &mut self,
        conv: &SpikeConv2d,
        norm: Option<&impl Normalization>,
        input: Tensor<5>,
    ) -> Tensor<5> {
        self.pooled_currents(conv, norm, None, input)
    }

    /// [`currents`](Self::currents) with a pooling after the normalisation; that of a repeated input is pooled once, too.
    ///
    /// # Shapes
    ///
    /// As for [`currents`](Self::currents), smaller after pooling.
    pub fn pooled_currents(
        &mut self,
        conv: &SpikeConv2d,
        norm: Option<&impl Normalization>,
        pool: Option<&Pool2d>,
        input: Tensor<5>,
    ) -> Tensor<5> {
        let repeats = self.repeats.take();
        self.is_behind(conv.weight.id);
        self.recorder.synapses(|| {
            let shown = repeated(input.clone(), repeats);
            LayerOperations::conv2d(shown, &conv.to_conv2d())
        });
        if self.folds() {
            let foldable = norm.and_then(Normalization::batch_norm);
            self.folded.fold_conv(conv, foldable);
        }
        let (conv, norm) = self.folded.conv(conv, norm);
        let current = conv.forward(input);
        let pooled = |currents| match pool {
            Some(pool) => pool.forward(currents),
            None => currents,
        };
        match norm {
            Some(norm) if norm.is_alike_in_all_steps() => {
                repeated(pooled(self.normalize(norm, current)), repeats)
            }
            Some(norm) => pooled(self.normalize(norm, repeated(current, repeats))),
            None => repeated(pooled(current), repeats),
        }
    }

    /// Notes synapses behind the last neurons, in a dry run.
    fn is_behind(&mut self, weights: ParamId) {
        let last = self.dry.as_mut().and_then(|dry| dry.neurons.last_mut());
        if let Some(last) = last {
            last.behind.push(weights);
        }
    }

    /// Runs a normalisation.
    ///
    /// # Shapes
    ///
    /// - currents: `[T, B, channels, ...]`
    pub fn normalize<const D: usize>(
        &self,
        norm: &impl Normalization,
        currents: Tensor<D>,
    ) -> Tensor<D> {
        if !norm.is_alike_in_all_steps() {
            self.need_whole("a normalisation of each step");
        }
        match self.dry {
            // The normalisation may be for a sequence of more steps.
            Some(_) => currents,
            None => norm.normalize(currents),
        }
    }

    /// Runs a linear layer.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - current: `[T, B, outputs]`
    pub fn linear(&mut self, linear: &SpikeLinear, input: Tensor<3>) -> Tensor<3> {
        let repeats = self.repeats.take();
        self.is_behind(linear.weight.id);
        let shown = || repeated(input.clone(), repeats);
        self.recorder
            .synapses(|| LayerOperations::linear(shown(), linear.weight.val()));
        repeated(linear.forward(input), repeats)
    }

    /// Runs a linear layer and its normalisation.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - current: `[T, B, outputs]`
    pub fn linear_norm(
        &mut self,
        linear: &SpikeLinear,
        norm: &impl Normalization,
        input: Tensor<3>,
    ) -> Tensor<3> {
        if let Some(foldable) = norm.batch_norm() {
            if self.folds() {
                self.folded.fold_linear(linear, foldable);
            }
            if let Some(folded) = self.folded.linear(linear, foldable) {
                let folded = folded.clone();
                return self.linear(&folded, input);
            }
        }
        let current = self.linear(linear, input);
        self.normalize(norm, current)
    }

    /// Runs neurons.
    ///
    /// # Shapes
    ///
    /// - current, spikes: `[T, B, ...]`
    pub fn neurons<const D: usize>(
        &mut self,
        name: &str,
        neuron: &impl Neuron,
        current: Tensor<D>,
    ) -> Tensor<D> {
        if let Some(dry) = &mut self.dry {
            let mut parameters = Parameters::default();
            neuron.visit(&mut parameters);
            dry.neurons.push(DryNeurons {
                name: name.to_owned(),
                parameters: parameters.0,
                channels: current.dims()[2],
                behind: Vec::new(),
            });
            if let Some(described) = &mut dry.described {
                let neuron = neuron.described().map(Described::Neuron);
                described.push((name.to_owned(), neuron));
            }
            self.rests(name, neuron.is_alike_in_all_steps(), || {
                neuron.initial(current.dims(), &current.device())
            });
            return current.zeros_like();
        }
        let fed_back = |spikes| neuron.fed_back(spikes);
        if let Some(spikes) = self.replaced(name, &current, fed_back) {
            return spikes;
        }
        let current = self.sequence(current);
        let recorder = &mut self.recorder;
        self.states
            .run(name, |state| recorder.neurons(name, neuron, current, state))
    }

    /// Runs neurons that return their potentials in place of spikes.
    ///
    /// # Shapes
    ///
    /// - current, potentials: `[T, B, ...]`
    pub fn potentials<const D: usize>(
        &mut self,
        name: &str,
        neuron: &impl Neuron,
        current: Tensor<D>,
    ) -> Tensor<D> {
        let initial = || neuron.initial(current.dims(), &current.device());
        if self.rests(name, neuron.is_alike_in_all_steps(), initial) {
            return current;
        }
        self.readout(name, current, |current, state| {
            neuron.forward(current, state)
        })
    }

    /// Runs what returns potentials.
    fn readout<const D: usize>(
        &mut self,
        name: &str,
        current: Tensor<D>,
        run: impl FnOnce(Tensor<D>, Option<NeuronState>) -> (Tensor<D>, NeuronState),
    ) -> Tensor<D> {
        let current = self.sequence(current);
        let potentials = self.states.run(name, |state| run(current, state));
        self.recorder.readout(name, &potentials);
        potentials
    }

    /// Runs membranes without spikes.
    ///
    /// # Shapes
    ///
    /// - current, potentials: `[T, B, neurons]`
    pub fn membranes(
        &mut self,
        name: &str,
        integrator: &LeakyIntegrator,
        current: Tensor<3>,
    ) -> Tensor<3> {
        if let Some(described) = self.dry.as_mut().and_then(|dry| dry.described.as_mut()) {
            let readout = Described::Readout(integrator.described());
            described.push((name.to_owned(), Some(readout)));
        }
        if let Some(potentials) = self.replaced(name, &current, |_| None) {
            return potentials;
        }
        let initial = || integrator.initial(current.dims(), &current.device());
        if self.rests(name, true, initial) {
            return current;
        }
        self.readout(name, current, |current, state| {
            integrator.forward(current, state)
        })
    }

    /// Applies dropout for the samples of the pass, if they are [set](Self::with_draw).
    ///
    /// # Shapes
    ///
    /// - input, output: `[T, B, ...]`
    pub fn dropout<const D: usize>(&self, dropout: &Dropout, input: Tensor<D>) -> Tensor<D> {
        match &self.draw {
            Some(draw) => dropout.forward(input, draw),
            None => input,
        }
    }

    /// Runs a part of a network step by step, for layers with feedback from a later layer of the previous step: `step` gets one
    /// step at a time, and its layers continue from their last states. Records hold whole sequences.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire::neuron::LifConfig;
    /// use synfire_models::Context;
    ///
    /// let device = Device::default();
    /// let neuron = LifConfig::new().init(&device)?;
    /// let spikes = Context::new().each_step(Tensor::<3>::ones([4, 2, 5], &device), |x, context| {
    ///     // The spikes of the last step inhibit.
    ///     context.feedback("inhibition", || x.zeros_like(), |last, context| {
    ///         let spikes = context.neurons("hidden", &neuron, x.clone() - last);
    ///         (spikes.clone(), spikes)
    ///     })
    /// });
    /// assert_eq!(spikes.dims(), [4, 2, 5]);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, of which `step` gets `[1, B, ...]`
    /// - output: `[T, B, ...]`, of which `step` returns `[1, B, ...]`
    pub fn each_step<const D: usize, const E: usize>(
        &mut self,
        input: Tensor<D>,
        mut step: impl FnMut(Tensor<D>, &mut Self) -> Tensor<E>,
    ) -> Tensor<E> {
        let input = self.sequence(input);
        let mark = self.recorder.mark();
        self.states.begin_steps();
        let mut outputs = Vec::new();
        for x in input.split(1, 0) {
            outputs.push(step(x, self));
            self.states.next_step();
        }
        self.states.end_steps();
        self.recorder.join_steps(mark);
        Tensor::cat(outputs, 0)
    }

    /// Runs a part of a network that gets something back from its last step: `run` gets what it returned beside its output then,
    /// and `rest` in the first step. It is kept in the state, under `name`.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use synfire_models::Context;
    ///
    /// let input = Tensor::<3>::ones([4, 1, 1], &Device::default());
    /// let sums = Context::new().each_step(input, |x, context| {
    ///     let rest = || x.zeros_like();
    ///     context.feedback("sum", rest, |last, _| {
    ///         let sum = last + x.clone();
    ///         (sum.clone(), sum)
    ///     })
    /// });
    /// assert_eq!(sums.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0, 4.0]);
    /// ```
    ///
    /// # Shapes
    ///
    /// - what is kept: any, the same in every step
    pub fn feedback<R, const D: usize>(
        &mut self,
        name: &str,
        rest: impl FnOnce() -> Tensor<D>,
        run: impl FnOnce(Tensor<D>, &mut Self) -> (R, Tensor<D>),
    ) -> R {
        let last = match self.is_dry() {
            true => None,
            false => self.states.take(name),
        };
        let steps = last.as_ref().map_or(0, NeuronState::steps);
        let last = last.and_then(|state| state.get(FEEDBACK));
        let last = last.unwrap_or_else(rest);
        self.rests(name, true, || {
            NeuronState::new([(FEEDBACK, last.clone())], 0)
        });
        let (result, next) = run(last, self);
        if !self.is_dry() {
            let next = NeuronState::new([(FEEDBACK, next)], steps + 1);
            self.states.put(name, next);
        }
        result
    }
}

/// The name of a feedback in its state.
const FEEDBACK: &str = "feedback";

/// Repeats a step, if `repeats` is set.
fn repeated<const D: usize>(step: Tensor<D>, repeats: Option<usize>) -> Tensor<D> {
    let Some(time_steps) = repeats else {
        return step;
    };
    let mut shape = step.dims();
    assert!(
        shape[0] == 1,
        "Context: {shape:?} is to be repeated, and has more than one step"
    );
    shape[0] = time_steps;
    step.expand(shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use synfire::neuron::LifConfig;

    use super::*;
    use crate::{NetworkConfig, SpikingNetwork, StbpCnnConfig, StbpMlpConfig};
    use synfire::layer::NormConfig;

    #[test]
    fn what_is_repeated_is_as_if_it_had_been_written_out() {
        let device = Device::default().autodiff();
        // Low enough for deep neurons to fire.
        let neuron = LifConfig::new().with_threshold(0.1);
        let mlp = StbpMlpConfig::new()
            .with_sizes(vec![64, 20, 4])
            .with_neuron(neuron.clone());
        let cnn = StbpCnnConfig::new()
            .with_image([1, 8, 8])
            .with_channels(vec![3])
            .with_hidden(vec![9])
            .with_classes(4)
            .with_pool_neuron(Some(neuron.clone().into()))
            .with_neuron(neuron);
        let normalised = |mut config: NetworkConfig| {
            let layers = config.layers();
            config.set_layers(layers.with_norm(Some(NormConfig::td_batch())));
            config
        };
        let (mlp, cnn) = (NetworkConfig::StbpMlp(mlp), NetworkConfig::StbpCnn(cnn));
        for config in [mlp.clone(), cnn.clone(), normalised(mlp), normalised(cnn)] {
            let network = config.init(&device).unwrap();
            let step: Vec<f32> = (0..2 * 64).map(|i| (i * 37 % 101) as f32 / 100.0).collect();
            let run = |repeated: bool| {
                let step = Tensor::<1>::from_floats(step.as_slice(), &device);
                let step: Tensor<3> = step.reshape([1, 2, 64]);
                let step = step.require_grad();
                let recorder = Recorder::spikes().with_operations();
                let context = Context::new().with_recorder(recorder);
                let (input, mut context) = match repeated {
                    true => (step.clone(), context.with_repeats(5)),
                    false => (step.clone().expand([5, 2, 64]), context),
                };
                let output = network.forward(input, &mut context);
                let gradients = (output.clone() * output.clone()).sum().backward();
                let gradient = step.grad(&gradients).unwrap().into_data();
                let counts: Vec<_> = context
                    .recorder()
                    .operations()
                    .iter()
                    .map(|layer| layer.count().unwrap().dense)
                    .collect();
                let output = output.into_data().try_to_vec::<f32>().unwrap();
                (output, gradient.try_to_vec::<f32>().unwrap(), counts)
            };
            let ((once, gradient, counts), (often, expected, expected_counts)) =
                (run(true), run(false));
            assert_eq!(once, often);
            assert!(once.contains(&1.0), "a silent network proves nothing");
            assert_eq!(counts, expected_counts);
            let scale = expected.iter().fold(0.0f32, |max, x| max.max(x.abs()));
            for (got, expected) in gradient.iter().zip(&expected) {
                assert!((got - expected).abs() <= 1e-5 * scale, "{got} {expected}");
            }
        }
    }

    #[test]
    fn neurons_at_the_front_see_what_is_repeated() {
        let device = Device::default();
        let neuron = LifConfig::new().with_threshold(0.9).with_decay(1.0);
        let neuron = neuron.init(&device).unwrap();
        let mut context = Context::new().with_repeats(4);
        let current = Tensor::<3>::full([1, 1, 1], 0.5, &device);
        let spikes = context.neurons("output", &neuron, current).into_data();
        assert_eq!(spikes.try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn dropout_acts_in_training_alone() {
        let plain = Device::default();
        let config = StbpMlpConfig::new()
            .with_sizes(vec![16, 40, 4])
            .with_neuron(LifConfig::new().with_threshold(0.1));
        let outputs = |prob: f64, device: &Device, draw: Option<&SampleKeys>| {
            let network = config.clone().with_dropout(prob).init(device).unwrap();
            let input = Tensor::<3>::ones([6, 2, 16], device);
            let context = Context::new();
            let mut context = match draw {
                Some(draw) => context.with_draw(draw.clone()),
                None => context,
            };
            let output = network.forward(input, &mut context);
            output.into_data().try_to_vec::<f32>().unwrap()
        };
        let autodiff = Device::default().autodiff();
        let draw = SampleKeys::new(1, vec![3, 8]);
        let expected = outputs(0.0, &plain, None);
        assert_eq!(outputs(0.8, &plain, Some(&draw)), expected);
        assert_eq!(outputs(0.8, &autodiff, None), expected);
        let left_out = outputs(0.8, &autodiff, Some(&draw));
        assert_ne!(left_out, expected);
        assert_eq!(outputs(0.8, &autodiff, Some(&draw)), left_out);
        assert_ne!(
            outputs(0.8, &autodiff, Some(&SampleKeys::new(2, vec![3, 8]))),
            left_out
        );
    }

    #[test]
    #[should_panic(expected = "[2, 1, 2] is to be repeated, and has more than one step")]
    fn only_one_step_is_repeated() {
        let device = Device::default();
        let network = StbpMlpConfig::new()
            .with_sizes(vec![3, 2])
            .init(&device)
            .unwrap();
        let mut context = Context::new().with_repeats(4);
        network.forward(Tensor::zeros([2, 1, 3], &device), &mut context);
    }

    #[test]
    fn step_by_step_is_the_same_as_at_once() {
        let device = Device::default();
        let neuron = LifConfig::new().with_decay(0.9).init(&device).unwrap();
        let input: Vec<f32> = (0..5 * 2 * 3)
            .map(|i| (i * 37 % 11) as f32 / 10.0)
            .collect();
        let input = Tensor::<1>::from_floats(input.as_slice(), &device).reshape([5, 2, 3]);
        let context = || Context::new().with_recorder(Recorder::membranes());
        let run = |context: &mut Context, x| {
            let first = context.neurons("first", &neuron, x);
            context.neurons("second", &neuron, first * 0.7)
        };
        let mut whole = context();
        let expected = run(&mut whole, input.clone());
        // In two parts: the second continues where the first ended.
        let mut steps = context();
        let first = steps.each_step(input.clone().slice(0..2), |x, context| run(context, x));
        let mut rest = context().with_state(steps.finish());
        let second = rest.each_step(input.slice(2..5), |x, context| run(context, x));
        let both = Tensor::cat(vec![first, second], 0);
        assert_eq!(both.into_data(), expected.into_data());
        let (recorder, state) = rest.into_parts();
        let names: Vec<_> = recorder.layers().iter().map(|l| l.name.as_str()).collect();
        assert_eq!(names, ["first", "second"]);
        let u = |recorder: &Recorder| recorder.layer("second").unwrap().u.clone().unwrap();
        let (whole, expected_state) = whole.into_parts();
        assert_eq!(u(&recorder).into_data(), u(&whole).slice(2..5).into_data());
        let json = |state: &NetworkState| serde_json::to_string(state).unwrap();
        assert_eq!(json(&state), json(&expected_state));
    }
}
