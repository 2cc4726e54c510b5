//! The derivative of the logistic function.

use std::f64::consts::SQRT_2;

use serde::{Deserialize, Serialize};

use super::{Curve, Surrogate};
use crate::InvalidConfig;
use crate::dynamics::Real;

/// The derivative of the logistic function, `e^(-|x|/a) / (1 + e^(-|x|/a))^2 / a` (Wu et al. 2018, `h3`). SpikingJelly's
/// `Sigmoid(alpha = 1/a)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sigmoid {
    /// Scale of x (`a3` in the paper).
    pub a: f64,
}

impl Default for Sigmoid {
    fn default() -> Self {
        Self { a: 1.0 }
    }
}

impl Curve for Sigmoid {
    const NAME: &'static str = "sigmoid surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(Self::NAME, "a", self.a).map(drop)
    }

    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R {
        // With |x| in the exponent this form does not overflow.
        let e = x.abs().scale(-1.0 / self.a).exp();
        let one_plus = e.clone().plus(1.0);
        (e / (one_plus.clone() * one_plus)).scale(1.0 / self.a)
    }

    #[inline(always)]
    fn primitive<R: Real>(&self, x: R) -> R {
        x.scale(-1.0 / self.a).exp().plus(1.0).recip()
    }

    fn full_width_at_half_maximum(&self) -> f64 {
        4.0 * self.a * (1.0 + SQRT_2).ln()
    }

    fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
        Self {
            a: width / (4.0 * (1.0 + SQRT_2).ln()),
        }
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("a", self.a)]
    }
}

impl Surrogate {
    /// The derivative of `1 / (1 + e^(-x/a))` (paper: `h3`).
    pub fn sigmoid(a: f64) -> Result<Self, InvalidConfig> {
        Self::new(Sigmoid { a })
    }
}
