//! Errors of training runs.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::data::dataset::DatasetError;
use burn::tensor::TensorReadError;
use synfire::InvalidConfig;
use synfire::plot::PlotError;
use synfire::record::RecordError;
use synfire_data::DataError;
use synfire_models::{LoadError, PretrainedError};

use crate::{output, signals};

/// Errors of training runs.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A value is out of its range.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// A configuration has no such value.
    #[error("`{path}` = {value}: {reason}")]
    Value {
        /// The path.
        path: String,
        /// The value.
        value: String,
        /// The cause.
        reason: String,
    },
    /// A configuration has nothing at a path.
    #[error("there is no `{path}`; there are: {}", known.join(", "))]
    Path {
        /// The path.
        path: String,
        /// The valid paths next to it.
        known: Vec<String>,
    },
    /// The record of a layer could not be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Trained weights are not available.
    #[error(transparent)]
    Pretrained(#[from] PretrainedError),
    /// A network could not be converted.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A NIR graph could not be read or run.
    #[cfg(feature = "nir")]
    #[error(transparent)]
    Nir(#[from] synfire_nir::NirError),
    /// A network could not be written as an ONNX model.
    #[cfg(feature = "onnx")]
    #[error(transparent)]
    Onnx(#[from] synfire_onnx::OnnxError),
    /// The data could not be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device is not there, or not in this build.
    #[error("invalid `{option}`: {name}, {reason}")]
    Device {
        /// The option or variable.
        option: &'static str,
        /// The requested device.
        name: String,
        /// The cause.
        reason: String,
    },
    /// A device of another machine no longer answers.
    #[error(
        "{worker} is lost ({reason}): `synfire train --resume --out {out}` continues the run once it is there again, or on others \
         with --other-device and, if they are fewer, --set devices=N",
        out = out.display()
    )]
    Lost {
        /// Its address.
        worker: String,
        /// The cause.
        reason: String,
        /// The folder of the run.
        out: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A file of the run is damaged.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The folder already holds a run.
    #[error("{} already holds a run: add --resume to continue it, or name another --out", .0.display())]
    Occupied(PathBuf),
    /// The folder holds the remains of a run.
    #[error("{} holds `{file}` from a run, but no run.json: name another --out, or remove what is left", out.display())]
    Remains {
        /// The folder.
        out: PathBuf,
        /// The file or folder.
        file: &'static str,
    },
    /// Another process is at work in the folder.
    #[error("another process is at work in {}: wait for it, or name another --out", .0.display())]
    InUse(PathBuf),
    /// There is nothing to resume in the folder.
    #[error("{} holds no run to resume", .0.display())]
    NothingToResume(PathBuf),
    /// There is no run in the folder.
    #[error("{} holds no run: it has no run.json", .0.display())]
    NoRun(PathBuf),
    /// The run in the folder has not ended.
    #[error(
        "the run in {folder} has not ended, as it has no report.json and model.safetensors: `synfire train --resume --out \
         {folder}` continues it",
        folder = .0.display()
    )]
    Unfinished(PathBuf),
    /// The options differ from the run in the folder.
    #[error("the run in {} has `{name}` {saved}, not {asked}: resume it without that option, or start a new run", out.display())]
    OtherRun {
        /// The folder.
        out: PathBuf,
        /// The value that differs.
        name: String,
        /// Its value in the run.
        saved: String,
        /// Its value in the options.
        asked: String,
    },
    /// The checkpoints in the file are not those of the run in `run.json`.
    #[error(
        "{}: the checkpoint is of another run than run.json tells of; its configuration or its data have been changed",
        .0.display()
    )]
    OtherCheckpoint(PathBuf),
    /// The run was trained on other devices so far.
    #[error(
        "the run in {} was trained on {saved}, not on {asked}, where it may come to other results: add --other-device to \
         continue there",
        out.display()
    )]
    OtherDevice {
        /// The folder.
        out: PathBuf,
        /// Its devices so far.
        saved: String,
        /// The devices it would resume on.
        asked: String,
    },
    /// The data differ from those the run began with.
    #[error(
        "the data ({source_now}) are not those that the run in {} was trained on: give it the same ones",
        out.display()
    )]
    OtherData {
        /// The folder of the run.
        out: PathBuf,
        /// Current source of the data.
        source_now: String,
    },
    /// There are no training samples, or no validation samples.
    #[error(
        "{data}: {samples} training samples, of which those that are alike stay together, cannot be divided into some to \
         train on and some to validate on"
    )]
    Undivided {
        /// Source of the data.
        data: String,
        /// Number of samples.
        samples: usize,
    },
    /// The file is there already.
    #[error("{} is there already: add --replace, or name another --out", .0.display())]
    Exists(PathBuf),
    /// Numbers went out of range.
    #[error("epoch {epoch}: {what}; try a lower --learning-rate")]
    NotFinite {
        /// The epoch.
        epoch: usize,
        /// The value that is not finite, with its layer.
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
    /// A sweep was stopped from outside.
    #[error("the sweep was stopped: the same command continues it")]
    SweepInterrupted,
    /// The folder holds another sweep.
    #[error("{} holds another sweep: name another --out", .0.display())]
    OtherSweep(PathBuf),
    /// A batch takes more memory than there is.
    #[error(
        "`time_steps` {time_steps} times `batch_size` {batch_size} times {elements} input elements and {neurons} neurons \
         take at least {bytes} bytes, of which {available} are free"
    )]
    Memory {
        /// Time steps.
        time_steps: usize,
        /// Samples of a batch.
        batch_size: usize,
        /// Input elements of a sample.
        elements: u128,
        /// Neurons, as far as the configuration tells.
        neurons: u128,
        /// The least memory that they take.
        bytes: u128,
        /// The free memory.
        available: u128,
    },
    /// Samples could not be read or encoded.
    #[error("a batch could not be made: {0}")]
    Samples(#[from] DatasetError),
    /// A result could not be read from the device.
    #[error("the device failed: {0}")]
    Read(#[from] TensorReadError),
    /// Standard output could not be written.
    #[error("standard output: {0}")]
    Output(&'static io::Error),
    /// burn-train stopped with an error.
    #[error("training failed: {0}")]
    Training(String),
}

/// Exit code of a program that prints its result. Prints an error.
pub fn exit_code(result: Result<(), RunError>) -> ExitCode {
    let printed = || output::failure().map_or(Ok(()), |error| Err(RunError::Output(error)));
    exit_code_of_run(result.and_then(|()| printed()))
}

/// Exit code of a program that writes its result to files. Prints an error; after a signal the exit status is the
/// conventional one.
pub fn exit_code_of_run(result: Result<(), RunError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            ExitCode::from(exit_status(&error))
        }
    }
}

/// The exit status that goes with an error: 1, or 128 and the number of the signal that ended a run.
pub fn exit_status(error: &RunError) -> u8 {
    match (error, signals::exit_status()) {
        (RunError::Interrupted { .. } | RunError::SweepInterrupted, Some(status)) => status,
        _ => 1,
    }
}

impl RunError {
    /// Adds the parameter that is no longer finite to [`RunError::NotFinite`].
    pub(crate) fn with_layer(self, parameter: Option<String>) -> Self {
        match (self, parameter) {
            (Self::NotFinite { epoch, what }, Some(parameter)) if !what.contains(&parameter) => {
                let what = format!("{what}, and the weights `{parameter}` are not finite");
                Self::NotFinite { epoch, what }
            }
            (error, _) => error,
        }
    }

    /// Turns the reason why the file at `path` is invalid into a [`RunError::Damaged`].
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
