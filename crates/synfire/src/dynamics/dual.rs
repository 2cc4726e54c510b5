//! Equations with their derivatives: the backward pass of a fused kernel.

use std::f64::consts::FRAC_2_SQRT_PI;
use std::ops::{Add, Div, Mul, Neg, Sub};

use pulp::Simd;

use super::real::{Fire, Real, Single};
use super::wide::{FireStep, Wide};
use crate::surrogate::{Curve, CurveVisitor, Custom, Surrogate};

/// A number with its derivatives with respect to the neuron's state, its input and its `Q` learned parameters (`Q` is 0 if
/// none are learned).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual<S: Simd, const N: usize, const Q: usize> {
    pub value: Wide<S>,
    pub by_carried: [Wide<S>; N],
    pub by_x: Wide<S>,
    pub by_parameters: [Wide<S>; Q],
}

/// Replaces every derivative of the first number by an expression of it, and of that of the second. A macro and not a
/// function of a closure, whose inlining cannot be asked for.
macro_rules! each {
    ($a:ident, $x:ident => $derivative:expr) => {
        for $x in &mut $a.by_carried {
            *$x = $derivative;
        }
        {
            let $x = &mut $a.by_x;
            *$x = $derivative;
        }
        for $x in &mut $a.by_parameters {
            *$x = $derivative;
        }
    };
    ($a:ident, $b:ident, ($x:ident, $y:ident) => $derivative:expr) => {
        for ($x, $y) in $a.by_carried.iter_mut().zip($b.by_carried) {
            *$x = $derivative;
        }
        {
            let ($x, $y) = (&mut $a.by_x, $b.by_x);
            *$x = $derivative;
        }
        for ($x, $y) in $a.by_parameters.iter_mut().zip($b.by_parameters) {
            *$x = $derivative;
        }
    };
}

impl<S: Simd, const N: usize, const Q: usize> Dual<S, N, Q> {
    /// A constant.
    #[inline(always)]
    pub fn of(value: Wide<S>) -> Self {
        let zero = value.like(0.0);
        Self {
            value,
            by_carried: [zero; N],
            by_x: zero,
            by_parameters: [zero; Q],
        }
    }

    /// Adds the derivatives of another number, times `by`, to its own.
    #[inline(always)]
    pub fn add_scaled(&mut self, by: Wide<S>, other: &Self) {
        each!(self, other, (a, b) => *a + by * b);
    }

    /// Applies a function, given its value and its derivative.
    #[inline(always)]
    fn chain(mut self, value: Wide<S>, derivative: Wide<S>) -> Self {
        each!(self, by => *by * derivative);
        self.value = value;
        self
    }
}

/// Implements an operator, from its value and its derivative: `a` and `b` are the numbers, `da` and `db` derivatives of them.
macro_rules! operator {
    ($trait:ident, $method:ident, |$a:ident, $b:ident| $value:expr, |$da:ident, $db:ident| $derivative:expr) => {
        impl<S: Simd, const N: usize, const Q: usize> $trait for Dual<S, N, Q> {
            type Output = Self;

            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                let ($a, $b) = (self.value, other.value);
                self.value = $value;
                each!(self, other, ($da, $db) => $derivative);
                self
            }
        }
    };
}

operator!(Add, add, |a, b| a + b, |da, db| *da + db);
operator!(Sub, sub, |a, b| a - b, |da, db| *da - db);
operator!(Mul, mul, |a, b| a * b, |da, db| *da * b + db * a);
operator!(Div, div, |a, b| a / b, |da, db| (*da - a / b * db) / b);

impl<S: Simd, const N: usize, const Q: usize> Neg for Dual<S, N, Q> {
    type Output = Self;

    #[inline(always)]
    fn neg(mut self) -> Self {
        each!(self, by => -*by);
        self.value = -self.value;
        self
    }
}

/// Functions of a number, from the value `y` at `x` and the derivative there.
macro_rules! chained {
    ($($method:ident: ($x:ident, $y:ident) => $value:expr, $derivative:expr;)+) => {
        $(
            #[inline(always)]
            #[allow(unused_variables)]
            fn $method(self) -> Self {
                let $x = self.value;
                let $y = $value;
                self.chain($y, $derivative)
            }
        )+
    };
}

impl<S: Simd, const N: usize, const Q: usize> Real for Dual<S, N, Q> {
    #[inline(always)]
    fn scale(mut self, by: f64) -> Self {
        each!(self, derivative => derivative.scale(by));
        self.value = self.value.scale(by);
        self
    }

    #[inline(always)]
    fn plus(mut self, constant: f64) -> Self {
        self.value = self.value.plus(constant);
        self
    }

    chained! {
        exp: (x, y) => x.exp(), y;
        ln: (x, y) => x.ln(), x.recip();
        recip: (x, y) => x.recip(), -(y * y);
        sin: (x, y) => x.sin(), x.cos();
        cos: (x, y) => x.cos(), -x.sin();
        atan: (x, y) => x.atan(), (x * x).plus(1.0).recip();
        erf: (x, y) => x.erf(), (-(x * x)).exp().scale(FRAC_2_SQRT_PI);
        abs: (x, y) => x.abs(), x.select(x.like(1.0), (-x).select(x.like(-1.0), x.like(0.0)));
        positive: (x, y) => x.positive(), x.select(x.like(1.0), x.like(0.0));
    }

    #[inline(always)]
    fn below(self, bound: f64) -> Self {
        Self::of(self.value.below(bound))
    }

    #[inline(always)]
    fn select(self, yes: Self, no: Self) -> Self {
        let condition = self.value;
        let mut chosen = yes;
        each!(chosen, no, (a, b) => condition.select(*a, b));
        chosen.value = condition.select(yes.value, no.value);
        chosen
    }

    #[inline(always)]
    fn constant(self) -> Self {
        Self::of(self.value)
    }

    #[inline(always)]
    fn with_gradient_of(self, mut other: Self) -> Self {
        other.value = self.value;
        other
    }
}

/// Spikes of numbers, with the derivative of a surrogate.
#[derive(Clone, Copy)]
pub(crate) struct FireDual {
    pub step: FireStep,
    pub surrogate: Surrogate,
}

impl<S: Simd, const N: usize, const Q: usize> Fire<Dual<S, N, Q>> for FireDual {
    #[inline(always)]
    fn fire(&self, distance: Dual<S, N, Q>) -> Dual<S, N, Q> {
        let slope = self.surrogate.with_curve(AtVector(distance.value));
        let step = self.step;
        FireSlope { step, slope }.fire(distance)
    }
}

/// Spikes of numbers, with a derivative that was computed before.
#[derive(Clone, Copy)]
pub(crate) struct FireSlope<S: Simd> {
    pub step: FireStep,
    pub slope: Wide<S>,
}

impl<S: Simd, const N: usize, const Q: usize> Fire<Dual<S, N, Q>> for FireSlope<S> {
    #[inline(always)]
    fn fire(&self, distance: Dual<S, N, Q>) -> Dual<S, N, Q> {
        let value = self.step.fire(distance.value);
        distance.chain(value, self.slope)
    }
}

/// Evaluates the surrogate's derivative on a vector.
struct AtVector<S: Simd>(Wide<S>);

impl<S: Simd> CurveVisitor for AtVector<S> {
    type Output = Wide<S>;

    #[inline(always)]
    fn run(self, curve: impl Curve + Copy, scale: f64) -> Wide<S> {
        curve.derivative(self.0).scale(scale)
    }

    #[inline(always)]
    fn run_custom(mut self, curve: Custom, scale: f64) -> Wide<S> {
        curve.derivative_at_each(scale, self.0.as_mut_slice());
        self.0
    }
}
