//! The derivative of the logistic function.

use std::f64::consts::SQRT_2;

use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// The derivative of the logistic function, `e^(-|x|/a) / (1 + e^(-|x|/a))^2 / a` (Wu et al. 2018, `h3`). SpikingJelly's
    /// `Sigmoid(alpha = 1/a)`.
    pub struct Sigmoid("sigmoid surrogate") {
        /// Scale of x (`a3` in the paper).
        a = 1.0, InvalidConfig::require_positive;
    }

    /// The derivative of `1 / (1 + e^(-x/a))` (paper: `h3`).
    pub fn sigmoid(a);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            // With |x| in the exponent this form does not overflow.
            let e = x.abs().scale(-1.0 / self.a).exp();
            let one_plus = e.clone().plus(1.0);
            (e / (one_plus.clone() * one_plus)).scale(1.0 / self.a)
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            x.scale(-1.0 / self.a).exp().plus(1.0).recip()
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            4.0 * self.a * (1.0 + SQRT_2).ln()
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let a = width / (4.0 * (1.0 + SQRT_2).ln());
            Self { a }
        }
    }
}
