//! A sum of three normal densities, negative on both sides.

use std::f64::consts::{PI, SQRT_2};

use super::within;
use crate::InvalidConfig;
use crate::dynamics::Real;

/// The standard normal density.
#[inline(always)]
fn density<R: Real>(x: R) -> R {
    let e = (x.clone() * x).scale(-0.5).exp();
    e.scale(1.0 / (2.0 * PI).sqrt())
}

/// The standard normal distribution.
#[inline(always)]
fn distribution<R: Real>(x: R) -> R {
    x.scale(1.0 / SQRT_2).erf().plus(1.0).scale(0.5)
}

curve! {
    /// `(1 + h) N(x; 0, sigma^2) - h N(x; sigma, (s sigma)^2) - h N(x; -sigma, (s sigma)^2)`, of area `1 - h`, with the normal
    /// density `N(x; mean, variance)`: negative far from the threshold (Yin, Corradi and Bohte 2021, *Accurate and Efficient
    /// Time-Domain Classification with Adaptive Spiking Recurrent Neural Networks*). Their code scales it by 0.5. Sinabs'
    /// `MultiGaussian`.
    pub struct MultiGaussian("multi-Gaussian surrogate") {
        /// Standard deviation of the middle density.
        sigma = 0.5, InvalidConfig::require_positive;
        /// Height of the densities on both sides, `h`, from 0 to below 1.
        height = 0.15, within(0.0..1.0, "a number from 0 to below 1");
        /// Standard deviation of the densities on both sides, in `sigma`, at least 1 (`s`).
        spread = 6.0, within(1.0..=1e37, "a number from 1 to 1e37");
    }

    /// Three normal densities, of which those on both sides are negative, with the height 0.15 and the spread 6 of Yin et al.
    /// (2021); `sigma` is 0.5 there. Other numbers: [`MultiGaussian`].
    pub fn multi_gaussian(sigma);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let x = x.scale(1.0 / self.sigma);
            let above = density(x.clone().plus(-1.0).scale(1.0 / self.spread));
            let below = density(x.clone().plus(1.0).scale(1.0 / self.spread));
            let sides = (above + below).scale(self.height / self.spread);
            (density(x).scale(1.0 + self.height) - sides).scale(1.0 / self.sigma)
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            let x = x.scale(1.0 / self.sigma);
            let above = distribution(x.clone().plus(-1.0).scale(1.0 / self.spread));
            let below = distribution(x.clone().plus(1.0).scale(1.0 / self.spread));
            distribution(x).scale(1.0 + self.height) - (above + below).scale(self.height)
        }

        fn area(&self) -> f64 {
            1.0 - self.height
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            let unit = Self {
                sigma: 1.0,
                ..*self
            };
            let half = unit.derivative(0.0) / 2.0;
            // The curve falls from its peak; at 3 standard deviations it is below the half.
            let (mut above, mut below) = (0.0, 3.0);
            for _ in 0..64 {
                let middle = (above + below) / 2.0;
                match unit.derivative(middle) > half {
                    true => above = middle,
                    false => below = middle,
                }
            }
            2.0 * below * self.sigma
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let sigma = self.sigma * width / self.full_width_at_half_maximum();
            Self { sigma, ..*self }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surrogate::{Curve, Surrogate};

    #[test]
    fn it_is_the_formula_of_the_authors_code() {
        let density = |x: f64, mean: f64, sigma: f64| {
            let z = (x - mean) / sigma;
            (-z * z / 2.0).exp() / (2.0 * PI).sqrt() / sigma
        };
        let surrogate = Surrogate::multi_gaussian(0.5).unwrap();
        for x in [-2.0, -0.3, 0.0, 0.1, 1.7] {
            let sides = density(x, 0.5, 3.0) + density(x, -0.5, 3.0);
            let expected = 1.15 * density(x, 0.0, 0.5) - 0.15 * sides;
            assert!((surrogate.derivative(x) - expected).abs() < 1e-12, "{x}");
        }
        assert!(surrogate.derivative(2.0) < 0.0);
        assert_eq!(surrogate.area(), 0.85);
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let field = |curve: MultiGaussian| curve.validate().unwrap_err().field;
        let curve = MultiGaussian::default();
        assert_eq!(
            field(MultiGaussian {
                sigma: 0.0,
                ..curve
            }),
            "sigma"
        );
        assert_eq!(
            field(MultiGaussian {
                height: 1.0,
                ..curve
            }),
            "height"
        );
        assert_eq!(
            field(MultiGaussian {
                spread: 0.5,
                ..curve
            }),
            "spread"
        );
    }
}
