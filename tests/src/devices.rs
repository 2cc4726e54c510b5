//! The devices of this build and machine.

use burn::tensor::Device;

use crate::say;

/// Every CPU backend of this build and, with the feature `wgpu`, a GPU or what stands in for one. Prints why one is
/// left out.
pub fn all() -> Vec<(&'static str, Device)> {
    let mut devices = vec![("flex", Device::flex())];
    #[cfg(feature = "ndarray")]
    {
        #[allow(deprecated)]
        // Burn is retiring this backend; Synfire supports it as long as Burn ships it.
        let ndarray = Device::ndarray();
        devices.push(("ndarray", ndarray));
    }
    #[cfg(not(feature = "ndarray"))]
    say("skipped: ndarray, not built with --features ndarray");

    #[cfg(feature = "wgpu")]
    match Device::enumerate(burn::tensor::DeviceType::Wgpu)
        .into_vec()
        .into_iter()
        .next()
    {
        Some(device) => devices.push(("wgpu", device)),
        None => say("skipped: wgpu, this machine has no device for it"),
    }
    #[cfg(not(feature = "wgpu"))]
    say("skipped: wgpu, not built with --features wgpu");
    devices
}
