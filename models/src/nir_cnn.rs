//! The convolutional network on N-MNIST of the NIR paper.
//!
//! Pedersen, Abreu, Jobst, et al.: *Neuromorphic Intermediate Representation: A Unified Instruction Set for Interoperable
//! Brain-Inspired Computing*, Nature Communications 15:8122, 2024: 16C5 with stride 2, 16C3, sum pooling, 8C3, sum pooling,
//! 256, 10, without biases, integrate-and-fire neurons of threshold 1 from which a spike takes the threshold.

use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::{Device, Tensor};

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::Pool2dConfig;
use synfire::neuron::{LifConfig, Reset};

use crate::any::ZooConfig;
use crate::context::Context;
use crate::image_network::ImageNetwork;
use crate::parts::{
    Classifier, ConvBlock, Layers, LayersConfig, chain_names, conv3x3, layer_options, pooled_size,
};

/// Configuration of a [`NirCnn`].
#[derive(Config, Debug, PartialEq)]
pub struct NirCnnConfig {
    /// Channels, height and width of a sample.
    #[config(default = "[2, 34, 34]")]
    pub image: [usize; 3],
    /// The number of classes.
    #[config(default = 10)]
    pub classes: usize,
    /// What the layers are made of.
    #[config(default = "nir_layers()")]
    pub layers: LayersConfig,
}

fn nir_layers() -> LayersConfig {
    let neuron = LifConfig::new()
        .with_threshold(1.0)
        .with_decay(1.0)
        .with_reset(Reset::Soft);
    LayersConfig::new()
        .with_neuron(neuron)
        .with_initializer(Initializer::Uniform { gain: 2.0 })
}

layer_options!(NirCnnConfig);

impl NirCnnConfig {
    /// The same, which is small, on images like those of MNIST.
    pub fn small() -> Self {
        Self::new().with_image([1, 28, 28])
    }

    /// Height and width after the first convolution.
    fn strided(&self) -> [usize; 2] {
        let [_, height, width] = self.image;
        // 5 pixels wide, with a border of one and stride 2.
        [height, width].map(|size| (size + 2).saturating_sub(5) / 2 + 1)
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If a size is 0, the image is too small, or the layers are [invalid](LayersConfig::validate).
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "NirCnn";
        // The channels after the last convolution, and what is fed to the linear layers.
        let [height, width] = pooled_size(OWNER, self.image, 0)?;
        InvalidConfig::require_size(OWNER, "image", 8 * height * width)?;
        InvalidConfig::require_size(OWNER, "classes", self.classes)?;
        if self.image[1..].iter().any(|size| *size < 9) {
            let expected = "an image of at least 9 by 9 pixels";
            let image = format!("{:?}", self.image);
            return Err(InvalidConfig::new(OWNER, "image", image, expected));
        }
        self.layers.validate(OWNER, &[16, 16, 8, 256, self.classes])
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<NirCnn, InvalidConfig> {
        self.validate()?;
        let mut layers = Layers::new(&self.layers, device)?;
        let first = Conv2dConfig::new([self.image[0], 16], [5, 5])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(false);
        let pool = Pool2dConfig::new([2, 2]).init()?;
        let blocks = vec![
            layers.conv_block(&first)?,
            layers
                .conv_block(&conv3x3([16, 16], 1))?
                .with_pool(pool.clone()),
            layers.conv_block(&conv3x3([16, 8], 1))?.with_pool(pool),
        ];
        let [height, width] = self.strided().map(|size| size / 4);
        let sizes = [8 * height * width, 256, self.classes];
        Ok(NirCnn {
            blocks,
            classifier: layers.classifier_without_biases(&sizes)?,
            image: self.image,
        })
    }
}

/// Three convolutions, two sum poolings and two linear layers.
///
/// Created by [`NirCnnConfig`].
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{ImageNetwork, NirCnnConfig};
///
/// let device = Device::default();
/// let network = NirCnnConfig::new().init(&device)?;
/// assert_eq!(network.num_params(), 800 + 2304 + 1152 + 128 * 256 + 256 * 10);
/// let spikes = network.forward(Tensor::<5>::ones([4, 2, 2, 34, 34], &device));
/// assert_eq!(spikes.dims(), [4, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct NirCnn {
    blocks: Vec<ConvBlock>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

impl ImageNetwork for NirCnn {
    const NAME: &'static str = "NirCnn";

    fn image(&self) -> [usize; 3] {
        self.image
    }

    /// `conv1`, `conv2`, `conv3`, `hidden` and `output`.
    fn neuron_names(&self) -> Vec<String> {
        chain_names(&self.blocks, &self.classifier)
    }

    fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3> {
        let names = ConvBlock::names(&self.blocks);
        let mut x = input;
        for (block, name) in self.blocks.iter().zip(&names) {
            x = block.forward(name, x, context);
            if block.pool.is_some() {
                // Sums of four, where the pooling makes means.
                x = x.mul_scalar(4.0);
            }
        }
        self.classifier.forward(x.flatten(2, 4), context)
    }
}

impl ZooConfig for NirCnnConfig {
    fn set_samples(&mut self, image: [usize; 3], classes: usize) {
        (self.image, self.classes) = (image, classes);
    }

    fn structure(&self) -> String {
        format!("16C5s2-16C3-SP2-8C3-SP2-256-{}", self.classes)
    }
}
