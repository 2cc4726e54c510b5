//! The equations of a LIF neuron for a run of neighbouring neurons, as plain loops: forward, and backward by recomputing
//! the membrane potentials.

use crate::neuron::{LifConfig, Reset, ResetGradient, TemporalGradient};
use crate::spike::Forward;
use crate::surrogate::Surrogate;

/// What decides the equations, in single precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LifKernel {
    pub rest: f32,
    pub decay_input: bool,
    pub reset: Reset,
    pub gradient: TemporalGradient,
    pub surrogate: Surrogate,
    /// Fires above the threshold only.
    pub strict: bool,
}

impl LifKernel {
    /// The kernel of a configuration, if it has one.
    pub fn new(config: &LifConfig) -> Option<Self> {
        let strict = match config.forward {
            Forward::Step => false,
            Forward::StrictStep => true,
            Forward::Smooth => return None,
        };
        Some(Self {
            rest: config.rest as f32,
            decay_input: config.decay_input,
            reset: config.reset,
            gradient: config.temporal_gradient,
            surrogate: config.surrogate,
            strict,
        })
    }

    fn delayed(&self) -> bool {
        matches!(self.reset, Reset::DelayedHard { .. } | Reset::DelayedSoft)
    }

    /// 1 or 0.
    #[inline(always)]
    fn fire(&self, u: f32, threshold: f32) -> f32 {
        let x = u - threshold;
        let fires = if self.strict { x > 0.0 } else { x >= 0.0 };
        f32::from(fires)
    }
}

/// Decay and threshold of each neuron of a run.
pub struct Numbers<'a> {
    pub decay: &'a [f32],
    pub threshold: &'a [f32],
}

/// Calls `body` with the derivative of a surrogate as a function of `x`, one for each curve, so that loops over it have
/// no choice to make.
macro_rules! with_derivative {
    ($surrogate:expr, $derivative:ident => $body:expr) => {{
        use $crate::surrogate::{Curve, Surrogate};
        let surrogate: Surrogate = $surrogate;
        let scale = surrogate.scale() as f32;
        use std::f64::consts::{FRAC_PI_2, PI};
        match surrogate.curve() {
            Curve::Rectangular { a } => {
                let (half, height) = ((a / 2.0) as f32, scale * (1.0 / a) as f32);
                let $derivative = move |x: f32| if x.abs() < half { height } else { 0.0 };
                $body
            }
            Curve::Polynomial { a } => {
                let (slope, peak) = ((-a / 4.0) as f32, (a.sqrt() / 2.0) as f32);
                let $derivative = move |x: f32| scale * (x.abs() * slope + peak).max(0.0);
                $body
            }
            Curve::Sigmoid { a } => {
                let inverse = (1.0 / a) as f32;
                let $derivative = move |x: f32| {
                    let e = (x.abs() * -inverse).exp();
                    let one_plus = e + 1.0;
                    scale * (e / (one_plus * one_plus) * inverse)
                };
                $body
            }
            Curve::Gaussian { a } => {
                let (k, peak) = (
                    (-1.0 / (2.0 * a)) as f32,
                    (1.0 / (2.0 * PI * a).sqrt()) as f32,
                );
                let $derivative = move |x: f32| scale * ((x * x * k).exp() * peak);
                $body
            }
            Curve::Atan { alpha } => {
                let (k, peak) = ((FRAC_PI_2 * alpha) as f32, (alpha / 2.0) as f32);
                let $derivative = move |x: f32| {
                    let y = x * k;
                    scale * (peak / (y * y + 1.0))
                };
                $body
            }
            Curve::FastSigmoid { k } => {
                let (k, peak) = (k as f32, (k / 2.0) as f32);
                let $derivative = move |x: f32| {
                    let y = x.abs() * k + 1.0;
                    scale * (peak / (y * y))
                };
                $body
            }
            Curve::PiecewiseLeakyRelu { w, c } => {
                let (w, peak, tail) =
                    (w as f32, scale * (1.0 / (2.0 * w)) as f32, scale * c as f32);
                let $derivative = move |x: f32| if x.abs() < w { peak } else { tail };
                $body
            }
        }
    }};
}
pub(super) use with_derivative;

impl LifKernel {
    /// One step: `v` becomes what the step leaves, `u` the potential before reset, `o` the spikes. With `first` there is
    /// no state before it, and `v` holds anything.
    pub fn step(
        &self,
        first: bool,
        numbers: &Numbers,
        x: &[f32],
        v: &mut [f32],
        u: &mut [f32],
        o: &mut [f32],
    ) {
        self.integrate(first, numbers, x, v, u);
        let len = u.len();
        let (threshold, v, o) = (&numbers.threshold[..len], &mut v[..len], &mut o[..len]);
        let decay = &numbers.decay[..len];
        for i in 0..len {
            o[i] = self.fire(u[i], threshold[i]);
        }
        match self.reset {
            Reset::Hard { to: 0.0 } => (0..len).for_each(|i| v[i] = u[i] * (1.0 - o[i])),
            Reset::Hard { to } => {
                let to = to as f32;
                (0..len).for_each(|i| v[i] = u[i] * (1.0 - o[i]) + o[i] * to);
            }
            Reset::Exponential => {
                (0..len).for_each(|i| v[i] = u[i] * gate(o[i], decay[i]));
            }
            Reset::Soft => (0..len).for_each(|i| v[i] = u[i] - o[i] * threshold[i]),
            Reset::DelayedHard { .. } | Reset::DelayedSoft => v.copy_from_slice(u),
        }
    }

    /// `u` from `v` and the input.
    fn integrate(&self, first: bool, numbers: &Numbers, x: &[f32], v: &mut [f32], u: &mut [f32]) {
        let len = u.len();
        let (x, v) = (&x[..len], &mut v[..len]);
        let (decay, threshold) = (&numbers.decay[..len], &numbers.threshold[..len]);
        let rest = self.rest;
        if first && !self.delayed() {
            for i in 0..len {
                let k = if self.decay_input {
                    1.0 - decay[i]
                } else {
                    1.0
                };
                u[i] = match rest {
                    0.0 => x[i] * k,
                    rest => x[i] * k + rest,
                };
            }
            return;
        }
        if first {
            v.fill(rest);
        }
        let decayed = |v: f32, decay: f32| match rest {
            0.0 => v * decay,
            rest => (v - rest) * decay + rest,
        };
        for i in 0..len {
            let carried = match self.reset {
                Reset::DelayedHard { to } => {
                    let r = self.fire(v[i], threshold[i]);
                    let kept = match to {
                        0.0 => v[i] * (1.0 - r),
                        to => v[i] * (1.0 - r) + r * to as f32,
                    };
                    decayed(kept, decay[i])
                }
                Reset::DelayedSoft => {
                    let r = self.fire(v[i], threshold[i]);
                    decayed(v[i], decay[i]) - r * threshold[i]
                }
                _ => decayed(v[i], decay[i]),
            };
            let k = if self.decay_input {
                1.0 - decay[i]
            } else {
                1.0
            };
            u[i] = carried + x[i] * k;
        }
    }
}

/// What an exponential reset leaves of 1.
#[inline(always)]
fn gate(o: f32, decay: f32) -> f32 {
    // Without a spike it is exactly 1.
    if o == 0.0 { 1.0 } else { (-o / decay).exp() }
}

/// What a step of the forward pass found, for each neuron.
pub struct Found<'a> {
    /// The input.
    pub x: &'a [f32],
    /// What the step before left.
    pub before: &'a [f32],
    /// The potential before reset.
    pub u: &'a [f32],
}

/// What comes into a step of the backward pass and goes out of it, for each neuron.
pub struct Adjoint<'a> {
    /// By what the step left; becomes that by what the step before left.
    pub v: &'a mut [f32],
    /// By the spikes of the step, from outside; becomes that by the input.
    pub x: &'a mut [f32],
    /// By the decay, summed up.
    pub decay: &'a mut [f32],
    /// By the threshold, summed up.
    pub threshold: &'a mut [f32],
}

impl LifKernel {
    /// The backward pass of a step.
    pub fn step_backward(
        &self,
        first: bool,
        numbers: &Numbers,
        found: &Found,
        derivative: impl Fn(f32) -> f32 + Copy,
        adjoint: &mut Adjoint,
    ) {
        let Found { x, before, u } = *found;
        let full = match self.gradient {
            TemporalGradient::Full(gradient) => Some(gradient),
            TemporalGradient::Off => None,
        };
        let len = u.len();
        let rest = self.rest;
        for i in 0..len {
            let (decay, threshold) = (numbers.decay[i], numbers.threshold[i]);
            let (u, o) = (u[i], self.fire(u[i], threshold));
            // By what the step left: nothing comes back where it is a constant.
            let by_v = if full.is_some() { adjoint.v[i] } else { 0.0 };
            let slope = derivative(u - threshold);

            // The reset of this step.
            let (v_by_u, v_by_o) = match (self.reset, full) {
                (_, None) => (0.0, 0.0),
                (Reset::DelayedHard { .. } | Reset::DelayedSoft, _) => (1.0, 0.0),
                (reset, Some(gradient)) => {
                    let left = match reset {
                        Reset::Hard { .. } => 1.0 - o,
                        Reset::Exponential => gate(o, decay),
                        _ => 1.0,
                    };
                    let exponential = || -u / decay * gate(o, decay);
                    let by_o = match (gradient, reset) {
                        (ResetGradient::Detached, _) => 0.0,
                        (ResetGradient::Exact, Reset::Hard { to }) => to as f32 - u,
                        (ResetGradient::Exact, Reset::Soft) => -threshold,
                        (ResetGradient::Exact, _) | (ResetGradient::Exponential, _) => {
                            exponential()
                        }
                        (ResetGradient::Linear, _) => -u,
                    };
                    (left, by_o)
                }
            };
            match self.reset {
                Reset::Soft => adjoint.threshold[i] -= by_v * o,
                Reset::Exponential if o != 0.0 => {
                    adjoint.decay[i] += by_v * u * gate(o, decay) / (decay * decay);
                }
                _ => {}
            }
            let by_o = adjoint.x[i] + by_v * v_by_o;
            let by_u = by_o * slope + by_v * v_by_u;
            adjoint.threshold[i] -= by_o * slope;

            // The integration of this step.
            if self.decay_input {
                adjoint.x[i] = by_u * (1.0 - decay);
                adjoint.decay[i] -= by_u * x[i];
            } else {
                adjoint.x[i] = by_u;
            }
            if first && !self.delayed() {
                adjoint.v[i] = 0.0;
                continue;
            }
            let before = before[i];
            let (kept, kept_by_v) = match self.reset {
                Reset::DelayedHard { .. } | Reset::DelayedSoft => {
                    let r = self.fire(before, threshold);
                    let r_by_v = match full {
                        None | Some(ResetGradient::Detached) => 0.0,
                        Some(_) => derivative(before - threshold),
                    };
                    match self.reset {
                        Reset::DelayedHard { to } => {
                            let to = to as f32;
                            adjoint.threshold[i] -= by_u * decay * (to - before) * r_by_v;
                            (
                                before * (1.0 - r) + to * r,
                                1.0 - r + (to - before) * r_by_v,
                            )
                        }
                        _ => {
                            adjoint.threshold[i] += by_u * (threshold * r_by_v - r);
                            // What is subtracted does not decay.
                            adjoint.v[i] = by_u * (decay - threshold * r_by_v);
                            adjoint.decay[i] += by_u * (before - rest);
                            if full.is_none() {
                                adjoint.v[i] = 0.0;
                            }
                            continue;
                        }
                    }
                }
                _ => (before, 1.0),
            };
            adjoint.decay[i] += by_u * (kept - rest);
            adjoint.v[i] = match full {
                None => 0.0,
                Some(_) => by_u * decay * kept_by_v,
            };
        }
    }
}
