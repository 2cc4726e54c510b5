//! Saves and loads weights of networks. Errors list all mismatches at once.

use std::fmt::Display;
use std::fs::Metadata;
use std::io::{self, Write};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::{FloatCastAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synfire::InvalidConfig;

use crate::{AnyNetwork, NetworkConfig};

/// Errors of loading weights.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// The weights do not fit the network, or are no safetensors.
    #[error("{0}")]
    Weights(String),
}

fn unusable(error: impl Display) -> LoadError {
    LoadError::Weights(error.to_string())
}

/// The format of weight files and cards. In format 1, paths of the fully connected layers of the STBP networks lacked the
/// segment `classifier`.
pub const FORMAT: u32 = 2;

/// The header entry of a safetensors file that describes its weights.
const HEADER: &str = "synfire";

/// Description of the weights in the header of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightsHeader {
    /// The [format](FORMAT).
    pub format: u32,
    /// The network.
    pub network: NetworkConfig,
}

impl WeightsHeader {
    /// Reads the header from the bytes of a file. `None` if there is none, as in files of format 1.
    ///
    /// # Errors
    ///
    /// If the bytes are no safetensors, or the entry is damaged.
    pub fn read(safetensors: &[u8]) -> Result<Option<Self>, LoadError> {
        let (_, header) = SafeTensors::read_metadata(safetensors).map_err(unusable)?;
        let Some(entry) = header.metadata().as_ref().and_then(|all| all.get(HEADER)) else {
            return Ok(None);
        };
        // In format 1 it was the configuration of the network, or the name of the weights.
        let entry = serde_json::from_str(entry).ok();
        let Some(entry) = entry.filter(|entry: &Value| entry.get("format").is_some()) else {
            return Ok(None);
        };
        let header = serde_json::from_value(entry);
        header
            .map(Some)
            .map_err(|error| unusable(format!("the header: {error}")))
    }
}

/// The bytes of a safetensors file with the weights of a network in this precision, and with a [header](WeightsHeader).
///
/// # Errors
///
/// If a tensor cannot be read from its device.
pub fn save_network(
    network: &AnyNetwork,
    config: &NetworkConfig,
    precision: DType,
) -> Result<Vec<u8>, LoadError> {
    let header = WeightsHeader {
        format: FORMAT,
        network: config.clone(),
    };
    let header = serde_json::to_string(&header).map_err(unusable)?;
    // A single entry, as several have no fixed order: the same weights must give the same file.
    let mut store = SafetensorsStore::from_bytes(None)
        .clear_metadata()
        .metadata(HEADER, header)
        .with_to_adapter(FloatCastAdapter::to(precision));
    network
        .save_into(&mut store)
        .and_then(|()| store.get_bytes())
        .map_err(unusable)
}

/// Creates a network with the weights of a safetensors file of any precision.
///
/// # Errors
///
/// If the configuration is invalid, or tensors are missing, unused, mis-shaped or not finite; the error lists all of
/// them.
pub fn load_network(
    config: &NetworkConfig,
    safetensors: Vec<u8>,
    device: &Device,
) -> Result<AnyNetwork, LoadError> {
    let mut network = config.init(device)?;
    let format = match WeightsHeader::read(&safetensors)? {
        Some(header) => header.format,
        None => guess_format(&safetensors)?,
    };
    if format > FORMAT {
        let reason = format!("they are of format {format}, which is newer than {FORMAT}");
        return Err(LoadError::Weights(reason));
    }
    // The checks below report all problems, not only the first.
    let mut store = SafetensorsStore::from_bytes(Some(safetensors))
        .with_from_adapter(FloatCastAdapter::to(DType::F32))
        .allow_partial(true)
        .validate(false);
    if format == 1 {
        for (from, to) in config.renamed() {
            store = store.with_key_remapping(*from, *to);
        }
    }
    let applied = network.load_from(&mut store).map_err(unusable)?;
    let mut wrong: Vec<String> = applied.errors.iter().map(ToString::to_string).collect();
    let missing = applied.missing.iter();
    wrong.extend(missing.map(|(name, _)| format!("`{name}` is missing")));
    let unused = applied.unused.iter();
    wrong.extend(unused.map(|name| format!("`{name}` is not of this network")));
    if let Some(name) = not_finite(&network) {
        wrong.push(format!("`{name}` is not finite"));
    }
    match wrong.is_empty() {
        true => Ok(network),
        false => Err(LoadError::Weights(wrong.join("; "))),
    }
}

/// Copies the parameters that both networks have. Those that only the second one has keep their values.
///
/// # Errors
///
/// If a parameter has another shape there; the error lists all of them.
pub fn copy_weights(from: &AnyNetwork, to: &mut AnyNetwork) -> Result<(), LoadError> {
    let applied = to.apply(from.collect(None, None, false), None, None, false);
    let errors: Vec<_> = applied.errors.iter().map(ToString::to_string).collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(LoadError::Weights(errors.join("; "))),
    }
}

/// Guesses the format of a file without a header. From format 2 on every network has a `classifier`.
fn guess_format(safetensors: &[u8]) -> Result<u32, LoadError> {
    let tensors = SafeTensors::deserialize(safetensors).map_err(unusable)?;
    let names = tensors.names();
    let named = names.iter().any(|name| name.starts_with("classifier."));
    Ok(if named { 2 } else { 1 })
}

/// The metadata of a regular file or a link to one; an error for other paths. Opening a pipe may block forever.
#[doc(hidden)]
pub fn regular(path: &Path) -> io::Result<Metadata> {
    let metadata = path.metadata()?;
    match metadata.is_file() {
        true => Ok(metadata),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not a regular file",
        )),
    }
}

/// Writes a file, completely or not at all.
#[doc(hidden)]
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".synfire-").suffix(".part");
    // The permissions of an ordinary file, not of a temporary one.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The number of learned parameters of a module. It excludes running statistics of normalisations, which Burn counts.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::Device;
/// use synfire_models::{Architecture, PlifNetConfig, learned_parameters};
///
/// let network = PlifNetConfig::small().init(&Device::default())?;
/// // Mean and variance of 8 channels, twice.
/// assert_eq!(network.num_params() - learned_parameters(&network), 2 * 2 * 8);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub fn learned_parameters<M: Module>(module: &M) -> usize {
    let is_remembered = |name: &String| name.starts_with("running_");
    count_parameters(module, |path| !path.iter().any(is_remembered))
}

/// The number of parameters at the paths that count, without initialising them: at most `usize::MAX`.
pub(crate) fn count_parameters<M: Module>(module: &M, counts: impl Fn(&[String]) -> bool) -> usize {
    let mut count: usize = 0;
    for_each_parameter(module, |path, shape, _| {
        if counts(path) {
            let elements = shape.iter().copied().fold(1, usize::saturating_mul);
            count = count.saturating_add(elements);
        }
    });
    count
}

/// The path of the first parameter of a module that has a NaN or an infinity.
pub fn not_finite<M: Module>(module: &M) -> Option<String> {
    let has_others = |data: TensorData| data.iter::<f32>().any(|x| !x.is_finite());
    let mut found = None;
    for_each_parameter(module, |path, _, data| {
        if found.is_none() && data().is_some_and(has_others) {
            found = Some(path.join("."));
        }
    });
    found
}

/// Calls a function with the path of every parameter of a module, its shape, and a reader of its data. Lazy parameters that
/// are not initialised yet have no data.
fn for_each_parameter<M: Module>(
    module: &M,
    each: impl FnMut(&[String], Shape, &dyn Fn() -> Option<TensorData>),
) {
    struct Walk<F> {
        path: Vec<String>,
        each: F,
    }

    impl<F> ModuleVisitor for Walk<F>
    where
        F: FnMut(&[String], Shape, &dyn Fn() -> Option<TensorData>),
    {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let initialized = parameter.is_initialized();
            let read = || initialized.then(|| parameter.val().into_data());
            (self.each)(&self.path, parameter.lazy_shape(), &read);
        }

        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
    }

    let path = Vec::new();
    module.visit(&mut Walk { path, each });
}
