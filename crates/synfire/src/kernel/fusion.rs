//! Kernels as operations in the stream of Burn's fusion, which runs them when it gets there: shapes and types of what they
//! make are said at once.

use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;

use burn::backend::fusion::custom::{
    CustomOpIr, HandleContainer, Operation, OperationIr, OperationOutput, StreamId, TensorIr,
    TensorSpec,
};
use burn::backend::fusion::{ExecutionError, Fusion, FusionBackend, FusionRuntime, FusionTensor};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};

use super::LifKernel;
use super::lif_ops::{LifAdjoint, LifBackwardOps, LifGradients, LifKept, LifStart};

type Handles<B> =
    HandleContainer<<<B as FusionBackend>::FusionRuntime as FusionRuntime>::FusionHandle>;

/// An operation on `N` tensors that makes `M` of them.
struct Custom<B, F, const N: usize, const M: usize> {
    description: CustomOpIr,
    compute: F,
    backend: PhantomData<fn() -> B>,
}

impl<B, F, const N: usize, const M: usize> Debug for Custom<B, F, N, M> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.description.id)
    }
}

impl<B, F, const N: usize, const M: usize> Operation<B::FusionRuntime> for Custom<B, F, N, M>
where
    B: FusionBackend,
    F: Fn([FloatTensor<B>; N]) -> [FloatTensor<B>; M] + Send + Sync,
{
    fn execute(&self, handles: &mut Handles<B>) -> Result<(), ExecutionError> {
        let (inputs, outputs): (&[TensorIr; N], &[TensorIr; M]) = self.description.as_fixed();
        let inputs = inputs
            .each_ref()
            .map(|tensor| handles.get_float_tensor::<B>(tensor));
        for (tensor, made) in outputs.iter().zip((self.compute)(inputs)) {
            handles.register_float_tensor::<B>(&tensor.id, made);
        }
        Ok(())
    }
}

/// Puts an operation into the stream.
fn register<B, F, const N: usize, const M: usize>(
    id: &'static str,
    inputs: [FusionTensor<B::FusionRuntime>; N],
    outputs: [(Shape, DType); M],
    compute: F,
) -> [FusionTensor<B::FusionRuntime>; M]
where
    B: FusionBackend,
    F: Fn([FloatTensor<B>; N]) -> [FloatTensor<B>; M] + Send + Sync + 'static,
{
    let client = inputs[0].client.clone();
    let outputs =
        outputs.map(|(shape, dtype)| TensorIr::uninit(client.create_empty_handle(), shape, dtype));
    let description = CustomOpIr::new(id, &inputs.map(FusionTensor::into_ir), &outputs);
    let operation = Custom::<B, F, N, M> {
        description: description.clone(),
        compute,
        backend: PhantomData,
    };
    client
        .register(
            StreamId::current(),
            OperationIr::Custom(description),
            operation,
        )
        .outputs()
}

/// `[1, B, ...]` of `[T, B, ...]`.
fn one_step(sequence: &Shape) -> Shape {
    let mut shape = sequence.clone();
    shape[0] = 1;
    shape
}

/// What [`LifOps::lif`] makes.
pub fn lif_outputs(
    x: &TensorSpec,
    _v: &TensorSpec,
    _decay: &TensorSpec,
    _threshold: &TensorSpec,
    _has_state: &bool,
    _kernel: &LifKernel,
) -> (TensorSpec, TensorSpec) {
    let left = TensorSpec::new(one_step(&x.shape), x.dtype);
    (x.clone(), left)
}

impl<B: FusionBackend + LifBackwardOps> LifBackwardOps for Fusion<B> {
    fn lif_backward(kept: LifKept<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self> {
        let LifKept {
            sequence: x,
            keep,
            start,
            learned,
        } = kept;
        let LifStart {
            v,
            decay,
            threshold,
            kernel,
        } = start;
        let (by_spikes, gradient) = match outputs {
            LifAdjoint::Spikes(gradient) => (true, gradient),
            LifAdjoint::State(gradient) => (false, gradient),
        };
        let has_state = v.is_some();
        let v = v.unwrap_or_else(|| decay.clone());
        let made = [
            (x.shape.clone(), x.dtype),
            (one_step(&x.shape), x.dtype),
            (decay.shape.clone(), decay.dtype),
            (threshold.shape.clone(), threshold.dtype),
        ];
        let given = [x, v, decay, threshold, gradient];
        let compute = move |[x, v, decay, threshold, gradient]: [FloatTensor<B>; 5]| {
            let kept = LifKept {
                sequence: x,
                keep,
                start: LifStart::new(v, decay, threshold, has_state, kernel),
                learned,
            };
            let outputs = match by_spikes {
                true => LifAdjoint::Spikes(gradient),
                false => LifAdjoint::State(gradient),
            };
            B::lif_backward(kept, outputs)
        };
        if learned {
            let compute = move |given| {
                let found = compute(given);
                let [decay, threshold] = found.learned.expect("they were asked for");
                [found.x, found.v, decay, threshold]
            };
            let [x, v, decay, threshold] =
                register::<B, _, 5, 4>("synfire.lif_backward_learned", given, made, compute);
            return LifGradients {
                x,
                v,
                learned: Some([decay, threshold]),
            };
        }
        let [x, v, _, _] = made;
        let compute = move |given| {
            let found = compute(given);
            [found.x, found.v]
        };
        let [x, v] = register::<B, _, 5, 2>("synfire.lif_backward", given, [x, v], compute);
        LifGradients {
            x,
            v,
            learned: None,
        }
    }
}
