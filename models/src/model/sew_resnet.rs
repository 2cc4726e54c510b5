//! Residual networks whose blocks join spikes.
//!
//! Fang, Yu, Chen, Huang, Masquelier, Tian: *Deep Residual Learning in Spiking Neural Networks*, NeurIPS 2021: the residual
//! networks of He et al. (2016), with neurons after every normalisation, also before the join with the shortcut.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{SewJoin, fork};

use crate::Context;
use crate::block::{
    Block, BlockPlan, ConvBlock, Layers, Named, ResNet, blocks, integrate_and_fire_layers,
    resnet_architecture,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{Architecture, NetworkSettings, Preset, network_config, proof};
use crate::weights::weights;

network_config! {
    /// Configuration of a [`SewResNet`].
    pub struct SewResNetConfig of SewResNet {
        /// The blocks of each stage.
        with_blocks -> blocks: Vec<usize> = vec![2, 2, 2, 2],
        /// True if blocks are bottlenecks: 1x1, 3x3 and 1x1 convolutions with four times the output channels, not two 3x3.
        with_bottleneck -> bottleneck: bool = false,
        /// The groups of the 3x3 convolutions of bottlenecks.
        with_groups -> groups: usize = 1,
        /// The ratio of the channels of the 3x3 convolutions of bottlenecks to those of the stage.
        with_widening -> widening: usize = 1,
        /// Join of the spikes of the two branches of a block.
        with_join -> join: SewJoin = SewJoin::Add,
        /// The channels of the first stage; each stage has twice the channels of the previous one.
        with_width -> width: usize = 64,
    }
    samples: [3, 224, 224] => 1000;
    layers: integrate_and_fire_layers();
}

weights! {
    /// Trained weights of a [`SewResNet`].
    pub enum SewResNetWeights of SewResNet {
        /// Articles of clothing, with narrow layers.
        ResNet18FashionMnist = "sew-resnet18-fashion-mnist",
    }
}

resnet_architecture!(SewResNetConfig: "sew", "SEW", SewResNetWeights);

impl SewResNetConfig {
    fn block(&self, layers: &mut Layers, plan: BlockPlan) -> Result<SewBlock, InvalidConfig> {
        let branch = plan.branch();
        let branch = branch.iter().map(|conv| layers.conv_block(conv));
        Ok(SewBlock {
            branch: branch.collect::<Result<_, _>>()?,
            shortcut: plan
                .shortcut()
                .map(|conv| layers.conv_block(&conv))
                .transpose()?,
            join: self.join,
            bottleneck: self.bottleneck,
        })
    }
}

/// A residual network that joins spikes. Its outputs are those of the linear layer at each step.
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
pub type SewResNet = ResNet<SewBlock>;

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

impl Block for SewBlock {
    fn forward(&self, block: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [mut branch, input] = fork(input);
        for (i, conv) in self.branch.iter().enumerate() {
            branch = conv.forward(&format!("{block}.sn{}", i + 1), branch, context);
        }
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(&format!("{block}.shortcut"), input, context),
            None => input,
        };
        match self.bottleneck {
            false => self.join.join(branch, shortcut),
            // With the branches exchanged, as in SpikingJelly; this only affects `Iand`.
            true => self.join.join(shortcut, branch),
        }
    }
}

impl SpikingJelly for SewResNet {
    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_block("stem", ["conv1", "bn1", "sn1"]);
        for Named { here, there, block } in blocks(&self.stages) {
            for i in 0..block.branch.len() {
                let parts = ["conv", "bn", "sn"].map(|part| format!("{there}.{part}{}", i + 1));
                names.conv_block(&format!("{here}.branch.{i}"), parts);
            }
            if block.shortcut.is_some() {
                let parts = [".0", ".1", "_sn"].map(|part| format!("{there}.downsample{part}"));
                names.conv_block(&format!("{here}.shortcut"), parts);
            }
        }
        names.module("classifier.layers.0", "fc");
        names
    }
}
