//! Delta coding: spikes at changes of a signal.

use burn::config::Config;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::InvalidConfig;

/// Reference for the first step of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeltaStart {
    /// 0 (snnTorch's default).
    #[default]
    Zero,
    /// The first step itself, which then never fires.
    First,
}

/// Configuration of a [`DeltaEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct DeltaEncoderConfig {
    /// Minimum change that fires, above 0.
    pub threshold: f64,
    /// True if decreases fire as well, as -1.
    #[config(default = false)]
    pub off_spikes: bool,
    /// Reference for the first step.
    #[config(default = "DeltaStart::Zero")]
    pub start: DeltaStart,
}

impl DeltaEncoderConfig {
    /// Creates the encoder.
    ///
    /// # Errors
    ///
    /// If the threshold is not a number from 1e-37 to 1e37.
    pub fn init(&self) -> Result<DeltaEncoder, InvalidConfig> {
        InvalidConfig::require_positive("DeltaEncoder", "threshold", self.threshold)?;
        Ok(DeltaEncoder {
            config: self.clone(),
        })
    }
}

/// Fires where a signal changes from one step to the next: 1 where `x[t] - x[t-1] >= threshold` and, with off-spikes, -1
/// where it is `<= -threshold` (snnTorch's `delta`). It runs on the signal's device; no gradient passes through.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::encode::DeltaEncoderConfig;
///
/// let encoder = DeltaEncoderConfig::new(0.5).with_off_spikes(true).init()?;
/// let signal = Tensor::<2>::from_floats([[0.25], [1.0], [1.25], [0.5]], &Device::default());
/// let spikes = encoder.encode(signal);
/// assert_eq!(spikes.to_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0, -1.0]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeltaEncoder {
    config: DeltaEncoderConfig,
}

impl DeltaEncoder {
    /// Encodes a signal.
    ///
    /// # Shapes
    ///
    /// - signal: `[T, ...]`, T at least 1
    /// - spikes: `[T, ...]`
    ///
    /// # Panics
    ///
    /// If the signal has no time steps.
    pub fn encode<const D: usize>(&self, signal: Tensor<D>) -> Tensor<D> {
        let time_steps = signal.dims()[0];
        assert!(
            time_steps > 0,
            "DeltaEncoder: the signal {:?} has no time steps",
            signal.dims()
        );
        let signal = signal.detach();
        let first = signal.clone().slice(0..1);
        let before = match self.config.start {
            DeltaStart::Zero => first.zeros_like(),
            DeltaStart::First => first,
        };
        let before = match time_steps {
            1 => before,
            _ => Tensor::cat(vec![before, signal.clone().slice(0..time_steps - 1)], 0),
        };
        let change = signal - before;
        let threshold = self.config.threshold;
        let on = change.clone().greater_equal_scalar(threshold).float();
        match self.config.off_spikes {
            true => on - change.lower_equal_scalar(-threshold).float(),
            false => on,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn encode(config: DeltaEncoderConfig, signal: [f32; 6]) -> Vec<f32> {
        let signal = Tensor::<1>::from_floats(signal, &Device::default()).reshape([6, 1]);
        let spikes = config.init().unwrap().encode::<2>(signal);
        spikes.into_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn changes_of_the_threshold_and_above_fire() {
        // Changes: 1 or none, 0.5, -0.25, -0.5, 0, 2.
        let signal = [1.0, 1.5, 1.25, 0.75, 0.75, 2.75];
        let config = DeltaEncoderConfig::new(0.5);
        assert_eq!(
            encode(config.clone(), signal),
            [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
        );
        let signed = config.with_off_spikes(true).with_start(DeltaStart::First);
        assert_eq!(encode(signed, signal), [0.0, 1.0, 0.0, -1.0, 0.0, 1.0]);
    }

    #[test]
    fn one_step_is_enough() {
        let encoder = DeltaEncoderConfig::new(0.5).init().unwrap();
        let spikes = encoder.encode(Tensor::<2>::ones([1, 2], &Device::default()));
        assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap(), [1.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "the signal [0, 2] has no time steps")]
    fn no_time_steps_are_named() {
        let encoder = DeltaEncoderConfig::new(0.5).init().unwrap();
        encoder.encode(Tensor::<2>::zeros([0, 2], &Device::default()));
    }

    #[test]
    fn bad_thresholds_are_named() {
        for threshold in [0.0, -1.0, f64::NAN] {
            let error = DeltaEncoderConfig::new(threshold).init().unwrap_err();
            assert!(error.to_string().contains("`threshold` of DeltaEncoder"));
        }
    }
}
