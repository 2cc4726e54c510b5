//! Selection of operations by device, type and layout of a tensor.

use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing as Balanced;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{DType, Device, Tensor};

use super::lif::LifKernel;
#[cfg(feature = "remote")]
use super::remote;
use crate::InvalidConfig;
use crate::dynamics::Equations;
use crate::surrogate::Surrogate;

/// Whether `flex` has operations for a tensor: in single precision.
pub(crate) fn flex<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && x.device().inner() == Device::flex()
}

/// Whether CubeCL has operations for a tensor: in single and half precision.
pub(crate) fn cubecl<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.dtype(), DType::F32 | DType::F16 | DType::BF16) && is_cubecl(&x.device())
}

/// Whether a server of Synfire has the operations of `flex` for a tensor.
fn remote_flex<const D: usize>(x: &Tensor<D>) -> bool {
    #[cfg(feature = "remote")]
    if x.dtype() == DType::F32 {
        return remote::served(&x.device()) == Some(remote::Served::Flex);
    }
    let _ = x;
    false
}

/// Whether there are operations of `flex` for a tensor, here or on a server of Synfire.
pub(crate) fn flex_or_its_server<const D: usize>(x: &Tensor<D>) -> bool {
    flex(x) || remote_flex(x)
}

/// Whether there is a fused [`Lif`](crate::neuron::Lif) of this kind for an input. CubeCL and servers have no custom surrogates.
pub(crate) fn lif<const D: usize>(input: &Tensor<D>, kernel: &LifKernel) -> bool {
    #[cfg(feature = "cube")]
    if cubecl(input) {
        return kernel.in_cubecl();
    }
    #[cfg(feature = "remote")]
    if let Some(remote::Served::CubeCl) = remote::served(&input.device()) {
        return input.dtype() == DType::F32 && kernel.in_cubecl();
    }
    flex(input) || (remote_flex(input) && !kernel.surrogate.is_custom())
}

/// Whether there is a fused neuron for an input of neurons with these equations. Servers have no custom ones.
pub(crate) fn dynamics<const D: usize>(
    input: &Tensor<D>,
    equations: &Equations,
    surrogate: Surrogate,
) -> bool {
    let known = equations.neuron().is_some() && !surrogate.is_custom();
    flex(input) || (known && remote_flex(input))
}

/// Whether there are event-driven products for an input and its weights.
pub(crate) fn synapse<const I: usize, const W: usize>(
    input: &Tensor<I>,
    weight: &Tensor<W>,
) -> bool {
    let all = |serves: [bool; 2]| serves == [true; 2];
    let together = || input.device() == weight.device();
    all([flex(input), flex(weight)])
        || (all([remote_flex(input), remote_flex(weight)]) && together())
}

/// Whether the channels of `[T, B, C, ...]` are fastest in memory, with all other axes in order. Assumed of images on
/// CubeCL devices, whose convolutions leave them so. False on servers: Burn 0.22 cannot permute tensors of other machines (it sends
/// an operation for integers), so that servers must do it.
pub(crate) fn stored_channels_last<const D: usize>(x: &Tensor<D>) -> bool {
    if D == 5 && cubecl(x) {
        return true;
    }
    if D < 4 || !flex(x) {
        return false;
    }
    let plain = match x.device().is_autodiff() {
        true => x
            .clone()
            .try_into_primitive::<Autodiff<Flex>>()
            .map(|tensor| tensor.into_primitive())
            .or_else(|_| {
                let checkpointing = x.clone().try_into_primitive::<Autodiff<Flex, Balanced>>();
                checkpointing.map(|tensor| tensor.into_primitive())
            }),
        false => x.clone().try_into_primitive::<Flex>(),
    };
    let mut order: Vec<usize> = (0..D).collect();
    order[2..].rotate_left(1);
    // Axes of size 1 may come anywhere.
    plain.is_ok_and(|tensor| {
        let inside = tensor.permute(&order);
        !inside.shape().contains(&0) && inside.layout().is_contiguous()
    })
}

/// The feature of this crate that a device needs, by its debug representation: types of disabled backends do not exist.
fn feature_for(device: &str) -> Option<&'static str> {
    let (cube, ndarray) = (cfg!(feature = "cube"), cfg!(feature = "ndarray"));
    match device {
        device if device.starts_with("Cube(") && !cube => {
            Some("`wgpu`, `vulkan`, `metal`, `cuda`, `rocm` or `cpu`")
        }
        device if device.starts_with("NdArray(") && !ndarray => Some("`ndarray`"),
        device if device.starts_with("Remote(") && !cfg!(feature = "remote") => Some("`remote`"),
        _ => None,
    }
}

/// Rejects a device of a backend that only Burn is built with, not this crate: every spike would panic there.
pub(crate) fn require_registered(
    owner: &'static str,
    device: &Device,
) -> Result<(), InvalidConfig> {
    let device = format!("{:?}", device.clone().inner().as_dispatch());
    match feature_for(&device) {
        None => Ok(()),
        Some(feature) => {
            let expected = format!(
                "a backend whose feature of the crate `synfire` is enabled, too, here {feature}"
            );
            Err(InvalidConfig::new(owner, "device", device, expected))
        }
    }
}

/// Whether a device is a CubeCL device, as all GPUs are: it runs asynchronously and has kernels written in CubeCL.
pub fn is_cubecl(device: &Device) -> bool {
    #[cfg(feature = "cube")]
    if let burn::backend::DispatchDevice::Cube(_) = device.clone().inner().as_dispatch() {
        return true;
    }
    let _ = device;
    false
}

/// The number of a tensor in a recording of Burn's capture device.
///
/// # Panics
///
/// If the tensor is on another device.
#[cfg(feature = "capture")]
#[doc(hidden)]
pub fn captured_id<const D: usize>(tensor: &Tensor<D>) -> burn::backend::capture::TensorId {
    let tensor = tensor
        .clone()
        .try_into_primitive::<burn::backend::Capture>();
    tensor.expect("it is on the capture device").id()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_size_1_may_come_anywhere() {
        let device = Device::flex();
        for sizes in 0..32usize {
            let [steps, batch, channels, height, width] =
                [16, 8, 4, 2, 1].map(|bit| match sizes & bit {
                    0 => 1,
                    _ => 3,
                });
            let last = Tensor::<5>::ones([steps, batch, height, width, channels], &device);
            assert!(stored_channels_last(&last.permute([0, 1, 4, 2, 3])));
            let first = Tensor::<5>::ones([steps, batch, channels, height, width], &device);
            let alike = channels == 1 || height * width == 1;
            assert_eq!(stored_channels_last(&first), alike, "{:?}", first.dims());
        }
        let empty = Tensor::<5>::ones([3, 0, 2, 4, 4], &device);
        assert!(!stored_channels_last(&empty));
    }

    #[test]
    fn a_backend_that_is_not_registered_names_its_feature() {
        let cube = feature_for("Cube(Wgpu(DefaultDevice))");
        assert_eq!(cube.is_none(), cfg!(feature = "cube"));
        let ndarray = feature_for("NdArray(Cpu)");
        assert_eq!(ndarray.is_none(), cfg!(feature = "ndarray"));
        assert!(require_registered("Lif", &Device::flex().autodiff()).is_ok());
    }
}
