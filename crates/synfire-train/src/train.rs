//! Training runs, from configuration to report.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::{ExecutionStrategy, InferenceStep, Interrupter, Learner, SupervisedTraining};
use synfire::metric::{
    Answers, FiringRateMetric, Gathered, MissingClassesMetric, SpikingOutput, StuckLayersMetric,
    SynapticOperations, SynapticOperationsMetric, UndecidedMetric, stuck_layers,
};
use synfire::record::Recorder;
use synfire_data::{Data, DataSource, Loader, Samples, Source};
use synfire_models::{AnyNetwork, FORMAT, SpikingNetwork, not_finite};

use crate::checkpoint::{CHECKPOINTS, Checkpoints, Part, write_json};
use crate::classifier::{self, Classifier};
use crate::config::{Optimizer, RunConfig, Schedule};
use crate::data::{EpochLoader, SpikeBatch, share};
use crate::device::{describe, describe_all, device, devices, repeated, together};
use crate::folder::{RunFolder, newest};
use crate::guard::FiniteLossMetric;
use crate::history::{EpochRecord, HistoryLogger, best};
use crate::loss::LossKind;
use crate::memory;
use crate::plain::PlainRenderer;
use crate::report::{REPORT, Report};
use crate::samples::Coding;
use crate::saved::{RUN, RunFile, read_run, write_weights};
use crate::schedule::WarmUp;
use crate::signals::{self, Watch};
use crate::start::Start;
use crate::time_left::TimeLeftMetric;
#[cfg(feature = "remote")]
use crate::watchdog::{Watchdog, lost_one};
use crate::{RunError, say};

/// A loader of images of the shape that a network takes.
pub fn loader_of([channels, height, width]: [usize; 3]) -> Loader {
    let loader = Loader::new().with_image_size([height, width]);
    match channels {
        1 | 3 => loader.with_image_channels(channels),
        _ => loader,
    }
}

/// The parent folder of runs.
const RUNS: &str = "runs";

/// Trains runs: holds device, folder and output, which do not affect the result.
#[derive(Clone, Debug, Default)]
pub struct Trainer {
    devices: Vec<String>,
    out: Option<PathBuf>,
    other_device: bool,
    output: Output,
    deadline: Option<Duration>,
}

/// Time in which figures must come from devices of other machines.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// Output of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// A dashboard; plain lines if standard output is not a terminal.
    #[default]
    Dashboard,
    /// Lines.
    Lines,
    /// Nothing.
    Nothing,
}

impl Trainer {
    /// A trainer on the default device, in the next folder under `runs`, with a dashboard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the [device](crate::device()). If the run trains on several, the others follow it.
    pub fn with_device(self, device: impl Into<String>) -> Self {
        self.with_devices([device.into()])
    }

    /// Sets all devices, on which the run trains together.
    pub fn with_devices(mut self, devices: impl IntoIterator<Item = String>) -> Self {
        self.devices = devices.into_iter().collect();
        self
    }

    /// Sets the folder for checkpoints, weights and report.
    pub fn with_out(mut self, out: impl Into<Option<PathBuf>>) -> Self {
        self.out = out.into();
        self
    }

    /// Sets the output.
    pub fn with_output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }

    /// Allows resuming on another kind or number of devices, where results may differ; the report lists the devices used.
    pub fn with_other_device(mut self, other_device: bool) -> Self {
        self.other_device = other_device;
        self
    }

    /// Sets the time in which the figures of a step must come from devices of other machines, else they are lost and the program
    /// ends: 120 s by default.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The devices that a run trains on.
    fn devices(&self, count: usize) -> Result<Vec<Device>, RunError> {
        match &self.devices[..] {
            [] => devices(&device("auto")?, count),
            [first] => devices(&device(first)?, count),
            all => {
                let error = |reason| RunError::Device {
                    option: "--device",
                    name: all.join(","),
                    reason,
                };
                if all.len() != count {
                    let expected = format!("expected as many as the `devices` of the run, {count}");
                    return Err(error(expected));
                }
                let found = all.iter().map(|name| device(name));
                let found = found.collect::<Result<Vec<_>, _>>()?;
                match repeated(&found) {
                    false => Ok(found),
                    true => Err(error("expected GPUs that differ".to_owned())),
                }
            }
        }
    }

    /// Trains a new run and returns the report, which is also in the run's folder, along with the weights, and that folder.
    ///
    /// # Errors
    ///
    /// If a value is invalid, the data are unavailable, the folder cannot be written, holds another run or is in use, or
    /// values are no longer finite.
    pub fn train(&self, config: RunConfig) -> Result<(Report, PathBuf), RunError> {
        config.validate()?;
        // Missing devices are reported before a folder is created.
        let devices = self.devices(config.devices)?;
        let folder = match &self.out {
            Some(out) => RunFolder::new(out)?,
            None => RunFolder::numbered(Path::new(RUNS), config.dataset.name())?,
        };
        let choice = DataSource::parse(&config.data);
        self.run(folder, config, &choice, None, devices)
    }

    /// Resumes the run in the folder or, if none is set, the newest run on the dataset under `runs`. `change` may change the
    /// run's configuration: only the source of the data and the number of devices.
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train), and if there is no run, or `change` changes another value.
    pub fn resume(
        &self,
        dataset: &str,
        change: impl FnOnce(RunConfig) -> Result<RunConfig, RunError>,
    ) -> Result<(Report, PathBuf), RunError> {
        let runs = Path::new(RUNS);
        let out = match &self.out {
            Some(out) => out.clone(),
            None => newest(runs, dataset)
                .ok_or_else(|| RunError::NothingToResume(runs.join(dataset)))?,
        };
        let folder = RunFolder::of_run(&out)?;
        let saved = read_run(&out)?.ok_or(RunError::NothingToResume(out))?;
        let config = change(saved.config.clone())?;
        let mut same = config.clone();
        // The data may have moved: their content is compared once they are loaded.
        same.data.clone_from(&saved.config.data);
        same.devices = saved.config.devices;
        if let Some((name, saved, asked)) = saved.config.differences(&same).into_iter().next() {
            return Err(RunError::OtherRun {
                out: folder.path().to_path_buf(),
                name,
                saved,
                asked,
            });
        }
        let devices = self.devices(config.devices)?;
        let choice = match saved.embedded && config.data == saved.config.data {
            // Sources available to `auto` may have changed since the run began.
            true => DataSource::Embedded,
            false => DataSource::parse(&config.data),
        };
        self.run(folder, config, &choice, Some(saved), devices)
    }

    /// Loads the data of a run, fits the run to them, and trains it.
    fn run(
        &self,
        mut folder: RunFolder,
        mut config: RunConfig,
        choice: &DataSource,
        saved: Option<RunFile>,
        devices: Vec<Device>,
    ) -> Result<(Report, PathBuf), RunError> {
        let out = folder.path().to_path_buf();
        let device = devices[0].clone();
        let says = self.output != Output::Nothing;
        if says {
            say!("Run      {}", out.display());
            for warning in config.warnings() {
                say!("warning: {warning}");
            }
        }
        let loader = match config.weights {
            Some(_) => loader_of(config.sample),
            None => Loader::new(),
        };
        let loaded = config.dataset.load_with(&loader, choice)?;
        let data = loaded.fingerprints()?;
        if saved.as_ref().is_some_and(|saved| saved.data != data) {
            let source_now = loaded.source.to_string();
            return Err(RunError::OtherData { out, source_now });
        }
        config.fit(&loaded)?;
        let groups = config.dataset.groups(&loaded.train)?;
        let parts = config.split(&groups);
        if parts.iter().any(Vec::is_empty) {
            return Err(undivided(&loaded, loaded.train.len()));
        }
        memory::check(&config, config.batch_size, parts[0].len(), &device)?;
        let Start { network, seen } = config.start(&loaded, &device)?;
        if says {
            for reason in &loaded.tried {
                say!("Data     not from {reason}");
            }
            if seen > 0 {
                let samples = format!("{seen} of the validation samples");
                say!(
                    "warning: `weights` were trained with {samples}; with the same `seed`, with none"
                );
            }
        }
        let file = RunFile {
            format: FORMAT,
            command: config.command(),
            config,
            embedded: loaded.source == Source::Embedded,
            data,
        };
        if saved.is_none() {
            folder.begin();
            write_json(&out.join(RUN), &file)?;
        }
        let run = Run {
            file,
            loaded,
            device,
            devices,
            out: out.clone(),
            other_device: self.other_device,
            deadline: self.deadline.unwrap_or(DEADLINE),
            output: match self.output {
                Output::Dashboard if !std::io::stdout().is_terminal() => Output::Lines,
                output => output,
            },
        };
        Ok((run.train(network, parts)?, out))
    }
}

/// The error of data with so many training samples, which cannot be divided.
fn undivided(data: &Data, samples: usize) -> RunError {
    let data = data.place();
    RunError::Undivided { data, samples }
}

/// A prepared run.
struct Run {
    file: RunFile,
    loaded: Data,
    /// The first training device, for everything else.
    device: Device,
    devices: Vec<Device>,
    out: PathBuf,
    /// Whether it may go on on another kind of device.
    other_device: bool,
    #[cfg_attr(not(feature = "remote"), allow(dead_code))]
    deadline: Duration,
    output: Output,
}

impl Run {
    /// Trains a network on the first samples and validates on the others. Devices of other machines are watched meanwhile.
    fn train(self, network: AnyNetwork, parts: [Vec<usize>; 2]) -> Result<Report, RunError> {
        #[cfg(feature = "remote")]
        if self.devices.iter().any(crate::device::is_remote) {
            let (devices, out) = (self.devices.clone(), self.out.clone());
            let _watchdog = Watchdog::new(&devices, &out, self.deadline);
            // Burn's client of a server that is lost may panic.
            let run = std::panic::AssertUnwindSafe(|| self.train_on(network, parts));
            let result = std::panic::catch_unwind(run).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("no reason given");
                Err(RunError::Training(format!("a device failed: {text}")))
            });
            return result.map_err(|error| match error {
                RunError::Training(_) | RunError::Read(_) => {
                    lost_one(&devices, &out).unwrap_or(error)
                }
                error => error,
            });
        }
        self.train_on(network, parts)
    }

    /// Trains on the samples `train` and validates on `validation`.
    fn train_on(
        self,
        network: AnyNetwork,
        [train, validation]: [Vec<usize>; 2],
    ) -> Result<Report, RunError> {
        let config = &self.file.config;
        let coding = config.coding()?;
        let samples = [train.len(), validation.len(), self.loaded.test.len()];
        let layers = network.layer_names();
        let classifier = Classifier::new(network, config.loss, &self.device);
        if self.output != Output::Nothing {
            self.announce(samples);
        }

        let folder = self.out.join(CHECKPOINTS);
        let checkpoints = Checkpoints::new(folder, config.best_by, &self.file.id());
        let state = checkpoints.open()?.unwrap_or_default();
        let done: usize = state.history.iter().map(|record| record.steps).sum();
        let classifier = classifier.for_run(config, done);
        let devices = describe_all(&self.devices);
        if let Some(last) = state.history.last() {
            if state.epoch < config.epochs {
                self.check_devices(&last.device, &devices)?;
            }
            // burn-train panics on what cannot be loaded, so look first.
            let model = checkpoints.load(classifier.clone(), state.epoch)?;
            checkpoints.probe(&model, state.epoch)?;
            if self.output != Output::Nothing {
                say!("Resumed  after epoch {} of {}", state.epoch, config.epochs);
            }
        }
        let train = share(train, config.devices, config.seed);
        let of_device = train.len() / config.devices;
        let batches = of_device.div_ceil(config.batch_size);
        let steps = batches.div_ceil(config.accumulation);
        let recorder = HistoryLogger::new(layers.clone(), devices, steps);
        if state.epoch < config.epochs {
            if of_device == 0 {
                return Err(undivided(&self.loaded, samples[0]));
            }
            // Epochs on another number of devices had another number of steps: the schedule ends with the last one.
            let warm = state.history.iter().take(config.warmup);
            let warm: usize = warm.map(|record| record.steps).sum();
            let warmup = warm + steps * config.warmup.saturating_sub(state.epoch);
            let left = config.epochs - state.epoch;
            let steps = done + steps * left;
            let count = self.devices.len();
            let together = (count > 1).then(|| together(self.devices.clone()));
            let model = match &together {
                // It adds up the gradients.
                Some(ExecutionStrategy::MultiDevice(..)) => classifier.clone().one_of(count),
                _ => classifier.clone(),
            };
            let loader = |indices| {
                let data = self.loaded.train.clone();
                EpochLoader::new(data, indices, &coding, config.batch_size, &self.device)
            };
            let train = loader(train).shuffled(config.seed, state.epoch + 1);
            self.fit(
                Learner::new(
                    model.train(),
                    self.optimizer(),
                    self.scheduler(steps, warmup),
                ),
                [Arc::new(train), Arc::new(loader(validation))],
                &checkpoints,
                &recorder,
                (state.epoch, batches * left),
                together,
            )?;
        }

        let history = checkpoints.history();
        let best = best(&history, config.best_by).expect("at least one epoch was trained");
        let best_model = checkpoints.load(classifier, best.epoch)?;
        let weights_sha256 = write_weights(&self.out, best_model.trained(), &config.network)?;
        let test = self.loaded.test.clone();
        let tested = test_all(&best_model, test, config, config.batch_size, &self.device)?;

        let seconds_training: f64 = history.iter().map(|record| record.seconds_training).sum();
        let mut warnings = warnings(&history, &layers);
        warnings.extend(tested.warnings(&layers));
        let report = Report {
            dataset: config.dataset,
            source: self.loaded.source.to_string(),
            samples_train: samples[0],
            samples_validation: samples[1],
            samples_test: samples[2],
            test_accuracy: tested.accuracy,
            test_loss: tested.loss,
            test_undecided: tested.answers.undecided(),
            validation_accuracy: best.validation.accuracy,
            best_epoch: best.epoch,
            epochs: history.len(),
            time_steps: config.time_steps,
            seconds_training,
            samples_per_second: (samples[0] * history.len()) as f64 / seconds_training,
            firing_rates: layers.into_iter().zip(tested.firing_rates).collect(),
            synaptic_operations_per_sample: tested.operations.effective(),
            synaptic_operations: tested.operations,
            warnings,
            seed: config.seed,
            device: trained_on(&history),
            test_device: Some(describe(&self.device)),
            weights_sha256: Some(weights_sha256),
            history: history.clone(),
            command: self.file.command.clone(),
            config: RunConfig {
                // The report does not contain the data folder of this machine.
                data: config.data_anywhere().to_owned(),
                ..config.clone()
            },
        };
        write_json(&self.out.join(REPORT), &report)?;
        Ok(report)
    }

    fn announce(&self, [train, validation, test]: [usize; 3]) {
        let config = &self.file.config;
        let source = &self.loaded.source;
        let folder = source.folder();
        let folder = folder.map(|folder| format!(" ({})", folder.display()));
        let folder = folder.unwrap_or_default();
        say!("Data     {}, {source}{folder}", config.dataset);
        say!("         {train} samples to train on, {validation} to validate, {test} to test");
        if *source == Source::Embedded {
            say!("         expect less accuracy than with the full dataset");
        }
        let steps = config.time_steps;
        let longest = self.loaded.train.time_steps().unwrap_or(0);
        if longest > steps {
            let taken = format!("of which the first {steps} are taken");
            say!("         sequences have up to {longest} steps, {taken}");
        }
        let structure = config.network.structure();
        let neuron = config.network.layers().neuron.kind();
        let device = describe(&self.device);
        say!("Network  {structure}, {neuron} neurons, T = {steps}, on {device}");
    }

    fn optimizer(&self) -> ModuleOptimizer {
        let decay = self.file.config.weight_decay.map(|w| w as f32);
        let penalty = decay.map(WeightDecayConfig::new);
        match self.file.config.optimizer {
            Optimizer::Adam => AdamConfig::new().with_weight_decay(penalty).init(),
            Optimizer::Adamw => match decay {
                Some(decay) => AdamWConfig::new().with_weight_decay(decay).init(),
                None => AdamWConfig::new().init(),
            },
            Optimizer::Sgd => SgdConfig::new()
                .with_momentum(Some(MomentumConfig::new().with_momentum(0.9)))
                .with_weight_decay(penalty)
                .init(),
        }
    }

    /// The schedule of so many steps, times a factor that rises to 1 in the first `warmup`.
    fn scheduler(&self, steps: usize, warmup: usize) -> ModuleLrScheduler {
        let rate = self.file.config.learning_rate;
        let schedule = self.file.config.schedule;
        if self.file.config.warmup > 0 {
            let step = 0;
            let start = WarmUp {
                rate,
                schedule,
                steps,
                warmup,
                step,
            };
            return start.into();
        }
        match schedule {
            Schedule::Constant => ConstantLr::new(rate).into(),
            Schedule::Cosine => CosineAnnealingLrSchedulerConfig::new(rate, steps)
                .init()
                .expect("the learning rate and the number of steps were checked"),
        }
    }

    /// Trains from the epoch after `done` to the last, with `steps` batches.
    fn fit(
        &self,
        learner: Learner<Classifier>,
        [train, validation]: [Arc<dyn DataLoader<SpikeBatch>>; 2],
        checkpoints: &Checkpoints,
        recorder: &HistoryLogger,
        (done, steps): (usize, usize),
        together: Option<ExecutionStrategy>,
    ) -> Result<(), RunError> {
        let interrupter = Interrupter::new();
        let _watch = Watch::new(&interrupter);
        let strategy = checkpoints.strategy(recorder.clone(), self.output == Output::Lines);
        let errors = checkpoints.clone();
        // Ends the run with an error if the loss is no longer a number.
        let guard = FiniteLossMetric::new(interrupter.clone(), move |what| {
            let epoch = errors.history().len() + 1;
            errors.report(RunError::NotFinite { epoch, what });
        });
        let mut training = SupervisedTraining::new(&self.out, train, validation)
            .num_epochs(self.file.config.epochs)
            .with_interrupter(interrupter.clone())
            .with_application_logger(None)
            .with_metric_logger(recorder.clone())
            .with_progress_logger(recorder.clone())
            .with_custom_checkpointers(
                checkpoints.model(learner.model()),
                checkpoints.part(Part::Optimizer),
                checkpoints.part(Part::Scheduler),
            )
            .with_checkpointing_strategy(strategy)
            .metric_train_numeric(Gathered::new(LossMetric::new()))
            .metric_valid_numeric(LossMetric::new())
            .metric_train_numeric(Gathered::new(AccuracyMetric::new()))
            .metric_valid_numeric(AccuracyMetric::new())
            .metric_train(TimeLeftMetric::new(steps))
            .metric_train(Gathered::new(StuckLayersMetric::new(recorder.layers())))
            .metric_train(Gathered::new(guard));
        if self.file.config.accumulation > 1 {
            training = training.grads_accumulation(self.file.config.accumulation);
        }
        for (i, layer) in recorder.layers().iter().enumerate() {
            training = training
                .metric_train_numeric(Gathered::new(FiringRateMetric::new(layer, i)))
                .metric_valid_numeric(FiringRateMetric::new(layer, i));
        }
        training = training
            .metric_valid_numeric(SynapticOperationsMetric::accumulates())
            .metric_valid_numeric(UndecidedMetric::new())
            .metric_valid_numeric(MissingClassesMetric::new());
        if done > 0 {
            training = training.checkpoint(done);
        }
        if let Some(together) = together {
            training = training.with_training_strategy(together.into());
        }
        training = match self.output {
            Output::Dashboard => {
                let checkpoint = (done > 0).then_some(done);
                let dashboard = TuiMetricsRendererWrapper::new(interrupter.clone(), checkpoint);
                signals::let_ctrl_c_through();
                training.renderer(Box::new(dashboard))
            }
            output => training.renderer(Box::new(PlainRenderer::new(output == Output::Lines))),
        };

        let result = training.launch(learner);
        let history = checkpoints.history();
        if self.output == Output::Dashboard {
            // The dashboard covered the warnings of the epochs.
            for warning in warnings(&history, &recorder.layers()) {
                say!("warning: {warning}");
            }
        }
        // The checkpointers have ended with the training, so all errors are known.
        if let Some(error) = checkpoints.take_error() {
            return Err(error.with_layer(not_finite(&result.model)));
        }
        if let Some(error) = result.error {
            return Err(RunError::Training(error.to_string()));
        }
        if history.len() < self.file.config.epochs {
            // The dashboard resets the interrupter's flag, but not its message.
            let why = interrupter.get_message();
            let reason = why.unwrap_or_else(|| "no reason given".to_owned());
            let epoch = history.len();
            return Err(RunError::Interrupted { epoch, reason });
        }
        Ok(())
    }

    /// Rejects another kind or number of devices, as results may differ.
    fn check_devices(&self, saved: &str, now: &str) -> Result<(), RunError> {
        let kind = |devices: &str| {
            let (count, device) = devices.split_once(" x ").unwrap_or(("1", devices));
            // The number of a device does not matter.
            let device = device.replace(|c: char| c.is_ascii_digit(), "");
            (count.to_owned(), device)
        };
        match kind(saved) == kind(now) || saved.is_empty() || self.other_device {
            true => Ok(()),
            false => Err(RunError::OtherDevice {
                out: self.out.clone(),
                saved: saved.to_owned(),
                asked: now.to_owned(),
            }),
        }
    }
}

/// The devices that the epochs were trained on, in order.
fn trained_on(history: &[EpochRecord]) -> String {
    let mut devices: Vec<&str> = history.iter().map(|record| &*record.device).collect();
    devices.dedup();
    devices.join(", then ")
}

/// The warnings of all epochs.
fn warnings(history: &[EpochRecord], layers: &[String]) -> Vec<String> {
    let of_epoch = |record: &EpochRecord| record.warnings(layers);
    history.iter().flat_map(of_epoch).collect()
}

/// Evaluation of a network on a dataset.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The part that was classified correctly.
    pub accuracy: f64,
    /// The answers of the network.
    pub answers: Answers,
    /// The mean loss.
    pub loss: f64,
    /// The firing rate of each layer.
    pub firing_rates: Vec<f64>,
    /// Operations per sample.
    pub operations: SynapticOperations,
}

impl Evaluation {
    /// Warnings about a network that does not work.
    pub fn warnings(&self, layers: &[String]) -> Vec<String> {
        let names = layers.iter().map(String::as_str);
        let stuck = stuck_layers(names.zip(self.firing_rates.iter().copied()));
        let answers = self.answers.warnings().into_iter();
        let stuck = stuck.into_iter().map(|layer| layer.to_string());
        let warnings = answers.chain(stuck);
        warnings.map(|warning| format!("test: {warning}")).collect()
    }
}

/// Evaluates a network on all given samples, encoded as in the run, without gradients.
///
/// # Errors
///
/// If the data or the device fail.
pub fn test_all(
    model: &Classifier,
    samples: Samples,
    config: &RunConfig,
    batch_size: usize,
    device: &Device,
) -> Result<Evaluation, RunError> {
    let indices = (0..samples.len()).collect();
    test_some(model, samples, indices, config, batch_size, device)
}

/// Evaluates a network on the samples with these numbers, as [`test_all`] does on all.
///
/// # Errors
///
/// If the data or the device fail.
pub fn test_some(
    model: &Classifier,
    samples: Samples,
    indices: Vec<usize>,
    config: &RunConfig,
    batch_size: usize,
    device: &Device,
) -> Result<Evaluation, RunError> {
    memory::check(config, batch_size, indices.len(), device)?;
    let coding = config.coding()?;
    let data = EpochLoader::new(samples, indices, &coding, batch_size, device);
    evaluate(&data, |batch| InferenceStep::step(model, batch))
}

/// Evaluates any network on all given samples, without gradients.
///
/// # Errors
///
/// If the data or the device fail.
pub fn test_network(
    network: &impl SpikingNetwork,
    loss: LossKind,
    samples: Samples,
    coding: &Coding,
    batch_size: usize,
    device: &Device,
) -> Result<Evaluation, RunError> {
    let indices = (0..samples.len()).collect();
    let data = EpochLoader::new(samples, indices, coding, batch_size, device);
    let recorder = || Recorder::rates().with_operations();
    evaluate(&data, |batch| {
        classifier::run(network, &loss, batch, recorder(), 0.0)
    })
}

/// Evaluates batch by batch.
fn evaluate(
    data: &EpochLoader,
    step: impl Fn(SpikeBatch) -> SpikingOutput,
) -> Result<Evaluation, RunError> {
    let mut answers = Answers::default();
    let (mut count, mut correct, mut loss) = (0.0, 0.0, 0.0);
    let mut firing_rates = Vec::new();
    let mut operations = SynapticOperations::default();
    for batch in data.iter() {
        #[cfg(feature = "remote")]
        crate::watchdog::hear();
        let output = step(batch?);
        // For sequences with a label per step, the number of steps.
        let samples = output.targets.dims()[0] as f64;
        count += samples;
        answers.add(&output.scores, &output.targets)?;
        let given = output.scores.argmax(1).squeeze_dim::<1>(1);
        let right = given.equal(output.targets).int().sum();
        correct += right.try_into_scalar::<f64>()?;
        loss += samples * output.loss.try_into_scalar::<f64>()?;
        firing_rates.resize(output.firing_rates.len(), 0.0);
        for (sum, rate) in firing_rates.iter_mut().zip(output.firing_rates) {
            *sum += samples * rate.try_into_scalar::<f64>()?;
        }
        for layer in output.operations {
            operations += layer.count()?;
        }
    }
    let mean = |sum: f64| sum / count;
    Ok(Evaluation {
        accuracy: mean(correct),
        answers,
        loss: mean(loss),
        firing_rates: firing_rates.into_iter().map(mean).collect(),
        operations: operations.per_sample(data.num_items()),
    })
}
