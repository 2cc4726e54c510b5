//! Integrators that do not leak.

use super::leaky::thresholds;
use super::membrane::{Parts, each, elementwise};
use crate::error::Problem;
use crate::layer::{Build, Layer};
use crate::node::{Shapes, primitive};
use crate::{Array, Clock};

primitive! {
    /// `v' = r x`, which returns `v`.
    pub struct I {
        /// The resistance.
        pub r: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        elementwise(&[("r", &self.r)], input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        integrator(&self.r, None, build)
    }
}

primitive! {
    /// `v' = r x`, which returns a spike where `v > v_threshold`; `v` then goes to `v_reset`.
    pub struct IF {
        /// The resistance.
        pub r: Array,
        /// The potential above which it spikes.
        pub v_threshold: Array,
        /// The potential after a spike; without it, 0.
        pub v_reset: Option<Array>,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        let mut parameters = vec![("r", &self.r), ("v_threshold", &self.v_threshold)];
        parameters.extend(self.v_reset.as_ref().map(|v_reset| ("v_reset", v_reset)));
        elementwise(&parameters, input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let shape = &build.shapes.output;
        let spikes = thresholds(&self.v_threshold, self.v_reset.as_ref(), shape);
        integrator(&self.r, Some(spikes), build)
    }
}

fn integrator(r: &Array, spikes: Option<[Vec<f64>; 2]>, build: &Build) -> Result<Layer, Problem> {
    let step = match build.options.clock {
        Clock::Steps => 1.0,
        Clock::Seconds => build.options.dt,
    };
    let gain: Vec<f64> = each(r, &build.shapes.output)
        .into_iter()
        .map(|r| step * r)
        .collect();
    Parts {
        decay: vec![1.0; gain.len()],
        leak: vec![0.0; gain.len()],
        gain,
        spikes,
    }
    .layer(build)
}
