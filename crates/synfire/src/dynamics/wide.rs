//! Equations as loops over SIMD vectors.

use std::mem::MaybeUninit;
use std::ops::{Add, Div, Mul, Neg, Sub};
use std::slice::{from_mut, from_ref};

use pulp::Simd;
use pulp::bytemuck::{cast_slice, cast_slice_mut};

use super::real::{Fire, Real, Single, functions};

/// One value of several neighbouring neurons, as many as a SIMD vector holds.
///
/// Explicit vectors, not loops over arrays: the compiler vectorised those across derivatives, with gathers from memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wide<S: Simd> {
    simd: S,
    lanes: S::f32s,
}

impl<S: Simd> Wide<S> {
    /// The number of neurons.
    pub const WIDTH: usize = S::F32_LANES;

    /// A constant in all lanes.
    #[inline(always)]
    pub fn splat(simd: S, value: f32) -> Self {
        let lanes = simd.splat_f32s(value);
        Self { simd, lanes }
    }

    /// The vector that begins at `at`, a multiple of the width, as is the length.
    #[inline(always)]
    pub fn load(simd: S, from: &[f32], at: usize) -> Self {
        let lanes = S::as_simd_f32s(from).0[at / Self::WIDTH];
        Self { simd, lanes }
    }

    /// Writes the vector that begins at `at`.
    #[inline(always)]
    pub fn store(self, to: &mut [f32], at: usize) {
        S::as_mut_simd_f32s(to).0[at / Self::WIDTH] = self.lanes;
    }

    /// [`store`](Self::store) to uninitialised memory.
    #[inline(always)]
    pub fn write(self, to: &mut [MaybeUninit<f32>], at: usize) {
        to[at..at + Self::WIDTH].write_copy_of_slice(self.as_slice());
    }

    /// The numbers one by one.
    #[inline(always)]
    pub fn as_slice(&self) -> &[f32] {
        cast_slice(from_ref(&self.lanes))
    }

    #[inline(always)]
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        cast_slice_mut(from_mut(&mut self.lanes))
    }

    /// Other lanes.
    #[inline(always)]
    fn with(self, lanes: S::f32s) -> Self {
        Self { lanes, ..self }
    }

    /// Applies a function to each lane.
    #[inline(always)]
    fn each(mut self, function: impl Fn(f32) -> f32) -> Self {
        for x in self.as_mut_slice() {
            *x = function(*x);
        }
        self
    }
}

impl<S: Simd> Single for Wide<S> {
    #[inline(always)]
    fn like(self, value: f32) -> Self {
        Self::splat(self.simd, value)
    }

    #[inline(always)]
    fn exponent(self, bias: u32) -> Self {
        let simd = self.simd;
        let bits = simd.transmute_u32s_f32s(self.lanes);
        let biased = simd.add_u32s(bits, simd.splat_u32s(bias));
        let lanes = simd.wrapping_dyn_shl_u32s(biased, simd.splat_u32s(23));
        self.with(simd.transmute_f32s_u32s(lanes))
    }
}

/// Implements an operator of [`Wide`] numbers.
macro_rules! operator {
    ($trait:ident, $method:ident, $op:ident) => {
        impl<S: Simd> $trait for Wide<S> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.with(self.simd.$op(self.lanes, other.lanes))
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
        self.with(self.simd.neg_f32s(self.lanes))
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

    functions! {
        exp => super::real::exp,
        ln => |x: Self| x.each(f32::ln),
        sin => |x: Self| x.each(f32::sin),
        cos => |x: Self| x.each(f32::cos),
        atan => |x: Self| x.each(f32::atan),
        erf => |x: Self| x.each(libm::erff),
        constant => std::convert::identity,
    }

    #[inline(always)]
    fn recip(self) -> Self {
        self.like(1.0) / self
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.with(self.simd.abs_f32s(self.lanes))
    }

    #[inline(always)]
    fn positive(self) -> Self {
        self.select(self, self.like(0.0))
    }

    #[inline(always)]
    fn below(self, bound: f64) -> Self {
        let (one, zero, bound) = (self.like(1.0), self.like(0.0), self.like(bound as f32));
        let below = self.simd.less_than_f32s(self.lanes, bound.lanes);
        self.with(self.simd.select_f32s(below, one.lanes, zero.lanes))
    }

    #[inline(always)]
    fn select(self, yes: Self, no: Self) -> Self {
        let zero = self.like(0.0);
        let above = self.simd.greater_than_f32s(self.lanes, zero.lanes);
        self.with(self.simd.select_f32s(above, yes.lanes, no.lanes))
    }

    #[inline(always)]
    fn with_gradient_of(self, _other: Self) -> Self {
        self
    }
}

/// Spikes of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FireStep {
    /// True if a neuron at its threshold does not fire.
    pub strict: bool,
}

impl<S: Simd> Fire<Wide<S>> for FireStep {
    #[inline(always)]
    fn fire(&self, distance: Wide<S>) -> Wide<S> {
        let (one, zero) = (distance.like(1.0), distance.like(0.0));
        if self.strict {
            return distance.select(one, zero);
        }
        let simd = distance.simd;
        let fires = simd.greater_than_or_equal_f32s(distance.lanes, zero.lanes);
        distance.with(simd.select_f32s(fires, one.lanes, zero.lanes))
    }
}
