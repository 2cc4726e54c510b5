//! What a backend computes for a spike. The default bodies are compositions of Burn's own operations, so a backend
//! has nothing to write; one with a kernel of its own overrides them.

// Burn is retiring its NdArray backend; Synfire supports it as long as Burn ships it.
#![cfg_attr(feature = "ndarray", allow(deprecated))]

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{
    Backend, BoolDType, FloatDType, Scalar, TensorMetadata, backend_extension, get_device_settings,
};
use std::f64::consts::{FRAC_PI_2, PI};

use crate::surrogate::{Curve, Surrogate};

/// The operations of [`spike`](crate::spike), for implementers of backends.
///
/// `Autodiff<B, C>` adds the backward pass to any `B` that implements it.
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
        // The surrogate is for the backward pass alone.
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
        let primitive = match surrogate.curve() {
            Curve::Rectangular { a } => {
                let ramp =
                    Self::float_add_scalar(Self::float_mul_scalar(x, scalar(1.0 / a)), scalar(0.5));
                Self::float_clamp(ramp, scalar(0.0), scalar(1.0))
            }
            Curve::Polynomial { a } => {
                // 1/2 + sign(x) (1/2 - a/8 (2/sqrt(a) - |x|)^2), the square cut off at 0.
                let sign = Self::float_sign(x.clone());
                let rest = Self::float_clamp_min(
                    Self::float_add_scalar(
                        Self::float_neg(Self::float_abs(x)),
                        scalar(2.0 / a.sqrt()),
                    ),
                    scalar(0.0),
                );
                let tail =
                    Self::float_mul_scalar(Self::float_mul(rest.clone(), rest), scalar(-a / 8.0));
                let half = Self::float_mul(sign, Self::float_add_scalar(tail, scalar(0.5)));
                Self::float_add_scalar(half, scalar(0.5))
            }
            Curve::Sigmoid { a } => Self::sigmoid(Self::float_mul_scalar(x, scalar(1.0 / a))),
            Curve::Gaussian { a } => {
                let erf =
                    Self::float_erf(Self::float_mul_scalar(x, scalar(1.0 / (2.0 * a).sqrt())));
                Self::float_mul_scalar(Self::float_add_scalar(erf, scalar(1.0)), scalar(0.5))
            }
            Curve::Atan { alpha } => {
                let y = Self::float_mul_scalar(x, scalar(FRAC_PI_2 * alpha));
                let turn = Self::float_mul_scalar(Self::float_atan(y), scalar(1.0 / PI));
                Self::float_add_scalar(turn, scalar(0.5))
            }
            Curve::FastSigmoid { k } => {
                let y = Self::float_mul_scalar(x, scalar(k));
                let one_plus = Self::float_add_scalar(Self::float_abs(y.clone()), scalar(1.0));
                let half = Self::float_mul_scalar(Self::float_div(y, one_plus), scalar(0.5));
                Self::float_add_scalar(half, scalar(0.5))
            }
            Curve::PiecewiseLeakyRelu { w, c } => {
                let middle = Self::float_clamp(x.clone(), scalar(-w), scalar(w));
                let middle = Self::float_mul_scalar(middle, scalar(1.0 / (2.0 * w) - c));
                let both = Self::float_add(middle, Self::float_mul_scalar(x, scalar(c)));
                Self::float_add_scalar(both, scalar(0.5))
            }
        };
        scaled::<Self>(primitive, surrogate)
    }

    /// The derivative curve at `x`, element by element.
    #[fusion(default)]
    fn surrogate_derivative(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        let derivative = match surrogate.curve() {
            Curve::Rectangular { a } => {
                let dtype: FloatDType = x.dtype().into();
                let bool_dtype = bool_dtype::<Self>(&x);
                let inside: BoolTensor<Self> =
                    Self::float_lower_elem(Self::float_abs(x), scalar(a / 2.0), bool_dtype);
                Self::float_mul_scalar(Self::bool_into_float(inside, dtype), scalar(1.0 / a))
            }
            Curve::Polynomial { a } => Self::float_clamp_min(
                Self::float_add_scalar(
                    Self::float_mul_scalar(Self::float_abs(x), scalar(-a / 4.0)),
                    scalar(a.sqrt() / 2.0),
                ),
                scalar(0.0),
            ),
            Curve::Sigmoid { a } => {
                let e =
                    Self::float_exp(Self::float_mul_scalar(Self::float_abs(x), scalar(-1.0 / a)));
                let one_plus = Self::float_add_scalar(e.clone(), scalar(1.0));
                let square = Self::float_mul(one_plus.clone(), one_plus);
                Self::float_mul_scalar(Self::float_div(e, square), scalar(1.0 / a))
            }
            Curve::Gaussian { a } => Self::float_mul_scalar(
                Self::float_exp(Self::float_mul_scalar(
                    Self::float_mul(x.clone(), x),
                    scalar(-1.0 / (2.0 * a)),
                )),
                scalar(1.0 / (2.0 * PI * a).sqrt()),
            ),
            Curve::Atan { alpha } => {
                let y = Self::float_mul_scalar(x, scalar(FRAC_PI_2 * alpha));
                let below = Self::float_add_scalar(Self::float_mul(y.clone(), y), scalar(1.0));
                Self::float_mul_scalar(Self::float_recip(below), scalar(alpha / 2.0))
            }
            Curve::FastSigmoid { k } => {
                let y = Self::float_mul_scalar(Self::float_abs(x), scalar(k));
                let y = Self::float_add_scalar(y, scalar(1.0));
                let square = Self::float_mul(y.clone(), y);
                Self::float_mul_scalar(Self::float_recip(square), scalar(k / 2.0))
            }
            Curve::PiecewiseLeakyRelu { w, c } => {
                let dtype: FloatDType = x.dtype().into();
                let bool_dtype = bool_dtype::<Self>(&x);
                let inside = Self::float_lower_elem(Self::float_abs(x), scalar(w), bool_dtype);
                let inside = Self::bool_into_float(inside, dtype);
                let step = Self::float_mul_scalar(inside, scalar(1.0 / (2.0 * w) - c));
                Self::float_add_scalar(step, scalar(c))
            }
        };
        scaled::<Self>(derivative, surrogate)
    }
}

impl SpikeOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl SpikeOps for burn::backend::NdArray {}

#[cfg(feature = "cube")]
impl SpikeOps for burn_cubecl::CubeBackend {}

/// Multiplied by the surrogate's scale, if it is not 1.
fn scaled<B: Backend>(values: FloatTensor<B>, surrogate: Surrogate) -> FloatTensor<B> {
    match surrogate.scale() {
        1.0 => values,
        scale => B::float_mul_scalar(values, scalar(scale)),
    }
}

fn scalar(value: f64) -> Scalar {
    value.into()
}

fn bool_dtype<B: Backend>(x: &FloatTensor<B>) -> BoolDType {
    get_device_settings::<B>(&x.device()).bool_dtype
}
