//! One pass of a sequence through a network.

use burn::tensor::Tensor;
use synfire::encode::SampleKeys;
use synfire::layer::{Dropout, Normalization, SpikeConv2d, SpikeLinear};
use synfire::metric::LayerOperations;
use synfire::neuron::{LeakyIntegrator, Neuron};
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
/// use synfire_models::{Context, SpikingNetwork};
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
///     fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
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
/// let (spikes, state) = network.run_from(Tensor::ones([4, 1, 6], &device), None, &mut Recorder::off());
/// assert_eq!(spikes.dims(), [4, 1, 2]);
/// network.run_from(Tensor::ones([4, 1, 6], &device), Some(state), &mut Recorder::off());
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub struct Context<'a> {
    recorder: &'a mut Recorder,
    states: States,
    draw: Option<&'a SampleKeys>,
    repeats: Option<usize>,
}

impl<'a> Context<'a> {
    /// A pass from a state; `None` is rest.
    pub fn new(state: Option<NetworkState>, recorder: &'a mut Recorder) -> Self {
        Self {
            recorder,
            states: States::new(state),
            draw: None,
            repeats: None,
        }
    }

    /// With an input of one step, `[1, B, ...]`, that is shown T times, as the
    /// [direct encoder](synfire::encode::DirectEncoder) does: if the first layer has weights, it multiplies them once.
    pub fn with_repeats(mut self, time_steps: usize) -> Self {
        self.repeats = Some(time_steps);
        self
    }

    /// With the samples of the batch, and the epoch, that dropout draws for. Without them there is no dropout.
    pub fn with_draw(mut self, draw: &'a SampleKeys) -> Self {
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

    /// Runs a convolution [into](SpikeConv2d::forward_into) its neurons or, if there is a normalisation between them,
    /// one after the other, as [`currents`](Self::currents) and [`neurons`](Self::neurons) do.
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
        if self.repeats.is_some() || norm.is_some() {
            let current = self.currents(conv, norm, input);
            return self.neurons(name, neuron, current);
        }
        self.recorder
            .synapses(|| LayerOperations::conv2d(input.clone(), &conv.to_conv2d()));
        let recorder = &mut *self.recorder;
        self.states.run(name, |state| {
            recorder.convolution(name, conv, neuron, input, state)
        })
    }

    /// Runs a convolution and what normalises it, before neurons or a sum. An input that is repeated is convolved once, and
    /// normalised once where the normalisation is alike in all steps: its statistics are those of all steps.
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
        let repeats = self.repeats.take();
        self.recorder.synapses(|| {
            let shown = repeated(input.clone(), repeats);
            LayerOperations::conv2d(shown, &conv.to_conv2d())
        });
        let current = conv.forward(input);
        match norm {
            None => repeated(current, repeats),
            Some(norm) if norm.is_alike_in_all_steps() => {
                repeated(norm.normalize(current), repeats)
            }
            Some(norm) => norm.normalize(repeated(current, repeats)),
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
        let shown = || repeated(input.clone(), repeats);
        self.recorder
            .synapses(|| LayerOperations::linear(shown(), linear.weight.val()));
        repeated(linear.forward(input), repeats)
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
        let current = repeated(current, self.repeats.take());
        let recorder = &mut *self.recorder;
        self.states
            .run(name, |state| recorder.neurons(name, neuron, current, state))
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
        let current = repeated(current, self.repeats.take());
        let potentials = self
            .states
            .run(name, |state| integrator.forward(current, state));
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

/// One step as so many, if it is to be repeated.
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
    use crate::{NetworkConfig, Norm, SpikingNetwork, StbpCnnConfig, StbpMlpConfig};

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
            *config.norm_mut() = Some(Norm::TdBatch);
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
                let mut recorder = Recorder::spikes().with_operations();
                let context = Context::new(None, &mut recorder);
                let (input, mut context) = match repeated {
                    true => (step.clone(), context.with_repeats(5)),
                    false => (step.clone().expand([5, 2, 64]), context),
                };
                let output = network.forward_pass(input, &mut context);
                let gradients = (output.clone() * output.clone()).sum().backward();
                let gradient = step.grad(&gradients).unwrap().into_data();
                let counts: Vec<_> = recorder
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
        let mut recorder = Recorder::off();
        let mut context = Context::new(None, &mut recorder).with_repeats(4);
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
            let output = match draw {
                Some(draw) => network.run_training(input, draw, &mut Recorder::off()),
                None => network.run(input, &mut Recorder::off()),
            };
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
        let mut recorder = Recorder::off();
        let mut context = Context::new(None, &mut recorder).with_repeats(4);
        network.forward_pass(Tensor::zeros([2, 1, 3], &device), &mut context);
    }
}
