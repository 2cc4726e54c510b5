//! Neurons behind a batch normalisation as an operation of Burn's fusion and of servers.

use burn::backend::Backend;
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;
use serde::{Deserialize, Serialize};

use super::{NormalizedKept, NormalizedKernel, NormalizedNeurons, NormalizedOps};
use crate::ops::backward::{Adjoint, InputGradients, NeuronKept};
use crate::ops::dynamics::SentKernel;
use crate::ops::lif::{self, LifKernel};
use crate::ops::norm::{NormKept, of_channels};
use crate::ops::operation::{
    Runs, TensorOperation, check_same, exactly, first_gradients, register,
};
use crate::ops::optional::OptionalTensor;

/// A [`NormalizedKernel`] as plain data.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum SentNeurons {
    Lif(LifKernel),
    Equations(Box<SentKernel>),
}

impl SentNeurons {
    /// The neurons as plain data, and their tensors: the parameters, the threshold of LIF neurons and, if there is one, the
    /// state.
    fn new<B: Backend>(neurons: NormalizedNeurons<B>) -> (Self, Vec<FloatTensor<B>>) {
        let mut tensors = vec![neurons.parameters];
        tensors.extend(neurons.threshold.into_option());
        tensors.extend(neurons.state.into_option());
        let sent = match neurons.kernel {
            NormalizedKernel::Lif(kernel) => Self::Lif(kernel),
            NormalizedKernel::Equations(kernel) => Self::Equations(SentKernel::new(kernel).into()),
        };
        (sent, tensors)
    }

    /// Inverse of [`new`](Self::new), after a [`check`](Self::check).
    fn neurons<B: Backend>(
        self,
        tensors: impl IntoIterator<Item = FloatTensor<B>>,
    ) -> NormalizedNeurons<B> {
        let mut tensors = tensors.into_iter();
        let parameters = tensors.next().expect("they were checked");
        let (threshold, kernel) = match self {
            Self::Lif(kernel) => (tensors.next(), NormalizedKernel::Lif(kernel)),
            Self::Equations(kernel) => {
                let kernel = kernel.kernel().expect("it was checked");
                (None, NormalizedKernel::Equations(kernel))
            }
        };
        NormalizedNeurons {
            state: OptionalTensor::new(tensors.next()),
            parameters,
            threshold: OptionalTensor::new(threshold),
            kernel,
        }
    }

    /// The state of the neurons, then what they learn, after a check of their input and tensors.
    fn check(&self, x: &TensorSpec, tensors: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let (state, learned) = match (self, tensors) {
            (Self::Lif(_), [decay, threshold, state @ ..]) => (
                lif::check(x, [decay, threshold], state.first())?,
                &tensors[..2],
            ),
            (Self::Equations(kernel), [parameters, state @ ..]) => {
                (kernel.check(x, parameters, state.first())?, &tensors[..1])
            }
            _ => return Err("too few tensors".to_owned()),
        };
        Ok([&[state], learned].concat())
    }
}

/// Checks that the input is of images, and returns [`of_channels`].
fn of_images(x: &TensorSpec) -> Result<[TensorSpec; 2], String> {
    let sizes: &[usize] = &x.shape;
    match *sizes {
        [_, _, channels, _, _] if !sizes.contains(&0) => of_channels(x, channels),
        _ => Err(format!("the input {sizes:?}, expected [T, B, C, H, W]")),
    }
}

/// [`NormalizedOps::normalized`] of `x, gamma, beta` and the tensors of the neurons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NormalizedForward {
    neurons: SentNeurons,
    epsilon: f64,
}

impl TensorOperation for NormalizedForward {
    const ID: &'static str = "synfire.normalized";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [x, gamma, beta, neurons @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let [numbers, statistics] = of_images(x)?;
        check_same("gamma", gamma, &numbers)?;
        check_same("beta", beta, &numbers)?;
        let state = self.neurons.check(x, neurons)?.swap_remove(0);
        Ok(vec![x.clone(), state, statistics])
    }
}

impl<B: NormalizedOps> Runs<B> for NormalizedForward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let mut inputs = inputs.into_iter();
        let [x, gamma, beta] = std::array::from_fn(|_| inputs.next().expect("they were checked"));
        let NormalizedNeurons {
            state,
            parameters,
            threshold,
            kernel,
        } = self.neurons.neurons::<B>(inputs);
        let (spikes, last, statistics) = B::normalized(
            x,
            gamma,
            beta,
            state,
            parameters,
            threshold,
            self.epsilon,
            kernel,
        );
        vec![spikes, last, statistics]
    }
}

/// The backward pass from the gradient, `x, beta`, the statistics and the tensors of the neurons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NormalizedBackward {
    neurons: SentNeurons,
    epsilon: f64,
    /// True if the parameters need a gradient.
    learned: bool,
    /// True if the gradient is that of the spikes, not of the final state.
    of_spikes: bool,
}

impl NormalizedBackward {
    /// The operation and its inputs.
    fn new<B: Backend>(
        kept: NormalizedKept<B>,
        outputs: Adjoint<B>,
        learned: bool,
    ) -> (Self, Vec<FloatTensor<B>>) {
        let (of_spikes, gradient) = outputs.split();
        let (neurons, tensors) = SentNeurons::new(kept.neurons);
        let NormKept {
            x,
            beta,
            statistics,
            epsilon,
        } = kept.norm;
        let mut inputs = vec![gradient, x, beta, statistics];
        inputs.extend(tensors);
        let operation = Self {
            neurons,
            epsilon,
            learned,
            of_spikes,
        };
        (operation, inputs)
    }
}

impl TensorOperation for NormalizedBackward {
    const ID: &'static str = "synfire.normalized_backward";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [gradient, x, beta, statistics, neurons @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let [numbers, expected] = of_images(x)?;
        check_same("beta", beta, &numbers)?;
        check_same("statistics", statistics, &expected)?;
        let mut of_neurons = self.neurons.check(x, neurons)?;
        let of_output = if self.of_spikes { x } else { &of_neurons[0] };
        check_same("gradient", gradient, of_output)?;
        of_neurons.truncate(if self.learned { of_neurons.len() } else { 1 });
        Ok([vec![x.clone(), numbers.clone(), numbers], of_neurons].concat())
    }
}

impl<B: NormalizedOps> Runs<B> for NormalizedBackward
where
    NormalizedKept<B>: NeuronKept<B, 6>,
{
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let mut inputs = inputs.into_iter();
        let [gradient, x, beta, statistics] =
            std::array::from_fn(|_| inputs.next().expect("they were checked"));
        let kept = NormalizedKept {
            norm: NormKept {
                x,
                beta,
                statistics,
                epsilon: self.epsilon,
            },
            neurons: self.neurons.neurons(inputs),
        };
        let needs = [true, true, true, true, self.learned, self.learned];
        let gradients = kept.backward(Adjoint::new(self.of_spikes, gradient), needs);
        gradients.into_iter().flatten().collect()
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] [$($kept:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> NormalizedOps for $backend {
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
                let (neurons, tensors) = SentNeurons::new(NormalizedNeurons::<Self> {
                    state,
                    parameters,
                    threshold,
                    kernel,
                });
                let mut inputs = vec![x, gamma, beta];
                inputs.extend(tensors);
                exactly::<_, 3>($submit(NormalizedForward { neurons, epsilon }, inputs)).into()
            }
        }

        impl<$($generics)*> NeuronKept<$backend, 6> for NormalizedKept<$backend> $($kept)* {
            fn backward(
                self,
                outputs: Adjoint<$backend>,
                [.., parameters, threshold]: [bool; 6],
            ) -> InputGradients<$backend, 6> {
                let learned = parameters || threshold;
                let (operation, inputs) = NormalizedBackward::new(self, outputs, learned);
                first_gradients($submit(operation, inputs))
            }
        }
    };
}

submitted!(
    [B: FusionBackend + NormalizedOps] [where NormalizedKept<B>: NeuronKept<B, 6>]
    Fusion<B>, register::<B, _>
);
#[cfg(feature = "remote")]
submitted!([] [] crate::ops::remote::Router, crate::ops::remote::send);
