//! From spikes to numbers.

use burn::tensor::Tensor;

/// The mean over time: each neuron's firing rate, from 0 to 1. The class with the highest rate is the answer.
///
/// # Shapes
///
/// - spikes: `[T, B, C]`
/// - rates: `[B, C]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::decode::rate;
///
/// let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[1.0, 1.0]]], &Device::default());
/// let rates = rate(spikes);
/// assert_eq!(rates.to_data().try_to_vec::<f32>().unwrap(), [1.0, 0.5]);
/// ```
pub fn rate(spikes: Tensor<3>) -> Tensor<2> {
    spikes.mean_dim(0).squeeze_dim(0)
}
