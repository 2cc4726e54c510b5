//! The fused LIF neuron as an operation with a backward pass.

#[cfg(feature = "cube")]
mod cube;
mod flex;
#[cfg(feature = "cube")]
mod fusion;
#[cfg(feature = "cube")]
mod shader;
mod step;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::Keep;
use super::optional::OptionalTensor;
use crate::neuron::LifEquations;
use crate::surrogate::Surrogate;

pub use step::{Before, LifBackwardStep, LifForwardStep, LifParameters};

/// What a fused LIF neuron computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LifKernel {
    pub(crate) equations: LifEquations,
    pub surrogate: Surrogate,
    /// Whether neurons fire only above the threshold, not at it.
    pub strict: bool,
    /// What is saved for backward.
    pub keep: Keep,
}

impl LifKernel {
    /// Whether the CubeCL kernel knows the surrogate.
    pub(super) fn in_cubecl(&self) -> bool {
        #[cfg(feature = "cube")]
        {
            cube::curve(self.surrogate).is_some()
        }
        #[cfg(not(feature = "cube"))]
        {
            false
        }
    }
}

/// The fused neuron.
#[backend_extension(
    Autodiff,
    Flex,
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "cube")
)]
pub trait LifOps: Backend {
    /// Spikes `[T, B, ...]` and the final state `[1, B, ...]`, from the input `[T, B, ...]`, the initial state
    /// `[1, B, ...]`, and decay and threshold, `[1]` or `[C]`. Without an initial state, neurons start at rest.
    #[fusion(meta = fusion::lif_outputs)]
    fn lif(
        x: FloatTensor<Self>,
        #[extension_type] v: OptionalTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        kernel: LifKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`LifOps`].
pub trait LifBackwardOps: LifOps {
    /// [`LifOps::lif`], and what it saves for backward: by default the input. `learned` says whether the decay or the
    /// threshold needs a gradient.
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
        let (spikes, state) =
            Self::lif(x.clone(), OptionalTensor::new(v), decay, threshold, kernel);
        let kept = LifKept {
            sequence: x,
            keep: Keep::Input,
            start,
            learned,
        };
        (spikes, state, kept)
    }

    /// The gradients of the inputs, from that of one output.
    fn lif_backward(kept: LifKept<Self>, outputs: LifAdjoint<Self>) -> LifGradients<Self>;
}

/// The inputs of a fused neuron other than its sequence.
#[derive(Clone, Debug)]
pub struct LifStart<B: Backend> {
    /// The initial state, `[1, B, ...]`.
    pub v: Option<FloatTensor<B>>,
    /// The decay, `[1]` or `[C]`.
    pub decay: FloatTensor<B>,
    /// The threshold, `[1]` or `[C]`.
    pub threshold: FloatTensor<B>,
    /// The equations.
    pub kernel: LifKernel,
}

/// Saved for the backward pass of a fused neuron.
#[derive(Clone, Debug)]
pub struct LifKept<B: Backend> {
    /// The input or the membrane potentials before reset, `[T, B, ...]`.
    pub sequence: FloatTensor<B>,
    /// Which of the two `sequence` is.
    pub keep: Keep,
    /// The other inputs.
    pub start: LifStart<B>,
    /// Whether the decay or the threshold needs a gradient.
    pub learned: bool,
}

/// The gradient of one output.
#[derive(Clone, Debug)]
pub enum LifAdjoint<B: Backend> {
    /// Of the spikes, `[T, B, ...]`.
    Spikes(FloatTensor<B>),
    /// Of the final state, `[1, B, ...]`.
    State(FloatTensor<B>),
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct LifGradients<B: Backend> {
    /// Of the input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// Of the initial state, `[1, B, ...]`.
    pub v: FloatTensor<B>,
    /// Of decay and threshold, `[1]` or `[C]`, if needed.
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
        let found = B::lif_backward(ops.state, outputs);
        let [decay_found, threshold_found] = match found.learned {
            Some(learned) => learned.map(Some),
            None => [None, None],
        };
        let [x, v, decay, threshold] = ops.parents;
        for (node, gradient) in [
            (x, Some(found.x)),
            (v, Some(found.v)),
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
        v: OptionalTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        kernel: LifKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = || {
            let v = v.or_constant(&decay).node();
            [x.node(), v, decay.node(), threshold.node()]
        };
        let [of_spikes, of_state] = [nodes(), nodes()];
        let tracked = FloatTensor::<Self>::is_tracked;
        let learned = tracked(&decay) || tracked(&threshold);
        let any = learned || tracked(&x) || v.is_tracked();
        let x = x.into_primitive();
        let (v, decay) = (v.into_primitive(), decay.into_primitive());
        let threshold = threshold.into_primitive();
        if !any {
            let (spikes, state) = B::lif(x, v, decay, threshold, kernel);
            return [spikes, state].map(FloatTensor::<Self>::new).into();
        }
        let start = LifStart {
            v: v.into_option(),
            decay,
            threshold,
            kernel,
        };
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
