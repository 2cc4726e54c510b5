//! Neurons with a hand-written kernel.

use burn::backend::Dispatch;
use burn::tensor::{Device, FloatDType, Tensor};

use super::{Coefficient, NeuronState, check_sequence};
use crate::ops::{LifKernel, LifOps, OptionalTensor};

/// [`Lif`](super::Lif) neurons, for their hand-written kernels.
#[derive(Clone, Copy, Debug)]
pub struct ByHand<'a> {
    pub(crate) owner: &'static str,
    pub(crate) decay: &'a Coefficient,
    pub(crate) threshold: &'a Coefficient,
    pub(crate) kernel: LifKernel,
}

/// The inputs of such a kernel other than the sequence.
pub(crate) struct Given<const D: usize> {
    /// `[1]` or `[C]`, in single precision.
    pub decay: Tensor<1>,
    /// `[1]` or `[C]`, in single precision.
    pub threshold: Tensor<1>,
    /// The state, `[1, B, ...]`.
    pub v: Option<Tensor<D>>,
    /// The number of steps before.
    pub steps: usize,
}

impl ByHand<'_> {
    /// The inputs for a sequence of this shape and type. Checks the state.
    pub(crate) fn given<const D: usize>(
        &self,
        sequence: [usize; D],
        dtype: FloatDType,
        state: Option<NeuronState>,
        device: &Device,
    ) -> Given<D> {
        let steps = state.as_ref().map_or(0, NeuronState::steps);
        let v = state.map(|state| state.take::<D>("v").cast(dtype));
        check_sequence(self.owner, sequence, v.as_ref().map(Tensor::dims));
        let numbers = [("decay", self.decay), ("threshold", self.threshold)];
        let [decay, threshold] = numbers.map(|(name, coefficient)| {
            let numbers = coefficient.tensor(self.owner, name, sequence, device);
            numbers.cast(FloatDType::F32)
        });
        Given {
            decay,
            threshold,
            v,
            steps,
        }
    }

    /// Runs a sequence.
    pub(crate) fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let shape = input.dims();
        let dtype = FloatDType::from(input.dtype());
        let given = self.given(shape, dtype, state, &input.device());
        let steps = given.steps + shape[0];
        let (spikes, v) = <Dispatch as LifOps>::lif(
            input.into_dispatch(),
            OptionalTensor::of(given.v),
            given.decay.into_dispatch(),
            given.threshold.into_dispatch(),
            self.kernel,
        );
        let v = Tensor::<D>::from_dispatch(v);
        (
            Tensor::from_dispatch(spikes),
            NeuronState::new([("v", v)], steps),
        )
    }
}
