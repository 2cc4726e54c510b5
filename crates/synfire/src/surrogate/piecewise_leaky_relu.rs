//! A rectangle with tails.

use serde::{Deserialize, Serialize};

use super::{Curve, Surrogate};
use crate::InvalidConfig;
use crate::dynamics::Real;

/// `1/(2w)` for `|x| < w`, else `c`. With `c` above 0 the area is infinite. SpikingJelly's `PiecewiseLeakyReLU(w, c)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PiecewiseLeakyRelu {
    /// Half of the width of the middle piece.
    pub w: f64,
    /// The value outside of it.
    pub c: f64,
}

impl Default for PiecewiseLeakyRelu {
    /// SpikingJelly's.
    fn default() -> Self {
        Self { w: 1.0, c: 0.01 }
    }
}

impl Curve for PiecewiseLeakyRelu {
    const NAME: &'static str = "piecewise leaky ReLU surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        if !(0.0..=1e37).contains(&self.c) {
            let expected = "a number from 0 to 1e37";
            return Err(InvalidConfig::new(Self::NAME, "c", self.c, expected));
        }
        InvalidConfig::require_positive(Self::NAME, "w", self.w).map(drop)
    }

    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R {
        let inside = x.abs().below(self.w);
        inside.clone().scale(0.5 / self.w) + inside.complement().scale(self.c)
    }

    #[inline(always)]
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
        Self {
            w: width / 2.0,
            ..*self
        }
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("w", self.w), ("c", self.c)]
    }
}

impl Surrogate {
    /// `1/(2w)` for `|x| < w`, else `c`. SpikingJelly's `PiecewiseLeakyReLU(w, c)`.
    pub fn piecewise_leaky_relu(w: f64, c: f64) -> Result<Self, InvalidConfig> {
        Self::new(PiecewiseLeakyRelu { w, c })
    }
}
