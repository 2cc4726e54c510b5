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
    /// The network runs an operation that is not written.
    #[error("the operation `{operation}` of Burn{place} cannot be written as ONNX")]
    Operation {
        /// The operation, by its name in Burn.
        operation: String,
        /// The last layer of neurons before it, as ", after the layer `name`,", if there is one.
        place: String,
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
    /// The network is not the same function of input and state in every step.
    #[error("not a network for single steps, for it is not the same in all of them: {layers}")]
    Step {
        /// The layers, or the state that changes its shape.
        layers: String,
    },
    /// The model is larger than a file of ONNX can be.
    #[error("the model has {found} bytes, expected at most {limit}")]
    TooLarge {
        /// The size.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The options are invalid.
    #[error(transparent)]
    Options(#[from] InvalidConfig),
}
