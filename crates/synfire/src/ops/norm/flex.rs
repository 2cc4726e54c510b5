//! Batch normalisation on flex: one pass over the input for its statistics, one to normalise it, and two passes back. Neurons
//! that run together with it do the second pass, and the first one back, in their own.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{NormBackwardOps, NormKept, NormOps};
use crate::ops::backward::InputGradients;
use crate::ops::block::{Neurons, read_whole, whole};
use crate::ops::memory::{Shared, elements, slice, slice_mut, tensor, written};

/// Elements of a part, which stays in the second cache while it is read twice. Parts do not depend on threads: nor do sums.
const PART: usize = 1 << 15;
/// The shortest row that is worth a loop of its own: of fewer channels, several rows are taken as one.
const WIDE: usize = 64;

/// Rows that are summed in f32.
const FEW: usize = 32;

/// A matrix with a column for each channel, several of its rows taken as one where they are short.
#[derive(Clone, Copy)]
pub struct Columns {
    rows: usize,
    channels: usize,
    /// Rows that are taken as one.
    together: usize,
}

impl Columns {
    fn of(x: &FlexTensor) -> Self {
        elements(&x.shape());
        let [rows, channels] = x.shape().dims();
        Self::new(rows, channels)
    }

    pub fn new(rows: usize, channels: usize) -> Self {
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
    fn wide(&self, of_channels: &[f32]) -> Vec<f32> {
        of_channels.repeat(self.together)
    }

    /// Two sums for each channel of a part of so many elements. `body` adds those of `few` rows, from an element on, to two
    /// sums for each element of a row: few, because sums in f32 are coarse.
    fn sums(
        &self,
        elements: usize,
        few: usize,
        body: impl Fn(Range<usize>, &mut [f32], &mut [f32]),
    ) -> [Vec<f64>; 2] {
        let width = self.width();
        let mut of_few = [0; 2].map(|_| vec![0.0; width]);
        let mut sums = [0; 2].map(|_| vec![0.0; self.channels]);
        for start in (0..elements).step_by(few * width) {
            let [first, second] = &mut of_few;
            first.fill(0.0);
            second.fill(0.0);
            body(start..elements.min(start + few * width), first, second);
            for (sums, few) in sums.iter_mut().zip(&of_few) {
                for row in few.chunks_exact(self.channels) {
                    for (sum, x) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*x);
                    }
                }
            }
        }
        sums
    }

    /// [`sums`](Self::sums) of all of so many elements, from those of parts.
    pub fn totals(
        &self,
        elements: usize,
        few: usize,
        body: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) -> [Vec<f64>; 2] {
        let part = self.part();
        let of_part = |i: usize| {
            let start = i * part;
            self.sums(part.min(elements - start), few, |rows, sums, others| {
                body(start + rows.start..start + rows.end, sums, others);
            })
        };
        let parts = (0..elements.div_ceil(part)).into_par_iter().map(of_part);
        let mut totals = [0; 2].map(|_| vec![0.0; self.channels]);
        for part in parts.collect::<Vec<_>>() {
            for (total, part) in totals.iter_mut().zip(part) {
                for (total, x) in total.iter_mut().zip(part) {
                    *total += x;
                }
            }
        }
        totals
    }

    /// The totals of two rows, one after the other, with a number for each neuron: a sum over so many steps.
    pub fn totals_of_rows(&self, rows: &[f32], steps: usize) -> [Vec<f64>; 2] {
        let (first, second) = rows.split_at(rows.len() / 2);
        let arch = Arch::new();
        let few = (FEW / steps.max(1)).max(1);
        self.totals(first.len(), few, |part, sums, others| {
            arch.dispatch(RowSums(&first[part.clone()], sums));
            arch.dispatch(RowSums(&second[part], others));
        })
    }
}

/// Sums over the rows of a part.
struct RowSums<'a>(&'a [f32], &'a mut [f32]);

impl WithSimd for RowSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self(part, sums) = self;
        for row in part.chunks(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
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

/// Normalises a row of neurons.
struct NormalizeRow<'a> {
    x: &'a [f32],
    means: &'a [f32],
    scales: &'a [f32],
    betas: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for NormalizeRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let numbers = self.means.iter().zip(self.scales).zip(self.betas);
        for ((x, out), ((mean, scale), beta)) in self.x.iter().zip(self.out).zip(numbers) {
            *out = (x - mean) * scale + beta;
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

/// The means of all channels, their variances and `gamma / sqrt(variance + epsilon)`, `[3, C]`. The first two are those of parts,
/// put together (Chan, Golub, LeVeque 1979).
pub fn statistics(x: &[f32], columns: Columns, gamma: &FlexTensor, epsilon: f64) -> FlexTensor {
    let arch = Arch::new();
    let of_part = |part: &[f32]| {
        let count = (part.len() / columns.channels) as f64;
        let sums = |means: &[f64]| {
            let means: Vec<f32> = means.iter().map(|mean| *mean as f32).collect();
            let means = columns.wide(&means);
            columns.sums(part.len(), FEW, |rows, sums, squares| {
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
    let [means, variances] = all;
    let gamma = gamma.to_contiguous();
    let scales = slice(&gamma).iter().zip(&variances);
    let scales = scales.map(|(gamma, variance)| f64::from(*gamma) / (variance + epsilon).sqrt());
    let scales: Vec<f64> = scales.collect();
    let numbers = [means, variances, scales].concat().into_iter();
    let numbers = numbers.map(|x| x as f32).collect();
    tensor(numbers, Shape::from(vec![3, columns.channels]))
}

/// The normalisation of each channel: `(x - mean) * scale + beta`.
pub struct ChannelNorm {
    means: Vec<f32>,
    scales: Vec<f32>,
    betas: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    inverses: Vec<f64>,
}

impl ChannelNorm {
    /// That of an input with these [statistics].
    pub fn new(statistics: &FlexTensor, beta: &FlexTensor, epsilon: f64) -> Self {
        let betas = slice(&beta.to_contiguous()).to_vec();
        let (means, rest) = slice(statistics).split_at(betas.len());
        let (variances, scales) = rest.split_at(betas.len());
        let inverse = |variance: &f32| 1.0 / (f64::from(*variance) + epsilon).sqrt();
        Self {
            means: means.to_vec(),
            scales: scales.to_vec(),
            inverses: variances.iter().map(inverse).collect(),
            betas,
        }
    }

    /// Those of the neurons of a block, each a row of whole vectors in `room`.
    pub fn rows<'a>(
        &self,
        neurons: &Neurons,
        block: &Range<usize>,
        room: &'a mut [f32],
    ) -> NormRows<'a> {
        let all = [&self.means, &self.scales, &self.betas];
        for (numbers, row) in all.iter().zip(room.chunks_exact_mut(whole(block.len()))) {
            neurons.parameter(numbers).fill(block.start, row);
        }
        NormRows {
            rows: room,
            len: block.len(),
            arch: Arch::new(),
        }
    }

    /// Replaces the gradient of the output by that of the input. Returns those of `gamma` and `beta`.
    pub fn input_gradient(
        &self,
        columns: Columns,
        x: &[f32],
        gradient: &mut [f32],
        [sums, products]: [Vec<f64>; 2],
    ) -> [FlexTensor; 2] {
        let rows = columns.rows as f64;
        let of_channels = |of: &dyn Fn(usize) -> f64| -> Vec<f32> {
            (0..columns.channels).map(|c| of(c) as f32).collect()
        };
        let inverses = &self.inverses;
        let means = columns.wide(&self.means);
        let scales = columns.wide(&self.scales);
        let of_mean = columns.wide(&of_channels(&|c| sums[c] / rows));
        let of_variance = |c: usize| products[c] * inverses[c] * inverses[c] / rows;
        let of_variance = columns.wide(&of_channels(&of_variance));
        let arch = Arch::new();
        let parts = x.par_chunks(columns.part());
        let parts = parts.zip(gradient.par_chunks_mut(columns.part()));
        parts.for_each(|(part, gradient)| {
            arch.dispatch(GradientOfInput {
                part,
                gradient,
                means: &means,
                scales: &scales,
                of_mean: &of_mean,
                of_variance: &of_variance,
            });
        });
        let of_gamma = of_channels(&|c| products[c] * inverses[c]);
        let of_beta = of_channels(&|c| sums[c]);
        [of_gamma, of_beta].map(|of| tensor(of, Shape::from(vec![columns.channels])))
    }
}

/// So many elements, if there is a normalisation that needs them.
pub fn of_norm(norm: Option<&ChannelNorm>, elements: usize) -> usize {
    if norm.is_some() { elements } else { 0 }
}

/// [`ChannelNorm`] of neighbouring neurons.
#[derive(Clone, Copy)]
pub struct NormRows<'a> {
    /// Means, scales and betas, one after the other.
    rows: &'a [f32],
    len: usize,
    arch: Arch,
}

impl<'a> NormRows<'a> {
    fn row(&self, n: usize) -> &'a [f32] {
        &self.rows[n * whole(self.len)..][..self.len]
    }

    /// A row of an input, of whole vectors: normalised in `room`, or without a normalisation the row itself or a copy.
    pub fn read<'r>(norm: Option<Self>, x: &'r [f32], room: &'r mut [f32]) -> &'r [f32] {
        match norm {
            Some(norm) => {
                norm.normalize(x, room);
                room
            }
            None => read_whole(x, room),
        }
    }

    /// Writes a row of neurons, normalised.
    pub fn normalize(&self, x: &[f32], out: &mut [f32]) {
        self.arch.dispatch(NormalizeRow {
            x: &x[..self.len],
            means: self.row(0),
            scales: self.row(1),
            betas: self.row(2),
            out: &mut out[..self.len],
        });
    }

    /// Adds a row of the gradient, and its products with the centred input, to two sums for each neuron.
    pub fn add_sums(&self, x: &[f32], gradient: &[f32], sums: &mut [f32]) {
        let (sums, products) = sums.split_at_mut(whole(self.len));
        self.arch.dispatch(GradientSums {
            part: &x[..self.len],
            gradient: &gradient[..self.len],
            means: self.row(0),
            sums: &mut sums[..self.len],
            products: &mut products[..self.len],
        });
    }
}

impl NormOps for Flex {
    fn normalize(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor) {
        let columns = Columns::of(&x);
        let x = x.to_contiguous();
        let values = slice(&x);
        let statistics = statistics(values, columns, &gamma, epsilon);
        let norm = ChannelNorm::new(&statistics, &beta, epsilon);
        let means = columns.wide(&norm.means);
        let scales = columns.wide(&norm.scales);
        let betas = columns.wide(&norm.betas);
        let arch = Arch::new();
        let write = |out: Shared<MaybeUninit<f32>>| {
            let parts = values.par_chunks(columns.part()).enumerate();
            parts.for_each(|(i, part)| {
                // SAFETY: parts do not overlap, and have as many results as elements.
                let out = unsafe { out.part(i * columns.part(), part.len()) };
                arch.dispatch(Normalize {
                    part,
                    means: &means,
                    scales: &scales,
                    betas: &betas,
                    out,
                });
            });
        };
        // SAFETY: the parts are all elements, and each writes all of its own.
        let output = unsafe { written(values.len(), write) };
        (tensor(output, x.shape()), statistics)
    }
}

impl NormBackwardOps for Flex {
    fn normalize_backward(kept: NormKept<Self>, gradient: FlexTensor) -> InputGradients<Self, 3> {
        let columns = Columns::of(&kept.x);
        let x = kept.x.to_contiguous();
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
        let norm = kept.norm();
        let (values, means) = (slice(&x), columns.wide(&norm.means));
        let arch = Arch::new();
        let totals = {
            let gradient = slice(&gradient);
            columns.totals(values.len(), FEW, |part, sums, products| {
                arch.dispatch(GradientSums {
                    part: &values[part.clone()],
                    gradient: &gradient[part],
                    means: &means,
                    sums,
                    products,
                });
            })
        };
        let [of_gamma, of_beta] =
            norm.input_gradient(columns, values, slice_mut(&mut gradient), totals);
        [Some(gradient), Some(of_gamma), Some(of_beta)]
    }
}

impl NormKept<Flex> {
    pub fn norm(&self) -> ChannelNorm {
        ChannelNorm::new(&self.statistics, &self.beta, self.epsilon)
    }
}
