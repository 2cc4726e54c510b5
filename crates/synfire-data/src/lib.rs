//! Datasets for Synfire, as [`burn::data::dataset::Dataset`]s.
//!
//! ```
//! use burn::data::dataset::Dataset;
//! use synfire_data::{DataSource, ImageSet, Loader};
//!
//! let loaded = Loader::new().load(ImageSet::Mnist, &DataSource::Embedded)?;
//! println!("{}", loaded.source);
//! let digit = loaded.train.get(0)?;
//! assert_eq!(digit.pixels.len(), 28 * 28);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | data | type |
//! | --- | --- |
//! | MNIST, Fashion-MNIST, found by themselves | [`Loader`] |
//! | grey images of any size and number of classes, in idx files | [`ImageDataset`] |
//! | N-MNIST, as events or [`Frames`] | [`NMnist`] |
//!
//! The features `embedded` (5,000 MNIST digits inside the binary) and `download` are on by default. Licences of the
//! data are those of their publishers; see NOTICES.

mod cache;
#[cfg(feature = "download")]
mod download;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod event;
mod file;
mod frames;
mod idx;
mod image;
mod nmnist;
mod published;
mod sha256;
mod source;

pub use error::DataError;
pub use event::{Event, read_events};
pub use file::{open_regular, read_regular, remove_leftovers, write_atomically};
pub use frames::{FrameBy, FrameValue, Frames};
pub use idx::encode_idx;
pub use image::{ImageDataset, ImageItem};
pub use nmnist::{EventItem, NMnist};
pub use published::ImageSet;
pub use sha256::sha256;
pub use source::{DataSource, Loaded, Loader, Source};
