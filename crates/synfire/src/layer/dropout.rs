//! Dropout with the same mask in every time step.

use burn::config::Config;
use burn::module::{Flag, Module, Param};
use burn::tensor::{Tensor, TensorData};

use super::in_memory_order;
use crate::InvalidConfig;
use crate::encode::SampleKeys;
use crate::random::{Philox, Purpose, unit};

/// Configuration of a [`Dropout`].
#[derive(Config, Debug, PartialEq)]
pub struct DropoutConfig {
    /// Dropout probability, 0 to below 1.
    pub prob: f64,
    /// Decides all draws.
    #[config(default = 0)]
    pub seed: u64,
    /// The number of the layer, so that layers with the same seed have different masks.
    #[config(default = 0)]
    pub layer: u32,
}

impl DropoutConfig {
    /// Creates the layer.
    ///
    /// # Errors
    ///
    /// If the probability is not in `[0, 1)`.
    pub fn init(&self) -> Result<Dropout, InvalidConfig> {
        let accepted = (0.0..1.0).contains(&self.prob);
        let expected = "a number from 0 to below 1";
        InvalidConfig::require("Dropout", "prob", self.prob, accepted, expected)?;
        Ok(Dropout {
            training: Param::from_bool(true),
            config: self.clone(),
        })
    }
}

/// Zeroes elements at random in training, with the same mask in every time step of a sample, and multiplies the others
/// by `1 / (1 - prob)` (Lee et al. 2020, *Enabling Spike-Based Backpropagation for Training Deep Neural Network
/// Architectures*). A new mask in every step would average out over time.
///
/// The mask is a function of (seed, layer, epoch, sample, element), the same on every device. As Burn's dropout, it does
/// nothing on a device without autodiff, or if frozen.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::encode::SampleKeys;
/// use synfire::layer::DropoutConfig;
///
/// let dropout = DropoutConfig::new(0.5).with_seed(1).init()?;
/// let device = Device::default().autodiff();
/// let output = dropout.forward(Tensor::<3>::ones([2, 1, 6], &device), &SampleKeys::fixed(1));
/// let output = output.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(output[..6], output[6..]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Module, Debug)]
pub struct Dropout {
    /// Whether to behave as during training.
    pub training: Param<Flag>,
    #[module(skip)]
    config: DropoutConfig,
}

impl Dropout {
    /// Applies the mask of the samples and the epoch.
    ///
    /// # Shapes
    ///
    /// - input: `[T, B, ...]`
    /// - output: `[T, B, ...]`
    ///
    /// # Panics
    ///
    /// If `draw` does not name B samples.
    pub fn forward<const D: usize>(&self, input: Tensor<D>, draw: &SampleKeys) -> Tensor<D> {
        let mut shape = input.dims();
        assert!(
            shape[1] == draw.samples.len(),
            "Dropout: input {shape:?} for {} samples",
            draw.samples.len()
        );
        let prob = self.config.prob;
        if prob == 0.0 || !self.training.is_enabled() || !input.device().is_autodiff() {
            return input;
        }
        shape[0] = 1;
        let elements = shape[2..].iter().product();
        let mask = TensorData::new(self.mask(elements, draw), shape);
        let mask = Tensor::from_data(mask, &input.device());
        let [output] = in_memory_order([input, mask], |[x, mask]| [x * mask]);
        output
    }

    /// Dropout mask of each sample: the factor of each element.
    fn mask(&self, elements: usize, draw: &SampleKeys) -> Vec<f32> {
        let DropoutConfig { prob, seed, layer } = self.config;
        let philox = Philox::new(seed).for_purpose(Purpose::Dropout);
        let kept = (1.0 / (1.0 - prob)) as f32;
        let mut mask = Vec::with_capacity(elements * draw.samples.len());
        for sample in &draw.samples {
            let words = (0..elements.div_ceil(4))
                .flat_map(|block| philox.block([block as u32, layer, *sample, draw.epoch]));
            mask.extend(words.take(elements).map(|word| {
                if f64::from(unit(word)) < prob {
                    0.0
                } else {
                    kept
                }
            }));
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::serves;
    use burn::tensor::Device;

    fn output(config: DropoutConfig, device: &Device, draw: &SampleKeys) -> Vec<f32> {
        let input = Tensor::<4>::ones([3, draw.samples.len(), 10, 100], device);
        let output = config.init().unwrap().forward(input, draw);
        output.into_data().try_to_vec::<f32>().unwrap()
    }

    #[test]
    fn a_mask_belongs_to_the_sample_and_stays_over_time() {
        let device = Device::default().autodiff();
        let config = DropoutConfig::new(0.3).with_seed(5);
        let both = output(config.clone(), &device, &SampleKeys::new(1, vec![8, 3]));
        assert_eq!(both[..2000], both[2000..4000]);
        assert_eq!(both[..2000], both[4000..]);
        let alone = output(config.clone(), &device, &SampleKeys::new(1, vec![3]));
        assert_eq!(alone[..1000], both[1000..2000]);
        let left_out = both[..2000].iter().filter(|x| **x == 0.0).count();
        // Standard deviation 20.
        assert!((500..700).contains(&left_out), "{left_out}");
        let kept = (1.0f64 / 0.7) as f32;
        assert!(both.iter().all(|x| *x == 0.0 || *x == kept));
        for other in [
            output(
                config.clone().with_layer(1),
                &device,
                &SampleKeys::new(1, vec![3]),
            ),
            output(
                config.clone().with_seed(6),
                &device,
                &SampleKeys::new(1, vec![3]),
            ),
            output(config.clone(), &device, &SampleKeys::new(2, vec![3])),
        ] {
            assert_ne!(other, alone);
        }
    }

    #[test]
    fn images_keep_their_order_in_memory() {
        let device = Device::default().autodiff();
        let draw = SampleKeys::new(1, vec![8, 3]);
        let dropout = DropoutConfig::new(0.3).init().unwrap();
        let input = Tensor::<5>::ones([2, 2, 5, 4, 3], &device);
        let last = Tensor::<5>::ones([2, 2, 4, 3, 5], &device).permute([0, 1, 4, 2, 3]);
        let output = dropout.forward(last, &draw);
        assert!(serves::stored_channels_last(&output));
        let expected = dropout.forward(input, &draw);
        assert_eq!(output.into_data(), expected.into_data());
    }

    #[test]
    fn nothing_happens_without_training() {
        let draw = SampleKeys::fixed(2);
        let plain = output(DropoutConfig::new(0.5), &Device::default(), &draw);
        assert!(plain.iter().all(|x| *x == 1.0));
        let device = Device::default().autodiff();
        let none = output(DropoutConfig::new(0.0), &device, &draw);
        assert!(none.iter().all(|x| *x == 1.0));
        let frozen = DropoutConfig::new(0.5).init().unwrap().freeze();
        let input = Tensor::<3>::ones([1, 2, 50], &device);
        let output = frozen.forward(input, &draw).into_data();
        assert!(output.iter::<f32>().all(|x| x == 1.0));
    }

    #[test]
    fn bad_probabilities_are_named() {
        for prob in [-0.1, 1.0, f64::NAN] {
            let error = DropoutConfig::new(prob).init().unwrap_err().to_string();
            assert!(error.contains("`prob` of Dropout"), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "input [1, 2, 3] for 1 samples")]
    fn every_row_needs_its_sample() {
        let dropout = DropoutConfig::new(0.5).init().unwrap();
        let input = Tensor::<3>::ones([1, 2, 3], &Device::default().autodiff());
        dropout.forward(input, &SampleKeys::fixed(1));
    }
}
