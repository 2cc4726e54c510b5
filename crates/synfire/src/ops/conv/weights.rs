//! The weights of a convolution, in the order of its kernels.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Geometry;
use crate::ops::block::LANES;
use crate::ops::memory::{Shared, with_scratch, written};

/// Weights of an output that are re-ordered at once.
const RUN: usize = 128;

impl Geometry {
    /// Weights `[outputs, channels of a group, height, width]` as `[groups, height, width, channels of a group, outputs of a
    /// group]`, or `[height, width, outputs]` of a depthwise convolution.
    pub fn weights_inside(&self, weights: &[f32]) -> Vec<f32> {
        let weights = &self.widened(weights);
        if self.depthwise().is_some() {
            return transposed(weights, self.taps());
        }
        let write = |inside: Shared<MaybeUninit<f32>>| {
            self.each_run(|run, runs, lines| {
                for (output, to) in runs.chunks_exact_mut(RUN).enumerate() {
                    to[..run.len].copy_from_slice(&weights[run.outside(output)..][..run.len]);
                }
                let stride = lines.len() / LANES;
                for first in (0..run.len).step_by(LANES) {
                    for (output, from) in runs.chunks_exact(RUN).enumerate() {
                        let from = from[first..].first_chunk::<LANES>().expect("a run");
                        for (i, x) in from.iter().enumerate() {
                            lines[i * stride + output] = *x;
                        }
                    }
                    let last = run.len.min(first + LANES);
                    for (row, line) in (first..last).zip(lines.chunks_exact(stride)) {
                        // SAFETY: no two runs have a row in common.
                        let place = unsafe { inside.part(run.inside(row), run.outputs) };
                        place.write_copy_of_slice(&line[..run.outputs]);
                    }
                }
            });
        };
        // SAFETY: every weight is in a run.
        unsafe { written(weights.len(), write) }
    }

    /// Inverse of [`weights_inside`](Self::weights_inside).
    pub fn weights_outside(&self, inside: &[f32]) -> Vec<f32> {
        assert_eq!(inside.len(), self.fan_in() * self.outputs, "all weights");
        if self.depthwise().is_some() {
            return transposed(inside, self.outputs);
        }
        let write = |weights: Shared<MaybeUninit<f32>>| {
            self.each_run(|run, runs, lines| {
                let stride = lines.len() / LANES;
                for first in (0..run.len).step_by(LANES) {
                    let last = run.len.min(first + LANES);
                    for (row, line) in (first..last).zip(lines.chunks_exact_mut(stride)) {
                        line[..run.outputs]
                            .copy_from_slice(&inside[run.inside(row)..][..run.outputs]);
                    }
                    for (output, to) in runs.chunks_exact_mut(RUN).enumerate() {
                        let to = to[first..].first_chunk_mut::<LANES>().expect("a run");
                        for (i, x) in to.iter_mut().enumerate() {
                            *x = lines[i * stride + output];
                        }
                    }
                }
                for (output, from) in runs.chunks_exact(RUN).enumerate() {
                    // SAFETY: no two runs have a weight in common.
                    let place = unsafe { weights.part(run.outside(output), run.len) };
                    place.write_copy_of_slice(&from[..run.len]);
                }
            });
        };
        // SAFETY: every weight is in a run.
        self.narrowed(unsafe { written(inside.len(), write) })
    }

    /// Runs `body` for runs of weights, on all cores, with buffers: one for a run of each output, and one for [`LANES`] rows of
    /// outputs, whose stride is no power of two.
    ///
    /// Memory is slow where few elements are read or written at each of many places. So both sides are gone through in long
    /// runs, and re-ordered in the cache between them.
    fn each_run(&self, body: impl Fn(WeightRun, &mut [f32], &mut [f32]) + Sync) {
        let (fan_in, outputs) = (self.fan_in(), self.group_outputs());
        let of_group = fan_in.div_ceil(RUN);
        let run = |i: usize| {
            let first = i % of_group * RUN;
            let run = WeightRun {
                geometry: self,
                group: i / of_group,
                first,
                len: RUN.min(fan_in - first),
                outputs,
            };
            let stride = outputs.next_multiple_of(LANES) + LANES;
            with_scratch([outputs * RUN, LANES * stride], |[runs, lines]| {
                body(run, runs, lines);
            });
        };
        let all = 0..self.groups * of_group;
        match fan_in * self.outputs < 1 << 15 {
            true => all.for_each(run),
            false => all.into_par_iter().for_each(run),
        }
    }

    /// Weights of the tensor, for groups that run together: those between the groups are 0.
    pub fn widened<'a>(&self, weights: &'a [f32]) -> Cow<'a, [f32]> {
        let together = self.together();
        let of_output = self.fan_in() / together;
        assert_eq!(weights.len(), of_output * self.outputs, "all weights");
        if together == 1 {
            return Cow::Borrowed(weights);
        }
        let mut wide = vec![0.0; weights.len() * together];
        for output in 0..self.outputs {
            let from = &weights[output * of_output..][..of_output];
            wide[self.wide(output) * of_output..][..of_output].copy_from_slice(from);
        }
        Cow::Owned(wide)
    }

    /// Inverse of [`widened`](Self::widened).
    fn narrowed(&self, wide: Vec<f32>) -> Vec<f32> {
        if self.together() == 1 {
            return wide;
        }
        let of_output = self.fan_in() / self.together();
        let outputs = (0..self.outputs).map(|output| self.wide(output) * of_output);
        outputs
            .flat_map(|from| wide[from..][..of_output].iter().copied())
            .collect()
    }

    /// The number of groups that run together.
    fn together(&self) -> usize {
        self.window.groups / self.groups
    }

    /// Where the weights of an output start among the wide ones, in units of a group's.
    fn wide(&self, output: usize) -> usize {
        let group = output / (self.outputs / self.window.groups);
        output * self.together() + group % self.together()
    }
}

/// For all outputs of a group, weights that are neighbours in the tensor: rows, in the order of channels, then taps.
struct WeightRun<'a> {
    geometry: &'a Geometry,
    group: usize,
    /// The first row, and their number.
    first: usize,
    len: usize,
    outputs: usize,
}

impl WeightRun<'_> {
    /// Where the run of an output starts in the tensor.
    fn outside(&self, output: usize) -> usize {
        (self.group * self.outputs + output) * self.geometry.fan_in() + self.first
    }

    /// Where the outputs of a row start inside.
    fn inside(&self, row: usize) -> usize {
        let (taps, channels) = (self.geometry.taps(), self.geometry.group_channels());
        let (channel, tap) = ((self.first + row) / taps, (self.first + row) % taps);
        ((self.group * taps + tap) * channels + channel) * self.outputs
    }
}

/// A matrix of so many columns, transposed.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let columns = 0..columns;
    let stride = columns.len();
    columns
        .flat_map(|column| matrix.iter().skip(column).step_by(stride).copied())
        .collect()
}
