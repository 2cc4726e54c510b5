//! The numbers that equations and curves are written in.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number in an equation of a neuron or in the curve of a surrogate.
///
/// An equation is written once, generic over `Real`. With [`Term`](super::Term)s it builds the unrolled graph, on every
/// backend; with vectors of `f32` it is the forward pass of a fused kernel, and with dual numbers, which carry derivatives
/// along, its backward pass. `f32` and `f64` are reals as well, so an equation can be tested without tensors:
///
/// ```
/// use synfire::dynamics::Real;
///
/// fn softplus<R: Real>(x: R) -> R {
///     x.exp().plus(1.0).ln()
/// }
///
/// assert!((softplus(0.0f64) - 2.0f64.ln()).abs() < 1e-12);
/// ```
///
/// All implementations in single precision give the same results to the last bit, [`exp`](Self::exp), [`ln`](Self::ln),
/// [`sin`](Self::sin), [`cos`](Self::cos), [`atan`](Self::atan) and [`erf`](Self::erf) excepted, which are the backend's own in
/// a graph.
pub trait Real:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// `by * self`.
    fn scale(self, by: f64) -> Self;

    /// `self + constant`.
    fn plus(self, constant: f64) -> Self;

    /// `e^self`.
    fn exp(self) -> Self;

    /// The natural logarithm.
    fn ln(self) -> Self;

    /// `1 / self`.
    fn recip(self) -> Self;

    /// The sine.
    fn sin(self) -> Self;

    /// The cosine.
    fn cos(self) -> Self;

    /// The arc tangent.
    fn atan(self) -> Self;

    /// The error function.
    fn erf(self) -> Self;

    /// The absolute value. Its derivative at 0 is 0.
    fn abs(self) -> Self;

    /// `max(self, 0)`. Its derivative at 0 is 0.
    fn positive(self) -> Self;

    /// 1 where `self < bound`, else 0, NaN included. It has no gradient.
    fn below(self, bound: f64) -> Self;

    /// `yes` where `self > 0`, else `no`, NaN included. It has no gradient by `self`.
    fn select(self, yes: Self, no: Self) -> Self;

    /// The same value, a constant for the backward pass.
    fn constant(self) -> Self;

    /// The value of `self` with the gradient of `other`, which must be finite.
    fn with_gradient_of(self, other: Self) -> Self;

    /// The smaller of two. Where they are equal the gradient is that of `other`.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        (other.clone() - self.clone()).select(self, other)
    }

    /// The larger of two. Where they are equal the gradient is that of `other`.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        (self.clone() - other.clone()).select(self, other)
    }

    /// `1 / (1 + e^-self)`.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        (-self).exp().plus(1.0).recip()
    }

    /// `1 - self`.
    #[inline(always)]
    fn complement(self) -> Self {
        (-self).plus(1.0)
    }
}

/// Makes a spike of the distance `u - threshold` of a membrane potential from the threshold.
pub trait Fire<R> {
    /// 1 or 0; the backward pass multiplies by the surrogate's derivative.
    fn fire(&self, distance: R) -> R;
}

/// Methods that call a function of the number, each with the function.
macro_rules! functions {
    ($($method:ident => $function:expr,)+) => {
        $(
            #[inline(always)]
            fn $method(self) -> Self {
                $function(self)
            }
        )+
    };
}
pub(super) use functions;

/// Implements [`Real`] for a type of floating-point numbers.
macro_rules! real {
    ($type:ident, $exp:expr, $erf:path) => {
        impl Real for $type {
            functions! {
                exp => $exp,
                ln => $type::ln,
                recip => $type::recip,
                sin => $type::sin,
                cos => $type::cos,
                atan => $type::atan,
                erf => $erf,
                abs => $type::abs,
                constant => std::convert::identity,
            }

            #[inline(always)]
            fn scale(self, by: f64) -> Self {
                self * by as Self
            }

            #[inline(always)]
            fn plus(self, constant: f64) -> Self {
                self + constant as Self
            }

            #[inline(always)]
            fn positive(self) -> Self {
                if self > 0.0 { self } else { 0.0 }
            }

            #[inline(always)]
            fn below(self, bound: f64) -> Self {
                if self < bound as Self { 1.0 } else { 0.0 }
            }

            #[inline(always)]
            fn select(self, yes: Self, no: Self) -> Self {
                if self > 0.0 { yes } else { no }
            }

            #[inline(always)]
            fn with_gradient_of(self, _other: Self) -> Self {
                self
            }
        }
    };
}

real!(f32, exp, libm::erff);
real!(f64, f64::exp, libm::erf);

/// Numbers in single precision, whose bits [`exp`] uses.
pub(super) trait Single: Real + Copy {
    /// A constant in all lanes.
    fn like(self, value: f32) -> Self;

    /// The number with the bits of `self`, plus `bias`, as its exponent.
    fn exponent(self, bias: u32) -> Self;
}

impl Single for f32 {
    #[inline(always)]
    fn like(self, value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn exponent(self, bias: u32) -> Self {
        Self::from_bits(self.to_bits().wrapping_add(bias) << 23)
    }
}

/// `e^x` to about 1e-7 of it, without a call or a branch: `e^x = 2^n e^r` with `n` whole and `|r| <= ln(2) / 2`, and the Taylor
/// polynomial of `e^r`. NaN gives NaN; below -86.98 it is 0.
#[inline(always)]
pub(super) fn exp<R: Single>(x: R) -> R {
    /// Added and subtracted, it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln(2) in two parts, the first with few digits: `n` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Below it the result is 0.
    const LEAST: f32 = -86.98;
    /// Above it the result is infinite.
    const MOST: f32 = 88.722_84;
    let (too_small, too_large) = (x.like(LEAST) - x, x - x.like(MOST));
    // Comparisons keep NaN.
    let clamped = too_large.select(x.like(MOST), too_small.select(x.like(LEAST), x));
    let shifted = clamped * x.like(std::f32::consts::LOG2_E) + x.like(ROUND);
    let n = shifted - x.like(ROUND);
    let r = clamped - n * x.like(LN_2_HIGH) - n * x.like(LN_2_LOW);
    let mut sum = x.like(1.0 / 5040.0);
    for factor in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * r + x.like(factor);
    }
    // 2^(n - 1), whose exponent has the bias 127, doubled: 2^128 has no exponent.
    let half = shifted.exponent(126u32.wrapping_sub(ROUND.to_bits()));
    let result = too_large.select(x.like(f32::INFINITY), sum * half * x.like(2.0));
    too_small.select(x.like(0.0), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_one() {
        for i in -86_979..88_720 {
            let x = i as f32 / 1000.0;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (got - expected).abs() <= 3e-7 * expected,
                "{x}: {got} {expected}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(89.0), f32::INFINITY);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn the_smaller_and_the_larger_of_two() {
        assert_eq!((Real::min(1.0f32, 2.0), Real::max(1.0f32, 2.0)), (1.0, 2.0));
        assert_eq!((Real::min(2.0f64, 1.0), Real::max(2.0f64, 1.0)), (1.0, 2.0));
    }
}
