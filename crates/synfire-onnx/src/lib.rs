//! Spiking networks of [Synfire](synfire) as ONNX models.
//!
//! A model is a sequence, unrolled over its time steps, or one step with the states of all layers as inputs and outputs. Neurons
//! become comparisons and arithmetic; all operators are standard ones.
//!
//! ```
//! use burn::tensor::Device;
//! use synfire_models::StbpMlpConfig;
//! use synfire_onnx::{OnnxOptions, export};
//!
//! let network = StbpMlpConfig::new().with_sizes(vec![16, 8, 4]).init(&Device::default())?;
//! let model = export(&network, &OnnxOptions::step())?;
//! let outputs: Vec<_> = model.outputs().into_iter().map(|(name, _)| name).collect();
//! assert_eq!(outputs, ["output", "next.hidden.v", "next.output.v"]);
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("step.onnx");
//! model.save(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The values of the states at rest are in the metadata `rest`. A stream in Python:
//!
//! ```python
//! session = onnxruntime.InferenceSession("step.onnx")
//! rest = json.loads(session.get_modelmeta().custom_metadata_map["rest"])
//! states = session.get_inputs()[1:]
//! state = {i.name: numpy.resize(rest[i.name], i.shape).astype("float32") for i in states}
//! names = [output.name for output in session.get_outputs()]
//! for frame in frames:  # [B, ...] each
//!     outputs = dict(zip(names, session.run(names, {"input": frame} | state)))
//!     state = {name: outputs[name.replace("state", "next", 1)] for name in state}
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
