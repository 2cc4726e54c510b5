//! Equations as graphs of Burn's operations.

use std::ops::{Add, Div, Mul, Neg, Sub};

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BoolDType, Dispatch, FloatDType, TensorMetadata, get_device_settings,
};
use burn::tensor::{Shape, Tensor};

use super::real::{Fire, Real, exp, functions};
use crate::spike::{Forward, spike_dispatch};
use crate::surrogate::Surrogate;

/// A term of an equation: a tensor of any rank, or a constant.
///
/// Tensors broadcast, as in Burn. Numbers with numbers are computed at once, in single precision.
#[derive(Clone, Debug)]
pub enum Term<B: Backend = Dispatch> {
    /// A number.
    Number(f32),
    /// A tensor.
    Tensor(FloatTensor<B>),
}

impl<const D: usize> From<Tensor<D>> for Term {
    fn from(tensor: Tensor<D>) -> Self {
        Self::Tensor(tensor.into_dispatch())
    }
}

impl Term {
    /// Converts the term to a tensor.
    pub(crate) fn tensor<const D: usize>(self) -> Tensor<D> {
        Tensor::from_dispatch(self.primitive())
    }
}

/// The common broadcast shape of the tensors among these terms.
pub(crate) fn common_shape<'a, B: Backend>(
    terms: impl IntoIterator<Item = &'a Term<B>>,
) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::new();
    for term in terms {
        let Term::Tensor(tensor) = term else { continue };
        let shape = tensor.shape();
        sizes.resize(sizes.len().max(shape.num_dims()), 1);
        for (size, other) in sizes.iter_mut().zip(shape.iter()) {
            *size = if *size == 1 { *other } else { *size };
        }
    }
    sizes
}

impl<B: Backend> Term<B> {
    /// Converts the term to a tensor primitive of any rank.
    pub(crate) fn primitive(self) -> FloatTensor<B> {
        match self {
            Self::Tensor(tensor) => tensor,
            Self::Number(value) => unreachable!("{value} came of a tensor"),
        }
    }

    /// A tensor of this shape, for a sequence of which `like` is a part.
    pub(crate) fn expanded(self, like: &FloatTensor<B>, shape: Shape) -> FloatTensor<B> {
        match self {
            Self::Number(value) => {
                let dtype: FloatDType = like.dtype().into();
                B::float_full(shape, value.into(), &like.device(), dtype)
            }
            Self::Tensor(tensor) if tensor.shape() == shape => tensor,
            Self::Tensor(tensor) => B::float_expand(tensor, shape),
        }
    }

    /// Applies a function to a number or a tensor.
    fn apply(
        self,
        number: impl FnOnce(f32) -> f32,
        tensor: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>,
    ) -> Self {
        match self {
            Self::Number(value) => Self::Number(number(value)),
            Self::Tensor(value) => Self::Tensor(tensor(value)),
        }
    }
}

/// Converts booleans to 1 and 0, in the type of `like`.
pub(crate) fn indicator<B: Backend>(
    like: FloatTensor<B>,
    test: impl FnOnce(FloatTensor<B>, BoolDType) -> burn::backend::tensor::BoolTensor<B>,
) -> FloatTensor<B> {
    let dtype: FloatDType = like.dtype().into();
    let truth = get_device_settings::<B>(&like.device()).bool_dtype;
    B::bool_into_float(test(like, truth), dtype)
}

/// Implements an operator: of two numbers, of two tensors, of a tensor and a number, and of a number and a tensor.
macro_rules! operator {
    ($trait:ident, $method:ident, $both:ident, $right:ident, |$number:ident, $tensor:ident| $left:expr) => {
        impl<B: Backend> $trait for Term<B> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                match (self, other) {
                    (Self::Number(a), Self::Number(b)) => Self::Number($trait::$method(a, b)),
                    (Self::Tensor(a), Self::Tensor(b)) => Self::Tensor(B::$both(a, b)),
                    (Self::Tensor(a), Self::Number(b)) => Self::Tensor(B::$right(a, b.into())),
                    (Self::Number($number), Self::Tensor($tensor)) => Self::Tensor($left),
                }
            }
        }
    };
}

operator!(Add, add, float_add, float_add_scalar, |a, b| {
    B::float_add_scalar(b, a.into())
});
operator!(Sub, sub, float_sub, float_sub_scalar, |a, b| {
    B::float_add_scalar(B::float_neg(b), a.into())
});
operator!(Mul, mul, float_mul, float_mul_scalar, |a, b| {
    B::float_mul_scalar(b, a.into())
});
operator!(Div, div, float_div, float_div_scalar, |a, b| {
    // Not a product with the reciprocal, which is rounded twice.
    let ones = Shape::from(vec![1; b.shape().num_dims()]);
    B::float_div(Self::Number(a).expanded(&b, ones), b)
});

impl<B: Backend> Neg for Term<B> {
    type Output = Self;

    fn neg(self) -> Self {
        self.apply(Neg::neg, B::float_neg)
    }
}

impl<B: Backend> Real for Term<B> {
    fn scale(self, by: f64) -> Self {
        self * Self::Number(by as f32)
    }

    fn plus(self, constant: f64) -> Self {
        self + Self::Number(constant as f32)
    }

    functions! {
        exp => |x: Self| x.apply(exp, B::float_exp),
        ln => |x: Self| x.apply(f32::ln, B::float_log),
        recip => |x: Self| x.apply(f32::recip, B::float_recip),
        sin => |x: Self| x.apply(f32::sin, B::float_sin),
        cos => |x: Self| x.apply(f32::cos, B::float_cos),
        atan => |x: Self| x.apply(f32::atan, B::float_atan),
        erf => |x: Self| x.apply(libm::erff, B::float_erf),
        abs => |x: Self| x.apply(f32::abs, B::float_abs),
        positive => |x: Self| x.apply(Real::positive, B::relu),
        constant => |x: Self| x.apply(std::convert::identity, B::float_detach),
    }

    fn below(self, bound: f64) -> Self {
        let test = |x, truth| B::float_lower_elem(x, (bound as f32).into(), truth);
        self.apply(|x| x.below(bound), |x| indicator::<B>(x, test))
    }

    fn select(self, yes: Self, no: Self) -> Self {
        let shape = Shape::from(common_shape([&self, &yes, &no]));
        let condition = match self {
            Self::Number(condition) if condition > 0.0 => return yes,
            Self::Number(_) => return no,
            Self::Tensor(condition) => condition,
        };
        let [yes, no] = [yes, no].map(|term| term.expanded(&condition, shape.clone()));
        let condition = Self::Tensor(condition).expanded(&no, shape);
        let truth = get_device_settings::<B>(&condition.device()).bool_dtype;
        let mask = B::float_greater_elem(condition, 0.0.into(), truth);
        Self::Tensor(B::float_mask_where(no, mask, yes))
    }

    fn with_gradient_of(self, other: Self) -> Self {
        match other {
            Self::Number(_) => self.constant(),
            // Zero, with a derivative of 1.
            other => self.constant() + (other.clone() - other.constant()),
        }
    }
}

/// Spikes of terms: the custom operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FireTerm {
    pub surrogate: Surrogate,
    pub forward: Forward,
}

impl Fire<Term> for FireTerm {
    fn fire(&self, distance: Term) -> Term {
        match (distance, self.forward) {
            (Term::Number(x), Forward::Step) => Term::Number(f32::from(u8::from(x >= 0.0))),
            (Term::Number(x), Forward::StrictStep) => Term::Number(f32::from(u8::from(x > 0.0))),
            (Term::Number(x), Forward::Smooth) => {
                Term::Number(self.surrogate.primitive(f64::from(x)) as f32)
            }
            (Term::Tensor(x), forward) => Term::Tensor(spike_dispatch(x, self.surrogate, forward)),
        }
    }
}
