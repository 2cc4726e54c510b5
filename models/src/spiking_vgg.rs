//! VGG networks of spiking neurons.
//!
//! Simonyan, Zisserman: *Very Deep Convolutional Networks for Large-Scale Image Recognition*, ICLR 2015, with spiking neurons
//! in place of rectifiers, as in SpikingJelly; Deng, Li, Zhang, Gu: *Temporal Efficient Training of Spiking Neural Network
//! via Gradient Re-weighting* (TET), ICLR 2022, for the one with a single linear layer.

use burn::config::Config;
use burn::module::Module;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::tensor::{Device, Tensor};

use synfire::InvalidConfig;
use synfire::layer::{Pooling, each_step};
use synfire::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::any::ZooConfig;
use crate::chain::Chain;
use crate::context::Context;
use crate::image_network::ImageNetwork;
use crate::network::{Norm, ReadoutConfig};
use crate::parts::{
    ALIVE, Classifier, ConvBlock, Layers, LayersConfig, chain_names, layer_options, run_blocks,
};
use crate::pytorch::Names;
use crate::spikingjelly::SpikingJelly;

/// Configuration of a [`SpikingVgg`].
#[derive(Config, Debug, PartialEq)]
pub struct SpikingVggConfig {
    /// The channels of the 3x3 convolutions of each stage, with a pooling of 2x2 after each stage.
    pub stages: Vec<Vec<usize>>,
    /// Channels, height and width of a sample.
    #[config(default = "[3, 224, 224]")]
    pub image: [usize; 3],
    /// The number of classes.
    #[config(default = 1000)]
    pub classes: usize,
    /// The kind of pooling.
    #[config(default = "Pooling::Max")]
    pub pooling: Pooling,
    /// Height and width that images are averaged to before the linear layers, if they are.
    pub average_to: Option<usize>,
    /// The sizes of the linear layers before the last.
    #[config(default = "vec![4096, 4096]")]
    pub hidden: Vec<usize>,
    /// What the layers are made of.
    #[config(default = "vgg_layers()")]
    pub layers: LayersConfig,
}

/// SpikingJelly's neurons as they are: threshold 1, tau 2, reset to 0 without a gradient, arctangent of width 2.
fn vgg_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(spikingjelly_lif(true))
        .with_norm(Some(Norm::Batch))
        .with_readout(ReadoutConfig::Currents)
        .with_dropout(0.5)
        .with_initializer(ALIVE)
}

/// SpikingJelly's `LIFNode` with a detached reset.
fn spikingjelly_lif(decay_input: bool) -> LifConfig {
    LifConfig::new()
        .with_threshold(1.0)
        .with_decay(0.5)
        .with_decay_input(decay_input)
        .with_reset(Reset::HARD)
        .with_surrogate(Surrogate::atan(2.0).expect("2 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
}

layer_options!(SpikingVggConfig);

impl SpikingVggConfig {
    /// Two stages, for small images: 64C3-P-128C3-128C3-P, one hidden layer of 1024.
    pub fn vgg5() -> Self {
        let stages = vec![vec![64], vec![128, 128]];
        Self::new(stages)
            .with_image([3, 32, 32])
            .with_classes(10)
            .with_hidden(vec![1024])
    }

    /// Three stages, for small images: 64, 64, P, 128, 128, P, 256, 256, 256, P, one hidden layer of 1024.
    pub fn vgg9() -> Self {
        let stages = vec![vec![64; 2], vec![128; 2], vec![256; 3]];
        Self::new(stages)
            .with_image([3, 32, 32])
            .with_classes(10)
            .with_hidden(vec![1024])
    }

    /// SpikingJelly's `spiking_vgg11_bn`.
    pub fn vgg11() -> Self {
        let stages = vec![
            vec![64],
            vec![128],
            vec![256; 2],
            vec![512; 2],
            vec![512; 2],
        ];
        Self::new(stages).with_average_to(Some(7))
    }

    /// SpikingJelly's `spiking_vgg13_bn`.
    pub fn vgg13() -> Self {
        let stages = [64, 128, 256, 512, 512].map(|channels| vec![channels; 2]);
        Self::new(stages.to_vec()).with_average_to(Some(7))
    }

    /// SpikingJelly's `spiking_vgg16_bn`.
    pub fn vgg16() -> Self {
        let stages = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];
        let stages = stages.map(|(channels, convs)| vec![channels; convs]);
        Self::new(stages.to_vec()).with_average_to(Some(7))
    }

    /// The VGGSNN of TET for CIFAR10-DVS: 64, 128, AP, 256, 256, AP, 512, 512, AP, 512, 512, AP, and one linear layer; decay
    /// 0.5 and threshold 1, without a factor for the input.
    pub fn vggsnn() -> Self {
        let stages = vec![vec![64, 128], vec![256; 2], vec![512; 2], vec![512; 2]];
        let mut config = Self::new(stages)
            .with_image([2, 48, 48])
            .with_classes(10)
            .with_pooling(Pooling::Average)
            .with_hidden(vec![])
            .with_neuron(spikingjelly_lif(false));
        config.layers.dropout = 0.0;
        config
    }

    /// Of few channels, for trials of seconds on images like those of MNIST.
    pub fn small() -> Self {
        let mut config = Self::new(vec![vec![8], vec![16]])
            .with_image([1, 28, 28])
            .with_classes(10)
            .with_hidden(vec![64]);
        config.layers.dropout = 0.0;
        config
    }

    fn chain(&self) -> Chain<'_> {
        Chain {
            owner: "SpikingVgg",
            image: self.image,
            stages: &self.stages,
            pooling: self.pooling,
            last_pooling: true,
            bias: true,
        }
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there is no convolution, a size is 0, the image is too small for the poolings, or the layers are
    /// [invalid](LayersConfig::validate).
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "SpikingVgg";
        let chain = self.chain();
        chain.validate()?;
        InvalidConfig::require_size(OWNER, "classes", self.classes)?;
        InvalidConfig::require_size(OWNER, "average_to", self.average_to.unwrap_or(1))?;
        for size in &self.hidden {
            InvalidConfig::require_size(OWNER, "hidden", *size)?;
        }
        let channels = [chain.channels(), self.hidden.clone(), vec![self.classes]].concat();
        self.layers.validate(OWNER, &channels)
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<SpikingVgg, InvalidConfig> {
        self.validate()?;
        let mut layers = Layers::new(&self.layers, device)?;
        let chain = self.chain();
        let features = chain.init(&mut layers)?;
        let [channels, height, width] = chain.output()?;
        let area = self.average_to.map_or(height * width, |size| size * size);
        let sizes = [&[channels * area], &self.hidden[..], &[self.classes]].concat();
        let mut classifier = layers.classifier(&sizes)?;
        // None before the first layer.
        let dropouts = classifier.dropouts.len().min(self.hidden.len());
        classifier.dropouts.truncate(dropouts);
        let pool = |size| AdaptiveAvgPool2dConfig::new([size, size]).init();
        Ok(SpikingVgg {
            features,
            average: self.average_to.map(pool),
            classifier,
            image: self.image,
        })
    }
}

/// Stages of convolutions with neurons and pooling, then linear layers with neurons between them; what the last one puts
/// out are the outputs.
///
/// Created by [`SpikingVggConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{ImageNetwork, SpikingVggConfig};
///
/// let device = Device::default();
/// let config = SpikingVggConfig::new(vec![vec![4], vec![8, 8]]).with_image([3, 16, 16]);
/// let network = config.with_hidden(vec![32]).with_classes(10).init(&device)?;
/// let logits = network.forward(Tensor::<5>::ones([4, 2, 3, 16, 16], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SpikingVgg {
    features: Vec<ConvBlock>,
    average: Option<AdaptiveAvgPool2d>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

impl ImageNetwork for SpikingVgg {
    const NAME: &'static str = "SpikingVgg";

    fn image(&self) -> [usize; 3] {
        self.image
    }

    /// `conv1`, `conv2`, ..., `hidden1`, ..., and `output`, if it spikes.
    fn neuron_names(&self) -> Vec<String> {
        chain_names(&self.features, &self.classifier)
    }

    fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3> {
        let mut x = run_blocks(&self.features, input, context);
        if let Some(average) = &self.average {
            x = each_step(x, |x: Tensor<4>| average.forward(x));
        }
        self.classifier.forward(x.flatten(2, 4), context)
    }
}

impl SpikingJelly for SpikingVgg {
    type Config = SpikingVggConfig;

    fn create(config: &SpikingVggConfig, device: &Device) -> Result<Self, InvalidConfig> {
        config.init(device)
    }

    /// There it is two lists, `features` and `classifier`.
    fn names(&self) -> Names {
        let mut list = Names::new().list("features");
        for (i, block) in self.features.iter().enumerate() {
            list.block(&format!("features.{i}"), block);
        }
        let mut list = list.done().list("classifier");
        for i in 0..self.classifier.layers.len() {
            list.next(&format!("classifier.layers.{i}"));
            if i < self.classifier.neurons.len() {
                list.next(&format!("classifier.neurons.{i}"));
                list.skip("dropout");
            }
        }
        list.done()
    }
}

impl ZooConfig for SpikingVggConfig {
    fn set_samples(&mut self, image: [usize; 3], classes: usize) {
        (self.image, self.classes) = (image, classes);
    }

    fn structure(&self) -> String {
        let sizes = [self.hidden.as_slice(), &[self.classes]].concat();
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        let average = self.average_to.map(|size| format!("AP to {size}x{size}-"));
        let average = average.unwrap_or_default();
        format!("{}{average}{}", self.chain().structure(), sizes.join("-"))
    }
}
