//! Conversion of trained networks of rectifiers to networks of spikes.

use burn::tensor::Device;
use synfire::InvalidConfig;
use synfire::encode::EncoderConfig;
use synfire::neuron::NeuronConfig;
use synfire_data::{Data, Samples};
use synfire_models::{Balance, ConversionConfig, NetworkConfig, SpikingNetwork};

use crate::checkpoint::write_json;
use crate::classifier::Classifier;
use crate::config::RunConfig;
use crate::folder::RunFolder;
use crate::report::{REPORT, Report};
use crate::saved::{RUN, RunFile, Saved, write_weights};
use crate::train::{Evaluation, test_some};
use crate::{RunError, describe};

/// A conversion of the network of a finished run.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The thresholds.
    pub config: ConversionConfig,
    /// Time steps of the network of spikes.
    pub time_steps: usize,
    /// Number of training samples from which thresholds follow.
    pub samples: usize,
}

/// Samples of a batch of which all outputs are in memory.
const BATCH: usize = 100;

impl Conversion {
    /// The default number of samples.
    pub const SAMPLES: usize = 1000;

    /// Whether the neurons of a network are rectifiers, which can be converted.
    pub fn is_of_rectifiers(network: &NetworkConfig) -> bool {
        let neuron = network.layers().neuron;
        matches!(
            neuron,
            NeuronConfig::Relu(_) | NeuronConfig::QuantizedRelu(_)
        )
    }

    /// The default thresholds for so many time steps.
    pub fn balance(network: &NetworkConfig, time_steps: usize) -> Balance {
        match network.layers().neuron {
            NeuronConfig::QuantizedRelu(_) => Balance::Learned,
            _ => Balance::Steps(time_steps),
        }
    }

    /// The converted network, with the configuration of the run that it can be evaluated with.
    ///
    /// # Errors
    ///
    /// If the network [cannot be converted](ConversionConfig::convert), samples are not images, intensities were not encoded directly,
    /// there are no time steps, or the data cannot be read.
    pub fn convert(&self, saved: &Saved, data: &Data, device: &Device) -> Result<Saved, RunError> {
        let run = &saved.run.config;
        InvalidConfig::require_size("the conversion", "time_steps", self.time_steps)?;
        let direct = run.encoder == EncoderConfig::DIRECT;
        InvalidConfig::require("the conversion", "encoder", "another", direct, "direct")?;
        let images = matches!(data.train, Samples::Images(_));
        InvalidConfig::require("the conversion", "dataset", run.dataset, images, "images")?;
        let chosen = self.chosen(run, data)?;
        let batch = |samples: &[u32]| {
            let (input, _) = saved.sequences(&data.train, samples.to_vec(), device)?;
            // All steps are the same.
            Ok(input.narrow(0, 0, 1))
        };
        let batches: Result<Vec<_>, RunError> = chosen.chunks(BATCH).map(batch).collect();
        let (network, converted) =
            self.config
                .convert(&run.network, &saved.classifier.network, &batches?)?;
        let config = RunConfig {
            network,
            time_steps: self.time_steps,
            ..run.clone()
        };
        Ok(Saved {
            classifier: Classifier::new(converted, config.loss, device),
            run: RunFile {
                config,
                ..saved.run.clone()
            },
        })
    }

    /// The training samples from which thresholds follow, at equal distances.
    ///
    /// # Errors
    ///
    /// If the data cannot be read.
    pub fn chosen(&self, run: &RunConfig, data: &Data) -> Result<Vec<u32>, RunError> {
        let groups = run.dataset.groups(&data.train)?;
        let [train, _] = run.split(&groups);
        let count = self.samples.min(train.len());
        let chosen = (0..count).map(|i| train[i * train.len() / count] as u32);
        Ok(chosen.collect())
    }
}

impl Saved {
    /// Evaluates the network on the validation samples of its run.
    ///
    /// # Errors
    ///
    /// If the data or the device fail.
    pub fn validate(&self, data: &Data, device: &Device) -> Result<Evaluation, RunError> {
        let run = &self.run.config;
        let groups = run.dataset.groups(&data.train)?;
        let [_, validation] = run.split(&groups);
        let (model, samples) = (&self.classifier, data.train.clone());
        test_some(model, samples, validation, run, run.batch_size, device)
    }

    /// Saves a converted network as a finished run, with the report of the run that it was converted from, but for what was
    /// evaluated: on the validation and on the test samples.
    ///
    /// # Errors
    ///
    /// If the folder holds another run, or cannot be written.
    pub fn save_converted(
        &self,
        mut folder: RunFolder,
        before: &Report,
        [validated, tested]: [&Evaluation; 2],
        command: &str,
        device: &Device,
    ) -> Result<Report, RunError> {
        let out = folder.path().to_path_buf();
        folder.begin();
        let config = &self.run.config;
        let run = RunFile {
            command: command.to_owned(),
            ..self.run.clone()
        };
        write_json(&out.join(RUN), &run)?;
        let weights_sha256 = write_weights(&out, &self.classifier.network, &config.network)?;
        let layers = self.classifier.network.layer_names();
        let report = Report {
            test_accuracy: tested.accuracy,
            test_loss: tested.loss,
            test_undecided: tested.answers.undecided(),
            validation_accuracy: validated.accuracy,
            time_steps: config.time_steps,
            firing_rates: layers
                .iter()
                .cloned()
                .zip(tested.firing_rates.clone())
                .collect(),
            synaptic_operations_per_sample: tested.operations.effective(),
            synaptic_operations: tested.operations,
            warnings: tested.warnings(&layers),
            test_device: Some(describe(device)),
            weights_sha256: Some(weights_sha256),
            command: command.to_owned(),
            config: RunConfig {
                data: config.data_anywhere().to_owned(),
                ..config.clone()
            },
            ..before.clone()
        };
        write_json(&out.join(REPORT), &report)?;
        Ok(report)
    }
}
