//! What the training scripts of Synfire share.
//!
//! A script parses [`Options`](options::Options), calls [`train`](train::train) with its defaults, and prints the
//! [`Report`](report::Report). Copy what you need.

pub mod checkpoint;
pub mod classifier;
pub mod data;
mod device;
mod error;
mod guard;
pub mod history;
pub mod look;
pub mod loss;
pub mod network;
pub mod options;
pub mod plain;
pub mod report;
pub mod saved;
pub mod train;

pub use device::{describe, device};
pub use error::{RunError, exit_code};
