//! Sequences of neurons in blocks that stay in the cache.
//!
//! Kernels go through a block in whole vectors. Scratch rows are padded to that; a row of a tensor that ends within a vector goes
//! through a padded copy.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::Shape;
use rayon::prelude::*;

use super::memory::{Shared, inner, ordered, shown, storage_order};

/// The most numbers in a vector of any processor; all widths divide it.
pub const LANES: usize = 16;
/// The largest number of neurons in a block: a page of memory for each step.
pub const BLOCK: usize = 1024;
/// Elements that a block may keep for all of its time steps, so that they stay in a core's own cache.
const BLOCK_NUMBERS: usize = 128 * 1024;

/// The neurons of a sequence `[T, B, ...]`, in storage order.
pub struct Neurons {
    shape: Shape,
    /// The axes in storage order.
    order: Vec<usize>,
    /// The number of neighbouring neurons that share a parameter.
    inner: usize,
}

impl Neurons {
    /// The neurons of an input. With parameters of their own they are in the order of the axes, however the input is stored.
    pub fn new(x: &FlexTensor, own_parameters: bool) -> Self {
        let mut order = storage_order(x);
        if own_parameters {
            order.sort_unstable();
        }
        let shape = x.shape();
        Self {
            inner: match own_parameters {
                true => 1,
                false => inner(&shape, &order),
            },
            shape,
            order,
        }
    }

    /// The number of steps.
    pub fn steps(&self) -> usize {
        self.shape[0]
    }

    /// The number of neurons.
    pub fn count(&self) -> usize {
        let shape: &[usize] = &self.shape;
        shape[1..].iter().product()
    }

    /// The axes in the order of the neurons.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// A tensor in the order of the neurons; no copy if it is stored so.
    pub fn ordered(&self, tensor: &FlexTensor) -> FlexTensor {
        ordered(tensor, &self.order)
    }

    /// A tensor of so many rows from elements in the order of the neurons, with its axes in their usual order.
    pub fn shown(&self, values: Vec<f32>, rows: usize) -> FlexTensor {
        let mut shape = self.shape.clone();
        shape[0] = rows;
        shown(values, &shape, &self.order)
    }

    /// The offset of a block in step `t` of a sequence.
    pub fn at(&self, block: &Range<usize>, t: usize) -> usize {
        t * self.count() + block.start
    }

    /// Copies a block's part of the rows `[n, neurons]` of a tensor to rows of whole vectors.
    pub fn read(&self, from: &[f32], block: &Range<usize>, to: &mut [f32]) {
        let rows = to.chunks_exact_mut(whole(block.len()));
        assert_eq!(
            from.len(),
            rows.len() * self.count(),
            "kernel: rows of neurons"
        );
        for (from, to) in from.chunks_exact(self.count()).zip(rows) {
            to[..block.len()].copy_from_slice(&from[block.clone()]);
        }
    }

    /// Inverse of [`read`](Self::read).
    ///
    /// # Safety
    ///
    /// `to` has as many rows, lives, and nothing else accesses the block's part of them.
    pub unsafe fn write(&self, from: &[f32], block: &Range<usize>, to: Shared) {
        let rows = from.chunks_exact(whole(block.len()));
        for (n, from) in rows.enumerate() {
            // SAFETY: the caller's.
            let to = unsafe { to.part(n * self.count() + block.start, block.len()) };
            to.copy_from_slice(&from[..block.len()]);
        }
    }

    /// A parameter of the neurons.
    pub fn parameter<'a>(&self, values: &'a [f32]) -> PerNeuron<'a> {
        PerNeuron::new(values, self.inner)
    }

    /// Runs `body` for each block. `kept` is the number of elements that `body` keeps per neuron.
    pub fn blocks(&self, kept: usize, body: impl Fn(Range<usize>) + Sync) {
        let neurons = self.count();
        // Too small to be worth other cores.
        let small = self.steps() * neurons < 16_384;
        let tasks = match small {
            true => 1,
            false => 4 * rayon::current_num_threads(),
        };
        let fit = BLOCK_NUMBERS / kept.max(1);
        // All but the last are of whole vectors and lines of the cache.
        let block = (neurons.div_ceil(tasks).min(fit) / 64 * 64).clamp(64, BLOCK);
        let run = |i: usize| body(i * block..neurons.min((i + 1) * block));
        let count = neurons.div_ceil(block);
        match small {
            true => (0..count).for_each(run),
            false => (0..count).into_par_iter().for_each(run),
        }
    }
}

/// A parameter of neurons: one for all, for each channel, or for each neuron.
pub struct PerNeuron<'a> {
    values: &'a [f32],
    /// The number of neighbouring neurons that share a value.
    inner: usize,
}

impl<'a> PerNeuron<'a> {
    pub fn new(values: &'a [f32], inner: usize) -> Self {
        Self { values, inner }
    }

    /// Writes those of the neurons from `start` on.
    pub fn fill(&self, start: usize, out: &mut [f32]) {
        match self.values {
            [value] => out.fill(*value),
            values => {
                let (mut at, mut rest) = (start, out);
                while !rest.is_empty() {
                    let channel = at / self.inner % values.len();
                    // Neighbours of one channel, or one of each of the next channels.
                    let count = match self.inner {
                        1 => values.len() - channel,
                        inner => inner - at % inner,
                    };
                    let (now, later) = rest.split_at_mut(count.min(rest.len()));
                    match self.inner {
                        1 => now.copy_from_slice(&values[channel..][..now.len()]),
                        _ => now.fill(values[channel]),
                    }
                    (at, rest) = (at + now.len(), later);
                }
            }
        }
    }

    /// Sums the neurons that share each value.
    pub fn collect(&self, of_neurons: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.values.len()];
        for (run, part) in of_neurons.chunks(self.inner.max(1)).enumerate() {
            let sum: f64 = part.iter().map(|x| f64::from(*x)).sum();
            sums[run % self.values.len()] += sum;
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

/// The length of a row of whole vectors.
pub fn whole(len: usize) -> usize {
    len.next_multiple_of(LANES)
}

/// A row of whole vectors to read: the row itself, or a copy in `room`.
pub fn read_whole<'a>(row: &'a [f32], room: &'a mut [f32]) -> &'a [f32] {
    match row.len() == room.len() {
        true => row,
        false => {
            room[..row.len()].copy_from_slice(row);
            room
        }
    }
}

/// Runs `body` on a row of whole vectors: the row itself, or a copy in `room` that is written back.
pub fn change_whole(row: &mut [f32], room: &mut [f32], body: impl FnOnce(&mut [f32])) {
    match row.len() == room.len() {
        true => body(row),
        false => {
            room[..row.len()].copy_from_slice(row);
            body(room);
            row.copy_from_slice(&room[..row.len()]);
        }
    }
}

/// [`change_whole`] of a row whose elements `body` writes, whatever they were.
///
/// # Safety
///
/// `body` writes a number to every element.
pub unsafe fn write_whole(
    row: &mut [MaybeUninit<f32>],
    room: &mut [f32],
    body: impl FnOnce(&mut [MaybeUninit<f32>]),
) {
    match row.len() == room.len() {
        true => body(row),
        false => {
            let len = room.len();
            // SAFETY: `room` is ours, and numbers stay numbers, says the caller.
            body(unsafe { Shared::new(room).maybe_unwritten().part(0, len) });
            row.write_copy_of_slice(&room[..row.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ops::memory::tensor;

    fn neurons(steps: usize, count: usize) -> Neurons {
        let x = tensor(vec![0.0; steps * count], Shape::from(vec![steps, count, 1]));
        Neurons::new(&x, false)
    }

    #[test]
    fn blocks_are_all_neurons_once() {
        for count in [0, 1, 63, 64, 65, 1023, 1024, 1025, 4099] {
            for (steps, kept) in [(1, 0), (9, 0), (9, 100_000)] {
                let seen = Mutex::new(vec![0; count]);
                neurons(steps, count).blocks(kept, |block| {
                    seen.lock().unwrap()[block]
                        .iter_mut()
                        .for_each(|times| *times += 1);
                });
                assert_eq!(seen.into_inner().unwrap(), vec![1; count]);
            }
        }
    }

    #[test]
    fn rows_come_back_as_they_were_read() {
        for len in [1, 15, 16, 17] {
            let given: Vec<f32> = (0..2 * (len + 3)).map(|i| i as f32).collect();
            let (neurons, block) = (neurons(1, len + 3), 2..len + 2);
            let mut rows = vec![f32::NAN; 2 * whole(len)];
            neurons.read(&given, &block, &mut rows);
            for (n, row) in rows.chunks_exact_mut(whole(len)).enumerate() {
                let from = n * (len + 3) + 2;
                assert_eq!(row[..len], given[from..from + len]);
                row[..len].iter_mut().for_each(|x| *x += 0.5);
            }
            let mut written = given.clone();
            // SAFETY: nothing else has it.
            unsafe { neurons.write(&rows, &block, Shared::new(&mut written)) };
            for (i, (now, before)) in written.iter().zip(&given).enumerate() {
                let inside = block.contains(&(i % (len + 3)));
                assert_eq!(*now, before + if inside { 0.5 } else { 0.0 });
            }

            let mut row: Vec<f32> = given[..len].to_vec();
            let mut room = vec![f32::NAN; whole(len)];
            assert_eq!(read_whole(&row, &mut room)[..len], given[..len]);
            change_whole(&mut row, &mut room, |all| {
                assert_eq!(all.len(), whole(len));
                all.iter_mut().for_each(|x| *x *= 2.0);
            });
            let mut new = vec![MaybeUninit::uninit(); len];
            // SAFETY: all are written.
            unsafe {
                write_whole(&mut new, &mut room, |all| {
                    all.iter_mut().for_each(|x| *x = MaybeUninit::new(7.0));
                });
            }
            for (i, (x, new)) in row.iter().zip(new).enumerate() {
                // SAFETY: it was written.
                assert_eq!((*x, unsafe { new.assume_init() }), (2.0 * i as f32, 7.0));
            }
        }
    }
}
