//! Population coding: several neurons for one value.

use burn::config::Config;
use burn::tensor::{Tensor, TensorData};

use super::{BernoulliEncoder, BernoulliEncoderConfig, Encoder, SampleKeys};
use crate::InvalidConfig;

/// Configuration of a [`PopulationEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct PopulationEncoderConfig {
    /// The number of time steps `T`, at least 1.
    pub time_steps: usize,
    /// The number of neurons for each value, at least 2.
    pub neurons: usize,
    /// The least value, at which the first neuron is centred.
    #[config(default = 0.0)]
    pub low: f64,
    /// The largest value, at which the last neuron is centred.
    #[config(default = 1.0)]
    pub high: f64,
    /// The standard deviation of a neuron's receptive field, in distances between two centres.
    #[config(default = 1.0)]
    pub width: f64,
    /// Decides all draws.
    #[config(default = 0)]
    pub seed: u64,
}

impl PopulationEncoderConfig {
    /// Creates the encoder.
    ///
    /// # Errors
    ///
    /// If there are no time steps or fewer than 2 neurons, `low` and `high` are not finite or `high` is not above `low`,
    /// or the width is not a number from 1e-37 to 1e37.
    pub fn init(&self) -> Result<PopulationEncoder, InvalidConfig> {
        const OWNER: &str = "PopulationEncoder";
        InvalidConfig::require_size(OWNER, "time_steps", self.time_steps)?;
        let several = self.neurons > 1;
        InvalidConfig::require(OWNER, "neurons", self.neurons, several, "at least 2")?;
        InvalidConfig::require_finite(OWNER, "low", self.low)?;
        InvalidConfig::require_finite(OWNER, "high", self.high)?;
        let above = self.high > self.low;
        InvalidConfig::require(OWNER, "high", self.high, above, "a number above `low`")?;
        InvalidConfig::require_positive(OWNER, "width", self.width)?;
        Ok(PopulationEncoder {
            bernoulli: BernoulliEncoderConfig::new(self.time_steps)
                .with_seed(self.seed)
                .init()?,
            config: self.clone(),
        })
    }
}

/// Encodes a value by neurons with Gaussian receptive fields whose centres are spread evenly over its range (Bohte et
/// al. 2002, *Error-backpropagation in temporally encoded networks of spiking neurons*; with rates as in Tang et al.
/// 2020, *Deep reinforcement learning with population-coded spiking neural network*):
///
/// ```text
/// p_i(x) = exp(-(x - c_i)^2 / (2 s^2))     c_i = low + i d,  d = (high - low) / (neurons - 1),  s = width d
/// ```
///
/// Neuron `i` then fires in each step with probability `p_i`, drawn as by the [`BernoulliEncoder`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::encode::{SampleKeys, PopulationEncoderConfig};
///
/// let encoder = PopulationEncoderConfig::new(20, 5).with_low(-1.0).init()?;
/// assert_eq!(encoder.probabilities(0.0)[2], 1.0);
/// let values = Tensor::<2>::from_floats([[-0.3, 0.8]], &Device::default());
/// let spikes = encoder.encode(values, &SampleKeys::fixed(1));
/// assert_eq!(spikes.dims(), [20, 1, 10]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct PopulationEncoder {
    config: PopulationEncoderConfig,
    bernoulli: BernoulliEncoder,
}

impl PopulationEncoder {
    /// The probability with which each neuron fires in a step at this value. All 0 for NaN.
    pub fn probabilities(&self, value: f32) -> Vec<f32> {
        let PopulationEncoderConfig { neurons, low, .. } = self.config;
        let distance = (self.config.high - low) / (neurons - 1) as f64;
        let deviation = self.config.width * distance;
        let probability = |i| {
            let off = (f64::from(value) - (low + i as f64 * distance)) / deviation;
            let p = libm::exp(-0.5 * off * off) as f32;
            if p.is_nan() { 0.0 } else { p }
        };
        (0..neurons).map(probability).collect()
    }

    /// Encodes a batch on the host.
    ///
    /// # Shapes
    ///
    /// - values: `[B, F]`, row by row
    /// - result: `[T, B, F * neurons]`, row by row, 0 or 1
    ///
    /// # Panics
    ///
    /// If the number of values is not a multiple of the number of samples in `draw`.
    pub fn encode_host(&self, values: &[f32], draw: &SampleKeys) -> Vec<f32> {
        draw.elements("PopulationEncoder", values);
        let probabilities = values.iter().flat_map(|value| self.probabilities(*value));
        let probabilities: Vec<_> = probabilities.collect();
        self.bernoulli.encode_host(&probabilities, draw)
    }

    /// Encodes a batch, on the host.
    ///
    /// # Shapes
    ///
    /// - values: `[B, F]`
    /// - spikes: `[T, B, F * neurons]`, 0 or 1, on the device of the values
    ///
    /// # Panics
    ///
    /// If `draw` does not name B samples.
    pub fn encode(&self, values: Tensor<2>, draw: &SampleKeys) -> Tensor<3> {
        let [batch, features] = values.dims();
        assert!(
            batch == draw.samples.len(),
            "PopulationEncoder: values {:?} for {} samples",
            values.dims(),
            draw.samples.len()
        );
        let device = values.device();
        let host = values.into_data().convert::<f32>();
        let host = host.as_slice::<f32>().expect("they were converted");
        let spikes = self.encode_host(host, draw);
        let config = &self.config;
        let shape = [config.time_steps, batch, features * config.neurons];
        Tensor::from_data(TensorData::new(spikes, shape), &device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn probabilities_are_those_of_the_formula() {
        let encoder = PopulationEncoderConfig::new(1, 3).init().unwrap();
        let off = |d: f64| (-0.5 * d * d).exp() as f32;
        assert_eq!(encoder.probabilities(0.5), [off(1.0), 1.0, off(1.0)]);
        assert_eq!(encoder.probabilities(0.0), [1.0, off(1.0), off(2.0)]);
        assert_eq!(encoder.probabilities(f32::NAN), [0.0; 3]);
        assert_eq!(encoder.probabilities(f32::INFINITY), [0.0; 3]);
    }

    #[test]
    fn rates_are_the_probabilities() {
        let steps = 20_000;
        let encoder = PopulationEncoderConfig::new(steps, 4).init().unwrap();
        let spikes = encoder.encode_host(&[0.4], &SampleKeys::fixed(1));
        for (i, p) in encoder.probabilities(0.4).into_iter().enumerate() {
            let rate = spikes.iter().skip(i).step_by(4).sum::<f32>() / steps as f32;
            assert!((rate - p).abs() < 0.015, "{rate} for {p}");
        }
    }

    #[test]
    fn tensors_and_host_agree() {
        let encoder = PopulationEncoderConfig::new(6, 3)
            .with_seed(4)
            .init()
            .unwrap();
        let draw = SampleKeys::new(2, vec![7, 1]);
        let values = Tensor::<2>::from_floats([[0.1, 0.9], [0.5, 0.3]], &Device::default());
        let spikes = encoder.encode(values, &draw);
        assert_eq!(spikes.dims(), [6, 2, 6]);
        assert_eq!(
            spikes.into_data().try_to_vec::<f32>().unwrap(),
            encoder.encode_host(&[0.1, 0.9, 0.5, 0.3], &draw)
        );
    }

    #[test]
    #[should_panic(expected = "PopulationEncoder: 3 intensities cannot belong to 2 samples")]
    fn every_sample_needs_as_many_values() {
        let encoder = PopulationEncoderConfig::new(2, 4).init().unwrap();
        encoder.encode_host(&[0.1, 0.2, 0.3], &SampleKeys::fixed(2));
    }

    #[test]
    #[should_panic(expected = "values [2, 1] for 1 samples")]
    fn every_row_needs_its_sample() {
        let encoder = PopulationEncoderConfig::new(2, 4).init().unwrap();
        encoder.encode(
            Tensor::zeros([2, 1], &Device::default()),
            &SampleKeys::fixed(1),
        );
    }

    #[test]
    fn bad_configurations_are_named() {
        let error = |config: PopulationEncoderConfig| config.init().unwrap_err().to_string();
        let config = || PopulationEncoderConfig::new(2, 3);
        assert!(error(PopulationEncoderConfig::new(0, 3)).contains("`time_steps`"));
        assert!(error(PopulationEncoderConfig::new(2, 1)).contains("`neurons`"));
        assert!(error(config().with_low(f64::NAN)).contains("`low`"));
        assert!(error(config().with_high(0.0)).contains("`high` of PopulationEncoder: 0"));
        assert!(error(config().with_width(0.0)).contains("`width`"));
    }
}
