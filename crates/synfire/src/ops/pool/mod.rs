//! Pooling, over windows of an image or over time, as an operation with a backward pass.

mod flex;
#[cfg(feature = "fusion")]
mod operation;

use std::fmt::Debug;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};
use serde::{Deserialize, Serialize};

/// The windows of an image; each axis has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    pub size: [usize; 2],
    pub stride: [usize; 2],
    /// At the start and at the end, less than the size.
    pub padding: [(usize, usize); 2],
}

impl Windows {
    /// The number of windows along an axis of this size.
    pub fn count(&self, axis: usize, size: usize) -> usize {
        let (begin, end) = self.padding[axis];
        match (size + begin + end).checked_sub(self.size[axis]) {
            Some(room) => room / self.stride[axis] + 1,
            None => 0,
        }
    }
}

/// The elements that are pooled into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pool {
    /// The mean of windows; padding counts as zeros.
    Average(Windows),
    /// The maximum of windows; its gradient goes to the first maximum in row-major order. At most 256 elements in a window.
    Max(Windows),
    /// The mean over time, axis 0, which keeps size 1.
    Time,
    /// The mean of all elements; every axis keeps size 1.
    All,
}

/// Pooling.
#[backend_extension(Autodiff, Flex, Remote: cfg(feature = "remote"))]
pub trait PoolOps: Backend {
    /// Pools the last two axes of `[..., C, H, W]`, the first of `[T, ...]`, or all.
    fn pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self>;
}

/// The backward pass of [`PoolOps`].
pub trait PoolBackwardOps: PoolOps {
    /// The input as saved for backward.
    type Input: Clone + Debug + Send + 'static;

    /// [`PoolOps::pool`], and the input as saved for backward.
    fn pool_kept(x: FloatTensor<Self>, pool: Pool) -> (FloatTensor<Self>, Self::Input);

    /// The gradient of the input from that of the output.
    fn pool_backward(
        input: Self::Input,
        gradient: FloatTensor<Self>,
        pool: Pool,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct PoolNode;

impl<B: PoolBackwardOps> Backward<B, 1> for PoolNode {
    type State = (B::Input, Pool);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (input, pool) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::pool_backward(input, gradient, pool)
        });
    }
}

impl<B: PoolBackwardOps, C: CheckpointStrategy> PoolOps for Autodiff<B, C> {
    fn pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(PoolNode, [x.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, input) = B::pool_kept(x.into_primitive(), pool);
                prepared.finish((input, pool), output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::pool(x.into_primitive(), pool)),
        }
    }
}
