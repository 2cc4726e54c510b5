//! Spiking networks of [Synfire](synfire) as ONNX, for whatever runs it: ONNX Runtime on phones, in browsers, behind servers.
//!
//! A model is a sequence, unrolled over its time steps, or one step with the states of all layers as inputs and outputs. Neurons
//! become comparisons and arithmetic; no operator is custom.
//!
//! ```
//! use burn::tensor::Device;
//! use synfire_models::StbpMlpConfig;
//! use synfire_onnx::{OnnxOptions, export};
//!
//! let network = StbpMlpConfig::new().with_sizes(vec![16, 8, 4]).init(&Device::default())?;
//! let model = export(&network, &OnnxOptions::step())?;
//! let outputs: Vec<_> = model.outputs().into_iter().map(|(name, _)| name).collect();
//! assert_eq!(outputs, ["output", "next.hidden1.v", "next.output.v"]);
//! # let file = tempfile::NamedTempFile::new()?;
//! # let path = file.path();
//! model.save(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A stream in Python; states that are not given are at rest:
//!
//! ```python
//! session = onnxruntime.InferenceSession("step.onnx")
//! names = [output.name for output in session.get_outputs()]
//! state = {}
//! for frame in frames:  # [batch, ...] each
//!     output, *states = session.run(None, {"input": frame} | state)
//!     state = {name.replace("next", "state", 1): value for name, value in zip(names[1:], states)}
//! ```

mod builder;
mod error;
mod export;
mod lower;
mod model;
mod module;
mod options;
mod proto;

pub use error::OnnxError;
pub use export::export;
pub use model::OnnxModel;
pub use options::OnnxOptions;
