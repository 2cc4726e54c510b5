//! Operations from float tensors to float tensors: in the stream of Burn's fusion, which runs them lazily, and on servers. Shapes
//! and types of their outputs are known at registration.

use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;

use burn::backend::Backend;
use burn::backend::fusion::custom::{
    CustomOpIr, HandleContainer, Operation, OperationIr, ScalarIr, StreamId, TensorId, TensorIr,
    TensorSpec,
};
use burn::backend::fusion::{ExecutionError, FusionBackend, FusionRuntime, FusionTensor};
use burn::backend::tensor::FloatTensor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

type Handles<B> =
    HandleContainer<<<B as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle>;

/// An operation without its tensors. It is plain data, so that it can be sent.
pub trait TensorOperation:
    Clone + Debug + Send + Sync + Serialize + DeserializeOwned + 'static
{
    /// The name in Burn's streams and on servers.
    const ID: &'static str;

    /// Shapes and types of the outputs, or what is wrong with the inputs.
    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String>;
}

/// An operation of one tensor, whose backward pass needs nothing but that tensor and the gradient of the output.
pub trait Unary: TensorOperation {
    /// The name of the backward pass.
    const BACKWARD: &'static str;
}

/// The backward pass of an operation of one tensor, of the gradient and the input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnaryBackward<O>(pub O);

impl<O: Unary> TensorOperation for UnaryBackward<O> {
    const ID: &'static str = O::BACKWARD;

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [gradient, x] = inputs else {
            return Err("expected two tensors".to_owned());
        };
        let [output] = exactly(self.0.outputs(std::slice::from_ref(x))?);
        check_same("gradient", gradient, &output)?;
        Ok(vec![x.clone()])
    }
}

/// A backend that runs an operation.
pub trait Runs<B: Backend>: TensorOperation {
    /// The outputs, as many as [`outputs`](TensorOperation::outputs) says.
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>>;
}

/// The description of an operation with these inputs and numbers. `create` names an output.
pub fn describe<O: TensorOperation>(
    operation: &O,
    inputs: Vec<TensorIr>,
    scalars: Vec<ScalarIr>,
    create: impl Fn() -> TensorId,
) -> CustomOpIr {
    let specs: Vec<_> = inputs.iter().map(spec).collect();
    let outputs = operation.outputs(&specs);
    let outputs = outputs.unwrap_or_else(|wrong| panic!("{}: {wrong}", O::ID));
    let outputs = outputs.into_iter();
    CustomOpIr {
        id: O::ID.to_owned(),
        inputs,
        outputs: outputs
            .map(|spec| TensorIr::uninit(create(), spec.shape, spec.dtype))
            .collect(),
        scalars,
    }
}

/// Checks the shape and the type of a tensor.
pub fn check_same(what: &str, found: &TensorSpec, expected: &TensorSpec) -> Result<(), String> {
    match found.shape == expected.shape && found.dtype == expected.dtype {
        true => Ok(()),
        false => {
            let (found, expected) = (&found.shape, &expected.shape);
            Err(format!("the {what} {found:?}, expected {expected:?}"))
        }
    }
}

/// The state `[rows, B, ...]` of neurons with an input `[T, B, ...]`, after a check of the input and of the state that is given.
pub fn state_of(
    x: &TensorSpec,
    rows: usize,
    given: Option<&TensorSpec>,
) -> Result<TensorSpec, String> {
    let sizes: &[usize] = &x.shape;
    if sizes.len() < 2 || sizes[0] == 0 {
        return Err(format!("the input {sizes:?}, expected [T, B, ...]"));
    }
    let mut state = x.clone();
    state.shape[0] = rows;
    if let Some(given) = given {
        check_same("state", given, &state)?;
    }
    Ok(state)
}

/// The inputs that an operation always has, and the one that may follow.
pub fn with_optional<T, const N: usize>(inputs: Vec<T>) -> ([T; N], Option<T>) {
    let mut inputs = inputs.into_iter();
    let first = std::array::from_fn(|_| inputs.next().expect("they were checked"));
    (first, inputs.next())
}

/// Gradients of the first inputs; the others have none.
pub fn first_gradients<T, const N: usize>(outputs: Vec<T>) -> [Option<T>; N] {
    let mut outputs = outputs.into_iter();
    std::array::from_fn(|_| outputs.next())
}

/// Shape and type of a tensor.
pub fn spec(tensor: &TensorIr) -> TensorSpec {
    TensorSpec::new(tensor.shape.clone(), tensor.dtype)
}

/// An operation of the inner backend.
struct StreamOperation<B, O> {
    description: CustomOpIr,
    operation: O,
    backend: PhantomData<fn() -> B>,
}

impl<B, O> Debug for StreamOperation<B, O> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.description.id)
    }
}

impl<B: FusionBackend, O: Runs<B>> Operation<B::FusionRuntime> for StreamOperation<B, O> {
    fn execute(&self, handles: &mut Handles<B>) -> Result<(), ExecutionError> {
        let CustomOpIr {
            inputs, outputs, ..
        } = &self.description;
        let inputs = inputs
            .iter()
            .map(|tensor| handles.get_float_tensor::<B>(tensor))
            .collect();
        let made = self.operation.clone().run(inputs);
        assert_eq!(made.len(), outputs.len(), "{self:?}: the outputs");
        for (tensor, made) in outputs.iter().zip(made) {
            handles.register_float_tensor::<B>(&tensor.id, made);
        }
        Ok(())
    }
}

/// Registers an operation with the stream of its first input, and returns its outputs.
pub fn register<B: FusionBackend, O: Runs<B>>(
    operation: O,
    inputs: Vec<FusionTensor<B::FusionRuntime>>,
) -> Vec<FusionTensor<B::FusionRuntime>> {
    let client = inputs[0].client.clone();
    let inputs = inputs.into_iter().map(FusionTensor::into_ir).collect();
    #[cfg(feature = "remote")]
    let scalars = super::remote::scalars_for::<B>(&operation);
    #[cfg(not(feature = "remote"))]
    let scalars = Vec::new();
    let description = describe(&operation, inputs, scalars, || client.create_empty_handle());
    let operation = StreamOperation::<B, O> {
        description: description.clone(),
        operation,
        backend: PhantomData,
    };
    client.register(
        StreamId::current(),
        OperationIr::Custom(description),
        operation,
    )
}

/// The outputs of an operation that has so many.
pub fn exactly<T, const N: usize>(outputs: Vec<T>) -> [T; N] {
    let found = outputs.len();
    let outputs = outputs.try_into();
    outputs.unwrap_or_else(|_| panic!("{found} outputs, expected {N}"))
}
