//! Why a run could not be.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use synfire::InvalidConfig;
use synfire::plot::PlotError;
use synfire::record::RecordError;
use synfire_data::DataError;
use synfire_models::PretrainedError;

/// Why a training run could not start, go on or end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An option is out of its range.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// What a layer did could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A picture could not be made.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Trained weights could not be had.
    #[error(transparent)]
    Pretrained(#[from] PretrainedError),
    /// The data could not be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The data have to be named.
    #[error("{dataset} is nowhere to be fetched from: give --data {hint}")]
    NoFolder {
        /// The dataset.
        dataset: &'static str,
        /// What to name, and where it can be had.
        hint: &'static str,
    },
    /// The device is not there, or not in this build.
    #[error("invalid `{option}`: {name}, {reason}")]
    Device {
        /// The option or variable.
        option: &'static str,
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the run is not what it should be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder already holds a run.
    #[error("{} already holds a run: add --resume to continue it, or name another --out", out.display())]
    Occupied {
        /// The folder.
        out: PathBuf,
    },
    /// There is nothing to resume.
    #[error("{} holds no run to resume", out.display())]
    NothingToResume {
        /// The folder.
        out: PathBuf,
    },
    /// There is no run in a folder.
    #[error("{} holds no run: it has no run.json", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// The run in the folder is another one than the options ask for.
    #[error("the run in {} has `{name}` {saved}, not {asked}: resume it without that option, or start a new run", out.display())]
    OtherRun {
        /// The folder.
        out: PathBuf,
        /// What differs.
        name: String,
        /// Its value in the run.
        saved: String,
        /// Its value in the options.
        asked: String,
    },
    /// The data are no longer those that the run began with.
    #[error(
        "the data ({source_now}) are not those that the run in {} was trained on: give it the same ones",
        out.display()
    )]
    OtherData {
        /// The folder of the run.
        out: PathBuf,
        /// Where the data come from now.
        source_now: String,
    },
    /// There is nothing to train on, or nothing to validate on.
    #[error(
        "{samples} training samples, of which those that are alike stay together, cannot be divided into some to train on \
         and some to validate on"
    )]
    Undivided {
        /// How many there are.
        samples: usize,
    },
    /// A file is there already.
    #[error("{} is there already: add --replace, or name another --out", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Numbers went out of range.
    #[error("epoch {epoch}: {what}; try a lower --learning-rate")]
    NotFinite {
        /// The epoch.
        epoch: usize,
        /// What is not finite, with its layer.
        what: String,
    },
    /// Training was stopped from outside.
    #[error("training was stopped after epoch {epoch} ({reason}): --resume continues it")]
    Interrupted {
        /// The last epoch that was finished.
        epoch: usize,
        /// Why.
        reason: String,
    },
    /// burn-train stopped with an error.
    #[error("training failed: {0}")]
    Training(String),
}

/// How a script ends. An error is printed.
pub fn exit_code(result: Result<(), RunError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl RunError {
    /// Adds the parameter that is no longer finite, if that is what is wrong and one is.
    pub(crate) fn with_layer(self, parameter: Option<String>) -> Self {
        match (self, parameter) {
            (Self::NotFinite { epoch, what }, Some(parameter)) if !what.contains(&parameter) => {
                let what = format!("{what}, and the weights `{parameter}` are not finite");
                Self::NotFinite { epoch, what }
            }
            (error, _) => error,
        }
    }

    /// Turns what is wrong with the file at `path` into a [`RunError::Damaged`].
    pub fn damaged<Reason: Display>(path: impl AsRef<Path>) -> impl FnOnce(Reason) -> Self {
        let path = path.as_ref().to_path_buf();
        move |reason| Self::Damaged {
            path,
            reason: reason.to_string(),
        }
    }

    /// Turns a system's error at `path` into a [`RunError::Io`].
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io { path, source }
    }
}
