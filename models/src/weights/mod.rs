//! Trained weights of the zoo.
//!
//! Each is a safetensors file with a card, which describes the weights, their training run and their accuracy. The cards are
//! part of this crate; the weights are found in a folder, in the program, in the cache or on the web.

#[cfg(feature = "download")]
mod download;
mod legacy;

pub use legacy::upgrade_run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use synfire::encode::{AnyEncoder, EncoderConfig};
use synfire::metric::SynapticOperations;

use crate::load::{LoadError, load_network, regular};
use crate::{AnyNetwork, NetworkConfig};

/// Errors of trained weights.
#[derive(Debug, thiserror::Error)]
pub enum PretrainedError {
    /// There are no weights of this name.
    #[error("there are no weights `{id}`; there are: {}", known.join(", "))]
    Unknown {
        /// The name.
        id: String,
        /// The available names.
        known: Vec<&'static str>,
    },
    /// The file is in none of the folders, and there is no address to download it from.
    #[error("the weights `{id}` are in none of {}; name the folder by the variable {WEIGHTS_FOLDER}, or an address by {ADDRESS}", list(.folders))]
    NotFound {
        /// The name.
        id: String,
        /// The folders that were searched.
        folders: Vec<PathBuf>,
    },
    /// The folder in the environment variable does not exist.
    #[error("{}: the variable {WEIGHTS_FOLDER} names it, but there is no such folder", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The file could not be downloaded.
    #[error("{url}: {reason}")]
    Download {
        /// Its address.
        url: String,
        /// The cause.
        reason: String,
    },
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The file does not belong to the card.
    #[error("{}: SHA-256 is {found}, expected {expected}", path.display())]
    Checksum {
        /// The file, or its address.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
        /// SHA-256 in the card.
        expected: String,
    },
    /// A card is damaged.
    #[error("the card of `{id}`: {reason}")]
    Card {
        /// The name.
        id: String,
        /// The cause.
        reason: String,
    },
    /// The weights are not those of the network.
    #[error("the weights `{id}`: {source}")]
    Load {
        /// The name.
        id: String,
        /// The mismatch.
        source: LoadError,
    },
    /// The dataset of the weights needs no encoder.
    #[error(
        "the weights `{id}` are for {dataset}, whose recordings become frames: they have no encoder of intensities"
    )]
    NoEncoder {
        /// The name.
        id: String,
        /// The training dataset.
        dataset: String,
    },
    /// The weights are those of another architecture.
    #[error("the weights `{id}` are of a {found}")]
    Architecture {
        /// The name.
        id: String,
        /// Their architecture.
        found: &'static str,
    },
}

fn list(folders: &[PathBuf]) -> String {
    let folders = folders.iter().map(|folder| folder.display().to_string());
    folders.collect::<Vec<_>>().join(", ")
}

/// The variable that names a folder with weights.
const WEIGHTS_FOLDER: &str = "SYNFIRE_WEIGHTS";
/// The variable that names the address of weights on the web.
const ADDRESS: &str = "SYNFIRE_WEIGHTS_URL";

/// The weights inside the program.
#[cfg(feature = "embedded")]
const EMBEDDED: Option<(&str, &[u8])> = Some((
    "stbp-cnn-mnist",
    include_bytes!("../../weights/stbp-cnn-mnist.safetensors"),
));
#[cfg(not(feature = "embedded"))]
const EMBEDDED: Option<(&str, &[u8])> = None;

/// Weights whose card is part of this crate.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// The name.
    pub id: &'static str,
    /// The card, as JSON.
    pub card: &'static str,
}

/// Defines the enum of the trained weights of a network, and `pretrained` of the network.
macro_rules! weights {
    (
        $(#[$doc:meta])*
        pub enum $name:ident of $network:ident {
            $($(#[$variant_doc:meta])* $variant:ident = $id:literal,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(crate) const BUILT_IN: &'static [$crate::weights::BuiltIn] = &[$(
                $crate::weights::BuiltIn {
                    id: $id,
                    card: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/weights/", $id, ".json")),
                },
            )+];

            /// The name on the command line, in files and in documents.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)+
                }
            }
        }

        impl $network {
            /// The network with trained weights, and what belongs to them.
            ///
            /// # Errors
            ///
            /// If the weights cannot be found, read or verified.
            pub fn pretrained(
                weights: $name,
                device: &burn::tensor::Device,
            ) -> Result<$crate::Pretrained<Self>, $crate::PretrainedError> {
                $crate::weights::pretrained(weights.id(), device)
            }
        }
    };
}

pub(crate) use weights;

/// A network with its trained weights.
#[derive(Clone, Debug)]
pub struct Pretrained<N> {
    /// The network, for inference.
    pub network: N,
    /// The card of the weights.
    pub card: Card,
}

impl<N> Pretrained<N> {
    /// The encoder that the weights were trained with, see [`Card::encoder`].
    ///
    /// # Errors
    ///
    /// If their samples are recordings, which need none.
    pub fn encoder(&self) -> Result<AnyEncoder, PretrainedError> {
        self.card.encoder()
    }
}

/// Loads weights into their network.
pub(crate) fn pretrained<N: TryFrom<AnyNetwork>>(
    id: &str,
    device: &Device,
) -> Result<Pretrained<N>, PretrainedError> {
    let card = Card::of(id)?;
    let network = card.load(device)?;
    match N::try_from(network) {
        Ok(network) => Ok(Pretrained { network, card }),
        Err(_) => Err(PretrainedError::Architecture {
            id: id.to_owned(),
            found: card.config.network.name(),
        }),
    }
}

/// Card of trained weights: description, training run and results. Accuracies and rates are fractions of 1.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::decode;
/// use synfire::encode::{Encoder, SampleKeys};
/// use synfire_models::{SpikingNetwork, StbpMlp, StbpMlpWeights};
///
/// let device = Device::default();
/// let trained = StbpMlp::pretrained(StbpMlpWeights::Mnist, &device)?;
/// println!("{}: {:.2} %", trained.card.structure, 100.0 * trained.card.test_accuracy);
/// // One image of intensities from 0 to 1, encoded as in training.
/// let images = Tensor::<2>::zeros([1, 784], &device);
/// let input: Tensor<3> = trained.encoder()?.encode(images, &SampleKeys::fixed(1));
/// let rates = decode::rate(trained.network.run(input));
/// assert_eq!(rates.dims(), [1, 10]);
/// # Ok::<(), synfire_models::PretrainedError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The [format](crate::FORMAT) of the card.
    pub format: u32,
    /// The name of the weights.
    pub id: String,
    /// The architecture.
    pub architecture: String,
    /// Its layers.
    pub structure: String,
    /// The number of weights, biases and other parameters.
    pub parameters: usize,
    /// The training dataset.
    pub dataset: String,
    /// Hashes of the training and the test samples.
    pub data: [String; 2],
    /// The numbers of training, validation and test samples.
    pub samples: [usize; 3],
    /// Time steps of a sample.
    pub time_steps: usize,
    /// The seed, chosen by validation among several runs.
    pub seed: u64,
    /// Accuracy on the validation samples, which selects seed and epoch.
    pub validation_accuracy: f64,
    /// Accuracy of these weights on all test samples.
    pub test_accuracy: f64,
    /// The 95 % confidence [`interval`] of the test accuracy.
    pub test_interval: [f64; 2],
    /// Accuracy on the MNIST digits embedded in `synfire-data`, for weights of MNIST.
    pub embedded_accuracy: Option<f64>,
    /// Firing rate of each layer on the test samples.
    pub firing_rates: BTreeMap<String, f64>,
    /// Operations per test sample.
    pub synaptic_operations: SynapticOperations,
    /// The command that trained them.
    pub command: String,
    /// The name of the file.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// The precision of the weights in the file. Computation is in f32.
    pub precision: String,
    /// The configuration of the training run, including the network.
    pub config: CardConfig,
}

/// The configuration of the run that weights came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The encoder, where samples are encoded.
    pub encoder: EncoderConfig,
    /// Decides the encoder's draws.
    pub seed: u64,
    /// All other values of the run's configuration.
    #[serde(flatten)]
    pub run: serde_json::Map<String, serde_json::Value>,
}

impl Card {
    /// The cards of all weights.
    ///
    /// # Errors
    ///
    /// If a card is damaged.
    pub fn all() -> Result<Vec<Self>, PretrainedError> {
        NetworkConfig::weights().map(Self::parse).collect()
    }

    /// The card of some weights.
    ///
    /// # Errors
    ///
    /// If there are no weights of this name, or the card is damaged.
    pub fn of(id: &str) -> Result<Self, PretrainedError> {
        Self::parse(find(id)?)
    }

    /// Reads a card, of this [format](crate::FORMAT) or an older one.
    ///
    /// # Errors
    ///
    /// If the text is not the JSON of a card.
    pub fn read_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_value(legacy::card(serde_json::from_str(text)?))
    }

    /// The encoder that the weights were trained with, which makes sequences of as many time steps.
    ///
    /// # Errors
    ///
    /// If their samples are recordings, which need none.
    pub fn encoder(&self) -> Result<AnyEncoder, PretrainedError> {
        if self.config.network.image()[0] == 2 {
            return Err(PretrainedError::NoEncoder {
                id: self.id.clone(),
                dataset: self.dataset.clone(),
            });
        }
        let encoder = self.config.encoder.init(self.time_steps, self.config.seed);
        encoder.map_err(|error| PretrainedError::Card {
            id: self.id.clone(),
            reason: error.to_string(),
        })
    }

    fn parse(built_in: &BuiltIn) -> Result<Self, PretrainedError> {
        let damaged = |reason: String| PretrainedError::Card {
            id: built_in.id.to_owned(),
            reason,
        };
        let card = Self::read_json(built_in.card).map_err(|error| damaged(error.to_string()))?;
        match card.id == built_in.id {
            true => Ok(card),
            false => Err(damaged(format!("it is that of `{}`", card.id))),
        }
    }

    /// Finds the weights, compares them with the card and loads them. They are searched in
    ///
    /// 1. the folder in the variable `SYNFIRE_WEIGHTS`,
    /// 2. the folder `weights` of this crate's sources, of which a published crate has only `stbp-cnn-mnist`,
    /// 3. the program itself, which has `stbp-cnn-mnist` with the feature `embedded`,
    /// 4. the cache: `synfire/weights` in the user's cache folder, or `weights` in the folder in `SYNFIRE_CACHE`,
    /// 5. with the feature `download`, the web, by way of the cache: `{address}/{file}`, with the address in the variable
    ///    `SYNFIRE_WEIGHTS_URL` or, in a package that names its repository, of the files of this version's release. A download
    ///    that broke off continues where it stopped. A variable `SYNFIRE_OFFLINE` that is not empty keeps a program from the web.
    ///
    /// # Errors
    ///
    /// If they are not found, cannot be read or downloaded, or differ from the card.
    pub fn load(&self, device: &Device) -> Result<AnyNetwork, PretrainedError> {
        find(&self.id)?;
        let (bytes, path) = self.read(&Places::new()?)?;
        self.load_bytes(bytes, &path, device)
    }

    /// Reads the file from the first place that has it.
    fn read(&self, places: &Places) -> Result<(Vec<u8>, PathBuf), PretrainedError> {
        for folder in &places.folders {
            if let Some(found) = read_file(folder.join(&self.file))? {
                return Ok(found);
            }
        }
        if let Some((_, bytes)) = EMBEDDED.filter(|(id, _)| *id == self.id) {
            return Ok((bytes.to_vec(), PathBuf::from(&self.id)));
        }
        if let Some(folder) = &places.cache {
            // Of each version of the weights a file of its own.
            let version: String = self.sha256.chars().take(8).collect();
            let path = folder.join(format!("{version}-{}", self.file));
            #[cfg(feature = "download")]
            if let Some(address) = &places.address
                && !path.exists()
            {
                download::fetch(self, address, &path)?;
            }
            if let Some(found) = read_file(path)? {
                return Ok(found);
            }
        }
        Err(PretrainedError::NotFound {
            id: self.id.clone(),
            folders: places
                .folders
                .iter()
                .chain(&places.cache)
                .cloned()
                .collect(),
        })
    }

    fn load_bytes(
        &self,
        bytes: Vec<u8>,
        path: &Path,
        device: &Device,
    ) -> Result<AnyNetwork, PretrainedError> {
        let found = sha256(&bytes);
        if found != self.sha256 {
            return Err(PretrainedError::Checksum {
                path: path.to_path_buf(),
                found,
                expected: self.sha256.clone(),
            });
        }
        load_network(&self.config.network, bytes, device).map_err(|source| PretrainedError::Load {
            id: self.id.clone(),
            source,
        })
    }
}

/// Reads a file. `None` if it is not there.
fn read_file(path: PathBuf) -> Result<Option<(Vec<u8>, PathBuf)>, PretrainedError> {
    match regular(&path).and_then(|_| fs::read(&path)) {
        Ok(bytes) => Ok(Some((bytes, path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PretrainedError::Io { path, source }),
    }
}

/// Places that are searched for weights.
#[derive(Clone, Debug)]
struct Places {
    folders: Vec<PathBuf>,
    cache: Option<PathBuf>,
    #[cfg_attr(not(feature = "download"), allow(dead_code))]
    address: Option<String>,
}

impl Places {
    /// Those of the environment, see [`Card::load`].
    fn new() -> Result<Self, PretrainedError> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let cache = match set("SYNFIRE_CACHE") {
            Some(folder) => Some(PathBuf::from(folder)),
            None => dirs::cache_dir().map(|folder| folder.join("synfire")),
        };
        let address = match set(ADDRESS) {
            Some(address) => Some(address.to_string_lossy().into_owned()),
            None => release(),
        };
        Ok(Self {
            folders: folders(set(WEIGHTS_FOLDER).map(PathBuf::from))?,
            cache: cache.map(|folder| folder.join("weights")),
            address: address.filter(|_| set("SYNFIRE_OFFLINE").is_none()),
        })
    }
}

/// The address of the files of this version's release, if the package names its repository.
fn release() -> Option<String> {
    let repository = Some(env!("CARGO_PKG_REPOSITORY")).filter(|address| !address.is_empty())?;
    let version = env!("CARGO_PKG_VERSION");
    let repository = repository.trim_end_matches('/');
    Some(format!("{repository}/releases/download/v{version}"))
}

/// Folders that are searched for weights: the named one, which must exist, and that of this crate.
fn folders(named: Option<PathBuf>) -> Result<Vec<PathBuf>, PretrainedError> {
    match named {
        // Falling back to other weights would be unexpected.
        Some(folder) if !folder.is_dir() => Err(PretrainedError::NoFolder { folder }),
        named => {
            let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
            Ok(named.into_iter().chain([own]).collect())
        }
    }
}

/// The 95 % confidence interval of an accuracy measured on `samples` samples (Wilson 1927, *Probable Inference, the Law of
/// Succession, and Statistical Inference*).
///
/// ```
/// use synfire_models::interval;
///
/// // 99 of 100 right may well be 95 of 100 with others.
/// let [low, high] = interval(0.99, 100);
/// assert!((low - 0.9455).abs() < 1e-4 && (high - 0.9982).abs() < 1e-4);
/// ```
pub fn interval(accuracy: f64, samples: usize) -> [f64; 2] {
    // 95 % of a normal distribution are within this many standard deviations.
    const Z: f64 = 1.959_963_984_540_054;
    let n = samples.max(1) as f64;
    let middle = accuracy + Z * Z / (2.0 * n);
    let reach = Z * (accuracy * (1.0 - accuracy) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    [
        ((middle - reach) / scale).max(0.0),
        ((middle + reach) / scale).min(1.0),
    ]
}

fn find(id: &str) -> Result<&'static BuiltIn, PretrainedError> {
    let found = NetworkConfig::weights().find(|built_in| built_in.id == id);
    found.ok_or_else(|| PretrainedError::Unknown {
        id: id.to_owned(),
        known: NetworkConfig::weights()
            .map(|built_in| built_in.id)
            .collect(),
    })
}

/// The SHA-256 of some bytes, in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::StbpMlpConfig;
    use crate::load::FORMAT;
    use burn::store::{ModuleSnapshot, SafetensorsStore};

    /// A card and its weights.
    pub(in crate::weights) fn card() -> (Card, Vec<u8>) {
        let config = StbpMlpConfig::new().with_sizes(vec![3, 2]);
        let network = config.init(&Device::default()).unwrap();
        let mut store = SafetensorsStore::from_bytes(None);
        network.save_into(&mut store).unwrap();
        let bytes = store.get_bytes().unwrap();
        let card = Card {
            format: FORMAT,
            id: "stbp-mlp-test".to_owned(),
            architecture: "stbp-mlp".to_owned(),
            structure: "3-2".to_owned(),
            parameters: 8,
            dataset: "test".to_owned(),
            data: ["a".to_owned(), "b".to_owned()],
            samples: [1, 1, 1],
            time_steps: 1,
            seed: 0,
            validation_accuracy: 1.0,
            test_accuracy: 1.0,
            test_interval: interval(1.0, 1),
            embedded_accuracy: None,
            firing_rates: BTreeMap::new(),
            synaptic_operations: SynapticOperations::default(),
            command: String::new(),
            file: "stbp-mlp-test.safetensors".to_owned(),
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
            precision: "f32".to_owned(),
            config: CardConfig {
                network: NetworkConfig::StbpMlp(config),
                encoder: EncoderConfig::BERNOULLI,
                seed: 0,
                run: serde_json::Map::new(),
            },
        };
        (card, bytes)
    }

    #[test]
    fn a_folder_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().to_path_buf();
        assert_eq!(folders(Some(named.clone())).unwrap()[0], named);
        assert_eq!(folders(None).unwrap().len(), 1);
        let missing = named.join("weights");
        let error = folders(Some(missing.clone())).unwrap_err().to_string();
        assert!(error.contains(&missing.display().to_string()), "{error}");
        assert!(error.contains(WEIGHTS_FOLDER), "{error}");
    }

    #[test]
    fn cards_state_the_interval_of_their_accuracy() {
        for card in Card::all().unwrap() {
            let expected = interval(card.test_accuracy, card.samples[2]);
            for (got, expected) in card.test_interval.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-12, "{}", card.id);
            }
        }
    }

    #[test]
    fn weights_are_loaded_only_as_the_card_has_them() {
        let device = Device::default();
        let (card, bytes) = card();
        let path = Path::new("some.safetensors");
        card.load_bytes(bytes.clone(), path, &device).unwrap();

        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        let error = card.load_bytes(other, path, &device).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("some.safetensors: SHA-256 is"), "{text}");

        // The correct file, but another network.
        let mut wider = card.clone();
        let config = StbpMlpConfig::new().with_sizes(vec![3, 4, 2]);
        wider.config.network = NetworkConfig::StbpMlp(config);
        let error = wider.load_bytes(bytes, path, &device).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("stbp-mlp-test") && text.contains("classifier.layers.1.weight"),
            "{text}"
        );
    }

    #[test]
    fn the_first_folder_that_has_the_file_counts() {
        let folders = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
        let [_, second, third] = &folders;
        let (card, _) = card();
        fs::write(second.path().join(&card.file), "second").unwrap();
        fs::write(third.path().join(&card.file), "third").unwrap();
        let paths = folders.iter().map(|folder| folder.path().to_path_buf());
        let places = Places {
            folders: paths.collect(),
            cache: None,
            address: None,
        };
        let (bytes, path) = card.read(&places).unwrap();
        assert_eq!(bytes, b"second");
        assert_eq!(path, second.path().join(&card.file));
    }

    #[test]
    fn a_card_is_the_same_after_a_file() {
        let (card, _) = card();
        let text = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<Card>(&text).unwrap(), card);
        assert!(serde_json::from_str::<Card>(&text.replace("seed", "sed")).is_err());
    }

    #[test]
    fn unknown_weights_are_named_with_those_that_there_are() {
        let error = Card::of("stbp-mlp-cats").unwrap_err().to_string();
        assert!(error.starts_with("there are no weights `stbp-mlp-cats`; there are: "));
        let (card, _) = card();
        assert!(matches!(
            card.load(&Device::default()),
            Err(PretrainedError::Unknown { .. })
        ));
        let places = Places {
            address: None,
            ..Places::new().unwrap()
        };
        let error = card.read(&places).unwrap_err().to_string();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("weights");
        assert!(error.contains("`stbp-mlp-test`"), "{error}");
        assert!(error.contains(&own.display().to_string()), "{error}");
    }
}
