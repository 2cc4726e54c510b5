//! Rate coding by independent draws.

#[cfg(feature = "cube")]
use burn::backend::Dispatch;
use burn::config::Config;
#[cfg(feature = "cube")]
use burn::tensor::{DType, Int, Tensor, TensorData};

use super::{Encoder, SampleKeys};
#[cfg(feature = "cube")]
use super::{encode_on_host, sequence_shape};
use crate::InvalidConfig;
#[cfg(feature = "cube")]
use crate::ops::{BernoulliOps, SpikeDraws, serves};
use crate::random::{Philox, Purpose, unit};

/// Configuration of a [`BernoulliEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct BernoulliEncoderConfig {
    /// The number of time steps `T` of the spike trains, at least 1.
    pub time_steps: usize,
    /// Decides all draws.
    #[config(default = 0)]
    pub seed: u64,
}

impl BernoulliEncoderConfig {
    /// Creates the encoder.
    ///
    /// # Errors
    ///
    /// If the number of time steps is not from 1 to 2^24.
    pub fn init(&self) -> Result<BernoulliEncoder, InvalidConfig> {
        InvalidConfig::require_size("BernoulliEncoder", "time_steps", self.time_steps)?;
        Ok(BernoulliEncoder {
            time_steps: self.time_steps,
            philox: Philox::new(self.seed).for_purpose(Purpose::Encode),
        })
    }
}

/// Turns an intensity `p` into a spike train in which every step fires with probability `p`, independently.
///
/// The paper feeds images so: each pixel's value is its probability. The draw for a step is a function of (seed,
/// epoch, sample, time step, element) alone, so it is the same in any batch and any order, on every backend, and in
/// a resumed run. Intensities of 0 and below (and NaN) never fire, those of 1 and above always do. No gradient
/// passes through the draws.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::encode::{BernoulliEncoderConfig, SampleKeys, Encoder};
///
/// let device = Device::default();
/// let encoder = BernoulliEncoderConfig::new(8).with_seed(42).init()?;
/// let images = Tensor::<2>::from_floats([[0.0, 0.5, 1.0]], &device);
/// let spikes: Tensor<3> = encoder.encode(images, &SampleKeys::new(0, vec![17]));
/// assert_eq!(spikes.dims(), [8, 1, 3]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct BernoulliEncoder {
    time_steps: usize,
    philox: Philox,
}

impl Encoder for BernoulliEncoder {
    fn time_steps(&self) -> usize {
        self.time_steps
    }

    fn encode_host(&self, intensities: &[f32], draw: &SampleKeys) -> Vec<f32> {
        let elements = draw.elements("BernoulliEncoder", intensities);
        let step = intensities.len();
        let mut spikes = vec![0.0; self.time_steps * step];
        for (row, sample) in draw.samples.iter().enumerate() {
            for element in 0..elements {
                let at = row * elements + element;
                let intensity = intensities[at];
                // Most pixels are 0 and need no draw, thanks to counter-based random numbers.
                if intensity.is_nan() || intensity <= 0.0 {
                    continue;
                }
                for block in 0..self.time_steps.div_ceil(4) {
                    let counter = [element as u32, block as u32, *sample, draw.epoch];
                    let first = 4 * block;
                    let words = self.philox.block(counter);
                    for (t, word) in (first..self.time_steps).zip(words) {
                        if unit(word) < intensity {
                            spikes[t * step + at] = 1.0;
                        }
                    }
                }
            }
        }
        spikes
    }

    #[cfg(feature = "cube")]
    fn encode<const INPUT: usize, const OUTPUT: usize>(
        &self,
        intensities: Tensor<INPUT>,
        draw: &SampleKeys,
    ) -> Tensor<OUTPUT> {
        if !serves::cubecl(&intensities) {
            return encode_on_host(self, intensities, draw);
        }
        // Checked here, because the kernel runs later.
        let _: [usize; OUTPUT] = sequence_shape(self.time_steps, intensities.dims());
        draw.check(intensities.dims());
        let device = intensities.device();
        let samples: Vec<i32> = draw.samples.iter().map(|sample| *sample as i32).collect();
        let samples = TensorData::new(samples, [draw.samples.len()]);
        let samples = Tensor::<1, Int>::from_data(samples, (&device.clone().inner(), DType::I32));
        let draws = SpikeDraws {
            time_steps: self.time_steps,
            key: self.philox.key(),
            epoch: draw.epoch,
        };
        let spikes = <Dispatch as BernoulliOps>::bernoulli(
            intensities.without_autodiff().into_dispatch(),
            samples.into_dispatch(),
            draws,
        );
        let spikes = Tensor::from_dispatch(spikes);
        match device.gradient_checkpointing_strategy() {
            Some(strategy) => spikes
                .autodiff()
                .with_gradient_checkpointing_strategy(strategy),
            None => spikes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};

    fn encoder(time_steps: usize, seed: u64) -> BernoulliEncoder {
        BernoulliEncoderConfig::new(time_steps)
            .with_seed(seed)
            .init()
            .unwrap()
    }

    #[test]
    fn rates_are_the_intensities() {
        let intensities = [0.0, -1.0, f32::NAN, 1.0, 2.0, 0.1, 0.5, 0.9];
        let steps = 20_000;
        let spikes = encoder(steps, 1).encode_host(&intensities, &SampleKeys::new(0, vec![5]));
        let rates: Vec<f32> = (0..8)
            .map(|e| spikes.iter().skip(e).step_by(8).sum::<f32>() / steps as f32)
            .collect();
        assert_eq!(rates[..5], [0.0, 0.0, 0.0, 1.0, 1.0]);
        // Standard deviation at most 0.0036.
        for (rate, wanted) in rates[5..].iter().zip([0.1, 0.5, 0.9]) {
            assert!((rate - wanted).abs() < 0.015, "{rate} for {wanted}");
        }
        assert!(spikes.iter().all(|s| *s == 0.0 || *s == 1.0));
    }

    #[test]
    fn a_draw_depends_on_the_sample_not_on_its_place() {
        let row = [0.3f32; 50];
        let rows = [row, row, row].concat();
        let encoder = encoder(7, 3);
        let alone = |sample| encoder.encode_host(&row, &SampleKeys::new(2, vec![sample]));
        let batch = encoder.encode_host(&rows, &SampleKeys::new(2, vec![9, 4, 9]));
        for (row, sample) in [9, 4, 9].into_iter().enumerate() {
            let of_batch: Vec<f32> = (0..7)
                .flat_map(|t| batch[(t * 3 + row) * 50..][..50].to_vec())
                .collect();
            assert_eq!(of_batch, alone(sample));
        }
        assert_ne!(alone(9), alone(4));
    }

    #[test]
    fn seed_epoch_and_length_do_what_they_say() {
        let row = [0.5f32; 64];
        let base = encoder(9, 0).encode_host(&row, &SampleKeys::new(0, vec![0]));
        assert_ne!(
            base,
            encoder(9, 1).encode_host(&row, &SampleKeys::new(0, vec![0]))
        );
        assert_ne!(
            base,
            encoder(9, 0).encode_host(&row, &SampleKeys::new(1, vec![0]))
        );
        // A longer train begins like a shorter one.
        let longer = encoder(14, 0).encode_host(&row, &SampleKeys::new(0, vec![0]));
        assert_eq!(base, longer[..base.len()]);
    }

    #[test]
    fn tensors_and_host_agree() {
        let device = Device::default();
        let encoder = encoder(5, 11);
        let draw = SampleKeys::new(1, vec![3, 8]);
        let images = Tensor::<3>::full([2, 4, 6], 0.4, &device);
        let spikes: Tensor<4> = encoder.encode(images, &draw);
        assert_eq!(spikes.dims(), [5, 2, 4, 6]);
        assert_eq!(
            spikes.into_data().try_to_vec::<f32>().unwrap(),
            encoder.encode_host(&[0.4; 48], &draw)
        );
    }

    #[test]
    fn no_time_steps_are_an_error() {
        let error = BernoulliEncoderConfig::new(0).init().unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid `time_steps` of BernoulliEncoder: 0, expected from 1 to 16777216"
        );
    }

    #[test]
    #[should_panic(expected = "intensities [4, 16] for 2 samples")]
    fn every_image_needs_its_sample() {
        let images = Tensor::<2>::zeros([4, 16], &Device::default());
        let _: Tensor<3> = encoder(1, 0).encode(images, &SampleKeys::new(0, vec![0, 1]));
    }

    #[test]
    #[should_panic(expected = "7 intensities cannot belong to 2 samples")]
    fn a_batch_must_have_whole_rows() {
        encoder(1, 0).encode_host(&[0.5; 7], &SampleKeys::new(0, vec![0, 1]));
    }
}
