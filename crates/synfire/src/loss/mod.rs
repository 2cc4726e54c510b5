//! Losses on sequences, and regularisers on firing rates.
//!
//! | loss | of | the answer is |
//! | --- | --- | --- |
//! | [`StbpLoss`] | the paper's: squared distance of the firing rates from their targets | spikes |
//! | [`TemporalCrossEntropyLoss`] | cross-entropy of the sum (or maximum) over time | spikes or membrane potentials |
//! | [`TetLoss`] | cross-entropy of every step | spikes or membrane potentials |
//! | [`FirstSpikeLoss`] | cross-entropy of the times of the first spikes | spikes |
//!
//! [`RateRegularizer`] is added to any of them, for the layers whose firing it is to keep in bounds.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use synfire::loss::{Evidence, RateRegularizer, TemporalCrossEntropyLossConfig};
//!
//! let device = Device::default();
//! let loss = TemporalCrossEntropyLossConfig::new(Evidence::Sum).init(&device)?;
//! let spikes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[1.0, 0.0]]], &device);
//! let labels = Tensor::<1, Int>::from_ints([0], &device);
//! let sparse = RateRegularizer::l1(0.01)?;
//! let total = loss.forward(spikes.clone(), labels) + sparse.forward(spikes);
//! assert!((total.into_scalar::<f32>() - 0.131_928).abs() < 1e-5);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod cross_entropy;
mod first_spike;
mod regularizer;
mod stbp;
mod tet;

use burn::nn::loss::CrossEntropyLossConfig;

use crate::InvalidConfig;

pub use cross_entropy::{Evidence, TemporalCrossEntropyLoss, TemporalCrossEntropyLossConfig};
pub use first_spike::{FirstSpikeLoss, FirstSpikeLossConfig};
pub use regularizer::RateRegularizer;
pub use stbp::{StbpLoss, StbpLossConfig, one_hot};
pub use tet::{TetLoss, TetLossConfig};

/// The cross-entropy of logits with this label smoothing.
fn cross_entropy(
    owner: &'static str,
    smoothing: Option<f64>,
) -> Result<CrossEntropyLossConfig, InvalidConfig> {
    if let Some(smoothing) = smoothing {
        InvalidConfig::require_part(owner, "smoothing", smoothing)?;
    }
    let smoothing = smoothing.map(|part| part as f32);
    Ok(CrossEntropyLossConfig::new().with_smoothing(smoothing))
}

/// The class weights in single precision. Rejects an empty list, and weights that are not positive.
fn checked_weights(
    owner: &'static str,
    weights: &Option<Vec<f64>>,
) -> Result<Option<Vec<f32>>, InvalidConfig> {
    const FIELD: &str = "weights";
    let Some(weights) = weights else {
        return Ok(None);
    };
    let expected = "a weight for each class";
    InvalidConfig::require(owner, FIELD, "[]", !weights.is_empty(), expected)?;
    let checked = |weight| InvalidConfig::require_positive(owner, FIELD, weight);
    let single = |weight: &f64| checked(*weight).map(|weight| weight as f32);
    let weights: Result<_, _> = weights.iter().map(single).collect();
    weights.map(Some)
}
