//! Leaky integrators.

use super::membrane::{Parts, alike, elementwise, positive};
use crate::Array;
use crate::error::Problem;
use crate::layer::{Build, Layer};
use crate::node::{Shapes, primitive};

primitive! {
    /// `tau v' = (v_leak - v) + r x`, which returns `v`.
    pub struct LI {
        /// The time constant, above 0.
        pub tau: Array,
        /// The resistance.
        pub r: Array,
        /// The potential at rest.
        pub v_leak: Array,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        positive("tau", &self.tau)?;
        elementwise(&[("tau", &self.tau), ("r", &self.r), ("v_leak", &self.v_leak)], input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        leaky(&self.tau, &self.r, &self.v_leak, None, build)
    }
}

primitive! {
    /// `tau v' = (v_leak - v) + r x`, which returns a spike where `v > v_threshold`; `v` then goes to `v_reset`.
    pub struct LIF {
        /// The time constant, above 0.
        pub tau: Array,
        /// The resistance.
        pub r: Array,
        /// The potential at rest.
        pub v_leak: Array,
        /// The potential above which it spikes.
        pub v_threshold: Array,
        /// The potential after a spike; without it, 0.
        pub v_reset: Option<Array>,
    }

    fn shapes(&self, input: Option<&[usize]>) -> Result<Option<Shapes>, Problem> {
        positive("tau", &self.tau)?;
        let mut parameters = vec![
            ("tau", &self.tau),
            ("r", &self.r),
            ("v_leak", &self.v_leak),
            ("v_threshold", &self.v_threshold),
        ];
        parameters.extend(self.v_reset.as_ref().map(|v_reset| ("v_reset", v_reset)));
        elementwise(&parameters, input)
    }

    fn layer(&self, build: &Build) -> Result<Layer, Problem> {
        let spikes = Some((&self.v_threshold, self.v_reset.as_ref()));
        leaky(&self.tau, &self.r, &self.v_leak, spikes, build)
    }
}

impl LIF {
    /// Neurons of a shape with this time constant, `r` 1, `v_leak` 0, `v_threshold` 1 and `v_reset` 0.
    pub fn new(shape: impl Into<Vec<usize>>, tau: f64) -> Self {
        let shape = shape.into();
        let full = |value| Array::full(shape.clone(), value);
        Self {
            tau: full(tau),
            r: full(1.0),
            v_leak: full(0.0),
            v_threshold: full(1.0),
            v_reset: Some(full(0.0)),
        }
    }
}

fn leaky(
    tau: &Array,
    r: &Array,
    v_leak: &Array,
    spikes: Option<(&Array, Option<&Array>)>,
    build: &Build,
) -> Result<Layer, Problem> {
    let zero = Array::from(0.0);
    let (threshold, to) = spikes.map_or((&zero, None), |(threshold, to)| (threshold, to));
    let all = [tau, r, v_leak, threshold, to.unwrap_or(&zero)];
    let [tau, r, leak, threshold, to] = alike(all, &build.shapes.output);
    let [decay, gain] = factors("tau", tau, r, build)?;
    Parts {
        decay,
        gain,
        leak,
        spikes: spikes.map(|_| [threshold, to]),
    }
    .layer(build)
}

/// The factors of a state variable, and of its input with these factors of its own.
pub(super) fn factors(
    name: &'static str,
    tau: Vec<f64>,
    by: Vec<f64>,
    build: &Build,
) -> Result<[Vec<f64>; 2], Problem> {
    let mut all = [Vec::with_capacity(tau.len()), Vec::with_capacity(tau.len())];
    for (tau, by) in tau.into_iter().zip(by) {
        let [decay, gain] = build.options.factors(name, tau)?;
        all[0].push(decay);
        all[1].push(gain * by);
    }
    Ok(all)
}
