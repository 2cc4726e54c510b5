//! Products of queries, keys and values that are spikes, as an operation with a backward pass.

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

/// Heads of an attention, and the factor of its output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    pub heads: usize,
    pub scale: f32,
}

impl Attention {
    /// Whether so many channels are queries, keys and values of the heads.
    pub fn divides(&self, channels: usize) -> bool {
        // Without a product: there may be any number of heads.
        channels.is_multiple_of(3)
            && (1..=channels / 3).contains(&self.heads)
            && (channels / 3).is_multiple_of(self.heads)
    }
}

/// Spiking self-attention.
#[backend_extension(Autodiff, Flex, Remote: cfg(feature = "remote"))]
pub trait AttentionOps: Backend {
    /// `scale * Q K^T V` of every head, `[T, B, C, H, W]`, from `[T, B, 3 * C, H, W]`: queries, keys and values.
    fn spike_attention(x: FloatTensor<Self>, attention: Attention) -> FloatTensor<Self>;
}

/// The backward pass of [`AttentionOps`].
pub trait AttentionBackwardOps: AttentionOps {
    /// The input as saved for backward.
    type Input: Clone + Debug + Send + 'static;

    /// The input as saved for backward.
    fn spike_attention_input(x: FloatTensor<Self>, attention: Attention) -> Self::Input;

    /// [`AttentionOps::spike_attention`] of an input as saved for backward.
    fn spike_attention_of(input: &Self::Input, attention: Attention) -> FloatTensor<Self>;

    /// The gradient of the input from that of the output.
    fn spike_attention_backward(
        input: Self::Input,
        gradient: FloatTensor<Self>,
        attention: Attention,
    ) -> FloatTensor<Self>;
}

#[derive(Debug)]
struct AttentionNode;

impl<B: AttentionBackwardOps> Backward<B, 1> for AttentionNode {
    type State = (B::Input, Attention);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (input, attention) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::spike_attention_backward(input, gradient, attention)
        });
    }
}

impl<B: AttentionBackwardOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn spike_attention(x: FloatTensor<Self>, attention: Attention) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(AttentionNode, [x.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let input = B::spike_attention_input(x.into_primitive(), attention);
                let output = B::spike_attention_of(&input, attention);
                prepared.finish((input, attention), output)
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::spike_attention(x.into_primitive(), attention))
            }
        }
    }
}
