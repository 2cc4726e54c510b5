//! The equations of LIF neurons as plain loops over neighbouring neurons, which the compiler vectorises: a step forward, and
//! a step backward from the membrane potentials.
//!
//! Each variant of the equations is a type whose functions are always inlined, so that every loop is compiled for its own
//! equations and for the processor's vectors.

use std::mem::MaybeUninit;

use crate::neuron::{LifConfig, Reset, ResetGradient, Spikes, TemporalGradient};
use crate::ops::Keep;
use crate::spike::Forward;
use crate::surrogate::{Curve, CurveVisitor, Custom, Surrogate};

/// The equations of a LIF neuron, in single precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LifKernel {
    pub rest: f32,
    pub decay_input: bool,
    pub reset: Reset,
    pub gradient: TemporalGradient,
    pub surrogate: Surrogate,
    /// Whether neurons fire only above the threshold, not at it.
    pub strict: bool,
    /// What is saved for backward.
    pub keep: Keep,
}

/// The parameters of neighbouring neurons.
#[derive(Clone, Copy)]
pub struct LifParameters<'a> {
    decay: &'a [f32],
    threshold: &'a [f32],
    /// The factor of the input.
    k: &'a [f32],
    /// The factor of an exponential reset after a spike.
    gate: &'a [f32],
}

impl LifParameters<'_> {
    /// The first `len` neurons, so that loops know the length.
    #[inline(always)]
    fn of(self, len: usize) -> Self {
        Self {
            decay: &self.decay[..len],
            threshold: &self.threshold[..len],
            k: &self.k[..len],
            gate: &self.gate[..len],
        }
    }
}

/// A neuron in one step, with its parameters.
#[derive(Clone, Copy)]
struct Cell {
    u: f32,
    o: f32,
    decay: f32,
    threshold: f32,
    gate: f32,
}

impl Cell {
    /// The factor of an exponential reset: exactly 1 without a spike.
    #[inline(always)]
    fn kept(self) -> f32 {
        if self.o == 0.0 { 1.0 } else { self.gate }
    }
}

/// A reset and its derivatives, as the body of a loop.
trait ResetLoop: Copy {
    /// The part of the next `u` that comes from `v`.
    #[inline(always)]
    fn carried(self, kernel: &LifKernel, v: f32, decay: f32, threshold: f32) -> f32 {
        let _ = threshold;
        kernel.decayed(v, decay)
    }

    /// `v` after the step.
    fn after(self, cell: Cell) -> f32;

    /// The derivative of `v` with respect to `u`.
    fn by_u(self, cell: Cell) -> f32;

    /// The contribution of `v`'s gradient to the decay's.
    #[inline(always)]
    fn by_decay(self, by_v: f32, cell: Cell) -> f32 {
        let _ = (by_v, cell);
        0.0
    }

    /// The contribution of `v`'s gradient to the threshold's.
    #[inline(always)]
    fn by_threshold(self, by_v: f32, cell: Cell) -> f32 {
        let _ = (by_v, cell);
        0.0
    }
}

#[derive(Clone, Copy)]
struct HardToZero;

impl ResetLoop for HardToZero {
    #[inline(always)]
    fn after(self, cell: Cell) -> f32 {
        cell.u * (1.0 - cell.o)
    }

    #[inline(always)]
    fn by_u(self, cell: Cell) -> f32 {
        1.0 - cell.o
    }
}

#[derive(Clone, Copy)]
struct Hard(f32);

impl ResetLoop for Hard {
    #[inline(always)]
    fn after(self, cell: Cell) -> f32 {
        cell.u * (1.0 - cell.o) + cell.o * self.0
    }

    #[inline(always)]
    fn by_u(self, cell: Cell) -> f32 {
        1.0 - cell.o
    }
}

#[derive(Clone, Copy)]
struct Exponential;

impl ResetLoop for Exponential {
    #[inline(always)]
    fn after(self, cell: Cell) -> f32 {
        cell.u * cell.kept()
    }

    #[inline(always)]
    fn by_u(self, cell: Cell) -> f32 {
        cell.kept()
    }

    #[inline(always)]
    fn by_decay(self, by_v: f32, cell: Cell) -> f32 {
        if cell.o == 0.0 {
            0.0
        } else {
            by_v * cell.u * cell.gate / (cell.decay * cell.decay)
        }
    }
}

#[derive(Clone, Copy)]
struct Soft;

impl ResetLoop for Soft {
    #[inline(always)]
    fn after(self, cell: Cell) -> f32 {
        cell.u - cell.o * cell.threshold
    }

    #[inline(always)]
    fn by_u(self, _: Cell) -> f32 {
        1.0
    }

    #[inline(always)]
    fn by_threshold(self, by_v: f32, cell: Cell) -> f32 {
        -by_v * cell.o
    }
}

#[derive(Clone, Copy)]
struct DelayedHard(f32);

impl DelayedHard {
    #[inline(always)]
    fn kept(self, v: f32, r: f32) -> f32 {
        match self.0 {
            0.0 => v * (1.0 - r),
            to => v * (1.0 - r) + r * to,
        }
    }
}

impl ResetLoop for DelayedHard {
    #[inline(always)]
    fn carried(self, kernel: &LifKernel, v: f32, decay: f32, threshold: f32) -> f32 {
        kernel.decayed(self.kept(v, kernel.fire(v, threshold)), decay)
    }

    #[inline(always)]
    fn after(self, cell: Cell) -> f32 {
        cell.u
    }

    #[inline(always)]
    fn by_u(self, _: Cell) -> f32 {
        1.0
    }
}

#[derive(Clone, Copy)]
struct DelayedSoft;

impl ResetLoop for DelayedSoft {
    #[inline(always)]
    fn carried(self, kernel: &LifKernel, v: f32, decay: f32, threshold: f32) -> f32 {
        kernel.decayed(v, decay) - kernel.fire(v, threshold) * threshold
    }

    #[inline(always)]
    fn after(self, cell: Cell) -> f32 {
        cell.u
    }

    #[inline(always)]
    fn by_u(self, _: Cell) -> f32 {
        1.0
    }
}

/// The derivative of a reset with respect to the spike.
trait Slope: Copy {
    fn by_o(self, cell: Cell) -> f32;
}

/// Zero: the spike is a constant.
#[derive(Clone, Copy)]
struct Detached;

impl Slope for Detached {
    #[inline(always)]
    fn by_o(self, _: Cell) -> f32 {
        0.0
    }
}

/// The derivative of a reset to this potential.
#[derive(Clone, Copy)]
struct To(f32);

impl Slope for To {
    #[inline(always)]
    fn by_o(self, cell: Cell) -> f32 {
        self.0 - cell.u
    }
}

/// The derivative of the exponential gate.
#[derive(Clone, Copy)]
struct OfGate;

impl Slope for OfGate {
    #[inline(always)]
    fn by_o(self, cell: Cell) -> f32 {
        -cell.u / cell.decay * cell.kept()
    }
}

/// The derivative of the soft reset.
#[derive(Clone, Copy)]
struct OfThreshold;

impl Slope for OfThreshold {
    #[inline(always)]
    fn by_o(self, cell: Cell) -> f32 {
        -cell.threshold
    }
}

impl LifKernel {
    /// The equations of a configuration, if these loops have them.
    pub fn new(config: &LifConfig) -> Option<Self> {
        if config.spikes != Spikes::Binary {
            return None;
        }
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
            keep: config.keep,
        })
    }

    fn delayed(&self) -> bool {
        matches!(self.reset, Reset::DelayedHard { .. } | Reset::DelayedSoft)
    }

    /// The parameters of neurons with this decay and threshold. `k` and `gate` are buffers for the derived ones.
    pub fn parameters<'a>(
        &self,
        decay: &'a [f32],
        threshold: &'a [f32],
        k: &'a mut [f32],
        gate: &'a mut [f32],
    ) -> LifParameters<'a> {
        for (k, decay) in k.iter_mut().zip(decay) {
            *k = if self.decay_input { 1.0 - decay } else { 1.0 };
        }
        let exponential = TemporalGradient::Full(ResetGradient::Exponential);
        if self.reset == Reset::Exponential || self.gradient == exponential {
            let mut last = (f32::NAN, 0.0);
            for (gate, decay) in gate.iter_mut().zip(decay) {
                // Neighbours mostly have the same.
                if *decay != last.0 {
                    last = (*decay, (-1.0 / decay).exp());
                }
                *gate = last.1;
            }
        } else {
            gate.fill(0.0);
        }
        LifParameters {
            decay,
            threshold,
            k,
            gate,
        }
    }

    /// 1 or 0.
    #[inline(always)]
    fn fire(&self, u: f32, threshold: f32) -> f32 {
        let x = u - threshold;
        let fires = if self.strict { x > 0.0 } else { x >= 0.0 };
        f32::from(u8::from(fires))
    }

    #[inline(always)]
    fn cell(&self, parameters: LifParameters, i: usize, u: f32) -> Cell {
        let threshold = parameters.threshold[i];
        Cell {
            u,
            o: self.fire(u, threshold),
            decay: parameters.decay[i],
            threshold,
            gate: parameters.gate[i],
        }
    }

    #[inline(always)]
    fn decayed(&self, v: f32, decay: f32) -> f32 {
        match self.rest {
            0.0 => v * decay,
            rest => (v - rest) * decay + rest,
        }
    }

    /// One step. `xu` holds the input and receives the potential before reset; `v` is updated; `spikes` is written.
    #[inline(always)]
    pub fn step(
        &self,
        parameters: LifParameters,
        xu: &mut [f32],
        v: &mut [f32],
        spikes: &mut [MaybeUninit<f32>],
    ) {
        match self.reset {
            Reset::Hard { to: 0.0 } => self.step_by(HardToZero, parameters, xu, v, spikes),
            Reset::Hard { to } => self.step_by(Hard(to as f32), parameters, xu, v, spikes),
            Reset::Exponential => self.step_by(Exponential, parameters, xu, v, spikes),
            Reset::Soft => self.step_by(Soft, parameters, xu, v, spikes),
            Reset::DelayedHard { to } => {
                self.step_by(DelayedHard(to as f32), parameters, xu, v, spikes);
            }
            Reset::DelayedSoft => self.step_by(DelayedSoft, parameters, xu, v, spikes),
        }
    }

    #[inline(always)]
    fn step_by(
        &self,
        rule: impl ResetLoop,
        parameters: LifParameters,
        xu: &mut [f32],
        v: &mut [f32],
        spikes: &mut [MaybeUninit<f32>],
    ) {
        let len = xu.len();
        let parameters = parameters.of(len);
        let (v, spikes) = (&mut v[..len], &mut spikes[..len]);
        for i in 0..len {
            let carried = rule.carried(self, v[i], parameters.decay[i], parameters.threshold[i]);
            let u = carried + xu[i] * parameters.k[i];
            let cell = self.cell(parameters, i, u);
            xu[i] = u;
            v[i] = rule.after(cell);
            spikes[i].write(cell.o);
        }
    }

    /// `v` after a step, from its potentials before reset.
    #[inline(always)]
    fn left(&self, parameters: LifParameters, u: &[f32], v: &mut [f32]) {
        match self.reset {
            Reset::Hard { to } => self.left_by(Hard(to as f32), parameters, u, v),
            Reset::Exponential => self.left_by(Exponential, parameters, u, v),
            Reset::Soft => self.left_by(Soft, parameters, u, v),
            Reset::DelayedHard { .. } | Reset::DelayedSoft => v.copy_from_slice(u),
        }
    }

    #[inline(always)]
    fn left_by(&self, rule: impl ResetLoop, parameters: LifParameters, u: &[f32], v: &mut [f32]) {
        let len = u.len();
        let (parameters, v) = (parameters.of(len), &mut v[..len]);
        for i in 0..len {
            v[i] = rule.after(self.cell(parameters, i, u[i]));
        }
    }
}

/// Values of the forward pass, per neuron.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The potential before reset.
    pub u: &'a [f32],
    /// The state before the step.
    pub before: Before<'a>,
    /// The input, if the gradient of the decay needs it.
    pub x: Option<&'a [f32]>,
}

/// The state before a step.
#[derive(Clone, Copy)]
pub enum Before<'a> {
    /// Given by the potential before reset of the previous step.
    Step(&'a [f32]),
    /// The initial state.
    State(&'a [f32]),
    /// The resting potential.
    Rest,
}

/// The gradients that enter and leave a backward step, per neuron.
pub struct StepAdjoint<'a> {
    /// Of `v` after the step; becomes that of `v` before it.
    pub v: &'a mut [f32],
    /// Of the spikes of the step; becomes that of the input.
    pub x: &'a mut [f32],
    /// Of decay and threshold, accumulated, if they are learned.
    pub learned: Option<[&'a mut [f32]; 2]>,
    /// Buffers for the spike derivatives of this step and of the previous one, and for `v` before the step.
    pub room: [&'a mut [f32]; 3],
}

impl LifKernel {
    /// The backward pass of a step. Under [`TemporalGradient::Off`] its gradient of `v` is meaningless.
    #[inline(always)]
    pub fn step_backward(
        &self,
        parameters: LifParameters,
        found: Found,
        adjoint: &mut StepAdjoint,
    ) {
        let len = found.u.len();
        let parameters = parameters.of(len);
        let [slope, slope_before, before] = &mut adjoint.room;
        let (slope, slope_before) = (&mut slope[..len], &mut slope_before[..len]);
        let before = &mut before[..len];
        self.slopes(parameters, found.u, slope);
        if self.delayed() || adjoint.learned.is_some() {
            match found.before {
                Before::Step(u) => self.left(parameters, u, before),
                Before::State(v) => before.copy_from_slice(v),
                Before::Rest => before.fill(self.rest),
            }
        }
        let gradient = match self.gradient {
            TemporalGradient::Full(gradient) => Some(gradient),
            TemporalGradient::Off => None,
        };
        if self.delayed() {
            match gradient {
                Some(ResetGradient::Detached) | None => slope_before.fill(0.0),
                Some(_) => self.slopes(parameters, before, slope_before),
            }
        }
        let step = StepContext {
            kernel: self,
            parameters,
            u: found.u,
            x: found.x,
            slope,
            slope_before,
            before,
            full: gradient.is_some(),
        };
        let learned = adjoint.learned.as_mut();
        let gradients: StepGradients = (
            &mut adjoint.v[..len],
            &mut adjoint.x[..len],
            learned.map(|[decay, threshold]| [&mut decay[..len], &mut threshold[..len]]),
        );
        use ResetGradient as By;
        match (self.reset, gradient) {
            (Reset::DelayedHard { to }, _) => step.run(gradients, DelayedHard(to as f32)),
            (Reset::DelayedSoft, _) => step.run(gradients, DelayedSoft),
            (Reset::Hard { to }, gradient) => {
                let rule = Hard(to as f32);
                match gradient {
                    Some(By::Exponential) => step.run(gradients, Now(rule, OfGate)),
                    Some(By::Exact | By::Linear) => step.run(gradients, Now(rule, To(rule.0))),
                    Some(By::Detached) | None => step.run(gradients, Now(rule, Detached)),
                }
            }
            (Reset::Exponential, gradient) => match gradient {
                Some(By::Exact | By::Exponential) => step.run(gradients, Now(Exponential, OfGate)),
                Some(By::Linear) => step.run(gradients, Now(Exponential, To(0.0))),
                Some(By::Detached) | None => step.run(gradients, Now(Exponential, Detached)),
            },
            (Reset::Soft, gradient) => match gradient {
                Some(By::Detached) | None => step.run(gradients, Now(Soft, Detached)),
                Some(_) => step.run(gradients, Now(Soft, OfThreshold)),
            },
        }
    }

    /// The surrogate's derivative at `u - threshold`.
    #[inline(always)]
    fn slopes(&self, parameters: LifParameters, u: &[f32], slopes: &mut [f32]) {
        let threshold = parameters.threshold;
        self.surrogate.with_curve(Slopes {
            u,
            threshold,
            slopes,
        });
    }
}

struct Slopes<'a> {
    u: &'a [f32],
    threshold: &'a [f32],
    slopes: &'a mut [f32],
}

impl CurveVisitor for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, curve: impl Curve + Copy, scale: f64) {
        let len = self.u.len();
        let (threshold, slopes) = (&self.threshold[..len], &mut self.slopes[..len]);
        let scale = scale as f32;
        for i in 0..len {
            slopes[i] = scale * curve.derivative(self.u[i] - threshold[i]);
        }
    }

    #[inline(always)]
    fn run_custom(self, curve: Custom, scale: f64) {
        let parameters = self.u.iter().zip(self.threshold);
        for (slope, (u, threshold)) in self.slopes.iter_mut().zip(parameters) {
            *slope = u - threshold;
        }
        curve.derivative_at_each(scale, self.slopes);
    }
}

/// The gradients of `v`, of the input, and of learned parameters.
type StepGradients<'a> = (&'a mut [f32], &'a mut [f32], Option<[&'a mut [f32]; 2]>);

/// The values that a backward step reads.
struct StepContext<'a> {
    kernel: &'a LifKernel,
    parameters: LifParameters<'a>,
    u: &'a [f32],
    x: Option<&'a [f32]>,
    slope: &'a [f32],
    slope_before: &'a [f32],
    before: &'a [f32],
    /// Whether gradients come from the next step.
    full: bool,
}

/// The gradients of a backward step, for one neuron.
struct CellGradients {
    by_u: f32,
    by_v: f32,
    by_decay: f32,
    by_threshold: f32,
}

/// The backward step of one neuron, from its gradients of `v` and of the spike.
trait BackRule: Copy {
    fn back(self, step: &StepContext, i: usize, by_v: f32, by_x: f32) -> CellGradients;
}

/// A reset within the step, rather than a delayed one.
#[derive(Clone, Copy)]
struct Now<R, S>(R, S);

impl<R: ResetLoop, S: Slope> BackRule for Now<R, S> {
    #[inline(always)]
    fn back(self, step: &StepContext, i: usize, by_v: f32, by_x: f32) -> CellGradients {
        let Self(rule, slope) = self;
        let cell = step.kernel.cell(step.parameters, i, step.u[i]);
        let by_o = by_x + by_v * slope.by_o(cell);
        let by_u = by_o * step.slope[i] + by_v * rule.by_u(cell);
        CellGradients {
            by_u,
            by_v: by_u * cell.decay,
            by_decay: rule.by_decay(by_v, cell) + by_u * (step.before[i] - step.kernel.rest),
            by_threshold: rule.by_threshold(by_v, cell) - by_o * step.slope[i],
        }
    }
}

impl BackRule for DelayedHard {
    #[inline(always)]
    fn back(self, step: &StepContext, i: usize, by_v: f32, by_x: f32) -> CellGradients {
        let (decay, threshold) = (step.parameters.decay[i], step.parameters.threshold[i]);
        let of_spike = by_x * step.slope[i];
        let by_u = of_spike + by_v;
        let before = step.before[i];
        let r = step.kernel.fire(before, threshold);
        let by_r = (self.0 - before) * step.slope_before[i];
        CellGradients {
            by_u,
            by_v: by_u * decay * (1.0 - r + by_r),
            by_decay: by_u * (self.kept(before, r) - step.kernel.rest),
            by_threshold: -of_spike - by_u * decay * by_r,
        }
    }
}

impl BackRule for DelayedSoft {
    #[inline(always)]
    fn back(self, step: &StepContext, i: usize, by_v: f32, by_x: f32) -> CellGradients {
        let (decay, threshold) = (step.parameters.decay[i], step.parameters.threshold[i]);
        let of_spike = by_x * step.slope[i];
        let by_u = of_spike + by_v;
        let before = step.before[i];
        let by_r = threshold * step.slope_before[i];
        CellGradients {
            by_u,
            // What is subtracted does not decay.
            by_v: by_u * (decay - by_r),
            by_decay: by_u * (before - step.kernel.rest),
            by_threshold: -of_spike + by_u * (by_r - step.kernel.fire(before, threshold)),
        }
    }
}

impl StepContext<'_> {
    /// Runs the backward step of each neuron.
    #[inline(always)]
    fn run(&self, (v, x, learned): StepGradients, rule: impl BackRule) {
        let len = self.u.len();
        let (v, x, k) = (&mut v[..len], &mut x[..len], &self.parameters.k[..len]);
        if !self.full {
            // Nothing comes from the next step.
            v.fill(0.0);
        }
        let Some([decay, threshold]) = learned else {
            for i in 0..len {
                let back = rule.back(self, i, v[i], x[i]);
                x[i] = back.by_u * k[i];
                v[i] = back.by_v;
            }
            return;
        };
        let (decay, threshold) = (&mut decay[..len], &mut threshold[..len]);
        if let Some(input) = self.x {
            let input = &input[..len];
            for i in 0..len {
                let back = rule.back(self, i, v[i], x[i]);
                decay[i] += back.by_decay - back.by_u * input[i];
                threshold[i] += back.by_threshold;
                x[i] = back.by_u * k[i];
                v[i] = back.by_v;
            }
            return;
        }
        for i in 0..len {
            let back = rule.back(self, i, v[i], x[i]);
            decay[i] += back.by_decay;
            threshold[i] += back.by_threshold;
            x[i] = back.by_u * k[i];
            v[i] = back.by_v;
        }
    }
}
