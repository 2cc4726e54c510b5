//! Nodes and constants of a graph.

use std::collections::{BTreeMap, HashMap, HashSet};

use burn::backend::capture::TensorId;
use burn::backend::ir::{ScalarIr, TensorIr};
use burn::tensor::{DType, TensorData};

use crate::OnnxError;
use crate::proto::{Attribute, BOOL, Constant, FLOAT, INT32, INT64, Node};

/// The nodes so far.
pub(crate) struct Builder {
    /// Initialised tensors: weights and other numbers that the network does not compute.
    data: BTreeMap<TensorId, TensorData>,
    names: HashMap<TensorId, String>,
    nodes: Vec<Node>,
    constants: Vec<Constant>,
    /// The names of constants that may be needed again, by their contents.
    known: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
}

impl Builder {
    pub fn new(data: BTreeMap<TensorId, TensorData>) -> Self {
        Self {
            data,
            names: HashMap::new(),
            nodes: Vec::new(),
            constants: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Gives a tensor a name.
    pub fn set_name(&mut self, id: TensorId, name: String) {
        self.names.insert(id, name);
    }

    /// The name of a tensor. Data become constants when they are used.
    pub fn name(&mut self, id: TensorId) -> Result<String, OnnxError> {
        if let Some(name) = self.names.get(&id) {
            return Ok(name.clone());
        }
        let Some(data) = self.data.remove(&id) else {
            return Err(OnnxError::Recording {
                reason: format!("{id} comes from nowhere"),
            });
        };
        let name = self.constant(of_data(&data)?);
        self.names.insert(id, name.clone());
        Ok(name)
    }

    /// The names of tensors.
    pub fn names<'a>(
        &mut self,
        tensors: impl IntoIterator<Item = &'a TensorIr>,
    ) -> Result<Vec<String>, OnnxError> {
        let tensors = tensors.into_iter();
        tensors.map(|tensor| self.name(tensor.id)).collect()
    }

    /// Adds a constant, and returns its name.
    fn constant(&mut self, constant: Constant) -> String {
        let name = format!("constant_{}", self.constants.len());
        self.constants.push(Constant {
            name: name.clone(),
            ..constant
        });
        name
    }

    /// A constant that is shared by all who need the same.
    fn shared(&mut self, constant: Constant) -> String {
        let key = (
            constant.data_type,
            constant.dims.clone(),
            constant.raw_data.clone(),
        );
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.constant(constant);
        self.known.insert(key, name.clone());
        name
    }

    /// A number in the type of a tensor.
    pub fn scalar(&mut self, value: ScalarIr, dtype: DType) -> Result<String, OnnxError> {
        let constant = number(value, dtype)?;
        Ok(self.shared(constant))
    }

    /// A list of whole numbers.
    pub fn ints(&mut self, values: impl IntoIterator<Item = i64>) -> String {
        let values: Vec<i64> = values.into_iter().collect();
        self.shared(Constant {
            dims: vec![values.len() as i64],
            data_type: INT64,
            raw_data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            ..Constant::default()
        })
    }

    /// A shape, or a list of axes.
    pub fn sizes(&mut self, values: impl IntoIterator<Item = usize>) -> String {
        self.ints(values.into_iter().map(|value| value as i64))
    }

    /// Adds a node with a result of this name.
    pub fn add_named(
        &mut self,
        operator: &str,
        input: Vec<String>,
        attribute: Vec<Attribute>,
        name: &str,
    ) {
        self.nodes.push(Node {
            input,
            output: vec![name.to_owned()],
            name: format!("{operator}_{}", self.nodes.len()),
            op_type: operator.to_owned(),
            attribute,
        });
    }

    /// Adds a node, and returns the name of its result.
    pub fn add(&mut self, operator: &str, input: Vec<String>, attribute: Vec<Attribute>) -> String {
        let name = format!("{operator}_{}", self.nodes.len());
        self.add_named(operator, input, attribute, &name);
        name
    }

    /// Adds a node whose result is this tensor.
    pub fn add_as(
        &mut self,
        operator: &str,
        input: Vec<String>,
        attribute: Vec<Attribute>,
        out: &TensorIr,
    ) {
        let name = self.add(operator, input, attribute);
        self.set_name(out.id, name);
    }

    /// Adds a node from tensors to a tensor.
    pub fn apply<'a>(
        &mut self,
        operator: &str,
        inputs: impl IntoIterator<Item = &'a TensorIr>,
        attributes: Vec<Attribute>,
        out: &TensorIr,
    ) -> Result<(), OnnxError> {
        let inputs = self.names(inputs)?;
        self.add_as(operator, inputs, attributes, out);
        Ok(())
    }

    /// Adds a node from a tensor and constants, by their names, to a tensor.
    pub fn apply_with(
        &mut self,
        operator: &str,
        input: &TensorIr,
        constants: impl IntoIterator<Item = String>,
        out: &TensorIr,
    ) -> Result<(), OnnxError> {
        let input = self.name(input.id)?;
        let inputs = [input].into_iter().chain(constants).collect();
        self.add_as(operator, inputs, vec![], out);
        Ok(())
    }

    /// The nodes and constants from which these values are computed.
    pub fn finish(mut self, outputs: &[String]) -> (Vec<Node>, Vec<Constant>) {
        let mut needed: HashSet<String> = outputs.iter().cloned().collect();
        let mut nodes = Vec::new();
        while let Some(node) = self.nodes.pop() {
            if node.output.iter().any(|name| needed.contains(name)) {
                needed.extend(node.input.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        self.constants
            .retain(|constant| needed.contains(&constant.name));
        (nodes, self.constants)
    }
}

/// The number of a type in ONNX.
pub(crate) fn data_type(dtype: DType) -> Result<i32, OnnxError> {
    match dtype {
        DType::F32 => Ok(FLOAT),
        DType::I32 => Ok(INT32),
        DType::I64 => Ok(INT64),
        DType::Bool(_) => Ok(BOOL),
        other => Err(OnnxError::Type {
            found: format!("{other:?}"),
        }),
    }
}

fn of_data(data: &TensorData) -> Result<Constant, OnnxError> {
    let data_type = data_type(data.dtype())?;
    let raw_data = match data_type {
        FLOAT => data.iter::<f32>().flat_map(f32::to_le_bytes).collect(),
        INT32 => data.iter::<i32>().flat_map(i32::to_le_bytes).collect(),
        INT64 => data.iter::<i64>().flat_map(i64::to_le_bytes).collect(),
        _ => data.iter::<bool>().map(u8::from).collect(),
    };
    Ok(Constant {
        dims: data.shape().iter().map(|size| *size as i64).collect(),
        data_type,
        raw_data,
        ..Constant::default()
    })
}

fn number(value: ScalarIr, dtype: DType) -> Result<Constant, OnnxError> {
    let data_type = data_type(dtype)?;
    let raw_data = match data_type {
        FLOAT => value.elem::<f32>().to_le_bytes().to_vec(),
        INT32 => value.elem::<i32>().to_le_bytes().to_vec(),
        INT64 => value.elem::<i64>().to_le_bytes().to_vec(),
        _ => vec![u8::from(value.elem::<bool>())],
    };
    Ok(Constant {
        data_type,
        raw_data,
        ..Constant::default()
    })
}

/// The attribute of `ConstantOfShape`: one number.
pub(crate) fn filled(value: ScalarIr, dtype: DType) -> Result<Attribute, OnnxError> {
    let constant = Constant {
        dims: vec![1],
        ..number(value, dtype)?
    };
    Ok(Attribute::constant("value", constant))
}
