//! Spiking neural networks on the [Burn](burn) framework, trained by spatio-temporal backpropagation (STBP).
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
//! let input = Tensor::<3>::ones([10, 4, 16], &device); // 10 time steps of 4 samples
//! let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device);
//! for _step in 0..3 {
//!     let (spikes, _state) = lif.forward(linear.forward(input.clone()), None); // [10, 4, 3]
//!     let loss = StbpLoss::new().forward(spikes, one_hot(labels.clone(), 3));
//!     let gradients = GradientsParams::from_grads(loss.backward(), &linear);
//!     linear = optimizer.step(1e-2, linear, gradients);
//! }
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! A spike is a custom Burn operation: a step function in the forward pass, a [surrogate] derivative in the backward pass
//! ([`spike`](mod@spike)). A [neuron] is a Burn module that unrolls its equation over the time steps. Autodiff over the unrolled
//! graph is backpropagation through layers and time steps. The method is that of Wu, Deng, Li, Zhu and Shi (2018),
//! *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*, Frontiers in Neuroscience 12:331.
//!
//! A spiking network is an ordinary Burn program. The sections below cover everything you need to write one.
//!
//! # Sequences
//!
//! A sequence is a tensor `[T, B, ...]`: time steps, samples, then the shape of a sample. A neuron takes a whole sequence of
//! input currents and returns 1 (a spike) or 0 for each time step. [`each_step`](layer::each_step) applies any layer of Burn to
//! every step, by folding time into the batch. [`layer`] has layers for sequences, including linear layers and convolutions that
//! are faster on spikes.
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
//! let input = Tensor::<3>::ones([10, 4, 16], &device); // 10 time steps of 4 samples
//! let current: Tensor<3> = each_step(input, |x: Tensor<2>| linear.forward(x));
//! let (spikes, _state) = lif.forward(current, None);
//! assert_eq!(spikes.dims(), [10, 4, 3]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # Explicit state
//!
//! `forward` takes the state of a neuron and returns it; no module holds a membrane potential. `None` starts at rest, so there is
//! nothing to reset between samples. A sequence may come in parts, down to single steps (T = 1):
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
//!     // Truncates backpropagation through time at this step.
//!     state = Some(next.detach());
//! }
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! States are saved and loaded with serde.
//!
//! # Surrogates
//!
//! The derivative of a step function is 0 almost everywhere. The backward pass replaces it by a curve around the threshold, a
//! [`Surrogate`](surrogate::Surrogate): rectangular by default, another of [`surrogate`], or
//! [your own](surrogate::Surrogate::custom). Its width matters more than its shape: gradients pass only where membrane
//! potentials come near the threshold.
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
//! A [`Reset`](neuron::Reset) sets the membrane potential after a spike, and a [`TemporalGradient`](neuron::TemporalGradient)
//! the gradients through reset and time. Libraries differ most in these two. The default is a hard reset to 0 with its exact
//! derivative. Decay and threshold are fixed or learned, shared by all neurons or one per channel.
//!
//! ```
//! use synfire::neuron::{Decay, LifConfig, Reset, ResetGradient, TemporalGradient};
//!
//! // A soft reset without a gradient through it, and a learned decay.
//! let config = LifConfig::new()
//!     .with_reset(Reset::Soft)
//!     .with_temporal_gradient(TemporalGradient::Full(ResetGradient::Detached))
//!     .with_decay(Decay::sigmoid(0.5));
//! // The parametric LIF neuron of Fang et al. (2021).
//! let plif = LifConfig::plif(2.0)?;
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```
//!
//! # Other neurons
//!
//! [`neuron`] has adaptive, current-based, resonating and parallel neurons, among others. [`NeuronConfig`](neuron::NeuronConfig)
//! is any of them, as Burn's `ActivationConfig` is any activation. [`RecurrentConfig`](neuron::RecurrentConfig) adds recurrent
//! connections to any neuron. A [neuron of your own](dynamics) is a configuration and its equations.
//!
//! # Coding
//!
//! An [encoder](encode) turns images into sequences, and a [decoder](decode) turns output sequences into scores of classes. Every
//! draw is a function of a seed and its identity ([`random`]): it is the same on every device, in any batch, and in a
//! resumed run.
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
//! Apply a [`loss`] to the output spikes, or to the membrane potentials of a readout that does not spike, and use any optimizer of
//! Burn, as in the program at the top.
//!
//! If a network does not learn, check the firing rates first ([`metric`]): a layer that never fires passes nothing on. Threshold,
//! weight scale ([`init`]) and surrogate width must fit each other. A [`Recorder`](record::Recorder) collects the activity of
//! layers, for text or plots (feature `plot`).
//!
//! # Backends
//!
//! Select backends with the features of this crate (`flex`, the default; `ndarray`, `wgpu`, `vulkan`, `metal`, `cuda`, `rocm`,
//! `cpu`), not with those of Burn alone. Each feature registers the custom operations for its backend; calling one on an
//! unregistered backend panics.
//!
//! # Non-finite values
//!
//! NaN does not fire: a neuron whose membrane potential is NaN is silent, and neither spikes nor losses show it. Its gradients
//! are NaN, so check the weights, as training runs do before they save any.

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
#[cfg(feature = "remote")]
pub mod remote;
pub mod spike;
pub mod surrogate;

pub use error::InvalidConfig;
