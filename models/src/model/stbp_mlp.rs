//! The fully connected network of the STBP paper.
//!
//! Wu, Deng, Li, Zhu, Shi: *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*,
//! Frontiers in Neuroscience 12:331, 2018. Its fully connected network on MNIST: 784-800-10.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::encode::EncoderConfig;

use crate::Context;
use crate::block::{Classifier, Layers, LayersConfig};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`StbpMlp`]. The paper has no normalisation; if there is one, it follows every layer but the
    /// last.
    pub struct StbpMlpConfig of StbpMlp {
        /// The sizes of all layers, input first, output last.
        with_sizes -> sizes: Vec<usize> = vec![784, 800, 10],
    }
    layers: LayersConfig::new();

    fn image(&self) -> [usize; 3] {
        [1, 1, self.sizes.first().copied().unwrap_or(0)]
    }

    fn classes(&self) -> usize {
        self.sizes.last().copied().unwrap_or(0)
    }

    fn fit(&mut self, image: [usize; 3], classes: usize) {
        if let Some(first) = self.sizes.first_mut() {
            *first = image.iter().product();
        }
        if let Some(last) = self.sizes.last_mut() {
            *last = classes;
        }
    }
}

weights! {
    /// Trained weights of an [`StbpMlp`].
    pub enum StbpMlpWeights of StbpMlp {
        /// Handwritten digits.
        Mnist = "stbp-mlp-mnist",
        /// Handwritten digits recorded by an event camera.
        NMnist = "stbp-mlp-nmnist",
        /// Patches of images, with a pedestrian or without.
        Pedestrian = "stbp-mlp-pedestrian",
    }
}

impl Architecture for StbpMlpConfig {
    const NAME: &'static str = "stbp-mlp";
    const RENAMED: &'static [(&'static str, &'static str)] = &[CLASSIFIER];
    const WEIGHTS: &'static [BuiltIn] = StbpMlpWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let preset = Preset::new("stbp-mlp", 10, proof::STBP, Self::new());
        vec![preset.with_training(100, 1e-3, EncoderConfig::BERNOULLI)]
    }

    fn small() -> Self {
        Self::new().with_sizes(vec![784, 100, 10])
    }

    fn structure(&self) -> String {
        let sizes: Vec<_> = self.sizes.iter().map(usize::to_string).collect();
        sizes.join("-")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        if self.sizes.len() < 2 {
            let sizes = format!("{:?}", self.sizes);
            let expected = "at least an input and an output size";
            return Err(InvalidConfig::new(Self::OWNER, "sizes", sizes, expected));
        }
        InvalidConfig::require_sizes(Self::OWNER, "sizes", &self.sizes)?;
        Ok(self.sizes[1..].to_vec())
    }

    fn build(&self, layers: &mut Layers) -> Result<StbpMlp, InvalidConfig> {
        let classifier = layers.normalized_classifier(&self.sizes)?;
        Ok(StbpMlp {
            classifier: classifier.without_first_dropout(),
        })
    }
}

/// In files of format 1, paths of the fully connected layers of the two STBP networks lack the segment `classifier`.
pub(super) const CLASSIFIER: (&str, &str) = (
    r"^(layers|norms|neurons|dropouts|output)\.",
    "classifier.$1.",
);

/// Linear layers, each followed by leaky integrate-and-fire neurons, the output layer included (unless another
/// [`ReadoutConfig`](crate::block::ReadoutConfig) is chosen).
///
/// Created by [`StbpMlpConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, StbpMlpConfig};
///
/// let device = Device::default();
/// let network = StbpMlpConfig::new().init(&device)?;
/// // 4 time steps of 2 images
/// assert_eq!(network.run(Tensor::<3>::ones([4, 2, 784], &device)).dims(), [4, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct StbpMlp {
    /// All layers.
    pub classifier: Classifier,
}

impl SpikingNetwork for StbpMlp {
    fn sample_shape(&self) -> Vec<usize> {
        vec![self.classifier.layers[0].weight.dims()[0]]
    }

    /// Its neurons are called `hidden` (`hidden1`, `hidden2`, ... where there are several) and `output`.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let inputs = self.elements();
        assert!(
            input.dims()[2] == inputs,
            "StbpMlp: the input {:?} for {inputs} inputs",
            input.dims()
        );
        self.classifier.forward(input, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::ReadoutConfig;
    use burn::tensor::Device;
    use synfire::init::Initializer;
    use synfire::neuron::{LeakyIntegratorConfig, LifConfig};
    use synfire::record::Recorder;

    #[test]
    fn sizes_and_names_follow_the_configuration() {
        let device = Device::default();
        let config = StbpMlpConfig::new().with_sizes(vec![6, 5, 4, 3]);
        let model = config.init(&device).unwrap();
        let input = Tensor::<3>::ones([2, 7, 6], &device);
        let recorder = Recorder::spikes().with_operations();
        let mut context = Context::new().with_recorder(recorder);
        let output = model.forward(input.clone(), &mut context);
        assert_eq!(output.dims(), [2, 7, 3]);
        assert_eq!(output.into_data(), model.run(input).into_data());
        let (layers, operations) = context.into_parts().0.into_parts();
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
        assert_eq!(model.elements(), 6);

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
        let mut context = Context::new().with_recorder(Recorder::membranes());
        let output = model.forward(Tensor::ones([4, 2, 6], &device), &mut context);
        let kept = context
            .recorder()
            .layer("output")
            .unwrap()
            .u
            .clone()
            .unwrap();
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
        model.forward(Tensor::zeros([2, 1, 5], &device), &mut Context::new());
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let device = Device::default();
        let weights = |seed| {
            let config = StbpMlpConfig::new()
                .with_sizes(vec![4, 4, 4])
                .with_seed(seed);
            let model = config.init(&device).unwrap();
            let all = model
                .classifier
                .layers
                .iter()
                .map(|l| l.weight.val().into_data());
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
