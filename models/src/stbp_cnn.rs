//! The convolutional network of the STBP paper.
//!
//! Wu, Deng, Li, Zhu, Shi: *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*,
//! Frontiers in Neuroscience 12:331, 2018. Its convolutional network on MNIST: 28x28-15C5-P2-40C5-P2-300-10.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};

use synfire::init::{Initializer, LayerInit};
use synfire::layer::{
    Dropout, Pool2d, Pool2dConfig, Pooling, SeqBatchNorm, SpikeConv2d, SpikeLinear,
};
use synfire::neuron::{AnyNeuron, LifConfig, NeuronConfig, Reset};
use synfire::ops::Product;
use synfire::record::Recorder;
use synfire::surrogate::Surrogate;
use synfire::{InvalidConfig, config};

use crate::context::Context;
use crate::network::{
    FullyConnected, Norm, Readout, ReadoutConfig, SpikingNetwork, dropouts, linears, numbered,
    validate_dropout,
};

config! {
    /// Configuration of a [`StbpCnn`].
    pub struct StbpCnnConfig {
        /// Channels, height and width of a sample.
        with_image -> image: [usize; 3] = [1, 28, 28],
        /// The channels of each convolution.
        with_channels -> channels: Vec<usize> = vec![15, 40],
        /// The height and width of the convolutions' kernels.
        with_kernel -> kernel: usize = 5,
        /// The rows and columns of zeros around the input of a convolution.
        with_padding -> padding: usize = 0,
        /// The height and width of the pooling windows.
        with_pool -> pool: usize = 2,
        /// The kind of pooling.
        with_pooling -> pooling: Pooling = Pooling::Average,
        /// The sizes of the fully connected layers before the last.
        with_hidden -> hidden: Vec<usize> = vec![300],
        /// The number of classes.
        with_classes -> classes: usize = 10,
        /// The neurons of every layer with weights.
        with_neuron => neuron: NeuronConfig = LifConfig::new().into(),
        /// The neurons after pooling, if there are any. The mean of four spikes comes in steps of a quarter.
        with_pool_neuron -> pool_neuron: Option<NeuronConfig> = Some(LifConfig::new().into()),
        /// The normalisation between the weights of a layer, the last excepted, and its neurons; none in the paper. Layers that
        /// have it are without biases.
        with_norm -> norm: Option<Norm> = None,
        /// The readout.
        with_readout -> readout: ReadoutConfig = ReadoutConfig::Spikes,
        /// The probability with which an input of a fully connected layer is left out in training, see [`Dropout`].
        with_dropout -> dropout: f64 = 0.0,
        /// How spikes are multiplied with weights.
        with_product -> product: Product = Product::Auto,
        /// How weights start. With a gain of 1 the deeper layers are silent at first, and learn late. With 2 the outputs fire for
        /// every class at first; the first steps push some of them below the surrogate's window, where they never fire again.
        with_initializer -> initializer: Initializer = Initializer::Uniform { gain: 1.4 },
        /// Decides the initial weights.
        with_seed -> seed: u64 = 0,
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

    /// Neurons for few time steps and an input that is the same in all of them ([`DirectEncoder`](synfire::encode::DirectEncoder)):
    /// a spike takes the threshold from the potential and leaves the rest, of which nine tenths stay for the next step,
    /// so that spikes count what came in (with [`Reset::HARD`] and a decay of 0.2 such a neuron does much the same in every
    /// step); no neurons after pooling, as they would round what they get; and the sigmoid curve with a full width at half
    /// maximum as large as the threshold, 0.5.
    pub fn few_steps() -> Self {
        let surrogate = Surrogate::sigmoid(0.14).expect("a width above 0");
        let neuron = LifConfig::new().with_reset(Reset::Soft).with_decay(0.9);
        Self::new()
            .with_pool_neuron(None)
            .with_neuron(neuron.with_surrogate(surrogate))
            .with_initializer(Initializer::Uniform { gain: 1.0 })
    }

    /// Channels, height and width after each convolution with its pooling.
    fn shapes(&self) -> Result<Vec<[usize; 3]>, InvalidConfig> {
        let [_, mut height, mut width] = self.image;
        let mut shapes = Vec::new();
        for channels in &self.channels {
            for size in [&mut height, &mut width] {
                let padded = *size + 2 * self.padding;
                // What is left of it, if anything is.
                *size = (padded + 1).saturating_sub(self.kernel) / self.pool;
                let area = channels
                    .checked_mul(*size)
                    .and_then(|n| n.checked_mul(*size));
                if *size == 0 || area.is_none_or(|area| area > 1 << 32) {
                    return Err(InvalidConfig::new(
                        "StbpCnn",
                        "image",
                        format!("{:?}", self.image),
                        "an image of a size that all convolutions and poolings can take",
                    ));
                }
            }
            shapes.push([*channels, height, width]);
        }
        Ok(shapes)
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there is no convolution, a size is 0, the image is too small, the gain is not a number from 1e-37 to 1e37, the
    /// dropout not one from 0 to below 1, the configuration of the neurons or the readout is invalid,
    /// or the neurons' threshold is not above 0 where there is a normalisation.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "StbpCnn";
        if self.channels.is_empty() {
            let expected = "at least one convolution";
            return Err(InvalidConfig::new(OWNER, "channels", "[]", expected));
        }
        let lists = [
            ("image", &self.image[..]),
            ("channels", &self.channels),
            ("kernel", &[self.kernel]),
            ("pool", &[self.pool]),
            ("hidden", &self.hidden),
            ("classes", &[self.classes]),
        ];
        for (field, sizes) in lists {
            for size in sizes {
                InvalidConfig::require_size(OWNER, field, *size)?;
            }
        }
        if self.padding > 0 {
            InvalidConfig::require_size(OWNER, "padding", self.padding)?;
        }
        self.shapes()?;
        let layers = [self.channels.as_slice(), &self.hidden, &[self.classes]].concat();
        self.neuron.validate_channels(OWNER, &layers)?;
        if let Some(pool_neuron) = &self.pool_neuron {
            pool_neuron.validate_channels(OWNER, &self.channels)?;
            pool_neuron.validate()?;
        }
        self.initializer.validate(OWNER)?;
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
    pub fn init(&self, device: &Device) -> Result<StbpCnn, InvalidConfig> {
        self.validate()?;
        let mut init = LayerInit::new(self.initializer, self.seed, device)?;
        let shapes = self.shapes()?;
        let window = [self.pool; 2];
        let mut blocks = Vec::new();
        let mut inputs = self.image[0];
        for channels in &self.channels {
            let [kernel, padding] = [self.kernel, self.padding];
            let padding = PaddingConfig2d::Explicit(padding, padding, padding, padding);
            let conv = Conv2dConfig::new([inputs, *channels], [kernel, kernel])
                .with_padding(padding)
                .with_bias(self.norm.is_none());
            blocks.push(Block {
                conv: SpikeConv2d::from(init.conv2d(&conv)).with_product(self.product),
                norm: match self.norm {
                    Some(norm) => Some(norm.init(*channels, &self.neuron, device)?),
                    None => None,
                },
                neuron: self.neuron.init(device)?,
                pool: Pool2dConfig::new(window)
                    .with_pooling(self.pooling)
                    .init()?,
                pool_neuron: match &self.pool_neuron {
                    Some(neuron) => Some(neuron.init(device)?),
                    None => None,
                },
            });
            inputs = *channels;
        }
        let features = shapes.last().map_or(0, |shape| shape.iter().product());
        let sizes = [&[features], self.hidden.as_slice(), &[self.classes]].concat();
        let (layers, norms) = linears(
            &sizes,
            self.norm,
            &self.neuron,
            self.product,
            &mut init,
            device,
        )?;
        let neurons = self.hidden.iter().map(|_| self.neuron.init(device));
        Ok(StbpCnn {
            norms,
            neurons: neurons.collect::<Result<_, _>>()?,
            dropouts: dropouts(self.dropout, self.seed, layers.len())?,
            output: self.readout.init(&self.neuron, device)?,
            blocks,
            layers,
            image: self.image,
        })
    }
}

/// Convolutions and poolings, each followed by leaky integrate-and-fire neurons, then fully connected layers of them.
///
/// Average pooling, as in the paper, makes fractions of spikes; the neurons after it make spikes again, so that every
/// layer with weights is fed with zeros and ones.
///
/// Created by [`StbpCnnConfig`].
#[derive(Module, Debug)]
pub struct StbpCnn {
    blocks: Vec<Block>,
    layers: Vec<SpikeLinear>,
    norms: Vec<SeqBatchNorm>,
    neurons: Vec<AnyNeuron>,
    dropouts: Vec<Dropout>,
    output: Readout,
    #[module(skip)]
    image: [usize; 3],
}

/// A convolution and a pooling, with neurons after each.
#[derive(Module, Debug)]
pub struct Block {
    conv: SpikeConv2d,
    norm: Option<SeqBatchNorm>,
    neuron: AnyNeuron,
    pool: Pool2d,
    pool_neuron: Option<AnyNeuron>,
}

impl StbpCnn {
    pub(crate) fn last_layer(&mut self) -> &mut SpikeLinear {
        self.layers.last_mut().expect("there is at least one layer")
    }

    /// Runs a sequence from rest.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels, height, width]`
    /// - outputs: `[T, B, classes]`, spikes or, of a readout that does not spike, membrane potentials
    pub fn forward(&self, input: Tensor<5>) -> Tensor<3> {
        self.forward_recorded(input, &mut Recorder::off())
    }

    /// [`forward`](Self::forward), with a recorder that keeps what it was asked to.
    pub fn forward_recorded(&self, input: Tensor<5>, recorder: &mut Recorder) -> Tensor<3> {
        self.forward_images(input, &mut Context::new(None, recorder))
    }

    /// [`forward_pass`](SpikingNetwork::forward_pass) of images.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, channels, height, width]`
    /// - outputs: `[T, B, classes]`
    ///
    /// # Panics
    ///
    /// If the input is not of that shape, or the state of the pass is of a network or a batch of another shape.
    pub fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3> {
        let convs = numbered("conv", self.blocks.len());
        let pools = numbered("pool", self.blocks.len());
        let mut x = input;
        for ((block, conv), pool) in self.blocks.iter().zip(&convs).zip(&pools) {
            x = context.convolution(conv, &block.conv, block.norm.as_ref(), &block.neuron, x);
            x = block.pool.forward(x);
            if let Some(neuron) = &block.pool_neuron {
                x = context.neurons(pool, neuron, x);
            }
        }
        let x = x.flatten(2, 4);
        let fully_connected = FullyConnected {
            layers: &self.layers,
            norms: &self.norms,
            neurons: &self.neurons,
            dropouts: &self.dropouts,
            output: &self.output,
        };
        fully_connected.run(x, context)
    }
}

impl SpikingNetwork for StbpCnn {
    fn inputs(&self) -> usize {
        self.image.iter().product()
    }

    /// `conv1`, `pool1`, `conv2`, `pool2`, ..., `hidden` (`hidden1`, ... where there are several) and `output`.
    fn layer_names(&self) -> Vec<String> {
        let convs = numbered("conv", self.blocks.len());
        let pools = numbered("pool", self.blocks.len());
        let mut names = Vec::new();
        for ((block, conv), pool) in self.blocks.iter().zip(convs).zip(pools) {
            names.push(conv);
            names.extend(block.pool_neuron.is_some().then_some(pool));
        }
        names.extend(numbered("hidden", self.neurons.len()));
        names.extend(self.output.spiking_name());
        names
    }

    fn forward_pass(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let [time_steps, batch, inputs] = input.dims();
        let [channels, height, width] = self.image;
        assert!(
            inputs == self.inputs(),
            "StbpCnn: the input [{time_steps}, {batch}, {inputs}] is not of images {:?}",
            self.image
        );
        self.forward_images(
            input.reshape([time_steps, batch, channels, height, width]),
            context,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_network_of_the_paper() {
        let device = Device::default();
        // So that all layers fire for an input without a pattern.
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
        let mut recorder = Recorder::spikes().with_operations();
        let output = model.forward_recorded(input.clone(), &mut recorder);
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
        // All that is fed to weights is spikes.
        for layer in operations {
            assert_eq!(layer.count().unwrap().multiply_accumulates, 0.0);
        }
        let flat = model.run(input.flatten(2, 4), &mut Recorder::off());
        assert_eq!(flat.into_data(), output.into_data());
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
        assert_eq!(model.layers[0].weight.dims(), [4 * 2 * 2, 5]);
        let output = model.forward(Tensor::ones([1, 2, 2, 11, 8], &device));
        assert_eq!(output.dims(), [1, 2, 5]);
    }

    #[test]
    fn normalised_layers_are_without_biases() {
        let config = StbpCnnConfig::new().with_norm(Some(Norm::TdBatch));
        let model = config.init(&Device::default()).unwrap();
        for block in &model.blocks {
            assert!(block.conv.bias.is_none() && block.norm.is_some());
        }
        let biases: Vec<_> = model.layers.iter().map(|l| l.bias.is_some()).collect();
        assert_eq!(
            (biases.as_slice(), model.norms.len()),
            (&[false, true][..], 1)
        );
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
        let config_of_norm = config().with_neuron(neuron).with_norm(Some(Norm::TdBatch));
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
        model.run(Tensor::zeros([1, 2, 100], &device), &mut Recorder::off());
    }
}
