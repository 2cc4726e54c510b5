//! Fully connected layers at the end of a network.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use synfire::InvalidConfig;
use synfire::init::{Initializer, LayerInit};
use synfire::layer::{AnyNorm, Dropout, NormConfig, SpikeLinear, Voting};
use synfire::neuron::AnyNeuron;

use super::{AxisAttention, Readout};
use crate::Context;
use crate::network::numbered;

/// Fully connected layers with neurons between them; the last one has a [`Readout`] and an optional vote.
///
/// Created by [`Layers::classifier`](super::Layers::classifier).
#[derive(Module, Debug)]
pub struct Classifier {
    /// The layers, first to last.
    pub layers: Vec<SpikeLinear>,
    /// The normalisations after each, or after each but the last, or none.
    pub norms: Vec<AnyNorm>,
    /// The attention among time steps after each normalisation, with a rectifier, or none.
    pub attentions: Vec<AxisAttention>,
    /// The neurons after each but the last.
    pub neurons: Vec<AnyNeuron>,
    /// Dropout before the layers, or before the last ones if there are fewer.
    pub dropouts: Vec<Dropout>,
    /// The readout.
    pub output: Readout,
    /// Vote of the neurons of each class, if a class has several.
    pub voting: Option<Voting>,
    /// The normalisation of the last layer, and the threshold of its neurons.
    #[module(skip)]
    pub(super) last_norm: Option<(NormConfig, f64)>,
}

impl Classifier {
    /// Adds a vote at the end.
    pub fn with_voting(mut self, voting: Voting) -> Self {
        self.voting = Some(voting);
        self
    }

    /// Removes the dropout before the first layer.
    pub fn without_first_dropout(mut self) -> Self {
        let dropouts = self.dropouts.len().min(self.layers.len() - 1);
        self.dropouts.truncate(dropouts);
        self
    }

    /// Removes all biases.
    pub fn without_biases(mut self) -> Self {
        self.layers.iter_mut().for_each(|layer| layer.bias = None);
        self
    }

    /// Re-initialises the last layer for this many outputs (voters included), to fine-tune a network on other data.
    ///
    /// # Errors
    ///
    /// If there are no classes, the last neurons have parameters for another number of outputs, or the gain is not a number
    /// from 1e-37 to 1e37.
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
        let [inputs, _] = last.weight.dims();
        let mut linear = LayerInit::new(initializer, seed, device)?.linear(inputs, outputs);
        if last.bias.is_none() {
            linear.bias = None;
        }
        *last = SpikeLinear::from(linear).with_product(last.product);
        if let (Some((norm, threshold)), Some(last)) = (self.last_norm, self.norms.last_mut()) {
            *last = norm.init(outputs, threshold, device)?;
        }
        Ok(self)
    }

    /// Runs a sequence. The neurons are called `hidden` (`hidden1`, `hidden2`, ... where there are several) and `output`, if
    /// it spikes.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, inputs]`
    /// - outputs: `[T, B, classes]`
    pub fn forward(&self, input: Tensor<3>, context: &mut Context) -> Tensor<3> {
        let names = numbered("hidden", self.neurons.len());
        let mut x = input;
        for (i, linear) in self.layers.iter().enumerate() {
            let before = (i + self.dropouts.len()).checked_sub(self.layers.len());
            if let Some(dropout) = before.and_then(|i| self.dropouts.get(i)) {
                x = context.dropout(dropout, x);
            }
            x = match self.norms.get(i) {
                Some(norm) => context.linear_norm(linear, norm, x),
                None => context.linear(linear, x),
            };
            if let Some(attention) = self.attentions.get(i) {
                x = relu(attention.of_steps(x, context));
            }
            x = match self.neurons.get(i) {
                Some(neuron) => context.neurons(&names[i], neuron, x),
                None => self.output.forward(x, context),
            };
        }
        match &self.voting {
            Some(voting) => voting.forward(x),
            None => x,
        }
    }
}
