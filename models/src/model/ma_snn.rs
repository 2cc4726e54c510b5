//! A network with attention among time steps, channels and pixels.
//!
//! Yao, Zhao, Zhang, Hu, Deng, Tian, Xu, Li: *Attention Spiking Neural Networks*, IEEE TPAMI 2023 (MA-SNN), for events.

use burn::module::Module;
use burn::tensor::Tensor;

use synfire::InvalidConfig;
use synfire::layer::{NormConfig, Pool2d, Pool2dConfig, Pooling};
use synfire::neuron::{AnyNeuron, LifConfig, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;

use crate::Context;
use crate::block::{
    AxisAttention, Block, Classifier, ConvNorm, Layers, LayersConfig, MultiAttention, as_images,
    conv3x3, pooled_size,
};
use crate::interop::{Names, SpikingJelly};
use crate::network::{
    Architecture, NetworkSettings, Preset, SpikingNetwork, network_config, numbered, proof,
};

network_config! {
    /// Configuration of a [`MaSnn`].
    pub struct MaSnnConfig of MaSnn {
        /// The channels of the convolutions.
        with_channels -> channels: Vec<usize> = vec![64, 128, 128],
        /// For each, the size of its average pooling; 1 is none.
        with_pools -> pools: Vec<usize> = vec![1, 2, 2],
        /// The sizes of the linear layers before the last.
        with_hidden -> hidden: Vec<usize> = vec![256],
        /// The time steps of every sequence, for attention among them.
        with_time_steps -> time_steps: usize = 60,
        /// The ratio of time steps to hidden numbers in attention among them.
        with_time_reduction -> time_reduction: usize = 5,
        /// The ratio of channels to hidden numbers in attention among them.
        with_channel_reduction -> channel_reduction: usize = 8,
    }
    samples: [2, 32, 32] => 11;
    layers: ma_layers();
}

/// Threshold 0.3, decay 0.3, reset to 0 without a gradient, rectangle of width 0.5.
fn ma_layers() -> LayersConfig {
    let neuron = LifConfig::new()
        .with_threshold(0.3)
        .with_decay(0.3)
        .with_surrogate(Surrogate::rectangular(0.5).expect("0.5 is above 0"))
        .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached));
    LayersConfig::new()
        .with_neuron(neuron)
        .with_norm(Some(NormConfig::batch()))
}

impl MaSnnConfig {
    /// For gestures of DVS128 Gesture.
    pub fn dvs_gesture() -> Self {
        Self::new()
    }
}

impl Architecture for MaSnnConfig {
    const NAME: &'static str = "ma-snn";

    fn presets() -> Vec<Preset<Self>> {
        let (id, config) = ("ma-snn-dvs-gesture", Self::dvs_gesture());
        vec![Preset::new(id, 60, proof::SPIKINGJELLY, config)]
    }

    fn small() -> Self {
        Self::new()
            .with_channels(vec![8, 16])
            .with_pools(vec![2, 2])
            .with_hidden(vec![32])
            .with_time_steps(4)
            .with_time_reduction(1)
            .with_channel_reduction(2)
            .with_image([1, 28, 28])
            .with_classes(10)
    }

    fn structure(&self) -> String {
        let convs = self.channels.iter().zip(&self.pools);
        let convs = convs.map(|(channels, pool)| match pool {
            1 => format!("{channels}C3-MA-"),
            pool => format!("{channels}C3-AP{pool}-MA-"),
        });
        let sizes = [self.hidden.as_slice(), &[self.classes]].concat();
        let sizes: Vec<_> = sizes.iter().map(|size| format!("{size}-TA")).collect();
        convs.collect::<String>() + &sizes.join("-")
    }

    fn channels(&self) -> Result<Vec<usize>, InvalidConfig> {
        let owner = Self::OWNER;
        InvalidConfig::require_sizes(owner, "channels", &self.channels)?;
        let pools = format!("{:?}", self.pools);
        let accepted = !self.channels.is_empty() && self.pools.len() == self.channels.len();
        let expected = "one for each of at least one convolution";
        InvalidConfig::require(owner, "pools", pools, accepted, expected)?;
        self.features()?;
        InvalidConfig::require_sizes(owner, "hidden", &self.hidden)?;
        InvalidConfig::require_size(owner, "classes", self.classes)?;
        Ok([&self.channels[..], &self.hidden, &[self.classes]].concat())
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        // Its square is the size of a matrix of weights.
        let (steps, expected) = (self.time_steps, "from 1 to 65536");
        let accepted = (1..=65_536).contains(&steps);
        InvalidConfig::require(Self::OWNER, "time_steps", steps, accepted, expected)?;
        let least = self.channels.iter().copied().min().unwrap_or(1);
        for (field, entries, reduction) in [
            ("time_reduction", self.time_steps, self.time_reduction),
            ("channel_reduction", least, self.channel_reduction),
        ] {
            let accepted = (1..=entries).contains(&reduction);
            let expected = format!("from 1 to {entries}");
            InvalidConfig::require(Self::OWNER, field, reduction, accepted, expected)?;
        }
        Ok(())
    }

    fn build(&self, layers: &mut Layers) -> Result<MaSnn, InvalidConfig> {
        let mut inputs = self.image[0];
        let convs = self.channels.iter().zip(&self.pools);
        let convs = convs.map(|(&channels, &pool)| {
            let conv = conv3x3([inputs, channels], 1).with_bias(true);
            inputs = channels;
            let pooling = Pool2dConfig::new([pool; 2]).with_pooling(Pooling::Average);
            Ok(MaConv {
                currents: layers.conv_norm(&conv, 1)?,
                pool: (pool > 1).then(|| pooling.init()).transpose()?,
                attention: layers.multi_attention(
                    Some([self.time_steps, self.time_reduction]),
                    [channels, self.channel_reduction],
                ),
                neuron: layers.neuron()?,
            })
        });
        let convs = convs.collect::<Result<_, InvalidConfig>>()?;
        let sizes = [&[self.features()?], &self.hidden[..], &[self.classes]].concat();
        let mut classifier = layers.all_normalized_classifier(&sizes)?;
        let attention = |_| layers.axis_attention(self.time_steps, self.time_reduction);
        classifier.attentions = sizes[1..].iter().map(attention).collect();
        Ok(MaSnn {
            convs,
            classifier,
            image: self.image,
        })
    }

    fn streams(&self) -> bool {
        false
    }

    fn set_time_steps(&mut self, time_steps: usize) {
        self.time_steps = time_steps;
    }
}

impl MaSnnConfig {
    /// The inputs of the first linear layer.
    fn features(&self) -> Result<usize, InvalidConfig> {
        let owner = Self::OWNER;
        let mut size = pooled_size(owner, self.image, 0)?;
        for pool in &self.pools {
            InvalidConfig::require_size(owner, "pools", *pool)?;
            if size.iter().any(|size| !size.is_multiple_of(*pool)) {
                let image = format!("{:?}", self.image);
                let expected = "an image of a size that all poolings divide";
                return Err(InvalidConfig::new(owner, "image", image, expected));
            }
            size = size.map(|size| size / pool);
        }
        let last = self.channels.last().copied().unwrap_or(0);
        let features = [last, size[0], size[1]]
            .into_iter()
            .fold(1, usize::saturating_mul);
        InvalidConfig::require_size(owner, "image", features)
    }
}

/// Convolutions with attention, and linear layers with attention among time steps. Its outputs are spikes. It takes whole
/// sequences, all of the same number of time steps.
///
/// Created by [`MaSnnConfig`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire_models::{MaSnnConfig, SpikingNetwork};
///
/// let device = Device::default();
/// let config = MaSnnConfig::dvs_gesture().with_channels(vec![8, 8, 8]).with_time_steps(10);
/// let network = config.init(&device)?;
/// let rates = network.run(Tensor::<5>::ones([10, 2, 2, 32, 32], &device)).mean_dim(0);
/// assert_eq!(rates.dims(), [1, 2, 11]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct MaSnn {
    convs: Vec<MaConv>,
    /// The fully connected layers at the end.
    pub classifier: Classifier,
    #[module(skip)]
    image: [usize; 3],
}

/// A convolution, optional pooling, attention and neurons.
#[derive(Module, Debug)]
pub struct MaConv {
    currents: ConvNorm,
    pool: Option<Pool2d>,
    attention: MultiAttention,
    neuron: AnyNeuron,
}

impl Block for MaConv {
    fn forward(&self, name: &str, input: Tensor<5>, context: &mut Context) -> Tensor<5> {
        let mut x = self.currents.forward(input, context);
        if let Some(pool) = &self.pool {
            x = pool.forward(x);
        }
        let x = self.attention.forward(x, context);
        context.neurons(name, &self.neuron, x)
    }
}

impl SpikingNetwork for MaSnn {
    fn sample_shape(&self) -> Vec<usize> {
        self.image.to_vec()
    }

    /// Its neurons are called `conv1`, `conv2`, ..., `hidden` (`hidden1`, ... where there are several), and `output`, if it spikes.
    fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let names = numbered("conv", self.convs.len());
        let convs = self.convs.iter().zip(&names);
        let x = convs.fold(as_images(input, self.image), |x, (conv, name)| {
            conv.forward(name, x, context)
        });
        self.classifier.forward(x.flatten(2, 4), context)
    }
}

impl SpikingJelly for MaSnn {
    fn names(&self) -> Names {
        let mut names = Names::new();
        for (i, conv) in self.convs.iter().enumerate() {
            let (here, there) = (format!("convs.{i}"), format!("conv_blocks.{i}"));
            let parts = ["conv", "bn"].map(|part| format!("{there}.{part}"));
            names.conv_norm(&format!("{here}.currents"), parts);
            let [attention, attn] = [format!("{here}.attention"), format!("{there}.attn")];
            conv.attention.names(&mut names, &attention, &attn);
            names.module(&format!("{here}.neuron"), &format!("{there}.cell"));
        }
        for i in 0..self.classifier.layers.len() {
            let there = format!("fc_blocks.{i}");
            let attention = format!("classifier.attentions.{i}");
            AxisAttention::names(&mut names, &attention, &format!("{there}.attn"), 2);
            for (here, key) in [("layers", "linear"), ("norms", "bn")] {
                names.module(&format!("classifier.{here}.{i}"), &format!("{there}.{key}"));
            }
        }
        names
    }
}
