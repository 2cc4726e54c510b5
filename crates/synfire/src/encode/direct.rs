//! Direct coding: intensities as input currents.

use burn::config::Config;
use burn::tensor::Tensor;

use super::{Encoder, SampleKeys, sequence_shape};
use crate::InvalidConfig;

/// Configuration of a [`DirectEncoder`].
#[derive(Config, Debug, PartialEq)]
pub struct DirectEncoderConfig {
    /// The number of time steps `T`, at least 1.
    pub time_steps: usize,
}

impl DirectEncoderConfig {
    /// Creates the encoder.
    ///
    /// # Errors
    ///
    /// If the number of time steps is not from 1 to 2^24.
    pub fn init(&self) -> Result<DirectEncoder, InvalidConfig> {
        let time_steps =
            InvalidConfig::require_size("DirectEncoder", "time_steps", self.time_steps)?;
        Ok(DirectEncoder { time_steps })
    }
}

/// Repeats the intensities in every time step (direct or constant-current coding): the first layer of the network then
/// turns them into spikes, with weights that are learned. Gradients pass through [`encode`](Encoder::encode).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::encode::{DirectEncoderConfig, SampleKeys, Encoder};
///
/// let encoder = DirectEncoderConfig::new(2).init()?;
/// let intensities = Tensor::<2>::from_floats([[0.1, 0.7]], &Device::default());
/// let sequence: Tensor<3> = encoder.encode(intensities, &SampleKeys::fixed(1));
/// assert_eq!(sequence.to_data().try_to_vec::<f32>().unwrap(), [0.1, 0.7, 0.1, 0.7]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirectEncoder {
    time_steps: usize,
}

impl Encoder for DirectEncoder {
    fn time_steps(&self) -> usize {
        self.time_steps
    }

    fn encode_host(&self, intensities: &[f32], draw: &SampleKeys) -> Vec<f32> {
        draw.elements("DirectEncoder", intensities);
        intensities.repeat(self.time_steps)
    }

    fn encode<const INPUT: usize, const OUTPUT: usize>(
        &self,
        intensities: Tensor<INPUT>,
        draw: &SampleKeys,
    ) -> Tensor<OUTPUT> {
        draw.check(intensities.dims());
        repeat(intensities, self.time_steps)
    }
}

/// The same input in every one of `time_steps` steps, as a view: `[B, ...]` becomes `[T, B, ...]`. Like a [`DirectEncoder`],
/// without a configuration.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::encode::repeat;
///
/// let images = Tensor::<4>::ones([8, 1, 28, 28], &Device::default());
/// let sequence: Tensor<5> = repeat(images, 10);
/// assert_eq!(sequence.dims(), [10, 8, 1, 28, 28]);
/// ```
pub fn repeat<const INPUT: usize, const OUTPUT: usize>(
    input: Tensor<INPUT>,
    time_steps: usize,
) -> Tensor<OUTPUT> {
    let shape: [usize; OUTPUT] = sequence_shape(time_steps, input.dims());
    input.unsqueeze_dim::<OUTPUT>(0).expand(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tensors_and_host_agree_and_gradients_pass() {
        let device = Device::default().autodiff();
        let encoder = DirectEncoderConfig::new(4).init().unwrap();
        let x = Tensor::<2>::from_floats([[0.5, -1.0], [2.0, 0.25]], &device).require_grad();
        let sequence: Tensor<3> = encoder.encode(x.clone(), &SampleKeys::fixed(2));
        let host = encoder.encode_host(&[0.5, -1.0, 2.0, 0.25], &SampleKeys::fixed(2));
        assert_eq!(sequence.to_data().try_to_vec::<f32>().unwrap(), host);
        let gradients = sequence.sum().backward();
        let gradient = x.grad(&gradients).unwrap().into_data();
        assert_eq!(gradient.try_to_vec::<f32>().unwrap(), [4.0; 4]);
    }

    #[test]
    fn no_time_steps_are_an_error() {
        let error = DirectEncoderConfig::new(0).init().unwrap_err().to_string();
        assert!(
            error.contains("`time_steps` of DirectEncoder: 0"),
            "{error}"
        );
    }

    #[test]
    #[should_panic(expected = "intensities [2, 1] for 1 samples")]
    fn every_row_needs_its_sample() {
        let encoder = DirectEncoderConfig::new(2).init().unwrap();
        let x = Tensor::<2>::zeros([2, 1], &Device::default());
        let _: Tensor<3> = encoder.encode(x, &SampleKeys::fixed(1));
    }

    #[test]
    #[should_panic(expected = "DirectEncoder: 3 intensities cannot belong to 2 samples")]
    fn a_batch_must_have_whole_rows() {
        let encoder = DirectEncoderConfig::new(2).init().unwrap();
        encoder.encode_host(&[0.0; 3], &SampleKeys::fixed(2));
    }

    #[test]
    #[should_panic(expected = "intensities of rank 2 become a sequence of rank 3, not 4")]
    fn ranks_must_fit() {
        let encoder = DirectEncoderConfig::new(2).init().unwrap();
        let x = Tensor::<2>::zeros([1, 1], &Device::default());
        let _: Tensor<4> = encoder.encode(x, &SampleKeys::fixed(1));
    }
}
