//! History of a run: the figures of each epoch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use burn::train::logger::{MetricLogger, TrainingProgressLogger};
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};
use serde::{Deserialize, Serialize};
use synfire::metric::{
    Answers, FiringRateMetric, MissingClassesMetric, StuckLayer, UndecidedMetric, stuck_layers,
};

use crate::config::BestBy;

/// The figures of one part of the data in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// The mean loss.
    pub loss: f64,
    /// The part that was classified correctly, 0 to 1.
    pub accuracy: f64,
    /// The firing rate of each layer, 0 to 1.
    pub firing_rates: Vec<f64>,
    /// The fraction of answers with a tie for the best score, in validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undecided: Option<f64>,
    /// The number of classes that were never predicted, in validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_classes: Option<usize>,
}

/// The figures of one epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// On the training samples, during the epoch.
    pub train: SplitRecord,
    /// On the validation samples, after the epoch.
    pub validation: SplitRecord,
    /// The time that training took, without validation.
    pub seconds_training: f64,
    /// The devices it was trained on.
    #[serde(default)]
    pub device: String,
    /// Training steps.
    #[serde(default)]
    pub steps: usize,
}

impl EpochRecord {
    /// The layers that were dead, or nearly so, while training.
    pub fn stuck_layers(&self, layers: &[String]) -> Vec<StuckLayer> {
        let names = layers.iter().map(String::as_str);
        stuck_layers(names.zip(self.train.firing_rates.iter().copied()))
    }

    /// Warnings about stuck layers and about ties in validation.
    pub fn warnings(&self, layers: &[String]) -> Vec<String> {
        let stuck = self.stuck_layers(layers);
        let stuck = stuck.into_iter().map(|layer| layer.to_string());
        let of = &self.validation;
        let undecided = of.undecided.and_then(Answers::undecided_warning);
        let missing = of.missing_classes.and_then(Answers::missing_warning);
        let lines = stuck.chain(undecided).chain(missing);
        let epoch = self.epoch;
        lines.map(|line| format!("epoch {epoch}: {line}")).collect()
    }
}

/// The best epoch, by the highest validation accuracy or the lowest loss. The other one breaks ties; then the first epoch
/// wins.
pub fn best(history: &[EpochRecord], by: BestBy) -> Option<&EpochRecord> {
    let rank = |record: &EpochRecord| {
        let SplitRecord { accuracy, loss, .. } = record.validation;
        match by {
            BestBy::Accuracy => [accuracy, -loss],
            BestBy::Loss => [-loss, accuracy],
        }
    };
    history.iter().reduce(|best, record| {
        // NaN is never better.
        if rank(record) > rank(best) {
            record
        } else {
            best
        }
    })
}

/// The names of burn-train's own metrics.
const LOSS: &str = "Loss";
const ACCURACY: &str = "Accuracy";

/// Collects the epochs' figures from burn-train. Clones share their data.
#[derive(Clone, Debug)]
pub struct HistoryLogger(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    layers: Vec<String>,
    device: String,
    steps: usize,
    names: HashMap<MetricId, String>,
    current: EpochRecord,
    training_since: Option<Instant>,
}

impl HistoryLogger {
    /// A logger for a network with these layers, trained on this device with `steps` steps per epoch.
    pub fn new(layers: Vec<String>, device: String, steps: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            layers,
            device,
            steps,
            ..Inner::default()
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of the lock panics")
    }

    /// The names of the layers.
    pub fn layers(&self) -> Vec<String> {
        self.inner().layers.clone()
    }

    /// Ends `epoch` and returns its figures.
    pub fn end_epoch(&self, epoch: usize) -> EpochRecord {
        let mut inner = self.inner();
        let mut record = std::mem::take(&mut inner.current);
        record.epoch = epoch;
        record.device.clone_from(&inner.device);
        record.steps = inner.steps;
        record
    }
}

impl MetricLogger for HistoryLogger {
    fn log(&mut self, update: MetricsUpdate, _epoch: usize, split: &Split) {
        #[cfg(feature = "remote")]
        crate::watchdog::hear();
        let inner = &mut *self.inner();
        let record = match split {
            Split::Train => &mut inner.current.train,
            Split::Valid => &mut inner.current.validation,
            Split::Test(_) => return,
        };
        for numeric in update.entries_numeric {
            let name = inner.names.get(&numeric.entry.metric_id);
            let (Some(name), Some(NumericEntry::Final(value))) = (name, numeric.numeric_entry)
            else {
                continue;
            };
            match name.as_str() {
                LOSS => record.loss = value,
                ACCURACY => record.accuracy = value / 100.0,
                UndecidedMetric::NAME => record.undecided = Some(value),
                MissingClassesMetric::NAME => record.missing_classes = Some(value as usize),
                name => {
                    let is_named = |layer: &String| *FiringRateMetric::name_of(layer) == name;
                    if let Some(layer) = inner.layers.iter().position(is_named) {
                        record.firing_rates.resize(inner.layers.len(), 0.0);
                        record.firing_rates[layer] = value;
                    }
                }
            }
        }
    }

    fn read_numeric(&mut self, _: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        // Unused: the best epoch is chosen from the history.
        Ok(Vec::new())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        let name = definition.name.to_string();
        self.inner().names.insert(definition.metric_id, name);
    }

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}

impl TrainingProgressLogger for HistoryLogger {
    fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}

    fn update_epoch(&mut self, _: usize) {}

    fn start_split(&mut self, split: &str, _: usize) {
        if split == "train" {
            self.inner().training_since = Some(Instant::now());
        }
    }

    fn update_split(&mut self, _: usize) {}

    fn end_split(&mut self) {
        let mut inner = self.inner();
        if let Some(since) = inner.training_since.take() {
            inner.current.seconds_training = since.elapsed().as_secs_f64();
        }
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _: String) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_is_the_most_accurate_or_the_one_of_the_lowest_loss() {
        let record = |epoch, accuracy| EpochRecord {
            epoch,
            validation: SplitRecord {
                accuracy,
                ..SplitRecord::default()
            },
            ..EpochRecord::default()
        };
        let history = [
            record(1, 0.5),
            record(2, 0.8),
            record(3, 0.8),
            record(4, 0.7),
        ];
        assert_eq!(best(&history, BestBy::Accuracy).unwrap().epoch, 2);
        assert_eq!(best(&history, BestBy::Loss).unwrap().epoch, 2);
        let mut losses = history.clone();
        losses[1].validation.loss = 0.5;
        losses[2].validation.loss = 0.4;
        losses[3].validation.loss = 0.3;
        losses[0].validation.loss = 0.6;
        assert_eq!(best(&losses, BestBy::Accuracy).unwrap().epoch, 3);
        assert_eq!(best(&losses, BestBy::Loss).unwrap().epoch, 4);
        assert_eq!(best(&[], BestBy::Loss), None);
    }

    #[test]
    fn stuck_layers_are_those_of_training() {
        let mut record = EpochRecord::default();
        record.train.firing_rates = vec![0.0, 0.2];
        let stuck = record.stuck_layers(&["hidden".to_owned(), "output".to_owned()]);
        assert_eq!(stuck.len(), 1);
        assert_eq!(stuck[0].layer, "hidden");
    }
}
