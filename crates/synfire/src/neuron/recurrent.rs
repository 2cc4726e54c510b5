//! Spikes that come back as input.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Neuron, NeuronState, Recording, TemporalGradient, check_sequence};

/// Neurons that also receive, through any layer, the spikes they fired one step before: `x[t] + layer(o[t-1])` in
/// place of `x[t]`.
///
/// The layer is a closure over a Burn module, so that any does: a `Linear` that connects all with all, a `Conv2d` (in
/// [`each_step`](crate::layer::each_step)), a block of several. Where the neuron's
/// [`temporal_gradient`](Neuron::temporal_gradient) is off, the spikes that come back are a constant, too; the layer's
/// own weights keep their gradient.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use synfire::neuron::{LifConfig, Recurrent};
///
/// let device = Device::default();
/// let back = LinearConfig::new(8, 8).init(&device);
/// let neurons = Recurrent::new(LifConfig::new().init(&device)?);
/// let input = Tensor::<3>::ones([5, 2, 8], &device);
/// let (spikes, _state) = neurons.forward(input, None, |spikes| back.forward(spikes));
/// assert_eq!(spikes.dims(), [5, 2, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
///
/// State: that of the neurons, and `recurrent`, the spikes of the last step.
#[derive(Module, Debug)]
pub struct Recurrent<N: Module> {
    neuron: N,
}

/// The spikes that are on their way back, in a state.
const RECURRENT: &str = "recurrent";

impl<N: Neuron> Recurrent<N> {
    /// Wraps neurons.
    pub fn new(neuron: N) -> Self {
        Self { neuron }
    }

    /// The neurons.
    pub fn neuron(&self) -> &N {
        &self.neuron
    }

    /// The state at rest, which `None` stands for: no spikes are on their way.
    ///
    /// # Shapes
    ///
    /// - sequence: that of the input, `[T, B, ...]`
    pub fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        let mut shape = sequence;
        shape[0] = 1;
        let state = self.neuron.initial(sequence, device);
        state.with(RECURRENT, Tensor::<D>::zeros(shape, device))
    }

    /// Runs a sequence and keeps what it saw.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, T at least 1
    /// - layer: `[1, B, ...]` to `[1, B, ...]`, from the spikes of a step to input of the next
    /// - recording: `[T, B, ...]` each
    ///
    /// # Panics
    ///
    /// As the neuron's [`forward`](Neuron::forward), and if the layer's output is not of the shape of a step.
    pub fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
        layer: impl Fn(Tensor<D>) -> Tensor<D>,
    ) -> (Recording<D>, NeuronState) {
        let shape = input.dims();
        check_sequence("Recurrent", shape, None);
        let mut step_shape = shape;
        step_shape[0] = 1;
        let mut steps = Vec::new();
        let mut spikes = match &state {
            Some(state) => state.expect::<D>(RECURRENT),
            None => input.clone().slice(0..1).zeros_like(),
        };
        check_sequence("Recurrent", shape, Some(spikes.dims()));
        let mut neuron = state;
        for x in input.split(1, 0) {
            if self.neuron.temporal_gradient() == TemporalGradient::Off {
                spikes = spikes.detach();
            }
            let back = layer(spikes);
            assert!(
                back.dims() == step_shape,
                "Recurrent: the layer made {:?} of a step {step_shape:?}",
                back.dims()
            );
            let (recording, next) = self.neuron.forward_recorded(x + back, neuron);
            spikes = recording.spikes.clone();
            steps.push(recording);
            neuron = Some(next);
        }
        let neuron = neuron.expect("there is at least one time step");
        (Recording::cat(steps), neuron.with(RECURRENT, spikes))
    }

    /// Runs a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`, T at least 1
    /// - layer: `[1, B, ...]` to `[1, B, ...]`, as for [`forward_recorded`](Self::forward_recorded)
    /// - spikes: `[T, B, ...]`
    ///
    /// # Panics
    ///
    /// As for [`forward_recorded`](Self::forward_recorded).
    pub fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
        layer: impl Fn(Tensor<D>) -> Tensor<D>,
    ) -> (Tensor<D>, NeuronState) {
        let (recording, state) = self.forward_recorded(input, state, layer);
        (recording.spikes, state)
    }
}
