//! Pooling on flex, with channels first or last as stored.

use std::mem::MaybeUninit;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{Pool, PoolBackwardOps, PoolOps};
use crate::ops::memory::{Shared, inverse, ordered, shown, slice, storage_order, tensor, written};

/// Elements that are worth a task of their own.
const TASK: usize = 1 << 14;

/// The input as saved for backward.
#[derive(Clone, Debug)]
pub struct PoolInput {
    shape: Shape,
    /// Its axes in storage order.
    order: Vec<usize>,
    /// The whole input, for the maximum.
    all: Option<FlexTensor>,
}

/// Images in storage order, `[outer, height, width, inner]`; channels are part of the first or the last axis.
struct PoolImages {
    order: Vec<usize>,
    outer: usize,
    size: [usize; 2],
    inner: usize,
    window: [usize; 2],
    /// Height and width of the output.
    out: [usize; 2],
}

impl PoolImages {
    fn new(shape: &Shape, order: &[usize], window: [usize; 2]) -> Self {
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
            window,
            out: [size[0] / window[0], size[1] / window[1]],
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
}

/// The forward pass of an image.
struct WindowsForward<'a> {
    images: &'a PoolImages,
    max: bool,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for WindowsForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let PoolImages {
            size,
            inner,
            window,
            out,
            ..
        } = *self.images;
        let scale = 1.0 / (window[0] * window[1]) as f32;
        for y in 0..out[0] {
            for x in 0..out[1] {
                let output = &mut self.output[(y * out[1] + x) * inner..][..inner];
                output.fill(if self.max { f32::NEG_INFINITY } else { 0.0 });
                for row in 0..window[0] {
                    let at = ((y * window[0] + row) * size[1] + x * window[1]) * inner;
                    let line = &self.input[at..][..window[1] * inner];
                    for from in line.chunks_exact(inner) {
                        if self.max {
                            for (to, from) in output.iter_mut().zip(from) {
                                *to = if *from > *to || from.is_nan() {
                                    *from
                                } else {
                                    *to
                                };
                            }
                        } else {
                            for (to, from) in output.iter_mut().zip(from) {
                                *to += from;
                            }
                        }
                    }
                }
                if !self.max {
                    output.iter_mut().for_each(|x| *x *= scale);
                }
            }
        }
    }
}

/// The backward pass of an image; pixels outside every window get 0.
struct WindowsBackward<'a> {
    images: &'a PoolImages,
    /// The input image, for the maximum.
    input: Option<&'a [f32]>,
    gradient: &'a [f32],
    result: &'a mut [MaybeUninit<f32>],
}

impl WithSimd for WindowsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let PoolImages {
            size,
            inner,
            window,
            out,
            ..
        } = *self.images;
        let scale = 1.0 / (window[0] * window[1]) as f32;
        let line = size[1] * inner;
        if let Some(input) = self.input {
            self.result.fill(MaybeUninit::new(0.0));
            for (i, gradient) in self.gradient.iter().enumerate() {
                let (pixel, channel) = (i / inner, i % inner);
                let (y, x) = (pixel / out[1] * window[0], pixel % out[1] * window[1]);
                let start = (y * size[1] + x) * inner + channel;
                let mut first = start;
                for row in 0..window[0] {
                    for column in 0..window[1] {
                        let at = start + row * line + column * inner;
                        let greater = input[at] > input[first];
                        if greater || (input[at].is_nan() && !input[first].is_nan()) {
                            first = at;
                        }
                    }
                }
                self.result[first].write(*gradient);
            }
            return;
        }
        let covered = out[1] * window[1] * inner;
        for y in 0..size[0] {
            let result = &mut self.result[y * line..][..line];
            if y >= out[0] * window[0] {
                result.fill(MaybeUninit::new(0.0));
                continue;
            }
            let gradient = &self.gradient[y / window[0] * out[1] * inner..][..out[1] * inner];
            let (inside, outside) = result.split_at_mut(covered);
            outside.fill(MaybeUninit::new(0.0));
            let windows = inside.chunks_exact_mut(window[1] * inner);
            for (windows, gradient) in windows.zip(gradient.chunks_exact(inner)) {
                for pixel in windows.chunks_exact_mut(inner) {
                    for (to, from) in pixel.iter_mut().zip(gradient) {
                        to.write(from * scale);
                    }
                }
            }
        }
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

fn windows(x: &FlexTensor, window: [usize; 2], max: bool) -> FlexTensor {
    let shape = x.shape();
    let images = PoolImages::new(&shape, &storage_order(x), window);
    let x = ordered(x, &images.order);
    let input = slice(&x);
    let arch = Arch::new();
    let (from, to) = (images.input_len(), images.output_len());
    let write = |out: Shared<MaybeUninit<f32>>| {
        images.each(|image| {
            // SAFETY: images do not overlap.
            let output = unsafe { out.zeros(image * to, to) };
            arch.dispatch(WindowsForward {
                images: &images,
                max,
                input: &input[image * from..][..from],
                output,
            });
        });
    };
    // SAFETY: `each` is every image, of which all is written.
    let values = unsafe { written(images.outer * to, write) };
    let mut out = shape.clone();
    let rank = out.num_dims();
    out[rank - 2] = images.out[0];
    out[rank - 1] = images.out[1];
    shown(values, &out, &images.order)
}

fn windows_backward(input: PoolInput, gradient: &FlexTensor, window: [usize; 2]) -> FlexTensor {
    let images = PoolImages::new(&input.shape, &input.order, window);
    let all = input.all.map(|x| ordered(&x, &images.order));
    let all = all.as_ref().map(slice);
    let gradient = ordered(gradient, &images.order);
    let gradient = slice(&gradient);
    let arch = Arch::new();
    let (from, to) = (images.output_len(), images.input_len());
    let write = |out: Shared<MaybeUninit<f32>>| {
        images.each(|image| {
            // SAFETY: images do not overlap.
            let result = unsafe { out.part(image * to, to) };
            arch.dispatch(WindowsBackward {
                images: &images,
                input: all.map(|all| &all[image * to..][..to]),
                gradient: &gradient[image * from..][..from],
                result,
            });
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
            Pool::Average(window) => windows(&x, window, false),
            Pool::Max(window) => windows(&x, window, true),
            Pool::Time => time(&x),
            Pool::All => all(&x),
        }
    }
}

impl PoolBackwardOps for Flex {
    type Input = PoolInput;

    fn pool_kept(x: FlexTensor, pool: Pool) -> (FlexTensor, PoolInput) {
        let input = PoolInput {
            shape: x.shape(),
            order: storage_order(&x),
            all: matches!(pool, Pool::Max(_)).then(|| x.clone()),
        };
        (Self::pool(x, pool), input)
    }

    fn pool_backward(input: PoolInput, gradient: FlexTensor, pool: Pool) -> FlexTensor {
        match pool {
            Pool::Average(window) | Pool::Max(window) => windows_backward(input, &gradient, window),
            Pool::Time => time_backward(input.shape, gradient),
            Pool::All => all_backward(input.shape, &gradient),
        }
    }
}
