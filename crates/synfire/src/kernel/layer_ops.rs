//! A convolution of spikes together with the neurons that it feeds, as one operation with a backward pass: the currents
//! between them never lie in memory as a whole.

use std::fmt::Debug;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::lif_ops::{LifAdjoint, LifBackwardOps, LifOps, LifStart};
use super::synapse_ops::{Needs, Synapse, SynapseBackwardOps, SynapseGradients, SynapseOps};
use super::{Keep, LifKernel};

/// What decides the equations of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    pub synapse: Synapse,
    pub kernel: LifKernel,
    /// Whether there was a state before the first step.
    pub has_state: bool,
}

/// A convolution with its neurons.
#[backend_extension(Autodiff, Flex)]
pub trait LayerOps: Backend {
    /// What [`LifOps::lif`] makes of what [`SynapseOps::synapse`] gives, from a sequence `[T, B, channels, height, width]`.
    #[allow(clippy::too_many_arguments)]
    fn layer(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        v: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`LayerOps`].
pub trait LayerBackwardOps: LayerOps + SynapseBackwardOps + LifBackwardOps {
    /// What is left for the backward pass.
    type Kept: Clone + Debug + Send + 'static;

    /// [`LayerOps::layer`] in one go, if the input is spikes, and what is left for the backward pass.
    fn layer_kept(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        start: LifStart<Self>,
        synapse: Synapse,
    ) -> Option<(FloatTensor<Self>, FloatTensor<Self>, Self::Kept)>;

    /// The gradients of the inputs, from those of the outputs, of which one is there. The input of the neurons has none:
    /// `x` is that of the spikes, and comes with the weights.
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
    /// Of decay or threshold.
    pub learned: bool,
}

/// The gradients of what a layer was given.
#[derive(Clone, Debug)]
pub struct LayerGradients<B: Backend> {
    pub synapse: SynapseGradients<B>,
    /// By the state before the first step.
    pub v: FloatTensor<B>,
    /// By decay and threshold, if they are needed.
    pub learned: Option<[FloatTensor<B>; 2]>,
}

#[derive(Clone, Copy, Debug)]
enum LayerBackward {
    OfSpikes,
    OfState,
}

impl<B: LayerBackwardOps> Backward<B, 6> for LayerBackward {
    type State = (B::Kept, Layer);

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let outputs = match self {
            Self::OfSpikes => LifAdjoint::Spikes(gradient),
            Self::OfState => LifAdjoint::State(gradient),
        };
        let (kept, layer) = ops.state;
        let [x, weight, bias, v, decay, threshold] = ops.parents;
        // In place of what is not there stands something else.
        let bias = bias.filter(|_| layer.synapse.has_bias);
        let v = v.filter(|_| layer.has_state);
        let needs = LayerNeeds {
            synapse: Needs {
                x: x.is_some(),
                weight: weight.is_some(),
                bias: bias.is_some(),
            },
            learned: decay.is_some() || threshold.is_some(),
        };
        let found = B::layer_backward(kept, outputs, needs);
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
        bias: FloatTensor<Self>,
        v: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let all = [&x, &weight, &bias, &v, &decay, &threshold];
        let plain = |tensor: &FloatTensor<Self>| tensor.primitive().clone();
        if !all.iter().any(|tensor| tensor.is_tracked()) {
            let [x, weight, bias, v, decay, threshold] = all.map(plain);
            let (spikes, state) = B::layer(x, weight, bias, v, decay, threshold, layer);
            return [spikes, state].map(FloatTensor::<Self>::new).into();
        }
        let start = LifStart {
            v: layer.has_state.then(|| plain(&v)),
            decay: plain(&decay),
            threshold: plain(&threshold),
            kernel: layer.kernel,
        };
        let [given, weights, biases] = [&x, &weight, &bias].map(plain);
        let found = B::layer_kept(given, weights, biases, start, layer.synapse);
        let Some((spikes, state, kept)) = found else {
            let current = Self::synapse(x, weight, bias, layer.synapse.dense());
            let kernel = LifKernel {
                keep: Keep::Membranes,
                ..layer.kernel
            };
            return Self::lif(current, v, decay, threshold, layer.has_state, kernel);
        };
        let finish = |backward: LayerBackward, output| {
            let nodes = all.map(|tensor| tensor.node());
            let prepared = Backward::<B, 6>::prepare::<C>(backward, nodes);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish((kept.clone(), layer), output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        };
        (
            finish(LayerBackward::OfSpikes, spikes),
            finish(LayerBackward::OfState, state),
        )
    }
}
