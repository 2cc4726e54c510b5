//! Models.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use synfire_models::write_atomically;

use crate::OnnxError;
use crate::proto::{Graph, Model, ValueInfo};

/// The largest file that readers of protocol buffers accept.
const LIMIT: usize = i32::MAX as usize;

/// A network as a model of ONNX, made by [`export`](crate::export).
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxModel {
    model: Model,
}

impl OnnxModel {
    pub(crate) fn new(model: Model) -> Self {
        Self { model }
    }

    fn graph(&self) -> &Graph {
        self.model.graph.as_ref().expect("a model has a graph")
    }

    /// The names and shapes of the inputs: `input`, and of one step the states, `state.*`.
    pub fn inputs(&self) -> Vec<(String, Vec<usize>)> {
        ports(&self.graph().input)
    }

    /// The names and shapes of the outputs: `output`, of a sequence its `mean` over time, of one step the states after it,
    /// `next.*`, and if they were asked for the spikes of all layers, `spikes.*`.
    pub fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        ports(&self.graph().output)
    }

    /// The number of nodes of each operator.
    pub fn operators(&self) -> BTreeMap<&str, usize> {
        let mut count = BTreeMap::new();
        for node in &self.graph().node {
            *count.entry(node.op_type.as_str()).or_default() += 1;
        }
        count
    }

    /// The model as a file.
    ///
    /// # Errors
    ///
    /// If it has 2 GiB or more, which readers refuse.
    pub fn to_bytes(&self) -> Result<Vec<u8>, OnnxError> {
        let found = self.model.encoded_len();
        match found > LIMIT {
            true => Err(OnnxError::TooLarge {
                found,
                limit: LIMIT,
            }),
            false => Ok(self.model.encode_to_vec()),
        }
    }

    /// Writes the file, completely or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or is [too large](Self::to_bytes).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), OnnxError> {
        let path = path.as_ref();
        write_atomically(path, &self.to_bytes()?).map_err(|source| OnnxError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

fn ports(of: &[ValueInfo]) -> Vec<(String, Vec<usize>)> {
    of.iter()
        .map(|port| (port.name.clone(), port.shape()))
        .collect()
}
