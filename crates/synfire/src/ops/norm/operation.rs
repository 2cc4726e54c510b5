//! Batch normalisation as an operation of Burn's fusion and of servers.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;
use serde::{Deserialize, Serialize};

use super::{NormBackwardOps, NormKept, NormOps};
use crate::ops::backward::InputGradients;
use crate::ops::operation::{
    Runs, TensorOperation, check_same, exactly, first_gradients, register,
};

/// One number of each channel, and the statistics, for tensors of this type with so many channels.
pub fn of_channels(x: &TensorSpec, channels: usize) -> Result<[TensorSpec; 2], String> {
    match channels {
        0 => Err("there are no channels".to_owned()),
        _ => Ok([vec![channels], vec![3, channels]]
            .map(|shape| TensorSpec::new(Shape::from(shape), x.dtype))),
    }
}

/// Checks that the input is `[rows, C]` or `[T, B, C, ...]`, and returns [`of_channels`].
fn of_input(x: &TensorSpec) -> Result<[TensorSpec; 2], String> {
    let sizes: &[usize] = &x.shape;
    match *sizes {
        [_, channels] | [_, _, channels, ..] if !sizes.contains(&0) => of_channels(x, channels),
        _ => Err(format!("the input {sizes:?}, expected [T, B, C, ...]")),
    }
}

/// The axes of a sequence with its channels last, or back.
fn axes(rank: usize, back: bool) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..rank).collect();
    match back {
        false => axes[2..].rotate_left(1),
        true => axes[2..].rotate_right(1),
    }
    axes
}

/// A sequence as `[rows, C]`, without a copy if its channels are last in memory.
fn rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let sizes: Vec<usize> = x.shape().to_vec();
    match *sizes {
        [_, _, channels, ..] => {
            let inside = B::float_permute(x, &axes(sizes.len(), false));
            let rows = sizes.iter().product::<usize>() / channels;
            B::float_reshape(inside, Shape::from([rows, channels]))
        }
        _ => x,
    }
}

/// Inverse of [`rows`].
fn sequence<B: Backend>(rows: FloatTensor<B>, shape: Shape) -> FloatTensor<B> {
    let mut sizes: Vec<usize> = shape.to_vec();
    if sizes.len() < 3 {
        return rows;
    }
    sizes[2..].rotate_left(1);
    let inside = B::float_reshape(rows, Shape::from(sizes));
    B::float_permute(inside, &axes(shape.num_dims(), true))
}

/// [`NormOps::normalize`] of `x, gamma, beta`, where `x` may be a whole sequence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NormForward {
    epsilon: f64,
}

impl TensorOperation for NormForward {
    const ID: &'static str = "synfire.norm";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [x, gamma, beta] = inputs else {
            return Err("expected three tensors".to_owned());
        };
        let [numbers, statistics] = of_input(x)?;
        check_same("gamma", gamma, &numbers)?;
        check_same("beta", beta, &numbers)?;
        Ok(vec![x.clone(), statistics])
    }
}

impl<B: NormOps> Runs<B> for NormForward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [x, gamma, beta] = exactly(inputs);
        let shape = x.shape();
        let (output, statistics) = B::normalize(rows::<B>(x), gamma, beta, self.epsilon);
        vec![sequence::<B>(output, shape), statistics]
    }
}

/// [`NormBackwardOps::normalize_backward`] of the gradient, `x, beta` and the statistics.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NormBackward {
    epsilon: f64,
}

impl TensorOperation for NormBackward {
    const ID: &'static str = "synfire.norm_backward";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        let [gradient, x, beta, statistics] = inputs else {
            return Err("expected four tensors".to_owned());
        };
        let [numbers, expected] = of_input(x)?;
        check_same("gradient", gradient, x)?;
        check_same("beta", beta, &numbers)?;
        check_same("statistics", statistics, &expected)?;
        Ok(vec![x.clone(), numbers.clone(), numbers])
    }
}

impl<B: NormBackwardOps> Runs<B> for NormBackward {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [gradient, x, beta, statistics] = exactly(inputs);
        let shape = x.shape();
        let kept = NormKept {
            x: rows::<B>(x),
            beta,
            statistics,
            epsilon: self.epsilon,
        };
        let [x, gamma, beta] = B::normalize_backward(kept, rows::<B>(gradient));
        let x = x.map(|gradient| sequence::<B>(gradient, shape));
        [x, gamma, beta].into_iter().flatten().collect()
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> NormOps for $backend {
            fn normalize(
                x: FloatTensor<Self>,
                gamma: FloatTensor<Self>,
                beta: FloatTensor<Self>,
                epsilon: f64,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                let outputs = $submit(NormForward { epsilon }, vec![x, gamma, beta]);
                exactly::<_, 2>(outputs).into()
            }
        }

        impl<$($generics)*> NormBackwardOps for $backend {
            fn normalize_backward(
                kept: NormKept<Self>,
                gradient: FloatTensor<Self>,
            ) -> InputGradients<Self, 3> {
                let NormKept { x, beta, statistics, epsilon } = kept;
                let inputs = vec![gradient, x, beta, statistics];
                first_gradients($submit(NormBackward { epsilon }, inputs))
            }
        }
    };
}

submitted!([B: FusionBackend + NormBackwardOps] Fusion<B>, register::<B, _>);
#[cfg(feature = "remote")]
submitted!([] crate::ops::remote::Router, crate::ops::remote::send);
