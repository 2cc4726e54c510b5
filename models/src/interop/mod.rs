//! Weights of other libraries.

mod pytorch;
mod spikingjelly;

pub use pytorch::{ImportError, Library, Names, export, import};
pub use spikingjelly::SpikingJelly;
