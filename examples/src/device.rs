//! Devices by name.

use burn::tensor::{Device, DeviceType};

use crate::RunError;

/// The device that `--device` names: a backend of this build, with the number of the device after a colon, or `auto`,
/// which is the one that the variable `BURN_DEVICE` names or else Burn's choice.
///
/// # Errors
///
/// If the backend is unknown or not in this build, or this machine has no such device.
pub fn device(name: &str) -> Result<Device, RunError> {
    if name != "auto" {
        return named(name, "--device");
    }
    match std::env::var("BURN_DEVICE") {
        // Burn would panic at a name that it does not know.
        Ok(name) => named(&name.to_lowercase(), "BURN_DEVICE"),
        Err(_) => Ok(Device::default()),
    }
}

fn named(name: &str, option: &'static str) -> Result<Device, RunError> {
    let error = |reason: String| RunError::Device {
        option,
        name: name.to_owned(),
        reason,
    };
    let (backend, number) = match name.split_once(':') {
        Some((backend, number)) => (
            backend,
            number
                .parse()
                .map_err(|_| error(format!("`{number}` is not the number of a device")))?,
        ),
        None => (name, 0),
    };
    let kind = match backend {
        "flex" => DeviceType::Flex,
        #[cfg(feature = "ndarray")]
        "ndarray" => DeviceType::NdArray,
        #[cfg(feature = "wgpu")]
        "wgpu" => DeviceType::Wgpu,
        #[cfg(feature = "vulkan")]
        "vulkan" => DeviceType::Vulkan,
        #[cfg(feature = "metal")]
        "metal" => DeviceType::Metal,
        #[cfg(feature = "cuda")]
        "cuda" => DeviceType::Cuda,
        #[cfg(feature = "rocm")]
        "rocm" => DeviceType::Rocm,
        #[allow(unreachable_patterns)] // Those of this build were matched above.
        "ndarray" | "wgpu" | "vulkan" | "metal" | "cuda" | "rocm" => {
            return Err(error(format!("build with --features {backend} to use it")));
        }
        _ => {
            return Err(error(
                "expected auto, flex, ndarray, wgpu, vulkan, metal, cuda or rocm".to_owned(),
            ));
        }
    };
    let devices = Device::enumerate(kind).into_vec();
    let count = devices.len();
    devices.into_iter().nth(number).ok_or_else(|| {
        error(match count {
            0 => "this machine has no such device".to_owned(),
            _ => format!("this machine has {count}, counted from 0"),
        })
    })
}

/// A device as text, for messages and reports.
pub fn describe(device: &Device) -> String {
    let text = format!("{device:?}");
    match text
        .strip_prefix("Device<")
        .and_then(|text| text.strip_suffix('>'))
    {
        Some(inner) => inner.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_devices_or_clear_errors() {
        assert!(device("auto").is_ok());
        assert_eq!(device("flex").unwrap(), Device::flex());
        assert_eq!(describe(&device("flex").unwrap()), "Flex(Cpu)");
        let text = |name| device(name).unwrap_err().to_string();
        let variable = named("tpu", "BURN_DEVICE").unwrap_err().to_string();
        assert!(
            variable.contains("invalid `BURN_DEVICE`: tpu"),
            "{variable}"
        );
        assert!(text("tpu").contains("invalid `--device`: tpu, expected auto"));
        assert!(text("flex:9").contains("this machine has 1"));
        assert!(text("flex:x").contains("`x` is not the number"));
        #[cfg(not(feature = "rocm"))]
        assert!(text("rocm").contains("build with --features rocm"));
    }
}
