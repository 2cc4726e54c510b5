//! The warm-up of a learning rate.

use std::f64::consts::PI;

use burn::optim::LearningRate;
use burn::optim::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use crate::config::Schedule;

/// A schedule times a factor that rises to 1 in the first steps.
///
/// It depends on the number of the step alone, so that a run goes on where it was, also with another number of steps in an epoch.
#[derive(Clone, Debug)]
pub struct WarmUp {
    /// The highest rate.
    pub rate: f64,
    /// The schedule.
    pub schedule: Schedule,
    /// All steps of the run.
    pub steps: usize,
    /// The steps in which the factor rises.
    pub warmup: usize,
    /// The steps so far.
    pub step: usize,
}

/// The key of the steps so far in a record.
const STEP: &str = "step";

impl LrScheduler for WarmUp {
    fn step(&mut self) -> LearningRate {
        let done = self.step as f64;
        self.step += 1;
        let factor = ((done + 1.0) / self.warmup.max(1) as f64).min(1.0);
        let part = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (PI * done / self.steps.max(1) as f64).cos()),
        };
        self.rate * factor * part
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar(STEP, self.step as u64)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(step) = record.scalar::<u64>(STEP) {
            self.step = step as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_goes_on_from_a_record() {
        let start = WarmUp {
            rate: 0.1,
            schedule: Schedule::Constant,
            steps: 10,
            warmup: 4,
            step: 0,
        };
        let mut constant = start.clone();
        let rates: Vec<f64> = (0..6).map(|_| constant.step()).collect();
        for (rate, expected) in rates.iter().zip([0.025, 0.05, 0.075, 0.1, 0.1, 0.1]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
        let mut cosine = WarmUp {
            schedule: Schedule::Cosine,
            ..start.clone()
        };
        let rates: Vec<f64> = (0..10).map(|_| cosine.step()).collect();
        assert!(
            (rates[5] - 0.05).abs() < 1e-12 && rates[9] > 0.0,
            "{rates:?}"
        );
        let mut resumed = start;
        for _ in 0..3 {
            resumed.step();
        }
        let record = resumed.to_record();
        let mut other = WarmUp {
            step: 0,
            ..resumed.clone()
        };
        other.load_record(record);
        assert_eq!(other.step(), resumed.step());
    }
}
