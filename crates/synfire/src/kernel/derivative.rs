//! The derivatives of surrogates for loops that compilers turn into vectors.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::surrogate::{Curve, Surrogate};

/// The derivative of a curve, with its numbers at hand.
///
/// A trait and not a closure, because `inline(always)` cannot be said of closures: a call for each number would undo the
/// vectors.
pub trait Derivative: Copy {
    /// At this distance from the threshold.
    fn at(self, x: f32) -> f32;

    /// Itself as one of all.
    fn any(self) -> AnyDerivative;
}

/// Defines a derivative: its numbers, and the expression.
macro_rules! derivative {
    ($name:ident { $($number:ident),* }, $x:ident => $value:expr) => {
        #[derive(Clone, Copy)]
        pub struct $name {
            $(pub $number: f32,)*
        }

        impl Derivative for $name {
            #[inline(always)]
            fn at(self, $x: f32) -> f32 {
                let Self { $($number),* } = self;
                $value
            }

            fn any(self) -> AnyDerivative {
                AnyDerivative::$name(self)
            }
        }
    };
}

derivative!(Inside { half, height, outside }, x => if x.abs() < half { height } else { outside });
derivative!(Polynomial { slope, peak, scale }, x => scale * (x.abs() * slope + peak).max(0.0));
derivative!(Sigmoid { inverse, scale }, x => {
    let e = exp_of_negative(x.abs() * -inverse);
    let one_plus = e + 1.0;
    scale * (e / (one_plus * one_plus) * inverse)
});
derivative!(Gaussian { k, peak, scale }, x => scale * (exp_of_negative(x * x * k) * peak));
derivative!(Atan { k, peak, scale }, x => {
    let y = x * k;
    scale * (peak / (y * y + 1.0))
});
derivative!(FastSigmoid { k, peak, scale }, x => {
    let y = x.abs() * k + 1.0;
    scale * (peak / (y * y))
});

/// What takes the derivative of any curve.
pub trait WithDerivative {
    fn run(self, derivative: impl Derivative);
}

/// One of the derivatives, chosen when it is used: for code that is too large to be there once for each.
#[derive(Clone, Copy)]
pub enum AnyDerivative {
    Inside(Inside),
    Polynomial(Polynomial),
    Sigmoid(Sigmoid),
    Gaussian(Gaussian),
    Atan(Atan),
    FastSigmoid(FastSigmoid),
}

impl AnyDerivative {
    /// That of a surrogate.
    pub fn new(surrogate: Surrogate) -> Self {
        struct Take<'a>(&'a mut Option<AnyDerivative>);

        impl WithDerivative for Take<'_> {
            fn run(self, derivative: impl Derivative) {
                *self.0 = Some(derivative.any());
            }
        }

        let mut found = None;
        with_derivative(surrogate, Take(&mut found));
        found.expect("every surrogate has a derivative")
    }

    /// At each of these distances, in their place.
    #[inline(always)]
    pub fn at_each(self, xs: &mut [f32]) {
        match self {
            Self::Inside(derivative) => at_each(derivative, xs),
            Self::Polynomial(derivative) => at_each(derivative, xs),
            Self::Sigmoid(derivative) => at_each(derivative, xs),
            Self::Gaussian(derivative) => at_each(derivative, xs),
            Self::Atan(derivative) => at_each(derivative, xs),
            Self::FastSigmoid(derivative) => at_each(derivative, xs),
        }
    }
}

#[inline(always)]
fn at_each(derivative: impl Derivative, xs: &mut [f32]) {
    for x in xs {
        *x = derivative.at(*x);
    }
}

/// Runs `body` with the derivative of a surrogate: one copy of it for each form, so that loops have no choice to make.
#[inline(always)]
pub fn with_derivative(surrogate: Surrogate, body: impl WithDerivative) {
    let scale = surrogate.scale() as f32;
    match surrogate.curve() {
        Curve::Rectangular { a } => body.run(Inside {
            half: (a / 2.0) as f32,
            height: scale * (1.0 / a) as f32,
            outside: 0.0,
        }),
        Curve::PiecewiseLeakyRelu { w, c } => body.run(Inside {
            half: w as f32,
            height: scale * (1.0 / (2.0 * w)) as f32,
            outside: scale * c as f32,
        }),
        Curve::Polynomial { a } => body.run(Polynomial {
            slope: (-a / 4.0) as f32,
            peak: (a.sqrt() / 2.0) as f32,
            scale,
        }),
        Curve::Sigmoid { a } => body.run(Sigmoid {
            inverse: (1.0 / a) as f32,
            scale,
        }),
        Curve::Gaussian { a } => body.run(Gaussian {
            k: (-1.0 / (2.0 * a)) as f32,
            peak: (1.0 / (2.0 * PI * a).sqrt()) as f32,
            scale,
        }),
        Curve::Atan { alpha } => body.run(Atan {
            k: (FRAC_PI_2 * alpha) as f32,
            peak: (alpha / 2.0) as f32,
            scale,
        }),
        Curve::FastSigmoid { k } => body.run(FastSigmoid {
            k: k as f32,
            peak: (k / 2.0) as f32,
            scale,
        }),
    }
}

/// `e^x` for `x <= 0`, to about 1e-7 of it, without a call or a branch: `e^x = 2^n e^r` with `n` whole and
/// `|r| <= ln(2) / 2`, and the Taylor polynomial of `e^r`. NaN gives NaN; below -87 it is 0, or nearly so.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    /// Added and subtracted, it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln(2) in two parts, the first with few digits: `n` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Keeps NaN, as `max` would not.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut sum = 1.0 / 5040.0;
    for factor in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * r + factor;
    }
    // 2^n, from -126 to 0: the exponent's bits.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let result = sum * power;
    if x == -87.0 { 0.0 } else { result }
}

#[cfg(test)]
mod tests {
    use super::exp_of_negative;

    #[test]
    fn the_exponential_is_one() {
        for i in 0..87_000 {
            let x = i as f32 / -1000.0;
            let (got, expected) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            assert!(
                (got - expected).abs() <= 3e-7 * expected,
                "{x}: {got} {expected}"
            );
        }
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_of_negative(-1e30), 0.0);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }
}
