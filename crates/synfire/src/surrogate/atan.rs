//! The derivative of an arc tangent.

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, PI};

use serde::{Deserialize, Serialize};

use super::{Curve, Surrogate};
use crate::InvalidConfig;
use crate::dynamics::Real;

/// The derivative of an arc tangent, `(alpha/2) / (1 + (pi alpha x / 2)^2)` (Fang et al. 2021, *Incorporating Learnable
/// Membrane Time Constant to Enhance Learning of Spiking Neural Networks*).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Atan {
    /// Steepness.
    pub alpha: f64,
}

impl Default for Atan {
    /// The `alpha` of SpikingJelly and snnTorch.
    fn default() -> Self {
        Self { alpha: 2.0 }
    }
}

impl Curve for Atan {
    const NAME: &'static str = "atan surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(Self::NAME, "alpha", self.alpha).map(drop)
    }

    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R {
        let y = x.scale(FRAC_PI_2 * self.alpha);
        (y.clone() * y).plus(1.0).recip().scale(self.alpha / 2.0)
    }

    #[inline(always)]
    fn primitive<R: Real>(&self, x: R) -> R {
        let angle = x.scale(FRAC_PI_2 * self.alpha).atan();
        angle.scale(FRAC_1_PI).plus(0.5)
    }

    fn full_width_at_half_maximum(&self) -> f64 {
        4.0 / (PI * self.alpha)
    }

    fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
        Self {
            alpha: 4.0 / (PI * width),
        }
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("alpha", self.alpha)]
    }
}

impl Surrogate {
    /// `(alpha/2) / (1 + (pi alpha x / 2)^2)` (Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to
    /// Enhance Learning of Spiking Neural Networks*). SpikingJelly's `ATan(alpha)` and snnTorch's `atan(alpha)`.
    pub fn atan(alpha: f64) -> Result<Self, InvalidConfig> {
        Self::new(Atan { alpha })
    }
}
