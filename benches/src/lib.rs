//! The workloads of `synfire-bench`, their options and their report.

mod memory;
mod options;
mod report;
mod workload;

pub use options::{Options, Settings, Workload};
pub use report::{Bandwidth, Report};
pub use workload::run;

/// Errors of benchmarks.
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
        /// The valid values.
        expected: &'static str,
    },
    /// A configuration is invalid.
    #[error(transparent)]
    Config(#[from] synfire::InvalidConfig),
    /// The network could not be written.
    #[error(transparent)]
    Onnx(#[from] synfire_onnx::OnnxError),
    /// The device is not available.
    #[error(transparent)]
    Device(#[from] synfire_train::RunError),
    /// A layer that hardly fires, or fires all the time, is no fair workload.
    #[error(
        "layer `{layer}` of `{workload}` fires in {rate} of all steps, expected from 0.02 to 0.9"
    )]
    Rate {
        /// The workload.
        workload: Workload,
        /// The layer.
        layer: String,
        /// Its firing rate.
        rate: f64,
    },
    /// The gradient of a parameter is zero.
    #[error("the gradient of `{parameter}` of `{workload}` is zero throughout")]
    Gradient {
        /// The workload.
        workload: Workload,
        /// The parameter.
        parameter: String,
    },
    /// The thread pool could not be created.
    #[error("cannot start {count} threads: {source}")]
    Threads {
        /// Number of threads.
        count: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
    /// The device failed.
    #[error("the device failed: {0}")]
    Read(#[from] burn::tensor::TensorReadError),
}
