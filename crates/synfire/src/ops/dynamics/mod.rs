//! Neurons fused from their equations, as an operation with a backward pass.

mod flex;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::optional::OptionalTensor;
use crate::dynamics::Equations;
use crate::surrogate::Surrogate;

pub(crate) use flex::{BlockBackward, BlockForward};

/// The equations of a fused neuron, without its parameters.
#[derive(Clone, Debug)]
pub struct DynamicsKernel {
    pub(crate) equations: Equations,
    /// Whether parameters are per neuron, in the order of the axes, rather than per channel or shared.
    pub(crate) per_neuron: bool,
    pub(crate) surrogate: Surrogate,
    /// Whether neurons fire only above the threshold, not at it.
    pub(crate) strict: bool,
    /// Whether the carried state is a constant for the backward pass.
    pub(crate) off: bool,
}

/// The fused neuron.
#[backend_extension(Autodiff, Flex)]
pub trait DynamicsOps: Backend {
    /// Spikes `[T, B, ...]` and the final state `[N, B, ...]`, from the input `[T, B, ...]`, the initial state
    /// `[N, B, ...]`, and the parameters, `[P, 1]`, `[P, C]` or `[P, neurons]`. Without an initial state, neurons start at
    /// rest.
    fn dynamics(
        x: FloatTensor<Self>,
        #[extension_type] carried: OptionalTensor<Self>,
        parameters: FloatTensor<Self>,
        kernel: DynamicsKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`DynamicsOps`].
pub trait DynamicsBackwardOps: DynamicsOps {
    /// The gradients of the inputs, from that of one output.
    fn dynamics_backward(
        given: DynamicsGiven<Self>,
        outputs: DynamicsAdjoint<Self>,
    ) -> DynamicsGradients<Self>;
}

/// The inputs of a fused neuron, saved for backward.
#[derive(Clone, Debug)]
pub struct DynamicsGiven<B: Backend> {
    /// The input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// The initial state, `[N, B, ...]`.
    pub carried: Option<FloatTensor<B>>,
    /// The parameters, `[P, 1]`, `[P, C]` or `[P, neurons]`.
    pub parameters: FloatTensor<B>,
    /// Whether the parameters need a gradient.
    pub learned: bool,
    /// The equations.
    pub kernel: DynamicsKernel,
}

/// The gradient of one output.
#[derive(Clone, Debug)]
pub enum DynamicsAdjoint<B: Backend> {
    /// Of the spikes, `[T, B, ...]`.
    Spikes(FloatTensor<B>),
    /// Of the final state, `[N, B, ...]`.
    Carried(FloatTensor<B>),
}

/// The gradients of the inputs.
#[derive(Clone, Debug)]
pub struct DynamicsGradients<B: Backend> {
    /// Of the input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// Of the initial state, `[N, B, ...]`.
    pub carried: FloatTensor<B>,
    /// Of the parameters, if needed.
    pub parameters: Option<FloatTensor<B>>,
}

#[derive(Clone, Copy, Debug)]
enum DynamicsBackward {
    OfSpikes,
    OfCarried,
}

impl<B: DynamicsBackwardOps> Backward<B, 3> for DynamicsBackward {
    type State = DynamicsGiven<B>;

    fn backward(
        self,
        ops: Ops<DynamicsGiven<B>, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let outputs = match self {
            Self::OfSpikes => DynamicsAdjoint::Spikes(gradient),
            Self::OfCarried => DynamicsAdjoint::Carried(gradient),
        };
        let found = B::dynamics_backward(ops.state, outputs);
        let [x, carried, parameters] = ops.parents;
        for (node, gradient) in [
            (x, Some(found.x)),
            (carried, Some(found.carried)),
            (parameters, found.parameters),
        ] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: DynamicsBackwardOps, C: CheckpointStrategy> DynamicsOps for Autodiff<B, C> {
    fn dynamics(
        x: FloatTensor<Self>,
        carried: OptionalTensor<Self>,
        parameters: FloatTensor<Self>,
        kernel: DynamicsKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = || {
            let carried = carried.or_constant(&parameters).node();
            [x.node(), carried, parameters.node()]
        };
        let [of_spikes, of_carried] = [nodes(), nodes()];
        let learned = parameters.is_tracked();
        let x = x.into_primitive();
        let (carried, parameters) = (carried.into_primitive(), parameters.into_primitive());
        let (spikes, left) = B::dynamics(
            x.clone(),
            carried.clone(),
            parameters.clone(),
            kernel.clone(),
        );
        let given = DynamicsGiven {
            x,
            carried: carried.into_option(),
            parameters,
            learned,
            kernel,
        };
        let finish = |backward: DynamicsBackward, nodes, output| {
            let prepared = Backward::<B, 3>::prepare::<C>(backward, nodes);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(given.clone(), output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        };
        (
            finish(DynamicsBackward::OfSpikes, of_spikes, spikes),
            finish(DynamicsBackward::OfCarried, of_carried, left),
        )
    }
}
