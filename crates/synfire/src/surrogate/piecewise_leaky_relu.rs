//! A rectangle with tails.

use super::within;
use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// `1/(2w)` for `|x| < w`, else `c`. With `c` above 0 the area is infinite. SpikingJelly's `PiecewiseLeakyReLU(w, c)`.
    /// The defaults are SpikingJelly's.
    pub struct PiecewiseLeakyRelu("piecewise leaky ReLU surrogate") {
        /// Half of the width of the middle piece.
        w = 1.0, InvalidConfig::require_positive;
        /// The value of the tails.
        c = 0.01, within(0.0..=1e37, "a number from 0 to 1e37");
    }

    /// `1/(2w)` for `|x| < w`, else `c`. SpikingJelly's `PiecewiseLeakyReLU(w, c)`.
    pub fn piecewise_leaky_relu(w, c);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let inside = x.abs().below(self.w);
            inside.clone().scale(0.5 / self.w) + inside.complement().scale(self.c)
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            // x between -w and w.
            let from_left = x.clone().plus(self.w).positive();
            let from_right = (-from_left).plus(2.0 * self.w).positive();
            let middle = (-from_right).plus(self.w);
            (middle.scale(0.5 / self.w - self.c) + x.scale(self.c)).plus(0.5)
        }

        fn area(&self) -> f64 {
            if self.c > 0.0 { f64::INFINITY } else { 1.0 }
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            match self.c < 0.25 / self.w {
                true => 2.0 * self.w,
                false => f64::INFINITY,
            }
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let w = width / 2.0;
            Self { w, ..*self }
        }
    }
}
