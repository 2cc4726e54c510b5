//! The workloads of `synfire-bench`, their options and what they report.

mod memory;
mod options;
mod report;
mod workload;

pub use options::{CurveOption, DTypeOption, KeepOption, Options, Settings, Workload};
pub use report::{Bandwidth, Report};
pub use workload::run;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An option is invalid.
    #[error("invalid `--{option}`: {value}, expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A configuration is invalid.
    #[error(transparent)]
    Config(#[from] synfire::InvalidConfig),
    /// The device cannot be had.
    #[error(transparent)]
    Device(#[from] synfire_train::RunError),
    /// A layer that hardly fires, or fires all the time, is no fair workload.
    #[error(
        "layer `{layer}` of `{workload}` fires in {rate} of all steps, expected from 0.02 to 0.6"
    )]
    Rate {
        /// The workload.
        workload: &'static str,
        /// Which of its layers.
        layer: String,
        /// Its firing rate.
        rate: f64,
    },
    /// Nothing is learned.
    #[error("the gradient of `{parameter}` of `{workload}` is zero throughout")]
    Gradient {
        /// The workload.
        workload: &'static str,
        /// What it belongs to.
        parameter: String,
    },
    /// Threads could not be had.
    #[error("cannot start {count} threads: {source}")]
    Threads {
        /// How many.
        count: usize,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
    /// The device failed.
    #[error("the device failed: {0}")]
    Read(#[from] burn::tensor::TensorReadError),
}
