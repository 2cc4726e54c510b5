//! The numbers that equations of neurons are written in.
//!
//! An equation is written once, for any of them. With tensors it is the unrolled graph; with [`Wide`] numbers, a vector of
//! neurons at a time, the forward pass of a fused kernel; with [`Dual`] ones, which carry derivatives along, its backward
//! pass.

use std::ops::{Add, Div, Mul, Neg, Sub};
use std::slice::{from_mut, from_ref};

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use pulp::Simd;
use pulp::bytemuck::{Zeroable, cast_slice, cast_slice_mut, pod_read_unaligned};

use crate::kernel::AnyDerivative;
use crate::spike::{Forward, spike_with};
use crate::surrogate::Surrogate;

/// What equations can do with a number. Results are the same to the last bit whichever it is, [`exp`](Self::exp) excepted.
pub(crate) trait Real:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Times a constant.
    fn scale(self, by: f64) -> Self;

    /// Plus a constant.
    fn plus(self, constant: f64) -> Self;

    /// `e` to the power of it.
    fn exp(self) -> Self;

    /// Itself where it is above 0, else 0.
    fn positive(self) -> Self;

    /// A constant of this value for the backward pass.
    fn constant(self) -> Self;
}

/// How a spike is made of the distance from the threshold.
pub(crate) trait Fire<R> {
    /// 1 or 0.
    fn fire(&self, distance: R) -> R;
}

impl<const D: usize> Real for Tensor<D> {
    fn scale(self, by: f64) -> Self {
        self.mul_scalar(by)
    }

    fn plus(self, constant: f64) -> Self {
        self.add_scalar(constant)
    }

    fn exp(self) -> Self {
        Tensor::exp(self)
    }

    fn positive(self) -> Self {
        relu(self)
    }

    fn constant(self) -> Self {
        self.detach()
    }
}

/// Spikes of tensors: the custom operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FireTensor {
    pub surrogate: Surrogate,
    pub forward: Forward,
}

impl<const D: usize> Fire<Tensor<D>> for FireTensor {
    fn fire(&self, distance: Tensor<D>) -> Tensor<D> {
        spike_with(distance, self.surrogate, self.forward)
    }
}

/// The same number of neighbouring neurons, as many as a vector of the processor holds.
///
/// Vectors by name and not loops over arrays: of those the compiler made vectors across derivatives, gathered from memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide<S: Simd> {
    simd: S,
    lanes: S::f32s,
}

impl<S: Simd> Wide<S> {
    /// How many neurons these are.
    pub const WIDTH: usize = S::F32_LANES;

    /// The same for all.
    #[inline(always)]
    pub fn splat(simd: S, value: f32) -> Self {
        Self {
            simd,
            lanes: simd.splat_f32s(value),
        }
    }

    /// The numbers from `at` on, zeros after the last.
    #[inline(always)]
    pub fn load(simd: S, from: &[f32], at: usize) -> Self {
        let lanes = match from.get(at..at + Self::WIDTH) {
            Some(all) => pod_read_unaligned(cast_slice(all)),
            None => {
                let mut lanes = S::f32s::zeroed();
                let some = &from[at..];
                cast_slice_mut(from_mut(&mut lanes))[..some.len()].copy_from_slice(some);
                lanes
            }
        };
        Self { simd, lanes }
    }

    /// The numbers one by one.
    #[inline(always)]
    pub fn as_slice(&self) -> &[f32] {
        cast_slice(from_ref(&self.lanes))
    }

    #[inline(always)]
    fn as_mut_slice(&mut self) -> &mut [f32] {
        cast_slice_mut(from_mut(&mut self.lanes))
    }

    /// `value` where a number is above 0, or 0 itself if it counts, else 0.
    #[inline(always)]
    fn choose(self, or_zero: bool, value: Self) -> Self {
        let zero = self.simd.splat_f32s(0.0);
        let above = match or_zero {
            true => self.simd.greater_than_or_equal_f32s(self.lanes, zero),
            false => self.simd.greater_than_f32s(self.lanes, zero),
        };
        Self {
            lanes: self.simd.select_f32s(above, value.lanes, zero),
            ..self
        }
    }

    #[inline(always)]
    fn like(self, value: f32) -> Self {
        Self::splat(self.simd, value)
    }
}

/// Implements an operator of [`Wide`] numbers.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:ident) => {
        impl<S: Simd> $trait for Wide<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self {
                    lanes: self.simd.$op(self.lanes, other.lanes),
                    ..self
                }
            }
        }
    };
}

operator!(Add, add, add_f32s);
operator!(Sub, sub, sub_f32s);
operator!(Mul, mul, mul_f32s);
operator!(Div, div, div_f32s);

impl<S: Simd> Neg for Wide<S> {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self {
            lanes: self.simd.neg_f32s(self.lanes),
            ..self
        }
    }
}

impl<S: Simd> Real for Wide<S> {
    #[inline(always)]
    fn scale(self, by: f64) -> Self {
        self * self.like(by as f32)
    }

    #[inline(always)]
    fn plus(self, constant: f64) -> Self {
        self + self.like(constant as f32)
    }

    #[inline(always)]
    fn exp(mut self) -> Self {
        for x in self.as_mut_slice() {
            *x = x.exp();
        }
        self
    }

    #[inline(always)]
    fn positive(self) -> Self {
        self.choose(false, self)
    }

    #[inline(always)]
    fn constant(self) -> Self {
        self
    }
}

/// Spikes of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FireStep {
    /// Whether a neuron at its threshold does not fire.
    pub strict: bool,
}

impl<S: Simd> Fire<Wide<S>> for FireStep {
    #[inline(always)]
    fn fire(&self, distance: Wide<S>) -> Wide<S> {
        distance.choose(!self.strict, distance.like(1.0))
    }
}

/// A number with its derivatives by `K` others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual<S: Simd, const K: usize> {
    pub value: Wide<S>,
    pub by: [Wide<S>; K],
}

impl<S: Simd, const K: usize> Dual<S, K> {
    /// A number that the others do not change.
    #[inline(always)]
    pub fn of(value: Wide<S>) -> Self {
        Self {
            value,
            by: [value.like(0.0); K],
        }
    }

    /// The number with this index.
    #[inline(always)]
    pub fn variable(value: Wide<S>, index: usize) -> Self {
        let mut dual = Self::of(value);
        dual.by[index] = value.like(1.0);
        dual
    }

    /// A function of it, from its value and its derivative.
    #[inline(always)]
    fn chain(mut self, value: Wide<S>, derivative: Wide<S>) -> Self {
        for by in &mut self.by {
            *by = *by * derivative;
        }
        self.value = value;
        self
    }
}

impl<S: Simd, const K: usize> Add for Dual<S, K> {
    type Output = Self;

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        let value = self.value + other.value;
        for k in 0..K {
            self.by[k] = self.by[k] + other.by[k];
        }
        self.value = value;
        self
    }
}

impl<S: Simd, const K: usize> Sub for Dual<S, K> {
    type Output = Self;

    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        let value = self.value - other.value;
        for k in 0..K {
            self.by[k] = self.by[k] - other.by[k];
        }
        self.value = value;
        self
    }
}

impl<S: Simd, const K: usize> Mul for Dual<S, K> {
    type Output = Self;

    // Derivatives of products are sums.
    #[allow(clippy::suspicious_arithmetic_impl)]
    #[inline(always)]
    fn mul(mut self, other: Self) -> Self {
        let value = self.value * other.value;
        for k in 0..K {
            self.by[k] = self.by[k] * other.value + other.by[k] * self.value;
        }
        self.value = value;
        self
    }
}

impl<S: Simd, const K: usize> Div for Dual<S, K> {
    type Output = Self;

    // As of products.
    #[allow(clippy::suspicious_arithmetic_impl)]
    #[inline(always)]
    fn div(mut self, other: Self) -> Self {
        let value = self.value / other.value;
        for k in 0..K {
            self.by[k] = (self.by[k] - value * other.by[k]) / other.value;
        }
        self.value = value;
        self
    }
}

impl<S: Simd, const K: usize> Neg for Dual<S, K> {
    type Output = Self;

    #[inline(always)]
    fn neg(mut self) -> Self {
        for by in &mut self.by {
            *by = -*by;
        }
        self.value = -self.value;
        self
    }
}

impl<S: Simd, const K: usize> Real for Dual<S, K> {
    #[inline(always)]
    fn scale(mut self, by: f64) -> Self {
        for derivative in &mut self.by {
            *derivative = derivative.scale(by);
        }
        self.value = self.value.scale(by);
        self
    }

    #[inline(always)]
    fn plus(self, constant: f64) -> Self {
        Self {
            value: self.value.plus(constant),
            by: self.by,
        }
    }

    #[inline(always)]
    fn exp(self) -> Self {
        let value = self.value.exp();
        self.chain(value, value)
    }

    #[inline(always)]
    fn positive(self) -> Self {
        let above = self.value.choose(false, self.value.like(1.0));
        self.chain(self.value.positive(), above)
    }

    #[inline(always)]
    fn constant(self) -> Self {
        Self::of(self.value)
    }
}

/// Spikes of numbers, with the derivative of a surrogate.
#[derive(Clone, Copy)]
pub(crate) struct FireDual {
    pub step: FireStep,
    pub derivative: AnyDerivative,
}

impl<S: Simd, const K: usize> Fire<Dual<S, K>> for FireDual {
    #[inline(always)]
    fn fire(&self, distance: Dual<S, K>) -> Dual<S, K> {
        let value = self.step.fire(distance.value);
        let mut derivative = distance.value;
        self.derivative.at_each(derivative.as_mut_slice());
        distance.chain(value, derivative)
    }
}
