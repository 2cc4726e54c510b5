//! What a spiking network did: how much it fired, what that cost, and which layers are dead.

mod activity;
mod operations;
#[cfg(feature = "train")]
mod train;

pub use activity::{LayerFault, SilentLayer, firing_rate, silent_layers};
pub use operations::{LayerOperations, SynapticOperations};
#[cfg(feature = "train")]
pub use train::{
    FiringRateMetric, FiringRates, SilentLayersMetric, SpikingOutput, SynapticOperationsInput,
    SynapticOperationsMetric,
};
