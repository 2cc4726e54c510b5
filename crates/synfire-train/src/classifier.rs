//! A spiking network as a model for burn-train.

use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use synfire::metric::{Gather, GatheredOutput, SpikingOutput};
use synfire::ops::is_cubecl;
use synfire::record::Recorder;
use synfire_models::{AnyNetwork, Context, SpikingNetwork};

use crate::RunConfig;
use crate::average::{Average, clip};
use crate::data::SpikeBatch;
use crate::device::is_remote;
use crate::loss::LossKind;

/// A network with the loss that it is trained with.
#[derive(Module, Debug)]
pub struct Classifier {
    /// The network.
    pub network: AnyNetwork,
    /// The average of its weights, if there is one.
    pub average: Option<Average>,
    /// The loss.
    #[module(skip)]
    pub loss: LossKind,
    #[module(skip)]
    gather: Gather,
    #[module(skip)]
    options: StepOptions,
}

/// Options of training steps.
#[derive(Clone, Copy, Debug, PartialEq)]
struct StepOptions {
    /// Factor of the loss before the backward pass.
    share: f64,
    /// Part of each label that is spread over all classes.
    smoothing: f64,
    /// Bound of the norm of all gradients.
    most: Option<f64>,
}

/// Training steps on a GPU or another machine whose figures are read back together.
const READ_EVERY: usize = 10;

impl Classifier {
    /// A network with a loss on a device.
    pub fn new(network: AnyNetwork, loss: LossKind, device: &Device) -> Self {
        Self {
            network,
            average: None,
            loss,
            options: StepOptions {
                share: 1.0,
                smoothing: 0.0,
                most: None,
            },
            gather: Gather::new(match is_cubecl(device) || is_remote(device) {
                true => READ_EVERY,
                false => 1,
            }),
        }
    }

    /// The same as one of `count` replicas with summed gradients: scales the loss so that their sum is a mean.
    pub fn one_of(mut self, count: usize) -> Self {
        self.options.share /= count as f64;
        self
    }

    /// The same for the training of a run, of which the optimizer has taken this many steps.
    pub fn for_run(mut self, config: &RunConfig, steps: usize) -> Self {
        self.options = StepOptions {
            // Burn adds up the gradients of the batches of a step.
            share: self.options.share / config.accumulation as f64,
            smoothing: config.label_smoothing,
            most: config.max_gradient_norm,
        };
        let average = config.average_decay;
        self.average = average.map(|decay| Average::new(&self.network, decay, steps));
        self
    }

    /// The network to use: the average, if there is one.
    pub fn trained(&self) -> &AnyNetwork {
        self.average
            .as_ref()
            .map_or(&self.network, |average| &average.network)
    }
}

/// The loss of a batch, of which the given part of each sample is its own.
fn loss_of(
    loss: &LossKind,
    outputs: Tensor<3>,
    targets: Tensor<1, Int>,
    own: Option<f64>,
    smoothing: f64,
) -> Tensor<1> {
    let loss = |targets| loss.forward(outputs.clone(), targets, smoothing);
    match own {
        Some(own) => {
            let partners = targets.clone().flip([0]);
            loss(targets) * own + loss(partners) * (1.0 - own)
        }
        None => loss(targets),
    }
}

/// Runs a network on a batch.
pub(crate) fn run(
    network: &impl SpikingNetwork,
    loss: &LossKind,
    batch: SpikeBatch,
    recorder: Recorder,
    smoothing: f64,
) -> SpikingOutput {
    let context = Context::new().with_recorder(recorder);
    let mut context = context.with_draw(batch.draw);
    if let Some(time_steps) = batch.repeats {
        context = context.with_repeats(time_steps);
    }
    let outputs = network.forward(batch.input, &mut context);
    let (recorder, _) = context.into_parts();
    let rates = recorder.firing_rates().iter();
    let firing_rates = rates.map(|(_, rate)| rate.clone()).collect();
    let (_, operations) = recorder.into_parts();
    let (loss, scores) = match batch.rows {
        None => {
            let targets = batch.targets.clone();
            let own = loss_of(loss, outputs.clone(), targets, batch.own, smoothing);
            (own, loss.scores(outputs.detach()))
        }
        // Every labelled step counts as a sample of one step.
        Some(rows) => {
            let [steps, samples, classes] = outputs.dims();
            let outputs = outputs.reshape([steps * samples, classes]).select(0, rows);
            let step = outputs.clone().unsqueeze();
            let loss = loss_of(loss, step, batch.targets.clone(), None, smoothing);
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

impl TrainStep for Classifier {
    type Input = SpikeBatch;
    type Output = GatheredOutput;

    fn step(&self, batch: SpikeBatch) -> TrainOutput<GatheredOutput> {
        let last = batch.last;
        let smoothing = self.options.smoothing;
        let recorder = Recorder::rates();
        let output = run(&self.network, &self.loss, batch, recorder, smoothing);
        let gradients = match self.options.share {
            1.0 => output.loss.backward(),
            share => (output.loss.clone() * share).backward(),
        };
        TrainOutput::new(self, gradients, self.gather.step(output, last))
    }

    fn optimize(
        self,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
        gradients: GradientsParams,
    ) -> Self {
        let gradients = match self.options.most {
            Some(most) => clip(&self.network, gradients, most),
            None => gradients,
        };
        let mut changed = optimizer.step(rate, self, gradients);
        changed.average = changed
            .average
            .map(|average| average.with(&changed.network));
        changed
    }
}

impl InferenceStep for Classifier {
    type Input = SpikeBatch;
    type Output = SpikingOutput;

    fn step(&self, batch: SpikeBatch) -> SpikingOutput {
        let recorder = Recorder::rates().with_operations();
        run(self.trained(), &self.loss, batch, recorder, 0.0)
    }
}
