//! The backward pass of a spike, for every backend.

use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::retro_forward::RetroForward;
use burn::backend::autodiff::checkpoint::state::BackwardStates;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::tensor::FloatTensor;

use super::Forward;
use super::ops::{SpikeOps, forward};
use crate::surrogate::Surrogate;

#[derive(Debug)]
struct SpikeBackward(Surrogate);

impl<B: SpikeOps> Backward<B, 1> for SpikeBackward {
    /// The node of `x`.
    type State = NodeId;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let x = checkpointer.retrieve_node_output::<FloatTensor<B>>(ops.state);
        unary::<B, _>(ops.parents, ops.node, grads, |grad| {
            B::float_mul(grad, B::surrogate_derivative(x, self.0))
        });
    }
}

/// Recomputes the spikes if gradient checkpointing did not keep them.
#[derive(Debug)]
struct SpikeAgain<B> {
    x: NodeId,
    surrogate: Surrogate,
    mode: Forward,
    backend: PhantomData<B>,
}

impl<B: SpikeOps> RetroForward for SpikeAgain<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state::<FloatTensor<B>>(&self.x);
        states.save(out_node, forward::<B>(x, self.surrogate, self.mode));
    }
}

fn tracked<B: SpikeOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    surrogate: Surrogate,
    mode: Forward,
) -> FloatTensor<Autodiff<B, C>> {
    let node = x.node();
    let again = SpikeAgain::<B> {
        x: node.id(),
        surrogate,
        mode,
        backend: PhantomData,
    };
    match SpikeBackward(surrogate)
        .prepare::<C>([node])
        // Cheaper to recompute than to keep.
        .memory_bound()
        .retro_forward(again)
        .parents([&x])
        .stateful()
    {
        OpsKind::Tracked(mut prep) => {
            let state = prep.checkpoint(&x);
            prep.finish(state, forward::<B>(x.into_primitive(), surrogate, mode))
        }
        OpsKind::UnTracked(prep) => prep.finish(forward::<B>(x.into_primitive(), surrogate, mode)),
    }
}

impl<B: SpikeOps, C: CheckpointStrategy> SpikeOps for Autodiff<B, C> {
    fn spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        tracked::<B, C>(x, surrogate, Forward::Step)
    }

    fn strict_spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        tracked::<B, C>(x, surrogate, Forward::StrictStep)
    }

    fn smooth_spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        tracked::<B, C>(x, surrogate, Forward::Smooth)
    }
    // `surrogate_derivative` keeps its default body of differentiable operations.
}
