//! Fully connected layers at the end of a network.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use synfire::InvalidConfig;
use synfire::init::{Initializer, LayerInit};
use synfire::layer::{Dropout, SpikeLinear, Voting};
use synfire::neuron::AnyNeuron;

use crate::Context;
use crate::network::{FullyConnected, Readout, numbered};

/// Fully connected layers, with neurons after each but the last, which ends in a [`ReadoutConfig`](crate::ReadoutConfig) and a vote, if
/// there is one.
///
/// Created by [`Layers::classifier`](super::Layers::classifier).
#[derive(Module, Debug)]
pub struct Classifier {
    /// The layers, first to last.
    pub layers: Vec<SpikeLinear>,
    /// The neurons after each but the last.
    pub neurons: Vec<AnyNeuron>,
    /// Before the layers; fewer are before the last ones.
    pub dropouts: Vec<Dropout>,
    /// The readout.
    pub output: Readout,
    /// How neurons become classes, if a class has several.
    pub voting: Option<Voting>,
}

/// Another layer of so many outputs in place of this one.
pub(crate) fn renew(layer: &mut SpikeLinear, outputs: usize, init: &mut LayerInit) {
    let [inputs, _] = layer.weight.dims();
    let mut linear = init.linear(inputs, outputs);
    if layer.bias.is_none() {
        linear.bias = None;
    }
    *layer = SpikeLinear::from(linear).with_product(layer.product);
}

impl Classifier {
    /// The same with a vote at the end.
    pub fn with_voting(mut self, voting: Voting) -> Self {
        self.voting = Some(voting);
        self
    }

    /// The same with a last layer for so many classes (voters counted), whose weights are drawn anew: to go on with a network
    /// on other data.
    ///
    /// # Errors
    ///
    /// If there are no classes, the last neurons have numbers for each of other outputs, or the gain is not a number from 1e-37 to 1e37.
    pub fn with_classes(
        mut self,
        classes: usize,
        initializer: Initializer,
        seed: u64,
        device: &Device,
    ) -> Result<Self, InvalidConfig> {
        let outputs = classes.saturating_mul(self.voting.as_ref().map_or(1, Voting::voters));
        InvalidConfig::require_size("Classifier", "classes", outputs)?;
        self.output.validate_channels("Classifier", outputs)?;
        let last = self.layers.last_mut().expect("a classifier has a layer");
        renew(
            last,
            outputs,
            &mut LayerInit::new(initializer, seed, device)?,
        );
        Ok(self)
    }

    /// Its neurons: `hidden` (`hidden1`, `hidden2`, ... where there are several) and `output`, if it spikes.
    pub fn layer_names(&self) -> Vec<String> {
        let mut names = numbered("hidden", self.neurons.len());
        names.extend(self.output.spiking_name());
        names
    }

    /// Runs a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - outputs: `[T, B, classes]`
    pub fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let fully_connected = FullyConnected {
            layers: &self.layers,
            norms: &[],
            neurons: &self.neurons,
            dropouts: &self.dropouts,
            output: &self.output,
        };
        let outputs = fully_connected.run(input, context);
        match &self.voting {
            Some(voting) => voting.forward(outputs),
            None => outputs,
        }
    }
}
