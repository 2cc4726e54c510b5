//! Weights into networks, with everything that does not fit named at once.

use std::io;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::{FloatCastAdapter, SafetensorsStore};
use burn::tensor::{DType, Device, Tensor};
use synfire::InvalidConfig;

use crate::{Network, NetworkConfig};

/// Why a network could not take its weights.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// The weights are not those of such a network, or no safetensors at all.
    #[error("{0}")]
    Weights(String),
}

/// Creates a network with the weights of a safetensors file, in whatever precision it has them.
///
/// # Errors
///
/// If the configuration is invalid, or weights are missing, too many, of another shape or not finite; the error lists
/// them all.
pub fn load_network(
    config: &NetworkConfig,
    safetensors: Vec<u8>,
    device: &Device,
) -> Result<Network, LoadError> {
    let mut network = config.init(device)?;
    // All that is wrong is told below, not only the first of it.
    let mut store = SafetensorsStore::from_bytes(Some(safetensors))
        .with_from_adapter(FloatCastAdapter::to(DType::F32))
        .allow_partial(true)
        .validate(false);
    let applied = network
        .load_from(&mut store)
        .map_err(|error| LoadError::Weights(error.to_string()))?;
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

/// An error unless a path is that of an ordinary file, or of a link to one. To open a pipe may wait forever.
pub(crate) fn regular(path: &Path) -> io::Result<()> {
    match path.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not a regular file",
        )),
    }
}

/// The number of parameters that a module learns: all but what batch normalisations remember, which Burn counts as well.
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::Device;
/// use synfire_models::{PlifNetConfig, learned_parameters};
///
/// let network = PlifNetConfig::small().init(&Device::default())?;
/// // Mean and variance of 8 channels, twice.
/// assert_eq!(network.num_params() - learned_parameters(&network), 2 * 2 * 8);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub fn learned_parameters<M: Module>(module: &M) -> usize {
    Count::of(module).learned
}

/// The number of all parameters, of weights that may never have been made: at most `usize::MAX`.
pub(crate) fn all_parameters<M: Module>(module: &M) -> usize {
    Count::of(module).all
}

#[derive(Default)]
struct Count {
    path: Vec<String>,
    learned: usize,
    all: usize,
}

impl Count {
    fn of<M: Module>(module: &M) -> Self {
        let mut count = Self::default();
        module.visit(&mut count);
        count
    }
}

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let shape = parameter.lazy_shape();
        let elements = shape
            .iter()
            .fold(1usize, |all, size| all.saturating_mul(*size));
        self.all = self.all.saturating_add(elements);
        if !self.path.iter().any(|name| name.starts_with("running_")) {
            self.learned = self.learned.saturating_add(elements);
        }
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

/// The path of the first parameter of a module that has a NaN or an infinity.
pub fn not_finite<M: Module>(module: &M) -> Option<String> {
    #[derive(Default)]
    struct Search {
        path: Vec<String>,
        found: Option<String>,
    }

    impl ModuleVisitor for Search {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            // Weights that nobody has looked at yet are still to be drawn.
            if self.found.is_some() || !parameter.is_initialized() {
                return;
            }
            let data = parameter.val().into_data();
            if data.iter::<f32>().any(|x| !x.is_finite()) {
                self.found = Some(self.path.join("."));
            }
        }

        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
    }

    let mut search = Search::default();
    module.visit(&mut search);
    search.found
}
