//! The steps of LIF neurons for vectors of them: forward, and backward from the membrane potentials before reset.
//!
//! The equations are those of [`Lif`](crate::neuron::Lif). They have a kernel beside the one of all equations because it
//! stores the potentials in place of the input, and goes back from them without a second forward pass: a training step of the
//! `lif` workload takes half the time.

use std::mem::MaybeUninit;

use pulp::{Simd, WithSimd};

use super::LifKernel;
use crate::dynamics::{Dual, FireSlope, FireStep, Real, Wide};
use crate::neuron::{LifEquations, LifTerms, Reset, ResetGradient, Spikes, TemporalGradient};
use crate::surrogate::{Curve, CurveVisitor, Custom};

/// The equations of most networks.
const COMMON: LifEquations = LifEquations {
    rest: 0.0,
    decay_input: false,
    reset: Reset::HARD,
    gradient: TemporalGradient::Full(ResetGradient::Exact),
    spikes: Spikes::Binary,
};

/// Runs a loop, whose equations the compiler knows if they are [`COMMON`].
macro_rules! known {
    ($equations:ident => $run:expr) => {
        if $equations == COMMON {
            let $equations = COMMON;
            $run
        } else {
            $run
        }
    };
}

/// The parameters of neighbouring neurons.
#[derive(Clone, Copy)]
pub struct LifParameters<'a> {
    decay: &'a [f32],
    threshold: &'a [f32],
    /// The exponential gate after a spike; empty if there is none.
    gate: &'a [f32],
}

impl<'a> LifParameters<'a> {
    /// The parameters of neurons with this decay and threshold; `gate` is a buffer.
    pub fn new(
        kernel: &LifKernel,
        decay: &'a [f32],
        threshold: &'a [f32],
        gate: &'a mut [f32],
    ) -> Self {
        let gate = match kernel.equations.has_exponential() {
            true => gate,
            false => &mut [],
        };
        let mut last = (f32::NAN, 0.0);
        for (gate, decay) in gate.iter_mut().zip(decay) {
            // Neighbours mostly have the same.
            if *decay != last.0 {
                last = (*decay, (-1.0 / decay).exp());
            }
            *gate = last.1;
        }
        Self {
            decay,
            threshold,
            gate,
        }
    }

    #[inline(always)]
    fn load<S: Simd>(&self, simd: S, at: usize) -> LifTerms<Wide<S>> {
        LifTerms {
            decay: Wide::load(simd, self.decay, at),
            threshold: Wide::load(simd, self.threshold, at),
            gate: match self.gate.is_empty() {
                true => None,
                false => Some(Wide::load(simd, self.gate, at)),
            },
        }
    }
}

/// The forward step of a row of neurons, of whole vectors.
pub struct LifForwardStep<'a> {
    pub kernel: &'a LifKernel,
    pub parameters: LifParameters<'a>,
    /// The input; becomes the potential before reset.
    pub xu: &'a mut [f32],
    /// The potential after the last step; becomes that after this one.
    pub v: &'a mut [f32],
    pub spikes: &'a mut [MaybeUninit<f32>],
}

impl WithSimd for LifForwardStep<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let equations = LifEquations {
            // No effect in the forward pass.
            gradient: COMMON.gradient,
            ..self.kernel.equations
        };
        known!(equations => self.run(simd, equations));
    }
}

impl LifForwardStep<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S, equations: LifEquations) {
        let fire = FireStep {
            strict: self.kernel.strict,
        };
        for at in (0..self.xu.len()).step_by(Wide::<S>::WIDTH) {
            let terms = self.parameters.load(simd, at);
            let v = Wide::load(simd, self.v, at);
            let u = equations.integrate(&terms, v, Wide::load(simd, self.xu, at), &fire);
            let (spike, v) = equations.fire(&terms, &u, &fire);
            u.store(self.xu, at);
            v.store(self.v, at);
            spike.write(self.spikes, at);
        }
    }
}

/// The state before a step.
#[derive(Clone, Copy)]
pub enum Before<'a> {
    /// Given by the potential before reset of the previous step.
    Step(&'a [f32]),
    /// The initial state.
    State(&'a [f32]),
}

/// The backward pass of a step of a row of neurons, of whole vectors.
pub struct LifBackwardStep<'a> {
    pub kernel: &'a LifKernel,
    pub parameters: LifParameters<'a>,
    /// The potential before reset.
    pub u: &'a [f32],
    /// The state before the step.
    pub before: Before<'a>,
    /// The input, if the gradient of the decay needs it.
    pub x: Option<&'a [f32]>,
    /// The gradient of `v` after the step; becomes that of `v` before it.
    pub by_v: &'a mut [f32],
    /// The gradient of the spikes; becomes that of the input.
    pub by_x: &'a mut [f32],
    /// The gradients of decay and threshold, accumulated, if they are learned.
    pub learned: Option<[&'a mut [f32]; 2]>,
    /// Buffers for the surrogate's derivatives in this step and, with a delayed reset, in the previous one.
    pub slopes: [&'a mut [f32]; 2],
}

impl WithSimd for LifBackwardStep<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.slopes(simd);
        let equations = self.kernel.equations;
        match self.learned {
            None => known!(equations => self.run::<S, 0>(simd, equations)),
            Some(_) => self.run::<S, 2>(simd, equations),
        }
    }
}

impl LifBackwardStep<'_> {
    /// Writes the surrogate's derivatives.
    #[inline(always)]
    fn slopes<S: Simd>(&mut self, simd: S) {
        let [now, before] = &mut self.slopes;
        let curve = self.kernel.surrogate;
        let threshold = self.parameters.threshold;
        curve.with_curve(Slopes(simd, self.u, threshold, now));
        if self.kernel.equations.fires_again() {
            // A delayed reset leaves the potential as it is.
            let (Before::Step(v) | Before::State(v)) = self.before;
            curve.with_curve(Slopes(simd, v, threshold, before));
        }
    }

    /// The pass with derivatives by `Q` parameters: all or none.
    #[inline(always)]
    fn run<S: Simd, const Q: usize>(mut self, simd: S, equations: LifEquations) {
        let step = FireStep {
            strict: self.kernel.strict,
        };
        let (zero, one) = (Wide::splat(simd, 0.0), Wide::splat(simd, 1.0));
        let off = equations.gradient == TemporalGradient::Off;
        let needs_state = Q > 0 || equations.reset.is_delayed();
        for at in (0..self.u.len()).step_by(Wide::<S>::WIDTH) {
            let values = self.parameters.load(simd, at);
            let mut terms = LifTerms {
                decay: Dual::<S, 1, Q>::of(values.decay),
                threshold: Dual::of(values.threshold),
                gate: None,
            };
            if let Some(gate) = values.gate {
                let mut gate = Dual::of(gate);
                if Q > 0 {
                    gate.by_parameters[0] = gate.value / (values.decay * values.decay);
                }
                terms.gate = Some(gate);
            }
            if Q > 0 {
                terms.decay.by_parameters[0] = one;
                terms.threshold.by_parameters[1] = one;
            }

            // Spike and reset, from `u`.
            let mut u = Dual::of(Wide::load(simd, self.u, at));
            u.by_carried[0] = one;
            let [slope, slope_before] = &self.slopes;
            let slope = Wide::load(simd, slope, at);
            let (spike, v) = equations.fire(&terms, &u, &FireSlope { step, slope });
            let of_spike = Wide::load(simd, self.by_x, at);
            let of_v = match off {
                true => zero,
                false => Wide::load(simd, self.by_v, at),
            };
            let mut found = Dual::<S, 1, Q>::of(zero);
            found.add_scaled(of_spike, &spike);
            found.add_scaled(of_v, &v);
            let of_u = found.by_carried[0];

            // Integration, from `v` before the step.
            let state = match self.before {
                _ if !needs_state => zero,
                Before::Step(u) => equations.fire(&values, &Wide::load(simd, u, at), &step).1,
                Before::State(v) => Wide::load(simd, v, at),
            };
            let mut v = Dual::of(state);
            v.by_carried[0] = one;
            let mut x = Dual::of(match self.x {
                Some(x) => Wide::load(simd, x, at),
                None => zero,
            });
            x.by_x = one;
            let slope = match equations.fires_again() {
                true => Wide::load(simd, slope_before, at),
                false => zero,
            };
            let u = equations.integrate(&terms, v, x, &FireSlope { step, slope });
            (of_u * u.by_x).store(self.by_x, at);
            match off {
                true => zero.store(self.by_v, at),
                false => (of_u * u.by_carried[0]).store(self.by_v, at),
            }
            if let Some(learned) = &mut self.learned {
                for (q, sums) in learned.iter_mut().enumerate().take(Q) {
                    let sum = found.by_parameters[q] + of_u * u.by_parameters[q];
                    (Wide::load(simd, sums, at) + sum).store(sums, at);
                }
            }
        }
    }
}

/// The surrogate's derivatives at potentials and thresholds, into a row.
struct Slopes<'a, S>(S, &'a [f32], &'a [f32], &'a mut [f32]);

impl<S: Simd> CurveVisitor for Slopes<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run(self, curve: impl Curve + Copy, scale: f64) {
        let Self(simd, u, threshold, slopes) = self;
        for at in (0..u.len()).step_by(Wide::<S>::WIDTH) {
            let distance = Wide::load(simd, u, at) - Wide::load(simd, threshold, at);
            curve.derivative(distance).scale(scale).store(slopes, at);
        }
    }

    #[inline(always)]
    fn run_custom(self, curve: Custom, scale: f64) {
        let Self(_, u, threshold, slopes) = self;
        for (slope, (u, threshold)) in slopes.iter_mut().zip(u.iter().zip(threshold)) {
            *slope = u - threshold;
        }
        curve.derivative_at_each(scale, slopes);
    }
}
