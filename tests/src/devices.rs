//! The devices of this build and machine.

use std::sync::Once;

use burn::tensor::Device;

use crate::say;

/// Every CPU backend of this build and, with the feature `wgpu`, a GPU or what stands in for one. Prints, the first
/// time, what is left out and why.
pub fn all() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("flex", Device::flex())];
    let mut skipped: Vec<&str> = Vec::new();

    #[cfg(feature = "ndarray")]
    {
        // Burn is retiring this backend; Synfire supports it as long as Burn ships it.
        #[allow(deprecated)]
        let ndarray = Device::ndarray();
        devices.push(("ndarray", ndarray));
    }
    #[cfg(not(feature = "ndarray"))]
    skipped.push("ndarray, not built with --features ndarray");

    #[cfg(feature = "wgpu")]
    match Device::enumerate(burn::tensor::DeviceType::Wgpu)
        .into_vec()
        .into_iter()
        .next()
    {
        Some(device) => devices.push(("wgpu", device)),
        None => skipped.push("wgpu, this machine has no device for it"),
    }
    #[cfg(not(feature = "wgpu"))]
    skipped.push("wgpu, not built with --features wgpu");

    static SAID: Once = Once::new();
    SAID.call_once(|| {
        for reason in skipped.drain(..) {
            say(&format!("skipped: {reason}"));
        }
    });
    devices
}
