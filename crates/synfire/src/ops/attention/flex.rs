//! Spiking self-attention on flex: `K^T V` first, which is linear in the number of tokens. Spikes select rows to add.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::Shape;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Attention, AttentionBackwardOps, AttentionOps};
use crate::ops::bits::{BitMatrix, WORD};
use crate::ops::memory::{Shared, elements, slice, tensor, with_scratch, written};
use crate::ops::synapse::{from_channels_last, to_channels_last, with_end};

/// Products that are worth a task of their own.
const TASK: usize = 1 << 16;

/// The input as saved for backward, with the channels last.
#[derive(Clone, Debug)]
pub enum AttentionInput {
    /// Spikes as bits, a row for each token, and the shape of the input.
    Spikes(Arc<BitMatrix>, Shape),
    /// The whole input.
    Numbers(FlexTensor),
}

/// The sizes of an attention.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// Steps times samples.
    sequences: usize,
    /// The tokens of a sequence.
    tokens: usize,
    heads: usize,
    /// The channels of a head.
    width: usize,
    scale: f32,
}

impl Sizes {
    /// Those of an input `[..., 3 * C, H, W]`.
    fn of(shape: &Shape, attention: Attention) -> Self {
        elements(shape);
        let sizes: &[usize] = shape;
        let (leading, image) = sizes.split_at(sizes.len() - 3);
        let Attention { heads, scale } = attention;
        assert!(
            // Kernels write by these sizes.
            attention.divides(image[0]),
            "kernel: {} channels are not queries, keys and values of {heads} heads",
            image[0]
        );
        Self {
            sequences: leading.iter().product(),
            tokens: image[1] * image[2],
            heads,
            width: image[0] / (3 * heads),
            scale,
        }
    }

    fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// Runs `body` for each head of each sequence.
    fn each(&self, body: impl Fn(usize, usize) + Sync + Send) {
        if self.tokens == 0 {
            // There is nothing in them.
            return;
        }
        let work = self
            .tokens
            .saturating_mul(self.width)
            .saturating_mul(self.width);
        (0..self.sequences * self.heads)
            .into_par_iter()
            .with_min_len((TASK / work.max(1)).max(1))
            .for_each(|task| body(task / self.heads, task % self.heads));
    }

    /// `scale * Q K^T V`, `[..., H, W, C]`.
    fn forward(&self, rows: impl Rows) -> Vec<f32> {
        let channels = self.channels();
        let write = |out: Shared<MaybeUninit<f32>>| {
            self.each(|sequence, head| {
                let d = self.width;
                with_scratch([d * d, d], |[product, row]| {
                    pulp::Arch::new().dispatch(Forward {
                        rows: self.head(rows, sequence, head),
                        product,
                        row,
                        // The head's channels of the first token.
                        out: out.after(sequence * self.tokens * channels + head * d),
                    });
                });
            });
        };
        // SAFETY: the heads of all sequences are all elements.
        unsafe { written(self.sequences * self.tokens * channels, write) }
    }

    /// The gradient of the input, `[..., H, W, 3 * C]`, from that of the output, `[..., H, W, C]`.
    fn backward(&self, rows: impl Rows, gradient: &[f32]) -> Vec<f32> {
        let channels = self.channels();
        let write = |out: Shared<MaybeUninit<f32>>| {
            self.each(|sequence, head| {
                let d = self.width;
                let first = sequence * self.tokens * channels + head * d;
                with_scratch(
                    [d * d, d * d, d * d, d],
                    |[product, adjoint, turned, row]| {
                        pulp::Arch::new().dispatch(Backward {
                            rows: self.head(rows, sequence, head),
                            gradient: &gradient[first..],
                            product,
                            adjoint,
                            turned,
                            row,
                            out: out.after(3 * sequence * self.tokens * channels + head * d),
                        });
                    },
                );
            });
        };
        // SAFETY: queries, keys and values of the heads of all sequences are all elements.
        unsafe { written(3 * self.sequences * self.tokens * channels, write) }
    }

    fn head<R: Rows>(&self, rows: R, sequence: usize, head: usize) -> Head<R> {
        Head {
            rows,
            sizes: *self,
            first: sequence * self.tokens,
            head,
        }
    }
}

/// Rows of numbers, most of them 0.
trait Rows: Copy + Send + Sync {
    /// Runs `body` for the numbers of some columns that are not 0, with their index among them.
    fn each(self, row: usize, columns: Range<usize>, body: impl FnMut(usize, f32));
}

impl Rows for &BitMatrix {
    #[inline(always)]
    fn each(self, row: usize, columns: Range<usize>, mut body: impl FnMut(usize, f32)) {
        let words = self.words(row..row + 1);
        let mut at = columns.start;
        while at < columns.end {
            // The bits of a word from `at` on.
            let end = columns.end.min((at / WORD + 1) * WORD);
            let mut word = words[at / WORD] >> (at % WORD);
            word &= u64::MAX >> (WORD - (end - at));
            while word != 0 {
                body(at - columns.start + word.trailing_zeros() as usize, 1.0);
                word &= word - 1;
            }
            at = end;
        }
    }
}

/// A matrix with so many columns.
#[derive(Clone, Copy)]
struct Numbers<'a>(&'a [f32], usize);

impl Rows for Numbers<'_> {
    #[inline(always)]
    fn each(self, row: usize, columns: Range<usize>, mut body: impl FnMut(usize, f32)) {
        let row = &self.0[row * self.1..][..self.1];
        for (i, x) in row[columns].iter().enumerate() {
            if *x != 0.0 {
                body(i, *x);
            }
        }
    }
}

/// A part of a head's rows.
#[derive(Clone, Copy)]
enum Part {
    Queries,
    Keys,
    Values,
}

/// The rows of a sequence that belong to a head.
#[derive(Clone, Copy)]
struct Head<R> {
    rows: R,
    sizes: Sizes,
    /// The row of the first token.
    first: usize,
    head: usize,
}

impl<R: Rows> Head<R> {
    #[inline(always)]
    fn each(&self, part: Part, token: usize, body: impl FnMut(usize, f32)) {
        let d = self.sizes.width;
        let start = part as usize * self.sizes.channels() + self.head * d;
        self.rows.each(self.first + token, start..start + d, body);
    }

    /// `K^T V`. `row` is scratch.
    #[inline(always)]
    fn keys_values(&self, product: &mut [f32], row: &mut [f32]) {
        let d = self.sizes.width;
        product.fill(0.0);
        for token in 0..self.sizes.tokens {
            row.fill(0.0);
            self.each(Part::Values, token, |j, x| row[j] = x);
            self.each(Part::Keys, token, |i, x| {
                add_scaled(&mut product[i * d..][..d], x, row);
            });
        }
    }

    /// The sum of the rows of a matrix that a token selects.
    #[inline(always)]
    fn select(&self, part: Part, token: usize, matrix: &[f32], row: &mut [f32]) {
        let d = self.sizes.width;
        row.fill(0.0);
        self.each(part, token, |i, x| {
            add_scaled(row, x, &matrix[i * d..][..d])
        });
    }
}

struct Forward<'a, R> {
    rows: Head<R>,
    product: &'a mut [f32],
    row: &'a mut [f32],
    /// Exclusive are the head's channels of every token.
    out: Shared<MaybeUninit<f32>>,
}

impl<R: Rows> WithSimd for Forward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            rows,
            product,
            row,
            out,
        } = self;
        let sizes = rows.sizes;
        rows.keys_values(product, row);
        for token in 0..sizes.tokens {
            rows.select(Part::Queries, token, product, row);
            row.iter_mut().for_each(|x| *x *= sizes.scale);
            // SAFETY: the head's channels are this task's alone.
            let out = unsafe { out.part(token * sizes.channels(), sizes.width) };
            out.write_copy_of_slice(row);
        }
    }
}

struct Backward<'a, R> {
    rows: Head<R>,
    /// From the head's channels of the first token on.
    gradient: &'a [f32],
    product: &'a mut [f32],
    /// Gradient of the product.
    adjoint: &'a mut [f32],
    turned: &'a mut [f32],
    row: &'a mut [f32],
    /// Exclusive are the head's channels of the queries, keys and values of every token.
    out: Shared<MaybeUninit<f32>>,
}

impl<R: Rows> WithSimd for Backward<'_, R> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            rows,
            gradient,
            product,
            adjoint,
            turned,
            row,
            out,
        } = self;
        let sizes = rows.sizes;
        let (d, channels) = (sizes.width, sizes.channels());
        let part = |part: Part, token: usize| {
            let at = (3 * token + part as usize) * channels;
            // SAFETY: the head's channels are this task's alone, and each is written before the next is taken.
            unsafe { out.zeros(at, d) }
        };
        rows.keys_values(product, row);
        transpose(product, d, turned);
        adjoint.fill(0.0);
        for token in 0..sizes.tokens {
            row.copy_from_slice(&gradient[token * channels..][..d]);
            row.iter_mut().for_each(|x| *x *= sizes.scale);
            rows.each(Part::Queries, token, |i, x| {
                add_scaled(&mut adjoint[i * d..][..d], x, row);
            });
            let queries = part(Part::Queries, token);
            for (x, turned) in row.iter().zip(turned.chunks_exact(d)) {
                add_scaled(queries, *x, turned);
            }
        }
        transpose(adjoint, d, turned);
        for token in 0..sizes.tokens {
            rows.select(Part::Values, token, turned, part(Part::Keys, token));
            rows.select(Part::Keys, token, adjoint, part(Part::Values, token));
        }
    }
}

/// Adds a multiple.
#[inline(always)]
fn add_scaled(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// Transposes a square.
#[inline(always)]
fn transpose(square: &[f32], side: usize, to: &mut [f32]) {
    for (i, row) in square.chunks_exact(side.max(1)).enumerate() {
        for (j, x) in row.iter().enumerate() {
            to[j * side + i] = *x;
        }
    }
}

/// The output, with the channels last, as a tensor.
fn shown(values: Vec<f32>, shape: &Shape, channels: usize) -> FlexTensor {
    let sizes: &[usize] = shape;
    let [height, width] = [sizes[sizes.len() - 2], sizes[sizes.len() - 1]];
    from_channels_last(tensor(values, with_end(shape, [height, width, channels])))
}

impl AttentionOps for Flex {
    fn spike_attention(x: FlexTensor, attention: Attention) -> FlexTensor {
        Self::spike_attention_of(&Self::spike_attention_input(x, attention), attention)
    }
}

impl AttentionInput {
    /// Shape of the input, `[..., 3 * C, H, W]`.
    fn shape(&self) -> Shape {
        match self {
            Self::Spikes(_, shape) => shape.clone(),
            Self::Numbers(inside) => from_channels_last(inside.clone()).shape(),
        }
    }
}

impl AttentionBackwardOps for Flex {
    type Input = AttentionInput;

    fn spike_attention_input(x: FlexTensor, attention: Attention) -> AttentionInput {
        let shape = x.shape();
        let sizes = Sizes::of(&shape, attention);
        let inside = to_channels_last(&x);
        let (rows, columns) = (sizes.sequences * sizes.tokens, 3 * sizes.channels());
        match BitMatrix::pack(slice(&inside), rows, columns) {
            Some((bits, _)) => AttentionInput::Spikes(Arc::new(bits), shape),
            None => AttentionInput::Numbers(inside),
        }
    }

    fn spike_attention_of(input: &AttentionInput, attention: Attention) -> FlexTensor {
        let shape = input.shape();
        let sizes = Sizes::of(&shape, attention);
        let values = match input {
            AttentionInput::Spikes(bits, _) => sizes.forward(&**bits),
            AttentionInput::Numbers(inside) => {
                sizes.forward(Numbers(slice(inside), 3 * sizes.channels()))
            }
        };
        shown(values, &shape, sizes.channels())
    }

    fn spike_attention_backward(
        input: AttentionInput,
        gradient: FlexTensor,
        attention: Attention,
    ) -> FlexTensor {
        let shape = input.shape();
        let sizes = Sizes::of(&shape, attention);
        let gradient = to_channels_last(&gradient);
        let columns = 3 * sizes.channels();
        let values = match &input {
            AttentionInput::Spikes(bits, _) => sizes.backward(&**bits, slice(&gradient)),
            AttentionInput::Numbers(inside) => {
                sizes.backward(Numbers(slice(inside), columns), slice(&gradient))
            }
        };
        shown(values, &shape, columns)
    }
}
