//! Measures of a spiking network: firing rates, synaptic operations, dead layers and answers.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::metric::{LayerOperations, firing_rate, stuck_layers};
//!
//! let device = Device::default();
//! let spikes = Tensor::<3>::from_floats([[[1.0, 0.0, 0.0, 0.0]], [[1.0, 0.0, 1.0, 0.0]]], &device);
//! let rate = firing_rate(spikes.clone()).into_scalar::<f64>();
//! assert_eq!(rate, 0.375);
//! assert!(stuck_layers([("hidden", rate)]).is_empty());
//!
//! // Three spikes meet two weights each.
//! let operations = LayerOperations::linear(spikes, Tensor::ones([4, 2], &device)).count().unwrap();
//! assert_eq!(operations.accumulates, 6.0);
//! ```
//!
//! With the feature `train` the same figures are metrics of burn-train.

mod activity;
mod answers;
mod operations;
#[cfg(feature = "train")]
mod train;

pub use activity::{LayerFault, StuckLayer, firing_rate, stuck_layers};
pub use answers::{Answers, answer};
pub use operations::{LayerOperations, SynapticOperations};
#[cfg(feature = "train")]
pub use train::{
    FiringRateMetric, FiringRates, Gather, Gathered, GatheredInput, GatheredOutput, MeanMetric,
    MissingClassesMetric, Scores, SpikingOutput, StuckLayersMetric, SynapticOperationsInput,
    SynapticOperationsMetric, UndecidedMetric,
};
