//! The derivative of the fast sigmoid.

use std::f64::consts::SQRT_2;

use super::Surrogate;
use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// The derivative of `k x / (1 + k |x|)`, halved: `(k/2) / (1 + k |x|)^2`. SpikingJelly's `SoftSign(alpha = k)`.
    pub struct FastSigmoid("fast sigmoid surrogate") {
        /// Steepness. The default is the `alpha` of SpikingJelly's `SoftSign`.
        k = 2.0, InvalidConfig::require_positive;
    }

    /// `(k/2) / (1 + k |x|)^2`, of area 1. SpikingJelly's `SoftSign(alpha = k)`.
    pub fn fast_sigmoid(k);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let y = x.abs().scale(self.k).plus(1.0);
            (y.clone() * y).recip().scale(self.k / 2.0)
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            // The area beyond |x|: unlike x / (1 + k |x|) it has a limit in floating point.
            let tail = x.clone().abs().scale(self.k).plus(1.0).recip().scale(0.5);
            x.select(tail.clone().complement(), tail)
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            2.0 * (SQRT_2 - 1.0) / self.k
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let k = 2.0 * (SQRT_2 - 1.0) / width;
            Self { k }
        }
    }
}

impl Surrogate {
    /// `1 / (1 + k |x|)^2`: the fast sigmoid of peak 1 and area `2/k` (Zenke and Ganguli 2018, *SuperSpike*). snnTorch's
    /// `fast_sigmoid(slope = k)` and, with k = 1, Norse's `super`.
    pub fn super_spike(k: f64) -> Result<Self, InvalidConfig> {
        Self::fast_sigmoid(k)?.with_peak(1.0)
    }
}
