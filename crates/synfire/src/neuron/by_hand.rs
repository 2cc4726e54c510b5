//! Neurons that run as one operation, for layers that run together with them.

use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::{FloatDType, Tensor};

use super::equation_neuron::Run;
use super::{Coefficient, NeuronState, check_sequence};
use crate::dynamics::Term;
use crate::ops::{LifKernel, LifOps, OptionalTensor};

/// [`Lif`](super::Lif) neurons, for their hand-written kernels.
#[derive(Clone, Copy, Debug)]
pub struct ByHand<'a> {
    pub(crate) owner: &'static str,
    pub(crate) decay: &'a Coefficient,
    pub(crate) threshold: &'a Coefficient,
    pub(crate) kernel: LifKernel,
}

impl ByHand<'_> {
    /// Runs a sequence.
    pub(crate) fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let shape = input.dims();
        self.run(input, shape, state, |x, v, decay, threshold| {
            <Dispatch as LifOps>::lif(x, v, decay, threshold, self.kernel)
        })
    }

    /// Runs a kernel of these neurons, alone or with a layer before them. `sequence` is the shape of the neurons' input.
    ///
    /// The kernel takes the input, the state, decay and threshold, `[1]` or `[C]` in single precision each, and returns the
    /// spikes and the last `v`.
    pub(crate) fn run<const D: usize>(
        &self,
        input: Tensor<D>,
        sequence: [usize; D],
        state: Option<NeuronState>,
        kernel: impl FnOnce(
            DispatchTensor,
            OptionalTensor<Dispatch>,
            DispatchTensor,
            DispatchTensor,
        ) -> (DispatchTensor, DispatchTensor),
    ) -> (Tensor<D>, NeuronState) {
        let dtype = FloatDType::from(input.dtype());
        let before = state.as_ref().map_or(0, NeuronState::steps);
        let v = state.map(|state| state.take::<D>("v").cast(dtype));
        check_sequence(self.owner, sequence, v.as_ref().map(Tensor::dims));
        let numbers = [("decay", self.decay), ("threshold", self.threshold)];
        let [decay, threshold] = numbers.map(|(name, coefficient)| {
            let numbers = coefficient.tensor(self.owner, name, sequence, &input.device());
            numbers.cast(FloatDType::F32).into_dispatch()
        });
        let v = OptionalTensor::of(v);
        let (spikes, v) = kernel(input.into_dispatch(), v, decay, threshold);
        let v = Tensor::<D>::from_dispatch(v);
        let state = NeuronState::new([("v", v)], before + sequence[0]);
        (Tensor::from_dispatch(spikes), state)
    }
}

/// Neurons that run by their equations, with the same parameters in all of a channel.
#[derive(Clone, Debug)]
pub struct ByEquations<'a> {
    pub(crate) run: Run<'a>,
    pub(crate) parameters: Vec<Term>,
}
