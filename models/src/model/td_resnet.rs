//! Residual networks with threshold-dependent batch normalisation.
//!
//! Zheng, Wu, Deng, Hu, Li: *Going Deeper With Directly-Trained Larger Spiking Neural Networks*, AAAI 2021: ResNet-19. The
//! currents of both branches of a block are added up before its last neurons; normalisations before such a sum start at
//! `V_th / sqrt(2)`.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{NormConfig, fork};
use synfire::neuron::{AnyNeuron, LifConfig};

use crate::Context;
use crate::block::{
    ALIVE, Block, BlockPlan, ConvBlock, ConvNorm, Layers, LayersConfig, ReadoutConfig, ResNet,
    Stages, add_shortcut, conv3x3,
};
use crate::network::{Architecture, NetworkSettings, Preset, network_config, proof};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`TdResNet`].
    pub struct TdResNetConfig of TdResNet {
        /// The blocks of each stage.
        with_blocks -> blocks: Vec<usize> = vec![3, 3, 2],
        /// The channels of the first stage; each stage has twice the channels and half the height and width of the previous.
        with_width -> width: usize = 128,
        /// The sizes of the linear layers before the last.
        with_hidden -> hidden: Vec<usize> = vec![256],
    }
    samples: [3, 32, 32] => 10;
    layers: td_layers();
}

weights! {
    /// Trained weights of a [`TdResNet`].
    pub enum TdResNetWeights of TdResNet {
        /// Articles of clothing, with narrow layers.
        ResNet19FashionMnist = "td-resnet19-fashion-mnist",
    }
}

/// Threshold 0.5, decay 0.25, reset to 0, rectangle of width 1.
fn td_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(LifConfig::new().with_threshold(0.5).with_decay(0.25))
        .with_norm(Some(NormConfig::td_batch()))
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(ALIVE)
}

impl TdResNetConfig {
    /// ResNet-19, for CIFAR-10.
    pub fn resnet19() -> Self {
        Self::new()
    }

    fn stages(&self) -> Stages<'_> {
        Stages {
            blocks: &self.blocks,
            bottleneck: None,
            width: self.width,
        }
    }
}

impl Architecture for TdResNetConfig {
    const NAME: &'static str = "td-resnet";
    const WEIGHTS: &'static [BuiltIn] = TdResNetWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let config = Self::resnet19();
        vec![Preset::new("td-resnet19", 6, proof::PARTS, config)]
    }

    fn small() -> Self {
        Self::new()
            .with_blocks(vec![1, 1])
            .with_width(8)
            .with_hidden(vec![64])
            .with_image([1, 28, 28])
    }

    fn structure(&self) -> String {
        let sizes = [self.hidden.as_slice(), &[self.classes]].concat();
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        let blocks = self.stages().structure("tdBN");
        format!("{blocks}-{}", sizes.join("-"))
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let stages = self.stages();
        stages.channels(Self::OWNER, self.image, &self.hidden, self.classes)
    }

    fn build(&self, layers: &mut Layers) -> Result<TdResNet, InvalidConfig> {
        let stages = self.stages();
        let sizes = [&[stages.outputs()], &self.hidden[..], &[self.classes]].concat();
        Ok(ResNet {
            stem: layers.conv_block(&conv3x3([self.image[0], self.width], 1))?,
            pool: None,
            stages: stages.build(self.width, 1, |plan| TdBlock::new(layers, plan))?,
            classifier: layers.classifier(&sizes)?,
            image: self.image,
        })
    }
}

/// A residual network that adds currents before its neurons. Its outputs are those of the last linear layer at each
/// step.
///
/// Created by [`TdResNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, TdResNetConfig};
///
/// let device = Device::default();
/// let network = TdResNetConfig::resnet19().with_width(4).init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub type TdResNet = ResNet<TdBlock>;

/// A block: two convolutions with neurons after each. The shortcut is added before the last neurons.
#[derive(Module, Debug)]
pub struct TdBlock {
    conv1: ConvBlock,
    conv2: ConvNorm,
    shortcut: Option<ConvNorm>,
    neuron: AnyNeuron,
}

impl TdBlock {
    fn new(layers: &mut Layers, plan: BlockPlan) -> Result<Self, InvalidConfig> {
        let channels = plan.channels;
        Ok(Self {
            conv1: layers.conv_block(&conv3x3([plan.inputs, channels], plan.stride))?,
            conv2: layers.conv_norm(&conv3x3([channels, channels], 1), 2)?,
            shortcut: plan
                .shortcut()
                .map(|conv| layers.conv_norm(&conv, 2))
                .transpose()?,
            neuron: layers.neuron()?,
        })
    }
}

impl Block for TdBlock {
    fn forward(&self, block: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{block}.sn{i}"));
        let [branch, input] = fork(input);
        let spikes = self.conv1.forward(&name1, branch, context);
        let currents = self.conv2.forward(spikes, context);
        let currents = add_shortcut(block, currents, self.shortcut.as_ref(), input, context);
        context.neurons(&name2, &self.neuron, currents)
    }
}
