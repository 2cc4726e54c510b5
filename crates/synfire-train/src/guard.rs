//! Stops a run whose loss is no longer a number.

use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::Interrupter;
use burn::train::metric::{
    LossInput, LossMetric, Metric, MetricMetadata, MetricName, Numeric, SerializedEntry,
};

/// Watches the loss, on the thread that reads the metrics.
///
/// A loss of spikes stays finite even if weights do not (they are checked before saving); a loss of membrane potentials
/// does not.
#[derive(Clone)]
pub struct FiniteLossMetric {
    loss: LossMetric,
    interrupter: Interrupter,
    report: Arc<dyn Fn(String) + Send + Sync>,
}

impl FiniteLossMetric {
    /// Stops the training through `interrupter`, and tells `report` why.
    pub fn new(interrupter: Interrupter, report: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self {
            loss: LossMetric::new(),
            interrupter,
            report: Arc::new(report),
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
            (self.report)(format!("the loss is {loss} by iteration {iteration}"));
            self.interrupter.stop(Some("the loss is not finite"));
        }
        let finite = loss.is_finite().to_string();
        Ok(SerializedEntry::new(finite, loss.to_string()))
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
    use std::sync::Mutex;

    use burn::data::dataloader::Progress;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn only_a_loss_that_is_not_finite_stops_the_run() {
        let interrupter = Interrupter::new();
        let said = Arc::new(Mutex::new(Vec::new()));
        let hear = said.clone();
        let mut metric = FiniteLossMetric::new(interrupter.clone(), move |what| {
            hear.lock().unwrap().push(what);
        });
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
        assert!(interrupter.should_stop());
        assert_eq!(*said.lock().unwrap(), ["the loss is NaN by iteration 7"]);
    }
}
