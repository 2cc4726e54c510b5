//! Encoders: intensities and signals to spikes.
//!
//! | encoder | an intensity becomes |
//! | --- | --- |
//! | [`BernoulliEncoder`] | random spikes with the intensity as probability (rate coding; the paper's) |
//! | [`DirectEncoder`] | itself, in every step (the first layer of the network makes the spikes) |
//! | [`LatencyEncoder`] | one spike, earlier for a higher intensity |
//! | [`PopulationEncoder`] | spikes of several neurons, each tuned to a part of the range |
//! | [`DeltaEncoder`] | spikes at changes of a signal over time |
//!
//! Every draw is a function of the seed and its identity, see [`random`](crate::random).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::encode::{SampleKeys, Encoder, LatencyEncoderConfig};
//!
//! let encoder = LatencyEncoderConfig::new(3).init()?;
//! let intensities = Tensor::<2>::from_floats([[1.0, 0.5, 0.0]], &Device::default());
//! let spikes: Tensor<3> = encoder.encode(intensities, &SampleKeys::fixed(1));
//! assert_eq!(
//!     spikes.to_data().try_to_vec::<f32>().unwrap(),
//!     [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
//! );
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod any;
mod bernoulli;
mod delta;
mod direct;
mod latency;
mod population;

use burn::tensor::{Tensor, TensorData};

pub use any::{AnyEncoder, EncoderConfig};
pub use bernoulli::{BernoulliEncoder, BernoulliEncoderConfig};
pub use delta::{DeltaEncoder, DeltaEncoderConfig, DeltaStart};
pub use direct::{DirectEncoder, DirectEncoderConfig, repeat};
pub use latency::{LatencyCode, LatencyEncoder, LatencyEncoderConfig};
pub use population::{PopulationEncoder, PopulationEncoderConfig};

/// Turns a batch of intensities into a sequence of the same elements.
pub trait Encoder {
    /// The number of time steps of the sequence.
    fn time_steps(&self) -> usize;

    /// Encodes a batch on the host.
    ///
    /// # Shapes
    ///
    /// - intensities: `[B, E]`, row by row
    /// - result: `[T, B, E]`, row by row
    ///
    /// # Panics
    ///
    /// If the number of intensities is not a multiple of the number of samples in `draw`.
    fn encode_host(&self, intensities: &[f32], draw: &SampleKeys) -> Vec<f32>;

    /// Encodes a batch. Most encoders make the sequence on the host and first read a tensor back from another device; for
    /// intensities on the host, [`encode_host`](Self::encode_host) avoids that. [`DirectEncoder`] works on the device of
    /// the intensities, [`BernoulliEncoder`] on the host and on GPUs. No gradient passes through draws.
    ///
    /// # Shapes
    ///
    /// - intensities: `[B, ...]`
    /// - result: `[T, B, ...]`, on the device of the intensities
    ///
    /// # Panics
    ///
    /// If `draw` does not name B samples, or `OUTPUT` is not one higher than `INPUT`.
    fn encode<const INPUT: usize, const OUTPUT: usize>(
        &self,
        intensities: Tensor<INPUT>,
        draw: &SampleKeys,
    ) -> Tensor<OUTPUT>
    where
        Self: Sized,
    {
        encode_on_host(self, intensities, draw)
    }
}

/// [`Encoder::encode`], on the host.
fn encode_on_host<const INPUT: usize, const OUTPUT: usize>(
    encoder: &impl Encoder,
    intensities: Tensor<INPUT>,
    draw: &SampleKeys,
) -> Tensor<OUTPUT> {
    let shape: [usize; OUTPUT] = sequence_shape(encoder.time_steps(), intensities.dims());
    draw.check(intensities.dims());
    let device = intensities.device();
    let host = intensities.into_data().convert::<f32>();
    let host = host.as_slice::<f32>().expect("they were converted");
    let spikes = encoder.encode_host(host, draw);
    Tensor::from_data(TensorData::new(spikes, shape), &device)
}

/// Keys of the draws: the samples of a batch and the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleKeys {
    /// The epoch. A fixed number gives the same spikes each time, as wanted for validation and test.
    pub epoch: u32,
    /// For each row of the batch the number of its sample in the dataset.
    pub samples: Vec<u32>,
}

impl SampleKeys {
    /// The draws of `samples` in `epoch`.
    pub fn new(epoch: u32, samples: Vec<u32>) -> Self {
        Self { epoch, samples }
    }

    /// The draws of the samples `0..count` in epoch 0, for a batch without a dataset.
    pub fn fixed(count: u32) -> Self {
        Self::new(0, (0..count).collect())
    }

    /// Panics unless there is a sample for each row of a batch.
    fn check<const D: usize>(&self, batch: [usize; D]) {
        assert!(
            batch[0] == self.samples.len(),
            "Encoder: intensities {batch:?} for {} samples",
            self.samples.len()
        );
    }

    /// The number of elements of a sample.
    fn elements(&self, owner: &str, intensities: &[f32]) -> usize {
        let batch = self.samples.len();
        assert!(
            batch > 0 && intensities.len().is_multiple_of(batch),
            "{owner}: {} intensities cannot belong to {batch} samples",
            intensities.len()
        );
        intensities.len() / batch
    }
}

/// `[T, B, ...]` from T and `[B, ...]`.
fn sequence_shape<const INPUT: usize, const OUTPUT: usize>(
    time_steps: usize,
    batch: [usize; INPUT],
) -> [usize; OUTPUT] {
    assert!(
        OUTPUT == INPUT + 1,
        "Encoder: intensities of rank {INPUT} become a sequence of rank {}, not {OUTPUT}",
        INPUT + 1
    );
    let mut shape = [time_steps; OUTPUT];
    shape[1..].copy_from_slice(&batch);
    shape
}
