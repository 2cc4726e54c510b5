//! Time-to-first-spike coding.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::{Encoder, SampleKeys};
use crate::InvalidConfig;

/// Mapping from intensity to spike time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyCode {
    /// `t = (T - 1) (1 - x)`
    #[default]
    Linear,
    /// `t = (T - 1) - ln(1 + x (e^(T-1) - 1))`: small intensities are spread out, large ones come close together.
    Logarithmic,
}

/// Configuration of a [`LatencyEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct LatencyEncoderConfig {
    /// The number of time steps `T`, at least 1.
    pub time_steps: usize,
    /// Mapping from intensity to spike time.
    #[config(default = "LatencyCode::Linear")]
    pub code: LatencyCode,
    /// Intensities at or below this do not fire. If it is negative, all fire: 0 in the last step, as in SpikingJelly.
    #[config(default = 0.0)]
    pub threshold: f64,
}

impl LatencyEncoderConfig {
    /// Creates the encoder.
    ///
    /// # Errors
    ///
    /// If the number of time steps is 0, or the threshold is not finite.
    pub fn init(&self) -> Result<LatencyEncoder, InvalidConfig> {
        InvalidConfig::require_size("LatencyEncoder", "time_steps", self.time_steps)?;
        InvalidConfig::require_finite("LatencyEncoder", "threshold", self.threshold)?;
        Ok(LatencyEncoder {
            config: self.clone(),
        })
    }
}

/// Turns an intensity from 0 to 1 into one spike: at step 0 for 1, the later the smaller it is. Times are rounded to
/// whole steps, halves to the even one (as in SpikingJelly's `LatencyEncoder`, which has the two codes, and snnTorch's
/// `latency`). Intensities above 1 count as 1; those not above the threshold, and NaN, do not fire.
///
/// Nothing is drawn: `draw` only gives the number of samples.
///
/// ```
/// use synfire::encode::{SampleKeys, Encoder, LatencyEncoderConfig};
///
/// let encoder = LatencyEncoderConfig::new(4).init()?;
/// let spikes = encoder.encode_host(&[0.9], &SampleKeys::fixed(1));
/// assert_eq!(spikes, [1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct LatencyEncoder {
    config: LatencyEncoderConfig,
}

impl LatencyEncoder {
    /// The step in which an intensity fires, if it does.
    pub fn time(&self, intensity: f32) -> Option<usize> {
        let x = f64::from(intensity);
        // NaN is not above anything.
        if x.is_nan() || x <= self.config.threshold {
            return None;
        }
        let x = x.clamp(0.0, 1.0);
        let last = (self.config.time_steps - 1) as f64;
        let time = match self.config.code {
            LatencyCode::Linear => last * (1.0 - x),
            // Beyond, the exponential leaves double precision, and 1 is far below it.
            LatencyCode::Logarithmic if last > 700.0 => -libm::log(x),
            LatencyCode::Logarithmic => last - libm::log1p(x * libm::expm1(last)),
        };
        Some(time.round_ties_even().clamp(0.0, last) as usize)
    }
}

impl Encoder for LatencyEncoder {
    fn time_steps(&self) -> usize {
        self.config.time_steps
    }

    fn encode_host(&self, intensities: &[f32], draw: &SampleKeys) -> Vec<f32> {
        draw.elements("LatencyEncoder", intensities);
        let mut spikes = vec![0.0; self.config.time_steps * intensities.len()];
        for (at, intensity) in intensities.iter().enumerate() {
            if let Some(time) = self.time(*intensity) {
                spikes[time * intensities.len() + at] = 1.0;
            }
        }
        spikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(config: LatencyEncoderConfig, intensities: &[f32]) -> Vec<Option<usize>> {
        let encoder = config.init().unwrap();
        intensities.iter().map(|x| encoder.time(*x)).collect()
    }

    #[test]
    fn linear_times_are_those_of_the_formula() {
        let config = LatencyEncoderConfig::new(5);
        // 4 (1 - x), halves to even.
        let found = times(
            config.clone(),
            &[1.0, 0.875, 0.625, 0.5, 0.1, 0.0, 3.0, f32::NAN],
        );
        let expected = [0, 0, 2, 2, 4].map(Some).to_vec();
        assert_eq!(found, [expected, vec![None, Some(0), None]].concat());
        assert_eq!(
            times(config.clone().with_threshold(-1.0), &[0.0]),
            [Some(4)]
        );
        assert_eq!(
            times(config.with_threshold(0.5), &[0.5, 0.6]),
            [None, Some(2)]
        );
        assert_eq!(times(LatencyEncoderConfig::new(1), &[0.2]), [Some(0)]);
    }

    #[test]
    fn logarithmic_times_are_those_of_the_formula() {
        let config = LatencyEncoderConfig::new(10).with_code(LatencyCode::Logarithmic);
        // 9 - ln(1 + x (e^9 - 1)): 0, 0.69, 2.30, 4.60, 8.41
        let found = times(config, &[1.0, 0.5, 0.1, 0.01, 0.0001]);
        assert_eq!(found, [0, 1, 2, 5, 8].map(Some));
        let long = LatencyEncoderConfig::new(1000).with_code(LatencyCode::Logarithmic);
        assert_eq!(times(long.clone(), &[1.0, 0.1]), [Some(0), Some(2)]);
        assert_eq!(times(long.with_threshold(-1.0), &[0.0]), [Some(999)]);
    }

    #[test]
    fn each_element_fires_once_at_its_time() {
        let encoder = LatencyEncoderConfig::new(3).init().unwrap();
        let spikes = encoder.encode_host(&[1.0, 0.0, 0.4, 0.1], &SampleKeys::fixed(2));
        assert_eq!(
            spikes,
            [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
        );
    }

    #[test]
    #[should_panic(expected = "LatencyEncoder: 3 intensities cannot belong to 2 samples")]
    fn a_batch_must_have_whole_rows() {
        let encoder = LatencyEncoderConfig::new(2).init().unwrap();
        encoder.encode_host(&[0.0; 3], &SampleKeys::fixed(2));
    }

    #[test]
    fn bad_configurations_are_named() {
        let error = |config: LatencyEncoderConfig| config.init().unwrap_err().to_string();
        assert!(error(LatencyEncoderConfig::new(0)).contains("`time_steps` of LatencyEncoder: 0"));
        let nan = LatencyEncoderConfig::new(2).with_threshold(f64::NAN);
        assert!(error(nan).contains("`threshold` of LatencyEncoder: NaN"));
    }
}
