//! Creation of the layers of a network.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::Device;

use synfire::init::{Initializer, LayerInit};
use synfire::layer::{AnyNorm, DropoutConfig, NormConfig, SpikeConv2d, SpikeLinear};
use synfire::neuron::{AnyNeuron, LifConfig, NeuronConfig};
use synfire::ops::Product;
use synfire::{InvalidConfig, config};

use super::{Classifier, ConvBlock, ConvNorm, MembraneConv, ReadoutConfig};

/// With a gain of 1 the linear layers are silent at first, and later layers learn nothing until they fire. Normalised layers
/// do not depend on the gain.
pub(crate) const ALIVE: Initializer = Initializer::Uniform { gain: 4.0 };

config! {
    /// Options of all layers of a network.
    pub struct LayersConfig {
        /// The neurons of every layer.
        with_neuron => neuron: NeuronConfig = LifConfig::new().into(),
        /// The normalisation between a convolution and its neurons.
        with_norm -> norm: Option<NormConfig> = None,
        /// The readout.
        with_readout -> readout: ReadoutConfig = ReadoutConfig::Spikes,
        /// Dropout probability of the inputs of fully connected layers, see
        /// [`Dropout`](synfire::layer::Dropout).
        with_dropout -> dropout: f64 = 0.0,
        /// Product of spikes and weights.
        with_product -> product: Product = Product::Auto,
        /// Initialisation of weights.
        with_initializer -> initializer: Initializer = Initializer::default(),
        /// Decides the initial weights.
        with_seed -> seed: u64 = 0,
    }
}

impl LayersConfig {
    /// Checks the options for layers with these numbers of channels (outputs last), in the name of `owner`.
    ///
    /// # Errors
    ///
    /// If the gain is not a number from 1e-37 to 1e37, the dropout not one from 0 to below 1, the configuration of the
    /// neurons or the readout is invalid, the neurons have parameters for another number of channels, or their threshold is not
    /// above 0 where the normalisation depends on it.
    pub fn validate(&self, owner: &'static str, channels: &[usize]) -> Result<(), InvalidConfig> {
        let (outputs, hidden) = channels.split_last().unwrap_or((&1, &[]));
        self.neuron.validate_channels(owner, hidden)?;
        self.readout
            .validate_channels(owner, &self.neuron, *outputs)?;
        self.initializer.validate(owner)?;
        DropoutConfig::new(self.dropout).init()?;
        self.readout.validate()?;
        self.neuron.validate()?;
        self.norm
            .map_or(Ok(()), |norm| norm.validate(self.neuron.threshold()))
    }
}

/// A 3x3 convolution, `[inputs, outputs]`, with a border of one pixel and without biases.
pub fn conv3x3(channels: [usize; 2], stride: usize) -> Conv2dConfig {
    Conv2dConfig::new(channels, [3, 3])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
}

/// A 1x1 convolution, `[inputs, outputs]`, without biases.
pub fn conv1x1(channels: [usize; 2], stride: usize) -> Conv2dConfig {
    Conv2dConfig::new(channels, [1, 1])
        .with_stride([stride, stride])
        .with_bias(false)
}

/// A convolution of each channel by itself, of an odd size, which keeps height and width, without biases.
pub(crate) fn depthwise(channels: usize, size: usize) -> Conv2dConfig {
    let border = size / 2;
    Conv2dConfig::new([channels; 2], [size; 2])
        .with_groups(channels)
        .with_padding(PaddingConfig2d::Explicit(border, border, border, border))
        .with_bias(false)
}

/// Creates the layers of a network, one after the other, each with its own initial weights.
#[derive(Debug)]
pub struct Layers<'a> {
    config: &'a LayersConfig,
    init: LayerInit,
    device: &'a Device,
}

impl<'a> Layers<'a> {
    /// Creates layers with this configuration.
    ///
    /// # Errors
    ///
    /// If the gain is not a number from 1e-37 to 1e37.
    pub fn new(config: &'a LayersConfig, device: &'a Device) -> Result<Self, InvalidConfig> {
        Ok(Self {
            config,
            init: LayerInit::new(config.initializer, config.seed, device)?,
            device,
        })
    }

    /// The device of the layers.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// The configuration of the neurons.
    pub(crate) fn neuron_config(&self) -> &NeuronConfig {
        &self.config.neuron
    }

    /// The next layer: a convolution without normalisation.
    ///
    /// # Panics
    ///
    /// If Burn rejects the configuration.
    pub fn conv(&mut self, conv: &Conv2dConfig) -> SpikeConv2d {
        SpikeConv2d::from(self.init.conv2d(conv)).with_product(self.config.product)
    }

    /// The next layer: a convolution with the normalisation, one of `branches` that are added up before the neurons.
    ///
    /// # Errors
    ///
    /// If the threshold is not above 0 where the normalisation depends on it.
    pub fn conv_norm(
        &mut self,
        conv: &Conv2dConfig,
        branches: usize,
    ) -> Result<ConvNorm, InvalidConfig> {
        let [_, outputs] = conv.channels;
        Ok(ConvNorm {
            conv: self.conv(conv),
            norm: self.norm(outputs, branches)?,
        })
    }

    /// The next layer: a convolution with the normalisation and neurons.
    ///
    /// # Errors
    ///
    /// If the neurons are invalid, or their threshold is not above 0 where the normalisation depends on it.
    pub fn conv_block(&mut self, conv: &Conv2dConfig) -> Result<ConvBlock, InvalidConfig> {
        let ConvNorm { conv, norm } = self.conv_norm(conv, 1)?;
        Ok(ConvBlock {
            conv,
            norm,
            neuron: self.neuron()?,
            pool: None,
        })
    }

    /// The next layer: neurons and a convolution with the normalisation.
    ///
    /// # Errors
    ///
    /// As for [`conv_block`](Self::conv_block).
    pub fn membrane_conv(&mut self, conv: &Conv2dConfig) -> Result<MembraneConv, InvalidConfig> {
        Ok(MembraneConv {
            neuron: self.neuron()?,
            currents: self.conv_norm(conv, 1)?,
        })
    }

    /// Creates neurons.
    ///
    /// # Errors
    ///
    /// If they are invalid.
    pub fn neuron(&self) -> Result<AnyNeuron, InvalidConfig> {
        self.config.neuron.init(self.device)
    }

    /// The normalisation of a layer, if there is one, for one of `branches` that are added up before the neurons.
    pub(crate) fn norm(
        &self,
        channels: usize,
        branches: usize,
    ) -> Result<Option<AnyNorm>, InvalidConfig> {
        let norm = self.config.norm.map(|norm| norm.of_branch(branches));
        let threshold = self.config.neuron.threshold();
        norm.map(|norm| norm.init(channels, threshold, self.device))
            .transpose()
    }

    /// The next layer: a linear one without biases, `[inputs, outputs]`.
    pub(crate) fn linear(&mut self, [inputs, outputs]: [usize; 2]) -> SpikeLinear {
        let mut linear = SpikeLinear::from(self.init.linear(inputs, outputs));
        linear.bias = None;
        linear.with_product(self.config.product)
    }

    /// The last layers: fully connected, of these sizes (input first), without normalisation, with dropout before each if
    /// enabled.
    ///
    /// # Errors
    ///
    /// If the dropout is not a number from 0 to below 1, or the neurons or the readout are invalid.
    ///
    /// # Panics
    ///
    /// If there are fewer than two sizes, or one is 0.
    pub fn classifier(&mut self, sizes: &[usize]) -> Result<Classifier, InvalidConfig> {
        assert!(sizes.len() > 1, "Layers: a classifier of sizes {sizes:?}");
        let config = self.config;
        let linear = |size: &[usize]| {
            let linear = SpikeLinear::from(self.init.linear(size[0], size[1]));
            linear.with_product(config.product)
        };
        let layers: Vec<_> = sizes.windows(2).map(linear).collect();
        let neurons = (1..layers.len()).map(|_| self.neuron());
        let dropout = DropoutConfig::new(config.dropout).with_seed(config.seed);
        let dropouts = match config.dropout {
            0.0 => 0,
            _ => layers.len(),
        };
        let dropouts = (0..dropouts as u32).map(|layer| dropout.clone().with_layer(layer).init());
        Ok(Classifier {
            norms: vec![],
            attentions: vec![],
            last_norm: None,
            neurons: neurons.collect::<Result<_, _>>()?,
            dropouts: dropouts.collect::<Result<_, _>>()?,
            output: config.readout.init(&config.neuron, self.device)?,
            voting: None,
            layers,
        })
    }

    /// The same with the normalisation, if there is one, after each layer but the last. These layers have no biases, as the
    /// normalisation would remove them.
    ///
    /// # Errors
    ///
    /// As for [`classifier`](Self::classifier), and if the threshold is not above 0 where the normalisation depends on it.
    ///
    /// # Panics
    ///
    /// As for [`classifier`](Self::classifier).
    pub fn normalized_classifier(&mut self, sizes: &[usize]) -> Result<Classifier, InvalidConfig> {
        let mut classifier = self.classifier(sizes)?;
        let hidden = classifier.neurons.len();
        for (layer, outputs) in classifier.layers[..hidden].iter_mut().zip(&sizes[1..]) {
            if let Some(norm) = self.norm(*outputs, 1)? {
                layer.bias = None;
                classifier.norms.push(norm);
            }
        }
        Ok(classifier)
    }

    /// [`classifier`](Self::classifier) with the normalisation, if there is one, after all layers, which keep their biases.
    pub(crate) fn all_normalized_classifier(
        &mut self,
        sizes: &[usize],
    ) -> Result<Classifier, InvalidConfig> {
        let mut classifier = self.classifier(sizes)?;
        for outputs in &sizes[1..] {
            classifier.norms.extend(self.norm(*outputs, 1)?);
        }
        let threshold = self.config.neuron.threshold();
        classifier.last_norm = self.config.norm.map(|norm| (norm, threshold));
        Ok(classifier)
    }
}
