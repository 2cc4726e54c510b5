//! The fused LIF neuron in the stream of Burn's fusion.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;

use super::{LifBackwardOps, LifKept, LifKernel, LifStart};
use crate::ops::backward::{Adjoint, InputGradients};
use crate::ops::fusion::register;
use crate::ops::optional::OptionalTensorMetadata;

/// `[1, B, ...]` of `[T, B, ...]`.
fn one_step(sequence: &Shape) -> Shape {
    let mut shape = sequence.clone();
    shape[0] = 1;
    shape
}

/// The outputs of [`LifOps::lif`](super::LifOps::lif).
pub fn lif_outputs(
    x: &TensorSpec,
    _v: &OptionalTensorMetadata,
    _decay: &TensorSpec,
    _threshold: &TensorSpec,
    _kernel: &LifKernel,
) -> (TensorSpec, TensorSpec) {
    let state = TensorSpec::new(one_step(&x.shape), x.dtype);
    (x.clone(), state)
}

impl<B: FusionBackend + LifBackwardOps> LifBackwardOps for Fusion<B> {
    fn lif_backward(kept: LifKept<Self>, outputs: Adjoint<Self>) -> InputGradients<Self, 4> {
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
            Adjoint::Spikes(gradient) => (true, gradient),
            Adjoint::State(gradient) => (false, gradient),
        };
        let mut made = vec![(x.shape.clone(), x.dtype), (one_step(&x.shape), x.dtype)];
        if learned {
            made.extend([&decay, &threshold].map(|tensor| (tensor.shape.clone(), tensor.dtype)));
        }
        // The state last, if there is one.
        let mut given = vec![x, decay, threshold, gradient];
        given.extend(v);
        let compute = move |given: Vec<FloatTensor<B>>| {
            let mut given = given.into_iter();
            let [x, decay, threshold, gradient] =
                std::array::from_fn(|_| given.next().expect("as registered"));
            let kept = LifKept {
                sequence: x,
                keep,
                start: LifStart {
                    v: given.next(),
                    decay,
                    threshold,
                    kernel,
                },
                learned,
            };
            let outputs = match by_spikes {
                true => Adjoint::Spikes(gradient),
                false => Adjoint::State(gradient),
            };
            B::lif_backward(kept, outputs)
                .into_iter()
                .flatten()
                .collect()
        };
        let id = match learned {
            true => "synfire.lif_backward_learned",
            false => "synfire.lif_backward",
        };
        let mut made = register::<B, _>(id, given, made, compute).into_iter();
        std::array::from_fn(|_| made.next())
    }
}
