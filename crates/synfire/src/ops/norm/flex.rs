//! Batch normalisation on flex: one pass over the input for its statistics, one to normalise it, and two passes back.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{NormBackwardOps, NormKept, NormOps};
use crate::ops::backward::InputGradients;
use crate::ops::memory::{Shared, elements, slice, slice_mut, tensor, written};

/// Elements of a part, which stays in the second cache while it is read twice. Parts do not depend on threads: nor do sums.
const PART: usize = 1 << 15;
/// The shortest row that is worth a loop of its own: of fewer channels, several rows are taken as one.
const WIDE: usize = 64;

/// A matrix with a column for each channel, several of its rows taken as one where they are short.
#[derive(Clone, Copy)]
struct Columns {
    rows: usize,
    channels: usize,
    /// Rows that are taken as one.
    together: usize,
}

impl Columns {
    fn new(x: &FlexTensor) -> Self {
        elements(&x.shape());
        let [rows, channels] = x.shape().dims();
        Self {
            rows,
            channels,
            together: (WIDE / channels.max(1)).max(1),
        }
    }

    /// Elements of a row, as it is taken.
    fn width(&self) -> usize {
        self.channels * self.together
    }

    /// Elements of a part.
    fn part(&self) -> usize {
        let width = self.width().max(1);
        (PART / width).max(1) * width
    }

    /// One number for each element of a row, of numbers for each channel.
    fn wide(&self, of_channel: impl Fn(usize) -> f64) -> Vec<f32> {
        let of_row = (0..self.channels).map(|channel| of_channel(channel) as f32);
        of_row.collect::<Vec<_>>().repeat(self.together)
    }

    /// Two sums for each channel of a part of so many elements. `body` adds those of a few rows, from an element on, to two
    /// sums for each element of a row: few, because sums in f32 are coarse.
    fn sums(
        &self,
        elements: usize,
        body: impl Fn(Range<usize>, &mut [f32], &mut [f32]),
    ) -> [Vec<f64>; 2] {
        const FEW: usize = 32;
        let width = self.width();
        let mut few = [0; 2].map(|_| vec![0.0; width]);
        let mut sums = [0; 2].map(|_| vec![0.0; self.channels]);
        for start in (0..elements).step_by(FEW * width) {
            let [first, second] = &mut few;
            first.fill(0.0);
            second.fill(0.0);
            body(start..elements.min(start + FEW * width), first, second);
            for (sums, few) in sums.iter_mut().zip(&few) {
                for row in few.chunks_exact(self.channels) {
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*x);
                    }
                }
            }
        }
        sums
    }
}

/// Sums over the rows of a part: of its elements' distances from `means`, and of their squares.
struct ColumnSums<'a> {
    part: &'a [f32],
    means: &'a [f32],
    sums: &'a mut [f32],
    squares: &'a mut [f32],
}

impl WithSimd for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.part.chunks(self.means.len()) {
            let sums = self.sums.iter_mut().zip(self.squares.iter_mut());
            for ((x, mean), (sum, square)) in row.iter().zip(self.means).zip(sums) {
                let centred = x - mean;
                *sum += centred;
                *square += centred * centred;
            }
        }
    }
}

/// Normalises a part: `(x - mean) * scale + beta`.
struct Normalize<'a> {
    part: &'a [f32],
    means: &'a [f32],
    scales: &'a [f32],
    betas: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.means.len();
        for (row, out) in self.part.chunks(width).zip(self.out.chunks_mut(width)) {
            let numbers = self.means.iter().zip(self.scales).zip(self.betas);
            for ((x, out), ((mean, scale), beta)) in row.iter().zip(out).zip(numbers) {
                out.write((x - mean) * scale + beta);
            }
        }
    }
}

/// Sums over the rows of a part of the gradient: of its elements, and of their products with the centred input.
struct GradientSums<'a> {
    part: &'a [f32],
    gradient: &'a [f32],
    means: &'a [f32],
    sums: &'a mut [f32],
    products: &'a mut [f32],
}

impl WithSimd for GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.means.len();
        for (row, gradient) in self.part.chunks(width).zip(self.gradient.chunks(width)) {
            let sums = self.sums.iter_mut().zip(self.products.iter_mut());
            let numbers = row.iter().zip(gradient).zip(self.means);
            for (((x, dy), mean), (sum, product)) in numbers.zip(sums) {
                *sum += dy;
                *product += dy * (x - mean);
            }
        }
    }
}

/// Replaces a part of the gradient by that of the input: `scale * (dy - of_mean - (x - mean) * of_variance)`.
struct GradientOfInput<'a> {
    part: &'a [f32],
    gradient: &'a mut [f32],
    means: &'a [f32],
    scales: &'a [f32],
    of_mean: &'a [f32],
    of_variance: &'a [f32],
}

impl WithSimd for GradientOfInput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let width = self.means.len();
        for (row, gradient) in self.part.chunks(width).zip(self.gradient.chunks_mut(width)) {
            let statistics = self.means.iter().zip(self.scales);
            let shares = self.of_mean.iter().zip(self.of_variance);
            let numbers = row.iter().zip(gradient).zip(statistics.zip(shares));
            for ((x, dy), ((mean, scale), (of_mean, of_variance))) in numbers {
                *dy = scale * (*dy - of_mean - (x - mean) * of_variance);
            }
        }
    }
}

/// Mean and variance of each channel: those of parts, put together (Chan, Golub, LeVeque 1979).
fn statistics(x: &[f32], columns: Columns, arch: Arch) -> [Vec<f64>; 2] {
    let of_part = |part: &[f32]| {
        let count = (part.len() / columns.channels) as f64;
        let sums = |means: &[f64]| {
            let means = columns.wide(|channel| means[channel]);
            columns.sums(part.len(), |rows, sums, squares| {
                arch.dispatch(ColumnSums {
                    part: &part[rows],
                    means: &means,
                    sums,
                    squares,
                });
            })
        };
        // Once about 0, and once more about the mean that this gives.
        let mut means = vec![0.0; columns.channels];
        let [rough, _] = sums(&means);
        for (mean, sum) in means.iter_mut().zip(rough) {
            *mean = f64::from((sum / count) as f32);
        }
        let [rest, mut squares] = sums(&means);
        for ((mean, square), rest) in means.iter_mut().zip(&mut squares).zip(rest) {
            *mean += rest / count;
            *square -= rest * rest / count;
            // By rounding, where all are the same.
            if *square < 0.0 {
                *square = 0.0;
            }
        }
        (count, means, squares)
    };
    let parts: Vec<_> = x.par_chunks(columns.part()).map(of_part).collect();
    let mut total = 0.0;
    let mut all = [0; 2].map(|_| vec![0.0; columns.channels]);
    for (count, means, squares) in parts {
        let sum = total + count;
        let [all_means, all_squares] = &mut all;
        for channel in 0..columns.channels {
            let distance = means[channel] - all_means[channel];
            all_means[channel] += distance * count / sum;
            all_squares[channel] += squares[channel] + distance * distance * total * count / sum;
        }
        total = sum;
    }
    // Of no rows 0 / 0, as Burn has it.
    all[1].iter_mut().for_each(|squares| *squares /= total);
    all
}

impl NormOps for Flex {
    fn normalize(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        let columns = Columns::new(&x);
        let x = x.to_contiguous();
        let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
        let arch = Arch::new();
        let [means, variances] = statistics(slice(&x), columns, arch);
        let gammas = slice(&gamma);
        let scale = |c: usize| f64::from(gammas[c]) / (variances[c] + epsilon).sqrt();
        let [wide_means, scales] = [columns.wide(|c| means[c]), columns.wide(scale)];
        let betas = columns.wide(|c| f64::from(slice(&beta)[c]));
        let values = slice(&x);
        let write = |out: Shared<MaybeUninit<f32>>| {
            let parts = values.par_chunks(columns.part()).enumerate();
            parts.for_each(|(i, part)| {
                // SAFETY: parts do not overlap, and have as many results as elements.
                let out = unsafe { out.part(i * columns.part(), part.len()) };
                arch.dispatch(Normalize {
                    part,
                    means: &wide_means,
                    scales: &scales,
                    betas: &betas,
                    out,
                });
            });
        };
        // SAFETY: the parts are all elements, and each writes all of its own.
        let output = unsafe { written(values.len(), write) };
        let statistics = [means, variances].concat();
        let statistics = statistics.into_iter().map(|x| x as f32).collect();
        (
            tensor(output, x.shape()),
            tensor(statistics, Shape::from(vec![2, columns.channels])),
        )
    }
}

impl NormBackwardOps for Flex {
    fn normalize_backward(kept: NormKept<Self>, gradient: FlexTensor) -> InputGradients<Self, 3> {
        let columns = Columns::new(&kept.x);
        let (x, gamma) = (kept.x.to_contiguous(), kept.gamma.to_contiguous());
        assert_eq!(
            gradient.shape(),
            x.shape(),
            "kernel: a gradient of the output"
        );
        // Without another handle, so that it is overwritten and not copied.
        let mut gradient = {
            let given = gradient;
            given.to_contiguous()
        };
        let (values, gammas) = (slice(&x), slice(&gamma));
        let (means, variances) = slice(&kept.statistics).split_at(columns.channels);
        let inverse = |c: usize| 1.0 / (f64::from(variances[c]) + kept.epsilon).sqrt();
        let wide_means = columns.wide(|c| f64::from(means[c]));
        let arch = Arch::new();
        let of_part = |(part, gradient): (&[f32], &[f32])| {
            columns.sums(part.len(), |rows, sums, products| {
                arch.dispatch(GradientSums {
                    part: &part[rows.clone()],
                    gradient: &gradient[rows],
                    means: &wide_means,
                    sums,
                    products,
                });
            })
        };
        let gradients = slice(&gradient).par_chunks(columns.part());
        let parts = values.par_chunks(columns.part()).zip(gradients);
        let parts: Vec<_> = parts.map(of_part).collect();
        let mut totals = [0; 2].map(|_| vec![0.0; columns.channels]);
        for part in parts {
            for (total, part) in totals.iter_mut().zip(part) {
                for (total, x) in total.iter_mut().zip(part) {
                    *total += x;
                }
            }
        }
        let [sums, products] = totals;
        let rows = columns.rows as f64;
        let scales = columns.wide(|c| f64::from(gammas[c]) * inverse(c));
        let of_mean = columns.wide(|c| sums[c] / rows);
        let of_variance = columns.wide(|c| products[c] * inverse(c) * inverse(c) / rows);
        let at = slice_mut(&mut gradient).par_chunks_mut(columns.part());
        values
            .par_chunks(columns.part())
            .zip(at)
            .for_each(|(part, gradient)| {
                arch.dispatch(GradientOfInput {
                    part,
                    gradient,
                    means: &wide_means,
                    scales: &scales,
                    of_mean: &of_mean,
                    of_variance: &of_variance,
                });
            });
        let of_channels = |of: &dyn Fn(usize) -> f64| {
            let values = (0..columns.channels).map(|c| of(c) as f32).collect();
            tensor(values, Shape::from(vec![columns.channels]))
        };
        let of_gamma = of_channels(&|c| products[c] * inverse(c));
        let of_beta = of_channels(&|c| sums[c]);
        [Some(gradient), Some(of_gamma), Some(of_beta)]
    }
}
