//! Spiking self-attention as an operation of Burn's fusion and of servers.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;

use super::{Attention, AttentionBackwardOps, AttentionOps};
use crate::ops::operation::{Runs, TensorOperation, Unary, UnaryBackward, exactly, register};

/// Shape and type of the output.
fn output(x: &TensorSpec, attention: Attention) -> Result<TensorSpec, String> {
    let sizes: &[usize] = &x.shape;
    match *sizes {
        [_, _, channels, _, _] if attention.divides(channels) => {
            let mut output = x.clone();
            output.shape[2] = channels / 3;
            Ok(output)
        }
        _ => Err(format!("the input {sizes:?} for {attention:?}")),
    }
}

impl TensorOperation for Attention {
    const ID: &'static str = "synfire.attention";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        match inputs {
            [x] => Ok(vec![output(x, *self)?]),
            _ => Err("expected one tensor".to_owned()),
        }
    }
}

impl Unary for Attention {
    const BACKWARD: &'static str = "synfire.attention_backward";
}

impl<B: AttentionOps> Runs<B> for Attention {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [x] = exactly(inputs);
        vec![B::spike_attention(x, self)]
    }
}

impl<B: AttentionBackwardOps> Runs<B> for UnaryBackward<Attention> {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [gradient, x] = exactly(inputs);
        let input = B::spike_attention_input(x, self.0);
        vec![B::spike_attention_backward(input, gradient, self.0)]
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> AttentionOps for $backend {
            fn spike_attention(x: FloatTensor<Self>, attention: Attention) -> FloatTensor<Self> {
                let [output] = exactly($submit(attention, vec![x]));
                output
            }
        }

        impl<$($generics)*> AttentionBackwardOps for $backend {
            type Input = FloatTensor<Self>;

            fn spike_attention_input(x: FloatTensor<Self>, _: Attention) -> Self::Input {
                x
            }

            fn spike_attention_of(input: &Self::Input, attention: Attention) -> FloatTensor<Self> {
                Self::spike_attention(input.clone(), attention)
            }

            fn spike_attention_backward(
                input: Self::Input,
                gradient: FloatTensor<Self>,
                attention: Attention,
            ) -> FloatTensor<Self> {
                let operation = UnaryBackward(attention);
                let [gradient] = exactly($submit(operation, vec![gradient, input]));
                gradient
            }
        }
    };
}

submitted!([B: FusionBackend + AttentionBackwardOps] Fusion<B>, register::<B, _>);
#[cfg(feature = "remote")]
submitted!([] crate::ops::remote::Router, crate::ops::remote::send);
