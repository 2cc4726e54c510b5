//! The fused neuron as an operation with a backward pass.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::{Keep, LifKernel};

/// The fused neuron.
#[backend_extension(
    Autodiff,
    Flex,
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "cube")
)]
pub trait LifOps: Backend {
    /// Spikes `[T, B, ...]` and what the last step leaves, `[1, B, ...]`, from the input `[T, B, ...]`, the state
    /// `[1, B, ...]`, and decay and threshold, `[1]` or `[C]`. Without a state it is anything, and not looked at.
    #[fusion(meta = super::fusion::lif_outputs)]
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
    /// [`LifOps::lif`], and what its backward pass needs: by default the input. `learned` says whether gradients of decay or
    /// threshold are asked for.
    fn lif_kept(
        x: FloatTensor<Self>,
        start: LifStart<Self>,
        learned: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, LifKept<Self>) {
        let LifStart {
            v,
            decay,
            threshold,
            kernel,
        } = start.clone();
        let has_state = v.is_some();
        // In place of a state that is not there stands something else.
        let v = v.unwrap_or_else(|| decay.clone());
        let (spikes, left) = Self::lif(x.clone(), v, decay, threshold, has_state, kernel);
        let kept = LifKept {
            sequence: x,
            keep: Keep::Input,
            start,
            learned,
        };
        (spikes, left, kept)
    }

    /// The gradients of the inputs, from those of the outputs, of which one is there.
    fn lif_backward(kept: LifKept<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self>;
}

/// What a fused neuron is given beside the input.
#[derive(Clone, Debug)]
pub struct LifStart<B: Backend> {
    /// The state before the first step, `[1, B, ...]`.
    pub v: Option<FloatTensor<B>>,
    /// The decay, `[1]` or `[C]`.
    pub decay: FloatTensor<B>,
    /// The threshold, `[1]` or `[C]`.
    pub threshold: FloatTensor<B>,
    /// The equations.
    pub kernel: LifKernel,
}

impl<B: Backend> LifStart<B> {
    /// As [`LifOps::lif`] is given it.
    pub fn new(
        v: FloatTensor<B>,
        decay: FloatTensor<B>,
        threshold: FloatTensor<B>,
        has_state: bool,
        kernel: LifKernel,
    ) -> Self {
        Self {
            v: has_state.then_some(v),
            decay,
            threshold,
            kernel,
        }
    }
}

/// What the backward pass of a fused neuron needs.
#[derive(Clone, Debug)]
pub struct LifKept<B: Backend> {
    /// The input or the membrane potentials before reset, `[T, B, ...]`.
    pub sequence: FloatTensor<B>,
    /// Which of them.
    pub keep: Keep,
    /// What else there was.
    pub start: LifStart<B>,
    /// Whether gradients of decay or threshold are asked for.
    pub learned: bool,
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
    /// By decay and threshold, `[1]` or `[C]`, if they were asked for.
    pub learned: Option<[FloatTensor<B>; 2]>,
}

#[derive(Clone, Copy, Debug)]
enum LifBackward {
    OfSpikes,
    OfState,
}

impl<B: LifBackwardOps> Backward<B, 4> for LifBackward {
    type State = LifKept<B>;

    fn backward(
        self,
        ops: Ops<LifKept<B>, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let outputs = match self {
            Self::OfSpikes => LifAdjoint::Spikes(gradient),
            Self::OfState => LifAdjoint::State(gradient),
        };
        let has_state = ops.state.start.v.is_some();
        let found = B::lif_backward(ops.state, outputs);
        let [decay_found, threshold_found] = match found.learned {
            Some(learned) => learned.map(Some),
            None => [None, None],
        };
        let [x, v, decay, threshold] = ops.parents;
        for (node, gradient) in [
            (x, Some(found.x)),
            // In place of a state that is not there stands something else.
            (v.filter(|_| has_state), Some(found.v)),
            (decay, decay_found),
            (threshold, threshold_found),
        ] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
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
        let tracked = FloatTensor::<Self>::is_tracked;
        let learned = tracked(&decay) || tracked(&threshold);
        let any = learned || tracked(&x) || (has_state && tracked(&v));
        let x = x.into_primitive();
        let (v, decay) = (v.into_primitive(), decay.into_primitive());
        let threshold = threshold.into_primitive();
        if !any {
            let (spikes, state) = B::lif(x, v, decay, threshold, has_state, kernel);
            return [spikes, state].map(FloatTensor::<Self>::new).into();
        }
        let start = LifStart::new(v, decay, threshold, has_state, kernel);
        let (spikes, state, kept) = B::lif_kept(x, start, learned);
        let finish = |backward: LifBackward, nodes, output| {
            let prepared = Backward::<B, 4>::prepare::<C>(backward, nodes);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(kept.clone(), output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        };
        (
            finish(LifBackward::OfSpikes, of_spikes, spikes),
            finish(LifBackward::OfState, of_state, state),
        )
    }
}
