//! Networks with a counterpart in SpikingJelly.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;

use super::pytorch::{ImportError, Library, Names, export, import};
use crate::network::{Architecture, init};

/// A network whose weights are read and written under the names of the same network in
/// [SpikingJelly](https://github.com/fangwei123456/spikingjelly).
///
/// ```
/// use burn::tensor::Device;
/// use synfire_models::{SewResNet, SewResNetConfig, SpikingJelly};
///
/// let device = Device::default();
/// let config = SewResNetConfig::resnet18().with_width(4).with_classes(10);
/// let network = config.init(&device)?;
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("sew_resnet18.safetensors");
/// network.save_spikingjelly(&path)?;
/// let loaded = SewResNet::from_spikingjelly(&config, &path, &device)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SpikingJelly: Module {
    /// Names of its modules in SpikingJelly.
    fn names(&self) -> Names;

    /// Creates the network with the weights of a `state_dict` file (`.pt`, `.pth` or `.safetensors`). The configuration defines
    /// the neurons: a file does not describe them.
    ///
    /// # Errors
    ///
    /// If the configuration is invalid, the file cannot be read, or a tensor is missing, unused, mis-shaped or not finite; the
    /// error lists all problems.
    fn from_spikingjelly<A: Architecture<Network = Self>>(
        config: &A,
        path: impl AsRef<Path>,
        device: &Device,
    ) -> Result<Self, ImportError> {
        let mut network = init(config, device)?;
        let names = network.names();
        import(&mut network, &names, Library::SpikingJelly, path)?;
        Ok(network)
    }

    /// Writes the weights as a safetensors file, see [`export`].
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    fn save_spikingjelly(&self, path: impl AsRef<Path>) -> Result<(), ImportError> {
        export(self, &self.names(), Library::SpikingJelly, path)
    }
}
