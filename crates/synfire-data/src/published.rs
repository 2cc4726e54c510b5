//! The published datasets that Synfire knows by name.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A dataset of the MNIST family: 60,000 images to train on and 10,000 to test on, 28x28 grey, 10 classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSet {
    /// Handwritten digits (LeCun, Cortes, Burges 1998).
    #[default]
    Mnist,
    /// Articles of clothing (Xiao, Rasul, Vollgraf 2017).
    FashionMnist,
}

/// One file of a dataset, without compression.
#[derive(Debug)]
pub(crate) struct PublishedFile {
    pub name: &'static str,
    pub bytes: u64,
    pub sha256: &'static str,
}

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> PublishedFile {
    PublishedFile {
        name,
        bytes,
        sha256,
    }
}

const MNIST: [PublishedFile; 4] = [
    file(
        "train-images-idx3-ubyte",
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    file(
        "train-labels-idx1-ubyte",
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    file(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    file(
        "t10k-labels-idx1-ubyte",
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
];

const FASHION_MNIST: [PublishedFile; 4] = [
    file(
        "train-images-idx3-ubyte",
        47_040_016,
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    file(
        "train-labels-idx1-ubyte",
        60_008,
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    file(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    file(
        "t10k-labels-idx1-ubyte",
        10_008,
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
];

impl ImageSet {
    /// The name as it stands in options, files and folders.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }

    /// Height and width of the images.
    pub fn image_size(&self) -> [usize; 2] {
        [28, 28]
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        10
    }

    pub(crate) fn files(&self) -> &'static [PublishedFile; 4] {
        match self {
            Self::Mnist => &MNIST,
            Self::FashionMnist => &FASHION_MNIST,
        }
    }

    /// Folders on the web that hold the files with `.gz`, kept by the publishers or for them.
    #[cfg(feature = "download")]
    pub(crate) fn mirrors(&self) -> &'static [&'static str] {
        match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "https://storage.googleapis.com/cvdf-datasets/mnist",
            ],
            Self::FashionMnist => {
                &["https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"]
            }
        }
    }
}

impl Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ImageSet {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Mnist, Self::FashionMnist]
            .into_iter()
            .find(|set| set.name() == name)
            .ok_or_else(|| "expected `mnist` or `fashion-mnist`".to_owned())
    }
}

#[cfg(all(test, feature = "download"))]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_asked_over_an_encrypted_connection() {
        for set in [ImageSet::Mnist, ImageSet::FashionMnist] {
            assert!(!set.mirrors().is_empty());
            for mirror in set.mirrors() {
                assert!(mirror.starts_with("https://"), "{mirror}");
            }
        }
    }
}
