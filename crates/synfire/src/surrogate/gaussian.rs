//! The normal density.

use std::f64::consts::{LN_2, PI};

use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// The density of a normal distribution, `e^(-x^2 / 2a) / sqrt(2 pi a)` (Wu et al. 2018, `h4`). SpikingJelly's
    /// `Erf(alpha = 1/sqrt(2a))`.
    pub struct Gaussian("gaussian surrogate") {
        /// Variance (`a4` in the paper).
        a = 1.0, InvalidConfig::require_positive;
    }

    /// The normal density of variance `a` (paper: `h4`).
    pub fn gaussian(a);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let e = (x.clone() * x).scale(-1.0 / (2.0 * self.a)).exp();
            e.scale(1.0 / (2.0 * PI * self.a).sqrt())
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            let erf = x.scale(1.0 / (2.0 * self.a).sqrt()).erf();
            erf.plus(1.0).scale(0.5)
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            2.0 * (2.0 * LN_2 * self.a).sqrt()
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let a = width * width / (8.0 * LN_2);
            Self { a }
        }
    }
}
