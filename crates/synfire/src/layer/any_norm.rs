//! Any normalisation, chosen by a configuration.

use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    BatchNormThroughTime, BatchNormThroughTimeConfig, Normalization, SeqBatchNorm,
    SeqBatchNormConfig, TdBatchNorm, TdBatchNormConfig, TeBatchNorm, TeBatchNormConfig,
};
use crate::InvalidConfig;

/// The normalisation between the weights of a layer and its neurons, without the channels and the threshold, which follow from
/// the layer.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::{NormConfig, Normalization};
///
/// let config: NormConfig = serde_json::from_str(r#"{"kind": "td-batch"}"#).unwrap();
/// assert_eq!(config, NormConfig::td_batch());
/// // 16 channels before neurons of threshold 0.5.
/// let device = Device::default();
/// let norm = config.init(16, 0.5, &device)?;
/// assert_eq!(norm.normalize(Tensor::<5>::ones([4, 2, 16, 8, 8], &device)).dims(), [4, 2, 16, 8, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NormConfig {
    /// [`SeqBatchNorm`]: the output has a variance of 1 at first.
    Batch {
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// The weight of a batch in the running statistics.
        #[serde(default = "momentum")]
        momentum: f64,
    },
    /// [`TdBatchNorm`]: the output has the scale of the threshold at first.
    TdBatch {
        /// The scale at first, in thresholds.
        #[serde(default = "alpha")]
        alpha: f64,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// The weight of a batch in the running statistics.
        #[serde(default = "momentum")]
        momentum: f64,
    },
    /// [`TeBatchNorm`]: scaled in every time step.
    TeBatch {
        /// The time steps of every sequence.
        #[serde(default)]
        time_steps: usize,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// The weight of a batch in the running statistics.
        #[serde(default = "momentum")]
        momentum: f64,
    },
    /// [`BatchNormThroughTime`]: every time step separately.
    BatchThroughTime {
        /// The time steps of every sequence.
        #[serde(default)]
        time_steps: usize,
        /// Added to the variance.
        #[serde(default = "epsilon")]
        epsilon: f64,
        /// The weight of a batch in the running statistics.
        #[serde(default = "momentum")]
        momentum: f64,
    },
}

fn epsilon() -> f64 {
    1e-5
}

fn momentum() -> f64 {
    0.1
}

fn alpha() -> f64 {
    1.0
}

impl NormConfig {
    /// [`SeqBatchNorm`] with its default options.
    pub fn batch() -> Self {
        Self::Batch {
            epsilon: epsilon(),
            momentum: momentum(),
        }
    }

    /// [`TdBatchNorm`] with its default options.
    pub fn td_batch() -> Self {
        Self::TdBatch {
            alpha: alpha(),
            epsilon: epsilon(),
            momentum: momentum(),
        }
    }

    /// [`TeBatchNorm`] with its default options.
    pub fn te_batch(time_steps: usize) -> Self {
        Self::TeBatch {
            time_steps,
            epsilon: epsilon(),
            momentum: momentum(),
        }
    }

    /// [`BatchNormThroughTime`] with its default options.
    pub fn batch_through_time(time_steps: usize) -> Self {
        Self::BatchThroughTime {
            time_steps,
            epsilon: epsilon(),
            momentum: momentum(),
        }
    }

    /// All variants with default options, for sequences of this many steps.
    pub fn all(time_steps: usize) -> [Self; 4] {
        [
            Self::batch(),
            Self::td_batch(),
            Self::te_batch(time_steps),
            Self::batch_through_time(time_steps),
        ]
    }

    /// The number of time steps, for normalisations that depend on it.
    pub fn time_steps_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Batch { .. } | Self::TdBatch { .. } => None,
            Self::TeBatch { time_steps, .. } | Self::BatchThroughTime { time_steps, .. } => {
                Some(time_steps)
            }
        }
    }

    /// The abbreviation in papers.
    pub fn abbreviation(&self) -> &'static str {
        match self {
            Self::Batch { .. } => "BN",
            Self::TdBatch { .. } => "tdBN",
            Self::TeBatch { .. } => "TEBN",
            Self::BatchThroughTime { .. } => "BNTT",
        }
    }

    /// The normalisation of one of several branches that are added up before neurons: a [`TdBatchNorm`] starts at
    /// `1 / sqrt(branches)` of its scale.
    pub fn of_branch(self, branches: usize) -> Self {
        match self {
            Self::TdBatch {
                alpha,
                epsilon,
                momentum,
            } => Self::TdBatch {
                alpha: alpha / (branches as f64).sqrt(),
                epsilon,
                momentum,
            },
            other => other,
        }
    }

    /// Checks everything that [`init`](Self::init) does, for neurons of this threshold.
    ///
    /// # Errors
    ///
    /// If a number is out of its range.
    pub fn validate(self, threshold: f64) -> Result<(), InvalidConfig> {
        // Validity does not depend on the number of channels.
        let inside = |epsilon, momentum| {
            let config = SeqBatchNormConfig::new(1).with_epsilon(epsilon);
            config.with_momentum(momentum)
        };
        match self {
            Self::Batch { epsilon, momentum } => {
                inside(epsilon, momentum).validate_as("SeqBatchNorm")
            }
            Self::TdBatch {
                alpha,
                epsilon,
                momentum,
            } => {
                let config = TdBatchNormConfig::new(1, threshold).with_alpha(alpha);
                config
                    .with_epsilon(epsilon)
                    .with_momentum(momentum)
                    .validate()
            }
            Self::TeBatch {
                time_steps,
                epsilon,
                momentum,
            } => {
                InvalidConfig::require_size("TeBatchNorm", "time_steps", time_steps)?;
                inside(epsilon, momentum).validate_as("TeBatchNorm")
            }
            Self::BatchThroughTime {
                time_steps,
                epsilon,
                momentum,
            } => {
                InvalidConfig::require_size("BatchNormThroughTime", "time_steps", time_steps)?;
                inside(epsilon, momentum).validate_as("BatchNormThroughTime")
            }
        }
    }

    /// Creates the normalisation of this many channels before neurons of this threshold.
    ///
    /// # Errors
    ///
    /// If there are no channels or no time steps, a number is out of its range, or the threshold is not above 0 where the
    /// normalisation goes by it.
    pub fn init(
        self,
        channels: usize,
        threshold: f64,
        device: &Device,
    ) -> Result<AnyNorm, InvalidConfig> {
        Ok(match self {
            Self::Batch { epsilon, momentum } => {
                let config = SeqBatchNormConfig::new(channels).with_epsilon(epsilon);
                AnyNorm::Batch(config.with_momentum(momentum).init(device)?)
            }
            Self::TdBatch {
                alpha,
                epsilon,
                momentum,
            } => {
                let config = TdBatchNormConfig::new(channels, threshold).with_alpha(alpha);
                let config = config.with_epsilon(epsilon).with_momentum(momentum);
                AnyNorm::TdBatch(config.init(device)?)
            }
            Self::TeBatch {
                time_steps,
                epsilon,
                momentum,
            } => {
                let config = TeBatchNormConfig::new(time_steps, channels).with_epsilon(epsilon);
                AnyNorm::TeBatch(config.with_momentum(momentum).init(device)?)
            }
            Self::BatchThroughTime {
                time_steps,
                epsilon,
                momentum,
            } => {
                let config = BatchNormThroughTimeConfig::new(time_steps, channels);
                let config = config.with_epsilon(epsilon).with_momentum(momentum);
                AnyNorm::BatchThroughTime(config.init(device)?)
            }
        })
    }
}

/// Any normalisation, created by [`NormConfig`]. Parameters have the same paths as in the wrapped normalisation.
#[derive(Clone, Debug)]
pub enum AnyNorm {
    /// A [`SeqBatchNorm`].
    Batch(SeqBatchNorm),
    /// A [`TdBatchNorm`].
    TdBatch(TdBatchNorm),
    /// A [`TeBatchNorm`].
    TeBatch(TeBatchNorm),
    /// A [`BatchNormThroughTime`].
    BatchThroughTime(BatchNormThroughTime),
}

crate::transparent_module!(AnyNorm: Batch, TdBatch, TeBatch, BatchThroughTime);

impl Normalization for AnyNorm {
    fn normalize<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Batch(norm) => norm.normalize(input),
            Self::TdBatch(norm) => norm.normalize(input),
            Self::TeBatch(norm) => norm.normalize(input),
            Self::BatchThroughTime(norm) => norm.normalize(input),
        }
    }

    fn is_alike_in_all_steps(&self) -> bool {
        match self {
            Self::Batch(norm) => norm.is_alike_in_all_steps(),
            Self::TdBatch(norm) => norm.is_alike_in_all_steps(),
            Self::TeBatch(norm) => norm.is_alike_in_all_steps(),
            Self::BatchThroughTime(norm) => norm.is_alike_in_all_steps(),
        }
    }

    fn batch_norm(&self) -> Option<&BatchNorm> {
        match self {
            Self::Batch(norm) => norm.batch_norm(),
            Self::TdBatch(norm) => norm.batch_norm(),
            Self::TeBatch(norm) => norm.batch_norm(),
            Self::BatchThroughTime(norm) => norm.batch_norm(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_normalises_and_is_the_same_after_a_file() {
        let device = Device::default();
        for config in NormConfig::all(3) {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<NormConfig>(&text).unwrap(), config);
            let norm = config.init(2, 0.5, &device).unwrap();
            let output = norm.normalize(Tensor::<4>::ones([3, 1, 2, 4], &device));
            assert_eq!(output.dims(), [3, 1, 2, 4]);
            assert!(config.init(0, 0.5, &device).is_err());
        }
        let other = serde_json::from_str::<NormConfig>(r#"{"kind": "batch", "alpha": 1.0}"#);
        assert!(other.unwrap_err().to_string().contains("alpha"));
    }

    #[test]
    fn a_branch_of_two_starts_lower() {
        let device = Device::default();
        let branch = NormConfig::td_batch().of_branch(2);
        let AnyNorm::TdBatch(norm) = branch.init(1, 0.5, &device).unwrap() else {
            panic!("it is threshold-dependent");
        };
        let gamma = norm.norm.gamma.val().into_scalar::<f32>();
        assert!((gamma - 0.5 / 2f32.sqrt()).abs() < 1e-6);
    }
}
