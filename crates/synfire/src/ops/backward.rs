//! Backward passes of operations: inputs that need no gradient, and neurons, which have two outputs.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend};

/// The gradients of the `N` inputs of an operation, in their order, where they are needed.
pub type InputGradients<B, const N: usize> = [Option<FloatTensor<B>>; N];

/// Runs a backward pass from the gradient of the output, and registers the gradients of the inputs. `pass` gets a flag for
/// each input that needs one.
pub fn register<B: Backend, K, const N: usize>(
    ops: Ops<K, N>,
    grads: &mut Gradients,
    pass: impl FnOnce(K, FloatTensor<B>, [bool; N]) -> InputGradients<B, N>,
) where
    K: Clone + Send + Debug + 'static,
{
    let gradient = grads.consume::<B>(&ops.node);
    let needs = ops.parents.each_ref().map(Option::is_some);
    let found = pass(ops.state, gradient, needs);
    for (node, gradient) in ops.parents.into_iter().zip(found) {
        if let (Some(node), Some(gradient)) = (node, gradient) {
            grads.register::<B>(node.id, gradient);
        }
    }
}

/// The gradient of one output of neurons.
#[derive(Clone, Debug)]
pub enum Adjoint<B: Backend> {
    /// Of the spikes, `[T, B, ...]`.
    Spikes(FloatTensor<B>),
    /// Of the final state, `[N, B, ...]`.
    State(FloatTensor<B>),
}

#[cfg(feature = "fusion")]
impl<B: Backend> Adjoint<B> {
    /// The gradient, and whether it is that of the spikes.
    pub fn split(self) -> (bool, FloatTensor<B>) {
        match self {
            Self::Spikes(gradient) => (true, gradient),
            Self::State(gradient) => (false, gradient),
        }
    }

    /// Inverse of [`split`](Self::split).
    pub fn new(of_spikes: bool, gradient: FloatTensor<B>) -> Self {
        match of_spikes {
            true => Self::Spikes(gradient),
            false => Self::State(gradient),
        }
    }
}

/// The gradients of the inputs of neurons.
pub struct NeuronGradients<B: Backend> {
    /// Of the input, normalised where there is a normalisation.
    pub x: FloatTensor<B>,
    pub state: FloatTensor<B>,
    /// Of decay and threshold, or of all parameters of equations, if needed.
    pub learned: [Option<FloatTensor<B>>; 2],
    /// With a normalisation: for each neuron the sum of `x`, then that of its products with the centred input.
    pub sums: Vec<f32>,
}

/// Neurons with `N` inputs, saved for backward.
pub trait NeuronKept<B: Backend, const N: usize>: Clone + Debug + Send + 'static {
    /// The gradients of the inputs, from that of one output.
    fn backward(self, outputs: Adjoint<B>, needs: [bool; N]) -> InputGradients<B, N>;
}

/// The backward pass of one output of neurons.
#[derive(Debug)]
struct OfOutput<K, B: Backend>(fn(FloatTensor<B>) -> Adjoint<B>, PhantomData<fn() -> K>);

impl<B: Backend, K: NeuronKept<B, N>, const N: usize> Backward<B, N> for OfOutput<K, B> {
    type State = K;

    fn backward(self, ops: Ops<K, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        register::<B, K, N>(ops, grads, |kept, gradient, needs| {
            kept.backward(self.0(gradient), needs)
        });
    }
}

/// A tensor that may be part of a graph.
type Tracked<B> = FloatTensor<Autodiff<B>>;

/// The nodes of the inputs of neurons, for each of their outputs. Taken before the inputs themselves, which an operation may
/// overwrite.
pub struct NeuronNodes<const N: usize>([[NodeGuard; N]; 2]);

impl<const N: usize> NeuronNodes<N> {
    pub fn new<B: Backend>(inputs: [&Tracked<B>; N]) -> Self {
        Self([inputs, inputs].map(|inputs| inputs.map(|input| input.node())))
    }

    /// The spikes and the final state as tensors of the graph.
    pub fn outputs<B: Backend, C: CheckpointStrategy>(
        self,
        kept: impl NeuronKept<B, N>,
        spikes: FloatTensor<B>,
        state: FloatTensor<B>,
    ) -> (Tracked<B>, Tracked<B>) {
        let Self([of_spikes, of_state]) = self;
        let finish = |adjoint, nodes, output| {
            let prepared = OfOutput(adjoint, PhantomData).prepare::<C>(nodes);
            match prepared.compute_bound().stateful() {
                OpsKind::Tracked(prepared) => prepared.finish(kept.clone(), output),
                OpsKind::UnTracked(prepared) => prepared.finish(output),
            }
        };
        (
            finish(Adjoint::Spikes, of_spikes, spikes),
            finish(Adjoint::State, of_state, state),
        )
    }
}
