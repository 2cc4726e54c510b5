//! Residual networks whose shortcuts carry membrane currents.
//!
//! Hu, Deng, Wu, Yao, Li: *Advancing Spiking Neural Networks Towards Deep Residual Learning*, 2021 (MS-ResNet): neurons
//! precede the convolutions of a block, and the shortcut path only has sums. Fang et al.: *Spiking Neural Networks Need High
//! Frequency Information*, 2025, for the one with max pooling (Max-ResNet); Yao et al.: *Attention Spiking Neural Networks*, 2023,
//! for the one with attention (Att-MS-ResNet).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::layer::{AnyNorm, NormConfig, Pool2d, Pool2dConfig, SpikeConv2d, fork};
use synfire::neuron::{AnyNeuron, LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    Block, BlockPlan, Classifier, ConvNorm, Layers, LayersConfig, MultiAttention, Named,
    ReadoutConfig, Stages, add_shortcut, as_images, blocks, conv3x3, global_average, max_pool,
    run_stages, stem,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};
use crate::weights::{BuiltIn, weights};

/// Stem of an [`MsResNet`], and downsampling of its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MsStem {
    /// A 7x7 convolution; 1x1 convolutions of stride 2 in shortcuts.
    #[default]
    Plain,
    /// Three 3x3 convolutions; average pooling before 1x1 convolutions in shortcuts.
    Deep,
    /// A 3x3 convolution of stride 1 with half the channels of the first stage. Blocks that halve images do so by max pooling
    /// of the currents between their convolutions (Max-ResNet).
    Max,
}

network_config! {
    /// Configuration of an [`MsResNet`].
    pub struct MsResNetConfig of MsResNet {
        /// The blocks of each stage.
        with_blocks -> blocks: Vec<usize> = vec![2, 2, 2, 2],
        /// The stem.
        with_stem -> stem: MsStem = MsStem::Plain,
        /// The channels of the first stage; each stage has twice the channels of the previous one.
        with_width -> width: usize = 64,
        /// The stride of the first stage.
        with_first_stride -> first_stride: usize = 2,
        /// Attention among channels and pixels at the end of each block, with hidden layers of the channels divided by this number.
        /// Shortcuts that halve images do so by average pooling.
        with_attention -> attention: Option<usize> = None,
        /// True if the last normalisation of a block starts at 0, so that blocks are initially identities, as in the paper.
        /// The preceding convolutions learn nothing in the first step.
        with_zero_start -> zero_start: bool = false,
    }
    samples: [3, 224, 224] => 1000;
    layers: ms_layers();
}

weights! {
    /// Trained weights of a [`MsResNet`].
    pub enum MsResNetWeights of MsResNet {
        /// Articles of clothing, with narrow layers and a stem that keeps the size of images.
        ResNet18FashionMnist = "ms-resnet18-fashion-mnist",
    }
}

/// Threshold 0.5, decay 0.25, reset to 0 without a gradient, rectangle of width 1, normalisation to the threshold.
fn ms_layers() -> LayersConfig {
    let neuron = LifConfig::new()
        .with_threshold(0.5)
        .with_decay(0.25)
        .with_surrogate(Surrogate::rectangular(1.0).expect("1 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::td_batch()))
        .with_readout(ReadoutConfig::Currents)
        .with_initializer(Initializer::Uniform { gain: 1.0 })
}

impl MsResNetConfig {
    /// 18 layers.
    pub fn resnet18() -> Self {
        Self::new()
    }

    /// 34 layers.
    pub fn resnet34() -> Self {
        Self::new().with_blocks(vec![3, 4, 6, 3])
    }

    /// 104 layers.
    pub fn resnet104() -> Self {
        Self::new()
            .with_blocks(vec![3, 8, 32, 8])
            .with_stem(MsStem::Deep)
    }

    /// 18 layers with attention.
    pub fn att_resnet18() -> Self {
        Self::new().with_attention(Some(8))
    }

    /// Max-ResNet of 18 layers for images like those of CIFAR-10, with SpikingJelly's neurons: tau 2, threshold 1.
    pub fn max_resnet18() -> Self {
        let neuron = LifConfig::spikingjelly(2.0)
            .expect("2 is above 1")
            .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
        Self::new()
            .with_blocks(vec![3, 3, 2])
            .with_stem(MsStem::Max)
            .with_width(128)
            .with_first_stride(1)
            .with_neuron(neuron)
            .with_norm(Some(NormConfig::batch()))
            .with_image([3, 32, 32])
            .with_classes(10)
    }

    fn stages(&self) -> Stages<'_> {
        Stages {
            blocks: &self.blocks,
            bottleneck: None,
            width: self.width,
        }
    }

    fn has_pooled_shortcuts(&self) -> bool {
        self.stem == MsStem::Deep || self.attention.is_some()
    }

    fn block(&self, layers: &mut Layers, plan: BlockPlan) -> Result<MsBlock, InvalidConfig> {
        let (outputs, stride) = (plan.outputs, plan.stride);
        let max = self.stem == MsStem::Max && stride > 1;
        let conv1 = conv3x3([plan.inputs, outputs], if max { 1 } else { stride });
        let conv1 = layers.conv_norm(&conv1, 1)?;
        let mut conv2 = layers.conv_norm(&conv3x3([outputs, outputs], 1), 1)?;
        if let (Some(norm), true) = (&mut conv2.norm, self.zero_start) {
            start_at_zero(norm);
        }
        let pooled = self.has_pooled_shortcuts() && stride > 1;
        let shortcut = plan.shortcut().map(|conv| match pooled {
            true => conv.with_stride([1, 1]),
            false => conv,
        });
        Ok(MsBlock {
            neuron1: layers.neuron()?,
            conv1,
            max_pool: max.then(|| max_pool(stride)),
            neuron2: layers.neuron()?,
            conv2,
            attention: self
                .attention
                .map(|reduction| layers.multi_attention(None, [outputs, reduction])),
            pool: match pooled {
                true => Some(Pool2dConfig::new([stride, stride]).init()?),
                false => None,
            },
            shortcut: shortcut
                .map(|conv| layers.conv_norm(&conv, 1))
                .transpose()?,
        })
    }
}

/// Sets the scales of a normalisation to 0.
fn start_at_zero(norm: &mut AnyNorm) {
    let zero = |gamma: &mut Param<Tensor<1>>| {
        *gamma = Param::from_tensor(gamma.val().zeros_like());
    };
    match norm {
        AnyNorm::Batch(norm) => zero(&mut norm.norm.gamma),
        AnyNorm::TdBatch(norm) => zero(&mut norm.norm.gamma),
        AnyNorm::TeBatch(norm) => zero(&mut norm.norm.gamma),
        AnyNorm::BatchThroughTime(norm) => {
            norm.steps.iter_mut().for_each(|step| zero(&mut step.gamma));
        }
    }
}

impl Architecture for MsResNetConfig {
    const NAME: &'static str = "ms-resnet";
    const WEIGHTS: &'static [BuiltIn] = MsResNetWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        vec![
            Preset::new("ms-resnet18", 6, proof::SPIKINGJELLY, Self::resnet18()),
            Preset::new("ms-resnet34", 6, proof::SPIKINGJELLY, Self::resnet34()),
            Preset::new(
                "ms-resnet104",
                5,
                "SpikingJelly 2.0.0 (18 and 34 layers); stem and count by hand",
                Self::resnet104(),
            ),
            Preset::new(
                "att-ms-resnet18",
                1,
                proof::SPIKINGJELLY,
                Self::att_resnet18(),
            ),
            Preset::new("max-resnet18", 6, proof::SPIKINGJELLY, Self::max_resnet18()),
        ]
    }

    fn small() -> Self {
        Self::new()
            .with_blocks(vec![1, 1])
            .with_width(8)
            .with_first_stride(1)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let kind = match self.stem {
            MsStem::Max => "Max",
            MsStem::Plain | MsStem::Deep => "MS",
        };
        match self.attention {
            None => self.stages().structure(kind),
            Some(_) => self.stages().structure(&format!("Att-{kind}")),
        }
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let stages = self.stages();
        let channels = stages.channels(Self::OWNER, self.image, &[], self.classes)?;
        InvalidConfig::require_size(Self::OWNER, "first_stride", self.first_stride)?;
        if self.stem == MsStem::Max && !self.width.is_multiple_of(2) {
            let (owner, expected) = (Self::OWNER, "an even number for this stem");
            return Err(InvalidConfig::new(owner, "width", self.width, expected));
        }
        if let Some(reduction) = self.attention {
            let (owner, accepted) = (Self::OWNER, (1..=self.width).contains(&reduction));
            let expected = format!("from 1 to the {} channels", self.width);
            InvalidConfig::require(owner, "attention", reduction, accepted, expected)?;
        }
        if self.has_pooled_shortcuts() {
            // Pooling would drop an odd last row or column; a convolution does not.
            let stride = if self.stem == MsStem::Max { 1 } else { 2 };
            let mut size = [1, 2].map(|axis| self.image[axis].div_ceil(stride));
            for stage in 0..self.blocks.len() {
                let stride = if stage == 0 { self.first_stride } else { 2 };
                if size.iter().any(|size| !size.is_multiple_of(stride)) {
                    let image = format!("{:?}", self.image);
                    let expected = "an image of a size that all stages can divide";
                    return Err(InvalidConfig::new(Self::OWNER, "image", image, expected));
                }
                size = size.map(|size| size / stride);
            }
        }
        Ok(channels)
    }

    /// Attention is of the whole sequence.
    fn streams(&self) -> bool {
        self.attention.is_none()
    }

    fn build(&self, layers: &mut Layers) -> Result<MsResNet, InvalidConfig> {
        let [image, width] = [self.image[0], self.width];
        let (first, stem) = match self.stem {
            MsStem::Plain => (vec![], stem([image, width])),
            MsStem::Deep => {
                let conv = |inputs, stride| conv3x3([inputs, width], stride).with_bias(true);
                let first = vec![layers.conv(&conv(image, 2)), layers.conv(&conv(width, 1))];
                (first, conv(width, 1))
            }
            MsStem::Max => (vec![], conv3x3([image, width / 2], 1)),
        };
        let inputs = stem.channels[1];
        let stages = self.stages();
        Ok(MsResNet {
            first,
            stem: layers.conv_norm(&stem, 1)?,
            stages: stages.build(inputs, self.first_stride, |plan| self.block(layers, plan))?,
            neuron: layers.neuron()?,
            classifier: layers.classifier(&[stages.outputs(), self.classes])?,
            image: self.image,
        })
    }
}

/// A residual network with membrane shortcuts. Its outputs are those of the linear layer at each step.
///
/// Created by [`MsResNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, MsResNetConfig};
///
/// let device = Device::default();
/// let config = MsResNetConfig::resnet18().with_width(4).with_image([3, 32, 32]);
/// let network = config.init(&device)?;
/// let logits = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(logits.dims(), [1, 2, 1000]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct MsResNet {
    first: Vec<SpikeConv2d>,
    stem: ConvNorm,
    stages: Vec<Vec<MsBlock>>,
    neuron: AnyNeuron,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A block: neurons and a convolution, twice, plus the currents of the shortcut.
#[derive(Module, Debug)]
pub struct MsBlock {
    neuron1: AnyNeuron,
    conv1: ConvNorm,
    max_pool: Option<Pool2d>,
    neuron2: AnyNeuron,
    conv2: ConvNorm,
    attention: Option<MultiAttention>,
    pool: Option<Pool2d>,
    shortcut: Option<ConvNorm>,
}

impl Block for MsBlock {
    fn forward(&self, block: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let [name1, name2] = [1, 2].map(|i| format!("{block}.spike{i}"));
        let [branch, input] = fork(input);
        let spikes = context.neurons(&name1, &self.neuron1, branch);
        let spikes = match &self.max_pool {
            Some(pool) => {
                let currents = pool.forward(self.conv1.forward(spikes, context));
                context.neurons(&name2, &self.neuron2, currents)
            }
            None => (self.conv1).forward_into(&name2, &self.neuron2, spikes, context),
        };
        let mut currents = self.conv2.forward(spikes, context);
        if let Some(attention) = &self.attention {
            currents = attention.forward(currents, context);
        }
        let shortcut = match &self.pool {
            Some(pool) => pool.forward(input),
            None => input,
        };
        add_shortcut(block, currents, self.shortcut.as_ref(), shortcut, context)
    }
}

impl SpikingNetwork for MsResNet {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `layer1.0.spike1`, `layer1.0.spike2`, ..., and `head`.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let mut x = as_images(input, self.image);
        for conv in &self.first {
            x = context.currents(conv, None::<&AnyNorm>, x);
        }
        x = self.stem.forward(x, context);
        x = run_stages(&self.stages, x, context);
        let spikes = context.neurons("head", &self.neuron, x);
        self.classifier.forward(global_average(spikes), context)
    }
}

impl SpikingJelly for MsResNet {
    /// SpikingJelly has no network with the stem [`MsStem::Deep`].
    fn names(&self) -> Names {
        let mut names = Names::new();
        names.conv_norm("stem", ["stem.0", "stem.1"]);
        for Named { here, there, block } in blocks(&self.stages) {
            for i in [1, 2] {
                names.module(&format!("{here}.neuron{i}"), &format!("{there}.spike{i}"));
                let parts = ["conv", "bn"].map(|part| format!("{there}.{part}{i}"));
                names.conv_norm(&format!("{here}.conv{i}"), parts);
            }
            if let Some(attention) = &block.attention {
                let there = format!("{there}.attention");
                attention.names(&mut names, &format!("{here}.attention"), &there);
            }
            if block.shortcut.is_some() {
                let first = usize::from(block.pool.is_some());
                let parts = [0, 1].map(|i| format!("{there}.downsample.{}", first + i));
                names.conv_norm(&format!("{here}.shortcut"), parts);
            }
        }
        names.module("neuron", "head_lif");
        names.module("classifier.layers.0", "head");
        names
    }
}
