//! Delays.

use super::membrane::{alike, elementwise};
use crate::Array;
use crate::error::Problem;
use crate::layer::{Build, Layer};
use crate::node::{Shapes, primitive};

/// The most steps of a delay.
const LONGEST: f64 = 1e6;

/// The most numbers that a delay remembers of a sample.
const MOST: f64 = 268_435_456.0;

primitive! {
    /// `y(t) = x(t - delay)`, 0 before the first step.
    pub struct Delay {
        /// The delay, rounded to steps of `dt`.
        pub delay: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        elementwise(&[("delay", &self.delay)], input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let steps = self.steps(build.options.dt)?;
        let shape = &build.shapes.output;
        let steps = Array::new(self.delay.shape(), steps);
        let [steps] = alike([&steps], shape);
        let elements: usize = shape.iter().product();
        let longest = steps.iter().fold(0.0, |longest: f64, steps| longest.max(*steps));
        if longest * elements as f64 > MOST {
            let problem = format!(
                "needs {longest} steps of {elements} elements, expected at most {MOST} numbers"
            );
            return Err(Problem::new("delay", problem));
        }
        let steps = steps.into_iter().map(|steps| steps as usize);
        Ok(Layer::delay(steps.collect(), build))
    }
}

impl Delay {
    /// The delays in steps, whole numbers.
    pub(crate) fn steps(&self, dt: f64) -> Result<Vec<f64>, Problem> {
        let delays = self.delay.to_f64().into_iter();
        delays
            .map(|delay| {
                let steps = (delay / dt).round();
                (0.0..=LONGEST)
                    .contains(&steps)
                    .then_some(steps)
                    .ok_or_else(|| {
                        let problem =
                            format!("has {delay}, expected from 0 to {LONGEST} steps of {dt}");
                        Problem::new("delay", problem)
                    })
            })
            .collect()
    }
}
