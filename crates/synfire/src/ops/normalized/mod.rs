//! Batch normalisation by the statistics of the input and the neurons that it feeds, as one operation with a backward pass.
//! The normalised currents are never stored: neurons normalise what they read, and only the input of the normalisation is saved
//! for backward.

mod flex;
#[cfg(feature = "fusion")]
mod operation;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::backward::{NeuronKept, NeuronNodes};
use super::dynamics::DynamicsKernel;
use super::lif::LifKernel;
use super::norm::NormKept;
use super::optional::OptionalTensor;

#[cfg(feature = "remote")]
pub use operation::{NormalizedBackward, NormalizedForward};

/// The equations of the neurons.
#[derive(Clone, Debug)]
pub enum NormalizedKernel {
    Lif(LifKernel),
    Equations(DynamicsKernel),
}

/// Neurons behind a batch normalisation.
#[backend_extension(Autodiff, Flex, Remote: cfg(feature = "remote"))]
pub trait NormalizedOps: Backend {
    /// Spikes and final state of [`LifOps`](super::LifOps) or [`DynamicsOps`](super::DynamicsOps) for an input `[T, B, C, height,
    /// width]` that is normalised, with `gamma` and `beta` of `[C]`; then the statistics of [`NormOps`](super::NormOps).
    /// `parameters` are for LIF neurons the decay, `[1]` or `[C]`, for equations all, `[P, 1]` or `[P, C]`.
    #[allow(clippy::too_many_arguments)]
    fn normalized(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] state: OptionalTensor<Self>,
        parameters: FloatTensor<Self>,
        #[extension_type] threshold: OptionalTensor<Self>,
        epsilon: f64,
        kernel: NormalizedKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// The neurons, without their input.
#[derive(Clone, Debug)]
pub struct NormalizedNeurons<B: Backend> {
    pub state: OptionalTensor<B>,
    pub parameters: FloatTensor<B>,
    pub threshold: OptionalTensor<B>,
    pub kernel: NormalizedKernel,
}

/// Saved for the backward pass.
#[derive(Clone, Debug)]
pub struct NormalizedKept<B: Backend> {
    pub norm: NormKept<B>,
    pub neurons: NormalizedNeurons<B>,
}

impl<B: NormalizedOps, C: CheckpointStrategy> NormalizedOps for Autodiff<B, C>
where
    NormalizedKept<B>: NeuronKept<B, 6>,
{
    fn normalized(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        state: OptionalTensor<Self>,
        parameters: FloatTensor<Self>,
        threshold: OptionalTensor<Self>,
        epsilon: f64,
        kernel: NormalizedKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let optional = [&state, &threshold].map(|tensor| tensor.or_constant(&parameters));
        let [of_state, of_threshold] = &optional;
        let nodes = NeuronNodes::new::<B>([&x, &gamma, &beta, of_state, &parameters, of_threshold]);
        let [x, gamma, beta, parameters] =
            [x, gamma, beta, parameters].map(|tensor| tensor.into_primitive());
        let [state, threshold] = [state, threshold].map(OptionalTensor::into_primitive);
        let (spikes, last, statistics) = B::normalized(
            x.clone(),
            gamma,
            beta.clone(),
            state.clone(),
            parameters.clone(),
            threshold.clone(),
            epsilon,
            kernel.clone(),
        );
        let kept = NormalizedKept {
            norm: NormKept {
                x,
                beta,
                statistics: statistics.clone(),
                epsilon,
            },
            neurons: NormalizedNeurons {
                state,
                parameters,
                threshold,
                kernel,
            },
        };
        let (spikes, last) = nodes.outputs::<B, C>(kept, spikes, last);
        (spikes, last, FloatTensor::<Self>::new(statistics))
    }
}
