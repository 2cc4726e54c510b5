//! Batch normalisation by the statistics of the input, as an operation with a backward pass.

mod flex;
#[cfg(feature = "fusion")]
mod operation;

use std::fmt::Debug;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::backward::{InputGradients, register};

#[cfg(feature = "fusion")]
pub use operation::of_channels;
#[cfg(feature = "remote")]
pub use operation::{NormBackward, NormForward};

pub use flex::{ChannelNorm, Columns, NormRows, of_norm, statistics};

/// Batch normalisation.
#[backend_extension(Autodiff, Flex, Remote: cfg(feature = "remote"))]
pub trait NormOps: Backend {
    /// Normalises the columns of `[rows, C]`, with `gamma` and `beta` of `[C]`. Also returns mean, variance and
    /// `gamma / sqrt(variance + epsilon)` of each column, `[3, C]`, which carry no gradient.
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`NormOps`].
pub trait NormBackwardOps: NormOps {
    /// The gradients of the inputs, from that of the output.
    fn normalize_backward(
        kept: NormKept<Self>,
        gradient: FloatTensor<Self>,
    ) -> InputGradients<Self, 3>;
}

/// Saved for the backward pass.
#[derive(Clone, Debug)]
pub struct NormKept<B: Backend> {
    pub x: FloatTensor<B>,
    pub beta: FloatTensor<B>,
    /// Mean, variance and `gamma / sqrt(variance + epsilon)`, `[3, C]`.
    pub statistics: FloatTensor<B>,
    pub epsilon: f64,
}

#[derive(Debug)]
struct NormNode;

impl<B: NormBackwardOps> Backward<B, 3> for NormNode {
    type State = NormKept<B>;

    fn backward(self, ops: Ops<NormKept<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        register::<B, _, 3>(ops, grads, |kept, gradient, _| {
            B::normalize_backward(kept, gradient)
        });
    }
}

impl<B: NormBackwardOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn normalize(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let [x, gamma, beta] = [x, gamma, beta].map(|tensor| tensor.into_primitive());
        let forward = || B::normalize(x.clone(), gamma, beta.clone(), epsilon);
        let prepared = Backward::<B, 3>::prepare::<C>(NormNode, nodes);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, statistics) = forward();
                let kept = NormKept {
                    x,
                    beta,
                    statistics: statistics.clone(),
                    epsilon,
                };
                (
                    prepared.finish(kept, output),
                    FloatTensor::<Self>::new(statistics),
                )
            }
            OpsKind::UnTracked(prepared) => {
                let (output, statistics) = forward();
                (
                    prepared.finish(output),
                    FloatTensor::<Self>::new(statistics),
                )
            }
        }
    }
}
