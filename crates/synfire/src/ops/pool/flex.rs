//! Pooling on flex, with channels first or last as stored.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Pool, PoolBackwardOps, PoolOps, Windows};
use crate::ops::memory::{
    Shared, inverse, ordered, shown, slice, storage_order, tensor, with_scratch, written,
};

/// Elements that are worth a task of their own.
const TASK: usize = 1 << 14;

/// The input as saved for backward.
#[derive(Clone, Debug)]
pub struct PoolInput {
    shape: Shape,
    /// Its axes in storage order.
    order: Vec<usize>,
    /// For the maximum: the place in its window, in the order of the output in memory.
    places: Option<Arc<[u8]>>,
}

/// Images in storage order, `[outer, height, width, inner]`; channels are part of the first or the last axis.
struct PoolImages {
    order: Vec<usize>,
    outer: usize,
    size: [usize; 2],
    inner: usize,
    windows: Windows,
    /// Height and width of the output.
    out: [usize; 2],
}

impl PoolImages {
    fn new(shape: &Shape, order: &[usize], windows: Windows) -> Self {
        let sizes: &[usize] = shape;
        let rank = sizes.len();
        // Nothing but the channels may be faster than the width, and nothing but the width than the height.
        let last =
            order[..rank - 3].is_sorted() && order[rank - 3..] == [rank - 2, rank - 1, rank - 3];
        let (images, channels) = (sizes[..rank - 3].iter().product(), sizes[rank - 3]);
        let (order, outer, inner) = match last {
            true => (order.to_vec(), images, channels),
            false => ((0..rank).collect(), images * channels, 1),
        };
        let size = [sizes[rank - 2], sizes[rank - 1]];
        Self {
            outer,
            order,
            size,
            inner,
            windows,
            out: [windows.count(0, size[0]), windows.count(1, size[1])],
        }
    }

    fn input_len(&self) -> usize {
        self.size[0] * self.size[1] * self.inner
    }

    fn output_len(&self) -> usize {
        self.out[0] * self.out[1] * self.inner
    }

    /// Runs `body` for the index of each image.
    fn each(&self, body: impl Fn(usize) + Sync + Send) {
        if self.inner == 0 {
            // There is nothing in them.
            return;
        }
        let images = (TASK / self.input_len().max(1)).max(1);
        (0..self.outer)
            .into_par_iter()
            .with_min_len(images)
            .for_each(body);
    }

    /// The first place in a window along an axis, and the image's elements from there on.
    #[inline(always)]
    fn along(&self, axis: usize, out: usize) -> (usize, Range<usize>) {
        let start = out * self.windows.stride[axis];
        let begin = self.windows.padding[axis].0;
        let end = (start + self.windows.size[axis]).saturating_sub(begin);
        let first = start.saturating_sub(begin);
        (
            begin.saturating_sub(start),
            first..end.min(self.size[axis]).max(first),
        )
    }

    /// Runs `body` for each output pixel and each place in its window that lies in the image: with the output's first element,
    /// the place, and the input's first element.
    #[inline(always)]
    fn each_place(&self, mut body: impl FnMut(usize, usize, usize)) {
        for y in 0..self.out[0] {
            let (top, rows) = self.along(0, y);
            for x in 0..self.out[1] {
                let (left, columns) = self.along(1, x);
                let output = (y * self.out[1] + x) * self.inner;
                for (row, from_y) in (top..).zip(rows.clone()) {
                    let place = row * self.windows.size[1] + left;
                    let input = (from_y * self.size[1] + columns.start) * self.inner;
                    for i in 0..columns.len() {
                        body(output, place + i, input + i * self.inner);
                    }
                }
            }
        }
    }

    /// The factor of an average.
    fn scale(&self) -> f32 {
        1.0 / (self.windows.size[0] * self.windows.size[1]) as f32
    }
}

/// The mean of the windows of an image; adds to zeros.
struct AverageForward<'a> {
    images: &'a PoolImages,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for AverageForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let inner = self.images.inner;
        self.images.each_place(|output, _, input| {
            let output = &mut self.output[output..][..inner];
            for (to, from) in output.iter_mut().zip(&self.input[input..][..inner]) {
                *to += from;
            }
        });
        let scale = self.images.scale();
        self.output.iter_mut().for_each(|x| *x *= scale);
    }
}

/// The maximum of the windows of an image, and its places.
struct MaxForward<'a> {
    images: &'a PoolImages,
    input: &'a [f32],
    /// Minus infinity before.
    output: &'a mut [f32],
    places: &'a mut [f32],
}

impl WithSimd for MaxForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let inner = self.images.inner;
        self.images.each_place(|output, place, input| {
            let to = self.output[output..][..inner].iter_mut();
            let places = self.places[output..][..inner].iter_mut();
            let place = place as f32;
            for ((to, at), from) in to.zip(places).zip(&self.input[input..][..inner]) {
                // The first of those that are no number, or the first of the largest; the first of all, if all are -inf.
                let take = (*from > *to) | (from.is_nan() & !to.is_nan()) | (*at < 0.0);
                *to = if take { *from } else { *to };
                *at = if take { place } else { *at };
            }
        });
    }
}

/// The gradient of an image, which is 0 before, from that of the means of its windows.
struct AverageBackward<'a> {
    images: &'a PoolImages,
    gradient: &'a [f32],
    result: &'a mut [f32],
}

impl WithSimd for AverageBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (inner, scale) = (self.images.inner, self.images.scale());
        self.images.each_place(|output, _, input| {
            let result = &mut self.result[input..][..inner];
            for (to, from) in result.iter_mut().zip(&self.gradient[output..][..inner]) {
                *to += from * scale;
            }
        });
    }
}

/// The same from that of their maxima.
struct MaxBackward<'a> {
    images: &'a PoolImages,
    places: &'a [u8],
    gradient: &'a [f32],
    result: &'a mut [f32],
}

impl WithSimd for MaxBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let inner = self.images.inner;
        self.images.each_place(|output, place, input| {
            let result = &mut self.result[input..][..inner];
            let gradient = &self.gradient[output..][..inner];
            let places = &self.places[output..][..inner];
            for ((to, from), at) in result.iter_mut().zip(gradient).zip(places) {
                *to += if usize::from(*at) == place {
                    *from
                } else {
                    0.0
                };
            }
        });
    }
}

/// Averages the time steps of some neurons.
struct Steps<'a> {
    values: &'a [f32],
    neurons: usize,
    first: usize,
    output: &'a mut [f32],
}

impl WithSimd for Steps<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let steps = self.values.chunks_exact(self.neurons);
        let scale = 1.0 / steps.len() as f32;
        for step in steps {
            let from = &step[self.first..][..self.output.len()];
            for (to, from) in self.output.iter_mut().zip(from) {
                *to += from;
            }
        }
        self.output.iter_mut().for_each(|x| *x *= scale);
    }
}

/// Pools windows. For the maximum `keep` says whether to return the places, too.
fn windows(
    x: &FlexTensor,
    windows: Windows,
    max: bool,
    keep: bool,
) -> (FlexTensor, Option<Arc<[u8]>>) {
    let shape = x.shape();
    let images = PoolImages::new(&shape, &storage_order(x), windows);
    let x = ordered(x, &images.order);
    let input = slice(&x);
    let arch = Arch::new();
    let (from, to) = (images.input_len(), images.output_len());
    let mut places = vec![0u8; if keep { images.outer * to } else { 0 }];
    let kept = Shared::new(&mut places);
    let write = |out: Shared<MaybeUninit<f32>>| {
        images.each(|image| {
            // SAFETY: images do not overlap.
            let output = unsafe { out.zeros(image * to, to) };
            let input = &input[image * from..][..from];
            let images = &images;
            if !max {
                arch.dispatch(AverageForward {
                    images,
                    input,
                    output,
                });
                return;
            }
            with_scratch([to], |[places]| {
                output.fill(f32::NEG_INFINITY);
                places.fill(-1.0);
                arch.dispatch(MaxForward {
                    images,
                    input,
                    output,
                    places,
                });
                if keep {
                    // SAFETY: images do not overlap, and `places` lives until all are done.
                    let kept = unsafe { kept.part(image * to, to) };
                    for (kept, place) in kept.iter_mut().zip(places) {
                        *kept = *place as u8;
                    }
                }
            });
        });
    };
    // SAFETY: `each` is every image, of which all is written.
    let values = unsafe { written(images.outer * to, write) };
    let mut out = shape.clone();
    let rank = out.num_dims();
    out[rank - 2] = images.out[0];
    out[rank - 1] = images.out[1];
    (
        shown(values, &out, &images.order),
        keep.then(|| places.into()),
    )
}

fn windows_backward(input: PoolInput, gradient: &FlexTensor, windows: Windows) -> FlexTensor {
    let images = PoolImages::new(&input.shape, &input.order, windows);
    let gradient = ordered(gradient, &images.order);
    let gradient = slice(&gradient);
    let arch = Arch::new();
    let (from, to) = (images.output_len(), images.input_len());
    let write = |out: Shared<MaybeUninit<f32>>| {
        images.each(|image| {
            // SAFETY: images do not overlap.
            let result = unsafe { out.zeros(image * to, to) };
            let gradient = &gradient[image * from..][..from];
            let images = &images;
            match &input.places {
                None => arch.dispatch(AverageBackward {
                    images,
                    gradient,
                    result,
                }),
                Some(places) => arch.dispatch(MaxBackward {
                    images,
                    places: &places[image * from..][..from],
                    gradient,
                    result,
                }),
            }
        });
    };
    // SAFETY: `each` is every image, of which all is written.
    let values = unsafe { written(images.outer * to, write) };
    shown(values, &input.shape, &images.order)
}

/// The mean over time; axis 0 keeps size 1.
fn time(x: &FlexTensor) -> FlexTensor {
    let mut shape = x.shape();
    let order = storage_order(x);
    let x = ordered(x, &order);
    let neurons = slice(&x).len() / shape[0].max(1);
    let mut values = vec![0.0f32; neurons];
    let arch = Arch::new();
    let part = |(i, output): (usize, &mut [f32])| {
        arch.dispatch(Steps {
            values: slice(&x),
            neurons,
            first: i * TASK,
            output,
        });
    };
    values.par_chunks_mut(TASK).enumerate().for_each(part);
    shape[0] = 1;
    shown(values, &shape, &order)
}

/// The mean of all elements.
fn all(x: &FlexTensor) -> FlexTensor {
    let x = ordered(x, &storage_order(x));
    let values = slice(&x);
    // Parts do not depend on who adds them up: the sum is the same in every run.
    let sums: Vec<f32> = values
        .par_chunks(TASK)
        .map(|part| Arch::new().dispatch(Sum(part)))
        .collect();
    let sum: f64 = sums.into_iter().map(f64::from).sum();
    let mean = (sum / values.len() as f64) as f32;
    tensor(vec![mean], Shape::from(vec![1; x.shape().num_dims()]))
}

/// Sums a slice.
struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let (vectors, rest) = S::as_simd_f32s(self.0);
        let mut sums = [simd.splat_f32s(0.0); 4];
        let (fours, others) = vectors.as_chunks::<4>();
        for four in fours {
            for (sum, x) in sums.iter_mut().zip(four) {
                *sum = simd.add_f32s(*sum, *x);
            }
        }
        for x in others {
            sums[0] = simd.add_f32s(sums[0], *x);
        }
        let [a, b, c, d] = sums;
        let sum = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
        simd.reduce_sum_f32s(sum) + rest.iter().sum::<f32>()
    }
}

/// The same gradient for all elements, as a view with stride 0.
fn all_backward(shape: Shape, gradient: &FlexTensor) -> FlexTensor {
    let elements: usize = shape.num_elements();
    let value = slice(&gradient.to_contiguous())[0] / elements as f32;
    let strides = vec![0; shape.num_dims()];
    let one = tensor(vec![value], Shape::from(vec![1]));
    one.with_layout(Layout::new(shape, strides, 0))
}

/// The same gradient for every step, as a view with stride 0.
fn time_backward(shape: Shape, gradient: FlexTensor) -> FlexTensor {
    let scale = 1.0 / shape[0] as f32;
    let order = storage_order(&gradient);
    let gradient = ordered(&gradient, &order);
    let scaled = slice(&gradient).iter().map(|x| x * scale).collect();
    let one = tensor(scaled, gradient.shape()).permute(&inverse(&order));
    let mut strides = one.layout().strides().to_vec();
    strides[0] = 0;
    one.with_layout(Layout::new(shape, strides, 0))
}

impl PoolOps for Flex {
    fn pool(x: FlexTensor, pool: Pool) -> FlexTensor {
        match pool {
            Pool::Average(size) => windows(&x, size, false, false).0,
            Pool::Max(size) => windows(&x, size, true, false).0,
            Pool::Time => time(&x),
            Pool::All => all(&x),
        }
    }
}

impl PoolBackwardOps for Flex {
    type Input = PoolInput;

    fn pool_kept(x: FlexTensor, pool: Pool) -> (FlexTensor, PoolInput) {
        let mut input = PoolInput {
            shape: x.shape(),
            order: storage_order(&x),
            places: None,
        };
        let output = match pool {
            Pool::Max(size) => {
                let (output, places) = windows(&x, size, true, true);
                input.places = places;
                output
            }
            _ => Self::pool(x, pool),
        };
        (output, input)
    }

    fn pool_backward(input: PoolInput, gradient: FlexTensor, pool: Pool) -> FlexTensor {
        match pool {
            Pool::Average(window) | Pool::Max(window) => windows_backward(input, &gradient, window),
            Pool::Time => time_backward(input.shape, gradient),
            Pool::All => all_backward(input.shape, &gradient),
        }
    }
}
