//! The operations of a spike on a backend. The default bodies are compositions of Burn's own operations, so a backend
//! needs no code; one with its own kernel overrides them.

// Burn is retiring its NdArray backend; Synfire supports it as long as Burn ships it.
#![cfg_attr(feature = "ndarray", allow(deprecated))]

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BoolDType, FloatDType, Scalar, TensorMetadata, backend_extension, get_device_settings,
};

use crate::dynamics::{Real, Term};
use crate::surrogate::{Curve, CurveVisitor, Custom, Surrogate};

/// The operations of [`spike`](crate::spike), for implementers of backends.
///
/// `Autodiff<B, C>` adds the backward pass to any `B` that implements it. Surrogates are curves of the list, not custom ones.
#[backend_extension(
    Autodiff,
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Fusion: cfg(feature = "cube")
)]
pub trait SpikeOps: Backend {
    /// 1 where `x >= 0`, else 0, in the type of `x`.
    #[fusion(default)]
    fn spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        // The surrogate only affects the backward pass.
        let _ = surrogate;
        let dtype: FloatDType = x.dtype().into();
        let fires = Self::float_greater_equal_elem(x.clone(), scalar(0.0), bool_dtype::<Self>(&x));
        Self::bool_into_float(fires, dtype)
    }

    /// 1 where `x > 0`, else 0, see [`Forward::StrictStep`](crate::spike::Forward::StrictStep).
    #[fusion(default)]
    fn strict_spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        let _ = surrogate;
        let dtype: FloatDType = x.dtype().into();
        let fires = Self::float_greater_elem(x.clone(), scalar(0.0), bool_dtype::<Self>(&x));
        Self::bool_into_float(fires, dtype)
    }

    /// The primitive of the surrogate, see [`Forward::Smooth`](crate::spike::Forward::Smooth).
    #[fusion(default)]
    fn smooth_spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        surrogate.with_curve(Primitive::<Self>(x))
    }

    /// The derivative curve at `x`, element by element.
    #[fusion(default)]
    fn surrogate_derivative(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        surrogate.with_curve(Derivative::<Self>(x))
    }
}

impl SpikeOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl SpikeOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl SpikeOps for burn_cubecl::CubeBackend {}

/// The primitive of a curve of the list.
struct Primitive<B: Backend>(FloatTensor<B>);

impl<B: Backend> CurveVisitor for Primitive<B> {
    type Output = FloatTensor<B>;

    fn run(self, curve: impl Curve + Copy, scale: f64) -> FloatTensor<B> {
        scaled(curve.primitive(Term::<B>::Tensor(self.0)), scale)
    }

    fn run_custom(self, curve: Custom, _: f64) -> FloatTensor<B> {
        not_an_operation(curve)
    }
}

/// The derivative of a curve of the list.
struct Derivative<B: Backend>(FloatTensor<B>);

impl<B: Backend> CurveVisitor for Derivative<B> {
    type Output = FloatTensor<B>;

    fn run(self, curve: impl Curve + Copy, scale: f64) -> FloatTensor<B> {
        scaled(curve.derivative(Term::<B>::Tensor(self.0)), scale)
    }

    fn run_custom(self, curve: Custom, _: f64) -> FloatTensor<B> {
        not_an_operation(curve)
    }
}

/// Custom curves only support the tensors of Burn's dispatch, not those of every backend.
fn not_an_operation(curve: Custom) -> ! {
    panic!(
        "the custom surrogate `{}` is applied by `synfire::spike::spike`, not by an operation of a backend",
        curve.name()
    )
}

/// Multiplied by the surrogate's scale, if it is not 1.
fn scaled<B: Backend>(values: Term<B>, scale: f64) -> FloatTensor<B> {
    match scale {
        1.0 => values,
        scale => values.scale(scale),
    }
    .primitive()
}

fn scalar(value: f64) -> Scalar {
    value.into()
}

fn bool_dtype<B: Backend>(x: &FloatTensor<B>) -> BoolDType {
    get_device_settings::<B>(&x.device()).bool_dtype
}
