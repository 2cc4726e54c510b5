//! A piece of the derivative of the hyperbolic tangent.

use std::f64::consts::SQRT_2;

use super::within;
use crate::InvalidConfig;
use crate::dynamics::Real;

curve! {
    /// `b / (2 w tanh(b/2)) / cosh(b x/w)^2` for `|x| <= w/2`, else 0: near the rectangle of width `w` for small `b`, near the
    /// spike's own derivative for large `b` (Li et al. 2021, *Differentiable Spike: Rethinking Gradient-Descent for Training
    /// Spiking Neural Networks*). SpikingJelly's `DSpike(alpha = b)` has `w = 1`.
    pub struct Dspike("Dspike surrogate") {
        /// Steepness, the temperature of Li et al., at least 0.001, which is almost the rectangle.
        b = 3.0, within(1e-3..=1e37, "a number from 0.001 to 1e37");
        /// Total width, `w`.
        width = 1.0, InvalidConfig::require_positive;
    }

    /// A piece of the derivative of the hyperbolic tangent, 0 from `|x|` above 1/2 on. Other widths: [`Dspike`].
    pub fn dspike(b);

    impl Curve {
        fn derivative<R: Real>(&self, x: R) -> R {
            let x = x.abs();
            let outside = (-x.clone()).below(-self.width / 2.0);
            // With |x| in the exponent this form does not overflow.
            let e = x.scale(-2.0 * self.b / self.width).exp();
            let one_plus = e.clone().plus(1.0);
            let peak = self.b / (2.0 * self.width * (self.b / 2.0).tanh());
            (e / (one_plus.clone() * one_plus)).scale(4.0 * peak) * outside.complement()
        }

        fn primitive<R: Real>(&self, x: R) -> R {
            let e = x.clone().abs().scale(-2.0 * self.b / self.width).exp();
            let tanh = e.clone().complement() / e.plus(1.0);
            // The area beyond |x|.
            let rest = tanh.scale(-0.5 / (self.b / 2.0).tanh()).plus(0.5).positive();
            x.select(rest.clone().complement(), rest)
        }

        fn full_width_at_half_maximum(&self) -> f64 {
            // arcosh of the square root of 2; of a small `b` more than half of the peak is left at the edges.
            self.width * (2.0 * (SQRT_2 + 1.0).ln() / self.b).min(1.0)
        }

        fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
            let width = self.width * width / self.full_width_at_half_maximum();
            Self { width, ..*self }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surrogate::Surrogate;

    #[test]
    fn it_has_the_values_of_spikingjelly() {
        let surrogate = Surrogate::dspike(3.0).unwrap();
        let known = [(0.0, 1.657_187), (0.5, 0.299_465), (-0.5, 0.299_465)];
        for (x, expected) in known {
            let got = surrogate.derivative(x);
            assert!((got - expected).abs() < 1e-5, "{x}: {got}");
        }
        assert_eq!(surrogate.derivative(0.500_001), 0.0);
        let wide = Surrogate::new(Dspike { b: 3.0, width: 0.0 });
        assert_eq!(wide.unwrap_err().field, "width");
    }
}
