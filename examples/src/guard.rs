//! Stops a run whose loss is no longer a number.

use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::Interrupter;
use burn::train::metric::{
    LossInput, LossMetric, Metric, MetricMetadata, MetricName, Numeric, SerializedEntry,
};

/// Watches the loss, on the thread that reads the metrics.
#[derive(Clone)]
pub struct FiniteLossMetric {
    loss: LossMetric,
    interrupter: Interrupter,
}

impl FiniteLossMetric {
    /// Stops the training through `interrupter`.
    pub fn new(interrupter: Interrupter) -> Self {
        Self {
            loss: LossMetric::new(),
            interrupter,
        }
    }
}

impl Metric for FiniteLossMetric {
    type Input = LossInput;

    fn name(&self) -> MetricName {
        Arc::new("Loss is finite".to_owned())
    }

    fn update(
        &mut self,
        item: &LossInput,
        metadata: &MetricMetadata,
    ) -> Result<SerializedEntry, TensorReadError> {
        self.loss.update(item, metadata)?;
        let loss = self.loss.value().map_or(f64::NAN, |value| value.current());
        if !loss.is_finite() {
            let iteration = metadata.iteration.unwrap_or_default();
            self.interrupter.stop(Some(&format!(
                "the loss is {loss} at iteration {iteration} of the epoch"
            )));
        }
        Ok(SerializedEntry::new(
            loss.is_finite().to_string(),
            loss.to_string(),
        ))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        self.loss.compute()
    }

    fn clear(&mut self) {
        self.loss.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataloader::Progress;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn only_a_loss_that_is_not_finite_stops_the_run() {
        let interrupter = Interrupter::new();
        let mut metric = FiniteLossMetric::new(interrupter.clone());
        let metadata = MetricMetadata {
            progress: Progress::new(1, 2, None),
            iteration: Some(7),
            lr: None,
        };
        let mut update = |loss: f32| {
            let loss = Tensor::<1>::from_floats([loss], &Device::flex());
            metric.update(&LossInput::new(loss), &metadata).unwrap();
        };
        update(0.5);
        assert!(!interrupter.should_stop());
        update(f32::NAN);
        let message = interrupter.get_message().unwrap();
        assert!(message.contains("NaN at iteration 7"), "{message}");
    }
}
