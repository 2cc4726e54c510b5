//! Custom operations in the stream of Burn's fusion, which runs them lazily. Shapes and types of their outputs are known at
//! registration.

use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;

use burn::backend::fusion::custom::{
    CustomOpIr, HandleContainer, Operation, OperationIr, StreamId, TensorIr,
};
use burn::backend::fusion::{ExecutionError, FusionBackend, FusionRuntime, FusionTensor};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};

type Handles<B> =
    HandleContainer<<<B as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle>;

/// An operation of the inner backend, from a list of float tensors to another.
struct StreamOperation<B, F> {
    description: CustomOpIr,
    compute: F,
    backend: PhantomData<fn() -> B>,
}

impl<B, F> Debug for StreamOperation<B, F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.description.id)
    }
}

impl<B, F> Operation<B::FusionRuntime> for StreamOperation<B, F>
where
    B: FusionBackend,
    F: Fn(Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> + Send + Sync,
{
    fn execute(&self, handles: &mut Handles<B>) -> Result<(), ExecutionError> {
        let CustomOpIr {
            inputs, outputs, ..
        } = &self.description;
        let inputs = inputs
            .iter()
            .map(|tensor| handles.get_float_tensor::<B>(tensor))
            .collect();
        let made = (self.compute)(inputs);
        assert_eq!(made.len(), outputs.len(), "{self:?}: the outputs");
        for (tensor, made) in outputs.iter().zip(made) {
            handles.register_float_tensor::<B>(&tensor.id, made);
        }
        Ok(())
    }
}

/// Registers an operation with the stream of its first input, and returns its outputs.
pub fn register<B, F>(
    id: &'static str,
    inputs: Vec<FusionTensor<B::FusionRuntime>>,
    outputs: Vec<(Shape, DType)>,
    compute: F,
) -> Vec<FusionTensor<B::FusionRuntime>>
where
    B: FusionBackend,
    F: Fn(Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> + Send + Sync + 'static,
{
    let client = inputs[0].client.clone();
    let inputs: Vec<TensorIr> = inputs.into_iter().map(FusionTensor::into_ir).collect();
    let outputs: Vec<TensorIr> = outputs
        .into_iter()
        .map(|(shape, dtype)| TensorIr::uninit(client.create_empty_handle(), shape, dtype))
        .collect();
    let description = CustomOpIr::new(id, &inputs, &outputs);
    let operation = StreamOperation::<B, F> {
        description: description.clone(),
        compute,
        backend: PhantomData,
    };
    client.register(
        StreamId::current(),
        OperationIr::Custom(description),
        operation,
    )
}
