//! The networks of the PLIF paper.
//!
//! Fang, Yu, Chen, Masquelier, Huang, Tian: *Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking
//! Neural Networks*, ICCV 2021: convolutions with batch normalisation and parametric leaky integrate-and-fire neurons, max
//! pooling, two fully connected layers, and a vote of ten neurons for each class.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{NormConfig, Pooling, Voting};
use synfire::neuron::{LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    ALIVE, Chain, Classifier, ConvBlock, Layers, LayersConfig, as_images, run_blocks,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`PlifNet`].
    pub struct PlifNetConfig of PlifNet {
        /// Number of groups of convolutions, each with 2x2 max pooling at its end.
        with_groups -> groups: usize = 2,
        /// Number of convolutions of a group.
        with_convs -> convs: usize = 1,
        /// The channels of every convolution.
        with_channels -> channels: usize = 128,
        /// The size of the first fully connected layer.
        with_hidden -> hidden: usize = 2048,
        /// The neurons of the last layer for each class.
        with_voters -> voters: usize = 10,
    }
    samples: [1, 28, 28] => 10;
    layers: plif_layers();
}

weights! {
    /// Trained weights of a [`PlifNet`].
    pub enum PlifNetWeights of PlifNet {
        /// Articles of clothing, with narrow layers.
        FashionMnist = "plif-fashion-mnist",
    }
}

/// Threshold 1, `tau` from 2 on, reset to 0 without a gradient, arctangent of width 2, batch normalisation, dropout 0.5.
fn plif_layers() -> LayersConfig {
    let neuron = LifConfig::plif(2.0).expect("2 is above 1");
    let surrogate = Surrogate::atan(2.0).expect("2 is above 0");
    let neuron = neuron
        .with_threshold(1.0)
        .with_surrogate(surrogate)
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::batch()))
        .with_dropout(0.5)
        .with_initializer(ALIVE)
}

impl PlifNetConfig {
    /// For MNIST: 128C3-MP2-128C3-MP2-2048-100-vote of 10.
    pub fn mnist() -> Self {
        Self::new()
    }

    /// For Fashion-MNIST: as for MNIST.
    pub fn fashion_mnist() -> Self {
        Self::mnist()
    }

    /// For N-MNIST: as for MNIST, of two polarities.
    pub fn nmnist() -> Self {
        Self::new().with_image([2, 34, 34])
    }

    /// For CIFAR-10: 256C3 three times before each of two poolings.
    pub fn cifar10() -> Self {
        Self::new()
            .with_image([3, 32, 32])
            .with_convs(3)
            .with_channels(256)
    }

    /// For CIFAR10-DVS: 128C3-MP2 four times, 512-100-vote of 10.
    pub fn cifar10_dvs() -> Self {
        Self::new()
            .with_image([2, 128, 128])
            .with_groups(4)
            .with_hidden(512)
    }

    /// For DVS128 Gesture: 128C3-MP2 five times, 512-110-vote of 10.
    pub fn dvs_gesture() -> Self {
        Self::cifar10_dvs().with_classes(11).with_groups(5)
    }

    fn stages(&self) -> Vec<Vec<usize>> {
        vec![vec![self.channels; self.convs]; self.groups]
    }

    fn chain<'a>(&self, stages: &'a [Vec<usize>]) -> Chain<'a> {
        Chain {
            owner: Self::OWNER,
            image: self.image,
            stages,
            pooling: Pooling::Max,
            last_pooling: true,
            bias: false,
        }
    }
}

impl Architecture for PlifNetConfig {
    const NAME: &'static str = "plif-net";
    const WEIGHTS: &'static [BuiltIn] = PlifNetWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        let preset =
            |id, time_steps, config| Preset::new(id, time_steps, proof::SPIKINGJELLY, config);
        vec![
            preset("plif-mnist", 8, Self::mnist()),
            preset("plif-fashion-mnist", 8, Self::fashion_mnist()),
            preset("plif-nmnist", 10, Self::nmnist()),
            preset("plif-cifar10", 8, Self::cifar10()),
            preset("plif-cifar10-dvs", 20, Self::cifar10_dvs()),
            preset("plif-dvs-gesture", 20, Self::dvs_gesture()),
        ]
    }

    fn small() -> Self {
        Self::mnist()
            .with_channels(8)
            .with_hidden(128)
            .with_dropout(0.0)
    }

    fn structure(&self) -> String {
        let convs = self.chain(&self.stages()).structure();
        let voters = self.classes * self.voters;
        format!("{convs}{}-{voters}-vote of {}", self.hidden, self.voters)
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        for (field, size) in [
            ("classes", self.classes),
            ("groups", self.groups),
            ("convs", self.convs),
            ("channels", self.channels),
            ("hidden", self.hidden),
            ("voters", self.voters),
        ] {
            InvalidConfig::require_size(Self::OWNER, field, size)?;
        }
        self.chain(&self.stages()).validate()?;
        let voters = self.classes.saturating_mul(self.voters);
        InvalidConfig::require_size(Self::OWNER, "voters", voters)?;
        Ok(vec![self.channels, self.hidden, voters])
    }

    fn build(&self, layers: &mut Layers) -> Result<PlifNet, InvalidConfig> {
        let stages = self.stages();
        let chain = self.chain(&stages);
        let blocks = chain.init(layers)?;
        let features = chain.output()?.iter().product();
        let voters = self.classes * self.voters;
        let classifier = layers.classifier(&[features, self.hidden, voters])?;
        Ok(PlifNet {
            blocks,
            classifier: classifier.with_voting(Voting::new(self.voters)?),
            image: self.image,
        })
    }
}

/// Convolutions, normalised, with parametric leaky integrate-and-fire neurons and max pooling; fully connected layers; a
/// vote.
///
/// Created by [`PlifNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{SpikingNetwork, PlifNetConfig};
///
/// let device = Device::default();
/// let config = PlifNetConfig::fashion_mnist().with_channels(8).with_hidden(64);
/// let network = config.init(&device)?;
/// // 4 time steps of 2 images
/// let rates = network.run(Tensor::<5>::ones([4, 2, 1, 28, 28], &device)).mean_dim(0);
/// assert_eq!(rates.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct PlifNet {
    blocks: Vec<ConvBlock>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

impl SpikingNetwork for PlifNet {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, ..., `hidden` and `output`.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let x = as_images(input, self.image);
        let spikes = run_blocks(&self.blocks, x, context);
        self.classifier.forward(spikes.flatten(2, 4), context)
    }
}

impl SpikingJelly for PlifNet {
    /// SpikingJelly's network is one list, `conv_fc`.
    fn names(&self) -> Names {
        let mut list = Names::new().list("conv_fc");
        for (i, block) in self.blocks.iter().enumerate() {
            list.block(&format!("blocks.{i}"), block);
        }
        list.skip("flatten");
        for i in 0..self.classifier.layers.len() {
            list.skip("dropout");
            list.next(&format!("classifier.layers.{i}"));
            list.next(&match i < self.classifier.neurons.len() {
                true => format!("classifier.neurons.{i}"),
                false => "classifier.output.Spikes".to_owned(),
            });
        }
        list.done()
    }
}
