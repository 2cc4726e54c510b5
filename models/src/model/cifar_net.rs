//! CIFARNet.
//!
//! Wu, Deng, Li, Zhu, Xie, Shi: *Direct Training for Spiking Neural Networks: Faster, Larger, Better*, AAAI 2019:
//! 128C3-256C3-AP2-512C3-AP2-1024C3-512C3-1024-512-vote. A batch normalisation can replace the paper's NeuNorm, which is not
//! implemented.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{NormConfig, Pooling, Voting};
use synfire::neuron::LifConfig;

use crate::Context;
use crate::block::{
    ALIVE, Chain, Classifier, ConvBlock, Layers, LayersConfig, as_images, run_blocks,
};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, proof,
};
use crate::weights::{BuiltIn, weights};

network_config! {
    /// Configuration of a [`CifarNet`].
    pub struct CifarNetConfig of CifarNet {
        /// The channels of the 3x3 convolutions of each stage, with an average pooling of 2x2 between stages.
        with_stages -> stages: Vec<Vec<usize>> = vec![vec![128, 256], vec![512], vec![1024, 512]],
        /// The sizes of the linear layers before the voters.
        with_hidden -> hidden: Vec<usize> = vec![1024, 512],
        /// The neurons of the last layer for each class.
        with_voters -> voters: usize = 10,
    }
    samples: [3, 32, 32] => 10;
    layers: cifar_layers();
}

weights! {
    /// Trained weights of a [`CifarNet`].
    pub enum CifarNetWeights of CifarNet {
        /// Articles of clothing, with narrow layers.
        FashionMnist = "cifar-net-fashion-mnist",
    }
}

/// The gate, decay and rectangle of this line of papers, with threshold-dependent normalisation instead of NeuNorm.
fn cifar_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(LifConfig::new().with_threshold(0.5).with_decay(0.25))
        .with_norm(Some(NormConfig::td_batch()))
        .with_initializer(ALIVE)
}

impl CifarNetConfig {
    fn chain(&self) -> Chain<'_> {
        Chain {
            owner: Self::OWNER,
            image: self.image,
            stages: &self.stages,
            pooling: Pooling::Average,
            last_pooling: false,
            bias: self.norm.is_none(),
        }
    }

    /// The sizes of the linear layers, input first.
    fn sizes(&self) -> Result<Vec<usize>, InvalidConfig> {
        let features = self.chain().output()?.iter().product();
        let voters = self.classes.saturating_mul(self.voters);
        Ok([&[features], &self.hidden[..], &[voters]].concat())
    }
}

impl Architecture for CifarNetConfig {
    const NAME: &'static str = "cifar-net";
    const WEIGHTS: &'static [BuiltIn] = CifarNetWeights::BUILT_IN;

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::new("cifar-net", 8, proof::PARTS, Self::new())]
    }

    fn small() -> Self {
        Self::new()
            .with_image([1, 28, 28])
            .with_stages(vec![vec![8, 16], vec![32]])
            .with_hidden(vec![64])
    }

    fn structure(&self) -> String {
        let sizes: Vec<_> = self.hidden.iter().map(|size| format!("{size}-")).collect();
        let voters = self.classes * self.voters;
        let (convs, sizes) = (self.chain().structure(), sizes.concat());
        format!("{convs}{sizes}{voters}-vote of {}", self.voters)
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let chain = self.chain();
        chain.validate()?;
        InvalidConfig::require_size(Self::OWNER, "classes", self.classes)?;
        InvalidConfig::require_size(Self::OWNER, "voters", self.voters)?;
        let sizes = self.sizes()?;
        InvalidConfig::require_sizes(Self::OWNER, "hidden", &sizes)?;
        Ok([chain.channels(), sizes[1..].to_vec()].concat())
    }

    fn build(&self, layers: &mut Layers) -> Result<CifarNet, InvalidConfig> {
        let blocks = self.chain().init(layers)?;
        let classifier = layers.classifier(&self.sizes()?)?;
        Ok(CifarNet {
            blocks,
            classifier: classifier.with_voting(Voting::new(self.voters)?),
            image: self.image,
        })
    }
}

/// Convolutions, the first of which encodes the image as spikes, with average pooling; linear layers; a vote.
///
/// Created by [`CifarNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{CifarNetConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = CifarNetConfig::new().with_stages(vec![vec![4], vec![8]]).with_hidden(vec![32]);
/// let network = config.init(&device)?;
/// let rates = network.run(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
/// assert_eq!(rates.dims(), [1, 2, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct CifarNet {
    blocks: Vec<ConvBlock>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

impl SpikingNetwork for CifarNet {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, ..., `hidden1`, ..., and `output`.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let x = as_images(input, self.image);
        let spikes = run_blocks(&self.blocks, x, context);
        self.classifier.forward(spikes.flatten(2, 4), context)
    }
}
