//! Recurrent neurons: they receive their own spikes one step later.
//!
//! ```text
//! o[t] = neuron(x[t] + W o[t-1])
//! ```
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use synfire::neuron::{AdaptiveLifConfig, Neuron, RecurrentConfig};
//!
//! let device = Device::default();
//! let hidden = RecurrentConfig::all_to_all(AdaptiveLifConfig::new(), 64).init(&device)?;
//! let (spikes, _state) = hidden.forward(Tensor::<3>::ones([10, 4, 64], &device), None);
//! assert_eq!(spikes.dims(), [10, 4, 64]);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

use std::fmt::Debug;

use burn::config::Config;
use burn::module::{Module, ModuleDisplay};
use burn::nn::conv::Conv2dConfig;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use super::{
    AnyNeuron, Coefficient, Neuron, NeuronConfig, NeuronState, ParamInit, Recording,
    TemporalGradient, check_sequence, time_steps,
};
use crate::InvalidConfig;
use crate::init::{Initializer, LayerInit};
use crate::layer::{SpikeConv2d, SpikeLinear};

/// The name of the recurrent layer in messages.
const OWNER: &str = "Recurrent";

/// The name of the last spikes in a state.
const RECURRENT: &str = "recurrent";

/// A layer that turns the spikes of one step into input of the next, in [`Recurrent`] neurons. A custom layer implements one
/// method:
///
/// ```
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SpikeLinear;
/// use synfire::neuron::{Feedback, LifConfig, Neuron, Recurrent};
///
/// /// Recurrent weights of low rank.
/// #[derive(Module, Debug)]
/// struct LowRank {
///     down: SpikeLinear,
///     up: SpikeLinear,
/// }
///
/// impl Feedback for LowRank {
///     fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D> {
///         self.up.forward(self.down.forward(spikes))
///     }
/// }
///
/// # use burn::nn::LinearConfig;
/// # let device = Device::default();
/// let linear = |from, to| SpikeLinear::from(LinearConfig::new(from, to).with_bias(false).init(&device));
/// let feedback = LowRank { down: linear(64, 2), up: linear(2, 64) };
/// let hidden = Recurrent::new(LifConfig::new().init(&device)?, feedback)?;
/// let (spikes, _state) = hidden.forward(Tensor::<3>::ones([10, 4, 64], &device), None);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
pub trait Feedback: Module + ModuleDisplay {
    /// The input of the next step from the spikes of a step.
    ///
    /// # Shapes
    ///
    /// - spikes, input: `[1, B, ...]`, both the same
    fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D>;
}

impl Feedback for SpikeLinear {
    fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D> {
        self.forward(spikes)
    }
}

impl Feedback for Linear {
    fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D> {
        self.forward(spikes)
    }
}

impl Feedback for SpikeConv2d {
    fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D> {
        self.forward(spikes)
    }
}

/// A connection of every neuron with itself only, `w o[t-1]`.
///
/// Created by [`OneToOne::new`].
#[derive(Module, Debug)]
pub struct OneToOne {
    /// The weight: one for all, one for each channel or one for each neuron, fixed or learned.
    pub weight: Coefficient,
}

impl OneToOne {
    /// Creates the connection.
    ///
    /// # Errors
    ///
    /// If a weight is not finite.
    pub fn new(weight: impl Into<ParamInit>, device: &Device) -> Result<Self, InvalidConfig> {
        let weight = weight.into().named("weight");
        weight.validate(OWNER)?;
        Ok(Self {
            weight: weight.init(device),
        })
    }
}

impl Feedback for OneToOne {
    fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D> {
        let weight = self.weight.term(OWNER, "weight", &spikes);
        (weight * spikes.into()).tensor()
    }
}

/// Configuration of the recurrent layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeedbackConfig {
    /// Every neuron receives from all, by weights `[neurons, neurons]`: [`SpikeLinear`].
    AllToAll {
        /// The number of neurons.
        neurons: usize,
        /// Whether there are biases `[neurons]`, too.
        #[serde(default)]
        bias: bool,
    },
    /// Every neuron receives from itself: [`OneToOne`].
    OneToOne {
        /// The weights: one for all, one for each channel or one for each neuron, fixed or learned.
        weight: ParamInit,
    },
    /// A convolution that keeps height and width, by weights `[channels, channels, height, width]`: [`SpikeConv2d`].
    Conv2d {
        /// The number of channels.
        channels: usize,
        /// Height and width of the windows, odd.
        kernel: [usize; 2],
        /// Whether there are biases `[channels]`, too.
        #[serde(default)]
        bias: bool,
    },
}

impl FeedbackConfig {
    /// Checks everything that [`init`](Self::init) does.
    ///
    /// # Errors
    ///
    /// If there are no neurons or channels, a kernel is not odd or a weight is not finite.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        match self {
            Self::AllToAll { neurons, .. } => {
                InvalidConfig::require_nonzero(OWNER, "neurons", *neurons)?;
            }
            Self::OneToOne { weight } => weight.named("weight").validate(OWNER)?,
            Self::Conv2d {
                channels, kernel, ..
            } => {
                InvalidConfig::require_nonzero(OWNER, "channels", *channels)?;
                let odd = kernel.iter().all(|size| size % 2 == 1);
                let [height, width] = kernel;
                let found = format!("{height}x{width}");
                InvalidConfig::require(OWNER, "kernel", found, odd, "odd sizes")?;
            }
        }
        Ok(())
    }

    /// Creates the layer, with the next weights of a model.
    ///
    /// # Errors
    ///
    /// If the configuration is not [valid](Self::validate).
    pub fn init(&self, layers: &mut LayerInit) -> Result<AnyFeedback, InvalidConfig> {
        self.validate()?;
        Ok(match self {
            Self::AllToAll { neurons, bias } => {
                let mut linear = layers.linear(*neurons, *neurons);
                linear.bias = linear.bias.filter(|_| *bias);
                AnyFeedback::AllToAll(linear.into())
            }
            Self::OneToOne { weight } => {
                AnyFeedback::OneToOne(OneToOne::new(weight.clone(), layers.device())?)
            }
            Self::Conv2d {
                channels,
                kernel: [height, width],
                bias,
            } => {
                let (above, beside) = (height / 2, width / 2);
                let config = Conv2dConfig::new([*channels; 2], [*height, *width])
                    .with_padding(PaddingConfig2d::Explicit(above, beside, above, beside))
                    .with_bias(*bias);
                AnyFeedback::Conv2d(layers.conv2d(&config).into())
            }
        })
    }
}

/// Any of the layers of a [`FeedbackConfig`]. Parameters have the same paths as in the wrapped layer.
// A layer has only one.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum AnyFeedback {
    /// Every neuron receives from all.
    AllToAll(SpikeLinear),
    /// Every neuron receives from itself.
    OneToOne(OneToOne),
    /// A convolution.
    Conv2d(SpikeConv2d),
}

crate::transparent_module!(AnyFeedback: AllToAll, OneToOne, Conv2d);

impl Feedback for AnyFeedback {
    fn feed_back<const D: usize>(&self, spikes: Tensor<D>) -> Tensor<D> {
        match self {
            Self::AllToAll(layer) => layer.feed_back(spikes),
            Self::OneToOne(layer) => layer.feed_back(spikes),
            Self::Conv2d(layer) => layer.feed_back(spikes),
        }
    }
}

/// Configuration of [`Recurrent`] neurons of any kind.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::neuron::{FeedbackConfig, LifConfig, Neuron, ParamInit, RecurrentConfig};
///
/// let device = Device::default();
/// // Every neuron holds itself back, as strongly as it learns to.
/// let weight = ParamInit::learned(-0.5);
/// let config = RecurrentConfig::new(LifConfig::new().into(), FeedbackConfig::OneToOne { weight });
/// let neurons = config.init(&device)?;
/// let (spikes, _state) = neurons.forward(Tensor::<5>::ones([6, 2, 8, 5, 5], &device), None);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct RecurrentConfig {
    /// The neurons.
    pub neuron: NeuronConfig,
    /// The recurrent layer.
    pub feedback: FeedbackConfig,
    /// Initialisation of the recurrent weights.
    #[config(default = "Initializer::default()")]
    pub initializer: Initializer,
    /// The seed of the recurrent weights. It must differ between layers, and from that of a [`LayerInit`].
    #[config(default = 0)]
    pub seed: u64,
}

impl RecurrentConfig {
    /// `neurons` neurons with all-to-all connections, without biases.
    pub fn all_to_all(neuron: impl Into<NeuronConfig>, neurons: usize) -> Self {
        let bias = false;
        Self::new(neuron.into(), FeedbackConfig::AllToAll { neurons, bias })
    }

    /// Creates the neurons and their recurrent weights.
    ///
    /// # Errors
    ///
    /// If the configuration of the neurons or of the feedback is invalid, or the neurons do not run step by step.
    pub fn init(&self, device: &Device) -> Result<Recurrent<AnyNeuron>, InvalidConfig> {
        let mut layers = LayerInit::new(self.initializer, self.seed, device)?;
        Recurrent::new(self.neuron.init(device)?, self.feedback.init(&mut layers)?)
    }
}

/// Neurons that also receive their own spikes of the previous step through recurrent weights.
///
/// ```text
/// o[t] = neuron(x[t] + W o[t-1])        o before the first step is 0
/// ```
///
/// `W` is a [`Feedback`]: all-to-all, one-to-one, a convolution, or a custom layer. Recurrent neurons are a
/// [`Neuron`], so they can replace any other neurons.
///
/// A [`Recorder`](crate::record::Recorder) keeps spikes and membranes as for any neuron; it does not count the operations
/// of `W`.
///
/// Gradients flow through `W o[t-1]` as through the rest of the state. If the neuron's
/// [`temporal_gradient`](Neuron::temporal_gradient) is off, `o[t-1]` is a constant; `W` keeps its gradient.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use synfire::layer::SpikeLinear;
/// use synfire::neuron::{LifConfig, Neuron, Recurrent};
///
/// let device = Device::default();
/// let feedback = SpikeLinear::from(LinearConfig::new(8, 8).init(&device));
/// let neurons = Recurrent::new(LifConfig::new().init(&device)?, feedback)?;
/// let (spikes, state) = neurons.forward(Tensor::<3>::ones([5, 2, 8], &device), None);
/// // The next call goes on where this one ended.
/// let (spikes, _state) = neurons.forward(Tensor::<3>::ones([5, 2, 8], &device), Some(state));
/// assert_eq!(spikes.dims(), [5, 2, 8]);
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
///
/// snnTorch's `RLeaky` is `RecurrentConfig` over [`LifConfig::snntorch_leaky`](super::LifConfig::snntorch_leaky), with biases
/// where it is all-to-all. SpikingJelly's `LinearRecurrentContainer` is the all-to-all form, with `x` and `W o` as one linear
/// layer of `[x, o]`; its `ElementWiseRecurrentContainer` with addition is the one-to-one form of weight 1.
///
/// Created by [`RecurrentConfig`], or from a neuron and a layer by [`new`](Self::new). Parameters: those of `neuron`, and
/// `recurrent`. State: that of the neurons, and `recurrent`, the spikes of the last step.
#[derive(Module, Debug)]
pub struct Recurrent<N: Module, F: Module = AnyFeedback> {
    neuron: N,
    recurrent: F,
}

impl<N: Neuron, F: Feedback> Recurrent<N, F> {
    /// Wraps neurons with a recurrent layer.
    ///
    /// # Errors
    ///
    /// If the neurons cannot run step by step, like some parallel ones.
    pub fn new(neuron: N, recurrent: F) -> Result<Self, InvalidConfig> {
        let found = "a neuron that needs the whole sequence";
        let expected = "one that runs step by step";
        InvalidConfig::require(OWNER, "neuron", found, neuron.streams(), expected)?;
        Ok(Self { neuron, recurrent })
    }

    /// The neurons.
    pub fn neuron(&self) -> &N {
        &self.neuron
    }

    /// The recurrent layer.
    pub fn feedback(&self) -> &F {
        &self.recurrent
    }

    /// Runs the neurons step by step: `run` takes the input and the state of a step, and returns its outcome, spikes and state.
    fn unroll<const D: usize, Step>(
        &self,
        input: Tensor<D>,
        mut state: Option<NeuronState>,
        run: impl Fn(Tensor<D>, Option<NeuronState>) -> (Step, Tensor<D>, NeuronState),
    ) -> (Vec<Step>, NeuronState) {
        let shape = input.dims();
        check_sequence(OWNER, shape, None);
        let mut step_shape = shape;
        step_shape[0] = 1;
        let mut spikes = match &state {
            Some(state) => {
                let dtype = FloatDType::from(input.dtype());
                state.expect::<D>(RECURRENT).cast(dtype)
            }
            None => input.clone().slice(0..1).zeros_like(),
        };
        check_sequence(OWNER, shape, Some(spikes.dims()));
        let off = self.neuron.temporal_gradient() == TemporalGradient::Off;
        let mut steps = Vec::with_capacity(shape[0]);
        for x in time_steps(input) {
            let back = self.recurrent.feed_back(match off {
                true => spikes.detach(),
                false => spikes,
            });
            assert!(
                back.dims() == step_shape,
                "{OWNER}: the feedback made {:?} of a step {step_shape:?}",
                back.dims()
            );
            let (step, fired, next) = run(x + back, state);
            steps.push(step);
            spikes = fired;
            state = Some(next);
        }
        let state = state.expect("there is at least one time step");
        (steps, state.with(RECURRENT, spikes))
    }
}

impl<N: Neuron, F: Feedback> Neuron for Recurrent<N, F> {
    fn temporal_gradient(&self) -> TemporalGradient {
        self.neuron.temporal_gradient()
    }

    fn is_alike_in_all_steps(&self) -> bool {
        self.neuron.is_alike_in_all_steps()
    }

    fn initial<const D: usize>(&self, sequence: [usize; D], device: &Device) -> NeuronState {
        let mut shape = sequence;
        shape[0] = 1;
        let state = self.neuron.initial(sequence, device);
        state.with(RECURRENT, Tensor::<D>::zeros(shape, device))
    }

    fn described(&self) -> Option<NeuronConfig> {
        self.neuron.described()
    }

    fn fed_back<const D: usize>(&self, spikes: Tensor<D>) -> Option<Tensor<D>> {
        let back = self.recurrent.feed_back(spikes.clone());
        Some(match self.neuron.fed_back(spikes) {
            Some(inner) => back + inner,
            None => back,
        })
    }

    fn forward_recorded<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Recording<D>, NeuronState) {
        let (steps, state) = self.unroll(input, state, |x, state| {
            let (recording, state) = self.neuron.forward_recorded(x, state);
            let spikes = recording.spikes.clone();
            (recording, spikes, state)
        });
        (Recording::cat(steps), state)
    }

    fn forward<const D: usize>(
        &self,
        input: Tensor<D>,
        state: Option<NeuronState>,
    ) -> (Tensor<D>, NeuronState) {
        let (spikes, state) = self.unroll(input, state, |x, state| {
            let (spikes, state) = self.neuron.forward(x, state);
            (spikes.clone(), spikes, state)
        });
        (Tensor::cat(spikes, 0), state)
    }
}
