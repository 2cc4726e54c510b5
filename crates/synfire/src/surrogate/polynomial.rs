//! The triangle, which the paper calls polynomial.

use super::Surrogate;
use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// `sqrt(a)/2 - (a/4) |x|` for `|x| < 2/sqrt(a)`, else 0: narrower for larger `a` (Wu et al. 2018, `h2`).
    pub struct Polynomial("polynomial surrogate") {
        /// Steepness (`a2` in the paper).
        a = 1.0, InvalidConfig::require_positive;
    }

    /// The triangle `sqrt(a)/2 - (a/4) |x|` for `|x| < 2/sqrt(a)` (paper: `h2`).
    pub fn polynomial(a);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let line = x.abs().scale(-self.a / 4.0).plus(self.a.sqrt() / 2.0);
            line.positive()
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            // The area beyond |x|.
            let rest = (-x.clone().abs()).plus(2.0 / self.a.sqrt()).positive();
            let tail = (rest.clone() * rest).scale(self.a / 8.0);
            x.select(tail.clone().complement(), tail)
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            2.0 / self.a.sqrt()
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let a = 4.0 / (width * width);
            Self { a }
        }
    }
}

impl Surrogate {
    /// The triangle of peak `alpha` that is 0 from `|x| = 1/alpha` on: `alpha - alpha^2 |x|`, which is the polynomial
    /// with `a = 4 alpha^2`. SpikingJelly's `PiecewiseQuadratic(alpha)`.
    pub fn triangle(alpha: f64) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_positive("triangle surrogate", "alpha", alpha)?;
        Self::polynomial(4.0 * alpha * alpha)
    }
}
