//! Batch normalisation by the statistics of the input and the neurons that it feeds, as one operation with a backward pass.
//! The normalised currents are never stored: neurons normalise what they read, and only the input of the normalisation is saved
//! for backward.

mod flex;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::Keep;
use super::backward::{NeuronKept, NeuronNodes};
use super::dynamics::{DynamicsGiven, DynamicsKernel};
use super::lif::{LifKept, LifKernel, LifStart};
use super::norm::NormKept;
use super::optional::OptionalTensor;

/// The equations of the neurons.
#[derive(Clone, Debug)]
pub enum NormalizedKernel {
    Lif(LifKernel),
    Equations(DynamicsKernel),
}

/// Neurons behind a batch normalisation.
#[backend_extension(Autodiff, Flex)]
pub trait NormalizedOps: Backend {
    /// Spikes and final state of [`LifOps`](super::LifOps) or [`DynamicsOps`](super::DynamicsOps) for an input `[T, B, C, ...]`
    /// that is normalised, with `gamma` and `beta` of `[C]`; then mean and variance of each channel, `[2, C]`, which carry no
    /// gradient. `parameters` are for LIF neurons the decay, `[1]` or `[C]`, for equations all, `[P, 1]` or `[P, C]`.
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

/// The neurons, with the input of the normalisation in place of theirs.
#[derive(Clone, Debug)]
pub enum Behind<B: Backend> {
    Lif(LifKept<B>),
    Equations(DynamicsGiven<B>),
}

impl<B: Backend> Behind<B> {
    fn new(
        x: FloatTensor<B>,
        state: OptionalTensor<B>,
        parameters: FloatTensor<B>,
        threshold: OptionalTensor<B>,
        kernel: NormalizedKernel,
    ) -> Self {
        match kernel {
            NormalizedKernel::Lif(kernel) => {
                let threshold = threshold.into_option().expect("LIF neurons have one");
                Self::Lif(LifKept {
                    sequence: x,
                    keep: Keep::Input,
                    start: LifStart::new(state, parameters, threshold, kernel),
                    learned: false,
                })
            }
            NormalizedKernel::Equations(kernel) => Self::Equations(DynamicsGiven {
                x,
                carried: state.into_option(),
                parameters,
                kernel,
            }),
        }
    }
}

/// Saved for the backward pass.
#[derive(Clone, Debug)]
pub struct NormalizedKept<B: Backend> {
    pub norm: NormKept<B>,
    pub neurons: Behind<B>,
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
            gamma.clone(),
            beta.clone(),
            state.clone(),
            parameters.clone(),
            threshold.clone(),
            epsilon,
            kernel.clone(),
        );
        let kept = NormalizedKept {
            norm: NormKept {
                x: x.clone(),
                gamma,
                beta,
                statistics: statistics.clone(),
                epsilon,
            },
            neurons: Behind::new(x, state, parameters, threshold, kernel),
        };
        let (spikes, last) = nodes.outputs::<B, C>(kept, spikes, last);
        (spikes, last, FloatTensor::<Self>::new(statistics))
    }
}
