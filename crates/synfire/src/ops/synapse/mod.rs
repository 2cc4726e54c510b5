//! Linear layers and convolutions of spikes, as an operation with a backward pass.

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
use serde::{Deserialize, Serialize};

use super::Product;
use super::backward::{InputGradients, register};
use super::conv::Window;
use super::optional::OptionalTensor;

#[cfg(feature = "remote")]
pub use operation::{SynapseBackward, SynapseForward};

pub use flex::{
    PackedSpikes, from_channels_last, geometry, to_channels_last, weights_inside, with_end,
};

/// The connections between the neurons of two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synapse {
    /// The pattern of connections.
    pub kind: SynapseKind,
    /// The algorithm of the products.
    pub product: Product,
}

impl Synapse {
    /// The same connections with dense products, for an input known not to be spikes.
    pub fn dense(self) -> Self {
        Self {
            product: Product::Dense,
            ..self
        }
    }
}

/// The pattern of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SynapseKind {
    /// All-to-all connections along the last axis: weights `[inputs, outputs]`.
    Linear,
    /// A window over the last three axes, `[channels, height, width]`: weights `[outputs, channels of a group, height,
    /// width]`.
    Conv2d(Window),
}

/// The products of spikes with weights.
#[backend_extension(Autodiff, Flex, Remote: cfg(feature = "remote"))]
pub trait SynapseOps: Backend {
    /// The currents that the next layer's neurons receive.
    fn synapse(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: OptionalTensor<Self>,
        synapse: Synapse,
    ) -> FloatTensor<Self>;
}

/// The backward pass of [`SynapseOps`].
pub trait SynapseBackwardOps: SynapseOps {
    /// The input as saved for backward.
    type Input: Clone + Debug + Send + 'static;

    /// The input as saved for backward.
    fn synapse_input(
        x: FloatTensor<Self>,
        weight: &FloatTensor<Self>,
        synapse: Synapse,
    ) -> Self::Input;

    /// [`SynapseOps::synapse`], and the input as saved for backward.
    fn synapse_kept(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: OptionalTensor<Self>,
        synapse: Synapse,
    ) -> (FloatTensor<Self>, Self::Input) {
        let input = Self::synapse_input(x.clone(), &weight, synapse);
        (Self::synapse(x, weight, bias, synapse), input)
    }

    /// The gradients of the inputs, from that of the output.
    fn synapse_backward(
        kept: SynapseKept<Self>,
        gradient: FloatTensor<Self>,
        needs: [bool; 3],
    ) -> InputGradients<Self, 3>;
}

/// Saved for the backward pass.
#[derive(Clone, Debug)]
pub struct SynapseKept<B: SynapseBackwardOps> {
    pub input: B::Input,
    pub weight: FloatTensor<B>,
    pub synapse: Synapse,
}

#[derive(Debug)]
struct SynapseNode;

impl<B: SynapseBackwardOps> Backward<B, 3> for SynapseNode {
    type State = SynapseKept<B>;

    fn backward(self, ops: Ops<SynapseKept<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        register::<B, _, 3>(ops, grads, B::synapse_backward);
    }
}

impl<B: SynapseBackwardOps, C: CheckpointStrategy> SynapseOps for Autodiff<B, C> {
    fn synapse(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: OptionalTensor<Self>,
        synapse: Synapse,
    ) -> FloatTensor<Self> {
        let bias_node = bias.or_constant(&weight).node();
        let nodes = [x.node(), weight.node(), bias_node];
        let (x, weight, bias) = (
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
        );
        let prepared = Backward::<B, 3>::prepare::<C>(SynapseNode, nodes);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, input) = B::synapse_kept(x, weight.clone(), bias, synapse);
                let kept = SynapseKept {
                    input,
                    weight,
                    synapse,
                };
                prepared.finish(kept, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::synapse(x, weight, bias, synapse)),
        }
    }
}
