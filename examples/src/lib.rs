//! What the training scripts of Synfire share.
//!
//! A [`script`] parses [`Options`](options::Options), calls [`train`](train::train) with its defaults, and prints the
//! [`Report`](report::Report). Copy what you need.

pub mod analysis;
pub mod augment;
pub mod checkpoint;
pub mod class_folders;
pub mod classifier;
pub mod config;
pub mod contrast;
pub mod data;
mod device;
pub mod document;
mod error;
mod folder;
mod guard;
pub mod history;
pub mod look;
pub mod loss;
pub mod memory;
pub mod options;
pub mod output;
pub mod plain;
pub mod report;
pub mod samples;
pub mod saved;
mod script;
mod signals;
pub mod train;

pub use device::{describe, device, gpus, processors};
pub use error::{RunError, exit_code, exit_status};
pub use script::{command, script};

/// Keeps freed memory at hand: the tensors of one step are those of the next, without new pages for each. It is that of
/// every program that uses this crate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
