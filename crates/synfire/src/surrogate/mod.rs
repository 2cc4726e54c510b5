//! Surrogate derivatives: the smooth curves that stand in for the derivative of a spike.
//!
//! A neuron fires when its membrane potential `u` reaches the threshold, `o = 1` where
//! `x = u - V_th >= 0`. The derivative of that step is 0 almost everywhere and infinite at 0, so the backward
//! pass uses a curve `h(x)` around 0 in its place. `h1` to `h4` of Wu et al. (2018), *Spatio-Temporal Backpropagation for
//! Training High-Performance Spiking Neural Networks*, are the rectangle, the triangle (polynomial), the derivative of
//! the sigmoid and the normal density; other libraries add arc tangent, fast sigmoid and piecewise leaky ReLU.
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
//! | [`dspike(b)`](Surrogate::dspike) | `DSpike(alpha = b)` of its SpikeDHS | | |
//! | [`piecewise_leaky_relu(w, c)`](Surrogate::piecewise_leaky_relu) | `PiecewiseLeakyReLU(w, c)` | | |
//!
//! Each curve is a file with a [`Curve`], written once and generic over [`Real`]: with `f64` it can be
//! read, plotted and tested without tensors, with tensors it is the backward pass of [`spike`](crate::spike), and with
//! vectors of `f32` that of the fused kernels. [`Surrogate::custom`] takes a curve of your own.
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

mod custom;

use std::fmt::Debug;
use std::ops::RangeBounds;

use serde::{Deserialize, Serialize};

pub use custom::Custom;

use custom::ErasedCurve;

use crate::InvalidConfig;
use crate::dynamics::Real;

/// A curve `h(x)` that stands in for the derivative of a spike, with its parameters; `x` is the distance `u - V_th` of the
/// membrane potential from the threshold.
///
/// [`derivative`](Self::derivative) and [`primitive`](Self::primitive) run in vectorised inner loops: mark them
/// `#[inline(always)]`. See [`Surrogate::custom`] for a whole curve.
pub trait Curve: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// The name in error messages, such as `gaussian surrogate`.
    const NAME: &'static str;

    /// Checks the parameters.
    ///
    /// # Errors
    ///
    /// If one is out of range.
    fn validate(&self) -> Result<(), InvalidConfig>;

    /// `h(x)`, finite.
    fn derivative<R: Real>(&self, x: R) -> R;

    /// The integral of the derivative: a smooth step from 0 to the [area](Self::area), half of it at 0.
    fn primitive<R: Real>(&self, x: R) -> R;

    /// The area under the curve.
    fn area(&self) -> f64 {
        1.0
    }

    /// The width of the curve at half of its peak; infinite if the curve does not fall below that.
    fn full_width_at_half_maximum(&self) -> f64;

    /// The same curve with another width and the same area.
    fn with_full_width_at_half_maximum(&self, width: f64) -> Self;

    /// The parameters by name, in the order of the constructor.
    fn parameters(&self) -> Vec<(&'static str, f64)>;
}

/// A check of a parameter of a curve: it is in a range.
fn within(
    range: impl RangeBounds<f64>,
    expected: &'static str,
) -> impl FnOnce(&'static str, &'static str, f64) -> Result<f64, InvalidConfig> {
    move |owner, field, value| {
        InvalidConfig::require(owner, field, value, range.contains(&value), expected)
    }
}

/// Defines a curve of the list: the struct, with the default and the check of each parameter, the constructor of its
/// [`Surrogate`], with defaults for other parameters, and its implementation of [`Curve`].
macro_rules! curve {
    (
        $(#[$doc:meta])*
        pub struct $curve:ident($name:literal) {
            $($(#[$field_doc:meta])* $field:ident = $default:expr, $check:expr;)*
        }
        $(#[$new_doc:meta])*
        pub fn $new:ident($($argument:ident),*);
        impl Curve {
            fn derivative<R: Real>(&$self:ident, $x:ident: R) -> R $derivative:block
            fn primitive<R: Real>(&$itself:ident, $y:ident: R) -> R $primitive:block
            $($function:tt)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $curve {
            $($(#[$field_doc])* pub $field: f64,)*
        }

        impl Default for $curve {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl $crate::surrogate::Curve for $curve {
            const NAME: &'static str = $name;

            fn validate(&self) -> Result<(), InvalidConfig> {
                $($check(Self::NAME, stringify!($field), self.$field)?;)*
                Ok(())
            }

            fn parameters(&self) -> Vec<(&'static str, f64)> {
                vec![$((stringify!($field), self.$field)),*]
            }

            #[inline(always)]
            fn derivative<R: Real>(&$self, $x: R) -> R $derivative

            #[inline(always)]
            fn primitive<R: Real>(&$itself, $y: R) -> R $primitive

            $($function)*
        }

        impl $crate::surrogate::Surrogate {
            $(#[$new_doc])*
            #[allow(clippy::needless_update)]
            pub fn $new($($argument: f64),*) -> Result<Self, InvalidConfig> {
                Self::new($curve { $($argument,)* ..$curve::default() })
            }
        }
    };
}

/// An operation on a curve of known type: compiled once for each curve of the list, so that its loops have no branches.
///
/// A trait and not a closure, because closures cannot be `inline(always)`: a call for each element would prevent
/// vectorisation.
pub(crate) trait CurveVisitor {
    type Output;

    /// Runs with a curve of the list and its scale.
    fn run(self, curve: impl Curve + Copy, scale: f64) -> Self::Output;

    /// Runs with a custom curve.
    fn run_custom(self, curve: Custom, scale: f64) -> Self::Output;
}

/// The list of curves: makes the modules, [`AnyCurve`], and everything that matches over it.
macro_rules! curves {
    ($($id:literal => $module:ident::$curve:ident,)*) => {
        $(
            mod $module;
            pub use $module::$curve;

            impl From<$curve> for AnyCurve {
                fn from(curve: $curve) -> Self {
                    Self::$curve(curve)
                }
            }
        )*

        /// Any [`Curve`]: of the list, or a custom one.
        ///
        /// This is the open form of a [`Surrogate`], for matching and for files. A [`Surrogate`] is a curve whose
        /// parameters have been checked.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "curve")]
        pub enum AnyCurve {
            $(
                #[doc = concat!("`", $id, "`")]
                #[serde(rename = $id)]
                $curve($curve),
            )*
            /// `custom`, see [`Surrogate::custom`].
            #[serde(rename = "custom")]
            Custom(Custom),
        }

        impl AnyCurve {
            /// Every curve of the list, with its default parameters.
            pub fn all() -> Vec<Self> {
                vec![$($curve::default().into()),*]
            }

            /// The name in files and on the command line, such as `gaussian`; `custom` for all custom curves.
            pub fn id(&self) -> &'static str {
                match self {
                    $(Self::$curve(_) => $id,)*
                    Self::Custom(_) => "custom",
                }
            }

            fn erased(&self) -> &dyn ErasedCurve {
                match self {
                    $(Self::$curve(curve) => curve,)*
                    Self::Custom(custom) => custom.curve,
                }
            }

            fn with_width(self, width: f64) -> Result<Self, InvalidConfig> {
                Ok(match self {
                    $(Self::$curve(curve) => curve.with_full_width_at_half_maximum(width).into(),)*
                    Self::Custom(custom) => custom.with_width(width)?.into(),
                })
            }
        }

        impl Surrogate {
            /// True if the curve is of another crate.
            pub(crate) fn is_custom(&self) -> bool {
                matches!(self.curve, AnyCurve::Custom(_))
            }

            /// Runs a visitor with the curve.
            #[inline(always)]
            pub(crate) fn with_curve<V: CurveVisitor>(&self, visitor: V) -> V::Output {
                match self.curve {
                    $(AnyCurve::$curve(curve) => visitor.run(curve, self.scale),)*
                    AnyCurve::Custom(custom) => visitor.run_custom(custom, self.scale),
                }
            }
        }
    };
}

// A curve is a line here, and a file.
curves! {
    "rectangular" => rectangular::Rectangular,
    "polynomial" => polynomial::Polynomial,
    "sigmoid" => sigmoid::Sigmoid,
    "gaussian" => gaussian::Gaussian,
    "multi-gaussian" => multi_gaussian::MultiGaussian,
    "atan" => atan::Atan,
    "fast-sigmoid" => fast_sigmoid::FastSigmoid,
    "dspike" => dspike::Dspike,
    "piecewise-leaky-relu" => piecewise_leaky_relu::PiecewiseLeakyRelu,
}

impl From<Custom> for AnyCurve {
    fn from(curve: Custom) -> Self {
        Self::Custom(curve)
    }
}

impl AnyCurve {
    /// The parameters by name.
    pub fn parameters(&self) -> Vec<(&'static str, f64)> {
        self.erased().named_parameters()
    }
}

/// A surrogate derivative with checked parameters: a [`Curve`] times a scale, which is 1 unless it is
/// [set](Surrogate::with_scale).
///
/// Without a scale all curves of the list but the leaky one have area 1, so their [primitives](Surrogate::primitive) rise
/// from 0 to 1 like the spike itself. In files it is a tagged object:
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
#[serde(try_from = "Unchecked")]
pub struct Surrogate {
    #[serde(flatten)]
    curve: AnyCurve,
    #[serde(skip_serializing_if = "is_one")]
    scale: f64,
}

/// A surrogate in a file.
#[derive(Deserialize)]
struct Unchecked {
    #[serde(flatten)]
    curve: AnyCurve,
    #[serde(default = "crate::init::one")]
    scale: f64,
}

fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

impl Default for Surrogate {
    /// The rectangle of width 1, the curve of the paper's experiments.
    fn default() -> Self {
        Self {
            curve: Rectangular::default().into(),
            scale: 1.0,
        }
    }
}

impl TryFrom<Unchecked> for Surrogate {
    type Error = InvalidConfig;

    fn try_from(file: Unchecked) -> Result<Self, InvalidConfig> {
        Self::new(file.curve)?.with_scale(file.scale)
    }
}

impl Surrogate {
    /// A curve of the list, such as [`Gaussian`]. For one of your own see [`custom`](Self::custom).
    ///
    /// # Errors
    ///
    /// If a parameter of the curve is out of range.
    ///
    /// # Example
    ///
    /// ```
    /// use synfire::surrogate::{AnyCurve, Gaussian, Surrogate};
    ///
    /// assert_eq!(Surrogate::new(Gaussian { a: 0.5 })?, Surrogate::gaussian(0.5)?);
    /// for curve in AnyCurve::all() {
    ///     let surrogate = Surrogate::new(curve)?;
    ///     println!("{}: {}", curve.id(), surrogate.full_width_at_half_maximum());
    /// }
    /// # Ok::<(), synfire::InvalidConfig>(())
    /// ```
    pub fn new(curve: impl Into<AnyCurve>) -> Result<Self, InvalidConfig> {
        let curve = curve.into();
        curve.erased().check()?;
        Ok(Self { curve, scale: 1.0 })
    }

    /// The curve times `scale`, in place of a scale set before.
    pub fn with_scale(self, scale: f64) -> Result<Self, InvalidConfig> {
        let scale = InvalidConfig::require_positive("surrogate", "scale", scale)?;
        Ok(Self { scale, ..self })
    }

    /// The curve scaled to the value `peak` at 0.
    pub fn with_peak(self, peak: f64) -> Result<Self, InvalidConfig> {
        InvalidConfig::require_positive("surrogate", "peak", peak)?;
        self.with_scale(peak / self.curve.erased().derivative_at(0.0))
    }

    /// The same curve with another [width](Self::full_width_at_half_maximum) and the same area, to give different curves the
    /// same width.
    ///
    /// # Errors
    ///
    /// If the width, or the parameter that gives it, is not a number from 1e-37 to 1e37, or a leaky curve has no such width
    /// because its tail is not below half of its peak. A custom curve has the width that it was registered with.
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
        let changed = Self::new(self.curve.with_width(width)?)?.with_scale(self.scale)?;
        let finite = changed.full_width_at_half_maximum().is_finite();
        let expected = "a width at which the tail is below half of the peak";
        InvalidConfig::require("surrogate", FIELD, width, finite, expected).map(|_| changed)
    }

    /// The curve and its parameters.
    pub fn curve(&self) -> AnyCurve {
        self.curve
    }

    /// The parameters of the curve by name.
    pub fn parameters(&self) -> Vec<(&'static str, f64)> {
        self.curve.parameters()
    }

    /// The scale of the curve.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// `h(x)`, the value used in place of the derivative of the spike at `x = u - V_th`.
    pub fn derivative(&self, x: f64) -> f64 {
        self.scale * self.curve.erased().derivative_at(x)
    }

    /// The integral of [`derivative`](Self::derivative): a smooth step from 0 to the area, with half of it at 0. For the leaky
    /// curve, whose area is infinite, it exceeds both.
    pub fn primitive(&self, x: f64) -> f64 {
        self.scale * self.curve.erased().primitive_at(x)
    }

    /// The area under the curve, the scale included; infinity for a leaky curve with a tail.
    pub fn area(&self) -> f64 {
        self.scale * self.curve.erased().total_area()
    }

    /// The full width at half maximum, which makes widths of different curves comparable. Infinite for a leaky curve whose tail
    /// is not below half of the peak.
    pub fn full_width_at_half_maximum(&self) -> f64 {
        self.curve.erased().width()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::dynamics::Term;

    type Constructor = fn(f64) -> Result<Surrogate, InvalidConfig>;

    const CONSTRUCTORS: [Constructor; 9] = [
        Surrogate::rectangular,
        Surrogate::polynomial,
        Surrogate::triangle,
        Surrogate::sigmoid,
        Surrogate::gaussian,
        Surrogate::atan,
        Surrogate::fast_sigmoid,
        Surrogate::super_spike,
        Surrogate::dspike,
    ];

    /// Every listed curve and the forms of other libraries, in several widths.
    fn all() -> Vec<Surrogate> {
        let listed = AnyCurve::all().into_iter().flat_map(|curve| {
            let surrogate = Surrogate::new(curve).unwrap();
            let widths = [0.2, 2.0].map(|width| {
                let changed = surrogate.with_full_width_at_half_maximum(width);
                changed.unwrap().with_scale(width).unwrap()
            });
            [surrogate].into_iter().chain(widths)
        });
        let constructed = [0.1, 0.5, 1.0, 4.0]
            .into_iter()
            .flat_map(|a| CONSTRUCTORS.map(|constructor| constructor(a).unwrap()));
        listed.chain(constructed).chain(leaky()).collect()
    }

    /// The surrogates of finite area.
    fn bounded() -> impl Iterator<Item = Surrogate> {
        all()
            .into_iter()
            .filter(|surrogate| surrogate.area().is_finite())
    }

    fn leaky() -> Vec<Surrogate> {
        [(1.0, 0.01), (0.5, 0.2), (2.0, 0.0)]
            .into_iter()
            .map(|(w, c)| Surrogate::piecewise_leaky_relu(w, c).unwrap())
            .collect()
    }

    #[test]
    fn a_width_can_be_given() {
        for surrogate in all() {
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
        for surrogate in bounded() {
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
        let leaky =
            |surrogate: &Surrogate| matches!(surrogate.curve(), AnyCurve::PiecewiseLeakyRelu(_));
        for surrogate in bounded() {
            let infinite = [f64::INFINITY, f64::NEG_INFINITY];
            // Leaky curves are excluded: 0 times infinity is NaN.
            let infinite = infinite.into_iter().filter(|_| !leaky(&surrogate));
            for x in [-1e30, -1e5, 1e5, 1e30].into_iter().chain(infinite) {
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
                assert!(["a", "alpha", "k", "b"].contains(&error.field));
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

    #[test]
    fn the_list_and_the_files_agree() {
        for curve in AnyCurve::all() {
            let json = serde_json::to_value(Surrogate::new(curve).unwrap()).unwrap();
            assert_eq!(json["curve"], curve.id());
            for (name, value) in curve.parameters() {
                assert_eq!(json[name], value, "{json}");
            }
            let fields = json.as_object().unwrap().len();
            assert_eq!(fields, 1 + curve.parameters().len(), "{json}");
        }
        let json = serde_json::to_string(&Surrogate::super_spike(25.0).unwrap()).unwrap();
        assert_eq!(json, r#"{"curve":"fast-sigmoid","k":25.0,"scale":0.08}"#);
    }

    /// The same curve in all kinds of numbers, near and far from the threshold.
    #[test]
    fn all_kinds_of_numbers_agree() {
        struct Values<'a>(&'a [f32]);

        impl CurveVisitor for Values<'_> {
            type Output = ();

            fn run(self, curve: impl Curve + Copy, _: f64) {
                let derivative = [
                    self.0
                        .iter()
                        .map(|x| curve.derivative(f64::from(*x)))
                        .collect(),
                    self.0.iter().map(|x| curve.derivative(*x).into()).collect(),
                    values(curve.derivative(term(self.0))),
                ];
                let primitive = [
                    self.0
                        .iter()
                        .map(|x| curve.primitive(f64::from(*x)))
                        .collect(),
                    self.0.iter().map(|x| curve.primitive(*x).into()).collect(),
                    values(curve.primitive(term(self.0))),
                ];
                for [expected, single, tensor] in [derivative, primitive] {
                    let peak = expected.iter().copied().fold(0.0, f64::max);
                    for got in [single, tensor] {
                        for ((x, expected), got) in self.0.iter().zip(&expected).zip(got) {
                            let error = (got - expected).abs() / peak;
                            assert!(error < 1e-6, "{curve:?} at {x}: {got} {expected}");
                        }
                    }
                }
            }

            fn run_custom(self, _: Custom, _: f64) {}
        }

        fn term(xs: &[f32]) -> Term {
            Tensor::<1>::from_floats(xs, &Device::flex()).into()
        }

        fn values(term: Term) -> Vec<f64> {
            let values = term.tensor::<1>().to_data().try_to_vec::<f32>().unwrap();
            values.into_iter().map(f64::from).collect()
        }

        for surrogate in all() {
            let width = surrogate.full_width_at_half_maximum();
            // Not at jumps, where the result depends on rounding.
            let xs = (-400..=400).map(|i| ((f64::from(i) + 0.37) * width / 50.0) as f32);
            let xs: Vec<f32> = xs.chain([0.0]).collect();
            surrogate.with_curve(Values(&xs));
        }
    }
}
