//! The networks of the PLIF paper.
//!
//! Fang, Yu, Chen, Masquelier, Huang, Tian: *Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking
//! Neural Networks*, ICCV 2021: convolutions with batch normalisation and parametric leaky integrate-and-fire neurons, max
//! pooling, two fully connected layers, and ten neurons for each class, which vote.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use synfire::InvalidConfig;
use synfire::layer::{Pooling, Voting};
use synfire::neuron::{LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::any::ZooConfig;
use crate::chain::Chain;
use crate::context::Context;
use crate::image_network::ImageNetwork;
use crate::network::Norm;
use crate::parts::{
    ALIVE, Classifier, ConvBlock, Layers, LayersConfig, chain_names, layer_options, run_blocks,
};
use crate::pytorch::Names;
use crate::spikingjelly::SpikingJelly;

/// Configuration of a [`PlifNet`].
#[derive(Config, Debug, PartialEq)]
pub struct PlifNetConfig {
    /// Channels, height and width of a sample.
    pub image: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// How many groups of convolutions there are, each with a max pooling of 2x2 at its end.
    pub groups: usize,
    /// The convolutions of a group.
    #[config(default = 1)]
    pub convs: usize,
    /// The channels of every convolution.
    #[config(default = 128)]
    pub channels: usize,
    /// The size of the first fully connected layer.
    #[config(default = 2048)]
    pub hidden: usize,
    /// The neurons of the last layer for each class.
    #[config(default = 10)]
    pub voters: usize,
    /// What the layers are made of.
    #[config(default = "plif_layers()")]
    pub layers: LayersConfig,
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
        .with_norm(Some(Norm::Batch))
        .with_dropout(0.5)
        .with_initializer(ALIVE)
}

layer_options!(PlifNetConfig);

impl PlifNetConfig {
    /// For MNIST: 128C3-MP2-128C3-MP2-2048-100-vote of 10.
    pub fn mnist() -> Self {
        Self::new([1, 28, 28], 10, 2)
    }

    /// For Fashion-MNIST: as for MNIST.
    pub fn fashion_mnist() -> Self {
        Self::mnist()
    }

    /// For N-MNIST: as for MNIST, of two polarities.
    pub fn nmnist() -> Self {
        Self::new([2, 34, 34], 10, 2)
    }

    /// For CIFAR-10: 256C3 three times before each of two poolings.
    pub fn cifar10() -> Self {
        Self::new([3, 32, 32], 10, 2)
            .with_convs(3)
            .with_channels(256)
    }

    /// For CIFAR10-DVS: 128C3-MP2 four times, 512-100-vote of 10.
    pub fn cifar10_dvs() -> Self {
        Self::new([2, 128, 128], 10, 4).with_hidden(512)
    }

    /// For DVS128 Gesture: 128C3-MP2 five times, 512-110-vote of 10.
    pub fn dvs_gesture() -> Self {
        Self::new([2, 128, 128], 11, 5).with_hidden(512)
    }

    /// Of few channels, for trials of seconds on images like those of MNIST.
    pub fn small() -> Self {
        let mut config = Self::mnist().with_channels(8).with_hidden(128);
        config.layers.dropout = 0.0;
        config
    }

    fn stages(&self) -> Vec<Vec<usize>> {
        vec![vec![self.channels; self.convs]; self.groups]
    }

    fn chain<'a>(&self, stages: &'a [Vec<usize>]) -> Chain<'a> {
        Chain {
            owner: "PlifNet",
            image: self.image,
            stages,
            pooling: Pooling::Max,
            last_pooling: true,
            bias: false,
        }
    }

    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If a size is 0, the image is too small for the poolings, or the layers are [invalid](LayersConfig::validate).
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "PlifNet";
        for (field, size) in [
            ("classes", self.classes),
            ("groups", self.groups),
            ("convs", self.convs),
            ("channels", self.channels),
            ("hidden", self.hidden),
            ("voters", self.voters),
        ] {
            InvalidConfig::require_size(OWNER, field, size)?;
        }
        self.chain(&self.stages()).validate()?;
        let voters = self.classes.saturating_mul(self.voters);
        InvalidConfig::require_size(OWNER, "voters", voters)?;
        self.layers
            .validate(OWNER, &[self.channels, self.hidden, voters])
    }

    /// Creates the network.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<PlifNet, InvalidConfig> {
        self.validate()?;
        let mut layers = Layers::new(&self.layers, device)?;
        let stages = self.stages();
        let chain = self.chain(&stages);
        let blocks = chain.init(&mut layers)?;
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
/// use synfire_models::{ImageNetwork, PlifNetConfig};
///
/// let device = Device::default();
/// let config = PlifNetConfig::fashion_mnist().with_channels(8).with_hidden(64);
/// let network = config.init(&device)?;
/// // 4 time steps of 2 images
/// let rates = network.forward(Tensor::<5>::ones([4, 2, 1, 28, 28], &device)).mean_dim(0);
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

impl ImageNetwork for PlifNet {
    const NAME: &'static str = "PlifNet";

    fn image(&self) -> [usize; 3] {
        self.image
    }

    /// `conv1`, `conv2`, ..., `hidden` and `output`.
    fn neuron_names(&self) -> Vec<String> {
        chain_names(&self.blocks, &self.classifier)
    }

    fn forward_images(&self, input: Tensor<5>, context: &mut Context) -> Tensor<3> {
        let spikes = run_blocks(&self.blocks, input, context);
        self.classifier.forward(spikes.flatten(2, 4), context)
    }
}

impl SpikingJelly for PlifNet {
    type Config = PlifNetConfig;

    fn create(config: &PlifNetConfig, device: &Device) -> Result<Self, InvalidConfig> {
        config.init(device)
    }

    /// There it is one list, `conv_fc`.
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

impl ZooConfig for PlifNetConfig {
    fn set_samples(&mut self, image: [usize; 3], classes: usize) {
        (self.image, self.classes) = (image, classes);
    }

    fn structure(&self) -> String {
        let convs = self.chain(&self.stages()).structure();
        let voters = self.classes * self.voters;
        format!("{convs}{}-{voters}-vote of {}", self.hidden, self.voters)
    }
}
