//! The devices of this build and machine.

use std::sync::Once;

use burn::tensor::Device;

use crate::say;

/// Every CPU backend of this build and, with the feature of one, a GPU or what stands in for one. Prints, the first time,
/// what is left out and why.
pub fn all() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("flex", Device::flex())];
    let mut skipped: Vec<String> = Vec::new();

    #[cfg(feature = "ndarray")]
    {
        // Burn is retiring this backend; Synfire supports it as long as Burn ships it.
        #[allow(deprecated)]
        let ndarray = Device::ndarray();
        devices.push(("ndarray", ndarray));
    }
    #[cfg(not(feature = "ndarray"))]
    skipped.push("ndarray, not built with --features ndarray".to_owned());

    let gpus = on_gpus();
    if gpus.is_empty() {
        let none = "GPUs, not built with --features wgpu, vulkan, metal, cuda or rocm";
        skipped.push(none.to_owned());
    }
    for (name, device) in gpus {
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

/// The first device of each GPU backend of this build, where there is one.
pub fn on_gpus() -> Vec<(&'static str, Option<Device>)> {
    let first = |kind| Device::enumerate(kind).into_vec().into_iter().next();
    let gpus = synfire_examples::gpus().into_iter();
    gpus.map(|(name, kind)| (name, first(kind))).collect()
}
