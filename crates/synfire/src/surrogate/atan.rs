//! The derivative of an arc tangent.

use std::f64::consts::{FRAC_1_PI, FRAC_PI_2, PI};

use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// The derivative of an arc tangent, `(alpha/2) / (1 + (pi alpha x / 2)^2)` (Fang et al. 2021, *Incorporating Learnable
    /// Membrane Time Constant to Enhance Learning of Spiking Neural Networks*).
    pub struct Atan("atan surrogate") {
        /// Steepness. The default is that of SpikingJelly and snnTorch.
        alpha = 2.0, InvalidConfig::require_positive;
    }

    /// `(alpha/2) / (1 + (pi alpha x / 2)^2)` (Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to
    /// Enhance Learning of Spiking Neural Networks*). SpikingJelly's `ATan(alpha)` and snnTorch's `atan(alpha)`.
    pub fn atan(alpha);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let y = x.scale(FRAC_PI_2 * self.alpha);
            (y.clone() * y).plus(1.0).recip().scale(self.alpha / 2.0)
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            let angle = x.scale(FRAC_PI_2 * self.alpha).atan();
            angle.scale(FRAC_1_PI).plus(0.5)
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            4.0 / (PI * self.alpha)
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let alpha = 4.0 / (PI * width);
            Self { alpha }
        }
    }
}
