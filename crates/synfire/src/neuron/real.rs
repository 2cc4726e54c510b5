//! The numbers that equations of neurons are written in.
//!
//! An equation is written once, for any of them. With tensors it is the unrolled graph; with [`Wide`] numbers, 16 neurons
//! at a time, the forward pass of a fused kernel; with [`Dual`] ones, which carry derivatives along, its backward pass.

use std::ops::{Add, Div, Mul, Neg, Sub};

use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::kernel::Derivative;
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

/// How many neurons are computed at once.
pub(crate) const WIDTH: usize = 16;

/// The same number of neighbouring neurons: loops over it become vectors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide(pub [f32; WIDTH]);

impl Wide {
    pub const ZERO: Self = Self([0.0; WIDTH]);

    #[inline(always)]
    fn map(mut self, of: impl Fn(f32) -> f32) -> Self {
        for x in &mut self.0 {
            *x = of(*x);
        }
        self
    }
}

/// Implements an operator of [`Wide`] numbers.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for Wide {
            type Output = Self;

            #[inline(always)]
            fn $method(mut self, other: Self) -> Self {
                for i in 0..WIDTH {
                    self.0[i] $op other.0[i];
                }
                self
            }
        }
    };
}

operator!(Add, add, +=);
operator!(Sub, sub, -=);
operator!(Mul, mul, *=);
operator!(Div, div, /=);

impl Neg for Wide {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|x| -x)
    }
}

impl Real for Wide {
    #[inline(always)]
    fn scale(self, by: f64) -> Self {
        let by = by as f32;
        self.map(|x| x * by)
    }

    #[inline(always)]
    fn plus(self, constant: f64) -> Self {
        let constant = constant as f32;
        self.map(|x| x + constant)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        self.map(f32::exp)
    }

    #[inline(always)]
    fn positive(self) -> Self {
        self.map(|x| if x > 0.0 { x } else { 0.0 })
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

impl Fire<Wide> for FireStep {
    #[inline(always)]
    fn fire(&self, distance: Wide) -> Wide {
        match self.strict {
            true => distance.map(|x| f32::from(u8::from(x > 0.0))),
            false => distance.map(|x| f32::from(u8::from(x >= 0.0))),
        }
    }
}

/// A number with its derivatives by `K` others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dual<const K: usize> {
    pub value: Wide,
    pub by: [Wide; K],
}

impl<const K: usize> Dual<K> {
    /// A number that the others do not change.
    #[inline(always)]
    pub fn of(value: Wide) -> Self {
        Self {
            value,
            by: [Wide::ZERO; K],
        }
    }

    /// The number with this index.
    #[inline(always)]
    pub fn variable(value: Wide, index: usize) -> Self {
        let mut dual = Self::of(value);
        dual.by[index] = Wide([1.0; WIDTH]);
        dual
    }

    /// A function of it, from its value and its derivative.
    #[inline(always)]
    fn chain(mut self, value: Wide, derivative: Wide) -> Self {
        for by in &mut self.by {
            *by = *by * derivative;
        }
        self.value = value;
        self
    }
}

impl<const K: usize> Add for Dual<K> {
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

impl<const K: usize> Sub for Dual<K> {
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

impl<const K: usize> Mul for Dual<K> {
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

impl<const K: usize> Div for Dual<K> {
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

impl<const K: usize> Neg for Dual<K> {
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

impl<const K: usize> Real for Dual<K> {
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
        let above = self.value.map(|x| f32::from(u8::from(x > 0.0)));
        self.chain(self.value.positive(), above)
    }

    #[inline(always)]
    fn constant(self) -> Self {
        Self::of(self.value)
    }
}

/// Spikes of numbers, with the derivative of a surrogate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FireDual<S> {
    pub step: FireStep,
    pub derivative: S,
}

impl<S: Derivative, const K: usize> Fire<Dual<K>> for FireDual<S> {
    #[inline(always)]
    fn fire(&self, distance: Dual<K>) -> Dual<K> {
        let value = self.step.fire(distance.value);
        let mut derivative = Wide::ZERO;
        for i in 0..WIDTH {
            derivative.0[i] = self.derivative.at(distance.value.0[i]);
        }
        distance.chain(value, derivative)
    }
}
