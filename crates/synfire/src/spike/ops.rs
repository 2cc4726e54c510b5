//! The operations of a spike on a backend. The default bodies are compositions of Burn's own operations, so a backend
//! needs no code; one with its own kernel overrides them.

// Burn is retiring its NdArray backend; Synfire supports it as long as Burn ships it.
#![cfg_attr(feature = "ndarray", allow(deprecated))]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

use super::Forward;
use crate::dynamics::{Real, Term, indicator};
use crate::surrogate::{Curve, CurveVisitor, Custom, Surrogate};

/// The operations of [`spike`](crate::spike), for implementers of backends.
///
/// `Autodiff<B, C>` adds the backward pass to any `B` that implements it. Surrogates are curves of the list, not custom ones.
#[backend_extension(
    Autodiff,
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Capture: cfg(feature = "capture"),
    Cube: cfg(feature = "cube"),
    Remote: cfg(feature = "remote"),
    Fusion: cfg(feature = "fusion")
)]
pub trait SpikeOps: Backend {
    /// 1 where `x >= 0`, else 0, in the type of `x`.
    #[fusion(default)]
    fn spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        // The surrogate only affects the backward pass.
        let _ = surrogate;
        indicator::<Self>(x, |x, truth| {
            Self::float_greater_equal_elem(x, 0.0.into(), truth)
        })
    }

    /// 1 where `x > 0`, else 0, see [`Forward::StrictStep`].
    #[fusion(default)]
    fn strict_spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        let _ = surrogate;
        indicator::<Self>(x, |x, truth| Self::float_greater_elem(x, 0.0.into(), truth))
    }

    /// The primitive of the surrogate, see [`Forward::Smooth`].
    #[fusion(default)]
    fn smooth_spike(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        surrogate.with_curve(Values::<Self>::Primitive(x))
    }

    /// The derivative curve at `x`, element by element.
    #[fusion(default)]
    fn surrogate_derivative(x: FloatTensor<Self>, surrogate: Surrogate) -> FloatTensor<Self> {
        surrogate.with_curve(Values::<Self>::Derivative(x))
    }
}

impl SpikeOps for burn::backend::Flex {}

#[cfg(feature = "ndarray")]
impl SpikeOps for burn::backend::NdArray {}

/// Recorded as the operations of the default bodies.
#[cfg(feature = "capture")]
impl SpikeOps for burn::backend::Capture {}

#[cfg(feature = "cube")]
impl SpikeOps for burn_cubecl::CubeBackend {}

#[cfg(feature = "remote")]
impl SpikeOps for burn_router::BackendRouter<burn_remote::RemoteChannel> {}

/// `forward` of distances.
pub(super) fn forward<B: SpikeOps>(
    x: FloatTensor<B>,
    surrogate: Surrogate,
    forward: Forward,
) -> FloatTensor<B> {
    match forward {
        Forward::Step => B::spike(x, surrogate),
        Forward::StrictStep => B::strict_spike(x, surrogate),
        Forward::Smooth => B::smooth_spike(x, surrogate),
    }
}

/// The values of a curve of the list at these distances.
enum Values<B: Backend> {
    Primitive(FloatTensor<B>),
    Derivative(FloatTensor<B>),
}

impl<B: Backend> CurveVisitor for Values<B> {
    type Output = FloatTensor<B>;

    fn run(self, curve: impl Curve + Copy, scale: f64) -> FloatTensor<B> {
        let values = match self {
            Self::Primitive(x) => curve.primitive(Term::<B>::Tensor(x)),
            Self::Derivative(x) => curve.derivative(Term::<B>::Tensor(x)),
        };
        match scale {
            1.0 => values,
            scale => values.scale(scale),
        }
        .primitive()
    }

    /// Custom curves only support the tensors of Burn's dispatch, not those of every backend.
    fn run_custom(self, curve: Custom, _: f64) -> FloatTensor<B> {
        panic!(
            "the custom surrogate `{}` is applied by `synfire::spike::spike`, not by an operation of a backend",
            curve.name()
        )
    }
}
