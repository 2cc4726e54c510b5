//! Integrators that do not leak.

use super::membrane::{Parts, alike, elementwise};
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
        let spikes = Some((&self.v_threshold, self.v_reset.as_ref()));
        integrator(&self.r, spikes, build)
    }
}

fn integrator(
    r: &Array,
    spikes: Option<(&Array, Option<&Array>)>,
    build: &Build,
) -> Result<Layer, Problem> {
    let zero = Array::from(0.0);
    let (threshold, to) = spikes.map_or((&zero, None), |(threshold, to)| (threshold, to));
    let all = [r, threshold, to.unwrap_or(&zero)];
    let [r, threshold, to] = alike(all, &build.shapes.output);
    let step = match build.options.clock {
        Clock::Steps => 1.0,
        Clock::Seconds => build.options.dt,
    };
    Parts {
        decay: vec![1.0; r.len()],
        leak: vec![0.0; r.len()],
        gain: r.into_iter().map(|r| step * r).collect(),
        spikes: spikes.map(|_| [threshold, to]),
    }
    .layer(build)
}
