//! A custom surrogate.

use synfire::InvalidConfig;
use synfire::dynamics::Real;
use synfire::surrogate::Curve;

/// `k/2 e^(-k |x|)`, the density of a Laplace distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Laplace {
    pub k: f64,
}

impl Curve for Laplace {
    const NAME: &'static str = "Laplace surrogate";

    fn validate(&self) -> Result<(), InvalidConfig> {
        InvalidConfig::require_positive(Self::NAME, "k", self.k).map(drop)
    }

    #[inline(always)]
    fn derivative<R: Real>(&self, x: R) -> R {
        x.abs().scale(-self.k).exp().scale(self.k / 2.0)
    }

    #[inline(always)]
    fn primitive<R: Real>(&self, x: R) -> R {
        let tail = x.clone().abs().scale(-self.k).exp().scale(0.5);
        x.select(tail.clone().complement(), tail)
    }

    fn full_width_at_half_maximum(&self) -> f64 {
        2.0 * 2f64.ln() / self.k
    }

    fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
        Self {
            k: 2.0 * 2f64.ln() / width,
        }
    }

    fn parameters(&self) -> Vec<(&'static str, f64)> {
        vec![("k", self.k)]
    }
}
