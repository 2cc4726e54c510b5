//! The losses that a run can train with, and the answers that go with them.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::decode;
use synfire::loss::{
    Evidence, FirstSpikeLoss, FirstSpikeLossConfig, StbpLoss, StbpLossConfig,
    TemporalCrossEntropyLoss, TemporalCrossEntropyLossConfig, TetLoss, TetLossConfig, one_hot,
};
use synfire::neuron::LeakyIntegratorConfig;
use synfire_models::block::ReadoutConfig;

/// A loss function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// The paper's: squared distance of the firing rates from their targets
    Stbp,
    /// Cross-entropy of the spike counts
    CrossEntropy,
    /// Cross-entropy of the times of the first spikes
    FirstSpike,
    /// Cross-entropy of the membrane sums of a readout that does not spike
    Membrane,
    /// Cross-entropy of that readout in every step
    EachStep,
    /// The same, with a penalty for outputs far from a target (TET)
    Tet,
}

impl LossKind {
    /// The readout that a network needs for this loss.
    pub fn readout(self) -> ReadoutConfig {
        match self {
            Self::Stbp | Self::CrossEntropy | Self::FirstSpike => ReadoutConfig::Spikes,
            Self::Membrane | Self::EachStep | Self::Tet => {
                ReadoutConfig::Membrane(LeakyIntegratorConfig::new())
            }
        }
    }

    /// A readout that fits this loss: the given one, if it does.
    pub fn readout_for(self, readout: &ReadoutConfig) -> ReadoutConfig {
        let spikes = |readout: &ReadoutConfig| *readout == ReadoutConfig::Spikes;
        // Without spikes, a readout of currents serves as well as one of membranes.
        match spikes(readout) == spikes(&self.readout()) {
            true => readout.clone(),
            false => self.readout(),
        }
    }

    /// The loss that suits a readout.
    pub fn of(readout: &ReadoutConfig) -> Self {
        match readout {
            ReadoutConfig::Spikes => Self::Stbp,
            ReadoutConfig::Membrane(_) | ReadoutConfig::Currents => Self::Membrane,
        }
    }

    /// Creates the loss.
    ///
    /// # Errors
    ///
    /// Never in practice: the parameters are fixed and valid.
    pub fn init(self, device: &Device) -> Result<Loss, InvalidConfig> {
        let sum = TemporalCrossEntropyLossConfig::new(Evidence::Sum);
        let each_step = TemporalCrossEntropyLossConfig::new(Evidence::EachStep);
        Ok(match self {
            Self::Stbp => Loss::Stbp(StbpLossConfig::new().init(device)?),
            Self::CrossEntropy | Self::Membrane => Loss::CrossEntropy(sum.init(device)?),
            Self::EachStep => Loss::EachStep(each_step.init(device)?),
            Self::FirstSpike => Loss::FirstSpike(FirstSpikeLossConfig::new().init(device)?),
            Self::Tet => Loss::Tet(TetLossConfig::new().init(device)?),
        })
    }
}

/// One of the losses.
// A network has only one or a few.
#[allow(clippy::large_enum_variant)]
#[derive(Module, Debug)]
pub enum Loss {
    /// Loss on firing rates.
    Stbp(StbpLoss),
    /// Loss on sums over time.
    CrossEntropy(TemporalCrossEntropyLoss),
    /// Loss on first-spike times.
    FirstSpike(FirstSpikeLoss),
    /// Loss on every step.
    EachStep(TemporalCrossEntropyLoss),
    /// Loss on every step, with outputs near a target.
    Tet(TetLoss),
}

impl Loss {
    /// The score of each class; the highest is the answer.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, B, classes]`
    /// - scores: `[B, classes]`
    pub fn scores(&self, outputs: Tensor<3>) -> Tensor<2> {
        match self {
            Self::Stbp(_) | Self::EachStep(_) | Self::Tet(_) => decode::rate(outputs),
            Self::CrossEntropy(loss) => loss.logits(outputs),
            Self::FirstSpike(_) => decode::first_spike(outputs).neg(),
        }
    }

    /// The loss of a batch.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, B, classes]`
    /// - labels: `[B]`
    /// - loss: `[1]`
    pub fn forward(&self, outputs: Tensor<3>, labels: Tensor<1, Int>) -> Tensor<1> {
        let classes = outputs.dims()[2];
        match self {
            Self::Stbp(loss) => loss.forward(outputs, one_hot(labels, classes)),
            Self::CrossEntropy(loss) | Self::EachStep(loss) => loss.forward(outputs, labels),
            Self::FirstSpike(loss) => loss.forward(outputs, labels),
            Self::Tet(loss) => loss.forward(outputs, labels),
        }
    }
}
