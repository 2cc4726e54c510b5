//! The model zoo of Synfire: spiking networks as Burn modules, one file per architecture.
//!
//! | model | paper |
//! | --- | --- |
//! | [`StbpMlp`] | Wu et al. 2018, *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks* |
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire_models::StbpMlpConfig;
//!
//! let device = Device::default();
//! let model = StbpMlpConfig::new().init(&device)?;
//! // 4 time steps of 2 images
//! let spikes = model.forward(Tensor::<3>::ones([4, 2, 784], &device));
//! assert_eq!(spikes.dims(), [4, 2, 10]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

mod stbp_mlp;

pub use stbp_mlp::{StbpMlp, StbpMlpConfig};
