//! The normal density.

use std::f64::consts::{LN_2, PI};

use serde::{Deserialize, Serialize};

use super::{Curve, Surrogate};
use crate::InvalidConfig;
use crate::dynamics::Real;

/// The density of a normal distribution, `e^(-x^2 / 2a) / sqrt(2 pi a)` (Wu et al. 2018, `h4`). SpikingJelly's
/// `Erf(alpha = 1/sqrt(2a))`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gaussian {
    /// Variance (`a4` in the paper).
    pub a: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Self { a: 1.0 }
    }
}

impl Curve for Gaussian {
    const NAME: &'static str = "gaussian surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(Self::NAME, "a", self.a).map(drop)
    }

    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R {
        let e = (x.clone() * x).scale(-1.0 / (2.0 * self.a)).exp();
        e.scale(1.0 / (2.0 * PI * self.a).sqrt())
    }

    #[inline(always)]
    fn primitive<R: Real>(&self, x: R) -> R {
        let erf = x.scale(1.0 / (2.0 * self.a).sqrt()).erf();
        erf.plus(1.0).scale(0.5)
    }

    fn full_width_at_half_maximum(&self) -> f64 {
        2.0 * (2.0 * LN_2 * self.a).sqrt()
    }

    fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
        Self {
            a: width * width / (8.0 * LN_2),
        }
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("a", self.a)]
    }
}

impl Surrogate {
    /// The normal density of variance `a` (paper: `h4`).
    pub fn gaussian(a: f64) -> Result<Self, InvalidConfig> {
        Self::new(Gaussian { a })
    }
}
