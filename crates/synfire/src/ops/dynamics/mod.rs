//! Neurons fused from their equations, as an operation with a backward pass.

mod flex;
#[cfg(feature = "fusion")]
mod operation;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::backward::{NeuronKept, NeuronNodes};
use super::optional::OptionalTensor;
use crate::dynamics::Equations;
use crate::surrogate::Surrogate;

pub(crate) use flex::{BlockBackward, BlockForward};
#[cfg(feature = "fusion")]
pub use operation::SentKernel;
#[cfg(feature = "remote")]
pub use operation::{DynamicsBackward, DynamicsForward};

/// The equations of a fused neuron, without its parameters.
#[derive(Clone, Debug)]
pub struct DynamicsKernel {
    pub(crate) equations: Equations,
    /// True if parameters are per neuron, in the order of the axes, rather than per channel or shared.
    pub(crate) per_neuron: bool,
    pub(crate) surrogate: Surrogate,
    /// True if neurons fire only above the threshold, not at it.
    pub(crate) strict: bool,
    /// True if the carried state is a constant for the backward pass.
    pub(crate) off: bool,
}

/// The fused neuron.
#[backend_extension(Autodiff, Flex, Remote: cfg(feature = "remote"))]
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

/// The inputs of a fused neuron, saved for backward.
#[derive(Clone, Debug)]
pub struct DynamicsGiven<B: Backend> {
    /// The input, `[T, B, ...]`.
    pub x: FloatTensor<B>,
    /// The initial state, `[N, B, ...]`.
    pub carried: Option<FloatTensor<B>>,
    /// The parameters, `[P, 1]`, `[P, C]` or `[P, neurons]`.
    pub parameters: FloatTensor<B>,
    /// The equations.
    pub kernel: DynamicsKernel,
}

impl<B: DynamicsOps, C: CheckpointStrategy> DynamicsOps for Autodiff<B, C>
where
    DynamicsGiven<B>: NeuronKept<B, 3>,
{
    fn dynamics(
        x: FloatTensor<Self>,
        carried: OptionalTensor<Self>,
        parameters: FloatTensor<Self>,
        kernel: DynamicsKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = NeuronNodes::new::<B>([&x, &carried.or_constant(&parameters), &parameters]);
        let given = DynamicsGiven {
            x: x.into_primitive(),
            carried: carried.into_primitive().into_option(),
            parameters: parameters.into_primitive(),
            kernel,
        };
        let kept = given.clone();
        let carried = OptionalTensor::new(given.carried);
        let (spikes, left) = B::dynamics(given.x, carried, given.parameters, given.kernel);
        nodes.outputs::<B, C>(kept, spikes, left)
    }
}
