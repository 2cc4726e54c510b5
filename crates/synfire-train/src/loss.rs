//! The losses that a run can train with, and the answers that go with them.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};
use synfire::decode;
use synfire::loss::{
    Evidence, FirstSpikeLossConfig, StbpLoss, TemporalCrossEntropyLossConfig, TetLossConfig,
    one_hot,
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

    /// The score of each class; the highest is the answer.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, B, classes]`
    /// - scores: `[B, classes]`
    pub fn scores(self, outputs: Tensor<3>) -> Tensor<2> {
        match self {
            Self::Stbp | Self::EachStep | Self::Tet => decode::rate(outputs),
            Self::CrossEntropy | Self::Membrane => decode::membrane_sum(outputs),
            Self::FirstSpike => decode::first_spike(outputs).neg(),
        }
    }

    /// The loss of a batch. The part `smoothing` of each label is spread over all classes.
    ///
    /// # Shapes
    ///
    /// - outputs: `[T, B, classes]`
    /// - labels: `[B]`
    /// - loss: `[1]`
    ///
    /// # Panics
    ///
    /// If the smoothing is not in `[0, 1]`.
    pub fn forward(self, outputs: Tensor<3>, labels: Tensor<1, Int>, smoothing: f64) -> Tensor<1> {
        const VALID: &str = "the smoothing is from 0 to 1, and other parameters are fixed";
        let (device, classes) = (outputs.device(), outputs.dims()[2]);
        let spread = (smoothing > 0.0).then_some(smoothing);
        let entropy = |evidence| {
            let loss = TemporalCrossEntropyLossConfig::new(evidence).with_smoothing(spread);
            loss.init(&device).expect(VALID)
        };
        match self {
            Self::Stbp => {
                let mut targets = one_hot(labels, classes);
                if smoothing > 0.0 {
                    targets = targets * (1.0 - smoothing) + smoothing / classes as f64;
                }
                StbpLoss::new().forward(outputs, targets)
            }
            Self::CrossEntropy | Self::Membrane => entropy(Evidence::Sum).forward(outputs, labels),
            Self::EachStep => entropy(Evidence::EachStep).forward(outputs, labels),
            Self::FirstSpike => {
                let loss = FirstSpikeLossConfig::new().with_smoothing(spread);
                loss.init(&device).expect(VALID).forward(outputs, labels)
            }
            Self::Tet => {
                let loss = TetLossConfig::new().with_smoothing(spread);
                loss.init(&device).expect(VALID).forward(outputs, labels)
            }
        }
    }
}
