//! Surrogate derivatives: the smooth curves that stand in for the derivative of a spike.
//!
//! A neuron fires when its membrane potential `u` reaches the threshold, `o = 1` where
//! `x = u - V_th >= 0`. The derivative of that step is 0 almost everywhere and infinite at 0, so the backward
//! pass uses a curve `h(x)` around 0 in its place. `h1` to `h4` of Wu et al. (2018), *Spatio-Temporal Backpropagation for
//! Training High-Performance Spiking Neural Networks*, are the rectangle, the triangle (polynomial), the derivative of
//! the sigmoid and the normal density; arc tangent, fast sigmoid and piecewise leaky ReLU are what other libraries add.
//!
//! | here | SpikingJelly | snnTorch | Norse |
//! | --- | --- | --- | --- |
//! | [`rectangular(a)`](Surrogate::rectangular) | `Rect(alpha = 1/a)` | | |
//! | [`triangle(alpha)`](Surrogate::triangle) | `PiecewiseQuadratic(alpha)` | | |
//! | [`sigmoid(a)`](Surrogate::sigmoid) | `Sigmoid(alpha = 1/a)` | `sigmoid(slope = 1/a)` | |
//! | [`gaussian(a)`](Surrogate::gaussian) | `Erf(alpha = 1/sqrt(2a))` | | |
//! | [`atan(alpha)`](Surrogate::atan) | `ATan(alpha)` | `atan(alpha)` | |
//! | [`fast_sigmoid(k)`](Surrogate::fast_sigmoid) | `SoftSign(alpha = k)` | | |
//! | [`super_spike(k)`](Surrogate::super_spike) | `SuperSpike(alpha = 1)`, k = 1 | `fast_sigmoid(slope = k)` | `super`, k = 1 whatever its alpha |
//! | [`piecewise_leaky_relu(w, c)`](Surrogate::piecewise_leaky_relu) | `PiecewiseLeakyReLU(w, c)` | | |
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

use std::f64::consts::{FRAC_PI_2, LN_2, PI, SQRT_2};

use serde::{Deserialize, Serialize};

use crate::InvalidConfig;

/// The form of a surrogate derivative, with its parameter.
///
/// This is the open form of a [`Surrogate`], for matching and for files. A [`Surrogate`] is a curve whose
/// parameters have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "curve", rename_all = "kebab-case")]
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
    /// The derivative of an arc tangent, `(alpha/2) / (1 + (pi alpha x / 2)^2)`.
    Atan {
        /// Steepness.
        alpha: f64,
    },
    /// The derivative of `k x / (1 + k |x|)`, halved: `(k/2) / (1 + k |x|)^2`.
    FastSigmoid {
        /// Steepness.
        k: f64,
    },
    /// `1/(2w)` for `|x| < w`, else `c`. With `c` above 0 the area is infinite.
    PiecewiseLeakyRelu {
        /// Half of the width of the middle piece.
        w: f64,
        /// The value outside of it.
        c: f64,
    },
}

/// A surrogate derivative with checked parameters: a [`Curve`] times a scale, which is 1 unless it is
/// [set](Surrogate::with_scale).
///
/// Without a scale all curves but the leaky one have area 1, so their [primitives](Surrogate::primitive) rise from 0 to 1
/// like the spike itself. In files it is a tagged object:
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
#[serde(try_from = "Form", into = "Form")]
pub struct Surrogate {
    curve: Curve,
    scale: f64,
}

/// A surrogate in a file.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Form {
    #[serde(flatten)]
    curve: Curve,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    scale: f64,
}

fn one() -> f64 {
    1.0
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

impl Default for Surrogate {
    /// The rectangle of width 1, the curve of the paper's experiments.
    fn default() -> Self {
        Self {
            curve: Curve::Rectangular { a: 1.0 },
            scale: 1.0,
        }
    }
}

impl TryFrom<Curve> for Surrogate {
    type Error = InvalidConfig;

    fn try_from(curve: Curve) -> Result<Self, InvalidConfig> {
        let (owner, field, value) = match curve {
            Curve::Rectangular { a } => ("rectangular surrogate", "a", a),
            Curve::Polynomial { a } => ("polynomial surrogate", "a", a),
            Curve::Sigmoid { a } => ("sigmoid surrogate", "a", a),
            Curve::Gaussian { a } => ("gaussian surrogate", "a", a),
            Curve::Atan { alpha } => ("atan surrogate", "alpha", alpha),
            Curve::FastSigmoid { k } => ("fast sigmoid surrogate", "k", k),
            Curve::PiecewiseLeakyRelu { w, c } => {
                let owner = "piecewise leaky ReLU surrogate";
                if !(0.0..=1e37).contains(&c) {
                    return Err(InvalidConfig::new(owner, "c", c, "a number from 0 to 1e37"));
                }
                (owner, "w", w)
            }
        };
        InvalidConfig::require_positive(owner, field, value)?;
        Ok(Self { curve, scale: 1.0 })
    }
}

impl TryFrom<Form> for Surrogate {
    type Error = InvalidConfig;

    fn try_from(form: Form) -> Result<Self, InvalidConfig> {
        Self::try_from(form.curve)?.with_scale(form.scale)
    }
}

impl From<Surrogate> for Form {
    fn from(Surrogate { curve, scale }: Surrogate) -> Self {
        Self { curve, scale }
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

    /// The triangle of peak `alpha` that is 0 from `|x| = 1/alpha` on: `alpha - alpha^2 |x|`, which is the polynomial
    /// with `a = 4 alpha^2`. SpikingJelly's `PiecewiseQuadratic(alpha)`.
    pub fn triangle(alpha: f64) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_positive("triangle surrogate", "alpha", alpha)?;
        Self::polynomial(4.0 * alpha * alpha)
    }

    /// `(alpha/2) / (1 + (pi alpha x / 2)^2)` (Fang et al. 2021, *Incorporating Learnable Membrane Time Constant to
    /// Enhance Learning of Spiking Neural Networks*). SpikingJelly's `ATan(alpha)` and snnTorch's `atan(alpha)`.
    pub fn atan(alpha: f64) -> Result<Self, InvalidConfig> {
        Curve::Atan { alpha }.try_into()
    }

    /// `(k/2) / (1 + k |x|)^2`, of area 1. SpikingJelly's `SoftSign(alpha = k)`.
    pub fn fast_sigmoid(k: f64) -> Result<Self, InvalidConfig> {
        Curve::FastSigmoid { k }.try_into()
    }

    /// `1 / (1 + k |x|)^2`: the fast sigmoid of peak 1 and area `2/k` (Zenke and Ganguli 2018, *SuperSpike*). snnTorch's
    /// `fast_sigmoid(slope = k)` and, with k = 1, Norse's `super`.
    pub fn super_spike(k: f64) -> Result<Self, InvalidConfig> {
        Self::fast_sigmoid(k)?.with_peak(1.0)
    }

    /// `1/(2w)` for `|x| < w`, else `c`. SpikingJelly's `PiecewiseLeakyReLU(w, c)`.
    pub fn piecewise_leaky_relu(w: f64, c: f64) -> Result<Self, InvalidConfig> {
        Curve::PiecewiseLeakyRelu { w, c }.try_into()
    }

    /// The curve times `scale`, in place of a scale set before.
    pub fn with_scale(self, scale: f64) -> Result<Self, InvalidConfig> {
        let scale = InvalidConfig::require_positive("surrogate", "scale", scale)?;
        Ok(Self { scale, ..self })
    }

    /// The curve scaled to the value `peak` at 0.
    pub fn with_peak(self, peak: f64) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_positive("surrogate", "peak", peak)?;
        self.with_scale(peak / self.curve.derivative(0.0))
    }

    /// The same curve with another [width](Self::full_width_at_half_maximum) and the same area: so are different curves
    /// given the same width.
    ///
    /// # Errors
    ///
    /// If the width, or the parameter that gives it, is not a number from 1e-37 to 1e37, or a leaky curve has no such width
    /// because its tail is not below half of its peak.
    ///
    /// # Example
    ///
    /// ```
    /// use synfire::surrogate::Surrogate;
    ///
    /// let sigmoid = Surrogate::sigmoid(1.0)?.with_full_width_at_half_maximum(0.5)?;
    /// assert!((sigmoid.derivative(0.25) / sigmoid.derivative(0.0) - 0.5).abs() < 1e-12);
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn with_full_width_at_half_maximum(self, width: f64) -> Result<Self, InvalidConfig> {
        const FIELD: &str = "full width at half maximum";
        let width = InvalidConfig::require_positive("surrogate", FIELD, width)?;
        let curve = match self.curve {
            Curve::Rectangular { .. } => Curve::Rectangular { a: width },
            Curve::Polynomial { .. } => Curve::Polynomial {
                a: 4.0 / (width * width),
            },
            Curve::Sigmoid { .. } => Curve::Sigmoid {
                a: width / (4.0 * (1.0 + SQRT_2).ln()),
            },
            Curve::Gaussian { .. } => Curve::Gaussian {
                a: width * width / (8.0 * LN_2),
            },
            Curve::Atan { .. } => Curve::Atan {
                alpha: 4.0 / (PI * width),
            },
            Curve::FastSigmoid { .. } => Curve::FastSigmoid {
                k: 2.0 * (SQRT_2 - 1.0) / width,
            },
            Curve::PiecewiseLeakyRelu { c, .. } => Curve::PiecewiseLeakyRelu { w: width / 2.0, c },
        };
        let changed = Self::try_from(curve)?.with_scale(self.scale)?;
        match changed.full_width_at_half_maximum().is_finite() {
            true => Ok(changed),
            false => Err(InvalidConfig::new(
                "surrogate",
                FIELD,
                width,
                "a width at which the tail is below half of the peak",
            )),
        }
    }

    /// The curve and its parameters.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// What the curve is multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `h(x)`, the value used in place of the derivative of the spike at `x = u - V_th`.
    pub fn derivative(&self, x: f64) -> f64 {
        self.scale * self.curve.derivative(x)
    }

    /// The integral of [`derivative`](Self::derivative): a smooth step from 0 to the area, that is half of it at 0. For
    /// the leaky curve, whose area is infinite, it goes on beyond both.
    pub fn primitive(&self, x: f64) -> f64 {
        self.scale * self.curve.primitive(x)
    }

    /// The area under the curve: the scale, or infinity for a leaky curve with a tail.
    pub fn area(&self) -> f64 {
        match self.curve {
            Curve::PiecewiseLeakyRelu { c, .. } if c > 0.0 => f64::INFINITY,
            _ => self.scale,
        }
    }

    /// The width of the curve at half of its peak: the figure by which widths of different curves compare. Infinite for a
    /// leaky curve whose tail is not below that.
    pub fn full_width_at_half_maximum(&self) -> f64 {
        match self.curve {
            Curve::Rectangular { a } => a,
            Curve::Polynomial { a } => 2.0 / a.sqrt(),
            Curve::Sigmoid { a } => 4.0 * a * (1.0 + SQRT_2).ln(),
            Curve::Gaussian { a } => 2.0 * (2.0 * LN_2 * a).sqrt(),
            Curve::Atan { alpha } => 4.0 / (PI * alpha),
            Curve::FastSigmoid { k } => 2.0 * (SQRT_2 - 1.0) / k,
            Curve::PiecewiseLeakyRelu { w, c } if c < 1.0 / (4.0 * w) => 2.0 * w,
            Curve::PiecewiseLeakyRelu { .. } => f64::INFINITY,
        }
    }
}

impl Curve {
    fn derivative(&self, x: f64) -> f64 {
        match *self {
            Self::Rectangular { a } => {
                if x.abs() < a / 2.0 {
                    1.0 / a
                } else {
                    0.0
                }
            }
            Self::Polynomial { a } => (a.sqrt() / 2.0 - a / 4.0 * x.abs()).max(0.0),
            Self::Sigmoid { a } => {
                // With |x| in the exponent this form does not overflow.
                let e = (-x.abs() / a).exp();
                e / ((1.0 + e) * (1.0 + e)) / a
            }
            Self::Gaussian { a } => (-x * x / (2.0 * a)).exp() / (2.0 * PI * a).sqrt(),
            Self::Atan { alpha } => {
                let y = FRAC_PI_2 * alpha * x;
                alpha / 2.0 / (1.0 + y * y)
            }
            Self::FastSigmoid { k } => {
                let y = 1.0 + k * x.abs();
                k / 2.0 / (y * y)
            }
            Self::PiecewiseLeakyRelu { w, c } => {
                if x.abs() < w {
                    1.0 / (2.0 * w)
                } else {
                    c
                }
            }
        }
    }

    fn primitive(&self, x: f64) -> f64 {
        match *self {
            Self::Rectangular { a } => (x / a + 0.5).clamp(0.0, 1.0),
            Self::Polynomial { a } => {
                let rest = (2.0 / a.sqrt() - x.abs()).max(0.0);
                let tail = a / 8.0 * rest * rest;
                if x < 0.0 { tail } else { 1.0 - tail }
            }
            Self::Sigmoid { a } => 1.0 / (1.0 + (-x / a).exp()),
            Self::Gaussian { a } => 0.5 * (1.0 + libm::erf(x / (2.0 * a).sqrt())),
            Self::Atan { alpha } => (FRAC_PI_2 * alpha * x).atan() / PI + 0.5,
            Self::FastSigmoid { k } => {
                // x / (1/k + |x|), which has a limit.
                let half = 0.5 / (1.0 + k * x.abs());
                if x < 0.0 { half } else { 1.0 - half }
            }
            Self::PiecewiseLeakyRelu { w, c } => {
                x.clamp(-w, w) * (1.0 / (2.0 * w) - c) + c * x + 0.5
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Constructor = fn(f64) -> Result<Surrogate, InvalidConfig>;

    const CONSTRUCTORS: [Constructor; 8] = [
        Surrogate::rectangular,
        Surrogate::polynomial,
        Surrogate::triangle,
        Surrogate::sigmoid,
        Surrogate::gaussian,
        Surrogate::atan,
        Surrogate::fast_sigmoid,
        Surrogate::super_spike,
    ];

    /// Every curve of finite area, in several widths.
    fn all() -> Vec<Surrogate> {
        [0.1, 0.5, 1.0, 4.0]
            .into_iter()
            .flat_map(|a| CONSTRUCTORS.map(|constructor| constructor(a).unwrap()))
            .collect()
    }

    fn leaky() -> Vec<Surrogate> {
        [(1.0, 0.01), (0.5, 0.2), (2.0, 0.0)]
            .into_iter()
            .map(|(w, c)| Surrogate::piecewise_leaky_relu(w, c).unwrap())
            .collect()
    }

    #[test]
    fn a_width_can_be_given() {
        for surrogate in all().into_iter().chain(leaky()) {
            for width in [0.1, 0.5, 2.0] {
                let changed = surrogate.with_full_width_at_half_maximum(width).unwrap();
                let found = changed.full_width_at_half_maximum();
                assert!((found / width - 1.0).abs() < 1e-12, "{changed:?}: {found}");
                assert_eq!(changed.scale(), surrogate.scale());
            }
            for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
                let error = surrogate.with_full_width_at_half_maximum(width);
                let error = error.unwrap_err().to_string();
                assert!(error.contains("full width at half maximum"), "{error}");
            }
        }
        // At that width its peak is 1/3.
        let leaky = Surrogate::piecewise_leaky_relu(0.5, 0.2).unwrap();
        assert!(leaky.with_full_width_at_half_maximum(3.0).is_err());
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
            // Heavy tails are added by the primitive, which the next test ties to the derivative.
            let tails = surrogate.primitive(-half) + surrogate.area() - surrogate.primitive(half);
            let area = integral(&surrogate, -half, half) + tails;
            let error = (area - surrogate.area()).abs() / surrogate.area();
            assert!(error < 1e-4, "{surrogate:?}: {area}");
        }
        let areas: Vec<f64> = leaky().iter().map(Surrogate::area).collect();
        assert_eq!(areas, [f64::INFINITY, f64::INFINITY, 1.0]);
    }

    #[test]
    fn derivative_is_the_slope_of_the_primitive() {
        for surrogate in all().into_iter().chain(leaky()) {
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
        for surrogate in all().into_iter().chain(leaky()) {
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
                let derivative = surrogate.derivative(x) / surrogate.derivative(0.0);
                assert!(derivative < 1e-8, "{surrogate:?} at {x}: {derivative}");
                let step = if x > 0.0 { 1.0 } else { 0.0 };
                let primitive = surrogate.primitive(x) / surrogate.area();
                assert!(
                    (primitive - step).abs() < 1e-3,
                    "{surrogate:?} at {x}: {primitive}"
                );
            }
        }
    }

    #[test]
    fn invalid_parameters_are_named() {
        for a in [0.0, -1.0, 1e-40, 1e40, f64::NAN, f64::INFINITY] {
            for constructor in CONSTRUCTORS {
                let error = constructor(a).unwrap_err();
                assert!(["a", "alpha", "k"].contains(&error.field));
                assert_eq!(error.value, a.to_string());
            }
            assert_eq!(
                Surrogate::piecewise_leaky_relu(a, 0.1).unwrap_err().field,
                "w"
            );
            assert_eq!(
                Surrogate::default().with_scale(a).unwrap_err().field,
                "scale"
            );
            assert_eq!(Surrogate::default().with_peak(a).unwrap_err().field, "peak");
        }
        assert_eq!(
            Surrogate::piecewise_leaky_relu(1.0, -0.1)
                .unwrap_err()
                .field,
            "c"
        );
    }

    #[test]
    fn libraries_forms_are_the_formulas_in_their_documentation() {
        for x in [-2.0f64, -0.3, 0.0, 0.1, 1.7] {
            // snnTorch's fast sigmoid with slope 25.
            let expected = 1.0 / (25.0 * x.abs() + 1.0).powi(2);
            let got = Surrogate::super_spike(25.0).unwrap().derivative(x);
            assert!((got - expected).abs() < 1e-12);
            // SpikingJelly's PiecewiseQuadratic with alpha 2.
            let expected = (2.0 - 4.0 * x.abs()).max(0.0);
            let got = Surrogate::triangle(2.0).unwrap().derivative(x);
            assert!((got - expected).abs() < 1e-12);
            // SpikingJelly's SoftSign with alpha 3.
            let expected = 1.0 / (2.0 * 3.0 * (1.0 / 3.0 + x.abs()).powi(2));
            let got = Surrogate::fast_sigmoid(3.0).unwrap().derivative(x);
            assert!((got - expected).abs() < 1e-12);
        }
        assert!((Surrogate::super_spike(25.0).unwrap().area() - 2.0 / 25.0).abs() < 1e-15);
    }

    #[test]
    fn files_hold_the_checked_form() {
        for surrogate in all().into_iter().chain(leaky()) {
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
