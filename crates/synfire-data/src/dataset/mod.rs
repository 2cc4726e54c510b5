//! The list of datasets.

/// The list: the file of each dataset, which holds its `Definition`, and its variant.
macro_rules! datasets {
    ($define:ident) => {
        $define! {
            mnist: Mnist,
            fashion_mnist: FashionMnist,
            cifar10: Cifar10,
            nmnist: NMnist,
            pedestrian: Pedestrian,
            images: Images,
            csv: Csv,
            fsdd: Fsdd,
        }
    };
}

macro_rules! modules {
    ($($file:ident: $name:ident,)+) => {
        $(pub(crate) mod $file;)+
    };
}

datasets!(modules);

use std::fmt::{self, Display};
use std::path::Path;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Data, DataError, DataSource, Loader, Samples};

/// A dataset with a name: its description, its shape and how to load it. Implement it for a dataset of your own.
///
/// ```
/// use synfire_data::{Data, DataError, DataSource, ImageDataset, Loader, NamedDataset, Source};
///
/// /// Bright and dark pixels.
/// struct Brightness;
///
/// impl NamedDataset for Brightness {
///     fn name(&self) -> &'static str {
///         "brightness"
///     }
///     fn about(&self) -> &'static str {
///         "Bright and dark pixels"
///     }
///     fn hint(&self) -> &'static str {
///         "made in memory"
///     }
///     fn shape(&self) -> ([usize; 3], usize) {
///         ([1, 1, 1], 2)
///     }
///     fn load(&self, _loader: &Loader, _choice: &DataSource) -> Result<Data, DataError> {
///         let pixels = || ImageDataset::from_pixels([1, 1, 1], vec![20, 250], vec![0, 1]);
///         let (shape, classes) = self.shape();
///         Ok(Data {
///             train: pixels()?.into(),
///             test: pixels()?.into(),
///             shape,
///             classes,
///             class_names: vec!["dark".to_owned(), "bright".to_owned()],
///             source: Source::Embedded,
///             tried: Vec::new(),
///         })
///     }
/// }
///
/// let data = Brightness.load(&Loader::new(), &DataSource::Auto)?;
/// assert_eq!(Brightness.groups(&data.train)?, [0, 1]);
/// # Ok::<(), DataError>(())
/// ```
pub trait NamedDataset {
    /// The name in options, files and folders, in lower case with dashes.
    fn name(&self) -> &'static str;

    /// One line about the data.
    fn about(&self) -> &'static str;

    /// Instructions for getting the data: required files of a folder, and their source.
    fn hint(&self) -> &'static str;

    /// Channels, height and width of a sample, and the number of classes. Where a folder decides, these are placeholders until
    /// it has been [loaded](Self::load).
    fn shape(&self) -> ([usize; 3], usize);

    /// Loads the data.
    ///
    /// # Errors
    ///
    /// If the data are not available or invalid.
    fn load(&self, loader: &Loader, choice: &DataSource) -> Result<Data, DataError>;

    /// A group number for each training sample. Samples of a group must not be split between training and validation. By
    /// default every sample is its own group.
    ///
    /// # Errors
    ///
    /// If a sample cannot be read.
    fn groups(&self, samples: &Samples) -> Result<Vec<usize>, DataError> {
        Ok((0..samples.len()).collect())
    }

    /// The folder that the user named, for a dataset without another source.
    ///
    /// # Errors
    ///
    /// If none was named: [`DataError::NoFolder`], with the [hint](Self::hint).
    fn folder<'a>(&self, choice: &'a DataSource) -> Result<&'a Path, DataError> {
        match choice {
            DataSource::Folder(folder) => Ok(folder),
            DataSource::Auto | DataSource::Embedded => Err(DataError::NoFolder {
                dataset: self.name(),
                hint: self.hint(),
            }),
        }
    }
}

/// Defines [`DatasetName`] with a variant for every dataset.
macro_rules! define {
    ($($file:ident: $name:ident,)+) => {
        /// A dataset of this crate, by its name.
        ///
        /// ```
        /// use synfire_data::{DataSource, DatasetName};
        ///
        /// for dataset in DatasetName::all() {
        ///     println!("{dataset}: {}", dataset.about());
        /// }
        /// let dataset: DatasetName = "mnist".parse()?;
        /// let data = dataset.load(&DataSource::Embedded)?;
        /// assert_eq!((data.train.len(), data.test.len()), (4000, 1000));
        /// # Ok::<(), synfire_data::DataError>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum DatasetName {
            $(
                #[doc = concat!("Defined in `dataset/", stringify!($file), ".rs`; see [`about`](Self::about).")]
                $name,
            )+
        }

        impl DatasetName {
            /// All datasets, in the order of the list.
            pub fn all() -> &'static [Self] {
                &[$(Self::$name),+]
            }

            /// The dataset of this name.
            pub fn definition(self) -> &'static dyn NamedDataset {
                match self {
                    $(Self::$name => &$file::Definition,)+
                }
            }
        }
    };
}

datasets!(define);

impl DatasetName {
    /// The name in options, files and folders.
    pub fn name(self) -> &'static str {
        self.definition().name()
    }

    /// One line about the data.
    pub fn about(self) -> &'static str {
        self.definition().about()
    }

    /// Instructions for getting the data: required files of a folder, and their source.
    pub fn hint(self) -> &'static str {
        self.definition().hint()
    }

    /// Channels, height and width of a sample, and the number of classes. Of `pedestrian`, `images` and `csv` the folder
    /// decides them; until it has been loaded these are placeholders.
    pub fn shape(self) -> ([usize; 3], usize) {
        self.definition().shape()
    }

    /// Loads the data from the usual places, see [`Loader::new`].
    ///
    /// # Errors
    ///
    /// If the data are not available or damaged, or there are fewer than two training samples.
    pub fn load(self, choice: &DataSource) -> Result<Data, DataError> {
        self.load_with(&Loader::new(), choice)
    }

    /// Loads the data with a loader that sets the cache, the use of the network and the size of images.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load).
    pub fn load_with(self, loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        self.definition().load(loader, choice)?.checked(self)
    }

    /// A group number for each training sample. Samples of a group must not be split between training and validation; in
    /// `pedestrian`, near-duplicates and mirror images form groups.
    ///
    /// # Errors
    ///
    /// If a sample cannot be read.
    pub fn groups(self, samples: &Samples) -> Result<Vec<usize>, DataError> {
        self.definition().groups(samples)
    }
}

impl Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DatasetName {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let mut all = Self::all().iter().copied();
        all.find(|dataset| dataset.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::all().iter().map(|dataset| dataset.name()).collect();
            DataError::NoSuchDataset {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

impl Serialize for DatasetName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DatasetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

/// Numbers as class names, for classes without names.
fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|class| class.to_string()).collect()
}

/// The names of classes.
fn named<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_asked_over_an_encrypted_connection() {
        for published in [
            &mnist::PUBLISHED,
            &fashion_mnist::PUBLISHED,
            &cifar10::PUBLISHED,
        ] {
            assert!(!published.mirrors.is_empty());
            for mirror in published.mirrors {
                assert!(mirror.starts_with("https://"), "{mirror}");
            }
            let name: DatasetName = published.name.parse().unwrap();
            assert_eq!(name.name(), published.name);
        }
    }
}
