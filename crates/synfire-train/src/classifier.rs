//! A spiking network as a model for burn-train.

use burn::module::Module;
use burn::tensor::Device;
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use synfire::metric::{Gather, GatheredOutput, SpikingOutput};
use synfire::ops::is_cubecl;
use synfire::record::Recorder;
use synfire_models::{AnyNetwork, Context, SpikingNetwork};

use crate::data::SpikeBatch;
use crate::loss::LossKind;

/// A network with the loss that it is trained with.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The network.
    pub network: AnyNetwork,
    /// The loss.
    #[module(skip)]
    pub loss: LossKind,
    #[module(skip)]
    gather: Gather,
    /// Factor of the loss before the backward pass.
    #[module(skip)]
    share: f64,
}

/// Training steps on a GPU whose figures are read back together.
const READ_EVERY: usize = 10;

impl Classifier {
    /// A network that is trained with a loss on a device.
    pub fn new(network: AnyNetwork, loss: LossKind, device: &Device) -> Self {
        Self {
            network,
            loss,
            share: 1.0,
            gather: Gather::new(if is_cubecl(device) { READ_EVERY } else { 1 }),
        }
    }

    /// The same as one of `count` replicas with summed gradients: scales the loss so that their sum is a mean.
    pub fn one_of(self, count: usize) -> Self {
        Self {
            share: 1.0 / count as f64,
            ..self
        }
    }

    fn forward(&self, batch: SpikeBatch, recorder: Recorder) -> SpikingOutput {
        let context = Context::new().with_recorder(recorder);
        let mut context = context.with_draw(batch.draw);
        if let Some(time_steps) = batch.repeats {
            context = context.with_repeats(time_steps);
        }
        let outputs = self.network.forward(batch.input, &mut context);
        let (recorder, _) = context.into_parts();
        let rates = recorder.firing_rates().iter();
        let firing_rates = rates.map(|(_, rate)| rate.clone()).collect();
        let (_, operations) = recorder.into_parts();
        let (loss, scores) = match batch.rows {
            None => {
                let loss = self.loss.forward(outputs.clone(), batch.targets.clone());
                (loss, self.loss.scores(outputs.detach()))
            }
            // Every labelled step counts as a sample of one step.
            Some(rows) => {
                let [steps, samples, classes] = outputs.dims();
                let outputs = outputs.reshape([steps * samples, classes]).select(0, rows);
                let step = outputs.clone().unsqueeze();
                let loss = self.loss.forward(step, batch.targets.clone());
                (loss, outputs.detach())
            }
        };
        SpikingOutput {
            loss,
            scores,
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
        let gradients = match self.share {
            1.0 => output.loss.backward(),
            share => (output.loss.clone() * share).backward(),
        };
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
