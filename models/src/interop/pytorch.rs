//! Weights of PyTorch libraries: read from their files, and written under their names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::store::{ModuleSnapshot, ModuleStore, PytorchStore, SafetensorsStore, bridge};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use crate::load::{regular, write_atomically};

/// A PyTorch library, which defines names and shapes of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Library {
    /// [SpikingJelly](https://github.com/fangwei123456/spikingjelly), 2.0.0.
    SpikingJelly,
    /// [snnTorch](https://github.com/jeshraghian/snntorch), 1.0.0. It saves all decays and thresholds; import ignores those that
    /// are not learned here: the configuration must have the same values.
    SnnTorch,
    /// [Norse](https://github.com/norse/norse), 1.1.0, whose neurons save no parameters. Its recurrent cells hold weights as
    /// tensors of their own, `input_weights` and `recurrent_weights`: see [`Names::tensor`].
    Norse,
    /// [Sinabs](https://github.com/synsense/sinabs), 3.1.3. It saves thresholds, time constants and potentials; import ignores
    /// those that are not learned here: decays (`train_alphas=True`) and thresholds.
    Sinabs,
}

impl Library {
    /// Name of a neuron's parameter in the library.
    fn neuron_field(self, field: &str) -> &str {
        match (self, field) {
            (Self::SpikingJelly, "decay") => "w",
            (Self::SpikingJelly, "slope") => "k",
            // Parameters of gated neurons.
            (Self::SpikingJelly, "leak") => "linear_decay",
            (Self::SpikingJelly, "subtracted") => "v_subreset",
            (Self::SpikingJelly, "conductance") => "conduct",
            (Self::Sinabs, "decay") => "alpha_mem",
            (Self::Sinabs, "synapse_decay") => "alpha_syn",
            (Self::Sinabs, "threshold") => "spike_threshold",
            (Self::SnnTorch, "decay" | "decay_inhibitory") => "beta",
            (Self::SnnTorch, "synapse_decay" | "decay_excitatory") => "alpha",
            (_, field) => field,
        }
    }

    /// True if the library saves this entry, which has no counterpart here.
    fn ignores(self, leaf: &str) -> bool {
        match self {
            // The others follow from the configuration of a masked parallel neuron.
            Self::SpikingJelly => {
                matches!(leaf, "num_batches_tracked" | "_lambda_" | "mask0" | "mask1")
            }
            Self::Norse => leaf == "num_batches_tracked",
            Self::Sinabs => matches!(
                leaf,
                "num_batches_tracked"
                    | "spike_threshold"
                    | "tau_mem"
                    | "tau_syn"
                    | "tau_adapt"
                    | "alpha_mem"
                    | "alpha_syn"
                    | "v_mem"
                    | "i_syn"
            ),
            Self::SnnTorch => matches!(
                leaf,
                "num_batches_tracked"
                    | "alpha"
                    | "beta"
                    | "threshold"
                    | "graded_spikes_factor"
                    | "reset_mechanism_val"
                    | "mem"
                    | "syn"
                    | "spk"
            ),
        }
    }
}

/// Names of modules in the library: maps the path of a module here to its key there. Both are prefixes of the names of
/// parameters.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use synfire::layer::SpikeLinear;
/// use synfire_models::{Library, Names, export, import};
///
/// #[derive(Module, Debug)]
/// struct Network {
///     layers: Vec<SpikeLinear>,
/// }
///
/// let device = Device::default();
/// let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device).into();
/// let network = Network { layers: vec![linear(4, 3), linear(3, 2)] };
/// let mut names = Names::new();
/// names.module("layers.0", "fc1").module("layers.1", "fc2");
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("network.safetensors");
/// export(&network, &names, Library::SnnTorch, &path)?;
/// let mut other = network.clone();
/// import(&mut other, &names, Library::SnnTorch, &path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    modules: BTreeMap<String, String>,
    /// The keys there of single tensors here.
    tensors: BTreeMap<String, String>,
    /// The rank there of weights of modules here, where it is another.
    ranks: BTreeMap<String, usize>,
    /// The keys there of modules that have no counterpart here.
    ignored: BTreeSet<String>,
}

impl Names {
    /// No names. Modules without a name keep their path.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps the module at a path here to a key there.
    pub fn module(&mut self, here: &str, there: &str) -> &mut Self {
        self.modules.insert(here.to_owned(), there.to_owned());
        self
    }

    /// Maps a single tensor here to a key there: `names.tensor("hidden.weight", "lif.input_weights")`.
    pub fn tensor(&mut self, here: &str, there: &str) -> &mut Self {
        self.tensors.insert(here.to_owned(), there.to_owned());
        self
    }

    /// Maps the convolution and the normalisation of a [block](crate::block::ConvNorm) here to keys there.
    pub fn conv_norm(&mut self, here: &str, there: [impl AsRef<str>; 2]) -> &mut Self {
        let [conv, norm] = there.each_ref().map(AsRef::as_ref);
        self.module(&format!("{here}.conv"), conv)
            .module(&format!("{here}.norm"), norm)
    }

    /// Maps the convolution, the normalisation and the neurons of a [block](crate::block::ConvBlock) here to keys there.
    pub fn conv_block(&mut self, here: &str, there: [impl AsRef<str>; 3]) -> &mut Self {
        let [conv, norm, neuron] = there;
        self.conv_norm(here, [conv, norm])
            .module(&format!("{here}.neuron"), neuron.as_ref())
    }

    /// Declares the 1x1 convolution of a [block](crate::block::ConvBlock) here to be one-dimensional there: one for sequences of
    /// tokens.
    pub fn one_dimensional(&mut self, here: &str) -> &mut Self {
        self.rank(&format!("{here}.conv"), 3)
    }

    /// Declares the weights of a convolution or linear layer here to have another rank there, from 2 to 5: with more or fewer axes of
    /// length 1 at the end.
    ///
    /// # Panics
    ///
    /// If the rank is another.
    pub fn rank(&mut self, here: &str, rank: usize) -> &mut Self {
        assert!((2..=5).contains(&rank), "Names: a rank of {rank}");
        self.ranks.insert(here.to_owned(), rank);
        self
    }

    /// Ignores a module or tensor there that has no counterpart here.
    pub fn ignore(&mut self, there: &str) -> &mut Self {
        self.ignored.insert(there.to_owned());
        self
    }

    /// True if the tensor of this key, or a module that it is in, is ignored.
    fn ignores(&self, key: &str) -> bool {
        let modules = key.match_indices('.').map(|(end, _)| &key[..end]);
        modules.chain([key]).any(|key| self.ignored.contains(key))
    }

    /// Starts a numbered list there (PyTorch's `Sequential`).
    pub(crate) fn list(self, key: &str) -> List {
        List {
            names: self,
            key: key.to_owned(),
            next: 0,
        }
    }

    /// The key of the longest named module that is a prefix of a path, and the rest of the path.
    fn find<'a>(&'a self, path: &'a str) -> (String, &'a str) {
        for (end, _) in path.rmatch_indices('.') {
            if let Some(there) = self.modules.get(&path[..end]) {
                return (format!("{there}."), &path[end + 1..]);
            }
        }
        (String::new(), path)
    }
}

/// The entries of a list, in their order.
#[derive(Debug)]
pub(crate) struct List {
    names: Names,
    key: String,
    next: usize,
}

impl List {
    /// Maps this module to the next entry.
    pub fn next(&mut self, here: &str) {
        let there = format!("{}.{}", self.key, self.next);
        self.names.module(here, &there);
        self.next += 1;
    }

    /// Skips an entry without parameters.
    pub fn skip(&mut self, _what: &str) {
        self.next += 1;
    }

    /// Maps the modules of a block to the next entries.
    pub fn block(&mut self, here: &str, block: &crate::block::ConvBlock) {
        self.next(&format!("{here}.conv"));
        if block.norm.is_some() {
            self.next(&format!("{here}.norm"));
        }
        self.next(&format!("{here}.neuron"));
        if block.pool.is_some() {
            self.skip("pool");
        }
    }

    /// All names, including those of the list.
    pub fn done(self) -> Names {
        self.names
    }
}

/// Errors of import and export.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file could not be read, or holds no weights.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The file has an unknown extension.
    #[error("{}: expected a file that ends in {expected}", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
        /// The known extensions.
        expected: &'static str,
    },
    /// The weights do not fit the module. The error lists all problems.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Tensors that are missing, unused, mis-shaped or not finite.
        problems: Vec<String>,
    },
    /// The configuration is invalid.
    #[error(transparent)]
    Invalid(#[from] synfire::InvalidConfig),
    /// The file could not be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
}

/// Layout of a tensor there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    /// The same as here.
    Same,
    /// Transposed.
    Transposed,
    /// The same as here, except for axes of length 1.
    AnyOnes,
    /// Flat here, of any shape there.
    Row,
}

/// A tensor of a module.
#[derive(Debug)]
struct Entry {
    /// Its path here.
    here: String,
    /// Its key there.
    there: String,
    shape: Vec<usize>,
    layout: Layout,
    /// The rank there, if it is another.
    rank: Option<usize>,
    data: Option<TensorData>,
}

/// All floating-point tensors of a module.
struct Entries<'a> {
    names: &'a Names,
    library: Library,
    with_data: bool,
    path: Vec<String>,
    containers: Vec<String>,
    /// Paths of named modules not visited yet.
    unknown: BTreeSet<&'a str>,
    found: Vec<Entry>,
}

impl<'a> Entries<'a> {
    /// The tensors of a module, and problems with their names.
    fn of<M: Module>(
        module: &M,
        names: &'a Names,
        library: Library,
        with_data: bool,
    ) -> (Vec<Entry>, Vec<String>) {
        let mut entries = Entries {
            names,
            library,
            with_data,
            path: Vec::new(),
            containers: Vec::new(),
            unknown: {
                let paths = names.modules.keys().chain(names.ranks.keys());
                paths
                    .chain(names.tensors.keys())
                    .map(String::as_str)
                    .collect()
            },
            found: Vec::new(),
        };
        module.visit(&mut entries);
        let mut keys = BTreeSet::new();
        let twice = entries.found.iter();
        let twice = twice.filter(|entry| !keys.insert(&entry.there));
        let twice = twice.map(|entry| format!("two tensors are called `{}`", entry.there));
        let unknown = entries.unknown.into_iter();
        let unknown =
            unknown.map(|path| format!("`{path}` is not a tensor or module of this network"));
        let problems = twice.chain(unknown).collect();
        (entries.found, problems)
    }

    /// The key and the layout there of the visited tensor.
    fn there(&self, here: &str) -> (String, Layout) {
        let (key, layout) = self.by_module(here);
        (self.names.tensors.get(here).cloned().unwrap_or(key), layout)
    }

    /// The same by the names of modules alone.
    fn by_module(&self, here: &str) -> (String, Layout) {
        let (module, rest) = self.names.find(here);
        let container = |above: usize| {
            let at = self.containers.len().checked_sub(1 + above);
            let name = at.map_or("", |at| self.containers[at].as_str());
            name.strip_prefix("Struct:").unwrap_or(name)
        };
        let segments: Vec<_> = rest.split('.').collect();
        let last = segments[segments.len() - 1];
        // Replaces a number of segments at the end by the key.
        let key = |instead_of: usize, leaf: &str| {
            let kept = &segments[..segments.len().saturating_sub(instead_of)];
            format!("{module}{}", [kept, &[leaf]].concat().join("."))
        };
        let neuron = |field: &str| self.library.neuron_field(field).to_owned();
        match (container(0), last) {
            ("Linear" | "SpikeLinear", "weight") => (key(1, last), Layout::Transposed),
            ("BatchNorm" | "StepNorm", _) => {
                let leaf = match last {
                    "gamma" => "weight",
                    "beta" => "bias",
                    other => other,
                };
                // A sequence layer with Burn's layer inside is a single layer there.
                let inside = matches!(container(1), "SeqBatchNorm" | "TdBatchNorm" | "TeBatchNorm");
                (key(1 + usize::from(inside), leaf), Layout::Same)
            }
            // `decay.parameter` and the like.
            ("Coefficient", _) => {
                let field = segments.iter().nth_back(1).unwrap_or(&last);
                (key(2, &neuron(field)), Layout::Row)
            }
            // A module here, a tensor there.
            ("RunningRate", _) if !module.is_empty() => {
                (module.trim_end_matches('.').to_owned(), Layout::Same)
            }
            ("Psn" | "MaskedPsn" | "SlidingPsn", _) => (key(1, last), Layout::AnyOnes),
            ("GatedLif", "decay") => (key(1, "tau"), Layout::AnyOnes),
            ("GatedLif", "threshold") => (key(1, "v_threshold"), Layout::AnyOnes),
            ("GatedLif", _) => (key(1, &neuron(last)), Layout::AnyOnes),
            _ => (key(1, last), Layout::Same),
        }
    }
}

impl ModuleVisitor for Entries<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let here = self.path.join(".");
        self.unknown.remove(here.as_str());
        let (there, layout) = self.there(&here);
        let module = here.strip_suffix(".weight");
        let rank = module.and_then(|module| self.names.ranks.get(module).copied());
        self.found.push(Entry {
            here,
            there,
            shape: parameter.lazy_shape().to_vec(),
            layout,
            rank,
            data: self.with_data.then(|| parameter.val().into_data()),
        });
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
        self.unknown.remove(self.path.join(".").as_str());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
        self.containers.pop();
    }
}

impl Entry {
    /// The shape of the tensor there.
    fn shape_there(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if self.layout == Layout::Transposed {
            shape.reverse();
        }
        let rank = self.rank.unwrap_or(shape.len());
        // What is not 1 stays, and is a mismatch.
        while shape.len() > rank && shape.last() == Some(&1) {
            shape.pop();
        }
        shape.resize(shape.len().max(rank), 1);
        shape
    }

    /// True if a tensor of this shape fits.
    fn takes(&self, shape: &[usize]) -> bool {
        let without_ones = |shape: &[usize]| -> Vec<usize> {
            shape.iter().copied().filter(|size| *size != 1).collect()
        };
        match self.layout {
            Layout::AnyOnes => without_ones(shape) == without_ones(&self.shape),
            Layout::Row => shape.iter().product::<usize>() == self.shape.iter().product::<usize>(),
            Layout::Same | Layout::Transposed => shape == self.shape_there(),
        }
    }

    /// Converts values in single precision between the layouts here and there.
    fn turned(&self, data: TensorData) -> TensorData {
        match self.layout {
            Layout::Transposed => {
                // Without axes of length 1 at the end.
                let shape = data.shape().to_vec();
                let data = TensorData::new(data.iter::<f32>().collect(), [shape[0], shape[1]]);
                let matrix = Tensor::<2>::from_data(data, (&Device::flex(), DType::F32));
                matrix.transpose().into_data()
            }
            Layout::Same | Layout::AnyOnes | Layout::Row => data,
        }
    }

    /// Converts a tensor of the library to the layout here.
    fn read(&self, data: TensorData) -> Result<TensorData, String> {
        let data = data.convert_dtype(DType::F32);
        if data.iter::<f32>().any(|value| !value.is_finite()) {
            return Err(format!("`{}` is not finite", self.there));
        }
        let values: Vec<f32> = self.turned(data).iter::<f32>().collect();
        Ok(TensorData::new(values, self.shape.clone()))
    }

    /// The bytes of the tensor in the layout there.
    fn write(&self) -> Vec<u8> {
        let data = self.data.clone().expect("it was asked for");
        let values = self.turned(data.convert_dtype(DType::F32));
        values.iter::<f32>().flat_map(f32::to_le_bytes).collect()
    }
}

/// The advice for a file with a whole module, which only the program that wrote it can read.
const MODULE: &str =
    "a pickled module, not its weights: in Python, load it and save `model.state_dict()`";

/// True if a module is pickled in the file, with the fields that each of PyTorch's modules has.
fn is_module(path: &Path) -> bool {
    has(path, b"_parameters") && has(path, b"_non_persistent_buffers_set")
}

/// True if a file has these bytes somewhere.
fn has(path: &Path, field: &[u8]) -> bool {
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    // The end of a block may be the start of the field.
    let mut block = Vec::new();
    loop {
        let kept = block.len().min(field.len() - 1);
        block.drain(..block.len() - kept);
        match file.by_ref().take(1 << 16).read_to_end(&mut block) {
            Err(_) | Ok(0) => return false,
            Ok(_) if block.windows(field.len()).any(|window| window == field) => return true,
            Ok(_) => {}
        }
    }
}

/// All tensors of a file.
fn read(path: &Path, expected: &[Entry]) -> Result<BTreeMap<String, TensorData>, ImportError> {
    let unreadable = |reason: String| ImportError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    regular(path).map_err(|error| unreadable(error.to_string()))?;
    let ending = path.extension().and_then(|ending| ending.to_str());
    let tensors = match ending {
        Some("safetensors") => {
            let mut store = SafetensorsStore::from_file(path);
            let tensors = store.get_all_tensors().cloned();
            tensors.map_err(|error| unreadable(format!("{error:?}")))?
        }
        Some("pt" | "pth") => {
            let load = |key: Option<&str>| {
                // Keeps the numbers of list entries: layers without weights leave gaps.
                let mut store = PytorchStore::from_file(path).map_indices_contiguous(false);
                if let Some(key) = key {
                    store = store.with_top_level_key(key);
                }
                store.get_all_tensors().cloned()
            };
            let fit = |tensors: &BTreeMap<String, _>| {
                expected.iter().any(|entry| {
                    let in_parallel = format!("module.{}", entry.there);
                    tensors.contains_key(&entry.there) || tensors.contains_key(&in_parallel)
                })
            };
            // Common keys of the weights in a checkpoint, after the whole file.
            let keys = ["model", "state_dict", "model_state_dict", "net"].map(Some);
            let keys = [None].into_iter().chain(keys);
            match keys.filter_map(|key| load(key).ok()).find(fit) {
                Some(tensors) => tensors,
                None if is_module(path) => return Err(unreadable(MODULE.to_owned())),
                None => load(None).map_err(|error| unreadable(format!("{error:?}")))?,
            }
        }
        _ => {
            return Err(ImportError::Ending {
                path: path.to_owned(),
                expected: ".pt, .pth or .safetensors",
            });
        }
    };
    // PyTorch's data-parallel training adds a prefix to names.
    let parallel = !tensors.is_empty()
        && tensors.keys().all(|key| key.starts_with("module."))
        && !expected
            .iter()
            .any(|entry| tensors.contains_key(&entry.there));
    tensors
        .into_iter()
        .map(|(key, tensor)| {
            let data = bridge::into_data(tensor);
            let data = data.map_err(|error| unreadable(format!("{error:?}")))?;
            let key = match parallel {
                true => key["module.".len()..].to_owned(),
                false => key,
            };
            Ok((key, data))
        })
        .collect()
}

/// Reads the weights of a module from a `state_dict` file (`.pt`, `.pth` or `.safetensors`) of any precision. On failure the
/// module is unchanged. Parameters of neurons may have any shape there, with their elements in the same order.
///
/// # Errors
///
/// If the file cannot be read, a tensor is missing, unused, mis-shaped or not finite, or a name has no module; the error
/// lists all problems.
pub fn import<M: Module>(
    module: &mut M,
    names: &Names,
    library: Library,
    path: impl AsRef<Path>,
) -> Result<(), ImportError> {
    let path = path.as_ref();
    let (entries, mut problems) = Entries::of(module, names, library, false);
    let mut tensors = read(path, &entries)?;
    let mut loaded = Vec::new();
    for entry in &entries {
        let Some(data) = tensors.remove(&entry.there) else {
            problems.push(format!("`{}` is missing", entry.there));
            continue;
        };
        let shape = data.shape().to_vec();
        if !entry.takes(&shape) {
            let (there, expected) = (&entry.there, entry.shape_there());
            problems.push(format!("`{there}` is {shape:?}, expected {expected:?}"));
            continue;
        }
        match entry.read(data) {
            Ok(data) => loaded.push(bridge::from_data(data, entry.here.clone(), None)),
            Err(problem) => problems.push(problem),
        }
    }
    let left = tensors.keys().filter(|key| {
        let leaf = key.rsplit('.').next().unwrap_or(key);
        !library.ignores(leaf) && !names.ignores(key)
    });
    problems.extend(left.map(|key| format!("`{key}` is not of this network")));
    if problems.is_empty() {
        let mut changed = module.clone();
        let applied = changed.apply(loaded, None, None, false);
        problems.extend(applied.errors.iter().map(ToString::to_string));
        let missing = applied.missing.iter();
        problems.extend(missing.map(|(name, _)| format!("`{name}` was not applied")));
        if problems.is_empty() {
            *module = changed;
            return Ok(());
        }
    }
    Err(ImportError::Mismatch {
        path: path.to_owned(),
        problems,
    })
}

/// Writes the weights of a module atomically as a safetensors file with the library's names and shapes, for
/// `load_state_dict(safetensors.torch.load_file(path), strict=False)` (not strict, as batch counters are missing).
///
/// # Errors
///
/// If the file cannot be written, or a name has no module or two.
pub fn export<M: Module>(
    module: &M,
    names: &Names,
    library: Library,
    path: impl AsRef<Path>,
) -> Result<(), ImportError> {
    let path = path.as_ref();
    let failed = |source: io::Error| ImportError::Write {
        path: path.to_owned(),
        source,
    };
    let ending = path.extension();
    if ending.is_none_or(|ending| ending != "safetensors") {
        return Err(ImportError::Ending {
            path: path.to_owned(),
            expected: ".safetensors",
        });
    }
    let (entries, problems) = Entries::of(module, names, library, true);
    if !problems.is_empty() {
        return Err(ImportError::Mismatch {
            path: path.to_owned(),
            problems,
        });
    }
    let tensors: Vec<_> = entries
        .iter()
        .map(|entry| {
            let shape = match (entry.layout, entry.shape.as_slice()) {
                // A scalar, as in both libraries.
                (Layout::AnyOnes | Layout::Row, [1]) => vec![],
                _ => entry.shape_there(),
            };
            (&entry.there, shape, entry.write())
        })
        .collect();
    let views = tensors.iter().map(|(key, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        let view = view.expect("the bytes are those of the shape");
        (key.as_str(), view)
    });
    let bytes = safetensors::serialize(views, None)
        .map_err(|error| failed(io::Error::other(error.to_string())))?;
    write_atomically(path, &bytes).map_err(failed)
}
