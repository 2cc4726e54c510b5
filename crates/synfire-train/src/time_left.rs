//! The time that training still takes, for the dashboard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::TensorReadError;
use burn::train::metric::{Metric, MetricMetadata, MetricName, SerializedEntry};

use crate::plain::minutes;

/// Estimates the time to the last training step from that of the steps so far; validation is taken to be a constant share.
#[derive(Clone, Debug)]
pub struct TimeLeftMetric {
    steps: usize,
    done: usize,
    started: Instant,
}

impl TimeLeftMetric {
    /// A metric for this number of training steps.
    pub fn new(steps: usize) -> Self {
        Self {
            steps,
            done: 0,
            started: Instant::now(),
        }
    }

    fn left(&self, elapsed: Duration) -> Duration {
        let left = self.steps.saturating_sub(self.done) as f64;
        elapsed.mul_f64(left / self.done.max(1) as f64)
    }

    fn entry(&self) -> SerializedEntry {
        let left = minutes(self.left(self.started.elapsed()));
        SerializedEntry::new(left.clone(), left)
    }
}

impl Metric for TimeLeftMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::new("Time left".to_owned())
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.done += 1;
        Ok(self.entry())
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.entry())
    }

    // The estimate covers all epochs.
    fn clear(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_was_done() {
        let mut metric = TimeLeftMetric::new(10);
        metric.done = 4;
        assert_eq!(metric.left(Duration::from_secs(8)), Duration::from_secs(12));
        metric.done = 10;
        assert_eq!(metric.left(Duration::from_secs(20)), Duration::ZERO);
    }
}
