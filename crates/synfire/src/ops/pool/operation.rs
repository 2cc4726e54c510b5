//! Pooling as an operation of Burn's fusion and of servers.

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::fusion::{Fusion, FusionBackend};
use burn::backend::tensor::FloatTensor;

use super::{Pool, PoolBackwardOps, PoolOps, Windows};
use crate::ops::operation::{Runs, TensorOperation, Unary, UnaryBackward, exactly, register};

impl Windows {
    /// Height and width of the output for images of this size.
    fn out(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        // More than any image has, and no sum or product of them wraps.
        let sane = |size: usize| size < 1 << 16;
        let axis = |axis: usize| {
            let (begin, end) = self.padding[axis];
            let (window, stride) = (self.size[axis], self.stride[axis]);
            let fits = [window, begin, end].into_iter().all(sane);
            let fits = fits && stride > 0 && window > begin.max(end) && size[axis] < 1 << 31;
            fits.then(|| self.count(axis, size[axis]))
        };
        let out = [axis(0)?, axis(1)?];
        (!out.contains(&0)).then_some(out)
    }
}

/// Shape and type of the output.
fn output(x: &TensorSpec, pool: Pool) -> Result<TensorSpec, String> {
    let mut output = x.clone();
    let sizes: &[usize] = &x.shape;
    let wrong = || format!("the input {sizes:?} for {pool:?}");
    match pool {
        Pool::Average(windows) | Pool::Max(windows) => {
            let many = matches!(pool, Pool::Max(_)) && windows.size.iter().product::<usize>() > 256;
            let [.., _, height, width] = *sizes else {
                return Err(wrong());
            };
            let out = windows.out([height, width]).filter(|_| !many);
            let out = out.ok_or_else(wrong)?;
            output.shape[sizes.len() - 2..].copy_from_slice(&out);
        }
        Pool::Time => match sizes.first() {
            None | Some(0) => return Err(wrong()),
            Some(_) => output.shape[0] = 1,
        },
        Pool::All => output.shape.iter_mut().for_each(|size| *size = 1),
    }
    Ok(output)
}

impl TensorOperation for Pool {
    const ID: &'static str = "synfire.pool";

    fn outputs(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>, String> {
        match inputs {
            [x] => Ok(vec![output(x, *self)?]),
            _ => Err("expected one tensor".to_owned()),
        }
    }
}

impl Unary for Pool {
    const BACKWARD: &'static str = "synfire.pool_backward";
}

impl<B: PoolOps> Runs<B> for Pool {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [x] = exactly(inputs);
        vec![B::pool(x, self)]
    }
}

impl<B: PoolBackwardOps> Runs<B> for UnaryBackward<Pool> {
    fn run(self, inputs: Vec<FloatTensor<B>>) -> Vec<FloatTensor<B>> {
        let [gradient, x] = exactly(inputs);
        let (_, input) = B::pool_kept(x, self.0);
        vec![B::pool_backward(input, gradient, self.0)]
    }
}

/// Implements the operations of a backend that submits them to another.
macro_rules! submitted {
    ([$($generics:tt)*] $backend:ty, $submit:expr) => {
        impl<$($generics)*> PoolOps for $backend {
            fn pool(x: FloatTensor<Self>, pool: Pool) -> FloatTensor<Self> {
                let [output] = exactly($submit(pool, vec![x]));
                output
            }
        }

        impl<$($generics)*> PoolBackwardOps for $backend {
            type Input = FloatTensor<Self>;

            fn pool_kept(x: FloatTensor<Self>, pool: Pool) -> (FloatTensor<Self>, Self::Input) {
                (Self::pool(x.clone(), pool), x)
            }

            fn pool_backward(
                input: Self::Input,
                gradient: FloatTensor<Self>,
                pool: Pool,
            ) -> FloatTensor<Self> {
                let [gradient] = exactly($submit(UnaryBackward(pool), vec![gradient, input]));
                gradient
            }
        }
    };
}

submitted!([B: FusionBackend + PoolBackwardOps] Fusion<B>, register::<B, _>);
#[cfg(feature = "remote")]
submitted!([] crate::ops::remote::Router, crate::ops::remote::send);
