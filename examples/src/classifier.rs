//! A spiking network as something burn-train can train.

use burn::module::Module;
use burn::tensor::Device;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use synfire::metric::{Gather, GatheredOutput, SpikingOutput};
use synfire::record::Recorder;
use synfire_models::{Network, Pass, SpikingNetwork};

use crate::data::SpikeBatch;
use crate::loss::Loss;

/// A network with the loss that it is trained with.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The network.
    pub network: Network,
    /// The loss.
    pub loss: Loss,
    #[module(skip)]
    gather: Gather,
}

/// Training steps on a GPU whose figures are read back together.
const READ_EVERY: usize = 10;

impl Classifier {
    /// A network that is trained with a loss on a device.
    pub fn new(network: Network, loss: Loss, device: &Device) -> Self {
        let on_host = device.clone().inner() == Device::flex();
        Self {
            network,
            loss,
            gather: Gather::new(if on_host { 1 } else { READ_EVERY }),
        }
    }

    fn forward(&self, batch: SpikeBatch, mut recorder: Recorder) -> SpikingOutput {
        let mut pass = Pass::new(None, &mut recorder).with_draw(&batch.draw);
        if let Some(time_steps) = batch.repeats {
            pass = pass.with_repeats(time_steps);
        }
        let outputs = self.network.forward_pass(batch.input, &mut pass);
        let rates = recorder.firing_rates().iter();
        let firing_rates = rates.map(|(_, rate)| rate.clone()).collect();
        let (_, operations) = recorder.into_parts();
        SpikingOutput {
            loss: self.loss.forward(outputs.clone(), batch.targets.clone()),
            scores: self.loss.scores(outputs.detach()),
            targets: batch.targets,
            firing_rates,
            operations,
        }
    }
}

impl TrainStep for Classifier {
    type Input = SpikeBatch;
    type Output = GatheredOutput;

    fn step(&self, batch: SpikeBatch) -> TrainOutput<GatheredOutput> {
        let last = batch.last;
        let output = self.forward(batch, Recorder::rates());
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, self.gather.step(output, last))
    }
}

impl InferenceStep for Classifier {
    type Input = SpikeBatch;
    type Output = SpikingOutput;

    fn step(&self, batch: SpikeBatch) -> SpikingOutput {
        self.forward(batch, Recorder::rates().with_operations())
    }
}
