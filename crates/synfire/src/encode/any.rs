//! Any encoder of intensities, chosen by a configuration.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    BernoulliEncoder, BernoulliEncoderConfig, DirectEncoder, DirectEncoderConfig, Encoder,
    LatencyCode, LatencyEncoder, LatencyEncoderConfig, SampleKeys,
};
use crate::InvalidConfig;

/// The encoder of a training run or of trained weights, without the time steps and the seed, which belong to the run.
///
/// ```
/// use synfire::encode::{Encoder, EncoderConfig, SampleKeys};
///
/// let config: EncoderConfig = serde_json::from_str(r#"{"kind": "latency", "code": "logarithmic"}"#).unwrap();
/// let encoder = config.init(4, 0)?;
/// assert_eq!(encoder.encode_host(&[1.0], &SampleKeys::fixed(1)), [1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EncoderConfig {
    /// A [`BernoulliEncoder`].
    Bernoulli {},
    /// A [`DirectEncoder`].
    Direct {},
    /// A [`LatencyEncoder`].
    Latency {
        /// Mapping from intensity to spike time.
        #[serde(default)]
        code: LatencyCode,
        /// Intensities at or below this do not fire.
        #[serde(default)]
        threshold: f64,
    },
}

impl EncoderConfig {
    /// Random spikes with the intensity as probability.
    pub const BERNOULLI: Self = Self::Bernoulli {};
    /// The intensity in every step.
    pub const DIRECT: Self = Self::Direct {};

    /// Creates the encoder.
    ///
    /// # Errors
    ///
    /// If the number of time steps is not from 1 to 2^24, or a threshold is not finite.
    pub fn init(self, time_steps: usize, seed: u64) -> Result<AnyEncoder, InvalidConfig> {
        Ok(match self {
            Self::Bernoulli {} => {
                let config = BernoulliEncoderConfig::new(time_steps).with_seed(seed);
                AnyEncoder::Bernoulli(config.init()?)
            }
            Self::Direct {} => AnyEncoder::Direct(DirectEncoderConfig::new(time_steps).init()?),
            Self::Latency { code, threshold } => {
                let config = LatencyEncoderConfig::new(time_steps).with_code(code);
                AnyEncoder::Latency(config.with_threshold(threshold).init()?)
            }
        })
    }
}

/// An encoder of intensities, created by [`EncoderConfig`].
#[derive(Clone, Debug)]
pub enum AnyEncoder {
    /// Spikes at random.
    Bernoulli(BernoulliEncoder),
    /// The intensity in every step.
    Direct(DirectEncoder),
    /// One spike, the earlier the larger the intensity.
    Latency(LatencyEncoder),
}

impl Encoder for AnyEncoder {
    fn time_steps(&self) -> usize {
        match self {
            Self::Bernoulli(encoder) => encoder.time_steps(),
            Self::Direct(encoder) => encoder.time_steps(),
            Self::Latency(encoder) => encoder.time_steps(),
        }
    }

    fn encode_host(&self, intensities: &[f32], draw: &SampleKeys) -> Vec<f32> {
        match self {
            Self::Bernoulli(encoder) => encoder.encode_host(intensities, draw),
            Self::Direct(encoder) => encoder.encode_host(intensities, draw),
            Self::Latency(encoder) => encoder.encode_host(intensities, draw),
        }
    }

    fn encode<const INPUT: usize, const OUTPUT: usize>(
        &self,
        intensities: Tensor<INPUT>,
        draw: &SampleKeys,
    ) -> Tensor<OUTPUT> {
        match self {
            Self::Bernoulli(encoder) => encoder.encode(intensities, draw),
            Self::Direct(encoder) => encoder.encode(intensities, draw),
            Self::Latency(encoder) => encoder.encode(intensities, draw),
        }
    }
}
