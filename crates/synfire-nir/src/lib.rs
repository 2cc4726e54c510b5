//! The Neuromorphic Intermediate Representation (NIR) for Synfire.
//!
//! NIR is the common file format of spiking networks: a graph of continuous-time equations (Pedersen et al. 2024,
//! *Neuromorphic intermediate representation: A unified instruction set for interoperable brain-inspired computing*). This
//! crate reads and writes its files, and runs a graph as a Burn module.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire_models::SpikingNetwork;
//! use synfire_nir::{Affine, Array, Graph, Input, LIF, NirNetwork, NirOptions, Output};
//!
//! let graph = Graph::chain([
//!     ("input", Input::new([2]).into()),
//!     ("fc", Affine { weight: Array::full([3, 2], 0.5), bias: Array::full([3], 0.0) }.into()),
//!     ("lif", LIF::new([3], 2e-3).into()),
//!     ("output", Output::new([3]).into()),
//! ]);
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("network.nir");
//! graph.save(&path)?;
//!
//! let device = Device::default();
//! let network = NirNetwork::new(&Graph::open(&path)?, &NirOptions::new().with_dt(1e-3), &device)?;
//! let spikes = network.run(Tensor::<3>::ones([10, 4, 2], &device));
//! assert_eq!(spikes.dims(), [10, 4, 3]);
//! # Ok::<(), synfire_nir::NirError>(())
//! ```

mod array;
mod diff;
mod entry;
mod error;
mod export;
mod field;
mod flat;
mod graph;
mod hdf5;
pub mod layer;
mod limits;
mod network;
pub mod neuron;
mod node;
mod options;
mod plan;
mod primitive;
mod signal;
mod zoo;

pub use array::{Array, Numbers};
pub use diff::{Difference, diff};
pub use entry::{Entries, Entry};
pub use error::NirError;
pub use export::{Export, export};
pub use field::{Padding, Shape};
pub use graph::{Graph, NamedNode, VERSION};
pub use layer::Layer;
pub use limits::Limits;
pub use network::NirNetwork;
pub use node::{Node, Shapes};
pub use options::{Clock, Current, Integration, NirOptions, OnSpike};
pub use primitive::{
    Affine, AvgPool2d, Conv1d, Conv2d, CubaLI, CubaLIF, Delay, Flatten, I, IF, Input, LI, LIF,
    Linear, Output, Scale, SumPool2d, Threshold,
};
