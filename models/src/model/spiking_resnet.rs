//! Residual networks with spiking neurons in place of ReLU.
//!
//! He, Zhang, Ren, Sun: *Deep Residual Learning for Image Recognition*, CVPR 2016. A block adds the currents of its branch to
//! its shortcut before its last neurons. Fang et al. 2021 compare this "Spiking ResNet" with their
//! [`SewResNet`](crate::SewResNet), whose blocks join spikes.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::fork;
use synfire::neuron::AnyNeuron;

use crate::Context;
use crate::block::{
    Block, BlockPlan, ConvBlock, ConvNorm, Layers, Named, ResNet, add_shortcut, blocks,
    integrate_and_fire_layers, resnet_architecture,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{Architecture, NetworkSettings, Preset, network_config, proof};
use crate::weights::weights;

network_config! {
    /// Configuration of a [`SpikingResNet`].
    pub struct SpikingResNetConfig of SpikingResNet {
        /// The blocks of each stage.
        with_blocks -> blocks: Vec<usize> = vec![2, 2, 2, 2],
        /// True if blocks are bottlenecks: 1x1, 3x3 and 1x1 convolutions with four times the output channels, not two 3x3.
        with_bottleneck -> bottleneck: bool = false,
        /// The groups of the 3x3 convolutions of bottlenecks.
        with_groups -> groups: usize = 1,
        /// The ratio of the channels of the 3x3 convolutions of bottlenecks to those of the stage.
        with_widening -> widening: usize = 1,
        /// The channels of the first stage; each stage has twice the channels of the previous one.
        with_width -> width: usize = 64,
    }
    samples: [3, 224, 224] => 1000;
    layers: integrate_and_fire_layers();
}

weights! {
    /// Trained weights of a [`SpikingResNet`].
    pub enum SpikingResNetWeights of SpikingResNet {
        /// Articles of clothing, with narrow layers.
        ResNet18FashionMnist = "spiking-resnet18-fashion-mnist",
    }
}

resnet_architecture!(SpikingResNetConfig: "spiking", "ResNet", SpikingResNetWeights);

impl SpikingResNetConfig {
    fn block(&self, layers: &mut Layers, plan: BlockPlan) -> Result<SpikingBlock, InvalidConfig> {
        let mut branch = plan.branch();
        let last = branch.pop().expect("a branch has convolutions");
        let branch = branch.iter().map(|conv| layers.conv_block(conv));
        Ok(SpikingBlock {
            branch: branch.collect::<Result<_, _>>()?,
            last: layers.conv_norm(&last, 2)?,
            shortcut: plan
                .shortcut()
                .map(|conv| layers.conv_norm(&conv, 2))
                .transpose()?,
            neuron: layers.neuron()?,
        })
    }
}

/// A residual network that adds currents before its neurons. Its outputs are those of the linear layer at each step.
///
/// Created by [`SpikingResNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, SpikingResNetConfig};
///
/// let device = Device::default();
/// let config = SpikingResNetConfig::resnet18().with_width(4).with_image([3, 32, 32]);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 1000]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub type SpikingResNet = ResNet<SpikingBlock>;

/// A block: convolutions with neurons after each. The shortcut is added before the last neurons.
#[derive(Module, Debug)]
pub struct SpikingBlock {
    branch: Vec<ConvBlock>,
    last: ConvNorm,
    shortcut: Option<ConvNorm>,
    neuron: AnyNeuron,
}

impl Block for SpikingBlock {
    fn forward(&self, block: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [mut x, input] = fork(input);
        for (i, conv) in self.branch.iter().enumerate() {
            x = conv.forward(&format!("{block}.sn{}", i + 1), x, context);
        }
        let currents = self.last.forward(x, context);
        let currents = add_shortcut(block, currents, self.shortcut.as_ref(), input, context);
        let name = format!("{block}.sn{}", self.branch.len() + 1);
        context.neurons(&name, &self.neuron, currents)
    }
}

impl SpikingJelly for SpikingResNet {
    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_block("stem", ["conv1", "bn1", "sn1"]);
        for Named { here, there, block } in blocks(&self.stages) {
            let parts = |i| ["conv", "bn", "sn"].map(|part| format!("{there}.{part}{i}"));
            for i in 0..block.branch.len() {
                names.conv_block(&format!("{here}.branch.{i}"), parts(i + 1));
            }
            let [conv, bn, sn] = parts(block.branch.len() + 1);
            names.conv_norm(&format!("{here}.last"), [conv, bn]);
            names.module(&format!("{here}.neuron"), &sn);
            if block.shortcut.is_some() {
                let parts = [0, 1].map(|i| format!("{there}.downsample.{i}"));
                names.conv_norm(&format!("{here}.shortcut"), parts);
            }
        }
        names.module("classifier.layers.0", "fc");
        names
    }
}
