//! The equations of a LIF neuron for a run of neighbouring neurons, as plain loops that compilers turn into vectors:
//! a step forward, and a step backward from the membrane potentials.

use super::derivative::with_derivative;
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

/// The numbers of each neuron of a run.
#[derive(Clone, Copy)]
pub struct Numbers<'a> {
    decay: &'a [f32],
    threshold: &'a [f32],
    /// What the input is multiplied by.
    k: &'a [f32],
    /// What an exponential reset leaves of 1 after a spike.
    gate: &'a [f32],
}

impl Numbers<'_> {
    /// Those of the first `len` neurons: loops over them know their length.
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

/// What a neuron did in a step, and its numbers.
#[derive(Clone, Copy)]
struct Cell {
    u: f32,
    o: f32,
    decay: f32,
    threshold: f32,
    gate: f32,
}

impl Cell {
    /// What an exponential reset leaves of 1: all, exactly, without a spike.
    #[inline(always)]
    fn kept(self) -> f32 {
        if self.o == 0.0 { 1.0 } else { self.gate }
    }
}

/// Calls `body` with `after`, which gives `v` after the reset, one for each reset, so that loops over it have no choice
/// to make.
macro_rules! with_reset {
    ($kernel:expr, $after:ident => $body:expr) => {
        match $kernel.reset {
            Reset::Hard { to: 0.0 } => {
                let $after = |cell: Cell| cell.u * (1.0 - cell.o);
                $body
            }
            Reset::Hard { to } => {
                let to = to as f32;
                let $after = move |cell: Cell| cell.u * (1.0 - cell.o) + cell.o * to;
                $body
            }
            Reset::Exponential => {
                let $after = |cell: Cell| cell.u * cell.kept();
                $body
            }
            Reset::Soft => {
                let $after = |cell: Cell| cell.u - cell.o * cell.threshold;
                $body
            }
            Reset::DelayedHard { .. } | Reset::DelayedSoft => {
                let $after = |cell: Cell| cell.u;
                $body
            }
        }
    };
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

    /// The numbers of neurons with this decay and threshold; `k` and `gate` are room for what follows from them.
    pub fn numbers<'a>(
        &self,
        decay: &'a [f32],
        threshold: &'a [f32],
        k: &'a mut [f32],
        gate: &'a mut [f32],
    ) -> Numbers<'a> {
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
        Numbers {
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
        f32::from(fires)
    }

    #[inline(always)]
    fn cell(&self, numbers: Numbers, i: usize, u: f32) -> Cell {
        let threshold = numbers.threshold[i];
        Cell {
            u,
            o: self.fire(u, threshold),
            decay: numbers.decay[i],
            threshold,
            gate: numbers.gate[i],
        }
    }

    #[inline(always)]
    fn decayed(&self, v: f32, decay: f32) -> f32 {
        match self.rest {
            0.0 => v * decay,
            rest => (v - rest) * decay + rest,
        }
    }

    /// One step. `xu` is the input and becomes the potential before reset, `v` becomes what the step leaves, and `each`
    /// takes the spikes.
    #[inline(always)]
    pub fn step(
        &self,
        numbers: Numbers,
        xu: &mut [f32],
        v: &mut [f32],
        mut each: impl FnMut(usize, f32),
    ) {
        with_reset!(self, after => match self.reset {
            Reset::DelayedHard { to } => {
                let to = to as f32;
                self.integrate(numbers, xu, v, &mut each, after, |v, decay, threshold| {
                    let r = self.fire(v, threshold);
                    let kept = match to {
                        0.0 => v * (1.0 - r),
                        to => v * (1.0 - r) + r * to,
                    };
                    self.decayed(kept, decay)
                });
            }
            Reset::DelayedSoft => {
                self.integrate(numbers, xu, v, &mut each, after, |v, decay, threshold| {
                    self.decayed(v, decay) - self.fire(v, threshold) * threshold
                });
            }
            _ => self.integrate(numbers, xu, v, &mut each, after, |v, decay, _| {
                self.decayed(v, decay)
            }),
        });
    }

    #[inline(always)]
    fn integrate(
        &self,
        numbers: Numbers,
        xu: &mut [f32],
        v: &mut [f32],
        each: &mut impl FnMut(usize, f32),
        after: impl Fn(Cell) -> f32,
        carried: impl Fn(f32, f32, f32) -> f32,
    ) {
        let len = xu.len();
        let v = &mut v[..len];
        let numbers = numbers.of(len);
        for i in 0..len {
            let carried = carried(v[i], numbers.decay[i], numbers.threshold[i]);
            let u = carried + xu[i] * numbers.k[i];
            let cell = self.cell(numbers, i, u);
            xu[i] = u;
            v[i] = after(cell);
            each(i, cell.o);
        }
    }

    /// What a step left, from its potentials before reset.
    #[inline(always)]
    fn left(&self, numbers: Numbers, u: &[f32], v: &mut [f32]) {
        let (len, numbers) = (u.len(), numbers.of(u.len()));
        let v = &mut v[..len];
        with_reset!(self, after => {
            for i in 0..len {
                v[i] = after(self.cell(numbers, i, u[i]));
            }
        });
    }
}

/// What the forward pass found, for each neuron.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The potential before reset.
    pub u: &'a [f32],
    /// What the step before found, unless this is the first.
    pub before: Before<'a>,
    /// The input, where the gradient of the decay needs it.
    pub x: Option<&'a [f32]>,
}

/// What a step came from.
#[derive(Clone, Copy)]
pub enum Before<'a> {
    /// The potential before reset of another step.
    Step(&'a [f32]),
    /// A state from outside.
    State(&'a [f32]),
    /// Nothing.
    Rest,
}

/// What comes into a step of the backward pass and goes out of it, for each neuron.
pub struct Adjoint<'a> {
    /// By what the step left; becomes that by what the step before left.
    pub v: &'a mut [f32],
    /// By the spikes of the step, from outside; becomes that by the input.
    pub x: &'a mut [f32],
    /// By decay and threshold, summed up, if they are learned.
    pub learned: Option<[&'a mut [f32]; 2]>,
    /// Room: the derivatives of the spikes of this step and of the step before, and what that left.
    pub room: [&'a mut [f32]; 3],
}

impl LifKernel {
    /// The backward pass of a step.
    #[inline(always)]
    pub fn step_backward(&self, numbers: Numbers, found: Found, adjoint: &mut Adjoint) {
        let len = found.u.len();
        let numbers = numbers.of(len);
        let learned = adjoint.learned.as_mut();
        let gradients: Gradients = (
            &mut adjoint.v[..len],
            &mut adjoint.x[..len],
            learned.map(|[decay, threshold]| [&mut decay[..len], &mut threshold[..len]]),
        );
        let [slope, slope_before, before] = &mut adjoint.room;
        let (slope, slope_before) = (&mut slope[..len], &mut slope_before[..len]);
        let before = &mut before[..len];
        self.slopes(numbers, found.u, slope);
        if self.delayed() || gradients.2.is_some() {
            match found.before {
                Before::Step(u) => self.left(numbers, u, before),
                Before::State(v) => before.copy_from_slice(v),
                Before::Rest => before.fill(self.rest),
            }
        }
        let full = match self.gradient {
            TemporalGradient::Full(gradient) => Some(gradient),
            TemporalGradient::Off => None,
        };
        if self.delayed() {
            match full {
                Some(ResetGradient::Detached) | None => slope_before.fill(0.0),
                Some(_) => self.slopes(numbers, before, slope_before),
            }
        }
        let step = Step {
            kernel: self,
            numbers,
            u: found.u,
            x: found.x,
            slope,
            slope_before,
            before,
        };
        let none = |_: f32, _: Cell| 0.0;
        let Some(gradient) = full else {
            // Nothing comes back from the next step, and nothing goes to the one before.
            match self.reset {
                Reset::DelayedHard { to } => step.delayed_hard(gradients, to, false),
                Reset::DelayedSoft => step.delayed_soft(gradients, false),
                _ => step.backward(gradients, false, |_| 0.0, |_| 0.0, none, none),
            }
            return;
        };
        let exponential = |cell: Cell| -cell.u / cell.decay * cell.kept();
        match self.reset {
            Reset::DelayedHard { to } => step.delayed_hard(gradients, to, true),
            Reset::DelayedSoft => step.delayed_soft(gradients, true),
            Reset::Hard { to } => {
                let by_u = |cell: Cell| 1.0 - cell.o;
                let to = to as f32;
                match gradient {
                    ResetGradient::Detached => step.backward(gradients, true, by_u, |_| 0.0, none, none),
                    ResetGradient::Exact | ResetGradient::Linear => {
                        step.backward(gradients, true, by_u, |cell| to - cell.u, none, none);
                    }
                    ResetGradient::Exponential => {
                        step.backward(gradients, true, by_u, exponential, none, none);
                    }
                }
            }
            Reset::Exponential => {
                let by_decay = |by_v: f32, cell: Cell| match cell.o {
                    0.0 => 0.0,
                    _ => by_v * cell.u * cell.gate / (cell.decay * cell.decay),
                };
                match gradient {
                    ResetGradient::Detached => {
                        step.backward(gradients, true, Cell::kept, |_| 0.0, by_decay, none);
                    }
                    ResetGradient::Linear => {
                        step.backward(gradients, true, Cell::kept, |cell| -cell.u, by_decay, none);
                    }
                    ResetGradient::Exact | ResetGradient::Exponential => {
                        step.backward(gradients, true, Cell::kept, exponential, by_decay, none);
                    }
                }
            }
            Reset::Soft => {
                let by_threshold = |by_v: f32, cell: Cell| -by_v * cell.o;
                match gradient {
                    ResetGradient::Detached => {
                        step.backward(gradients, true, |_| 1.0, |_| 0.0, none, by_threshold);
                    }
                    _ => step.backward(gradients, true, |_| 1.0, |cell| -cell.threshold, none, by_threshold),
                }
            }
        }
    }

    /// The surrogate's derivative at the distance from the threshold.
    #[inline(always)]
    fn slopes(&self, numbers: Numbers, u: &[f32], slopes: &mut [f32]) {
        let len = u.len();
        let (threshold, slopes) = (&numbers.threshold[..len], &mut slopes[..len]);
        with_derivative!(self.surrogate, derivative => {
            for i in 0..len {
                slopes[i] = derivative(u[i] - threshold[i]);
            }
        });
    }
}

/// The gradients by `v` and by the input, and by what is learned.
type Gradients<'a> = (&'a mut [f32], &'a mut [f32], Option<[&'a mut [f32]; 2]>);

/// A step on its way back.
struct Step<'a> {
    kernel: &'a LifKernel,
    numbers: Numbers<'a>,
    u: &'a [f32],
    x: Option<&'a [f32]>,
    slope: &'a [f32],
    slope_before: &'a [f32],
    before: &'a [f32],
}

/// What a step back gives, for one neuron.
struct Back {
    by_u: f32,
    by_v: f32,
    by_decay: f32,
    by_threshold: f32,
}

impl Step<'_> {
    /// A reset in the step itself; `full` if gradients come from the next step. `by_u` and `by_o` are the derivatives of
    /// the reset; the others what its own decay and threshold add to their gradients.
    #[inline(always)]
    fn backward(
        &self,
        gradients: Gradients,
        full: bool,
        by_u: impl Fn(Cell) -> f32,
        by_o: impl Fn(Cell) -> f32,
        by_decay: impl Fn(f32, Cell) -> f32,
        by_threshold: impl Fn(f32, Cell) -> f32,
    ) {
        let kernel = self.kernel;
        self.each(gradients, |i, by_v, by_x| {
            let cell = kernel.cell(self.numbers, i, self.u[i]);
            let by_v = if full { by_v } else { 0.0 };
            let of_o = by_x + by_v * by_o(cell);
            let of_u = of_o * self.slope[i] + by_v * by_u(cell);
            Back {
                by_u: of_u,
                by_v: of_u * cell.decay,
                by_decay: by_decay(by_v, cell) + of_u * (self.before[i] - kernel.rest),
                by_threshold: by_threshold(by_v, cell) - of_o * self.slope[i],
            }
        });
    }

    #[inline(always)]
    fn delayed_hard(&self, gradients: Gradients, to: f64, full: bool) {
        let (kernel, to) = (self.kernel, to as f32);
        self.each(gradients, |i, by_v, by_x| {
            let (decay, threshold) = (self.numbers.decay[i], self.numbers.threshold[i]);
            let of_spike = by_x * self.slope[i];
            let of_u = of_spike + if full { by_v } else { 0.0 };
            let before = self.before[i];
            let r = kernel.fire(before, threshold);
            let by_r = (to - before) * self.slope_before[i];
            Back {
                by_u: of_u,
                by_v: of_u * decay * (1.0 - r + by_r),
                by_decay: of_u * (before * (1.0 - r) + to * r - kernel.rest),
                by_threshold: -of_spike - of_u * decay * by_r,
            }
        });
    }

    #[inline(always)]
    fn delayed_soft(&self, gradients: Gradients, full: bool) {
        let kernel = self.kernel;
        self.each(gradients, |i, by_v, by_x| {
            let (decay, threshold) = (self.numbers.decay[i], self.numbers.threshold[i]);
            let of_spike = by_x * self.slope[i];
            let of_u = of_spike + if full { by_v } else { 0.0 };
            let before = self.before[i];
            let by_r = threshold * self.slope_before[i];
            Back {
                by_u: of_u,
                // What is subtracted does not decay.
                by_v: of_u * (decay - by_r),
                by_decay: of_u * (before - kernel.rest),
                by_threshold: -of_spike + of_u * (by_r - kernel.fire(before, threshold)),
            }
        });
    }

    /// Takes each neuron back, from its gradients by `v` and by the spike.
    #[inline(always)]
    fn each(&self, gradients: Gradients, back: impl Fn(usize, f32, f32) -> Back) {
        let len = self.u.len();
        let (v, x, learned) = gradients;
        let (v, x, k) = (&mut v[..len], &mut x[..len], &self.numbers.k[..len]);
        match learned {
            None => {
                for i in 0..len {
                    let back = back(i, v[i], x[i]);
                    x[i] = back.by_u * k[i];
                    v[i] = back.by_v;
                }
            }
            Some([decay, threshold]) => {
                let (decay, threshold) = (&mut decay[..len], &mut threshold[..len]);
                for i in 0..len {
                    let back = back(i, v[i], x[i]);
                    x[i] = back.by_u * k[i];
                    v[i] = back.by_v;
                    decay[i] += back.by_decay;
                    threshold[i] += back.by_threshold;
                    if let Some(input) = self.x {
                        decay[i] -= back.by_u * input[i];
                    }
                }
            }
        }
    }
}
