//! Training as plain lines, for logs and terminals without a dashboard.

use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining,
};
use synfire::metric::{MissingClassesMetric, UndecidedMetric};

use crate::say;

/// Prints a line every few seconds and at the end of each part of an epoch.
pub struct PlainRenderer {
    prints: bool,
    epoch: usize,
    epochs: usize,
    first_epoch: usize,
    split: Split,
    /// Means of the metrics over the part so far, in the order in which they were registered.
    metrics: Vec<(MetricDefinition, Mean)>,
    started: Instant,
    split_started: Instant,
    last_line: Instant,
}

#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

#[derive(Default)]
struct Split {
    name: &'static str,
    total: usize,
    processed: usize,
}

const BETWEEN_LINES: Duration = Duration::from_secs(5);

impl PlainRenderer {
    /// A renderer that prints lines, or nothing.
    pub fn new(prints: bool) -> Self {
        let now = Instant::now();
        Self {
            prints,
            epoch: 0,
            epochs: 0,
            first_epoch: 0,
            split: Split::default(),
            metrics: Vec::new(),
            started: now,
            split_started: now,
            last_line: now,
        }
    }

    fn line(&mut self) {
        self.last_line = Instant::now();
        if !self.prints {
            return;
        }
        let percent = 100 * self.split.processed / self.split.total.max(1);
        let (epoch, epochs, split) = (self.epoch, self.epochs, self.split.name);
        let mut line = format!("epoch {epoch:>2}/{epochs}  {split:<10} {percent:>3} %");
        for (definition, mean) in self.metrics.iter().filter(|(_, mean)| mean.count > 0) {
            let rarely = [UndecidedMetric::NAME, MissingClassesMetric::NAME];
            if mean.sum == 0.0 && rarely.contains(&definition.name.as_str()) {
                continue;
            }
            line += "  ";
            line += &figure(&definition.name, mean.sum / mean.count as f64);
        }
        let rate = self.split.processed as f64 / self.split_started.elapsed().as_secs_f64();
        line += &format!("  {rate:.0} samples/s");
        if let Some(left) = self.time_left() {
            line += &format!("  left {}", minutes(left));
        }
        say!("{line}");
    }

    /// Estimates the time left from the elapsed time; validation is assumed to be a constant share.
    fn time_left(&self) -> Option<Duration> {
        if self.split.name != "train" {
            return None;
        }
        let part = self.split.processed as f64 / self.split.total.max(1) as f64;
        let done = (self.epoch - self.first_epoch) as f64 + part;
        let all = (self.epochs - self.first_epoch + 1) as f64;
        (done > 0.0).then(|| self.started.elapsed().mul_f64((all - done).max(0.0) / done))
    }

    fn update(&mut self, state: MetricState) {
        let MetricState::Numeric(entry, Some(value)) = state else {
            return;
        };
        let mut metrics = self.metrics.iter_mut();
        let known = metrics.find(|(definition, _)| definition.metric_id == entry.metric_id);
        if let Some((_, mean)) = known {
            match value {
                NumericEntry::Final(value) => (mean.sum, mean.count) = (value, 1),
                NumericEntry::Value(value) => mean.add(value, 1),
                // The figures of this step are read later.
                NumericEntry::Aggregated { count: 0, .. } => {}
                NumericEntry::Aggregated {
                    aggregated_value,
                    count,
                } => mean.add(aggregated_value, count),
            }
        }
    }
}

impl Mean {
    fn add(&mut self, value: f64, count: usize) {
        self.sum += value * count as f64;
        self.count += count;
    }
}

/// A metric with its value, short enough for a line.
fn figure(name: &str, value: f64) -> String {
    match (name, value.abs()) {
        ("Loss", _) => format!("loss {value:.4}"),
        ("Accuracy", _) => format!("accuracy {value:.2} %"),
        (name, 1000.0..) => format!("{} {value:.0}", name.to_lowercase()),
        (name, _) => format!("{} {value:.3}", name.to_lowercase()),
    }
}

/// A duration as minutes and seconds.
pub fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

impl MetricsRendererTraining for PlainRenderer {
    fn update_train(&mut self, state: MetricState) {
        self.update(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.update(state);
    }
}

impl TrainingProgressLogger for PlainRenderer {
    fn start(&mut self, epochs: usize, first: usize, _: Option<usize>, _: Option<&str>) {
        self.epochs = epochs;
        self.first_epoch = first;
        self.epoch = first;
        self.started = Instant::now();
    }

    fn start_split(&mut self, split: &str, total_items: usize) {
        let is_train = split == "train";
        self.split = Split {
            name: if is_train { "train" } else { "validation" },
            total: total_items,
            processed: 0,
        };
        for (_, mean) in &mut self.metrics {
            *mean = Mean::default();
        }
        self.split_started = Instant::now();
        self.last_line = self.split_started;
    }

    fn update_split(&mut self, items_processed: usize) {
        self.split.processed = items_processed;
        if self.last_line.elapsed() >= BETWEEN_LINES && items_processed < self.split.total {
            self.line();
        }
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.epoch = epoch + 1;
    }

    fn end_split(&mut self) {
        self.line();
    }

    fn end(&mut self) {}

    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRendererEvaluation for PlainRenderer {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for PlainRenderer {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

impl MetricsRenderer for PlainRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        // Once for training and once for validation.
        let known = |(other, _): &(MetricDefinition, Mean)| other.metric_id == definition.metric_id;
        if !self.metrics.iter().any(known) {
            self.metrics.push((definition, Mean::default()));
        }
    }
}
