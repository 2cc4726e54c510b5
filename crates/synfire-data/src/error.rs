//! What can go wrong with data.

use std::io;
use std::path::{Path, PathBuf};

/// Why data could not be had. Every variant about a file names it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no image of such a number.
    #[error("there is no image {index}: there are {count}, counted from 0")]
    NoSuchImage {
        /// The number.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// There is no recording of such a number.
    #[error("there is no recording {index}: there are {count}, counted from 0")]
    NoSuchRecording {
        /// The number.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// There is no sequence of such a number.
    #[error("there is no sequence {index}: there are {count}, counted from 0")]
    NoSuchSequence {
        /// The number.
        index: usize,
        /// How many there are.
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
        /// What the folder holds, and how to get it.
        hint: &'static str,
    },
    /// A folder lacks the files of a dataset.
    #[error("{}: there is no {what}; expected {hint}", folder.display())]
    NotInFolder {
        /// The folder.
        folder: PathBuf,
        /// The file or folder that is missing.
        what: String,
        /// What the folder should hold, and how to get it.
        hint: &'static str,
    },
    /// A file cannot be decoded.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// A line of a text file is not what it should be.
    #[error("{}: line {line}: `{field}` is {value}, expected {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// The column, or another part of the line.
        field: String,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
    /// A sequence in memory is not what it should be.
    #[error("sequence {index}: `{field}` is {value}, expected {expected}")]
    Sequence {
        /// The number of the sequence.
        index: usize,
        /// The part that is wrong.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
    /// A folder has no recordings.
    #[error("{}: there are no recordings; {hint}", folder.display())]
    NoRecordings {
        /// The folder.
        folder: PathBuf,
        /// How to get them.
        hint: &'static str,
    },
    /// Frames of several recordings that would be of different numbers.
    #[error("a batch of frames by time or by count needs its number of time steps")]
    NoTimeSteps,
    /// An event of a recording is not what it should be.
    #[error("{}: at byte {offset}: `{field}` is {value}, expected {expected}", path.display())]
    Event {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: usize,
        /// The part of the event that is wrong.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
    /// A file could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: `{field}` is {value}, expected {expected}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The part of the format that is wrong.
        field: &'static str,
        /// What stands there.
        value: String,
        /// What should stand there.
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
        /// That of the published file.
        expected: &'static str,
    },
    /// A download failed.
    #[error("{url}: {reason}")]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// No source had the dataset.
    #[error("{dataset} could not be had:\n  {}", tried.join("\n  "))]
    Unavailable {
        /// The dataset.
        dataset: &'static str,
        /// What was tried, and why it did not do.
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

    /// Turns a system's error at `path` into a [`DataError::Io`].
    pub(crate) fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }
}
