//! CIFARNet.
//!
//! Wu, Deng, Li, Zhu, Xie, Shi: *Direct Training for Spiking Neural Networks: Faster, Larger, Better*, AAAI 2019:
//! 128C3-256C3-AP2-512C3-AP2-1024C3-512C3-1024-512-vote. Its NeuNorm is not part of it here; in its place a batch
//! normalisation can stand.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use synfire::InvalidConfig;
use synfire::layer::{Pooling, Voting};
use synfire::neuron::LifConfig;

use crate::any::ZooConfig;
use crate::chain::Chain;
use crate::context::Context;
use crate::image_network::ImageNetwork;
use crate::network::Norm;
use crate::parts::{
    ALIVE, Classifier, ConvBlock, Layers, LayersConfig, chain_names, layer_options, run_blocks,
};

/// Configuration of a [`CifarNet`].
#[derive(Config, Debug, PartialEq)]
pub struct CifarNetConfig {
    /// Channels, height and width of a sample.
    #[config(default = "[3, 32, 32]")]
    pub image: [usize; 3],
    /// The number of classes.
    #[config(default = 10)]
    pub classes: usize,
    /// The channels of the 3x3 convolutions of each stage, with an average pooling of 2x2 between stages.
    #[config(default = "vec![vec![128, 256], vec![512], vec![1024, 512]]")]
    pub stages: Vec<Vec<usize>>,
    /// The sizes of the linear layers before the voters.
    #[config(default = "vec![1024, 512]")]
    pub hidden: Vec<usize>,
    /// The neurons of the last layer for each class.
    #[config(default = 10)]
    pub voters: usize,
    /// What the layers are made of.
    #[config(default = "cifar_layers()")]
    pub layers: LayersConfig,
}

/// The gate, decay and rectangle of the paper's line of work, with a normalisation to the threshold in place of NeuNorm.
fn cifar_layers() -> LayersConfig {
    LayersConfig::new()
        .with_neuron(LifConfig::new().with_threshold(0.5).with_decay(0.25))
        .with_norm(Some(Norm::TdBatch))
        .with_initializer(ALIVE)
}

layer_options!(CifarNetConfig);

impl CifarNetConfig {
    /// Of few channels, for trials of seconds on images like those of MNIST.
    pub fn small() -> Self {
        Self::new()
            .with_image([1, 28, 28])
            .with_stages(vec![vec![8, 16], vec![32]])
            .with_hidden(vec![64])
    }

    fn chain(&self) -> Chain<'_> {
        Chain {
            owner: "CifarNet",
            image: self.image,
            stages: &self.stages,
            pooling: Pooling::Average,
            last_pooling: false,
            bias: self.layers.norm.is_none(),
        }
    }

    /// The sizes of the linear layers, input first.
    fn sizes(&self) -> Result<Vec<usize>, InvalidConfig> {
        let features = self.chain().output()?.iter().product();
        let voters = self.classes.saturating_mul(self.voters);
        Ok([&[features], &self.hidden[..], &[voters]].concat())
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there is no convolution, a size is 0, the image is too small for the poolings, or the layers are
    /// [invalid](LayersConfig::validate).
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "CifarNet";
        let chain = self.chain();
        chain.validate()?;
        InvalidConfig::require_size(OWNER, "classes", self.classes)?;
        InvalidConfig::require_size(OWNER, "voters", self.voters)?;
        let sizes = self.sizes()?;
        for size in &sizes {
            InvalidConfig::require_size(OWNER, "hidden", *size)?;
        }
        let channels = [chain.channels(), sizes[1..].to_vec()].concat();
        self.layers.validate(OWNER, &channels)
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<CifarNet, InvalidConfig> {
        self.validate()?;
        let mut layers = Layers::new(&self.layers, device)?;
        let blocks = self.chain().init(&mut layers)?;
        let classifier = layers.classifier(&self.sizes()?)?;
        Ok(CifarNet {
            blocks,
            classifier: classifier.with_voting(Voting::new(self.voters)?),
            image: self.image,
        })
    }
}

/// Convolutions and average pooling, of which the first makes spikes of the image; linear layers; a vote.
///
/// Created by [`CifarNetConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{CifarNetConfig, ImageNetwork};
///
/// let device = Device::default();
/// let config = CifarNetConfig::new().with_stages(vec![vec![4], vec![8]]).with_hidden(vec![32]);
/// let network = config.init(&device)?;
/// let rates = network.forward(Tensor::<5>::ones([4, 2, 3, 32, 32], &device)).mean_dim(0);
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

impl ImageNetwork for CifarNet {
    const NAME: &'static str = "CifarNet";

    fn image(&self) -> [usize; 3] {
        self.image
    }

    /// `conv1`, `conv2`, ..., `hidden1`, ..., and `output`.
    fn neuron_names(&self) -> Vec<String> {
        chain_names(&self.blocks, &self.classifier)
    }

    fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3> {
        let spikes = run_blocks(&self.blocks, input, context);
        self.classifier.forward(spikes.flatten(2, 4), context)
    }
}

impl ZooConfig for CifarNetConfig {
    fn set_samples(&mut self, image: [usize; 3], classes: usize) {
        (self.image, self.classes) = (image, classes);
    }

    fn structure(&self) -> String {
        let sizes: Vec<_> = self.hidden.iter().map(|size| format!("{size}-")).collect();
        let voters = self.classes * self.voters;
        let (convs, sizes) = (self.chain().structure(), sizes.concat());
        format!("{convs}{sizes}{voters}-vote of {}", self.voters)
    }
}
