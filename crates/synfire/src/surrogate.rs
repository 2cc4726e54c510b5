//! Surrogate derivatives: the smooth curves that stand in for the derivative of a spike.
//!
//! A neuron fires when its membrane potential `u` reaches the threshold, `o = 1` where
//! `x = u - V_th >= 0`. The derivative of that step is 0 almost everywhere and infinite at 0, so the backward
//! pass uses a curve `h(x)` of area 1 around 0 in its place. The four curves of this module are `h1` to `h4` of
//! Wu et al. (2018), *Spatio-Temporal Backpropagation for Training High-Performance Spiking Neural Networks*.
//!
//! Everything here is plain arithmetic on `f64`, so that it can be read, plotted and tested without tensors.
//! [`spike`](crate::spike) applies the same curves to tensors.
//!
//! ```
//! use synfire::surrogate::Surrogate;
//!
//! let rectangular = Surrogate::rectangular(1.0)?;
//! assert_eq!(rectangular.derivative(0.2), 1.0);
//! assert_eq!(rectangular.derivative(0.5), 0.0);
//! assert_eq!(rectangular.primitive(0.0), 0.5);
//! # Ok::<(), synfire::InvalidConfig>(())
//! ```

use std::f64::consts::{LN_2, PI, SQRT_2};

use serde::{Deserialize, Serialize};

use crate::InvalidConfig;

/// The form of a surrogate derivative, with its parameter.
///
/// This is the open form of a [`Surrogate`], for matching and for files. A [`Surrogate`] is a curve whose
/// parameters have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "curve", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Curve {
    /// `1/a` for `|x| < a/2`, else 0.
    Rectangular {
        /// Total width (`a1` in the paper).
        a: f64,
    },
    /// `sqrt(a)/2 - (a/4) |x|` for `|x| < 2/sqrt(a)`, else 0. Narrower for larger `a`.
    Polynomial {
        /// Steepness (`a2` in the paper).
        a: f64,
    },
    /// The derivative of the logistic function, `e^(-|x|/a) / (1 + e^(-|x|/a))^2 / a`.
    Sigmoid {
        /// Scale of x (`a3` in the paper).
        a: f64,
    },
    /// The density of a normal distribution, `e^(-x^2 / 2a) / sqrt(2 pi a)`.
    Gaussian {
        /// Variance (`a4` in the paper).
        a: f64,
    },
}

/// A surrogate derivative with checked parameters.
///
/// All curves have area 1, so their [primitives](Surrogate::primitive) rise from 0 to 1 like the spike itself. In
/// files it is a tagged object:
///
/// ```
/// use synfire::surrogate::Surrogate;
///
/// let json = serde_json::to_string(&Surrogate::gaussian(0.5)?).unwrap();
/// assert_eq!(json, r#"{"curve":"gaussian","a":0.5}"#);
/// assert!(serde_json::from_str::<Surrogate>(r#"{"curve":"gaussian","a":0.0}"#).is_err());
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Curve", into = "Curve")]
pub struct Surrogate(Curve);

impl Default for Surrogate {
    /// The rectangle of width 1, the curve of the paper's experiments.
    fn default() -> Self {
        Self(Curve::Rectangular { a: 1.0 })
    }
}

impl TryFrom<Curve> for Surrogate {
    type Error = InvalidConfig;

    fn try_from(curve: Curve) -> Result<Self, InvalidConfig> {
        let (owner, a) = match curve {
            Curve::Rectangular { a } => ("rectangular surrogate", a),
            Curve::Polynomial { a } => ("polynomial surrogate", a),
            Curve::Sigmoid { a } => ("sigmoid surrogate", a),
            Curve::Gaussian { a } => ("gaussian surrogate", a),
        };
        InvalidConfig::require_positive(owner, "a", a)?;
        Ok(Self(curve))
    }
}

impl From<Surrogate> for Curve {
    fn from(surrogate: Surrogate) -> Self {
        surrogate.0
    }
}

impl Surrogate {
    /// The rectangle `1/a` for `|x| < a/2` (paper: `h1`).
    ///
    /// # Errors
    ///
    /// If `a` is not a number from 1e-37 to 1e37; the same holds for the other curves.
    pub fn rectangular(a: f64) -> Result<Self, InvalidConfig> {
        Curve::Rectangular { a }.try_into()
    }

    /// The triangle `sqrt(a)/2 - (a/4) |x|` for `|x| < 2/sqrt(a)` (paper: `h2`).
    pub fn polynomial(a: f64) -> Result<Self, InvalidConfig> {
        Curve::Polynomial { a }.try_into()
    }

    /// The derivative of `1 / (1 + e^(-x/a))` (paper: `h3`).
    pub fn sigmoid(a: f64) -> Result<Self, InvalidConfig> {
        Curve::Sigmoid { a }.try_into()
    }

    /// The normal density of variance `a` (paper: `h4`).
    pub fn gaussian(a: f64) -> Result<Self, InvalidConfig> {
        Curve::Gaussian { a }.try_into()
    }

    /// The curve and its parameter.
    pub fn curve(&self) -> Curve {
        self.0
    }

    /// `h(x)`, the value used in place of the derivative of the spike at `x = u - V_th`.
    pub fn derivative(&self, x: f64) -> f64 {
        match self.0 {
            Curve::Rectangular { a } => {
                if x.abs() < a / 2.0 {
                    1.0 / a
                } else {
                    0.0
                }
            }
            Curve::Polynomial { a } => (a.sqrt() / 2.0 - a / 4.0 * x.abs()).max(0.0),
            Curve::Sigmoid { a } => {
                // With |x| in the exponent this form does not overflow.
                let e = (-x.abs() / a).exp();
                e / ((1.0 + e) * (1.0 + e)) / a
            }
            Curve::Gaussian { a } => (-x * x / (2.0 * a)).exp() / (2.0 * PI * a).sqrt(),
        }
    }

    /// The integral of [`derivative`](Self::derivative) from minus infinity to `x`: a smooth step from 0 to 1.
    pub fn primitive(&self, x: f64) -> f64 {
        match self.0 {
            Curve::Rectangular { a } => (x / a + 0.5).clamp(0.0, 1.0),
            Curve::Polynomial { a } => {
                let rest = (2.0 / a.sqrt() - x.abs()).max(0.0);
                let tail = a / 8.0 * rest * rest;
                if x < 0.0 { tail } else { 1.0 - tail }
            }
            Curve::Sigmoid { a } => 1.0 / (1.0 + (-x / a).exp()),
            Curve::Gaussian { a } => 0.5 * (1.0 + libm::erf(x / (2.0 * a).sqrt())),
        }
    }

    /// The area under the curve: 1 for all curves of the paper.
    pub fn area(&self) -> f64 {
        1.0
    }

    /// The width of the curve at half of its peak: the figure by which widths of different curves compare.
    pub fn full_width_at_half_maximum(&self) -> f64 {
        match self.0 {
            Curve::Rectangular { a } => a,
            Curve::Polynomial { a } => 2.0 / a.sqrt(),
            Curve::Sigmoid { a } => 4.0 * a * (1.0 + SQRT_2).ln(),
            Curve::Gaussian { a } => 2.0 * (2.0 * LN_2 * a).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Surrogate> {
        [0.1, 0.5, 1.0, 4.0]
            .into_iter()
            .flat_map(|a| {
                [
                    Surrogate::rectangular(a),
                    Surrogate::polynomial(a),
                    Surrogate::sigmoid(a),
                    Surrogate::gaussian(a),
                ]
            })
            .map(Result::unwrap)
            .collect()
    }

    /// Midpoint rule, with the grid moved so that it straddles the jumps of the rectangle.
    fn integral(surrogate: &Surrogate, from: f64, to: f64) -> f64 {
        let n = 400_000;
        let dx = (to - from) / n as f64;
        (0..n)
            .map(|i| surrogate.derivative(from + (i as f64 + 0.5) * dx) * dx)
            .sum()
    }

    #[test]
    fn every_curve_has_its_stated_area() {
        for surrogate in all() {
            let half = 40.0 * surrogate.full_width_at_half_maximum();
            let area = integral(&surrogate, -half, half);
            assert!(
                (area - surrogate.area()).abs() < 1e-4,
                "{surrogate:?}: {area}"
            );
        }
    }

    #[test]
    fn derivative_is_the_slope_of_the_primitive() {
        for surrogate in all() {
            let width = surrogate.full_width_at_half_maximum();
            for i in -400..=400 {
                let x = (f64::from(i) + 0.37) * width / 100.0;
                let h = 1e-6 * width;
                let slope = (surrogate.primitive(x + h) - surrogate.primitive(x - h)) / (2.0 * h);
                let peak = surrogate.derivative(0.0);
                let error = (slope - surrogate.derivative(x)).abs() / peak;
                assert!(error < 1e-5, "{surrogate:?} at {x}: {error}");
            }
        }
    }

    #[test]
    fn width_is_where_half_of_the_peak_is_left() {
        for surrogate in all() {
            let half_width = surrogate.full_width_at_half_maximum() / 2.0;
            let peak = surrogate.derivative(0.0);
            let inside = surrogate.derivative(half_width * 0.999);
            let outside = surrogate.derivative(half_width * 1.001);
            assert!(inside > peak / 2.0 && outside < peak / 2.0, "{surrogate:?}");
        }
    }

    #[test]
    fn far_from_the_threshold_nothing_overflows() {
        for surrogate in all() {
            for x in [-1e30, -1e5, 1e5, 1e30, f64::INFINITY, f64::NEG_INFINITY] {
                assert_eq!(surrogate.derivative(x), 0.0, "{surrogate:?} at {x}");
                assert_eq!(surrogate.primitive(x), if x > 0.0 { 1.0 } else { 0.0 });
            }
        }
    }

    #[test]
    fn invalid_parameters_are_named() {
        for a in [0.0, -1.0, 1e-40, 1e40, f64::NAN, f64::INFINITY] {
            for result in [
                Surrogate::rectangular(a),
                Surrogate::polynomial(a),
                Surrogate::sigmoid(a),
                Surrogate::gaussian(a),
            ] {
                let error = result.unwrap_err();
                assert_eq!(error.field, "a");
                assert_eq!(error.value, a.to_string());
            }
        }
    }

    #[test]
    fn files_hold_the_checked_form() {
        for surrogate in all() {
            let json = serde_json::to_string(&surrogate).unwrap();
            assert_eq!(serde_json::from_str::<Surrogate>(&json).unwrap(), surrogate);
        }
        let error =
            serde_json::from_str::<Surrogate>(r#"{"curve":"sigmoid","a":-2.0}"#).unwrap_err();
        assert!(
            error.to_string().contains("sigmoid surrogate: -2"),
            "{error}"
        );
        assert!(serde_json::from_str::<Surrogate>(r#"{"curve":"cubic","a":1.0}"#).is_err());
    }
}
