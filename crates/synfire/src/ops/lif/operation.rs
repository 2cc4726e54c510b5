//! The fused LIF neuron as an operation of Burn's fusion and of servers.

use burn::backend::Backend;
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;
use burn::tensor::DType;
use serde::{Deserialize, Serialize};

use super::{LifBackwardOps, LifKept, LifKernel, LifOps, LifStart};
use crate::ops::Keep;
use crate::ops::backward::{Adjoint, InputGradients};
use crate::ops::operation::{
    Runs, TensorOperation, check_same, exactly, first_gradients, register, state_of, with_optional,
};
use crate::ops::optional::OptionalTensor;

/// The state of neurons, after a check of their sequence, decay, threshold and state.
pub fn check(
    x: &TensorSpec,
    [decay, threshold]: [&TensorSpec; 2],
    v: Option<&TensorSpec>,
) -> Result<TensorSpec, String> {
    let state = state_of(x, 1, v)?;
    let channels = x.shape.get(2).copied().unwrap_or(1);
    for (name, numbers) in [("decay", decay), ("threshold", threshold)] {
        let shape: &[usize] = &numbers.shape;
        if numbers.dtype != DType::F32 || !(shape == [1] || shape == [channels]) {
            return Err(format!("`{name}` {shape:?}, expected [1] or [{channels}]"));
        }
    }
    Ok(state)
}

/// The inputs `x, decay, threshold` and, if there is one, the state.
fn inputs<B: Backend>(x: FloatTensor<B>, start: LifStart<B>) -> (Vec<FloatTensor<B>>, LifKernel) {
    let mut inputs = vec![x, start.decay, start.threshold];
    inputs.extend(start.v);
    (inputs, start.kernel)
}

/// [`LifOps::lif`] of `x, decay, threshold` and, if there is one, the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifForward(LifKernel);

impl LifForward {
    /// The equations.
    #[cfg(all(feature = "cube", feature = "remote"))]
    pub fn kernel(&self) -> &LifKernel {
        &self.0
    }

    /// The operation and its inputs.
    pub fn new<B: Backend>(x: FloatTensor<B>, start: LifStart<B>) -> (Self, Vec<FloatTensor<B>>) {
        let (inputs, kernel) = inputs(x, start);
        (Self(kernel), inputs)
    }
}

impl TensorOperation for LifForward {
    const ID: &'static str = "synfire.lif";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [x, decay, threshold, state @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let state = check(x, [decay, threshold], state.first())?;
        Ok(vec![x.clone(), state])
    }
}

impl<B: LifOps> Runs<B> for LifForward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let ([x, decay, threshold], v) = with_optional(inputs);
        let (spikes, state) = B::lif(x, OptionalTensor::new(v), decay, threshold, self.0);
        vec![spikes, state]
    }
}

/// [`LifBackwardOps::lif_backward`] of the gradient, then the inputs of [`LifForward`], which were saved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifBackward {
    kernel: LifKernel,
    learned: bool,
    /// True if the gradient is that of the spikes, not of the final state.
    of_spikes: bool,
}

impl LifBackward {
    /// The equations.
    #[cfg(all(feature = "cube", feature = "remote"))]
    pub fn kernel(&self) -> &LifKernel {
        &self.kernel
    }

    /// The operation and its inputs.
    pub fn new<B: Backend>(kept: LifKept<B>, outputs: Adjoint<B>) -> (Self, Vec<FloatTensor<B>>) {
        let (of_spikes, gradient) = outputs.split();
        let (rest, kernel) = inputs(kept.sequence, kept.start);
        let mut inputs = vec![gradient];
        inputs.extend(rest);
        let operation = Self {
            kernel,
            learned: kept.learned,
            of_spikes,
        };
        (operation, inputs)
    }
}

impl TensorOperation for LifBackward {
    const ID: &'static str = "synfire.lif_backward";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [gradient, x, decay, threshold, state @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let left = check(x, [decay, threshold], state.first())?;
        check_same("gradient", gradient, if self.of_spikes { x } else { &left })?;
        let mut outputs = vec![x.clone(), left];
        if self.learned {
            outputs.extend([decay, threshold].map(TensorSpec::clone));
        }
        Ok(outputs)
    }
}

impl<B: LifBackwardOps> Runs<B> for LifBackward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let ([gradient, sequence, decay, threshold], v) = with_optional(inputs);
        let kept = LifKept {
            sequence,
            keep: Keep::Input,
            start: LifStart {
                v,
                decay,
                threshold,
                kernel: self.kernel,
            },
            learned: self.learned,
        };
        let gradients = B::lif_backward(kept, Adjoint::new(self.of_spikes, gradient));
        gradients.into_iter().flatten().collect()
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> LifOps for $backend {
            fn lif(
                x: FloatTensor<Self>,
                v: OptionalTensor<Self>,
                decay: FloatTensor<Self>,
                threshold: FloatTensor<Self>,
                kernel: LifKernel,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let start = LifStart::new(v, decay, threshold, kernel);
                let (operation, inputs) = LifForward::new::<Self>(x, start);
                exactly::<_, 2>($submit(operation, inputs)).into()
            }
        }

        impl<$($generics)*> LifBackwardOps for $backend {
            fn lif_backward(kept: LifKept<Self>, outputs: Adjoint<Self>) -> InputGradients<Self, 4> {
                let (operation, inputs) = LifBackward::new(kept, outputs);
                first_gradients($submit(operation, inputs))
            }
        }
    };
}

submitted!([B: FusionBackend + LifBackwardOps] Fusion<B>, register::<B, _>);
#[cfg(feature = "remote")]
submitted!([] crate::ops::remote::Router, crate::ops::remote::send);
