//! What a spiking network did: how much it fired, what that cost, and which layers are dead.

mod activity;
mod operations;
#[cfg(feature = "train")]
mod train;

pub use activity::{LayerFault, StuckLayer, firing_rate, stuck_layers};
pub use operations::{LayerOperations, SynapticOperations};
#[cfg(feature = "train")]
pub use train::{
    FiringRateMetric, FiringRates, SpikingOutput, StuckLayersMetric, SynapticOperationsInput,
    SynapticOperationsMetric,
};
