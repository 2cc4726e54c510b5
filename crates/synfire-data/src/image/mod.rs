//! Images: datasets in memory, idx files, PNG and JPEG files.

mod dataset;
#[cfg(feature = "images")]
mod files;
pub(crate) mod idx;
#[cfg(feature = "images")]
mod read;

pub use dataset::{ImageDataset, ImageItem};
#[cfg(feature = "images")]
pub(crate) use files::{Sides, read_parts};
pub use idx::encode_idx;
#[cfg(feature = "images")]
pub use read::{Ground, read_image};
