//! The model zoo of Synfire: spiking networks as Burn modules, one file per architecture.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::record::Recorder;
//! use synfire_models::{Context, NetworkConfig, SpikingNetwork, StbpCnnConfig};
//!
//! let device = Device::default();
//! let images = Tensor::<5>::ones([4, 2, 1, 28, 28], &device); // 4 time steps of 2 images
//!
//! // By configuration, or by the name of a preset.
//! let network = StbpCnnConfig::new().init(&device)?;
//! assert_eq!(network.run(images.clone()).dims(), [4, 2, 10]);
//! let any = NetworkConfig::preset("stbp-cnn")?.config.init(&device)?;
//! assert_eq!(any.layer_names(), ["conv1", "pool1", "conv2", "pool2", "hidden", "output"]);
//!
//! // With a recorder. The input is `[T, B, elements]`.
//! let mut context = Context::new().with_recorder(Recorder::membranes().of(["conv1"]));
//! network.forward(images.flatten(2, 4), &mut context);
//! assert_eq!(context.recorder().layer("conv1").unwrap().shape, [15, 24, 24]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! Every network is a [`SpikingNetwork`]. It runs a sequence with a [`Context`], which holds the states of the neurons, a
//! [`Recorder`](synfire::record::Recorder), and the draws of dropout. [`NetworkConfig`] and [`AnyNetwork`] are any of the
//! networks, and list them. The blocks in [`block`] also make networks of your own.
//!
//! Trained weights load with `pretrained`, such as [`StbpCnn::pretrained`], or by name with [`Card::of`]. Weights of
//! SpikingJelly load into the networks that it has ([`SpikingJelly`]). [`import`] loads weights of SpikingJelly or snnTorch into
//! any module with the same layers.

pub mod block;
mod context;
mod convert;
mod fused;
mod interop;
mod load;
mod network;
mod state;
mod unit_spikes;
mod weights;
mod zoo;

pub use context::Context;
pub use convert::{Balance, ConversionConfig};
#[doc(hidden)]
pub use fused::Described;
pub use fused::Fused;
pub use interop::{ImportError, Library, Names, SpikingJelly, export, import};
pub use load::{
    FORMAT, LoadError, WeightsHeader, copy_weights, learned_parameters, load_network, not_finite,
    save_network,
};
#[doc(hidden)]
pub use load::{regular, write_atomically};
pub use network::{Architecture, NetworkSettings, Preset, SpikingNetwork, Training};
pub use state::NetworkState;
#[doc(hidden)]
pub use weights::upgrade_run;
pub use weights::{BuiltIn, Card, CardConfig, Pretrained, PretrainedError, interval};
pub use zoo::*;
