//! Any normalisation, chosen by a configuration.

use burn::nn::BatchNorm;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    BatchNormThroughTime, BatchNormThroughTimeConfig, Normalization, SeqBatchNorm,
    SeqBatchNormConfig, TdBatchNorm, TdBatchNormConfig, TeBatchNorm, TeBatchNormConfig,
};
use crate::InvalidConfig;

fn epsilon() -> f64 {
    1e-5
}

fn momentum() -> f64 {
    0.1
}

/// Defines [`NormConfig`] and [`AnyNorm`], each with a variant for every normalisation: how it is called with default options,
/// its own fields with their defaults, its layer with the configuration of that, and the abbreviation.
macro_rules! norms {
    (|$channels:ident, $threshold:ident| $(
        $(#[$doc:meta])*
        $new:ident($($argument:ident: $argument_type:ty)?) => $variant:ident {
            $($(#[$attribute:meta])* $field:ident: $type:ty = $default:expr)?
        },
        $layer:ident($config:expr), $abbreviation:literal;
    )+) => {
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
            $(
                $(#[$doc])*
                $variant {
                    $($(#[$attribute])* $field: $type,)?
                    /// Added to the variance.
                    #[serde(default = "epsilon")]
                    epsilon: f64,
                    /// The weight of a batch in the running statistics.
                    #[serde(default = "momentum")]
                    momentum: f64,
                },
            )+
        }

        impl NormConfig {
            $(
                #[doc = concat!("[`", stringify!($layer), "`] with its default options.")]
                pub fn $new($($argument: $argument_type)?) -> Self {
                    let (epsilon, momentum) = (epsilon(), momentum());
                    Self::$variant { $($field: $default,)? epsilon, momentum }
                }
            )+

            /// The same with this weight of a batch in the running statistics.
            pub fn with_momentum(mut self, weight: f64) -> Self {
                match &mut self {
                    $(Self::$variant { momentum, .. } => *momentum = weight,)+
                }
                self
            }

            /// The abbreviation in papers.
            pub fn abbreviation(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $abbreviation,)+
                }
            }

            /// Checks everything that [`init`](Self::init) does, for neurons of this threshold.
            ///
            /// # Errors
            ///
            /// If a number is out of its range.
            pub fn validate(self, $threshold: f64) -> Result<(), InvalidConfig> {
                // Validity does not depend on the number of channels.
                let $channels = 1;
                match self {
                    $(Self::$variant { $($field,)? epsilon, momentum } => {
                        $config.with_epsilon(epsilon).with_momentum(momentum).validate()
                    })+
                }
            }

            /// Creates the normalisation of this many channels before neurons of this threshold.
            ///
            /// # Errors
            ///
            /// If there are no channels or no time steps, a number is out of its range, or the threshold is not above 0 where
            /// the normalisation goes by it.
            pub fn init(
                self,
                $channels: usize,
                $threshold: f64,
                device: &Device,
            ) -> Result<AnyNorm, InvalidConfig> {
                match self {
                    $(Self::$variant { $($field,)? epsilon, momentum } => {
                        let config = $config.with_epsilon(epsilon).with_momentum(momentum);
                        config.init(device).map(AnyNorm::$variant)
                    })+
                }
            }
        }

        /// Any normalisation, created by [`NormConfig`]. Parameters have the same paths as in the wrapped normalisation.
        #[derive(Clone, Debug)]
        pub enum AnyNorm {
            $(
                #[doc = concat!("A [`", stringify!($layer), "`].")]
                $variant($layer),
            )+
        }

        crate::transparent_module!(AnyNorm: $($variant),+);

        impl Normalization for AnyNorm {
            fn normalize<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
                match self {
                    $(Self::$variant(norm) => norm.normalize(input),)+
                }
            }

            fn is_alike_in_all_steps(&self) -> bool {
                match self {
                    $(Self::$variant(norm) => norm.is_alike_in_all_steps(),)+
                }
            }

            fn batch_norm(&self) -> Option<&BatchNorm> {
                match self {
                    $(Self::$variant(norm) => norm.batch_norm(),)+
                }
            }
        }
    };
}

norms! {
    |channels, threshold|

    /// [`SeqBatchNorm`]: the output has a variance of 1 at first.
    batch() => Batch {}, SeqBatchNorm(SeqBatchNormConfig::new(channels)), "BN";

    /// [`TdBatchNorm`]: the output has the scale of the threshold at first.
    td_batch() => TdBatch {
        /// The scale at first, in thresholds.
        #[serde(default = "crate::init::one")]
        alpha: f64 = 1.0
    },
    TdBatchNorm(TdBatchNormConfig::new(channels, threshold).with_alpha(alpha)), "tdBN";

    /// [`TeBatchNorm`]: scaled in every time step.
    te_batch(time_steps: usize) => TeBatch {
        /// The time steps of every sequence.
        #[serde(default)]
        time_steps: usize = time_steps
    },
    TeBatchNorm(TeBatchNormConfig::new(time_steps, channels)), "TEBN";

    /// [`BatchNormThroughTime`]: every time step separately.
    batch_through_time(time_steps: usize) => BatchThroughTime {
        /// The time steps of every sequence.
        #[serde(default)]
        time_steps: usize = time_steps
    },
    BatchNormThroughTime(BatchNormThroughTimeConfig::new(time_steps, channels)), "BNTT";
}

impl NormConfig {
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

    /// The normalisation of one of several branches that are added up before neurons: a [`TdBatchNorm`] starts at
    /// `1 / sqrt(branches)` of its scale.
    pub fn of_branch(mut self, branches: usize) -> Self {
        if let Self::TdBatch { alpha, .. } = &mut self {
            *alpha /= (branches as f64).sqrt();
        }
        self
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
