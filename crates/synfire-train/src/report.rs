//! Report of a run.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use synfire::metric::SynapticOperations;
use synfire::plot::Picture;
use synfire_data::{DatasetName, read_regular};
use synfire_models::upgrade_run;

use crate::RunError;
use crate::config::RunConfig;
use crate::history::EpochRecord;

/// The content of `report.json`. Accuracies and rates are fractions of 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The dataset.
    pub dataset: DatasetName,
    /// Source of the data.
    pub source: String,
    /// Number of training samples.
    pub samples_train: usize,
    /// Number of validation samples, which select the epoch.
    pub samples_validation: usize,
    /// Number of test samples, evaluated once.
    pub samples_test: usize,
    /// Accuracy on the test samples, with the weights of the best epoch.
    pub test_accuracy: f64,
    /// Loss on the test samples.
    pub test_loss: f64,
    /// Fraction of the test samples with a tie for the best score.
    pub test_undecided: f64,
    /// Accuracy on the validation samples in the best epoch.
    pub validation_accuracy: f64,
    /// The epoch with the highest validation accuracy.
    pub best_epoch: usize,
    /// Number of trained epochs.
    pub epochs: usize,
    /// Time steps of every sample.
    pub time_steps: usize,
    /// Time for training, without validation and test, over all sittings.
    pub seconds_training: f64,
    /// Training samples per second.
    pub samples_per_second: f64,
    /// Firing rate of each layer on the test samples.
    pub firing_rates: BTreeMap<String, f64>,
    /// Effective synaptic operations on a test sample, over all layers and time steps.
    pub synaptic_operations_per_sample: f64,
    /// The same by kind, and the dense operations.
    pub synaptic_operations: SynapticOperations,
    /// Warnings about layers that hardly or nearly always fired and about ties, by epoch and on the test samples.
    pub warnings: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The devices, in the order in which epochs were trained on them.
    pub device: String,
    /// The device that was tested on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_device: Option<String>,
    /// The SHA-256 of the weights, in hexadecimal. Reports of older runs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// The figures of every epoch.
    pub history: Vec<EpochRecord>,
    /// The command that began the run.
    pub command: String,
    /// The configuration of the run.
    pub config: RunConfig,
}

/// The file with the report of a run, in its folder.
pub const REPORT: &str = "report.json";

impl Report {
    /// Reads the report of the finished run in a folder.
    ///
    /// # Errors
    ///
    /// If it is not there, or damaged.
    pub fn read(folder: &Path) -> Result<Self, RunError> {
        Self::from_file(&folder.join(REPORT))
    }

    /// Reads a report.
    ///
    /// # Errors
    ///
    /// If it is not there, or damaged.
    pub fn from_file(path: &Path) -> Result<Self, RunError> {
        let text = read_regular(path).map_err(RunError::io(path))?;
        let mut report: Value = serde_json::from_slice(&text).map_err(RunError::damaged(path))?;
        let old = upgrade_run(report.get_mut("config"));
        let mut report: Self = serde_json::from_value(report).map_err(RunError::damaged(path))?;
        if old {
            // The old command was of programs that no longer exist.
            report.command = report.config.command();
        }
        Ok(report)
    }

    /// Loss on the validation samples in the best epoch. Reports of converted networks may have none.
    pub fn validation_loss(&self) -> Option<f64> {
        let best = self
            .history
            .iter()
            .find(|record| record.epoch == self.best_epoch);
        best.map(|record| record.validation.loss)
    }

    /// The command of the run without its seed.
    pub fn command_of_any_seed(&self) -> String {
        self.command.replace(&format!(" --seed {}", self.seed), "")
    }

    /// The name of the experiment, from network and dataset. A preset that is named after the dataset stands for both.
    pub fn experiment(&self) -> String {
        let (preset, dataset) = (&self.config.preset, self.dataset.to_string());
        // The longest, as `fashion-mnist` ends in `mnist`.
        let ends = DatasetName::all().iter().map(|dataset| dataset.name());
        let own = ends.filter(|name| preset.ends_with(&format!("-{name}")));
        match own.max_by_key(|name| name.len()) {
            Some(own) if own == dataset => preset.clone(),
            _ => format!("{preset}-{dataset}"),
        }
    }
}

/// Mean, least and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The mean; NaN if there are no values.
    pub mean: f64,
    /// The least value.
    pub least: f64,
    /// The largest value.
    pub most: f64,
}

impl Spread {
    /// The spread of these values.
    pub fn new(values: &[f64]) -> Self {
        Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            least: values.iter().copied().fold(f64::INFINITY, f64::min),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The head of a table in Markdown, from the names of its columns with ` | ` in between.
pub fn table_head(columns: &str) -> String {
    let rule = " --- |".repeat(columns.split(" | ").count());
    format!("| {columns} |\n|{rule}\n")
}

/// Saves a picture as `name.svg` and `name.png` in a folder. Returns their paths.
///
/// # Errors
///
/// If it cannot be drawn or written.
pub fn save_picture(
    folder: &Path,
    name: &str,
    picture: &impl Picture,
) -> Result<[PathBuf; 2], RunError> {
    let paths = ["svg", "png"].map(|ending| folder.join(format!("{name}.{ending}")));
    for path in &paths {
        picture.save(path)?;
    }
    Ok(paths)
}

/// A part of 1 as text.
pub fn percent(part: f64) -> String {
    format!("{:.2} %", 100.0 * part)
}

/// The operations on a sample as text.
pub fn operations(of: &SynapticOperations) -> String {
    format!(
        "{:.0} accumulates, {:.0} multiply-accumulates per sample (dense: {:.0})",
        of.accumulates, of.multiply_accumulates, of.dense
    )
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<22} {value}");
        let (tested, validated) = (self.samples_test, self.samples_validation);
        let accuracy = percent(self.test_accuracy);
        row("test accuracy", format!("{accuracy} of {tested} samples"))?;
        let accuracy = percent(self.validation_accuracy);
        let when = format!("in epoch {} of {}", self.best_epoch, self.epochs);
        let validation = format!("{accuracy} of {validated} samples, {when}");
        row("validation accuracy", validation)?;
        row("undecided", percent(self.test_undecided))?;
        row("data", format!("{}, {}", self.dataset, self.source))?;
        for (layer, rate) in &self.firing_rates {
            row(&format!("firing rate {layer}"), format!("{rate:.4}"))?;
        }
        row("synaptic operations", operations(&self.synaptic_operations))?;
        let (seconds, speed) = (self.seconds_training, self.samples_per_second);
        let (samples, device) = (self.samples_train, &self.device);
        let speed = format!("{seconds:.0} s, {speed:.0} samples/s");
        let training = format!("{speed}, {samples} samples, device {device}");
        row("training", training)
    }
}
