//! The fused LIF neuron as an operation with a backward pass.

#[cfg(feature = "cube")]
mod cube;
mod flex;
#[cfg(feature = "fusion")]
mod operation;
#[cfg(feature = "cube")]
mod shader;
mod step;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};
use serde::{Deserialize, Serialize};

use super::Keep;
use super::backward::{Adjoint, InputGradients, NeuronKept, NeuronNodes};
use super::optional::OptionalTensor;
use crate::neuron::LifEquations;
use crate::surrogate::Surrogate;

pub use flex::{backward, forward_normalized};
#[cfg(feature = "fusion")]
pub use operation::check;
#[cfg(feature = "remote")]
pub use operation::{LifBackward, LifForward};
pub use step::{Before, LifBackwardStep, LifForwardStep, LifParameters};

/// The equations and options of a fused LIF neuron.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LifKernel {
    pub(crate) equations: LifEquations,
    pub surrogate: Surrogate,
    /// True if neurons fire only above the threshold, not at it.
    pub strict: bool,
    /// The tensors that are saved for backward.
    pub keep: Keep,
}

#[cfg(any(feature = "cube", feature = "remote"))]
impl LifKernel {
    /// True if the CubeCL kernel knows the surrogate.
    pub(super) fn in_cubecl(&self) -> bool {
        use crate::surrogate::AnyCurve as C;
        matches!(
            self.surrogate.curve(),
            C::Rectangular(_)
                | C::PiecewiseLeakyRelu(_)
                | C::Polynomial(_)
                | C::Sigmoid(_)
                | C::Gaussian(_)
                | C::Atan(_)
                | C::FastSigmoid(_)
        )
    }
}

/// The fused neuron.
#[backend_extension(
    Autodiff,
    Flex,
    Cube: cfg(feature = "cube"),
    Remote: cfg(feature = "remote")
)]
pub trait LifOps: Backend {
    /// Spikes `[T, B, ...]` and the final state `[1, B, ...]`, from the input `[T, B, ...]`, the initial state
    /// `[1, B, ...]`, and decay and threshold, `[1]` or `[C]`. Without an initial state, neurons start at rest.
    fn lif(
        x: FloatTensor<Self>,
        #[extension_type] v: OptionalTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        kernel: LifKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The backward pass of [`LifOps`].
pub trait LifBackwardOps: LifOps {
    /// [`LifOps::lif`], and what it saves for backward: by default the input. `learned` says whether the decay or the
    /// threshold needs a gradient.
    fn lif_kept(
        x: FloatTensor<Self>,
        start: LifStart<Self>,
        learned: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, LifKept<Self>) {
        let own = start.clone();
        let v = OptionalTensor::new(own.v);
        let (spikes, state) = Self::lif(x.clone(), v, own.decay, own.threshold, own.kernel);
        let kept = LifKept {
            sequence: x,
            keep: Keep::Input,
            start,
            learned,
        };
        (spikes, state, kept)
    }

    /// The gradients of the inputs, from that of one output.
    fn lif_backward(kept: LifKept<Self>, outputs: Adjoint<Self>) -> InputGradients<Self, 4>;
}

/// The inputs of a fused neuron other than its sequence.
#[derive(Clone, Debug)]
pub struct LifStart<B: Backend> {
    /// The initial state, `[1, B, ...]`.
    pub v: Option<FloatTensor<B>>,
    /// The decay, `[1]` or `[C]`.
    pub decay: FloatTensor<B>,
    /// The threshold, `[1]` or `[C]`.
    pub threshold: FloatTensor<B>,
    /// The equations.
    pub kernel: LifKernel,
}

impl<B: Backend> LifStart<B> {
    pub fn new(
        v: OptionalTensor<B>,
        decay: FloatTensor<B>,
        threshold: FloatTensor<B>,
        kernel: LifKernel,
    ) -> Self {
        Self {
            v: v.into_option(),
            decay,
            threshold,
            kernel,
        }
    }
}

/// Saved for the backward pass of a fused neuron.
#[derive(Clone, Debug)]
pub struct LifKept<B: Backend> {
    /// The input or the membrane potentials before reset, `[T, B, ...]`.
    pub sequence: FloatTensor<B>,
    /// The kind of `sequence`: input or membrane potentials.
    pub keep: Keep,
    /// The other inputs.
    pub start: LifStart<B>,
    /// True if the decay or the threshold needs a gradient.
    pub learned: bool,
}

impl<B: LifBackwardOps> NeuronKept<B, 4> for LifKept<B> {
    fn backward(self, outputs: Adjoint<B>, _: [bool; 4]) -> InputGradients<B, 4> {
        B::lif_backward(self, outputs)
    }
}

impl<B: LifBackwardOps, C: CheckpointStrategy> LifOps for Autodiff<B, C> {
    fn lif(
        x: FloatTensor<Self>,
        v: OptionalTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        kernel: LifKernel,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = NeuronNodes::new::<B>([&x, &v.or_constant(&decay), &decay, &threshold]);
        let tracked = FloatTensor::<Self>::is_tracked;
        let learned = tracked(&decay) || tracked(&threshold);
        let any = learned || tracked(&x) || v.is_tracked();
        let x = x.into_primitive();
        let (v, decay) = (v.into_primitive(), decay.into_primitive());
        let threshold = threshold.into_primitive();
        if !any {
            let (spikes, state) = B::lif(x, v, decay, threshold, kernel);
            return [spikes, state].map(FloatTensor::<Self>::new).into();
        }
        let start = LifStart::new(v, decay, threshold, kernel);
        let (spikes, state, kept) = B::lif_kept(x, start, learned);
        nodes.outputs::<B, C>(kept, spikes, state)
    }
}
