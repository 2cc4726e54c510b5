//! One pass of a sequence through a network.

use burn::tensor::Tensor;
use synfire::encode::Draw;
use synfire::layer::{Dropout, SpikeConv2d, SpikeLinear};
use synfire::metric::LayerOperations;
use synfire::neuron::{LeakyIntegrator, Lif};
use synfire::record::Recorder;

use crate::state::{NetworkState, States};

/// What goes through a network beside its input: the recorder, the states of its neurons, and the samples that dropout
/// draws for. Each layer runs by one of its methods, in the order of the network, so that a network of one's own is a
/// list of calls:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SpikeLinear;
/// use synfire::neuron::{Lif, LifConfig};
/// use synfire::record::Recorder;
/// use synfire_models::{Pass, SpikingNetwork};
///
/// #[derive(Module, Debug)]
/// struct Perceptron {
///     linear: SpikeLinear,
///     neuron: Lif,
/// }
///
/// impl SpikingNetwork for Perceptron {
///     fn inputs(&self) -> usize {
///         self.linear.weight.dims()[0]
///     }
///
///     fn layer_names(&self) -> Vec<String> {
///         vec!["output".to_owned()]
///     }
///
///     fn forward_pass(&self, input: Tensor<3>, pass: &mut Pass) -> Tensor<3> {
///         let current = pass.linear(&self.linear, input);
///         pass.neurons("output", &self.neuron, current)
///     }
/// }
///
/// let device = Device::default();
/// let network = Perceptron {
///     linear: LinearConfig::new(6, 2).init(&device).into(),
///     neuron: LifConfig::new().init(&device)?,
/// };
/// let (spikes, state) = network.run_from(Tensor::ones([4, 1, 6], &device), None, &mut Recorder::off());
/// assert_eq!(spikes.dims(), [4, 1, 2]);
/// network.run_from(Tensor::ones([4, 1, 6], &device), Some(state), &mut Recorder::off());
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub struct Pass<'a> {
    recorder: &'a mut Recorder,
    states: States,
    draw: Option<&'a Draw>,
}

impl<'a> Pass<'a> {
    /// A pass from a state; `None` is rest.
    pub fn new(state: Option<NetworkState>, recorder: &'a mut Recorder) -> Self {
        Self {
            recorder,
            states: States::new(state),
            draw: None,
        }
    }

    /// With the samples of the batch, and the epoch, that dropout draws for. Without them there is no dropout.
    pub fn with_draw(mut self, draw: &'a Draw) -> Self {
        self.draw = Some(draw);
        self
    }

    /// What the network's neurons are left with.
    ///
    /// # Panics
    ///
    /// If the state at the beginning was of a network with more layers.
    pub fn finish(self) -> NetworkState {
        self.states.finish()
    }

    /// Runs a convolution [into](SpikeConv2d::forward_into) its neurons.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels_in, height_in, width_in]`
    /// - spikes: `[T, B, channels_out, height_out, width_out]`
    pub fn convolution(
        &mut self,
        name: &str,
        conv: &SpikeConv2d,
        neuron: &Lif,
        input: Tensor<5>,
    ) -> Tensor<5> {
        self.recorder
            .synapses(|| LayerOperations::conv2d(input.clone(), &conv.to_conv2d()));
        let recorder = &mut *self.recorder;
        self.states
            .images(|state| recorder.convolution(name, conv, neuron, input, state))
    }

    /// Runs neurons that lie in images.
    ///
    /// # Shapes
    ///
    /// - current, spikes: `[T, B, channels, height, width]`
    pub fn image_neurons(&mut self, name: &str, neuron: &Lif, current: Tensor<5>) -> Tensor<5> {
        let recorder = &mut *self.recorder;
        self.states
            .images(|state| recorder.neurons(name, neuron, current, state))
    }

    /// Runs a linear layer.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - current: `[T, B, outputs]`
    pub fn linear(&mut self, linear: &SpikeLinear, input: Tensor<3>) -> Tensor<3> {
        self.recorder
            .synapses(|| LayerOperations::linear(input.clone(), linear.weight.val()));
        linear.forward(input)
    }

    /// Runs neurons that lie in a row.
    ///
    /// # Shapes
    ///
    /// - current, spikes: `[T, B, neurons]`
    pub fn neurons(&mut self, name: &str, neuron: &Lif, current: Tensor<3>) -> Tensor<3> {
        let recorder = &mut *self.recorder;
        self.states
            .rows(|state| recorder.neurons(name, neuron, current, state))
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
        let potentials = self
            .states
            .membranes(|state| integrator.forward(current, state));
        self.recorder.readout(name, &potentials);
        potentials
    }

    /// Leaves out what the dropout says for the samples of the pass, if it was [told](Self::with_draw) which they are.
    ///
    /// # Shapes
    ///
    /// - input, output: `[T, B, ...]`
    pub fn dropout<const D: usize>(&self, dropout: &Dropout, input: Tensor<D>) -> Tensor<D> {
        match self.draw {
            Some(draw) => dropout.forward(input, draw),
            None => input,
        }
    }
}
