//! The convolutional network on N-MNIST of the NIR paper.
//!
//! Pedersen, Abreu, Jobst, et al.: *Neuromorphic Intermediate Representation: A Unified Instruction Set for Interoperable
//! Brain-Inspired Computing*, Nature Communications 15:8122, 2024: 16C5 with stride 2, 16C3, sum pooling, 8C3, sum pooling,
//! 256, 10, without biases, with integrate-and-fire neurons of threshold 1 and soft reset.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::Pool2dConfig;
use synfire::neuron::{LifConfig, Reset};

use crate::Context;
use crate::block::{Classifier, ConvBlock, Layers, LayersConfig, as_images, conv3x3, pooled_size};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};

network_config! {
    /// Configuration of a [`NirCnn`].
    pub struct NirCnnConfig of NirCnn {}
    samples: [2, 34, 34] => 10;
    layers: nir_layers();
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

impl Architecture for NirCnnConfig {
    const NAME: &'static str = "nir-cnn";

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::new("nir-cnn", 10, proof::PARTS, Self::new())]
    }

    fn small() -> Self {
        Self::new().with_image([1, 28, 28])
    }

    fn structure(&self) -> String {
        format!("16C5s2-16C3-SP2-8C3-SP2-256-{}", self.classes)
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        // The channels of the last convolution, and the inputs of the linear layers.
        let [height, width] = pooled_size(Self::OWNER, self.image, 0)?;
        InvalidConfig::require_size(Self::OWNER, "image", 8 * height * width)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        if self.image[1..].iter().any(|size| *size < 9) {
            let expected = "an image of at least 9 by 9 pixels";
            let image = format!("{:?}", self.image);
            return Err(InvalidConfig::new(Self::OWNER, "image", image, expected));
        }
        Ok(vec![16, 16, 8, 256, self.classes])
    }

    fn build(&self, layers: &mut Layers) -> Result<NirCnn, InvalidConfig> {
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
        let [_, height, width] = self.image;
        // After the first convolution, 5 pixels wide with a border of one and stride 2, and two poolings.
        let pooled = |size: usize| ((size + 2).saturating_sub(5) / 2 + 1) / 4;
        let sizes = [8 * pooled(height) * pooled(width), 256, self.classes];
        Ok(NirCnn {
            blocks,
            classifier: layers.classifier(&sizes)?.without_biases(),
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
/// use synfire_models::{SpikingNetwork, NirCnnConfig};
///
/// let device = Device::default();
/// let network = NirCnnConfig::new().init(&device)?;
/// assert_eq!(network.num_params(), 800 + 2304 + 1152 + 128 * 256 + 256 * 10);
/// let spikes = network.run(Tensor::<5>::ones([4, 2, 2, 34, 34], &device));
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

impl SpikingNetwork for NirCnn {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, `conv3`, `hidden` and `output`.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let names = numbered("conv", self.blocks.len());
        let mut x = as_images(input, self.image);
        for (block, name) in self.blocks.iter().zip(&names) {
            x = block.forward(name, x, context);
            if block.pool.is_some() {
                // Sums of four pixels, as pooling averages.
                x = x.mul_scalar(4.0);
            }
        }
        self.classifier.forward(x.flatten(2, 4), context)
    }
}
