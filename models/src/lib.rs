//! The model zoo of Synfire: spiking networks as Burn modules, one file per architecture.
//!
//! | model | paper |
//! | --- | --- |
//! | [`StbpMlp`] | Wu et al. 2018, *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*: 784-800-10 |
//! | [`StbpCnn`] | the same: 28x28-15C5-P2-40C5-P2-300-10 |
//!
//! Every model has a `forward` of its own and is a [`SpikingNetwork`], which runs any of them and lets a
//! [`Recorder`](synfire::record::Recorder) look inside.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::record::Recorder;
//! use synfire_models::{SpikingNetwork, StbpCnnConfig, StbpMlpConfig};
//!
//! let device = Device::default();
//! let model = StbpMlpConfig::new().init(&device)?;
//! // 4 time steps of 2 images
//! let input = Tensor::<3>::ones([4, 2, 784], &device);
//! assert_eq!(model.forward(input.clone()).dims(), [4, 2, 10]);
//!
//! let model = StbpCnnConfig::new().init(&device)?;
//! let mut recorder = Recorder::membranes().of(["conv1"]);
//! let output = model.run(input, &mut recorder);
//! assert_eq!(output.dims(), [4, 2, 10]);
//! assert_eq!(recorder.layer("conv1").unwrap().shape, [15, 24, 24]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod any;
mod load;
mod network;
mod pass;
mod pretrained;
mod state;
mod stbp_cnn;
mod stbp_mlp;

pub use any::{Network, NetworkConfig};
pub use load::{LoadError, load_network, not_finite};
pub use network::{Norm, Readout, SpikingNetwork};
pub use pass::Pass;
pub use pretrained::{Card, CardConfig, PretrainedError, Weights};
pub use state::NetworkState;
pub use stbp_cnn::{StbpCnn, StbpCnnConfig};
pub use stbp_mlp::{StbpMlp, StbpMlpConfig};
