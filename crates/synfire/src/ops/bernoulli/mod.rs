//! Random spikes on GPUs.

mod cube;

use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
use burn::tensor::Shape;

/// The identity of a draw.
#[derive(Clone, Copy, Debug)]
pub struct SpikeDraws {
    /// The number of time steps, T.
    pub time_steps: usize,
    /// The key of Philox.
    pub key: [u32; 2],
    /// The epoch.
    pub epoch: u32,
}

/// Random spikes, drawn on the device.
#[backend_extension(Cube, Fusion)]
pub trait BernoulliOps: Backend {
    /// Spikes `[T, B, ...]` from intensities `[B, ...]` and the samples' indices, `[B]`.
    #[fusion(meta = drawn)]
    fn bernoulli(
        intensities: FloatTensor<Self>,
        samples: IntTensor<Self>,
        draws: SpikeDraws,
    ) -> FloatTensor<Self>;
}

fn drawn(intensities: &TensorSpec, _samples: &TensorSpec, draws: &SpikeDraws) -> TensorSpec {
    TensorSpec::new(sequence(&intensities.shape, draws), intensities.dtype)
}

/// `[T, B, ...]` of `[B, ...]`.
fn sequence(batch: &Shape, draws: &SpikeDraws) -> Shape {
    let batch: &[usize] = batch;
    Shape::from([&[draws.time_steps], batch].concat())
}
