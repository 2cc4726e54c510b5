//! A convolution of spikes and the LIF neurons that it feeds, as one operation with a backward pass. The currents between
//! them are never stored as a whole.

mod flex;

use std::fmt::Debug;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::Keep;
use super::lif::{LifAdjoint, LifBackwardOps, LifKernel, LifOps, LifStart};
use super::optional::OptionalTensor;
use super::synapse::{Needs, Synapse, SynapseBackwardOps, SynapseGradients, SynapseOps};

/// The equations of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    pub synapse: Synapse,
    pub kernel: LifKernel,
}

/// A convolution with its neurons.
#[backend_extension(Autodiff, Flex)]
pub trait LayerOps: Backend {
    /// [`SynapseOps::synapse`] followed by [`LifOps::lif`], for a sequence `[T, B, channels, height, width]`.
    #[allow(clippy::too_many_arguments)]
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: OptionalTensor<Self>,
        #[extension_type] v: OptionalTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`LayerOps`].
pub trait LayerBackwardOps: LayerOps + SynapseBackwardOps + LifBackwardOps {
    /// Saved for the backward pass.
    type Kept: Clone + Debug + Send + 'static;

    /// [`LayerOps::layer`] in one pass, and what it saves for backward. `None` if the input is not binary.
    fn layer_kept(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: OptionalTensor<Self>,
        start: LifStart<Self>,
        synapse: Synapse,
    ) -> Option<(FloatTensor<Self>, FloatTensor<Self>, Self::Kept)>;

    /// The gradients of the inputs, from that of one output.
    fn layer_backward(
        kept: Self::Kept,
        outputs: LifAdjoint<Self>,
        needs: LayerNeeds,
    ) -> LayerGradients<Self>;
}

/// Which gradients are needed.
#[derive(Clone, Copy, Debug)]
pub struct LayerNeeds {
    pub synapse: Needs,
    /// Whether the decay or the threshold needs a gradient.
    pub learned: bool,
}

/// The gradients of the inputs of a layer.
#[derive(Clone, Debug)]
pub struct LayerGradients<B: Backend> {
    pub synapse: SynapseGradients<B>,
    /// Of the initial state.
    pub v: FloatTensor<B>,
    /// Of decay and threshold, if needed.
    pub learned: Option<[FloatTensor<B>; 2]>,
}

#[derive(Clone, Copy, Debug)]
enum LayerBackward {
    OfSpikes,
    OfState,
}

impl<B: LayerBackwardOps> Backward<B, 6> for LayerBackward {
    type State = B::Kept;

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let outputs = match self {
            Self::OfSpikes => LifAdjoint::Spikes(gradient),
            Self::OfState => LifAdjoint::State(gradient),
        };
        let [x, weight, bias, v, decay, threshold] = ops.parents;
        let needs = LayerNeeds {
            synapse: Needs {
                x: x.is_some(),
                weight: weight.is_some(),
                bias: bias.is_some(),
            },
            learned: decay.is_some() || threshold.is_some(),
        };
        let found = B::layer_backward(ops.state, outputs, needs);
        let [by_decay, by_threshold] = match found.learned {
            Some(learned) => learned.map(Some),
            None => [None, None],
        };
        for (node, gradient) in [
            (x, found.synapse.x),
            (weight, found.synapse.weight),
            (bias, found.synapse.bias),
            (v, Some(found.v)),
            (decay, by_decay),
            (threshold, by_threshold),
        ] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: LayerBackwardOps, C: CheckpointStrategy> LayerOps for Autodiff<B, C> {
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: OptionalTensor<Self>,
        v: OptionalTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let plain = |tensor: &FloatTensor<Self>| tensor.primitive().clone();
        let tracked = [&x, &weight, &decay, &threshold]
            .iter()
            .any(|tensor| tensor.is_tracked());
        let [weights, decays, thresholds] = [&weight, &decay, &threshold].map(plain);
        let [biases, states] = [&bias, &v].map(|tensor| tensor.clone().into_primitive());
        if !(tracked || bias.is_tracked() || v.is_tracked()) {
            let x = plain(&x);
            let (spikes, state) = B::layer(x, weights, biases, states, decays, thresholds, layer);
            return [spikes, state].map(FloatTensor::<Self>::new).into();
        }
        let start = LifStart {
            v: states.into_option(),
            decay: decays,
            threshold: thresholds,
            kernel: layer.kernel,
        };
        let found = B::layer_kept(plain(&x), weights, biases, start, layer.synapse);
        let Some((spikes, state, kept)) = found else {
            let current = Self::synapse(x, weight, bias, layer.synapse.dense());
            let kernel = LifKernel {
                keep: Keep::Membranes,
                ..layer.kernel
            };
            return Self::lif(current, v, decay, threshold, kernel);
        };
        let finish = |backward: LayerBackward, output| {
            let nodes = [
                x.node(),
                weight.node(),
                bias.or_constant(&weight).node(),
                v.or_constant(&decay).node(),
                decay.node(),
                threshold.node(),
            ];
            let prepared = Backward::<B, 6>::prepare::<C>(backward, nodes);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(kept.clone(), output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        };
        (
            finish(LayerBackward::OfSpikes, spikes),
            finish(LayerBackward::OfState, state),
        )
    }
}
