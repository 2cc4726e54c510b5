//! The derivatives of surrogates for loops that compilers turn into vectors.

/// Calls `body` with the derivative of a surrogate as a function of `x`, one for each curve, so that loops over it have
/// no choice to make.
macro_rules! with_derivative {
    ($surrogate:expr, $derivative:ident => $body:expr) => {{
        use $crate::kernel::derivative::exp_of_negative;
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
                    let e = exp_of_negative(x.abs() * -inverse);
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
                let $derivative = move |x: f32| scale * (exp_of_negative(x * x * k) * peak);
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

/// `e^x` for `x <= 0`, to about 1e-7 of it, without a call or a branch: `e^x = 2^n e^r` with `n` whole and
/// `|r| <= ln(2) / 2`, and the Taylor polynomial of `e^r`. NaN gives NaN; below -87 it is 0, or nearly so.
#[inline(always)]
pub(super) fn exp_of_negative(x: f32) -> f32 {
    /// Added and subtracted, it rounds to a whole number, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    // ln(2) in two parts, the first with few digits: `n` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Keeps NaN, as `max` would not.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut sum = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
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
            assert!((got - expected).abs() <= 3e-7 * expected, "{x}: {got} {expected}");
        }
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_of_negative(-1e30), 0.0);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }
}
