//! VGG networks of spiking neurons.
//!
//! Simonyan, Zisserman: *Very Deep Convolutional Networks for Large-Scale Image Recognition*, ICLR 2015, with spiking neurons
//! in place of rectifiers, as in SpikingJelly; Deng, Li, Zhang, Gu: *Temporal Efficient Training of Spiking Neural Network
//! via Gradient Re-weighting* (TET), ICLR 2022, for the one with a single linear layer.

use burn::module::Module;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{NormConfig, Pooling, each_step};
use synfire::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    ALIVE, Chain, Classifier, ConvBlock, Layers, LayersConfig, ReadoutConfig, VGG11, VGG13, VGG16,
    VGG19, as_images, run_blocks, vgg_stages,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`SpikingVgg`].
    pub struct SpikingVggConfig of SpikingVgg {
        /// The channels of the 3x3 convolutions of each stage, with a pooling of 2x2 after each stage.
        with_stages -> stages: Vec<Vec<usize>> =
            vgg_stages(VGG11),
        /// The kind of pooling.
        with_pooling -> pooling: Pooling = Pooling::Max,
        /// Height and width of the average pooling's output before the linear layers, if there is one.
        with_average_to -> average_to: Option<usize> = Some(7),
        /// The sizes of the linear layers before the last.
        with_hidden -> hidden: Vec<usize> = vec![4096, 4096],
    }
    samples: [3, 224, 224] => 1000;
    layers: vgg_layers();
}

weights! {
    /// Trained weights of a [`SpikingVgg`].
    pub enum SpikingVggWeights of SpikingVgg {
        /// Articles of clothing, with narrow layers.
        Vgg9FashionMnist = "vgg9-fashion-mnist",
    }
}

/// SpikingJelly's default neurons: threshold 1, tau 2, reset to 0 without a gradient, arctangent of width 2.
fn vgg_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(spikingjelly_lif(true))
        .with_norm(Some(NormConfig::batch()))
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

impl SpikingVggConfig {
    /// A network of these stages, without average pooling before the linear layers, with 10 classes.
    fn of(stages: Vec<Vec<usize>>) -> Self {
        let config = Self::new().with_stages(stages).with_average_to(None);
        config.with_classes(10)
    }

    /// [These stages](Self::of) for small images, and one hidden layer of 1024.
    fn small_images(stages: Vec<Vec<usize>>) -> Self {
        let config = Self::of(stages).with_hidden(vec![1024]);
        config.with_image([3, 32, 32])
    }

    /// Two stages, for small images: 64C3-P-128C3-128C3-P, one hidden layer of 1024.
    pub fn vgg5() -> Self {
        Self::small_images(vec![vec![64], vec![128, 128]])
    }

    /// Three stages, for small images: 64, 64, P, 128, 128, P, 256, 256, 256, P, one hidden layer of 1024.
    pub fn vgg9() -> Self {
        Self::small_images(vec![vec![64; 2], vec![128; 2], vec![256; 3]])
    }

    /// SpikingJelly's `spiking_vgg11_bn`; without normalisation its `spiking_vgg11`.
    pub fn vgg11() -> Self {
        Self::new()
    }

    /// SpikingJelly's `spiking_vgg13_bn`; without normalisation its `spiking_vgg13`.
    pub fn vgg13() -> Self {
        Self::new().with_stages(vgg_stages(VGG13))
    }

    /// SpikingJelly's `spiking_vgg16_bn`; without normalisation its `spiking_vgg16`.
    pub fn vgg16() -> Self {
        Self::new().with_stages(vgg_stages(VGG16))
    }

    /// SpikingJelly's `spiking_vgg19_bn`; without normalisation its `spiking_vgg19`.
    pub fn vgg19() -> Self {
        Self::new().with_stages(vgg_stages(VGG19))
    }

    /// The VGGSNN of TET for CIFAR10-DVS: 64, 128, AP, 256, 256, AP, 512, 512, AP, 512, 512, AP, and one linear layer; decay
    /// 0.5 and threshold 1, without a factor for the input.
    pub fn vggsnn() -> Self {
        let stages = vec![vec![64, 128], vec![256; 2], vec![512; 2], vec![512; 2]];
        Self::of(stages)
            .with_image([2, 48, 48])
            .with_pooling(Pooling::Average)
            .with_hidden(vec![])
            .with_neuron(spikingjelly_lif(false))
            .with_dropout(0.0)
    }

    fn chain(&self) -> Chain<'_> {
        Chain {
            owner: Self::OWNER,
            image: self.image,
            stages: &self.stages,
            pooling: self.pooling,
            last_pooling: true,
            bias: true,
        }
    }
}

impl Architecture for SpikingVggConfig {
    const NAME: &'static str = "spiking-vgg";
    const WEIGHTS: &'static [BuiltIn] = SpikingVggWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        const SMALL: &str = "SpikingJelly 2.0.0, its VGG with these stages; VGG-5: count by hand";
        vec![
            Preset::new("vgg5", 4, SMALL, Self::vgg5()),
            Preset::new("vgg9", 4, SMALL, Self::vgg9()),
            Preset::new("vgg11", 4, proof::SPIKINGJELLY, Self::vgg11()),
            Preset::new("vgg13", 4, proof::SPIKINGJELLY, Self::vgg13()),
            Preset::new("vgg16", 4, proof::SPIKINGJELLY, Self::vgg16()),
            Preset::new("vgg19", 4, proof::SPIKINGJELLY, Self::vgg19()),
            Preset::new("vggsnn", 10, proof::PARTS, Self::vggsnn()),
        ]
    }

    fn small() -> Self {
        Self::of(vec![vec![8], vec![16]])
            .with_image([1, 28, 28])
            .with_hidden(vec![64])
            .with_dropout(0.0)
    }

    fn structure(&self) -> String {
        let sizes = [self.hidden.as_slice(), &[self.classes]].concat();
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        let average = self.average_to.map(|size| format!("AP to {size}x{size}-"));
        let average = average.unwrap_or_default();
        format!("{}{average}{}", self.chain().structure(), sizes.join("-"))
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let chain = self.chain();
        chain.validate()?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        InvalidConfig::require_size(Self::OWNER, "average_to", self.average_to.unwrap_or(1))?;
        InvalidConfig::require_sizes(Self::OWNER, "hidden", &self.hidden)?;
        Ok([chain.channels(), self.hidden.clone(), vec![self.classes]].concat())
    }

    fn build(&self, layers: &mut Layers) -> Result<SpikingVgg, InvalidConfig> {
        let chain = self.chain();
        let features = chain.init(layers)?;
        let [channels, height, width] = chain.output()?;
        let area = self.average_to.map_or(height * width, |size| size * size);
        let sizes = [&[channels * area], &self.hidden[..], &[self.classes]].concat();
        let classifier = layers.classifier(&sizes)?.without_first_dropout();
        let pool = |size| AdaptiveAvgPool2dConfig::new([size, size]).init();
        Ok(SpikingVgg {
            features,
            average: self.average_to.map(pool),
            classifier,
            image: self.image,
        })
    }
}

/// Stages of convolutions with neurons and pooling, then linear layers with neurons between them. The outputs are those of
/// the last linear layer.
///
/// Created by [`SpikingVggConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, SpikingVggConfig};
///
/// let device = Device::default();
/// let config = SpikingVggConfig::vgg5()
///     .with_stages(vec![vec![4], vec![8, 8]])
///     .with_image([3, 16, 16])
///     .with_hidden(vec![32]);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 16, 16], &device)).mean_dim(0);
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

impl SpikingNetwork for SpikingVgg {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, ..., `hidden1`, ..., and `output`, if it spikes.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let x = as_images(input, self.image);
        let mut x = run_blocks(&self.features, x, context);
        if let Some(average) = &self.average {
            x = each_step(x, |x: Tensor<4>| average.forward(x));
        }
        self.classifier.forward(x.flatten(2, 4), context)
    }
}

impl SpikingJelly for SpikingVgg {
    /// SpikingJelly's network is two lists, `features` and `classifier`.
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
