//! Errors.

use std::path::PathBuf;

use synfire::InvalidConfig;

/// A network cannot be written as an ONNX model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The network runs an operation that has no counterpart in ONNX.
    #[error("the operation `{operation}` has no counterpart in ONNX")]
    Operation {
        /// The operation, by its name in Burn.
        operation: String,
    },
    /// A tensor is of a type that models do not hold.
    #[error("a tensor of {found}, expected F32, I64, I32 or Bool")]
    Type {
        /// The type.
        found: String,
    },
    /// The network cannot be recorded.
    #[error("the network cannot be recorded: {reason}")]
    Recording {
        /// The reason.
        reason: String,
    },
    /// A step of the network is not the same function of its state in every step.
    #[error("`{layer}` is not the same function in every step: write a whole sequence")]
    Step {
        /// The state that has another shape after the step, or the whole network.
        layer: String,
    },
    /// The model is larger than a file of ONNX can be.
    #[error("the model has {found} bytes, expected at most {limit}")]
    TooLarge {
        /// The size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The options are invalid, or the network has no states.
    #[error(transparent)]
    Options(#[from] InvalidConfig),
}
