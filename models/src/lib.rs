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
//! | [`SpikingResNet`] | He et al. 2016, *Deep Residual Learning for Image Recognition*, with spiking neurons as in SpikingJelly: 18 to 152 layers |
//! | [`SpikingVgg`] | VGG of spiking neurons, as in SpikingJelly and TET (Deng et al. 2022): 5 to 16 layers |
//! | [`NirCnn`] | Pedersen et al. 2024, *Neuromorphic Intermediate Representation* |
//!
//! Every network is a [`SpikingNetwork`]: it takes a sequence and a [`Context`] with its state, a
//! [`Recorder`](synfire::record::Recorder) that looks inside, and the draws of dropout. All are made of the blocks in
//! [`block`], which make networks of one's own as well. [`NetworkConfig`] is any of them. Weights of SpikingJelly load into
//! those that it has ([`SpikingJelly`]), and those of any PyTorch module into a module that is put together alike
//! ([`import`]).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::record::Recorder;
//! use synfire_models::{Context, SpikingNetwork, StbpCnnConfig, StbpMlpConfig};
//!
//! let device = Device::default();
//! // 4 time steps of 2 images
//! let input = Tensor::<3>::ones([4, 2, 784], &device);
//! let network = StbpMlpConfig::new().init(&device)?;
//! assert_eq!(network.run(input.clone()).dims(), [4, 2, 10]);
//!
//! let network = StbpCnnConfig::new().init(&device)?;
//! let mut context = Context::new().with_recorder(Recorder::membranes().of(["conv1"]));
//! assert_eq!(network.forward(input, &mut context).dims(), [4, 2, 10]);
//! assert_eq!(context.recorder().layer("conv1").unwrap().shape, [15, 24, 24]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

pub mod block;
mod context;
mod interop;
mod load;
mod network;
mod state;
mod weights;
mod zoo;

pub use context::Context;
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
