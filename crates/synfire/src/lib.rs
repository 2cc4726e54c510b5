//! Spiking neural networks on the [Burn](burn) framework, trained by spatio-temporal backpropagation (STBP).
//!
//! STBP is the method of Wu, Deng, Li, Zhu and Shi (2018), *Spatio-Temporal Backpropagation for Training
//! High-Performance Spiking Neural Networks*, Frontiers in Neuroscience 12:331. In this crate it is three things:
//!
//! 1. A spike is a custom Burn operation: a step in the forward pass, a [surrogate] derivative in the backward
//!    pass ([`spike`](mod@spike)).
//! 2. A [neuron] is a Burn module that unrolls its equation over the time steps.
//! 3. Autodiff over the unrolled graph is backpropagation through layers (space) and steps (time).
//!
//! So a spiking network is an ordinary Burn program. What follows is all one needs to write one, in the order in which
//! the questions come up.
//!
//! # Time comes first
//!
//! A spiking network sees its input for some time steps, and its neurons answer each step with 1 (a spike) or 0. A
//! sequence is a tensor `[T, B, ...]`: time steps, samples, then whatever shape a sample has. A neuron takes a whole
//! sequence. A layer without memory, any of Burn's, is applied to every step by [`each_step`](layer::each_step), which
//! folds time into the batch; a few layers have a form of their own in [`layer`], among them linear layers and convolutions
//! that are faster where their input is spikes.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Tensor};
//! use synfire::layer::each_step;
//! use synfire::neuron::{LifConfig, Neuron};
//!
//! let device = Device::default();
//! let linear = LinearConfig::new(16, 3).init(&device);
//! let lif = LifConfig::new().init(&device)?;
//!
//! let input = Tensor::<3>::ones([10, 4, 16], &device); // 10 steps of 4 samples
//! let current: Tensor<3> = each_step(input, |x: Tensor<2>| linear.forward(x));
//! let (spikes, _state) = lif.forward(current, None);
//! assert_eq!(spikes.dims(), [10, 4, 3]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # State is explicit
//!
//! What a neuron carries from one step to the next goes in and comes out; no module keeps it. `None` starts at rest. So
//! there is nothing to reset between samples, and a sequence may come in parts, down to single steps (T = 1):
//!
//! ```
//! # use burn::tensor::{Device, Tensor};
//! use synfire::neuron::{LifConfig, Neuron, NeuronState};
//!
//! # let device = Device::default();
//! let lif = LifConfig::new().init(&device)?;
//! let mut state = None;
//! for _step in 0..100 {
//!     let (_spikes, next) = lif.forward(Tensor::<2>::full([1, 4], 0.3, &device), state);
//!     // Gradients would reach back to the first step; here they stop at this one.
//!     state = Some(next.detach());
//! }
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! States are saved and loaded by serde.
//!
//! # Surrogates
//!
//! The derivative of a step is 0 almost everywhere, and nothing would be learned. In its place the backward pass takes a
//! curve around the threshold, a [`Surrogate`](surrogate::Surrogate): rectangular by default, one of six others, or
//! [your own](surrogate::Surrogate::custom).
//! Its width matters more than its shape: where no membrane comes near the threshold, no gradient passes.
//!
//! ```
//! use synfire::neuron::LifConfig;
//! use synfire::surrogate::Surrogate;
//!
//! let config = LifConfig::new().with_surrogate(Surrogate::atan(2.0)?);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # Reset
//!
//! What a spike does to the membrane, and whether gradients pass through that, is where libraries differ most; a
//! [`Reset`](neuron::Reset) and a [`TemporalGradient`](neuron::TemporalGradient) say it. The default is a hard reset to 0
//! with its true derivative. Decay and threshold are fixed or learned, one for all neurons or one for each channel.
//!
//! ```
//! use synfire::neuron::{Decay, LifConfig, Reset, ResetGradient, TemporalGradient};
//!
//! // A soft reset that gradients do not see, and a decay that is learned.
//! let config = LifConfig::new()
//!     .with_reset(Reset::Soft)
//!     .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
//!     .with_decay(Decay::sigmoid(0.5));
//! // The neuron of Fang et al. (2021).
//! let plif = LifConfig::plif(2.0)?;
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # Coding
//!
//! Images become sequences by an [encoder](encode), sequences become answers by a [decoder](decode). All draws are a
//! function of a seed and of what they are for ([`random`]): the same on every device, in any batch, in a resumed run.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::decode;
//! use synfire::encode::{BernoulliEncoderConfig, SampleKeys, Encoder};
//!
//! let images = Tensor::<2>::full([4, 16], 0.5, &Device::default()); // intensities from 0 to 1
//! let encoder = BernoulliEncoderConfig::new(10).with_seed(1).init()?;
//! // Epoch 0, samples 0 to 3 of the dataset.
//! let input: Tensor<3> = encoder.encode(images, &SampleKeys::new(0, vec![0, 1, 2, 3]));
//! let rates = decode::rate(input); // [4, 16], about 0.5
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # Training
//!
//! A [`loss`] on the output's spikes (or on the membrane of a readout that does not spike), `backward`, and any optimizer
//! of Burn's:
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::optim::{AdamConfig, GradientsParams};
//! use burn::tensor::{Device, Int, Tensor};
//! use synfire::loss::{StbpLoss, one_hot};
//! use synfire::neuron::{LifConfig, Neuron};
//!
//! let device = Device::default().autodiff();
//! let mut linear = LinearConfig::new(16, 3).init(&device);
//! let lif = LifConfig::new().with_threshold(0.3).init(&device)?;
//! let mut optimizer = AdamConfig::new().init();
//!
//! let input = Tensor::<3>::ones([10, 4, 16], &device);
//! let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device);
//! for _step in 0..3 {
//!     let (spikes, _state) = lif.forward(linear.forward(input.clone()), None);
//!     let loss = StbpLoss::new().forward(spikes, one_hot(labels.clone(), 3));
//!     let gradients = GradientsParams::from_grads(loss.backward(), &linear);
//!     linear = optimizer.step(1e-2, linear, gradients);
//! }
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! If nothing is learned, look at the firing rates first ([`metric`]): a layer that never fires passes nothing on.
//! Threshold, scale of the weights ([`init`]) and width of the surrogate must fit each other. A
//! [`Recorder`](record::Recorder) shows what layers did, as text or as a picture (`plot`, a feature).
//!
//! # Backends
//!
//! Switch backends with the features of this crate (`flex`, the default; `ndarray`, `wgpu`, `vulkan`, `metal`,
//! `cuda`, `rocm`, `cpu`), not with Burn's alone: each registers the custom operations for its backend, and calling one on
//! a backend that is not registered panics.
//!
//! # Numbers that are not finite
//!
//! NaN does not fire: a neuron whose membrane potential is NaN is mute, and nothing shows in the spikes or in a loss made
//! of them. Its gradients are NaN all the same, so look at the weights, as the training scripts do before they save any.

mod error;
mod transparent;

pub mod decode;
pub mod dynamics;
pub mod encode;
pub mod init;
pub mod layer;
pub mod loss;
pub mod metric;
pub mod neuron;
pub mod ops;
#[cfg(feature = "plot")]
pub mod plot;
pub mod random;
pub mod record;
pub mod spike;
pub mod surrogate;

pub use error::InvalidConfig;
