//! Neurons with equations of their own, fused, as an operation with a backward pass.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use crate::dynamics::Equations;
use crate::surrogate::Surrogate;

/// What decides what a fused neuron computes, beside its numbers.
#[derive(Clone, Debug)]
pub struct DynamicsKernel {
    pub(crate) equations: Equations,
    /// Whether each neuron of a sample has numbers of its own, in the order of the axes; else each channel, or all the same.
    pub(crate) per_neuron: bool,
    pub(crate) surrogate: Surrogate,
    /// Fires above the threshold only.
    pub(crate) strict: bool,
    /// What is carried is a constant for the backward pass.
    pub(crate) off: bool,
}

/// The fused neuron.
#[backend_extension(Autodiff, Flex)]
pub trait DynamicsOps: Backend {
    /// Spikes `[T, B, ...]` and what the last step leaves, `[N, B, ...]`, from the input `[T, B, ...]`, what was carried,
    /// `[N, B, ...]`, and the neuron's numbers, `[P, 1]`, `[P, C]` or `[P, neurons]`. If nothing was carried it is
    /// anything, and not looked at.
    fn dynamics(
        x: FloatTensor<Self>,
        carried: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        has_carried: bool,
        kernel: DynamicsKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`DynamicsOps`].
pub trait DynamicsBackwardOps: DynamicsOps {
    /// The gradients of what it was given, from those of one of the outputs.
    fn dynamics_backward(
        given: DynamicsGiven<Self>,
        outputs: DynamicsAdjoint<Self>,
    ) -> DynamicsGradients<Self>;
}

/// What a fused neuron was given.
#[derive(Clone, Debug)]
pub struct DynamicsGiven<B: Backend> {
    /// The input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// What was carried, `[N, B, ...]`.
    pub carried: Option<FloatTensor<B>>,
    /// Its numbers, `[P, 1]`, `[P, C]` or `[P, neurons]`.
    pub numbers: FloatTensor<B>,
    /// Whether gradients of them are asked for.
    pub learned: bool,
    /// What it computes.
    pub kernel: DynamicsKernel,
}

/// The gradient of one of its outputs.
#[derive(Clone, Debug)]
pub enum DynamicsAdjoint<B: Backend> {
    /// By the spikes, `[T, B, ...]`.
    Spikes(FloatTensor<B>),
    /// By what the last step left, `[N, B, ...]`.
    Carried(FloatTensor<B>),
}

/// The gradients of what it was given.
#[derive(Clone, Debug)]
pub struct DynamicsGradients<B: Backend> {
    /// By the input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// By what was carried, `[N, B, ...]`.
    pub carried: FloatTensor<B>,
    /// By its numbers, if they were asked for.
    pub numbers: Option<FloatTensor<B>>,
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
        let has_carried = ops.state.carried.is_some();
        let found = B::dynamics_backward(ops.state, outputs);
        let [x, carried, numbers] = ops.parents;
        for (node, gradient) in [
            (x, Some(found.x)),
            // In place of what is not there stands something else.
            (carried.filter(|_| has_carried), Some(found.carried)),
            (numbers, found.numbers),
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
        carried: FloatTensor<Self>,
        numbers: FloatTensor<Self>,
        has_carried: bool,
        kernel: DynamicsKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = || [x.node(), carried.node(), numbers.node()];
        let [of_spikes, of_carried] = [nodes(), nodes()];
        let learned = numbers.is_tracked();
        let x = x.into_primitive();
        let (carried, numbers) = (carried.into_primitive(), numbers.into_primitive());
        let (spikes, left) = B::dynamics(
            x.clone(),
            carried.clone(),
            numbers.clone(),
            has_carried,
            kernel.clone(),
        );
        let given = DynamicsGiven {
            x,
            carried: has_carried.then_some(carried),
            numbers,
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
