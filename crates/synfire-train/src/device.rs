//! Devices by name.

#[cfg(feature = "cuda")]
use burn::tensor::distributed::{DistributedConfig, ReduceOperation};
use burn::tensor::{Device, DeviceType};
use burn::train::{ExecutionStrategy, MultiDeviceOptim};

use crate::RunError;

/// The device that `--device` names: a backend of this build, with the number of the device after a colon, or `auto`,
/// which is the one that the variable `BURN_DEVICE` names or else Burn's choice.
///
/// `remote:ws://host:port` is a device of another machine, where `synfire serve` runs: the first one or, as in
/// `remote:ws://host:port/1`, that with the number. The variable `SYNFIRE_TOKEN_FILE` names the file with its token.
///
/// # Errors
///
/// If the backend is unknown or not in this build, or this machine has no such device; if a server is not there, or refuses.
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

/// The backends of this build that run on processors, by name.
pub fn processors() -> Vec<(&'static str, DeviceType)> {
    vec![
        ("flex", DeviceType::Flex),
        #[cfg(feature = "ndarray")]
        ("ndarray", DeviceType::NdArray),
        #[cfg(feature = "cpu")]
        ("cpu", DeviceType::Cpu),
    ]
}

/// The GPU backends of this build, by name.
pub fn gpus() -> Vec<(&'static str, DeviceType)> {
    vec![
        #[cfg(feature = "cuda")]
        ("cuda", DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        ("rocm", DeviceType::Rocm),
        #[cfg(feature = "metal")]
        ("metal", DeviceType::Metal),
        #[cfg(feature = "vulkan")]
        ("vulkan", DeviceType::Vulkan),
        #[cfg(feature = "wgpu")]
        ("wgpu", DeviceType::Wgpu),
    ]
}

fn named(name: &str, option: &'static str) -> Result<Device, RunError> {
    let error = |reason: String| RunError::Device {
        option,
        name: name.to_owned(),
        reason,
    };
    let (backend, number) = name.split_once(':').unwrap_or((name, "0"));
    #[cfg(feature = "remote")]
    if backend == "remote" {
        return remote::connect(number).map_err(error);
    }
    let no_number = |_| error(format!("`{number}` is not the number of a device"));
    let number: usize = number.parse().map_err(no_number)?;
    let mut built = processors().into_iter().chain(gpus());
    let Some((_, kind)) = built.find(|(name, _)| *name == backend) else {
        return Err(error(match backend {
            "ndarray" | "cpu" | "wgpu" | "vulkan" | "metal" | "cuda" | "rocm" | "remote" => {
                format!("build with --features {backend} to use it")
            }
            _ => "expected auto, flex, ndarray, cpu, wgpu, vulkan, metal, cuda, rocm or \
                  remote:ws://host:port"
                .to_owned(),
        }));
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

/// True for devices that a run can use only once: GPUs of this machine.
fn is_once(device: &Device) -> bool {
    let of_kind = |(_, kind)| Device::enumerate(kind).into_vec();
    let mut of_processors = processors().into_iter().flat_map(of_kind);
    !is_remote(device) && !of_processors.any(|other| other == *device)
}

/// True if a GPU of this machine is among these devices more than once.
pub fn repeated(devices: &[Device]) -> bool {
    let mut all = devices.iter().enumerate();
    all.any(|(i, device)| is_once(device) && devices[..i].contains(device))
}

/// `count` devices of one kind, starting with `first`. A processor, or a device of another machine, can be used several times;
/// GPUs must be distinct.
///
/// # Errors
///
/// If this machine has fewer.
pub fn devices(first: &Device, count: usize) -> Result<Vec<Device>, RunError> {
    let mut found = vec![first.clone()];
    let of_kind = |(_, kind)| Device::enumerate(kind).into_vec();
    if count > 1 && is_once(first) {
        let all = gpus().into_iter().map(of_kind);
        let all: Vec<_> = all.filter(|all| !all.is_empty()).collect();
        let named = all.iter().find_map(|all| {
            let at = all.iter().position(|device| device == first)?;
            Some(&all[at + 1..])
        });
        // Burn's choice need not be in the list; it is the first of its kind.
        let others = named.or_else(|| all.first().map(|all| &all[1..]));
        found.extend(others.into_iter().flatten().cloned());
        if found.len() < count {
            return Err(RunError::Device {
                option: "devices",
                name: count.to_string(),
                reason: format!("this machine has {} from --device on", found.len()),
            });
        }
    }
    found.resize(count, first.clone());
    Ok(found)
}

/// Strategy for training on several devices. On NVIDIA's it is Burn's distributed data parallel training, which averages the
/// gradients by a collective operation; others lack such operations, and the first device sums the gradients.
pub fn together(devices: Vec<Device>) -> ExecutionStrategy {
    #[cfg(feature = "cuda")]
    if {
        let here = Device::enumerate(DeviceType::Cuda).into_vec();
        devices.iter().all(|device| here.contains(device))
    } {
        let config = DistributedConfig {
            all_reduce_op: ReduceOperation::Mean,
        };
        return ExecutionStrategy::ddp(devices, config);
    }
    ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimMainDevice)
}

/// True for devices of other machines.
pub fn is_remote(device: &Device) -> bool {
    #[cfg(feature = "remote")]
    if remote::url(device).is_some() {
        return true;
    }
    let _ = device;
    false
}

/// A device as text, for messages and reports.
pub fn describe(device: &Device) -> String {
    #[cfg(feature = "remote")]
    if let Some(url) = remote::url(device) {
        return format!("Remote({url})");
    }
    let text = format!("{device:?}");
    let inner = text.strip_prefix("Device<");
    let inner = inner.and_then(|text| text.strip_suffix('>'));
    inner.unwrap_or(&text).to_owned()
}

/// Devices as text: of this machine, which are of one kind, the first and their number.
pub fn describe_all(devices: &[Device]) -> String {
    let mut kinds: Vec<(&Device, usize)> = Vec::new();
    for device in devices {
        let alike = |other| device == other || !(is_remote(device) || is_remote(other));
        match kinds.iter_mut().find(|(other, _)| alike(*other)) {
            Some((_, count)) => *count += 1,
            None => kinds.push((device, 1)),
        }
    }
    let kinds = kinds.into_iter().map(|(kind, count)| match count {
        1 => describe(kind),
        _ => format!("{count} x {}", describe(kind)),
    });
    kinds.collect::<Vec<_>>().join(" and ")
}

/// Devices of other machines.
#[cfg(feature = "remote")]
mod remote {
    use std::fs;
    use std::path::Path;
    use std::sync::{LazyLock, RwLock};

    use burn::tensor::Device;

    use crate::RunError;

    /// The variable with the name of the file with the token of servers.
    const TOKEN_FILE: &str = "SYNFIRE_TOKEN_FILE";

    /// The devices with their addresses, for messages.
    static CONNECTED: LazyLock<RwLock<Vec<(Device, String)>>> = LazyLock::new(RwLock::default);

    /// The device at `ws://host:port` or `ws://host:port/number`.
    pub fn connect(url: &str) -> Result<Device, String> {
        let expected = || format!("`{url}`, expected ws://host:port or ws://host:port/number");
        let authority = url.strip_prefix("ws://").ok_or_else(expected)?;
        let (authority, number) = match authority.split_once('/') {
            Some((authority, number)) if !number.is_empty() => (authority, number),
            Some((authority, _)) => (authority, "0"),
            None => (authority, "0"),
        };
        let number: usize = number.parse().map_err(|_| expected())?;
        let (_, port) = authority.rsplit_once(':').ok_or_else(expected)?;
        port.parse::<u16>().map_err(|_| expected())?;
        let token = match std::env::var_os(TOKEN_FILE) {
            Some(file) => {
                let error = |error| format!("{TOKEN_FILE}: {error}");
                read_token(file.as_ref()).map_err(error)?
            }
            None => String::new(),
        };
        let device = synfire::remote::connect(&format!("ws://{authority}"), &token, number);
        let device = device.map_err(|error| error.to_string())?;
        let mut all = CONNECTED.write().expect("nothing panics while it is held");
        if !all.iter().any(|(other, _)| *other == device) {
            all.push((device.clone(), url.to_owned()));
        }
        Ok(device)
    }

    /// The token in a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read_token(file: &Path) -> Result<String, RunError> {
        let token = fs::read_to_string(file).map_err(RunError::io(file))?;
        Ok(token.trim().to_owned())
    }

    /// The address of a device.
    pub fn url(device: &Device) -> Option<String> {
        let all = CONNECTED.read().expect("nothing panics while it is held");
        let inner = device.clone().inner();
        let found = all.iter().find(|(other, _)| *other == inner);
        found.map(|(_, url)| url.clone())
    }
}

#[cfg(feature = "remote")]
pub use remote::read_token;
#[cfg(feature = "remote")]
pub(crate) use remote::url as remote_url;

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

    #[test]
    fn the_processor_counts_as_many() {
        let flex = Device::flex();
        for count in [1, 2] {
            assert_eq!(devices(&flex, count).unwrap(), vec![flex.clone(); count]);
        }
    }
}
