//! The fully connected network of the STBP paper.
//!
//! Wu, Deng, Li, Zhu, Shi: *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*,
//! Frontiers in Neuroscience 12:331, 2018. Its fully connected network on MNIST: 784-800-10.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use synfire::init::{Initializer, LayerInit};
use synfire::layer::{Dropout, SeqBatchNorm, SpikeLinear};
use synfire::neuron::{AnyNeuron, LifConfig, NeuronConfig};
use synfire::ops::Product;
use synfire::record::Recorder;
use synfire::{InvalidConfig, config};

use crate::context::Context;
use crate::network::{
    FullyConnected, Norm, Readout, ReadoutConfig, SpikingNetwork, dropouts, linears, numbered,
    validate_dropout,
};

config! {
    /// Configuration of a [`StbpMlp`].
    pub struct StbpMlpConfig {
        /// The sizes of all layers, input first, output last.
        with_sizes -> sizes: Vec<usize> = vec![784, 800, 10],
        /// The neurons of every layer.
        with_neuron => neuron: NeuronConfig = LifConfig::new().into(),
        /// The normalisation between the weights of a layer, the last excepted, and its neurons; none in the paper. Layers that
        /// have it are without biases.
        with_norm -> norm: Option<Norm> = None,
        /// The readout.
        with_readout -> readout: ReadoutConfig = ReadoutConfig::Spikes,
        /// The probability with which a hidden neuron is left out in training, see [`Dropout`].
        with_dropout -> dropout: f64 = 0.0,
        /// How spikes are multiplied with weights.
        with_product -> product: Product = Product::Auto,
        /// How weights start.
        with_initializer -> initializer: Initializer = Initializer::default(),
        /// Decides the initial weights.
        with_seed -> seed: u64 = 0,
    }
}

impl StbpMlpConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there are fewer than two sizes, one of them is 0, the gain is not a number from 1e-37 to 1e37, the
    /// dropout not one from 0 to below 1, the configuration of the neurons or the readout is invalid,
    /// or the neurons' threshold is not above 0 where there is a normalisation.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if self.sizes.len() < 2 {
            return Err(InvalidConfig::new(
                "StbpMlp",
                "sizes",
                format!("{:?}", self.sizes),
                "at least an input and an output size",
            ));
        }
        for size in &self.sizes {
            InvalidConfig::require_size("StbpMlp", "sizes", *size)?;
        }
        self.neuron.validate_channels("StbpMlp", &self.sizes[1..])?;
        self.initializer.validate("StbpMlp")?;
        validate_dropout(self.dropout)?;
        self.readout.validate()?;
        self.neuron.validate()?;
        // A threshold at or below 0 is nothing to normalise to.
        self.norm.map_or(Ok(()), |norm| norm.validate(&self.neuron))
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<StbpMlp, InvalidConfig> {
        self.validate()?;
        let mut init = LayerInit::new(self.initializer, self.seed, device)?;
        let (layers, norms) = linears(
            &self.sizes,
            self.norm,
            &self.neuron,
            self.product,
            &mut init,
            device,
        )?;
        let neurons = (1..layers.len()).map(|_| self.neuron.init(device));
        Ok(StbpMlp {
            neurons: neurons.collect::<Result<_, _>>()?,
            dropouts: dropouts(self.dropout, self.seed, layers.len() - 1)?,
            output: self.readout.init(&self.neuron, device)?,
            layers,
            norms,
        })
    }
}

/// Linear layers, each followed by leaky integrate-and-fire neurons, the output layer included (unless another
/// [`ReadoutConfig`] is chosen).
///
/// Created by [`StbpMlpConfig`].
#[derive(Module, Debug)]
pub struct StbpMlp {
    layers: Vec<SpikeLinear>,
    norms: Vec<SeqBatchNorm>,
    neurons: Vec<AnyNeuron>,
    dropouts: Vec<Dropout>,
    output: Readout,
}

impl StbpMlp {
    pub(crate) fn last_layer(&mut self) -> &mut SpikeLinear {
        self.layers.last_mut().expect("there is at least one layer")
    }

    /// Runs a sequence from rest.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - outputs: `[T, B, classes]`, spikes or, of a readout that does not spike, membrane potentials
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        self.run(input, &mut Recorder::off())
    }

    /// The linear layers, first to last.
    pub fn linears(&self) -> &[SpikeLinear] {
        &self.layers
    }
}

impl SpikingNetwork for StbpMlp {
    fn inputs(&self) -> usize {
        self.layers[0].weight.dims()[0]
    }

    /// `hidden` (`hidden1`, `hidden2`, ... where there are several) and `output`.
    fn layer_names(&self) -> Vec<String> {
        let mut names = numbered("hidden", self.neurons.len());
        names.extend(self.output.spiking_name());
        names
    }

    fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        assert!(
            input.dims()[2] == self.inputs(),
            "StbpMlp: the input {:?} for {} inputs",
            input.dims(),
            self.inputs()
        );
        let fully_connected = FullyConnected {
            layers: &self.layers,
            norms: &self.norms,
            neurons: &self.neurons,
            dropouts: &self.dropouts,
            output: &self.output,
        };
        fully_connected.run(input, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire::neuron::LeakyIntegratorConfig;

    #[test]
    fn sizes_and_names_follow_the_configuration() {
        let device = Device::default();
        let config = StbpMlpConfig::new().with_sizes(vec![6, 5, 4, 3]);
        let model = config.init(&device).unwrap();
        let input = Tensor::<3>::ones([2, 7, 6], &device);
        let mut recorder = Recorder::spikes().with_operations();
        let output = model.run(input.clone(), &mut recorder);
        assert_eq!(output.dims(), [2, 7, 3]);
        assert_eq!(output.into_data(), model.forward(input.clone()).into_data());
        let (layers, operations) = recorder.into_parts();
        let shapes: Vec<_> = layers
            .iter()
            .map(|layer| layer.spikes.as_ref().unwrap().dims())
            .collect();
        assert_eq!(shapes, [[2, 7, 5], [2, 7, 4], [2, 7, 3]]);
        assert_eq!(model.layer_names(), ["hidden1", "hidden2", "output"]);
        let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names, ["hidden1", "hidden2", "output"]);
        assert_eq!(operations.len(), 3);
        assert_eq!(
            operations[0].count().unwrap().accumulates,
            2.0 * 7.0 * 6.0 * 5.0
        );
        assert_eq!(model.num_params(), 6 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3);
        assert_eq!(model.inputs(), 6);

        // Learned decays: one for each layer.
        let config = config.with_neuron(LifConfig::plif(2.0).unwrap());
        let model = config.init(&device).unwrap();
        assert_eq!(model.num_params(), 6 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3 + 3);
    }

    #[test]
    fn a_membrane_can_be_the_readout() {
        let device = Device::default();
        let readout = ReadoutConfig::Membrane(LeakyIntegratorConfig::new());
        let config = StbpMlpConfig::new()
            .with_sizes(vec![6, 5, 3])
            .with_readout(readout);
        let model = config.init(&device).unwrap();
        assert_eq!(model.layer_names(), ["hidden"]);
        let mut recorder = Recorder::membranes();
        let output = model.run(Tensor::ones([4, 2, 6], &device), &mut recorder);
        let kept = recorder.layer("output").unwrap().u.clone().unwrap();
        assert_eq!(kept.into_data(), output.clone().into_data());
        let values = output.into_data().try_to_vec::<f32>().unwrap();
        assert!(values.iter().any(|u| *u != 0.0 && *u != 1.0));
    }

    #[test]
    fn the_default_is_the_network_of_the_paper() {
        let model = StbpMlpConfig::new().init(&Device::default()).unwrap();
        assert_eq!(model.num_params(), 784 * 800 + 800 + 800 * 10 + 10);
        assert_eq!(model.layer_names(), ["hidden", "output"]);
    }

    #[test]
    #[should_panic(expected = "the input [2, 1, 5] for 4 inputs")]
    fn other_inputs_are_named() {
        let device = Device::default();
        let config = StbpMlpConfig::new().with_sizes(vec![4, 3]);
        let model = config.init(&device).unwrap();
        model.forward(Tensor::zeros([2, 1, 5], &device));
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let device = Device::default();
        let weights = |seed| {
            let config = StbpMlpConfig::new()
                .with_sizes(vec![4, 4, 4])
                .with_seed(seed);
            let model = config.init(&device).unwrap();
            let all = model.layers.iter().map(|l| l.weight.val().into_data());
            all.map(|data| data.try_to_vec::<f32>().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
        // Layers of one shape differ too.
        assert_ne!(weights(1)[0], weights(1)[1]);
        assert!(weights(1).concat().iter().all(|w| w.abs() <= 0.5));
    }

    #[test]
    fn bad_configurations_are_named() {
        let device = Device::default();
        let error = |config: StbpMlpConfig| config.init(&device).unwrap_err().to_string();
        let config = StbpMlpConfig::new;
        assert_eq!(
            error(config().with_sizes(vec![784, 0, 10])),
            "invalid `sizes` of StbpMlp: 0, expected from 1 to 16777216"
        );
        assert!(error(config().with_sizes(vec![784])).contains("at least an input and an output"));
        let gain = Initializer::Uniform { gain: f64::NAN };
        assert!(error(config().with_initializer(gain)).contains("`gain` of StbpMlp: NaN"));
        let neuron = LifConfig::new().with_decay(-0.1);
        assert!(error(config().with_neuron(neuron)).contains("`decay` of Lif: -0.1"));
        let readout = LeakyIntegratorConfig::new().with_decay(2.0);
        let readout = config().with_readout(ReadoutConfig::Membrane(readout));
        assert!(error(readout).contains("`decay` of LeakyIntegrator: 2"));
        let neuron = LifConfig::new().with_decay(vec![0.5; 800]);
        let text = error(config().with_neuron(neuron));
        assert!(
            text.contains("800 numbers for a layer of 10 channels"),
            "{text}"
        );
    }
}
