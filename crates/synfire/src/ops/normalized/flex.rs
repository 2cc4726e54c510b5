//! Neurons behind a batch normalisation on flex: one pass for the statistics, one for the neurons, and two passes back.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};

use super::{Behind, NormalizedKept, NormalizedKernel, NormalizedOps};
use crate::ops::backward::{Adjoint, InputGradients, NeuronKept};
use crate::ops::dynamics::DynamicsGiven;
use crate::ops::lif;
use crate::ops::memory::{elements, inverse, slice, slice_mut};
use crate::ops::norm::{ChannelNorm, Columns, statistics};
use crate::ops::optional::OptionalTensor;

/// The axes of `[T, B, C, ...]` with the channels last.
fn channels_last(rank: usize) -> Vec<usize> {
    (0..2).chain(3..rank).chain([2]).collect()
}

/// A tensor stored with its channels last, as a matrix of channels; no copy if it is stored so. The given handle is dropped, so
/// that the result may be overwritten if there is no other.
fn rows(x: FlexTensor) -> (FlexTensor, Columns) {
    let shape = x.shape();
    let inside = x.permute(&channels_last(shape.num_dims()));
    drop(x);
    let channels = shape[2];
    let columns = Columns::new(elements(&shape) / channels.max(1), channels);
    (inside.to_contiguous(), columns)
}

/// Inverse of [`rows`], as a strided view.
fn shown(inside: &FlexTensor) -> FlexTensor {
    inside.permute(&inverse(&channels_last(inside.shape().num_dims())))
}

impl NormalizedOps for Flex {
    fn normalized(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        state: OptionalTensor<Self>,
        parameters: FlexTensor,
        threshold: OptionalTensor<Self>,
        epsilon: f64,
        kernel: NormalizedKernel,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (inside, columns) = rows(x);
        let statistics = statistics(slice(&inside), columns);
        let norm = ChannelNorm::new(&statistics, &gamma, &beta, epsilon);
        let x = shown(&inside);
        let (spikes, last) = match Behind::new(x, state, parameters, threshold, kernel) {
            Behind::Lif(kept) => lif::forward_normalized(kept.sequence, &kept.start, &norm),
            Behind::Equations(given) => {
                // Their neurons would be in the order of the axes.
                assert!(!given.kernel.per_neuron, "kernel: parameters of channels");
                given.forward(Some(&norm))
            }
        };
        (spikes, last, statistics)
    }
}

impl NeuronKept<Flex, 6> for NormalizedKept<Flex> {
    fn backward(self, outputs: Adjoint<Flex>, needs: [bool; 6]) -> InputGradients<Flex, 6> {
        let [.., parameters, threshold] = needs;
        let norm = self.norm.norm();
        let steps = self.norm.x.shape()[0];
        let (inside, columns) = rows(self.norm.x);
        let x = shown(&inside);
        let (gradient, sums, state, [parameters, threshold]) = match self.neurons {
            Behind::Lif(kept) => {
                let kept = lif::LifKept {
                    sequence: x,
                    learned: parameters || threshold,
                    ..kept
                };
                let found = lif::backward(&kept, Some(&norm), outputs);
                (found.x, found.sums, found.v, found.learned)
            }
            Behind::Equations(given) => {
                let given = DynamicsGiven { x, ..given };
                let found = given.gradients(Some(&norm), &outputs, parameters);
                (found.x, found.sums, found.carried, [found.parameters, None])
            }
        };
        let totals = columns.totals_of_rows(&sums, steps);
        let (mut gradient, _) = rows(gradient);
        let of_norm =
            norm.input_gradient(columns, slice(&inside), slice_mut(&mut gradient), totals);
        let [gamma, beta] = of_norm.map(Some);
        let x = Some(shown(&gradient));
        [x, gamma, beta, Some(state), parameters, threshold]
    }
}
