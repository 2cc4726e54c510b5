//! The messages of `onnx.proto` that a model needs, with the field numbers of ONNX.

use prost::Message;

/// The types of elements (`TensorProto.DataType`).
pub(crate) const FLOAT: i32 = 1;
/// See [`FLOAT`].
pub(crate) const INT32: i32 = 6;
/// See [`FLOAT`].
pub(crate) const INT64: i32 = 7;
/// See [`FLOAT`].
pub(crate) const BOOL: i32 = 9;

/// A model.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Model {
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    #[prost(string, tag = "2")]
    pub producer_name: String,
    #[prost(string, tag = "3")]
    pub producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
}

/// The version of a set of operators.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub domain: String,
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// An entry of the metadata.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Entry {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A graph.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Constant>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// A node (`NodeProto`).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// An attribute of a node.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<Constant>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

impl Attribute {
    /// Of a type by its number in `AttributeProto.AttributeType`.
    fn new(name: &str, kind: i32) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            ..Self::default()
        }
    }

    pub fn int(name: &str, value: usize) -> Self {
        Self {
            i: Some(value as i64),
            ..Self::new(name, 2)
        }
    }

    pub fn float(name: &str, value: f64) -> Self {
        Self {
            f: Some(value as f32),
            ..Self::new(name, 1)
        }
    }

    pub fn text(name: &str, value: &str) -> Self {
        Self {
            s: Some(value.as_bytes().to_vec()),
            ..Self::new(name, 3)
        }
    }

    pub fn constant(name: &str, value: Constant) -> Self {
        Self {
            t: Some(value),
            ..Self::new(name, 4)
        }
    }

    pub fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Self {
        Self {
            ints: values.into_iter().map(|value| value as i64).collect(),
            ..Self::new(name, 7)
        }
    }
}

/// A constant (`TensorProto`).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Constant {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

/// The name and type of an input or output.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub kind: Option<Type>,
}

impl ValueInfo {
    pub fn new(name: &str, data_type: i32, shape: &[usize]) -> Self {
        let dim = shape.iter().map(|size| Dimension {
            dim_value: Some(*size as i64),
        });
        let shape = Dimensions { dim: dim.collect() };
        let tensor_type = TensorType {
            elem_type: data_type,
            shape: Some(shape),
        };
        Self {
            name: name.to_owned(),
            kind: Some(Type {
                tensor_type: Some(tensor_type),
            }),
        }
    }

    pub fn shape(&self) -> Vec<usize> {
        let tensor = self
            .kind
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref());
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        let dims = shape.map_or(&[][..], |shape| &shape.dim);
        dims.iter()
            .map(|dim| dim.dim_value.unwrap_or(0) as usize)
            .collect()
    }
}

/// A type.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Type {
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// The type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorType {
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Dimensions>,
}

/// The sizes of a tensor.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimensions {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// A size.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
}
