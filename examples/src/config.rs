//! What a training run is.

use std::sync::Arc;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::encode::{
    BernoulliEncoder, BernoulliEncoderConfig, DirectEncoderConfig, Encoder, LatencyEncoderConfig,
};
use synfire::layer::Pooling;
use synfire_models::{
    CifarNetConfig, MsResNetConfig, NetworkConfig, NirCnnConfig, Norm, PlifNetConfig,
    ReadoutConfig, SewResNetConfig, SpikingVggConfig, StbpCnnConfig, StbpMlpConfig, TdResNetConfig,
};

use crate::RunError;
use crate::augment::{Augmentation, MAX_PIXELS};
use crate::contrast::Contrast;
use crate::loss::LossOption;
use crate::options::{
    BestBy, EncoderOption, InitOption, ModelOption, NormOption, Optimizer, Options, PathOption,
    PoolingOption, Schedule, name, replace, set_neuron,
};
use crate::samples::{Coding, Data, DatasetOption, FramesConfig, FramesOption, Later};

/// All that decides what a run computes, apart from the data themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// The dataset.
    pub dataset: DatasetOption,
    /// Channels, height and width of its samples.
    pub sample: [usize; 3],
    /// Where it was to come from.
    pub data: String,
    /// The most samples to train on.
    pub samples: Option<usize>,
    /// How a pixel becomes a sequence.
    pub encoder: EncoderOption,
    /// How the events of a recording become one.
    pub frames: FramesConfig,
    /// What is done to the intensities of an image.
    #[serde(alias = "stretch", deserialize_with = "Contrast::read")]
    pub contrast: Contrast,
    /// What is changed about training samples.
    pub augmentation: Augmentation,
    /// The network that the run began from.
    pub preset: ModelOption,
    /// The network, with its initial weights' seed.
    pub model: NetworkConfig,
    /// Loss function.
    pub loss: LossOption,
    /// Time steps.
    pub time_steps: usize,
    /// Epochs.
    pub epochs: usize,
    /// Samples per step, on each device.
    pub batch_size: usize,
    /// Devices that train together.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub devices: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// How it goes on.
    pub schedule: Schedule,
    /// What makes the best epoch.
    #[serde(default)]
    pub best_by: BestBy,
    /// Optimizer.
    pub optimizer: Optimizer,
    /// Its weight decay; without, what Burn has for it: none but for AdamW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Decides every draw.
    pub seed: u64,
}

/// More are asked for by mistake.
const MAX_DEVICES: usize = 64;

fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == 1
}

impl Default for RunConfig {
    fn default() -> Self {
        Self::of(DatasetOption::Mnist, ModelOption::StbpMlp)
    }
}

impl RunConfig {
    /// A network on a dataset, and what was found to suit it.
    pub fn of(dataset: DatasetOption, preset: ModelOption) -> Self {
        let (model, time_steps, batch_size, learning_rate) = match preset {
            ModelOption::StbpMlp => {
                let mlp = NetworkConfig::StbpMlp(StbpMlpConfig::new());
                (mlp, 10, 100, 1e-3)
            }
            ModelOption::StbpCnn => {
                let cnn = NetworkConfig::StbpCnn(StbpCnnConfig::new());
                (cnn, 8, 25, 2e-3)
            }
            ModelOption::StbpCnnAuthors => {
                let cnn = NetworkConfig::StbpCnn(StbpCnnConfig::authors());
                (cnn, 20, 100, 1e-3)
            }
            ModelOption::StbpCnnNorm => {
                let cnn = StbpCnnConfig::few_steps().with_norm(Some(Norm::TdBatch));
                (NetworkConfig::StbpCnn(cnn), 5, 50, 1e-3)
            }
            ModelOption::PlifNet => {
                let plif = NetworkConfig::PlifNet(PlifNetConfig::mnist());
                (plif, 8, 50, 1e-3)
            }
            ModelOption::CifarNet => {
                let cifar = NetworkConfig::CifarNet(CifarNetConfig::new());
                (cifar, 8, 50, 1e-3)
            }
            ModelOption::SpikingVgg => {
                let vgg = NetworkConfig::SpikingVgg(SpikingVggConfig::vgg5());
                (vgg, 4, 50, 1e-3)
            }
            ModelOption::NirCnn => (NetworkConfig::NirCnn(NirCnnConfig::new()), 10, 50, 1e-3),
            ModelOption::TdResNet => {
                let resnet = NetworkConfig::TdResNet(TdResNetConfig::resnet19());
                (resnet, 4, 50, 1e-3)
            }
            ModelOption::SewResNet => {
                let resnet = NetworkConfig::SewResNet(SewResNetConfig::resnet18());
                (resnet, 4, 50, 1e-3)
            }
            ModelOption::MsResNet => {
                let resnet = NetworkConfig::MsResNet(MsResNetConfig::resnet18());
                (resnet, 4, 50, 1e-3)
            }
        };
        let (sample, classes) = dataset.shape();
        let loss = LossOption::of(model.readout());
        let mut config = Self {
            dataset,
            sample,
            data: "auto".to_owned(),
            samples: None,
            encoder: match preset {
                ModelOption::StbpMlp | ModelOption::StbpCnn | ModelOption::StbpCnnAuthors => {
                    EncoderOption::Bernoulli
                }
                _ => EncoderOption::Direct,
            },
            frames: FramesConfig::default(),
            contrast: Contrast::AsIs,
            augmentation: Augmentation::default(),
            preset,
            model,
            loss,
            time_steps,
            epochs: 8,
            batch_size,
            devices: 1,
            learning_rate,
            schedule: Schedule::Cosine,
            best_by: BestBy::Accuracy,
            optimizer: Optimizer::Adam,
            weight_decay: None,
            seed: 0,
        };
        config.model.set_samples(sample, classes);
        config
    }

    /// The first of some configurations, or what the options name instead, with what the options change.
    ///
    /// # Errors
    ///
    /// If there is no configuration, or a value is out of its range; the error names it.
    pub fn choose(configs: &[Self], options: &Options) -> Result<Self, RunError> {
        let Some(first) = configs.first() else {
            return Err(InvalidConfig::new("the run", "configs", "[]", "at least one").into());
        };
        let dataset = options.dataset.unwrap_or(first.dataset);
        let preset = options.model.unwrap_or(first.preset);
        let chosen = configs
            .iter()
            .find(|config| config.dataset == dataset && config.preset == preset);
        match chosen {
            Some(config) => config.with_options(options),
            None => Self::of(dataset, preset).with_options(options),
        }
    }

    /// This configuration, with what the options change. Another network or dataset comes as [`of`](Self::of) makes it.
    ///
    /// # Errors
    ///
    /// If a value is out of its range; the error names it.
    pub fn with_options(&self, options: &Options) -> Result<Self, RunError> {
        let dataset = options.dataset.unwrap_or(self.dataset);
        let preset = options.model.unwrap_or(self.preset);
        let mut config = match (dataset, preset) == (self.dataset, self.preset) {
            true => self.clone(),
            false => Self::of(dataset, preset),
        };
        options_of_the_dataset(dataset, options)?;
        let set = &mut config;
        replace(&mut set.data, &options.data);
        set.samples = options.samples.or(set.samples);
        replace(&mut set.time_steps, &options.time_steps);
        replace(&mut set.epochs, &options.epochs);
        replace(&mut set.batch_size, &options.batch_size);
        replace(&mut set.devices, &options.devices);
        replace(&mut set.learning_rate, &options.learning_rate);
        replace(&mut set.schedule, &options.schedule);
        replace(&mut set.best_by, &options.best_by);
        replace(&mut set.optimizer, &options.optimizer);
        set.weight_decay = options.weight_decay.or(set.weight_decay);
        replace(&mut set.seed, &options.seed);
        replace(&mut set.encoder, &options.encoder);
        replace(&mut set.frames.by, &options.frames);
        replace(&mut set.frames.size, &options.frame_size);
        replace(&mut set.frames.counts, &options.counts);
        replace(&mut set.contrast, &options.contrast);
        replace(&mut set.augmentation.shift, &options.shift);
        replace(&mut set.augmentation.flip, &options.flip);
        replace(&mut set.augmentation.erase, &options.erase);
        if let Some(loss) = options.loss.filter(|loss| *loss != set.loss) {
            set.loss = loss;
            let readout = set.model.readout_mut();
            // Currents are as good as membranes where there are no spikes.
            if *readout != ReadoutConfig::Currents || loss.readout() == ReadoutConfig::Spikes {
                *readout = loss.readout();
            }
        }
        let initializer = set.model.initializer_mut();
        // What suits one kind of weights is nothing to the other.
        if let Some(init) = options
            .init
            .filter(|init| *init != InitOption::of(*initializer))
        {
            *initializer = init.choice();
        }
        *initializer = initializer.with_gain(options.gain.unwrap_or(initializer.gain()));
        *set.model.seed_mut() = set.seed;
        replace(set.model.dropout_mut(), &options.dropout);
        replace(set.model.norm_mut(), &options.norm.map(NormOption::choice));
        if let Some(hidden) = &options.hidden {
            set.model.set_hidden(hidden)?;
        }
        for neuron in set.model.neurons_mut() {
            set_neuron(neuron, options)?;
        }
        // After the threshold of all neurons, of which the pooling ones may have their own.
        set_convolutions(&mut set.model, options)?;
        if let (FramesOption::Bins, Some(size)) = (set.frames.by, options.frame_size) {
            let expected = "--frames window or count";
            return Err(InvalidConfig::new("the run", "--frame-size", size, expected).into());
        }
        if let Some((path, product)) = options.path.map(PathOption::choice) {
            *set.model.product_mut() = product;
            for neuron in set.model.neurons_mut() {
                // Parallel neurons have no other.
                if neuron.get::<synfire::ops::Execution>("execution").is_some() {
                    neuron.set("execution", path)?;
                }
            }
        }
        config.validate()?;
        Ok(config)
    }

    /// Checks all values.
    ///
    /// # Errors
    ///
    /// If one is out of its range; the error names it.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        const OWNER: &str = "the run";
        for (option, value) in [
            ("--time-steps", self.time_steps),
            ("--epochs", self.epochs),
            ("--batch-size", self.batch_size),
            ("--frame-size", self.frames.size as usize),
        ] {
            InvalidConfig::require_size(OWNER, option, value)?;
        }
        InvalidConfig::require_size(OWNER, "--samples", self.samples.unwrap_or(1))?;
        if !(1..=MAX_DEVICES).contains(&self.devices) {
            let expected = "from 1 to 64";
            return Err(InvalidConfig::new(
                OWNER,
                "--devices",
                self.devices,
                expected,
            ));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(InvalidConfig::new(
                OWNER,
                "--learning-rate",
                self.learning_rate,
                "a number above 0, at most 1",
            ));
        }
        if let Some(decay) = self.weight_decay.filter(|w| !(0.0..=1e3).contains(w)) {
            let expected = "a number from 0 to 1000";
            return Err(InvalidConfig::new(OWNER, "--weight-decay", decay, expected));
        }
        let Augmentation { shift, erase, .. } = self.augmentation;
        for (option, pixels) in [("--shift", shift), ("--erase", erase)] {
            if pixels > MAX_PIXELS {
                let expected = "at most 255 pixels";
                return Err(InvalidConfig::new(OWNER, option, pixels, expected));
            }
        }
        // Weights take memory when they are looked at: this counts them.
        self.model.init(&Device::flex()).map(drop)
    }

    /// Fits the network to the samples that were found.
    ///
    /// # Errors
    ///
    /// If it cannot take them.
    pub fn set_samples(&mut self, data: &Data) -> Result<(), InvalidConfig> {
        self.sample = data.shape;
        self.model.set_samples(data.shape, data.classes);
        self.validate()
    }

    /// How samples become sequences: those to train on.
    ///
    /// # Errors
    ///
    /// If there are no time steps.
    pub fn coding(&self) -> Result<Coding, InvalidConfig> {
        Ok(Coding {
            encoder: self.encoder()?,
            later: match (self.dataset, self.encoder) {
                (DatasetOption::NMnist, _) | (_, EncoderOption::Latency) => Later::Nothing,
                (_, EncoderOption::Direct) => Later::Repeat(self.time_steps),
                (_, EncoderOption::Bernoulli) => Later::Draw(self.bernoulli()?),
            },
            frames: self.frames.of(self.time_steps),
            contrast: self.contrast,
            augmentation: Augmentation {
                seed: self.seed,
                ..self.augmentation
            },
        })
    }

    /// The encoder of intensities.
    ///
    /// # Errors
    ///
    /// If there are no time steps.
    pub fn encoder(&self) -> Result<SharedEncoder, InvalidConfig> {
        Ok(match self.encoder {
            EncoderOption::Bernoulli => Arc::new(self.bernoulli()?),
            EncoderOption::Direct => Arc::new(DirectEncoderConfig::new(self.time_steps).init()?),
            EncoderOption::Latency => Arc::new(LatencyEncoderConfig::new(self.time_steps).init()?),
        })
    }

    fn bernoulli(&self) -> Result<BernoulliEncoder, InvalidConfig> {
        BernoulliEncoderConfig::new(self.time_steps)
            .with_seed(self.seed)
            .init()
    }

    /// Where a run differs from another: the name of each value, what it is here and what it is there.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let mut found = Vec::new();
        let json = |config| serde_json::to_value(config).expect("a configuration is plain data");
        compare("", &json(self), &json(other), &mut found);
        found
    }
}

/// Rejects options that mean nothing for the dataset.
fn options_of_the_dataset(dataset: DatasetOption, options: &Options) -> Result<(), InvalidConfig> {
    let of_images = [
        ("--encoder", options.encoder.map(name)),
        ("--contrast", options.contrast.map(name)),
    ];
    let of_events = [
        ("--frames", options.frames.map(name)),
        (
            "--frame-size",
            options.frame_size.map(|size| size.to_string()),
        ),
        ("--counts", options.counts.map(|counts| counts.to_string())),
    ];
    let (others, expected) = match dataset {
        DatasetOption::NMnist => (&of_images[..], "a --dataset of images"),
        _ => (&of_events[..], "a --dataset of events"),
    };
    match others
        .iter()
        .find_map(|(option, value)| Some((option, value.clone()?)))
    {
        None => Ok(()),
        Some((option, value)) => Err(InvalidConfig::new("the run", option, value, expected)),
    }
}

/// Sets what the options say about convolutions.
fn set_convolutions(model: &mut NetworkConfig, options: &Options) -> Result<(), InvalidConfig> {
    if let Some(channels) = &options.channels {
        model
            .set_channels(channels)
            .map_err(|error| InvalidConfig {
                owner: "the run",
                field: "--channels",
                ..error
            })?;
    }
    let asked = [
        ("--pooling", options.pooling.map(name)),
        (
            "--pool-threshold",
            options.pool_threshold.map(|v| v.to_string()),
        ),
    ];
    let NetworkConfig::StbpCnn(cnn) = model else {
        let first = asked.into_iter().find_map(|(option, v)| Some((option, v?)));
        return match first {
            None => Ok(()),
            Some((option, value)) => {
                let expected = "the convolutional --model of the STBP paper";
                Err(InvalidConfig::new("the run", option, value, expected))
            }
        };
    };
    (cnn.pooling, cnn.pool_neuron) = match options.pooling {
        None => (cnn.pooling, cnn.pool_neuron.take()),
        Some(PoolingOption::Average) => (Pooling::Average, None),
        Some(PoolingOption::Max) => (Pooling::Max, None),
        Some(PoolingOption::Spiking) => {
            let neuron = cnn.pool_neuron.take();
            (
                Pooling::Average,
                neuron.or_else(|| Some(cnn.neuron.clone())),
            )
        }
    };
    match (&mut cnn.pool_neuron, options.pool_threshold) {
        (None, Some(threshold)) => {
            let expected = "--pooling spiking, which has neurons";
            return Err(InvalidConfig::new(
                "the run",
                "--pool-threshold",
                threshold,
                expected,
            ));
        }
        (Some(neuron), Some(threshold)) => neuron.set("threshold", threshold)?,
        (_, None) => {}
    }
    Ok(())
}

/// An encoder that several threads can use.
pub type SharedEncoder = Arc<dyn Encoder + Send + Sync>;

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
    use crate::script::command;
    use clap::{Command, FromArgMatches};
    use synfire::surrogate::Surrogate;

    fn cli() -> Command {
        command("test", "", &[RunConfig::default()])
    }

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        let matches = cli().try_get_matches_from([&["test"], arguments].concat())?;
        Options::from_arg_matches(&matches)
    }

    #[test]
    fn negative_numbers_reach_their_errors() {
        cli().debug_assert();
        for (option, name) in [
            ("--decay", "`decay` of Lif: -0.1"),
            ("--gain", "`gain` of StbpMlp: -0.1"),
            ("--dropout", "`prob` of Dropout: -0.1"),
            ("--surrogate-a", "`a` of rectangular surrogate: -0.1"),
            ("--learning-rate", "`--learning-rate` of the run: -0.1"),
        ] {
            let error = error(parse(&[option, "-0.1"]).unwrap());
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(
            parse(&["--threshold", "-0.1"]).unwrap().threshold,
            Some(-0.1)
        );
        assert!(parse(&["--decay", "x"]).is_err());
        assert!(parse(&["--epochs", "-1"]).is_err());
    }

    #[test]
    fn a_script_has_a_configuration_for_each_of_its_networks() {
        let of = |epochs, preset| RunConfig {
            epochs,
            ..RunConfig::of(DatasetOption::Pedestrian, preset)
        };
        let configs = [of(20, ModelOption::StbpCnn), of(30, ModelOption::StbpMlp)];
        let chosen = |arguments: &[&str]| {
            let config = RunConfig::choose(&configs, &parse(arguments).unwrap()).unwrap();
            (config.dataset, config.preset, config.epochs)
        };
        let pedestrian = DatasetOption::Pedestrian;
        assert_eq!(chosen(&[]), (pedestrian, ModelOption::StbpCnn, 20));
        assert_eq!(
            chosen(&["--model", "stbp-mlp"]),
            (pedestrian, ModelOption::StbpMlp, 30)
        );
        assert_eq!(
            chosen(&["--model", "stbp-mlp", "--epochs", "2"]),
            (pedestrian, ModelOption::StbpMlp, 2)
        );
        assert_eq!(
            chosen(&["--dataset", "mnist"]),
            (DatasetOption::Mnist, ModelOption::StbpCnn, 8)
        );
        assert!(RunConfig::choose(&[], &parse(&[]).unwrap()).is_err());
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
        assert!(with(|o| o.devices = Some(0)).contains("`--devices`"));
        assert!(with(|o| o.learning_rate = Some(f64::NAN)).contains("`--learning-rate`"));
        assert!(with(|o| o.learning_rate = Some(0.0)).contains("`--learning-rate`"));
        assert!(with(|o| o.weight_decay = Some(f64::NAN)).contains("`--weight-decay`"));
        assert!(with(|o| o.weight_decay = Some(-0.1)).contains("`--weight-decay`"));
        assert!(with(|o| o.hidden = Some(vec![5, 0])).contains("`sizes` of StbpMlp: 0"));
        assert!(with(|o| o.decay = Some(1.5)).contains("`decay` of Lif: 1.5"));
        assert!(with(|o| o.threshold = Some(f64::INFINITY)).contains("`threshold` of Lif"));
        assert!(with(|o| o.surrogate_a = Some(0.0)).contains("`a` of rectangular surrogate: 0"));
        assert!(with(|o| o.gain = Some(-1.0)).contains("`gain` of StbpMlp: -1"));
        assert!(with(|o| o.dropout = Some(1.0)).contains("`prob` of Dropout: 1"));
        assert!(with(|o| o.shift = Some(256)).contains("`--shift` of the run: 256"));
        assert!(with(|o| o.erase = Some(256)).contains("`--erase` of the run: 256"));
        assert!(with(|o| o.samples = Some(0)).contains("`--samples` of the run: 0"));
        assert!(with(|o| o.counts = Some(true)).contains("`--counts` of the run: true"));
        let recordings = with(|o| {
            o.dataset = Some(DatasetOption::NMnist);
            o.contrast = Some(Contrast::Stretch);
        });
        assert!(
            recordings.contains("`--contrast` of the run: stretch"),
            "{recordings}"
        );
        let frames = with(|o| {
            o.dataset = Some(DatasetOption::NMnist);
            o.frames = Some(FramesOption::Window);
            o.frame_size = Some(0);
        });
        assert!(frames.contains("`--frame-size` of the run: 0"), "{frames}");
        let bins = with(|o| {
            o.dataset = Some(DatasetOption::NMnist);
            o.frame_size = Some(7);
        });
        assert!(bins.contains("`--frame-size` of the run: 7"), "{bins}");
        assert!(with(|o| o.channels = Some(vec![4])).contains("`--channels` of the run: [4]"));
        // Each of them is possible, their product is not.
        let hidden = with(|o| o.hidden = Some(vec![4_000_000]));
        assert!(
            hidden.contains("`number of parameters` of stbp-mlp: 3180000010 of 784-4000000-10 (12720000040 bytes)"),
            "{hidden}"
        );
        let channels = with(|o| {
            o.model = Some(ModelOption::StbpCnn);
            o.channels = Some(vec![4000, 4000]);
        });
        assert!(
            channels.contains("`number of parameters` of stbp-cnn"),
            "{channels}"
        );
        assert!(
            with(|o| o.pooling = Some(PoolingOption::Max)).contains("`--pooling` of the run: max")
        );
        let pools = with(|o| {
            o.model = Some(ModelOption::StbpCnnAuthors);
            o.pool_threshold = Some(0.25);
        });
        assert!(
            pools.contains("`--pool-threshold` of the run: 0.25"),
            "{pools}"
        );
    }

    #[test]
    fn options_change_what_they_name_and_nothing_else() {
        let mut options = options();
        options.hidden = Some(vec![30, 20]);
        options.seed = Some(7);
        options.surrogate = Some("gaussian".to_owned());
        let config = RunConfig::default().with_options(&options).unwrap();
        assert_eq!(config.model.structure(), "784-30-20-10");
        assert_eq!(*config.clone().model.seed_mut(), 7);
        assert_eq!(
            config.model.neuron().get("surrogate"),
            Some(Surrogate::gaussian(1.0).unwrap())
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
