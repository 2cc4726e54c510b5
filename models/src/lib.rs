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
//! | network | paper |
//! | --- | --- |
//! | [`StbpMlp`] | Wu et al. 2018, *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*: 784-800-10 |
//! | [`StbpCnn`] | the same: 28x28-15C5-P2-40C5-P2-300-10 |
//! | [`CifarNet`] | Wu et al. 2019, *Direct Training for Spiking Neural Networks: Faster, Larger, Better* |
//! | [`PlifNet`] | Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking Neural Networks* |
//! | [`TdResNet`] | Zheng et al. 2021, *Going Deeper With Directly-Trained Larger Spiking Neural Networks*: ResNet-19 |
//! | [`SewResNet`] | Fang et al. 2021, *Deep Residual Learning in Spiking Neural Networks*: 18 to 152 layers |
//! | [`MsResNet`] | Hu et al. 2021, *Advancing Spiking Neural Networks Towards Deep Residual Learning*: 18, 34 and 104 layers |
//! | [`SpikingResNet`] | He et al. 2016, *Deep Residual Learning for Image Recognition*, with spiking neurons as in SpikingJelly: 18 to 152 layers |
//! | [`SpikingVgg`] | VGG of spiking neurons, as in SpikingJelly and TET (Deng et al. 2022): 5 to 16 layers |
//! | [`NirCnn`] | Pedersen et al. 2024, *Neuromorphic Intermediate Representation* |
//!
//! Every network is a [`SpikingNetwork`]. It runs a sequence with a [`Context`], which holds the states of the neurons, a
//! [`Recorder`](synfire::record::Recorder), and the draws of dropout. [`NetworkConfig`] and [`AnyNetwork`] are any of the
//! networks. The blocks in [`block`] also make networks of your own.
//!
//! Trained weights load with `pretrained`, such as [`StbpCnn::pretrained`], or by name with [`Card::of`]. Weights of
//! SpikingJelly load into the networks that it has ([`SpikingJelly`]). [`import`] loads weights of SpikingJelly or snnTorch into
//! any module with the same layers.

pub mod block;
mod context;
mod fused;
mod interop;
mod load;
mod network;
mod state;
mod weights;
mod zoo;

pub use context::Context;
pub use fused::Fused;
pub use interop::{ImportError, Library, Names, SpikingJelly, export, import};
pub use load::{
    FORMAT, LoadError, WeightsHeader, learned_parameters, load_network, not_finite, save_network,
};
pub use network::{Architecture, NetworkSettings, Preset, SpikingNetwork, Training};
pub use state::NetworkState;
#[doc(hidden)]
pub use weights::upgrade_run;
pub use weights::{BuiltIn, Card, CardConfig, Pretrained, PretrainedError, interval};
pub use zoo::*;
