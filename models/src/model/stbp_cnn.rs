//! The convolutional network of the STBP paper.
//!
//! Wu, Deng, Li, Zhu, Shi: *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*,
//! Frontiers in Neuroscience 12:331, 2018. Its convolutional network on MNIST: 28x28-15C5-P2-40C5-P2-300-10.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::encode::EncoderConfig;
use synfire::init::Initializer;
use synfire::layer::{NormConfig, Pool2dConfig, Pooling};
use synfire::neuron::{AnyNeuron, LifConfig, NeuronConfig, Reset};
use synfire::surrogate::Surrogate;

use super::stbp_mlp::CLASSIFIER;
use crate::Context;
use crate::block::{Classifier, ConvBlock, Layers, LayersConfig, as_images};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`StbpCnn`]. The paper has no normalisation; if there is one, it follows every layer but the
    /// last.
    pub struct StbpCnnConfig of StbpCnn {
        /// The channels of each convolution.
        with_channels -> channels: Vec<usize> = vec![15, 40],
        /// The height and width of the convolutions' kernels.
        with_kernel -> kernel: usize = 5,
        /// Zero padding of the convolutions, in pixels.
        with_padding -> padding: usize = 0,
        /// The height and width of the pooling windows.
        with_pool -> pool: usize = 2,
        /// The kind of pooling.
        with_pooling -> pooling: Pooling = Pooling::Average,
        /// The sizes of the fully connected layers before the last.
        with_hidden -> hidden: Vec<usize> = vec![300],
        /// The neurons after pooling, if there are any. Their input, the mean of four spikes, is a multiple of a quarter.
        with_pool_neuron -> pool_neuron: Option<NeuronConfig> = Some(LifConfig::new().into()),
    }
    samples: [1, 28, 28] => 10;
    layers: stbp_layers();
}

/// With a gain of 1 the deeper layers are silent at first, and learn late. With 2 all outputs fire at first; the first steps
/// push some of them below the surrogate's window, where they never fire again.
fn stbp_layers() -> LayersConfig {
    LayersConfig::new().with_initializer(Initializer::Uniform { gain: 1.4 })
}

weights! {
    /// Trained weights of an [`StbpCnn`]. The variants with `Norm` are for [`StbpCnnConfig::norm`].
    pub enum StbpCnnWeights of StbpCnn {
        /// Handwritten digits.
        Mnist = "stbp-cnn-mnist",
        /// Articles of clothing.
        FashionMnist = "stbp-cnn-fashion-mnist",
        /// Patches with and without pedestrians.
        Pedestrian = "stbp-cnn-pedestrian",
        /// Handwritten digits.
        NormMnist = "stbp-cnn-norm-mnist",
        /// Patches with and without pedestrians.
        NormPedestrian = "stbp-cnn-norm-pedestrian",
        /// Handwritten digits recorded by an event camera.
        NormNMnist = "stbp-cnn-norm-nmnist",
    }
}

impl StbpCnnConfig {
    /// The network of the code that the authors published later: 32C3-AP2-32C3-AP2-128-10, with a border of one pixel
    /// around each convolution, average pooling without neurons after it, the linear gate with decay 0.2, threshold 0.5
    /// and a rectangle of width 1.
    pub fn authors() -> Self {
        Self::new()
            .with_channels(vec![32, 32])
            .with_kernel(3)
            .with_padding(1)
            .with_pool_neuron(None)
            .with_hidden(vec![128])
            .with_neuron(LifConfig::new().with_threshold(0.5).with_decay(0.2))
            .with_initializer(Initializer::Uniform { gain: 1.0 })
    }

    /// Neurons for few time steps and a constant input ([`DirectEncoder`](synfire::encode::DirectEncoder)): soft reset and a
    /// decay of 0.9, so that the number of spikes represents the input (with [`Reset::HARD`] and a decay of 0.2 a neuron does
    /// nearly the same in every step); no neurons after pooling, as they would round their input; and the sigmoid surrogate
    /// with a full width at half maximum of the threshold, 0.5.
    pub fn few_steps() -> Self {
        let surrogate = Surrogate::sigmoid(0.14).expect("a width above 0");
        let neuron = LifConfig::new().with_reset(Reset::Soft).with_decay(0.9);
        Self::new()
            .with_pool_neuron(None)
            .with_neuron(neuron.with_surrogate(surrogate))
            .with_initializer(Initializer::Uniform { gain: 1.0 })
    }

    /// [Neurons for few time steps](Self::few_steps), normalised by their threshold.
    pub fn norm() -> Self {
        Self::few_steps().with_norm(Some(NormConfig::td_batch()))
    }

    /// The number of elements after the last pooling.
    fn features(&self) -> Result<usize, InvalidConfig> {
        let [mut features, mut height, mut width] = self.image;
        for channels in &self.channels {
            for size in [&mut height, &mut width] {
                let padded = *size + 2 * self.padding;
                // Size after convolution and pooling, or 0.
                *size = (padded + 1).saturating_sub(self.kernel) / self.pool;
                let area = size.checked_mul(*size);
                let area = area.and_then(|area| area.checked_mul(*channels));
                if *size == 0 || area.is_none_or(|area| area > 1 << 32) {
                    let image = format!("{:?}", self.image);
                    let expected = "an image of a size that all convolutions and poolings can take";
                    return Err(InvalidConfig::new(Self::OWNER, "image", image, expected));
                }
            }
            features = channels * height * width;
        }
        Ok(features)
    }
}

impl Architecture for StbpCnnConfig {
    const NAME: &'static str = "stbp-cnn";
    const RENAMED: &'static [(&'static str, &'static str)] = &[
        CLASSIFIER,
        (
            r"^blocks\.(\d+)\.(conv|norm|neuron|pool)\.",
            "blocks.$1.conv.$2.",
        ),
    ];
    const WEIGHTS: &'static [BuiltIn] = StbpCnnWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let encoder = EncoderConfig::BERNOULLI;
        let paper = Preset::new("stbp-cnn", 8, proof::STBP, Self::new());
        let authors = Preset::new("stbp-cnn-authors", 20, proof::STBP, Self::authors());
        vec![
            paper.with_training(25, 2e-3, encoder),
            authors.with_training(100, 1e-3, encoder),
            Preset::new("stbp-cnn-norm", 5, proof::STBP, Self::norm()),
        ]
    }

    fn small() -> Self {
        Self::new().with_channels(vec![4, 8]).with_hidden(vec![50])
    }

    fn structure(&self) -> String {
        let [_, height, width] = self.image;
        let pool = match (self.pooling, &self.pool_neuron) {
            (Pooling::Average, Some(_)) => "P",
            (Pooling::Average, None) => "AP",
            (Pooling::Max, _) => "MP",
        };
        let mut text = format!("{height}x{width}-");
        for channels in &self.channels {
            text += &format!("{channels}C{}-{pool}{}-", self.kernel, self.pool);
        }
        for size in &self.hidden {
            text += &format!("{size}-");
        }
        text + &self.classes.to_string()
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        if self.channels.is_empty() {
            let expected = "at least one convolution";
            return Err(InvalidConfig::new(Self::OWNER, "channels", "[]", expected));
        }
        for (field, sizes) in [
            ("image", &self.image[..]),
            ("channels", &self.channels),
            ("kernel", &[self.kernel]),
            ("pool", &[self.pool]),
            ("hidden", &self.hidden),
            ("classes", &[self.classes]),
        ] {
            InvalidConfig::require_sizes(Self::OWNER, field, sizes)?;
        }
        if self.padding > 0 {
            InvalidConfig::require_size(Self::OWNER, "padding", self.padding)?;
        }
        self.features()?;
        Ok([self.channels.as_slice(), &self.hidden, &[self.classes]].concat())
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let Some(neuron) = &self.pool_neuron else {
            return Ok(());
        };
        neuron.validate_channels(Self::OWNER, &self.channels)?;
        neuron.validate()
    }

    fn build(&self, layers: &mut Layers) -> Result<StbpCnn, InvalidConfig> {
        let padding = self.padding;
        let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
        let pool = Pool2dConfig::new([self.pool; 2]).with_pooling(self.pooling);
        let mut blocks = Vec::new();
        let mut inputs = self.image[0];
        for channels in &self.channels {
            let conv = Conv2dConfig::new([inputs, *channels], [self.kernel; 2])
                .with_padding(padding.clone())
                .with_bias(self.norm.is_none());
            let pool_neuron = self.pool_neuron.as_ref();
            let pool_neuron = pool_neuron.map(|neuron| neuron.init(layers.device()));
            let pool_neuron = pool_neuron.transpose()?;
            blocks.push(Block {
                conv: layers.conv_block(&conv)?.with_pool(pool.init()?),
                pool_neuron,
            });
            inputs = *channels;
        }
        let sizes = [&[self.features()?], self.hidden.as_slice(), &[self.classes]].concat();
        Ok(StbpCnn {
            blocks,
            classifier: layers.normalized_classifier(&sizes)?,
            image: self.image,
        })
    }

    fn set_neuron(&mut self, neuron: NeuronConfig) {
        self.pool_neuron = self.pool_neuron.take().map(|_| neuron.clone());
        self.neuron = neuron;
    }

    fn neuron_of(&self, layer: &str) -> NeuronConfig {
        match &self.pool_neuron {
            Some(neuron) if layer.starts_with("pool") => neuron.clone(),
            _ => self.neuron.clone(),
        }
    }
}

/// Convolutions and poolings, each followed by leaky integrate-and-fire neurons, then fully connected layers of them.
///
/// Average pooling, as in the paper, makes fractions of spikes; the neurons after it make spikes again, so that the input
/// of every layer with weights is binary.
///
/// Created by [`StbpCnnConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, StbpCnnConfig};
///
/// let device = Device::default();
/// let network = StbpCnnConfig::new().init(&device)?;
/// // 4 time steps of 2 images
/// assert_eq!(network.run(Tensor::<5>::ones([4, 2, 1, 28, 28], &device)).dims(), [4, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct StbpCnn {
    blocks: Vec<Block>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A convolution with its neurons and a pooling, and the neurons after that.
#[derive(Module, Debug)]
pub struct Block {
    conv: ConvBlock,
    pool_neuron: Option<AnyNeuron>,
}

impl SpikingNetwork for StbpCnn {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `pool1`, `conv2`, `pool2`, ..., `hidden` (`hidden1`, ... where there are several) and
    /// `output`.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let convs = numbered("conv", self.blocks.len());
        let pools = numbered("pool", self.blocks.len());
        let mut x = as_images(input, self.image);
        for ((block, conv), pool) in self.blocks.iter().zip(&convs).zip(&pools) {
            x = block.conv.forward(conv, x, context);
            if let Some(neuron) = &block.pool_neuron {
                x = context.neurons(pool, neuron, x);
            }
        }
        self.classifier.forward(x.flatten(2, 4), context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use synfire::record::Recorder;

    #[test]
    fn the_default_is_the_network_of_the_paper() {
        let device = Device::default();
        // All layers must fire for an input without a pattern.
        let loud = Initializer::Uniform { gain: 2.0 };
        let config = StbpCnnConfig::new().with_initializer(loud);
        let model = config.init(&device).unwrap();
        let convolutions = (25 + 1) * 15 + (15 * 25 + 1) * 40;
        assert_eq!(
            model.num_params(),
            convolutions + (4 * 4 * 40 + 1) * 300 + 301 * 10
        );
        assert_eq!(
            model.layer_names(),
            ["conv1", "pool1", "conv2", "pool2", "hidden", "output"]
        );
        // Most neurons of a window differ, so that averages are fractions.
        let pixels: Vec<f32> = (0..2 * 3 * 784)
            .map(|i| f32::from(i * 7 % 19 < 8))
            .collect();
        let input = Tensor::<1>::from_floats(pixels.as_slice(), &device);
        let input: Tensor<5> = input.reshape([2, 3, 1, 28, 28]);
        let recorder = Recorder::spikes().with_operations();
        let mut context = Context::new().with_recorder(recorder);
        let output = model.forward(input.clone().flatten(2, 4), &mut context);
        let recorder = context.recorder();
        assert_eq!(output.dims(), [2, 3, 10]);
        let shapes: Vec<_> = recorder
            .layers()
            .iter()
            .map(|layer| &layer.shape[..])
            .collect();
        assert_eq!(
            shapes,
            [
                &[15, 24, 24][..],
                &[15, 12, 12],
                &[40, 8, 8],
                &[40, 4, 4],
                &[300],
                &[10]
            ]
        );
        let operations = recorder.operations();
        assert_eq!(operations.len(), 4);
        let first = operations[0].count().unwrap();
        assert_eq!(first.dense, 2.0 * 3.0 * 25.0 * 15.0 * 24.0 * 24.0);
        assert!(first.accumulates > 0.3 * first.dense && first.accumulates < 0.5 * first.dense);
        for layer in recorder.layers() {
            let rate = layer.spikes.clone().unwrap().mean().into_scalar::<f32>();
            assert!(
                (0.005..0.7).contains(&rate),
                "{} fires at {rate}",
                layer.name
            );
        }
        // The input of all layers with weights is spikes.
        for layer in operations {
            assert_eq!(layer.count().unwrap().multiply_accumulates, 0.0);
        }
        assert_eq!(model.run(input).into_data(), output.into_data());
    }

    #[test]
    fn sizes_follow_the_configuration() {
        let device = Device::default();
        let config = StbpCnnConfig::new()
            .with_image([2, 11, 8])
            .with_channels(vec![3, 4])
            .with_kernel(3)
            .with_padding(1)
            .with_hidden(vec![])
            .with_classes(5);
        let model = config.init(&device).unwrap();
        // 11x8, pooled 5x4, pooled 2x2.
        assert_eq!(model.classifier.layers[0].weight.dims(), [4 * 2 * 2, 5]);
        let output = model.run(Tensor::<5>::ones([1, 2, 2, 11, 8], &device));
        assert_eq!(output.dims(), [1, 2, 5]);
    }

    #[test]
    fn normalised_layers_are_without_biases() {
        let config = StbpCnnConfig::new().with_norm(Some(NormConfig::td_batch()));
        let model = config.init(&Device::default()).unwrap();
        for Block { conv, .. } in &model.blocks {
            assert!(conv.conv.bias.is_none() && conv.norm.is_some());
        }
        let Classifier { layers, norms, .. } = &model.classifier;
        let biases: Vec<_> = layers.iter().map(|l| l.bias.is_some()).collect();
        assert_eq!((biases.as_slice(), norms.len()), (&[false, true][..], 1));
    }

    #[test]
    fn bad_configurations_are_named() {
        let device = Device::default();
        let error = |config: StbpCnnConfig| config.init(&device).unwrap_err().to_string();
        let config = StbpCnnConfig::new;
        assert!(error(config().with_channels(vec![])).contains("`channels` of StbpCnn: []"));
        assert!(error(config().with_channels(vec![0])).contains("`channels` of StbpCnn: 0"));
        assert!(error(config().with_kernel(0)).contains("`kernel` of StbpCnn: 0"));
        assert!(error(config().with_pool(0)).contains("`pool` of StbpCnn: 0"));
        assert!(error(config().with_classes(0)).contains("`classes`"));
        assert!(error(config().with_hidden(vec![5, 0])).contains("`hidden` of StbpCnn: 0"));
        assert!(error(config().with_image([0, 28, 28])).contains("`image` of StbpCnn: 0"));
        let huge = config().with_padding(usize::MAX);
        assert!(error(huge).contains("`padding` of StbpCnn"));
        assert!(
            error(config().with_image([1, 28, 12])).contains("`image` of StbpCnn: [1, 28, 12]")
        );
        let gain = Initializer::Normalized { gain: 0.0 };
        assert!(error(config().with_initializer(gain)).contains("`gain` of StbpCnn: 0"));
        let neuron = LifConfig::new().with_threshold(-0.5);
        let config_of_norm = config()
            .with_neuron(neuron)
            .with_norm(Some(NormConfig::td_batch()));
        assert!(error(config_of_norm).contains("`threshold` of TdBatchNorm: -0.5"));
        let neuron = LifConfig::new().with_decay(2.0);
        assert!(
            error(config().with_pool_neuron(Some(neuron.into()))).contains("`decay` of Lif: 2")
        );
    }

    #[test]
    #[should_panic(expected = "the input [1, 2, 100] is not of images [1, 28, 28]")]
    fn other_images_are_named() {
        let device = Device::default();
        let model = StbpCnnConfig::new().init(&device).unwrap();
        model.forward(Tensor::zeros([1, 2, 100], &device), &mut Context::new());
    }
}
