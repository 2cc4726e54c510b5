//! The model zoo of Synfire: spiking networks as Burn modules, one file per architecture.
//!
//! | model | paper |
//! | --- | --- |
//! | [`StbpMlp`] | Wu et al. 2018, *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*: 784-800-10 |
//! | [`StbpCnn`] | the same: 28x28-15C5-P2-40C5-P2-300-10 |
//! | [`CifarNet`] | Wu et al. 2019, *Direct Training for Spiking Neural Networks: Faster, Larger, Better* |
//! | [`PlifNet`] | Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to Enhance Learning of Spiking Neural Networks* |
//! | [`TdResNet`] | Zheng et al. 2021, *Going Deeper With Directly-Trained Larger Spiking Neural Networks*: ResNet-19 |
//! | [`SewResNet`] | Fang et al. 2021, *Deep Residual Learning in Spiking Neural Networks*: 18 to 152 layers |
//! | [`MsResNet`] | Hu et al. 2021, *Advancing Spiking Neural Networks Towards Deep Residual Learning*: 18, 34 and 104 layers |
//! | [`SpikingVgg`] | VGG of spiking neurons, as in SpikingJelly and TET (Deng et al. 2022): 5 to 16 layers |
//! | [`NirCnn`] | Pedersen et al. 2024, *Neuromorphic Intermediate Representation* |
//!
//! Every model has a `forward` of its own and is a [`SpikingNetwork`], which runs any of them and lets a
//! [`Recorder`](synfire::record::Recorder) look inside. All but the first two are made of [`parts`], which make networks of
//! one's own as well; weights of SpikingJelly load into those that it has ([`SpikingJelly`]), and those of any PyTorch module
//! into a module that is put together alike ([`import`]).
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
mod chain;
mod cifar_net;
mod context;
mod image_network;
mod load;
mod ms_resnet;
mod network;
mod nir_cnn;
pub mod parts;
mod plif_net;
mod presets;
mod pretrained;
mod pytorch;
mod residual;
mod sew_resnet;
mod spiking_vgg;
mod spikingjelly;
mod state;
mod stbp_cnn;
mod stbp_mlp;
mod td_resnet;

pub use any::{Network, NetworkConfig};
pub use cifar_net::{CifarNet, CifarNetConfig};
pub use context::Context;
pub use image_network::ImageNetwork;
pub use load::{LoadError, learned_parameters, load_network, not_finite};
pub use ms_resnet::{MsBlock, MsResNet, MsResNetConfig, MsStem};
pub use network::{Norm, Readout, ReadoutConfig, SpikingNetwork};
pub use nir_cnn::{NirCnn, NirCnnConfig};
pub use plif_net::{PlifNet, PlifNetConfig};
pub use pretrained::{Card, CardConfig, PretrainedError, Weights, interval};
pub use pytorch::{ImportError, Library, Names, export, import};
pub use sew_resnet::{SewBlock, SewResNet, SewResNetConfig};
pub use spiking_vgg::{SpikingVgg, SpikingVggConfig};
pub use spikingjelly::SpikingJelly;
pub use state::NetworkState;
pub use stbp_cnn::{StbpCnn, StbpCnnConfig};
pub use stbp_mlp::{StbpMlp, StbpMlpConfig};
pub use td_resnet::{TdBlock, TdResNet, TdResNetConfig};
