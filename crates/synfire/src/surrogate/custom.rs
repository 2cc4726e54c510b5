//! Custom curves.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{PoisonError, RwLock};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Curve, Surrogate};
use crate::InvalidConfig;
use crate::dynamics::Term;

const OWNER: &str = "custom surrogate";

/// The registered curves.
static REGISTRY: RwLock<BTreeMap<&'static str, Custom>> = RwLock::new(BTreeMap::new());

/// Defines [`ErasedCurve`] from functions of [`Curve`] under other names.
macro_rules! erased_curve {
    ($($erased:ident => $function:ident($($x:ident: $input:ty)?) -> $output:ty;)*) => {
        /// A [`Curve`] with its type erased.
        pub(super) trait ErasedCurve: Any + Debug + Send + Sync {
            $(
                #[doc = concat!("See [`Curve::", stringify!($function), "`].")]
                fn $erased(&self $(, $x: $input)?) -> $output;
            )*

            /// The derivative of every number of a slice, in place: one virtual call for all of them.
            fn derivative_at_each(&self, xs: &mut [f32]);
        }

        impl<C: Curve> ErasedCurve for C {
            $(
                fn $erased(&self $(, $x: $input)?) -> $output {
                    self.$function($($x)?)
                }
            )*

            fn derivative_at_each(&self, xs: &mut [f32]) {
                let curve = self.clone();
                for x in xs {
                    *x = curve.derivative(*x);
                }
            }
        }
    };
}

erased_curve! {
    check => validate() -> Result<(), InvalidConfig>;
    derivative_at => derivative(x: f64) -> f64;
    derivative_term => derivative(x: Term) -> Term;
    primitive_at => primitive(x: f64) -> f64;
    primitive_term => primitive(x: Term) -> Term;
    total_area => area() -> f64;
    width => full_width_at_half_maximum() -> f64;
    named_parameters => parameters() -> Vec<(&'static str, f64)>;
}

/// A curve that was registered by [`Surrogate::custom`]. Files store its name.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Custom {
    name: &'static str,
    #[serde(skip)]
    pub(super) curve: &'static dyn ErasedCurve,
}

/// A custom curve in a file.
#[derive(Deserialize)]
struct Name {
    name: String,
}

// A name stands for one curve only.
impl PartialEq for Custom {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

// Not derived: serde's derive would have the `&'static str` borrowed from the file.
impl<'de> Deserialize<'de> for Custom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Name { name } = Name::deserialize(deserializer)?;
        let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
        registry.get(name.as_str()).copied().ok_or_else(|| {
            let expected = "a registered curve: call `Surrogate::custom` first";
            D::Error::custom(InvalidConfig::new(OWNER, "name", name, expected))
        })
    }
}

impl Custom {
    /// The name under which it was registered.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The derivatives at distances, times `scale`, in their place.
    pub(crate) fn derivative_at_each(&self, scale: f64, xs: &mut [f32]) {
        self.curve.derivative_at_each(xs);
        let scale = scale as f32;
        for x in xs {
            *x *= scale;
        }
    }

    /// The derivative, for a graph.
    pub(crate) fn derivative(&self, x: Term) -> Term {
        self.curve.derivative_term(x)
    }

    /// The primitive, for a graph.
    pub(crate) fn primitive(&self, x: Term) -> Term {
        self.curve.primitive_term(x)
    }

    /// Registers a curve that was checked.
    fn register(name: &'static str, curve: impl Curve) -> Result<Self, InvalidConfig> {
        let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        let Some(registered) = registry.get(name) else {
            let curve = Box::leak(Box::new(curve));
            let custom = Self { name, curve };
            registry.insert(name, custom);
            return Ok(custom);
        };
        let same = (registered.curve as &dyn Any).downcast_ref() == Some(&curve);
        let expected = "a name under which no other curve is registered";
        InvalidConfig::require(OWNER, "name", name, same, expected).map(|_| *registered)
    }

    /// Rejects another width: the name stands for one curve with its width.
    pub(super) fn with_width(self, width: f64) -> Result<Self, InvalidConfig> {
        let same = self.curve.width() == width;
        let field = "full width at half maximum";
        let expected = "its own width: register a curve of another width under another name";
        InvalidConfig::require(OWNER, field, width, same, expected).map(|_| self)
    }
}

impl Surrogate {
    /// A curve of your own, registered under a name for the life of the program.
    ///
    /// It trains on every backend. On `flex` it runs in the fused kernels; on CubeCL's devices, where
    /// [`Lif`](crate::neuron::Lif) has a kernel for the curves of this crate, neurons with it are unrolled. In an unrolled
    /// graph, spikes of membrane potentials that are not finite are NaN.
    ///
    /// In files it is `{"curve":"custom","name":"..."}`: a program that loads such a file registers the curve first.
    /// Registering an equal curve again returns the same surrogate.
    ///
    /// # Errors
    ///
    /// If the curve is [invalid](Curve::validate), or another one has the name.
    ///
    /// # Example
    ///
    /// ```
    /// use synfire::InvalidConfig;
    /// use synfire::dynamics::Real;
    /// use synfire::surrogate::{Curve, Surrogate};
    ///
    /// /// k/2 e^(-k |x|), the density of a Laplace distribution.
    /// #[derive(Clone, Debug, PartialEq)]
    /// struct Laplace {
    ///     k: f64,
    /// }
    ///
    /// impl Curve for Laplace {
    ///     const NAME: &'static str = "Laplace surrogate";
    ///
    ///     fn validate(&self) -> Result<(), InvalidConfig> {
    ///         InvalidConfig::require_positive(Self::NAME, "k", self.k).map(drop)
    ///     }
    ///
    ///     #[inline(always)]
    ///     fn derivative<R: Real>(&self, x: R) -> R {
    ///         x.abs().scale(-self.k).exp().scale(self.k / 2.0)
    ///     }
    ///
    ///     #[inline(always)]
    ///     fn primitive<R: Real>(&self, x: R) -> R {
    ///         let tail = x.clone().abs().scale(-self.k).exp().scale(0.5);
    ///         x.select(tail.clone().complement(), tail)
    ///     }
    ///
    ///     fn full_width_at_half_maximum(&self) -> f64 {
    ///         2.0 * 2f64.ln() / self.k
    ///     }
    ///
    ///     fn with_full_width_at_half_maximum(&self, width: f64) -> Self {
    ///         Self { k: 2.0 * 2f64.ln() / width }
    ///     }
    ///
    ///     fn parameters(&self) -> Vec<(&'static str, f64)> {
    ///         vec![("k", self.k)]
    ///     }
    /// }
    ///
    /// let laplace = Surrogate::custom("laplace", Laplace { k: 2.0 })?;
    /// assert_eq!(laplace.derivative(0.0), 1.0);
    /// let json = serde_json::to_string(&laplace).unwrap();
    /// assert_eq!(json, r#"{"curve":"custom","name":"laplace"}"#);
    /// # Ok::<(), InvalidConfig>(())
    /// ```
    pub fn custom<C: Curve>(name: &'static str, curve: C) -> Result<Self, InvalidConfig> {
        curve.validate()?;
        Self::new(Custom::register(name, curve)?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, Tolerance};

    use super::*;
    use crate::dynamics::Real;
    use crate::neuron::{LifConfig, Neuron};
    use crate::ops::Execution;
    use crate::spike::{Forward, spike_with, surrogate_derivative};

    /// The density of a Laplace distribution.
    #[derive(Clone, Debug, PartialEq)]
    struct Laplace {
        k: f64,
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

    #[test]
    fn a_custom_surrogate_goes_through_files_by_its_name() {
        let laplace = Surrogate::custom("files", Laplace { k: 3.0 }).unwrap();
        assert_eq!(laplace.derivative(0.0), 1.5);
        assert_eq!(laplace.area(), 1.0);
        assert_eq!(laplace.parameters(), [("k", 3.0)]);
        let json = serde_json::to_string(&laplace).unwrap();
        assert_eq!(json, r#"{"curve":"custom","name":"files"}"#);
        assert_eq!(serde_json::from_str::<Surrogate>(&json).unwrap(), laplace);
        let scaled = laplace.with_scale(0.5).unwrap();
        let json = serde_json::to_string(&scaled).unwrap();
        assert_eq!(json, r#"{"curve":"custom","name":"files","scale":0.5}"#);
        assert_eq!(serde_json::from_str::<Surrogate>(&json).unwrap(), scaled);

        let unknown = r#"{"curve":"custom","name":"nobody"}"#;
        let error = serde_json::from_str::<Surrogate>(unknown).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`name` of custom surrogate: nobody")
        );
        assert!(error.to_string().contains("Surrogate::custom"), "{error}");
    }

    #[test]
    fn a_name_is_of_one_curve() {
        let first = Surrogate::custom("one curve", Laplace { k: 1.0 }).unwrap();
        let again = Surrogate::custom("one curve", Laplace { k: 1.0 }).unwrap();
        assert_eq!(first, again);
        let error = Surrogate::custom("one curve", Laplace { k: 2.0 }).unwrap_err();
        assert_eq!((error.field, error.value.as_str()), ("name", "one curve"));
        let error = Surrogate::custom("one curve", super::super::Gaussian { a: 1.0 });
        assert_eq!(error.unwrap_err().field, "name");
        let error = Surrogate::custom("invalid", Laplace { k: -1.0 }).unwrap_err();
        assert_eq!((error.owner, error.field), ("Laplace surrogate", "k"));

        let width = first.full_width_at_half_maximum();
        assert_eq!(first.with_full_width_at_half_maximum(width), Ok(first));
        assert!(first.with_full_width_at_half_maximum(2.0 * width).is_err());
    }

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.to_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_custom_surrogate_is_the_gradient_of_a_spike() {
        let laplace = Surrogate::custom("spike", Laplace { k: 2.0 }).unwrap();
        let laplace = laplace.with_scale(1.5).unwrap();
        let device = Device::flex().autodiff();
        let xs = [-1.5f32, -0.2, 0.0, 0.3, 2.0];
        let close = |got: &[f32], of: fn(&Surrogate, f64) -> f64| {
            for (got, x) in got.iter().zip(xs) {
                let expected = of(&laplace, f64::from(x));
                assert!((f64::from(*got) - expected).abs() < 1e-6, "{x}: {got}");
            }
        };
        for forward in [Forward::Step, Forward::StrictStep, Forward::Smooth] {
            let x = Tensor::<1>::from_floats(xs, &device).require_grad();
            let spikes = spike_with(x.clone(), laplace, forward);
            match forward {
                Forward::Step => assert_eq!(values(&spikes), [0.0, 0.0, 1.0, 1.0, 1.0]),
                Forward::StrictStep => assert_eq!(values(&spikes), [0.0, 0.0, 0.0, 1.0, 1.0]),
                Forward::Smooth => close(&values(&spikes), Surrogate::primitive),
            }
            let gradients = spikes.sum().backward();
            close(&values(&x.grad(&gradients).unwrap()), Surrogate::derivative);
            close(
                &values(&surrogate_derivative(x, laplace)),
                Surrogate::derivative,
            );
        }
    }

    #[test]
    fn a_custom_surrogate_is_fused() {
        let laplace = Surrogate::custom("fused", Laplace { k: 2.0 }).unwrap();
        let device = Device::flex().autodiff();
        let gradient = |path| {
            let config = LifConfig::new()
                .with_surrogate(laplace)
                .with_execution(path);
            let lif = config.init(&device).unwrap();
            let x: Vec<f32> = (0..60).map(|i| (i * 37 % 60) as f32 / 40.0).collect();
            let x = Tensor::<1>::from_floats(x.as_slice(), &device);
            let x = x.reshape([5, 2, 6]).require_grad();
            let (spikes, _) = lif.forward(x.clone(), None);
            x.grad(&spikes.sum().backward()).unwrap().to_data()
        };
        let tolerance = Tolerance::<f32>::absolute(1e-5);
        gradient(Execution::Auto).assert_approx_eq(&gradient(Execution::Unrolled), tolerance);
    }
}
