//! Configuration of a training run.

pub(crate) mod paths;

use std::path::Path;

use synfire::InvalidConfig;
use synfire::encode::EncoderConfig;
use synfire_data::{Data, DataSource, DatasetName, Samples};
use synfire_models::{Card, NetworkConfig, Preset, PretrainedError};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::RunError;
use crate::augment::Augmentation;
use crate::contrast::Contrast;
use crate::data::split;
use crate::loss::LossKind;
use crate::samples::{Coding, FramesConfig};
use crate::saved::read_run;

/// Configuration of a training run: everything that decides its result, apart from the data. Each value has a
/// [path](Self::set).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The dataset.
    pub dataset: DatasetName,
    /// Source of the data: `auto`, `embedded` or a folder.
    pub data: String,
    /// Maximum number of training samples, selected by the seed. `None`: all.
    pub samples: Option<usize>,
    /// Number of training samples that are set aside for validation, selected by the seed. `None`: a twelfth.
    #[serde(default)]
    pub validation_samples: Option<usize>,
    /// Channels, height and width of the samples, which follow from the data.
    pub sample: [usize; 3],
    /// Encoding of intensities as sequences.
    pub encoder: EncoderConfig,
    /// Conversion of events to frames.
    pub frames: FramesConfig,
    /// Transformation of the intensities of images.
    pub contrast: Contrast,
    /// Augmentation of training samples.
    pub augmentation: Augmentation,
    /// The published network that the configuration is based on.
    pub preset: String,
    /// The network, with its initial weights' seed.
    pub network: NetworkConfig,
    /// The trained weights that the run starts from: a name of the zoo's, or the folder of a finished run. Its neurons may be
    /// others, such as rectifiers, which [`ScaledIf`](synfire::neuron::ScaledIf) neurons are converted from. The last layer is
    /// re-initialised for another dataset. `None`: random initialisation.
    pub weights: Option<String>,
    /// Loss function.
    pub loss: LossKind,
    /// Time steps.
    pub time_steps: usize,
    /// Epochs.
    pub epochs: usize,
    /// Samples per step, on each device.
    pub batch_size: usize,
    /// Devices that train together: that of the run and those after it. Each has a copy of the network and its own samples,
    /// and a step takes the gradients of all.
    pub devices: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Schedule of the learning rate.
    pub schedule: Schedule,
    /// Epochs in which the learning rate rises to that of the schedule.
    #[serde(default)]
    pub warmup: usize,
    /// Batches of a step of the optimizer, which takes the mean of their gradients.
    #[serde(default = "one")]
    pub accumulation: usize,
    /// Maximum of the norm of all gradients of a step; larger ones are scaled down. `None`: no maximum.
    #[serde(default)]
    pub max_gradient_norm: Option<f64>,
    /// Decay of the moving average of the weights, which is validated, tested and saved, from 0 to below 1. `None`: there is no
    /// average.
    #[serde(default)]
    pub average_decay: Option<f64>,
    /// The part of each label that is spread over all classes, 0 to 1.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Minimum time steps of a training batch: each batch draws its own number, from this to that of the run, so that the network
    /// can be used with any of them. `None`: all batches have those of the run.
    #[serde(default)]
    pub least_time_steps: Option<usize>,
    /// Criterion for the best epoch.
    pub best_by: BestBy,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Weight decay of the optimizer. `None`: Burn's default, zero except for AdamW.
    pub weight_decay: Option<f64>,
    /// Decides every draw.
    pub seed: u64,
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Adam.
    Adam,
    /// Adam with decoupled weight decay.
    Adamw,
    /// Stochastic gradient descent with momentum 0.9.
    Sgd,
}

/// Schedule of the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Cosine annealing to 0.
    Cosine,
    /// Constant.
    Constant,
}

/// Criterion for the best epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BestBy {
    /// The highest validation accuracy; ties are broken by the lowest loss.
    #[default]
    Accuracy,
    /// The lowest validation loss, which is finer-grained with few validation samples.
    Loss,
}

fn one() -> usize {
    1
}

/// Maximum number of devices.
const MAX_DEVICES: usize = 64;

/// The preset of the main job.
const FIRST: &str = "stbp-mlp";

impl Default for RunConfig {
    /// The fully connected network of the STBP paper on MNIST.
    fn default() -> Self {
        let preset = NetworkConfig::preset(FIRST).expect("it is in the list");
        Self::of(DatasetName::Mnist, preset)
    }
}

impl RunConfig {
    /// A published network on a dataset, and the settings that were found to suit it.
    pub fn of(dataset: DatasetName, preset: Preset<NetworkConfig>) -> Self {
        let (sample, classes) = dataset.shape();
        let mut config = Self {
            dataset,
            sample,
            data: "auto".to_owned(),
            samples: None,
            validation_samples: None,
            encoder: preset.training.encoder,
            frames: FramesConfig::default(),
            contrast: Contrast::AsIs,
            augmentation: Augmentation::default(),
            loss: LossKind::of(&preset.config.layers().readout),
            preset: preset.id.to_owned(),
            network: preset.config,
            weights: None,
            time_steps: preset.time_steps,
            epochs: 8,
            batch_size: preset.training.batch_size,
            devices: 1,
            learning_rate: preset.training.learning_rate,
            schedule: Schedule::Cosine,
            warmup: 0,
            accumulation: 1,
            max_gradient_norm: None,
            average_decay: None,
            label_smoothing: 0.0,
            least_time_steps: None,
            best_by: BestBy::Accuracy,
            optimizer: Optimizer::Adam,
            weight_decay: None,
            seed: 0,
        };
        config.network.fit(sample, classes);
        config
    }

    /// The run that trained weights came from.
    ///
    /// # Errors
    ///
    /// If the card is not of such a run.
    pub fn of_card(card: &Card) -> Result<Self, RunError> {
        let config = serde_json::to_value(&card.config).and_then(serde_json::from_value);
        let mut config: Self = config.map_err(|error| PretrainedError::Card {
            id: card.id.clone(),
            reason: error.to_string(),
        })?;
        // The data folder of that run is of another machine.
        config.data = "auto".to_owned();
        Ok(config)
    }

    /// The run that trained weights came from: those of the zoo with that name, or of a finished run in that folder.
    ///
    /// # Errors
    ///
    /// If there are none, or their run cannot be read.
    pub fn of_weights(weights: &str) -> Result<Self, RunError> {
        match read_run(Path::new(weights))? {
            Some(run) => Ok(run.config),
            None => Self::of_card(&Card::of(weights)?),
        }
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// If one is out of its range; the error names it.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "the run";
        for (field, value) in [
            ("time_steps", self.time_steps),
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("samples", self.samples.unwrap_or(1)),
            ("validation_samples", self.validation_samples.unwrap_or(1)),
            ("accumulation", self.accumulation),
            ("frames.size", self.frames.size as usize),
        ] {
            InvalidConfig::require_size(OWNER, field, value)?;
        }
        let devices = self.devices;
        let ok = (1..=MAX_DEVICES).contains(&devices);
        InvalidConfig::require(OWNER, "devices", devices, ok, "from 1 to 64")?;
        let rate = self.learning_rate;
        let (ok, expected) = (rate > 0.0 && rate <= 1.0, "a number above 0, at most 1");
        InvalidConfig::require(OWNER, "learning_rate", rate, ok, expected)?;
        let decay = self.weight_decay.unwrap_or(0.0);
        let ok = (0.0..=1e3).contains(&decay);
        InvalidConfig::require(OWNER, "weight_decay", decay, ok, "a number from 0 to 1000")?;
        let (epochs, warmup) = (self.epochs, self.warmup);
        let expected = format!("at most the {epochs} epochs of the run");
        InvalidConfig::require(OWNER, "warmup", warmup, warmup <= epochs, expected)?;
        if let Some(most) = self.max_gradient_norm {
            InvalidConfig::require_positive(OWNER, "max_gradient_norm", most)?;
        }
        if let Some(decay) = self.average_decay {
            let (ok, expected) = ((0.0..1.0).contains(&decay), "a number from 0 to below 1");
            InvalidConfig::require(OWNER, "average_decay", decay, ok, expected)?;
        }
        InvalidConfig::require_part(OWNER, "label_smoothing", self.label_smoothing)?;
        self.validate_time_steps()?;
        self.augmentation.validate(OWNER)?;
        self.encoder.init(self.time_steps, self.seed)?;
        // Parameters are lazy: this only computes their number.
        self.network.init(&Device::flex()).map(drop)
    }

    /// Checks whether batches may have other numbers of time steps.
    fn validate_time_steps(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "the run";
        const FIELD: &str = "least_time_steps";
        let Some(least) = self.least_time_steps else {
            return Ok(());
        };
        let ok = (1..=self.time_steps).contains(&least);
        let expected = format!("from 1 to the {} time steps of the run", self.time_steps);
        InvalidConfig::require(OWNER, FIELD, least, ok, expected)?;
        let norm = self.network.layers().norm;
        let whole = norm.is_some_and(|mut norm| norm.time_steps_mut().is_some());
        let streams = self.network.streams() && !whole;
        let expected = "none, as a part of the network is for a number of time steps";
        InvalidConfig::require(OWNER, FIELD, least, streams, expected)?;
        // The first steps of other codes are not those of a shorter one.
        let alike = !matches!(self.encoder, EncoderConfig::Latency { .. });
        let expected = "none, as the encoder is neither direct nor Bernoulli";
        InvalidConfig::require(OWNER, FIELD, least, alike, expected).map(drop)
    }

    /// Fits the network to the samples that were found.
    ///
    /// # Errors
    ///
    /// If it cannot take them, they are too few, or the loss cannot have a label at every step.
    pub fn fit(&mut self, data: &Data) -> Result<(), InvalidConfig> {
        let fits = self.loss == LossKind::EachStep || !data.train.labels_each_step();
        let found = serde_json::to_value(self.loss).unwrap_or_default();
        let expected = "each-step, as the data have a label at every step";
        InvalidConfig::require("the run", "loss", found, fits, expected)?;
        let images = matches!(data.train, Samples::Images(_));
        let sequences = matches!(data.train, Samples::Sequences(_));
        let augmentation = &self.augmentation;
        for (field, on, ok) in [
            ("augmentation.mixup", augmentation.mixup > 0.0, !sequences),
            ("augmentation.cutmix", augmentation.cutmix > 0.0, !sequences),
            ("augmentation.policy", augmentation.policy.is_some(), images),
            ("least_time_steps", self.least_time_steps.is_some(), images),
        ] {
            let expected = format!("none for the samples of {}", self.dataset);
            InvalidConfig::require("the run", field, "one", ok || !on, expected)?;
        }
        if let Some(validation) = self.validation_samples {
            let (samples, expected) = (data.train.len(), "fewer than there are");
            let few = validation < samples;
            InvalidConfig::require("the run", "validation_samples", validation, few, expected)?;
        }
        self.sample = data.shape;
        self.network.fit(data.shape, data.classes);
        self.validate()
    }

    /// Source of the data without paths of this machine: a folder is `DIR`.
    pub(crate) fn data_anywhere(&self) -> &str {
        match DataSource::parse(&self.data) {
            DataSource::Folder(_) => "DIR",
            DataSource::Auto | DataSource::Embedded => &self.data,
        }
    }

    /// The training samples of the run and those for validation, from the group of each sample.
    pub(crate) fn split(&self, groups: &[usize]) -> [Vec<usize>; 2] {
        split(groups, self.seed, self.validation_samples, self.samples)
    }

    /// Conversion of training samples to sequences.
    ///
    /// # Errors
    ///
    /// If there are no time steps.
    pub fn coding(&self) -> Result<Coding, InvalidConfig> {
        Ok(Coding {
            encoder: self.encoder.init(self.time_steps, self.seed)?,
            frames: self.frames.of(self.time_steps),
            contrast: self.contrast,
            augmentation: Augmentation {
                seed: self.seed,
                ..self.augmentation
            },
            least_time_steps: self.least_time_steps,
        })
    }

    /// Warnings about a configuration that may train badly.
    pub fn warnings(&self) -> Vec<String> {
        self.network.layers().neuron.warnings()
    }
}
