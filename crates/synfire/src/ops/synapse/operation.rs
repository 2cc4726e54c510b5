//! Products of spikes with weights as an operation of Burn's fusion and of servers.

use burn::backend::Backend;
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Shape;
use serde::{Deserialize, Serialize};

use super::{Synapse, SynapseBackwardOps, SynapseKept, SynapseKind, SynapseOps};
use crate::ops::backward::InputGradients;
use crate::ops::operation::{Runs, TensorOperation, check_same, exactly, register, with_optional};
use crate::ops::optional::OptionalTensor;

/// Shape and type of the output for this input and these weights.
fn output(kind: SynapseKind, x: &TensorSpec, weight: &TensorSpec) -> Result<TensorSpec, String> {
    let (sizes, weights): (&[usize], &[usize]) = (&x.shape, &weight.shape);
    let wrong = || format!("the input {sizes:?} for weights {weights:?}");
    let mut shape = sizes.to_vec();
    match (kind, weights) {
        (SynapseKind::Linear, [inputs, outputs]) if sizes.last() == Some(inputs) => {
            *shape.last_mut().expect("it has a last one") = *outputs;
        }
        (SynapseKind::Conv2d(window), [outputs, of_group, height, width]) if sizes.len() > 3 => {
            let end = sizes.len() - 3;
            let groups = window.groups;
            let channels = of_group.checked_mul(groups);
            let fits = groups > 0 && outputs % groups == 0 && channels == Some(sizes[end]);
            let [h, w] = window
                .out([sizes[end + 1], sizes[end + 2]], [*height, *width])
                .filter(|size| fits && !size.contains(&0) && !window.stride.contains(&0))
                .ok_or_else(wrong)?;
            shape[end..].copy_from_slice(&[*outputs, h, w]);
        }
        _ => return Err(wrong()),
    }
    match weight.dtype == x.dtype {
        true => Ok(TensorSpec::new(Shape::from(shape), x.dtype)),
        false => Err(format!(
            "an input of {:?} for weights of {:?}",
            x.dtype, weight.dtype
        )),
    }
}

/// The sizes of the bias.
fn bias(kind: SynapseKind, weight: &TensorSpec) -> TensorSpec {
    let outputs = match kind {
        SynapseKind::Linear => weight.shape[1],
        SynapseKind::Conv2d(_) => weight.shape[0],
    };
    TensorSpec::new(Shape::from(vec![outputs]), weight.dtype)
}

/// [`SynapseOps::synapse`] of `x, weight` and, if there is one, the bias.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SynapseForward(Synapse);

impl SynapseForward {
    /// The operation and its inputs.
    pub fn new<B: Backend>(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: OptionalTensor<B>,
        synapse: Synapse,
    ) -> (Self, Vec<FloatTensor<B>>) {
        let mut inputs = vec![x, weight];
        inputs.extend(bias.into_option());
        (Self(synapse), inputs)
    }
}

impl TensorOperation for SynapseForward {
    const ID: &'static str = "synfire.synapse";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [x, weight, added @ ..] = inputs else {
            return Err("too few tensors".to_owned());
        };
        let output = output(self.0.kind, x, weight)?;
        if let Some(added) = added.first() {
            check_same("bias", added, &bias(self.0.kind, weight))?;
        }
        Ok(vec![output])
    }
}

impl<B: SynapseOps> Runs<B> for SynapseForward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let ([x, weight], bias) = with_optional(inputs);
        vec![B::synapse(x, weight, OptionalTensor::new(bias), self.0)]
    }
}

/// [`SynapseBackwardOps::synapse_backward`] of the gradient, the input and the weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SynapseBackward {
    synapse: Synapse,
    needs: [bool; 3],
}

impl SynapseBackward {
    /// The operation and its inputs.
    pub fn new<B: SynapseBackwardOps<Input = FloatTensor<B>>>(
        kept: SynapseKept<B>,
        gradient: FloatTensor<B>,
        needs: [bool; 3],
    ) -> (Self, Vec<FloatTensor<B>>) {
        let operation = Self {
            synapse: kept.synapse,
            needs,
        };
        (operation, vec![gradient, kept.input, kept.weight])
    }

    /// The gradients from the outputs, which are those that are needed.
    pub fn gradients<B: Backend>(
        outputs: Vec<FloatTensor<B>>,
        needs: [bool; 3],
    ) -> InputGradients<B, 3> {
        let mut outputs = outputs.into_iter();
        needs.map(|need| need.then(|| outputs.next().expect("as many as are needed")))
    }
}

impl TensorOperation for SynapseBackward {
    const ID: &'static str = "synfire.synapse_backward";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [gradient, x, weight] = inputs else {
            return Err("expected three tensors".to_owned());
        };
        let expected = output(self.synapse.kind, x, weight)?;
        check_same("gradient", gradient, &expected)?;
        let all = [x.clone(), weight.clone(), bias(self.synapse.kind, weight)];
        let needed = all.into_iter().zip(self.needs);
        Ok(needed
            .filter_map(|(spec, need)| need.then_some(spec))
            .collect())
    }
}

impl<B: SynapseBackwardOps> Runs<B> for SynapseBackward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [gradient, x, weight] = exactly(inputs);
        let synapse = self.synapse;
        let [_, by_weight, _] = self.needs;
        // Only the gradient of the weights is a product with spikes.
        let packed = if by_weight { synapse } else { synapse.dense() };
        let kept = SynapseKept {
            input: B::synapse_input(x, &weight, packed),
            weight,
            synapse,
        };
        let gradients = B::synapse_backward(kept, gradient, self.needs);
        gradients.into_iter().flatten().collect()
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> SynapseOps for $backend {
            fn synapse(
                x: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: OptionalTensor<Self>,
                synapse: Synapse,
            ) -> FloatTensor<Self> {
                let (operation, inputs) = SynapseForward::new::<Self>(x, weight, bias, synapse);
                let [output] = exactly($submit(operation, inputs));
                output
            }
        }

        impl<$($generics)*> SynapseBackwardOps for $backend {
            type Input = FloatTensor<Self>;

            fn synapse_input(
                x: FloatTensor<Self>,
                _: &FloatTensor<Self>,
                _: Synapse,
            ) -> Self::Input {
                x
            }

            fn synapse_backward(
                kept: SynapseKept<Self>,
                gradient: FloatTensor<Self>,
                needs: [bool; 3],
            ) -> InputGradients<Self, 3> {
                let (operation, inputs) = SynapseBackward::new(kept, gradient, needs);
                SynapseBackward::gradients::<Self>($submit(operation, inputs), needs)
            }
        }
    };
}

submitted!([B: FusionBackend + SynapseBackwardOps] Fusion<B>, register::<B, _>);
#[cfg(feature = "remote")]
submitted!([] crate::ops::remote::Router, crate::ops::remote::send);
