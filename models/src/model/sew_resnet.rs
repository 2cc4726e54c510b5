//! Residual networks whose blocks join spikes.
//!
//! Fang, Yu, Chen, Huang, Masquelier, Tian: *Deep Residual Learning in Spiking Neural Networks*, NeurIPS 2021: the residual
//! networks of He et al. (2016), with neurons after every normalisation, also before the shortcut is joined.

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{NormConfig, SewJoin, each_step};
use synfire::neuron::{LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    Classifier, ConvBlock, Layers, LayersConfig, Named, ReadoutConfig, as_images, blocks, conv1x1,
    conv3x3, global_average, structure, validate_stages,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};

network_config! {
    /// Configuration of a [`SewResNet`].
    pub struct SewResNetConfig of SewResNet {
        /// The blocks of each stage.
        with_blocks -> blocks: Vec<usize> = vec![2, 2, 2, 2],
        /// Whether a block is 1x1, 3x3 and 1x1 with four times the channels at its end, in place of two times 3x3.
        with_bottleneck -> bottleneck: bool = false,
        /// How a block joins the spikes of its two branches.
        with_join -> join: SewJoin = SewJoin::Add,
        /// The channels of the first stage; each stage has twice those of the one before.
        with_width -> width: usize = 64,
    }
    samples: [3, 224, 224] => 1000;
    layers: sew_layers();
}

/// Integrate-and-fire neurons of threshold 1, reset to 0 without a gradient, arctangent of width 2, batch normalisation.
fn sew_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(integrate_and_fire())
        .with_norm(Some(NormConfig::batch()))
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

impl SewResNetConfig {
    /// 18 layers.
    pub fn resnet18() -> Self {
        Self::new()
    }

    /// 34 layers.
    pub fn resnet34() -> Self {
        Self::new().with_blocks(vec![3, 4, 6, 3])
    }

    /// 50 layers.
    pub fn resnet50() -> Self {
        Self::new()
            .with_blocks(vec![3, 4, 6, 3])
            .with_bottleneck(true)
    }

    /// 101 layers.
    pub fn resnet101() -> Self {
        Self::new()
            .with_blocks(vec![3, 4, 23, 3])
            .with_bottleneck(true)
    }

    /// 152 layers.
    pub fn resnet152() -> Self {
        Self::new()
            .with_blocks(vec![3, 8, 36, 3])
            .with_bottleneck(true)
    }

    /// How many times the channels of a stage its blocks put out.
    fn expansion(&self) -> usize {
        if self.bottleneck { 4 } else { 1 }
    }

    /// The channels of a stage.
    fn stage_channels(&self, stage: usize) -> usize {
        self.width << stage
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

impl Architecture for SewResNetConfig {
    const NAME: &'static str = "sew-resnet";

    fn presets() -> Vec<Preset<Self>> {
        let preset = |id, config| Preset::new(id, 4, proof::SPIKINGJELLY, config);
        vec![
            preset("sew-resnet18", Self::resnet18()),
            preset("sew-resnet34", Self::resnet34()),
            preset("sew-resnet50", Self::resnet50()),
            preset("sew-resnet101", Self::resnet101()),
            preset("sew-resnet152", Self::resnet152()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_blocks(vec![1, 1])
            .with_width(8)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        structure("SEW", &self.blocks, self.bottleneck, self.width)
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        validate_stages(Self::OWNER, &self.blocks, self.width)?;
        InvalidConfig::require_sizes(Self::OWNER, "image", &self.image)?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        let stages = (0..self.blocks.len()).map(|stage| self.stage_channels(stage));
        let channels = stages.flat_map(|channels| [channels, channels * self.expansion()]);
        Ok(channels.chain([self.classes]).collect())
    }

    fn build(&self, layers: &mut Layers) -> Result<SewResNet, InvalidConfig> {
        let stem = Conv2dConfig::new([self.image[0], self.width], [7, 7])
            .with_stride([2, 2])
            .with_padding(PaddingConfig2d::Explicit(3, 3, 3, 3))
            .with_bias(false);
        let stem = layers.conv_block(&stem)?;
        let mut inputs = self.width;
        let mut stages = Vec::new();
        for (stage, blocks) in self.blocks.iter().enumerate() {
            let channels = self.stage_channels(stage);
            let mut made = Vec::new();
            for block in 0..*blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                made.push(self.block(layers, [inputs, channels], stride)?);
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
/// use synfire_models::{SpikingNetwork, SewResNetConfig};
///
/// let device = Device::default();
/// let config = SewResNetConfig::resnet18().with_width(4).with_image([3, 32, 32]);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 1000]);
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

impl SpikingNetwork for SewResNet {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// `sn1`, then those of the blocks, `layer1.0.sn1`, `layer1.0.sn2`, ..., `layer2.0.shortcut`, ...
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let x = as_images(input, self.image);
        let x = self.stem.forward("sn1", x, context);
        let mut x = each_step(x, |x: Tensor<4>| self.pool.forward(x));
        for Named { there, block, .. } in blocks(&self.stages) {
            x = block.forward(&there, x, context);
        }
        self.classifier.forward(global_average(x), context)
    }
}

impl SpikingJelly for SewResNet {
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
