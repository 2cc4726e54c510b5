//! Neurons behind a batch normalisation on flex: one pass for the statistics, one for the neurons, and two passes back.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};

use super::{NormalizedKept, NormalizedKernel, NormalizedNeurons, NormalizedOps};
use crate::ops::Keep;
use crate::ops::backward::{Adjoint, InputGradients, NeuronKept};
use crate::ops::dynamics::DynamicsGiven;
use crate::ops::lif::{self, LifKept, LifStart};
use crate::ops::memory::{slice, slice_mut};
use crate::ops::norm::{ChannelNorm, Columns, statistics};
use crate::ops::optional::OptionalTensor;
use crate::ops::synapse::{from_channels_last, to_channels_last};

/// Images with their channels last, as a matrix of channels; no copy if they are stored so. The given handle is dropped, so that
/// the result may be overwritten if there is no other.
fn rows(x: FlexTensor) -> (FlexTensor, Columns) {
    let inside = to_channels_last(&x);
    let channels = x.shape()[2];
    drop(x);
    let rows = slice(&inside).len() / channels.max(1);
    (inside, Columns::new(rows, channels))
}

/// Neurons, with the input of the normalisation in place of theirs.
enum Behind {
    Lif(LifKept<Flex>),
    Equations(DynamicsGiven<Flex>),
}

impl NormalizedNeurons<Flex> {
    /// The neurons behind this input, which is stored with its channels last; `learned` says whether their parameters need a
    /// gradient.
    fn behind(self, x: FlexTensor, learned: bool) -> Behind {
        match self.kernel {
            NormalizedKernel::Lif(kernel) => {
                let threshold = self.threshold.into_option();
                let threshold = threshold.expect("LIF neurons have one");
                Behind::Lif(LifKept {
                    sequence: x,
                    keep: Keep::Input,
                    start: LifStart::new(self.state, self.parameters, threshold, kernel),
                    learned,
                })
            }
            NormalizedKernel::Equations(kernel) => {
                // Their neurons would be in the order of the axes.
                assert!(!kernel.per_neuron, "kernel: parameters of channels");
                Behind::Equations(DynamicsGiven {
                    x,
                    carried: self.state.into_option(),
                    parameters: self.parameters,
                    kernel,
                })
            }
        }
    }
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
        let statistics = statistics(slice(&inside), columns, &gamma, epsilon);
        let norm = ChannelNorm::new(&statistics, &beta, epsilon);
        let neurons = NormalizedNeurons {
            state,
            parameters,
            threshold,
            kernel,
        };
        let (spikes, last) = match neurons.behind(from_channels_last(inside), false) {
            Behind::Lif(kept) => lif::forward_normalized(kept.sequence, &kept.start, &norm),
            Behind::Equations(given) => given.forward(Some(&norm)),
        };
        (spikes, last, statistics)
    }
}

impl NeuronKept<Flex, 6> for NormalizedKept<Flex> {
    fn backward(self, outputs: Adjoint<Flex>, needs: [bool; 6]) -> InputGradients<Flex, 6> {
        let [.., parameters, threshold] = needs;
        let learned = parameters || threshold;
        let norm = self.norm.norm();
        let (inside, columns) = rows(self.norm.x);
        let x = from_channels_last(inside.clone());
        let steps = x.shape()[0];
        let found = match self.neurons.behind(x, learned) {
            Behind::Lif(kept) => lif::backward(&kept, Some(&norm), outputs),
            Behind::Equations(given) => given.gradients(Some(&norm), &outputs, learned),
        };
        let totals = columns.totals_of_rows(&found.sums, steps);
        let (mut gradient, _) = rows(found.x);
        let of_norm =
            norm.input_gradient(columns, slice(&inside), slice_mut(&mut gradient), totals);
        let [gamma, beta] = of_norm.map(Some);
        let x = Some(from_channels_last(gradient));
        let [parameters, threshold] = found.learned;
        [x, gamma, beta, Some(found.state), parameters, threshold]
    }
}
