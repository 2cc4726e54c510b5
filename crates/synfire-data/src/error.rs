//! Errors of datasets.

use std::io;
use std::path::{Path, PathBuf};

/// Errors of datasets. Every variant about a file names it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no sample of such a number.
    #[error("there is no {kind} {index}: there are {count}, counted from 0")]
    NoSuchSample {
        /// `image`, `recording` or `sequence`.
        kind: &'static str,
        /// The number.
        index: usize,
        /// Length of the dataset.
        count: usize,
    },
    /// The list of datasets has no such name.
    #[error("there is no dataset `{name}`: there are {known}")]
    NoSuchDataset {
        /// The name.
        name: String,
        /// The names of the list.
        known: String,
    },
    /// A dataset that is read from a folder was asked for without one.
    #[error("the dataset `{dataset}` is read from a folder, name its folder: {hint}")]
    NoFolder {
        /// The dataset.
        dataset: &'static str,
        /// Required content of the folder, and how to get it.
        hint: &'static str,
    },
    /// A folder lacks the files of a dataset.
    #[error("{}: there is no {what}; expected {hint}", folder.display())]
    NotInFolder {
        /// The folder.
        folder: PathBuf,
        /// The file or folder that is missing.
        what: String,
        /// Required content of the folder, and how to get it.
        hint: &'static str,
    },
    /// A file cannot be decoded.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Error message of the decoder.
        reason: String,
    },
    /// A line of a text file is invalid.
    #[error("{}: line {line}: `{field}` is {value}, expected {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column, or another part of the line.
        field: String,
        /// The value found.
        value: String,
        /// The expected value.
        expected: String,
    },
    /// A folder has no recordings.
    #[error("{}: there are no recordings; {hint}", folder.display())]
    NoRecordings {
        /// The folder.
        folder: PathBuf,
        /// Instructions for getting recordings.
        hint: &'static str,
    },
    /// The recordings of a batch would have different numbers of frames.
    #[error("a batch of frames by time or by count needs its number of time steps")]
    NoTimeSteps,
    /// An event of a recording is invalid.
    #[error("{}: at byte {offset}: `{field}` is {value}, expected {expected}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// Offset in the file, in bytes.
        offset: usize,
        /// The part of the event that is wrong.
        field: &'static str,
        /// The value found.
        value: String,
        /// The expected value.
        expected: String,
    },
    /// A file could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file, or a dataset in memory, has an invalid format.
    #[error("{}: `{field}` is {value}, expected {expected}", path.display())]
    Format {
        /// The file, or the part of the dataset.
        path: PathBuf,
        /// The part of the format that is wrong.
        field: &'static str,
        /// The value found.
        value: String,
        /// The expected value.
        expected: String,
    },
    /// A folder lacks a file.
    #[error("{}: neither `{name}` nor `{name}.gz` is there", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file.
        name: String,
    },
    /// The content of a file is not the published one.
    #[error("{}: SHA-256 is {found}, expected {expected}", path.display())]
    Checksum {
        /// The file or address.
        path: PathBuf,
        /// Its SHA-256.
        found: String,
        /// SHA-256 of the published file.
        expected: &'static str,
    },
    /// A download failed.
    #[error("{url}: {reason}")]
    Download {
        /// The address.
        url: String,
        /// The cause.
        reason: String,
    },
    /// No source had the dataset.
    #[error("{dataset} could not be had:\n  {}", tried.join("\n  "))]
    Unavailable {
        /// The dataset.
        dataset: &'static str,
        /// Sources that were tried, each with its error.
        tried: Vec<String>,
    },
}

impl DataError {
    /// A [`DataError::Format`].
    pub(crate) fn format(
        path: impl AsRef<Path>,
        field: &'static str,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Self::Format {
            path: path.as_ref().to_path_buf(),
            field,
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// A [`DataError::NotInFolder`].
    pub(crate) fn not_in_folder(
        folder: impl AsRef<Path>,
        what: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        Self::NotInFolder {
            folder: folder.as_ref().to_path_buf(),
            what: what.into(),
            hint,
        }
    }

    /// Turns a system's error at `path` into a [`DataError::Io`].
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }
}

/// The sample of a number, which is of this kind.
pub(crate) fn sample<'a, T>(
    samples: &'a [T],
    index: usize,
    kind: &'static str,
) -> Result<&'a T, DataError> {
    let count = samples.len();
    let missing = DataError::NoSuchSample { kind, index, count };
    samples.get(index).ok_or(missing)
}
