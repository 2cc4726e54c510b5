//! What neurons carry from one step to the next.

use std::fmt::Debug;

use burn::tensor::{Device, Tensor, TensorData};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

/// What every neuron's state does. Serde saves and loads it.
pub trait NeuronState: Clone + Debug + Serialize + DeserializeOwned {
    /// The same values without their history: where backpropagation through time stops.
    fn detach(self) -> Self;

    /// The state on another device.
    fn to_device(self, device: &Device) -> Self;
}

/// Reads a tensor of rank `D`; any other rank is an error where Burn's own reading would panic.
pub(super) fn tensor<'de, D, const N: usize>(deserializer: D) -> Result<Tensor<N>, D::Error>
where
    D: Deserializer<'de>,
{
    let data = TensorData::deserialize(deserializer)?;
    let shape: &[usize] = data.shape();
    if shape.len() != N || shape[0] != 1 {
        return Err(D::Error::custom(format!(
            "a state of shape {shape:?}, expected [1, B, ...] of rank {N}"
        )));
    }
    if !data.dtype().is_float() || data.iter::<f64>().any(|value| !value.is_finite()) {
        return Err(D::Error::custom(format!(
            "a state of {:?} that are not all finite, expected finite floating-point numbers",
            data.dtype()
        )));
    }
    Ok(Tensor::from_data(data, &Device::default()))
}
