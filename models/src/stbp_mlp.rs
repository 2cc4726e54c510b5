//! The fully connected network of the STBP paper.
//!
//! Wu, Deng, Li, Zhu, Shi: *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*,
//! Frontiers in Neuroscience 12:331, 2018. Section 3.1.1: 784-800-10 on MNIST.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use synfire::InvalidConfig;
use synfire::init;
use synfire::layer::each_step;
use synfire::metric::LayerOperations;
use synfire::neuron::{Lif, LifConfig, Neuron};

/// Configuration of a [`StbpMlp`].
#[derive(Config, Debug, PartialEq)]
pub struct StbpMlpConfig {
    /// The sizes of all layers, input first, output last.
    #[config(default = "vec![784, 800, 10]")]
    pub sizes: Vec<usize>,
    /// The neurons of every layer.
    #[config(default = "LifConfig::new()")]
    pub neuron: LifConfig,
    /// Weights and biases start uniform in `+-gain / sqrt(fan-in)`.
    #[config(default = 1.0)]
    pub gain: f64,
    /// Decides the initial weights.
    #[config(default = 0)]
    pub seed: u64,
}

impl StbpMlpConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there are fewer than two sizes, one of them is 0, the gain is not a number from 1e-37 to 1e37, or the
    /// neuron's configuration is invalid.
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
            InvalidConfig::require_nonzero("StbpMlp", "sizes", *size)?;
        }
        InvalidConfig::require_positive("StbpMlp", "gain", self.gain)?;
        self.neuron.validate()
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<StbpMlp, InvalidConfig> {
        self.validate()?;
        let neurons = (1..self.sizes.len())
            .map(|_| self.neuron.init(device))
            .collect::<Result<_, _>>()?;
        let layers = self
            .sizes
            .windows(2)
            .enumerate()
            .map(|(i, size)| init::linear(size[0], size[1], self.gain, self.seed, i as u32, device))
            .collect();
        Ok(StbpMlp { layers, neurons })
    }
}

/// Linear layers, each followed by leaky integrate-and-fire neurons, the output layer included.
///
/// Created by [`StbpMlpConfig`].
#[derive(Module, Debug)]
pub struct StbpMlp {
    layers: Vec<Linear>,
    neurons: Vec<Lif>,
}

impl StbpMlp {
    /// Runs a sequence from rest.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - spikes: `[T, B, outputs]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        self.forward_layers(input)
            .pop()
            .expect("there is at least one layer")
    }

    /// Runs a sequence from rest and returns the spikes of every layer, the output's last.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - spikes: `[T, B, size of the layer]` each
    pub fn forward_layers(&self, input: Tensor<3>) -> Vec<Tensor<3>> {
        let mut spikes = Vec::with_capacity(self.layers.len());
        let mut x = input;
        for (linear, neuron) in self.layers.iter().zip(&self.neurons) {
            let current = each_step(x, |x: Tensor<2>| linear.forward(x));
            x = neuron.forward(current, None).0;
            spikes.push(x.clone());
        }
        spikes
    }

    /// The linear layers, first to last.
    pub fn linears(&self) -> &[Linear] {
        &self.layers
    }

    /// The names of the layers, in the order of [`forward_layers`](Self::forward_layers): `hidden` (`hidden1`,
    /// `hidden2`, ... where there are several) and `output`.
    pub fn layer_names(&self) -> Vec<String> {
        let hidden = self.layers.len() - 1;
        // As many digits for all, so that names sort in the order of the layers.
        let digits = hidden.to_string().len();
        (1..=hidden)
            .map(|i| match hidden {
                1 => "hidden".to_owned(),
                _ => format!("hidden{i:0digits$}"),
            })
            .chain(["output".to_owned()])
            .collect()
    }

    /// The synaptic operations of each layer, given what [`forward_layers`](Self::forward_layers) made of `input`; the
    /// last of `spikes` is not needed and may be missing.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - spikes: `[T, B, size of the layer]` each
    pub fn operations(&self, input: Tensor<3>, spikes: &[Tensor<3>]) -> Vec<LayerOperations> {
        self.layers
            .iter()
            .zip([input].iter().chain(spikes))
            .map(|(linear, x)| LayerOperations::linear(x.clone(), linear.weight.val()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_names_follow_the_configuration() {
        let device = Device::default();
        let model = StbpMlpConfig::new()
            .with_sizes(vec![6, 5, 4, 3])
            .init(&device)
            .unwrap();
        let input = Tensor::<3>::ones([2, 7, 6], &device);
        let spikes = model.forward_layers(input.clone());
        let shapes: Vec<_> = spikes.iter().map(Tensor::dims).collect();
        assert_eq!(shapes, [[2, 7, 5], [2, 7, 4], [2, 7, 3]]);
        assert_eq!(model.layer_names(), ["hidden1", "hidden2", "output"]);
        let operations = model.operations(input, &spikes);
        assert_eq!(operations.len(), 3);
        assert_eq!(
            operations[0].count().unwrap().accumulates,
            2.0 * 7.0 * 6.0 * 5.0
        );
        assert_eq!(model.num_params(), 6 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3);
    }

    #[test]
    fn the_default_is_the_network_of_the_paper() {
        let model = StbpMlpConfig::new().init(&Device::default()).unwrap();
        assert_eq!(model.num_params(), 784 * 800 + 800 + 800 * 10 + 10);
        assert_eq!(model.layer_names(), ["hidden", "output"]);
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
            "invalid `sizes` of StbpMlp: 0, expected at least 1"
        );
        assert!(error(config().with_sizes(vec![784])).contains("at least an input and an output"));
        assert!(error(config().with_gain(f64::NAN)).contains("`gain` of StbpMlp: NaN"));
        let neuron = LifConfig::new().with_decay(-0.1);
        assert!(error(config().with_neuron(neuron)).contains("`decay` of Lif: -0.1"));
    }
}
