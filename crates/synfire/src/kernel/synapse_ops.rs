//! Linear layers and convolutions that are fed with spikes, as an operation with a backward pass.

use std::fmt::Debug;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::Product;
use super::conv::Window;

/// What connects the neurons of two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synapse {
    /// Which neurons meet which weights.
    pub kind: SynapseKind,
    /// Whether there is a bias.
    pub has_bias: bool,
    /// How the products are made.
    pub product: Product,
}

impl Synapse {
    /// The same without a look at the input, which was looked at already.
    pub fn dense(self) -> Self {
        Self {
            product: Product::Dense,
            ..self
        }
    }
}

/// Which neurons meet which weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynapseKind {
    /// All of the last axis meet all: weights `[inputs, outputs]`.
    Linear,
    /// Those in a window of the last three axes, `[channels, height, width]`: weights `[outputs, channels of a group,
    /// height, width]`.
    Conv2d(Window),
}

/// The products of spikes with weights.
#[backend_extension(Autodiff, Flex)]
pub trait SynapseOps: Backend {
    /// What the neurons of the next layer are fed with. Without a bias it is anything, and not looked at.
    fn synapse(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        synapse: Synapse,
    ) -> FloatTensor<Self>;
}

/// The backward pass of [`SynapseOps`].
pub trait SynapseBackwardOps: SynapseOps {
    /// What is left of the input for the backward pass.
    type Input: Clone + Debug + Send + 'static;

    /// [`SynapseOps::synapse`], and what is left of the input.
    fn synapse_kept(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        synapse: Synapse,
    ) -> (FloatTensor<Self>, Self::Input);

    /// The gradients that are needed, from that of the output.
    fn synapse_backward(
        input: Self::Input,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        synapse: Synapse,
        needs: Needs,
    ) -> SynapseGradients<Self>;
}

/// Which gradients are needed.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    pub x: bool,
    pub weight: bool,
    pub bias: bool,
}

/// The gradients that were needed.
#[derive(Clone, Debug)]
pub struct SynapseGradients<B: Backend> {
    pub x: Option<FloatTensor<B>>,
    pub weight: Option<FloatTensor<B>>,
    pub bias: Option<FloatTensor<B>>,
}

#[derive(Clone, Debug)]
struct Kept<B: SynapseBackwardOps> {
    input: B::Input,
    weight: FloatTensor<B>,
    synapse: Synapse,
}

#[derive(Debug)]
struct SynapseBackward;

impl<B: SynapseBackwardOps> Backward<B, 3> for SynapseBackward {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Kept<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let Kept {
            input,
            weight,
            synapse,
        } = ops.state;
        let [x, of_weight, bias] = ops.parents;
        // In place of a bias that is not there stands something else.
        let bias = bias.filter(|_| synapse.has_bias);
        let needs = Needs {
            x: x.is_some(),
            weight: of_weight.is_some(),
            bias: bias.is_some(),
        };
        let found = B::synapse_backward(input, weight, gradient, synapse, needs);
        for (node, gradient) in [(x, found.x), (of_weight, found.weight), (bias, found.bias)] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: SynapseBackwardOps, C: CheckpointStrategy> SynapseOps for Autodiff<B, C> {
    fn synapse(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        synapse: Synapse,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let (x, weight, bias) = (
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
        );
        let prepared = Backward::<B, 3>::prepare::<C>(SynapseBackward, nodes);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, input) = B::synapse_kept(x, weight.clone(), bias, synapse);
                let kept = Kept {
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
