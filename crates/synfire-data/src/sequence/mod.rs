//! Sequences of numbers: datasets in memory, CSV files.

mod dataset;
mod read;

pub use dataset::{Sequence, SequenceDataset, SequenceItem, SequenceLabel};
pub(crate) use read::{Labels, read_csv};
