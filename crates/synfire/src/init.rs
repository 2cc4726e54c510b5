//! Initial weights that depend on a seed alone.
//!
//! Burn's initialisers draw from the backend's process-wide generator; these draw from
//! [`random`](crate::random), so a model is the same on every backend and in every run with the same seed.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::{Philox, Purpose};

/// A linear layer with weights and biases uniform in `+-gain / sqrt(d_input)`.
///
/// With `gain` 1 this is PyTorch's default. `layer` numbers the layers of a model, so that layers of one shape
/// differ.
///
/// # Panics
///
/// If a size is 0.
///
/// # Shapes
///
/// - weight: `[d_input, d_output]`
/// - bias: `[d_output]`
///
/// ```
/// use burn::tensor::Device;
/// use synfire::init::linear;
///
/// let device = Device::default();
/// let layer = linear(784, 800, 1.0, 42, 0, &device);
/// assert_eq!(layer.weight.dims(), [784, 800]);
/// ```
pub fn linear(
    d_input: usize,
    d_output: usize,
    gain: f64,
    seed: u64,
    layer: u32,
    device: &Device,
) -> Linear {
    assert!(
        d_input > 0 && d_output > 0,
        "init::linear: {d_input} inputs and {d_output} outputs, expected at least 1 of each"
    );
    let philox = Philox::new(seed).for_purpose(Purpose::Initialize);
    let bound = (gain / (d_input as f64).sqrt()) as f32;
    // Two sequences a layer: weights and biases.
    let sequence = 2 * u64::from(layer);
    let weight = philox.uniform(sequence, d_input * d_output, -bound, bound);
    let bias = philox.uniform(sequence + 1, d_output, -bound, bound);

    // Burn's own initialisation is lazy and is replaced before it draws.
    let mut linear = LinearConfig::new(d_input, d_output).init(device);
    linear.weight = Param::from_tensor(Tensor::from_data(
        TensorData::new(weight, [d_input, d_output]),
        device,
    ));
    linear.bias = Some(Param::from_tensor(Tensor::from_data(
        TensorData::new(bias, [d_output]),
        device,
    )));
    linear
}
