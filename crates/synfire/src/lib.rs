//! Spiking neural networks on the [Burn](burn) framework, trained by spatio-temporal backpropagation (STBP).
//!
//! STBP is the method of Wu, Deng, Li, Zhu and Shi (2018), *Spatio-Temporal Backpropagation for Training
//! High-Performance Spiking Neural Networks*, Frontiers in Neuroscience 12:331. In this crate it is three things:
//!
//! 1. A spike is a custom Burn operation: a step in the forward pass, a [surrogate] derivative in the backward
//!    pass ([`spike`]).
//! 2. A [neuron] is a Burn module that unrolls its equation over the time steps.
//! 3. Autodiff over the unrolled graph is backpropagation through layers (space) and steps (time).
//!
//! So a spiking network is an ordinary Burn program.
//!
//! # Sequences and state
//!
//! Time comes first: a sequence is `[T, B, ...]`. A [neuron](neuron::Neuron) takes a sequence and a state and
//! returns spikes and the state after them; a layer without memory is applied to every step by
//! [`each_step`](layer::each_step). Images become sequences by an [encoder](encode), sequences become answers by a
//! [decoder](decode).
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Tensor};
//! use synfire::encode::{BernoulliEncoderConfig, Draw, Encoder};
//! use synfire::layer::each_step;
//! use synfire::neuron::{LifConfig, Neuron};
//! use synfire::{decode, loss};
//!
//! let device = Device::default().autodiff();
//! let linear = LinearConfig::new(16, 3).init(&device);
//! let lif = LifConfig::new().init(&device)?;
//!
//! let images = Tensor::<2>::full([4, 16], 0.5, &device);
//! let encoder = BernoulliEncoderConfig::new(10).with_seed(1).init()?;
//! let input: Tensor<3> = encoder.encode(images, &Draw::new(0, vec![0, 1, 2, 3]));
//!
//! let current: Tensor<3> = each_step(input, |x: Tensor<2>| linear.forward(x));
//! let (spikes, _state) = lif.forward(current, None);
//! let targets = Tensor::zeros([4, 3], &device);
//! let loss = loss::StbpLoss::new().forward_rates(decode::rate(spikes), targets);
//! let gradients = loss.backward();
//! assert!(linear.weight.grad(&gradients).is_some());
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # Backends
//!
//! Switch backends with the features of this crate (`flex`, the default; `ndarray`, `wgpu`, `vulkan`, `metal`,
//! `cuda`, `rocm`), not with Burn's alone: each registers the custom operations for its backend, and calling one on
//! a backend that is not registered panics.
//!
//! # Randomness and numbers that are not finite
//!
//! Every draw is a function of a seed and of what it is for ([`random`]). NaN does not fire: a neuron whose membrane
//! potential is NaN is mute, and nothing shows in the spikes or in a loss made of them. Its gradients are NaN all the
//! same, so look at the weights, as the training scripts do before they save any.

mod error;

pub mod decode;
pub mod encode;
pub mod init;
pub mod layer;
pub mod loss;
pub mod metric;
pub mod neuron;
#[cfg(feature = "plot")]
pub mod plot;
pub mod random;
pub mod record;
pub mod spike;
pub mod surrogate;

pub use error::InvalidConfig;
