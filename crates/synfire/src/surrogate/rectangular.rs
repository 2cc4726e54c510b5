//! The rectangle.

use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// `1/a` for `|x| < a/2`, else 0 (Wu et al. 2018, `h1`). SpikingJelly's `Rect(alpha = 1/a)`.
    pub struct Rectangular("rectangular surrogate") {
        /// Total width (`a1` in the paper).
        a = 1.0, InvalidConfig::require_positive;
    }

    /// The rectangle `1/a` for `|x| < a/2` (paper: `h1`).
    ///
    /// # Errors
    ///
    /// If `a` is not a number from 1e-37 to 1e37; the same holds for the other curves.
    pub fn rectangular(a);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            x.abs().below(self.a / 2.0).scale(1.0 / self.a)
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            let ramp = x.scale(1.0 / self.a).plus(0.5).positive();
            // At most 1.
            ramp.complement().positive().complement()
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            self.a
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            Self { a: width }
        }
    }
}
