//! The fused neuron as an operation with a backward pass.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::LifKernel;

/// The fused neuron, for implementers of backends.
#[backend_extension(Autodiff, Flex)]
pub trait LifOps: Backend {
    /// Spikes `[T, B, ...]` and what the last step leaves, `[1, B, ...]`, from the input `[T, B, ...]`, the state
    /// `[1, B, ...]`, and decay and threshold, `[1]` or `[C]`. Without a state it is anything, and not looked at.
    fn lif(
        x: FloatTensor<Self>,
        v: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        has_state: bool,
        kernel: LifKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`LifOps`].
pub trait LifBackwardOps: LifOps {
    /// The gradients of the inputs, from those of the outputs, of which one is there.
    fn lif_backward(inputs: LifInputs<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self>;
}

/// What a fused neuron was given.
#[derive(Clone, Debug)]
pub struct LifInputs<B: Backend> {
    /// The input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// The state before the first step, `[1, B, ...]`, if there was one; else anything.
    pub v: FloatTensor<B>,
    /// The decay, `[1]` or `[C]`.
    pub decay: FloatTensor<B>,
    /// The threshold, `[1]` or `[C]`.
    pub threshold: FloatTensor<B>,
    /// Whether there was a state.
    pub has_state: bool,
    /// The equations.
    pub kernel: LifKernel,
}

/// The gradient of one of its outputs.
#[derive(Clone, Debug)]
pub enum LifAdjoint<B: Backend> {
    /// By the spikes, `[T, B, ...]`.
    Spikes(FloatTensor<B>),
    /// By what the last step left, `[1, B, ...]`.
    State(FloatTensor<B>),
}

/// The gradients of what it was given.
#[derive(Clone, Debug)]
pub struct LifGradients<B: Backend> {
    /// By the input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// By the state before the first step, `[1, B, ...]`.
    pub v: FloatTensor<B>,
    /// By the decay, `[1]` or `[C]`.
    pub decay: FloatTensor<B>,
    /// By the threshold, `[1]` or `[C]`.
    pub threshold: FloatTensor<B>,
}

#[derive(Clone, Copy, Debug)]
enum LifBackward {
    OfSpikes,
    OfState,
}

impl<B: LifBackwardOps> Backward<B, 4> for LifBackward {
    type State = LifInputs<B>;

    fn backward(
        self,
        ops: Ops<LifInputs<B>, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let outputs = match self {
            Self::OfSpikes => LifAdjoint::Spikes(gradient),
            Self::OfState => LifAdjoint::State(gradient),
        };
        let has_state = ops.state.has_state;
        let found = B::lif_backward(ops.state, outputs);
        let [x, v, decay, threshold] = ops.parents;
        for (node, gradient) in [
            (x, found.x),
            // In place of a state that is not there stands something else.
            (v.filter(|_| has_state), found.v),
            (decay, found.decay),
            (threshold, found.threshold),
        ] {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: LifBackwardOps, C: CheckpointStrategy> LifOps for Autodiff<B, C> {
    fn lif(
        x: FloatTensor<Self>,
        v: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        has_state: bool,
        kernel: LifKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = || [x.node(), v.node(), decay.node(), threshold.node()];
        let [of_spikes, of_state] = [nodes(), nodes()];
        let inputs = LifInputs::<B> {
            x: x.into_primitive(),
            v: v.into_primitive(),
            decay: decay.into_primitive(),
            threshold: threshold.into_primitive(),
            has_state,
            kernel,
        };
        let LifInputs {
            x,
            v,
            decay,
            threshold,
            ..
        } = inputs.clone();
        let (spikes, state) = B::lif(x, v, decay, threshold, has_state, kernel);
        let finish = |backward: LifBackward, nodes, output| {
            let prepared = Backward::<B, 4>::prepare::<C>(backward, nodes);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(inputs.clone(), output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        };
        (
            finish(LifBackward::OfSpikes, of_spikes, spikes),
            finish(LifBackward::OfState, of_state, state),
        )
    }
}
