//! A spiking network as something burn-train can train.

use burn::module::Module;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use synfire::decode;
use synfire::loss::{StbpLoss, one_hot};
use synfire::metric::{SpikingOutput, firing_rate};
use synfire_models::StbpMlp;

use crate::data::SpikeBatch;

/// A network whose output neurons' firing rates are to match the class.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The network.
    pub model: StbpMlp,
    loss: StbpLoss,
}

impl Classifier {
    /// Wraps a network.
    pub fn new(model: StbpMlp) -> Self {
        Self {
            model,
            loss: StbpLoss::new(),
        }
    }

    fn forward(&self, batch: SpikeBatch, count_operations: bool) -> SpikingOutput {
        let spikes = self.model.forward_layers(batch.input.clone());
        let output = spikes.last().expect("there is an output layer");
        let rates = decode::rate(output.clone());
        let classes = rates.dims()[1];
        let loss = self
            .loss
            .forward_rates(rates.clone(), one_hot(batch.targets.clone(), classes));
        SpikingOutput {
            loss,
            rates,
            targets: batch.targets,
            firing_rates: spikes
                .iter()
                .map(|spikes| firing_rate(spikes.clone().detach()))
                .collect(),
            operations: if count_operations {
                self.model.operations(batch.input, &spikes)
            } else {
                Vec::new()
            },
        }
    }
}

impl TrainStep for Classifier {
    type Input = SpikeBatch;
    type Output = SpikingOutput;

    fn step(&self, batch: SpikeBatch) -> TrainOutput<SpikingOutput> {
        let output = self.forward(batch, false);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for Classifier {
    type Input = SpikeBatch;
    type Output = SpikingOutput;

    fn step(&self, batch: SpikeBatch) -> SpikingOutput {
        self.forward(batch, true)
    }
}
