//! Training runs of spiking networks: from a configuration to weights and a report, with checkpoints, resuming and a
//! dashboard. The command `synfire` is built on this crate.
//!
//! ```no_run
//! use synfire_models::StbpMlpConfig;
//! use synfire_train::{RunConfig, Trainer};
//!
//! let config = RunConfig {
//!     network: StbpMlpConfig::new().with_sizes(vec![784, 200, 10]).into(),
//!     epochs: 3,
//!     ..RunConfig::default()
//! };
//! let (report, folder) = Trainer::new().train(config)?;
//! println!("{:.2} %, {}", 100.0 * report.test_accuracy, folder.display());
//! # Ok::<(), synfire_train::RunError>(())
//! ```
//!
//! A [`RunConfig`] holds everything that decides the result of a run. Each value has a [path](RunConfig::set), for
//! `--set PATH=VALUE` and TOML files:
//!
//! ```
//! use synfire_train::RunConfig;
//!
//! let config = RunConfig::default().with([("network.neuron.decay", "0.9"), ("epochs", "3")])?;
//! let error = config.with([("network.neuron.decai", "0.9")]).unwrap_err();
//! assert!(error.to_string().contains("network.neuron.decay"));
//! # Ok::<(), synfire_train::RunError>(())
//! ```
//!
//! A [`Trainer`] decides where and how a run is trained: device, folder and output. [`Trainer::resume`] continues an interrupted
//! run and ends with the same weights as an uninterrupted one. The [`Report`] holds accuracies, firing rates, synaptic operations,
//! the history of all epochs, and the [command](RunConfig::command) of the run.
//!
//! This crate sets [mimalloc](https://docs.rs/mimalloc) as the global allocator of every program that uses it.

pub mod augment;
pub mod average;
pub mod checkpoint;
pub mod classifier;
mod config;
pub mod contrast;
pub mod conversion;
pub mod data;
mod device;
mod error;
pub mod folder;
mod guard;
pub mod history;
pub mod look;
pub mod loss;
pub mod memory;
pub mod output;
pub mod plain;
pub mod report;
pub mod samples;
pub mod saved;
mod schedule;
mod signals;
pub mod start;
pub mod sweep;
mod time_left;
pub mod train;
#[cfg(feature = "remote")]
mod watchdog;

pub use config::{BestBy, Optimizer, RunConfig, Schedule};
#[cfg(feature = "remote")]
pub use device::read_token;
pub use device::{describe, device, gpus, processors};
pub use error::{RunError, exit_code, exit_code_of_run, exit_status};
pub use report::Report;
pub use train::{Output, Trainer};

/// Keeps freed memory for reuse: the tensors of one step have the sizes of those of the next.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
