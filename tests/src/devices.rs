//! The devices of this build and machine.

use std::sync::Once;

use burn::tensor::Device;
use synfire::ops::is_cubecl;
use synfire_train::{gpus, processors};

use crate::say;

/// One device of every backend of this build, `flex` first, GPUs or what stands in for one among them. Prints, the first
/// time, what is left out and why.
pub fn all() -> Vec<(&'static str, Device)> {
    let mut skipped: Vec<String> = Vec::new();
    #[cfg(not(feature = "ndarray"))]
    skipped.push("ndarray, not built with --features ndarray".to_owned());
    #[cfg(not(feature = "cpu"))]
    skipped.push("cpu, not built with --features cpu".to_owned());
    if gpus().is_empty() {
        let none = "GPUs, not built with --features wgpu, vulkan, metal, cuda or rocm";
        skipped.push(none.to_owned());
    }
    let mut devices = Vec::new();
    for (name, device) in of_backends() {
        match device {
            Some(device) => devices.push((name, device)),
            None => skipped.push(format!("{name}, this machine has no device for it")),
        }
    }

    static SAID: Once = Once::new();
    SAID.call_once(|| {
        for reason in skipped.drain(..) {
            say(&format!("skipped: {reason}"));
        }
    });
    devices
}

/// Those of them whose kernels are CubeCL's.
pub fn on_cubecl() -> Vec<(&'static str, Device)> {
    let devices = all().into_iter();
    devices.filter(|(_, device)| is_cubecl(device)).collect()
}

fn of_backends() -> impl Iterator<Item = (&'static str, Option<Device>)> {
    let first = |kind| Device::enumerate(kind).into_vec().into_iter().next();
    let backends = processors().into_iter().chain(gpus());
    backends.map(move |(name, kind)| (name, first(kind)))
}
