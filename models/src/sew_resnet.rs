//! Residual networks whose blocks join spikes.
//!
//! Fang, Yu, Chen, Huang, Masquelier, Tian: *Deep Residual Learning in Spiking Neural Networks*, NeurIPS 2021: the residual
//! networks of He et al. (2016), with neurons after every normalisation, also before the shortcut is joined.

use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor};

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{SewJoin, each_step};
use synfire::neuron::{LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::any::ZooConfig;
use crate::context::Context;
use crate::image_network::ImageNetwork;
use crate::network::{Norm, ReadoutConfig};
use crate::parts::{
    Classifier, ConvBlock, Layers, LayersConfig, conv1x1, conv3x3, global_average, layer_options,
};
use crate::pytorch::Names;
use crate::residual::{Named, blocks, structure, validate_stages};
use crate::spikingjelly::SpikingJelly;

/// Configuration of a [`SewResNet`].
#[derive(Config, Debug, PartialEq)]
pub struct SewResNetConfig {
    /// The blocks of each stage.
    pub blocks: Vec<usize>,
    /// Whether a block is 1x1, 3x3 and 1x1 with four times the channels at its end, in place of two times 3x3.
    #[config(default = false)]
    pub bottleneck: bool,
    /// How a block joins the spikes of its two branches.
    #[config(default = "SewJoin::Add")]
    pub join: SewJoin,
    /// The channels of the first stage; each stage has twice those of the one before.
    #[config(default = 64)]
    pub width: usize,
    /// Channels, height and width of a sample.
    #[config(default = "[3, 224, 224]")]
    pub image: [usize; 3],
    /// The number of classes.
    #[config(default = 1000)]
    pub classes: usize,
    /// What the layers are made of.
    #[config(default = "sew_layers()")]
    pub layers: LayersConfig,
}

/// Integrate-and-fire neurons of threshold 1, reset to 0 without a gradient, arctangent of width 2, batch normalisation.
fn sew_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(integrate_and_fire())
        .with_norm(Some(Norm::Batch))
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(Initializer::Kaiming { gain: 1.0 })
}

fn integrate_and_fire() -> LifConfig {
    LifConfig::new()
        .with_threshold(1.0)
        .with_decay(1.0)
        .with_surrogate(Surrogate::atan(2.0).expect("2 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
}

layer_options!(SewResNetConfig);

impl SewResNetConfig {
    /// 18 layers.
    pub fn resnet18() -> Self {
        Self::new(vec![2, 2, 2, 2])
    }

    /// 34 layers.
    pub fn resnet34() -> Self {
        Self::new(vec![3, 4, 6, 3])
    }

    /// 50 layers.
    pub fn resnet50() -> Self {
        Self::new(vec![3, 4, 6, 3]).with_bottleneck(true)
    }

    /// 101 layers.
    pub fn resnet101() -> Self {
        Self::new(vec![3, 4, 23, 3]).with_bottleneck(true)
    }

    /// 152 layers.
    pub fn resnet152() -> Self {
        Self::new(vec![3, 8, 36, 3]).with_bottleneck(true)
    }

    /// Of few channels and blocks, for trials of seconds on images like those of MNIST.
    pub fn small() -> Self {
        Self::new(vec![1, 1])
            .with_width(8)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    /// How many times the channels of a stage its blocks put out.
    fn expansion(&self) -> usize {
        if self.bottleneck { 4 } else { 1 }
    }

    /// The channels of a stage.
    fn channels(&self, stage: usize) -> usize {
        self.width << stage
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there is no stage, a size is 0, or the layers are [invalid](LayersConfig::validate).
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "SewResNet";
        validate_stages(OWNER, &self.blocks, self.width)?;
        for size in self.image {
            InvalidConfig::require_size(OWNER, "image", size)?;
        }
        InvalidConfig::require_size(OWNER, "classes", self.classes)?;
        let mut channels: Vec<_> = (0..self.blocks.len())
            .flat_map(|stage| {
                [
                    self.channels(stage),
                    self.channels(stage) * self.expansion(),
                ]
            })
            .collect();
        channels.push(self.classes);
        self.layers.validate(OWNER, &channels)
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<SewResNet, InvalidConfig> {
        self.validate()?;
        let mut layers = Layers::new(&self.layers, device)?;
        let stem = Conv2dConfig::new([self.image[0], self.width], [7, 7])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
            .with_bias(false);
        let stem = layers.conv_block(&stem)?;
        let mut inputs = self.width;
        let mut stages = Vec::new();
        for (stage, blocks) in self.blocks.iter().enumerate() {
            let channels = self.channels(stage);
            let mut made = Vec::new();
            for block in 0..*blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                made.push(self.block(&mut layers, [inputs, channels], stride)?);
                inputs = channels * self.expansion();
            }
            stages.push(made);
        }
        Ok(SewResNet {
            stem,
            pool: stem_pool(),
            stages,
            classifier: layers.classifier(&[inputs, self.classes])?,
            image: self.image,
        })
    }

    fn block(
        &self,
        layers: &mut Layers,
        [inputs, channels]: [usize; 2],
        stride: usize,
    ) -> Result<SewBlock, InvalidConfig> {
        let outputs = channels * self.expansion();
        let convs = match self.bottleneck {
            false => vec![
                conv3x3([inputs, channels], stride),
                conv3x3([channels, channels], 1),
            ],
            true => vec![
                conv1x1([inputs, channels], 1),
                conv3x3([channels, channels], stride),
                conv1x1([channels, outputs], 1),
            ],
        };
        let branch = convs.iter().map(|conv| layers.conv_block(conv));
        let branch = branch.collect::<Result<_, _>>()?;
        let shortcut = match stride != 1 || inputs != outputs {
            true => Some(layers.conv_block(&conv1x1([inputs, outputs], stride))?),
            false => None,
        };
        Ok(SewBlock {
            branch,
            shortcut,
            join: self.join,
            bottleneck: self.bottleneck,
        })
    }
}

/// The pooling after the first layer.
fn stem_pool() -> MaxPool2d {
    MaxPool2dConfig::new([3, 3])
        .with_strides([2, 2])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init()
}

/// A residual network that joins spikes. What the linear layer puts out at each step are the outputs.
///
/// Created by [`SewResNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{ImageNetwork, SewResNetConfig};
///
/// let device = Device::default();
/// let config = SewResNetConfig::resnet18().with_width(4).with_classes(10);
/// let network = config.init(&device)?;
/// let logits = network.forward(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct SewResNet {
    stem: ConvBlock,
    pool: MaxPool2d,
    stages: Vec<Vec<SewBlock>>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A block: the spikes of a branch of convolutions, joined with those of the shortcut.
#[derive(Module, Debug)]
pub struct SewBlock {
    branch: Vec<ConvBlock>,
    shortcut: Option<ConvBlock>,
    #[module(skip)]
    join: SewJoin,
    #[module(skip)]
    bottleneck: bool,
}

impl SewBlock {
    /// Its neurons, in the order in which they run.
    fn names(&self, block: &str) -> Vec<String> {
        let neurons = (1..=self.branch.len()).map(|i| format!("{block}.sn{i}"));
        let shortcut = self.shortcut.iter().map(|_| format!("{block}.shortcut"));
        neurons.chain(shortcut).collect()
    }

    fn forward(&self, block: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let names = self.names(block);
        let mut branch = input.clone();
        for (conv, name) in self.branch.iter().zip(&names) {
            branch = conv.forward(name, branch, context);
        }
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(&names[self.branch.len()], input, context),
            None => input,
        };
        match self.bottleneck {
            false => self.join.join(branch, shortcut),
            // With the branches' parts exchanged, as SpikingJelly does: it shows in `Iand` alone.
            true => self.join.join(shortcut, branch),
        }
    }
}

impl ImageNetwork for SewResNet {
    const NAME: &'static str = "SewResNet";

    fn image(&self) -> [usize; 3] {
        self.image
    }

    /// `sn1`, then those of the blocks, `layer1.0.sn1`, `layer1.0.sn2`, ..., `layer2.0.shortcut`, ...
    fn neuron_names(&self) -> Vec<String> {
        let mut names = vec!["sn1".to_owned()];
        for Named { there, block, .. } in blocks(&self.stages) {
            names.extend(block.names(&there));
        }
        names.extend(self.classifier.layer_names());
        names
    }

    fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3> {
        let x = self.stem.forward("sn1", input, context);
        let mut x = each_step(x, |x: Tensor<4>| self.pool.forward(x));
        for Named { there, block, .. } in blocks(&self.stages) {
            x = block.forward(&there, x, context);
        }
        self.classifier.forward(global_average(x), context)
    }
}

impl SpikingJelly for SewResNet {
    type Config = SewResNetConfig;

    fn create(config: &SewResNetConfig, device: &Device) -> Result<Self, InvalidConfig> {
        config.init(device)
    }

    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_norm("stem", ["conv1", "bn1"]);
        names.module("stem.neuron", "sn1");
        for Named { here, there, block } in blocks(&self.stages) {
            for i in 0..block.branch.len() {
                let [conv, bn, sn] =
                    ["conv", "bn", "sn"].map(|part| format!("{there}.{part}{}", i + 1));
                names.conv_norm(&format!("{here}.branch.{i}"), [&conv, &bn]);
                names.module(&format!("{here}.branch.{i}.neuron"), &sn);
            }
            if block.shortcut.is_some() {
                let [conv, bn] = [0, 1].map(|i| format!("{there}.downsample.{i}"));
                names.conv_norm(&format!("{here}.shortcut"), [&conv, &bn]);
                names.module(
                    &format!("{here}.shortcut.neuron"),
                    &format!("{there}.downsample_sn"),
                );
            }
        }
        names.module("classifier.layers.0", "fc");
        names
    }
}

impl ZooConfig for SewResNetConfig {
    fn set_samples(&mut self, image: [usize; 3], classes: usize) {
        (self.image, self.classes) = (image, classes);
    }

    fn structure(&self) -> String {
        structure("SEW", &self.blocks, self.bottleneck, self.width)
    }
}
