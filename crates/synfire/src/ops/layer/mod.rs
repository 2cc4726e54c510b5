//! A convolution of spikes and the LIF neurons that it feeds, as one operation with a backward pass. The currents between
//! them are never stored as a whole.

mod flex;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::Keep;
use super::backward::{NeuronKept, NeuronNodes};
use super::lif::{LifBackwardOps, LifKernel, LifOps, LifStart};
use super::optional::OptionalTensor;
use super::synapse::{Synapse, SynapseBackwardOps, SynapseOps};

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
    type Kept: NeuronKept<Self, 6>;

    /// [`LayerOps::layer`] in one pass, and what it saves for backward. `None` if the input is not of spikes.
    fn layer_kept(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: OptionalTensor<Self>,
        start: LifStart<Self>,
        synapse: Synapse,
    ) -> Option<(FloatTensor<Self>, FloatTensor<Self>, Self::Kept)>;
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
        let start = LifStart::new(states, decays, thresholds, layer.kernel);
        let (bias_input, v_input) = (bias.or_constant(&weight), v.or_constant(&decay));
        let nodes = NeuronNodes::new::<B>([&x, &weight, &bias_input, &v_input, &decay, &threshold]);
        let found = B::layer_kept(plain(&x), weights, biases, start, layer.synapse);
        let Some((spikes, state, kept)) = found else {
            let current = Self::synapse(x, weight, bias, layer.synapse.dense());
            let kernel = LifKernel {
                keep: Keep::Membranes,
                ..layer.kernel
            };
            return Self::lif(current, v, decay, threshold, kernel);
        };
        nodes.outputs::<B, C>(kept, spikes, state)
    }
}
