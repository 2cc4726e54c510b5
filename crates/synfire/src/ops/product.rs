//! Products of bit planes with a dense matrix: sums of the rows that the bits select.

use std::mem::MaybeUninit;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::bits::{BitPlane, BitPlanes, WORD};
use super::memory::{Shared, with_scratch, written};

/// Words per block of bits: the rows that they select, of 64 elements each, stay in the first-level
/// cache.
const BLOCK_WORDS: usize = 2;
/// The rows that a word selects from, and a row of zeros for a word without ones.
const CHOICES: usize = WORD + 1;
/// Rows of a block.
const PANEL: usize = BLOCK_WORDS * CHOICES;
/// The maximum number of vectors of a sum, and of their elements.
const MOST_VECTORS: usize = 4;
const MOST_NUMBERS: usize = 64;
/// Below this number of rows, packing them for the cache costs more than it saves.
pub const FEW_ROWS: usize = 24;
/// Rows of a task.
const LEAST_ROWS: usize = 128;
const MOST_ROWS: usize = 1024;
/// Additions that are worth a second core.
const TASK: usize = 1 << 18;

/// A dense matrix, or some of its columns.
#[derive(Clone, Copy, Debug)]
pub struct DenseColumns<'a> {
    /// Elements, row-major.
    pub values: &'a [f32],
    /// The number of columns of the whole matrix.
    pub stride: usize,
    /// The first column of the part.
    pub first: usize,
    /// The number of columns of the part.
    pub columns: usize,
}

impl<'a> DenseColumns<'a> {
    /// A whole matrix.
    pub fn all(values: &'a [f32], columns: usize) -> Self {
        Self {
            values,
            stride: columns,
            first: 0,
            columns,
        }
    }

    /// A row from column `at` on, and what follows it.
    #[inline(always)]
    fn from(&self, row: usize, at: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.first + at..]
    }
}

/// The destination of a product: some rows and columns of a larger matrix.
#[derive(Clone, Copy)]
pub struct Place {
    /// The whole matrix.
    pub out: Shared<MaybeUninit<f32>>,
    /// The number of columns of the whole matrix.
    pub stride: usize,
    /// The first row.
    pub row: usize,
    /// The first column.
    pub column: usize,
}

impl Place {
    /// Writes elements of a row. The creator of the place guarantees that it is exclusive; its rows do not overlap.
    #[inline(always)]
    fn write(&self, row: usize, at: usize, values: &[f32]) {
        let start = (self.row + row) * self.stride + self.column + at;
        // SAFETY: the place is this thread's alone, as `product_at` demands.
        unsafe { self.out.part(start, values.len()) }.write_copy_of_slice(values);
    }
}

/// `bits` (`[rows, columns]`) times `dense` (`[columns, n]`), plus `bias` (`[n]`) in every row if there is one: `[rows, n]`.
///
/// A 0 adds nothing: a row of `dense` that is not finite affects only rows whose bits select it. Of bits that are mostly ones,
/// the zeros are subtracted from the sum of all.
pub fn product(bits: &BitPlanes, dense: DenseColumns, bias: Option<&[f32]>) -> Vec<f32> {
    product_by(Arch::new(), bits, dense, bias)
}

/// [`product`] on this vector architecture.
fn product_by(arch: Arch, bits: &BitPlanes, dense: DenseColumns, bias: Option<&[f32]>) -> Vec<f32> {
    let (rows, n) = (bits.rows(), dense.columns);
    let write = |out: Shared<MaybeUninit<f32>>| {
        let place = Place {
            out,
            stride: n,
            row: 0,
            column: 0,
        };
        // SAFETY: `out` has as many rows and columns.
        unsafe { product_in_tasks(arch, bits, dense, bias, place, bits.additions()) };
    };
    // SAFETY: all rows and columns are written.
    unsafe { written(rows * n, write) }
}

/// [`product`] on all cores. It writes every element of its place. `additions` is about how many rows of `dense` are added or
/// subtracted.
///
/// # Safety
///
/// As for [`product_at`].
pub unsafe fn product_in_tasks(
    arch: Arch,
    bits: &BitPlanes,
    dense: DenseColumns,
    bias: Option<&[f32]>,
    place: Place,
    additions: usize,
) {
    let (rows, n) = (bits.rows(), dense.columns);
    let small = (additions + rows) * n < TASK;
    let columns_of_task = if small { n.max(1) } else { MOST_NUMBERS };
    let across = n.div_ceil(columns_of_task);
    // A task packs its columns of `dense`: it has many rows, to be worth it, but not more sums than the second cache holds, and
    // every core has some.
    let wanted = match small {
        true => 1,
        false => (4 * rayon::current_num_threads()).div_ceil(across.max(1)),
    };
    let parts = wanted.min(rows / LEAST_ROWS).max(rows.div_ceil(MOST_ROWS));
    let rows_of_task = rows.div_ceil(parts.max(1)).max(1);
    let task = |task: usize| {
        let row = task / across * rows_of_task;
        let column = task % across * columns_of_task;
        let columns = columns_of_task.min(n - column);
        let dense = DenseColumns {
            first: dense.first + column,
            columns,
            ..dense
        };
        let bias = bias.map(|bias| &bias[column..][..columns]);
        let place = Place {
            row: place.row + row,
            column: place.column + column,
            ..place
        };
        let range = row..rows.min(row + rows_of_task);
        // SAFETY: the caller's; each task has rows or columns of its own.
        unsafe { product_at(arch, bits, range, dense, bias, place) };
    };
    let tasks = rows.div_ceil(rows_of_task) * across;
    match small {
        // Too little work for other cores.
        true => (0..tasks).for_each(task),
        false => (0..tasks).into_par_iter().for_each(task),
    }
}

/// [`product`] for some rows of `bits`, on this thread. It writes every element of its place.
///
/// # Safety
///
/// The place lies within its matrix, and nothing else accesses it.
pub unsafe fn product_at(
    arch: Arch,
    bits: &BitPlanes,
    rows: Range<usize>,
    dense: DenseColumns,
    bias: Option<&[f32]>,
    place: Place,
) {
    let n = dense.columns;
    if let Some(bias) = bias {
        assert_eq!(bias.len(), n, "a bias for each column");
    }
    // By all rows, not by those of this task: sums do not depend on how many tasks there are.
    if bits.rows() < FEW_ROWS {
        arch.dispatch(FewRows {
            bits,
            dense,
            bias,
            rows,
            place,
        });
        return;
    }
    let lengths = [rows.len() * MOST_NUMBERS, PANEL * MOST_NUMBERS];
    with_scratch(lengths, |[sums, panel]| {
        arch.dispatch(ManyRows {
            bits,
            dense,
            bias,
            rows: rows.clone(),
            place,
            sums,
            panel,
        });
    });
}

/// The product for some rows.
struct ManyRows<'a> {
    bits: &'a BitPlanes,
    dense: DenseColumns<'a>,
    bias: Option<&'a [f32]>,
    rows: Range<usize>,
    /// Exclusive for the lifetime of this struct.
    place: Place,
    /// Buffers for the sums of a tile and the rows of a block.
    sums: &'a mut [f32],
    panel: &'a mut [f32],
}

impl WithSimd for ManyRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let most = MOST_VECTORS.min(MOST_NUMBERS / S::F32_LANES);
        let mut at = 0;
        while at < self.dense.columns {
            let vectors = (self.dense.columns - at).div_ceil(S::F32_LANES).min(most);
            let width = (vectors * S::F32_LANES).min(self.dense.columns - at);
            // Sums of several rows at once, as many as there are registers for: they do not wait for each other.
            match (vectors, S::F32_LANES >= 16) {
                (1, _) => self.tile::<S, 1, 8>(simd, at, width),
                (2, true) => self.tile::<S, 2, 8>(simd, at, width),
                (2, false) => self.tile::<S, 2, 4>(simd, at, width),
                (3, true) => self.tile::<S, 3, 4>(simd, at, width),
                (3, false) => self.tile::<S, 3, 3>(simd, at, width),
                (_, true) => self.tile::<S, 4, 4>(simd, at, width),
                (_, false) => self.tile::<S, 4, 2>(simd, at, width),
            }
            at += width;
        }
    }
}

impl ManyRows<'_> {
    /// The columns `at..at + width`, which fill `V` vectors or nearly so.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const R: usize>(&mut self, simd: S, at: usize, width: usize) {
        let full = V * S::F32_LANES;
        let start = match self.bias {
            Some(bias) => load::<S, V>(simd, &bias[at..at + width]),
            None => [simd.splat_f32s(0.0); V],
        };
        let sums = S::as_mut_simd_f32s(self.sums).0.as_chunks_mut::<V>().0;
        sums[..self.rows.len()].fill(start);
        let stride = self.bits.stride();
        for words in (0..stride).step_by(BLOCK_WORDS) {
            let words = words..stride.min(words + BLOCK_WORDS);
            for (word, packed) in words
                .clone()
                .zip(self.panel.chunks_exact_mut(CHOICES * full))
            {
                let rows = word * WORD..self.bits.columns().min((word + 1) * WORD);
                for (row, packed) in rows.zip(packed.chunks_exact_mut(full)) {
                    let numbers = load_row::<S, V>(simd, &self.dense, row, at, width);
                    S::as_mut_simd_f32s(packed).0.copy_from_slice(&numbers);
                }
                packed[WORD * full..].fill(0.0);
            }
            let all = match self.bits.iter().any(|plane| plane.many_ones) {
                true => All::of(simd, self.panel, &words, self.bits.columns(), width),
                false => None,
            };
            for plane in self.bits.iter() {
                // Two calls, and so two loops: one knows that it adds.
                match all.as_ref().filter(|_| plane.many_ones) {
                    None => self.add::<S, V, R>(simd, plane, words.clone(), None),
                    all => self.add::<S, V, R>(simd, plane, words.clone(), all),
                }
            }
        }
        // In contiguous rows, all but the last few are written as whole vectors, whose excess the next row overwrites:
        // the compiler knows the length of the copy.
        let gapless = at == 0 && width == self.place.stride;
        let rows = self.rows.len();
        for (row, sums) in self.sums.chunks_exact(full).take(rows).enumerate() {
            if width == full || gapless && row * width + full <= rows * width {
                self.place.write(row, at, &sums[..full]);
            } else {
                self.place.write(row, at, &sums[..width]);
            }
        }
    }

    /// Adds the rows of `panel` that the words of a plane select.
    #[inline(always)]
    fn add<S: Simd, const V: usize, const R: usize>(
        &mut self,
        simd: S,
        plane: &BitPlane,
        words: Range<usize>,
        all: Option<&All<S, V>>,
    ) {
        let panel = panel_rows::<S, V>(self.panel);
        let sums = S::as_mut_simd_f32s(self.sums).0.as_chunks_mut::<V>().0;
        let sums = &mut sums[..self.rows.len()];
        let (groups, rest) = sums.as_chunks_mut::<R>();
        let (stride, factor) = (plane.bits.stride(), simd.splat_f32s(plane.factor));
        let lines = plane.bits.words(self.rows.clone());
        let (of_groups, of_rest) = lines.split_at(groups.len() * R * stride);
        for (lines, sums) in of_groups.chunks_exact(R * stride).zip(groups) {
            add_rows::<S, V, R>(simd, lines, stride, &words, panel, all, factor, sums);
        }
        for (line, sum) in of_rest.chunks_exact(stride).zip(rest) {
            let sum = std::array::from_mut(sum);
            add_rows::<S, V, 1>(simd, line, stride, &words, panel, all, factor, sum);
        }
    }
}

/// The rows of a block.
#[inline(always)]
fn panel_rows<S: Simd, const V: usize>(panel: &[f32]) -> &[[S::f32s; V]; PANEL] {
    let rows = S::as_simd_f32s(panel).0.as_chunks::<V>().0;
    rows[..PANEL].try_into().expect("a block's rows")
}

/// All rows of a block, for bits that are mostly ones: fewer rows are subtracted than would be added.
struct All<S: Simd, const V: usize> {
    sum: [S::f32s; V],
    /// The bits of each word that select a row, and how many there are.
    bits: [u64; BLOCK_WORDS],
    count: u32,
}

impl<S: Simd, const V: usize> All<S, V> {
    /// `None` if the sum of the block is of no use: not a number, or one of which multiples might be none.
    #[inline(always)]
    fn of(
        simd: S,
        panel: &[f32],
        words: &Range<usize>,
        columns: usize,
        width: usize,
    ) -> Option<Self> {
        let panel = panel_rows::<S, V>(panel);
        let mut sum = [simd.splat_f32s(0.0); V];
        let mut bits = [0; BLOCK_WORDS];
        for ((word, bits), rows) in words
            .clone()
            .zip(&mut bits)
            .zip(panel.chunks_exact(CHOICES))
        {
            let rows = &rows[..WORD.min(columns - word * WORD)];
            *bits = u64::MAX >> (WORD - rows.len());
            // Few numbers meet a sum that is much larger.
            for rows in rows.chunks(8) {
                let mut part = rows[0];
                for row in &rows[1..] {
                    for (part, x) in part.iter_mut().zip(row) {
                        *part = simd.add_f32s(*part, *x);
                    }
                }
                for (sum, x) in sum.iter_mut().zip(&part) {
                    *sum = simd.add_f32s(*sum, *x);
                }
            }
        }
        let sums: &[f32] = pulp::bytemuck::cast_slice(&sum);
        let of_use = sums[..width].iter().all(|x| x.abs() < 1e30);
        of_use.then_some(Self {
            sum,
            bits,
            count: bits.iter().map(|bits| bits.count_ones()).sum(),
        })
    }
}

/// The product for too few rows to be worth packing, read in place. The fields are as in [`ManyRows`].
struct FewRows<'a> {
    bits: &'a BitPlanes,
    dense: DenseColumns<'a>,
    bias: Option<&'a [f32]>,
    rows: Range<usize>,
    place: Place,
}

impl WithSimd for FewRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As wide as registers allow: the processor prefetches long runs.
        let most = if S::F32_LANES >= 16 { 16 } else { 8 };
        let mut at = 0;
        while at < self.dense.columns {
            let left = self.dense.columns - at;
            at += match left.div_ceil(S::F32_LANES).min(most) {
                16 => self.tile::<S, 16>(simd, at),
                8.. => self.tile::<S, 8>(simd, at),
                4.. => self.tile::<S, 4>(simd, at),
                2.. => self.tile::<S, 2>(simd, at),
                _ => self.tile::<S, 1>(simd, at),
            };
        }
    }
}

impl FewRows<'_> {
    /// The columns from `at` on that `V` vectors hold; returns how many.
    #[inline(always)]
    fn tile<S: Simd, const V: usize>(&self, simd: S, at: usize) -> usize {
        let full = V * S::F32_LANES;
        let width = full.min(self.dense.columns - at);
        for (row, from) in self.rows.clone().enumerate() {
            let mut total = match self.bias {
                Some(bias) => load::<S, V>(simd, &bias[at..at + width]),
                None => [simd.splat_f32s(0.0); V],
            };
            for plane in self.bits.iter() {
                let mut sum = [simd.splat_f32s(0.0); V];
                for (i, word) in plane.bits.words(from..from + 1).iter().enumerate() {
                    let mut word = *word;
                    while word != 0 {
                        let chosen = i * WORD + word.trailing_zeros() as usize;
                        word &= word - 1;
                        let numbers = load_row::<S, V>(simd, &self.dense, chosen, at, width);
                        for (sum, x) in sum.iter_mut().zip(&numbers) {
                            *sum = simd.add_f32s(*sum, *x);
                        }
                    }
                }
                add_scaled(simd, &mut total, simd.splat_f32s(plane.factor), &sum);
            }
            let total: &[f32] = pulp::bytemuck::cast_slice(&total);
            self.place.write(row, at, &total[..width]);
        }
        width
    }
}

/// Loads the columns `at..at + width` of a row as vectors. Their excess are any numbers: whole vectors load faster than parts.
#[inline(always)]
fn load_row<S: Simd, const V: usize>(
    simd: S,
    dense: &DenseColumns,
    row: usize,
    at: usize,
    width: usize,
) -> [S::f32s; V] {
    let from = dense.from(row, at);
    match S::as_simd_f32s(from).0.first_chunk::<V>() {
        Some(whole) => *whole,
        None => load::<S, V>(simd, &from[..width]),
    }
}

/// Loads vectors; elements missing at the end are zeros.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, numbers: &[f32]) -> [S::f32s; V] {
    if numbers.len() == V * S::F32_LANES {
        let vectors = S::as_simd_f32s(numbers).0;
        return *<&[S::f32s; V]>::try_from(vectors).expect("as many vectors");
    }
    let mut vectors = [simd.splat_f32s(0.0); V];
    for (vector, numbers) in vectors.iter_mut().zip(numbers.chunks(S::F32_LANES)) {
        *vector = simd.partial_load_f32s(numbers);
    }
    vectors
}

/// Adds to the sums of `R` rows of bits, interleaved: no addition waits for the previous one of its row, and one branch
/// prediction serves all of them.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn add_rows<S: Simd, const V: usize, const R: usize>(
    simd: S,
    lines: &[u64],
    stride: usize,
    words: &Range<usize>,
    panel: &[[S::f32s; V]; PANEL],
    all: Option<&All<S, V>>,
    factor: S::f32s,
    sums: &mut [[S::f32s; V]; R],
) {
    // All ones where the zeros of a row are chosen.
    let mut inverted = [0u64; R];
    if let Some(all) = all {
        for (r, inverted) in inverted.iter_mut().enumerate() {
            let line = &lines[r * stride..][words.clone()];
            let ones: u32 = line.iter().map(|word| word.count_ones()).sum();
            *inverted = if 2 * ones > all.count { u64::MAX } else { 0 };
        }
    }
    // Sums of a block first: fewer numbers meet one that is much larger.
    let mut sum = [[simd.splat_f32s(0.0); V]; R];
    for (i, word) in words.clone().enumerate() {
        let mut left = [0u64; R];
        for (r, left) in left.iter_mut().enumerate() {
            *left = lines[r * stride + word];
            if let Some(all) = all {
                *left = (*left ^ inverted[r]) & all.bits[i % BLOCK_WORDS];
            }
        }
        while left.iter().fold(0, |all, word| all | word) != 0 {
            for (left, sum) in left.iter_mut().zip(&mut sum) {
                // 64, the row of zeros, when no ones are left.
                let choice = left.trailing_zeros() as usize;
                *left &= left.wrapping_sub(1);
                let row = &panel[i % BLOCK_WORDS * CHOICES + choice];
                for (sum, x) in sum.iter_mut().zip(row) {
                    *sum = simd.add_f32s(*sum, *x);
                }
            }
        }
    }
    for ((total, sum), inverted) in sums.iter_mut().zip(&sum).zip(inverted) {
        let mut factor = factor;
        if let (Some(all), true) = (all, inverted != 0) {
            add_scaled(simd, total, factor, &all.sum);
            factor = simd.neg_f32s(factor);
        }
        add_scaled(simd, total, factor, sum);
    }
}

/// Adds a multiple of a sum.
#[inline(always)]
fn add_scaled<S: Simd, const V: usize>(
    simd: S,
    total: &mut [S::f32s; V],
    factor: S::f32s,
    sum: &[S::f32s; V],
) {
    for (total, x) in total.iter_mut().zip(sum) {
        *total = simd.mul_add_e_f32s(factor, *x, *total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::architectures;

    fn spike(i: usize, modulus: usize) -> f32 {
        let fires = (i.wrapping_mul(2_654_435_761) >> 9).is_multiple_of(modulus);
        f32::from(u8::from(fires))
    }

    fn check(rows: usize, columns: usize, n: usize, modulus: usize, with_bias: bool) {
        let values: Vec<f32> = (0..rows * columns).map(|i| spike(i, modulus)).collect();
        check_values(rows, columns, n, &values, with_bias);
        let most: Vec<f32> = values.iter().map(|x| 1.0 - x).collect();
        check_values(rows, columns, n, &most, with_bias);
        // Joined, graded and pooled spikes.
        let all: [&[f32]; 4] = [
            &[0.0, 1.0, 2.0, 3.0],
            &[0.0, 1.0, -1.0],
            &[0.0, 0.25, 0.5, 0.75, 1.0],
            &[1.0, 2.0, -1.0, 0.25, 0.0],
        ];
        for levels in all {
            let level = |(i, x): (usize, &f32)| x * levels[i / 3 % levels.len()];
            let values: Vec<f32> = values.iter().enumerate().map(level).collect();
            check_values(rows, columns, n, &values, with_bias);
        }
    }

    fn check_values(rows: usize, columns: usize, n: usize, values: &[f32], with_bias: bool) {
        // Sums of few quarters: exact in any order.
        let number = |i: usize| (i * 37 % 101) as f32 / 4.0 - 12.0;
        let dense: Vec<f32> = (0..columns * n).map(number).collect();
        let bias: Option<Vec<f32>> = with_bias.then(|| (0..n).map(|i| i as f32 / 2.0).collect());
        let bits = BitPlanes::pack(values, rows, columns, true).unwrap();
        // The same as a part of a matrix, whose other columns must not matter.
        let (stride, first) = (n + 20, 3);
        let mut wide = vec![f32::NAN; columns * stride];
        for (wide, row) in wide
            .chunks_exact_mut(stride)
            .zip(dense.chunks_exact(n.max(1)))
        {
            wide[first..][..n].copy_from_slice(row);
        }
        let part = DenseColumns {
            values: &wide,
            stride,
            first,
            columns: n,
        };
        for arch in architectures() {
            let numbers = DenseColumns::all(&dense, n);
            let got = product_by(arch, &bits, numbers, bias.as_deref());
            assert_eq!(product_by(arch, &bits, part, bias.as_deref()), got);
            for row in 0..rows {
                for column in 0..n {
                    let mut sum = bias.as_ref().map_or(0.0, |bias| bias[column]);
                    for k in 0..columns {
                        sum += values[row * columns + k] * dense[k * n + column];
                    }
                    let what = format!("{arch:?} {rows} {columns} {n}: {row} {column}");
                    assert_eq!(got[row * n + column], sum, "{what}");
                }
            }
        }
    }

    #[test]
    fn sums_of_the_chosen_rows() {
        for rows in [1, 2, 23, 24, 100] {
            for columns in [1, 63, 64, 129, 300] {
                for n in [1, 15, 16, 40, 64, 70, 100] {
                    check(rows, columns, n, 7, (rows + n) % 2 == 0);
                }
            }
        }
        for modulus in [1, 1_000_000_007] {
            check(30, 130, 33, modulus, true);
        }
        check(1500, 130, 80, 3, true);
    }

    #[test]
    fn sums_do_not_depend_on_how_many_cores_share_the_rows() {
        // With 64 threads the last of 110 tasks has 20 rows, too few to be worth packing if there were no others.
        let (rows, columns, n) = (14_081, 300, 20);
        let few: Vec<f32> = (0..rows * columns).map(|i| spike(i, 7)).collect();
        let most: Vec<f32> = few.iter().map(|x| 1.0 - x).collect();
        let dense: Vec<f32> = (0..columns * n).map(|i| (i as f32).sin()).collect();
        let mut with_nan = dense.clone();
        with_nan[200 * n + 3] = f32::NAN;
        for (values, dense) in [(&few, &dense), (&most, &dense), (&most, &with_nan)] {
            let bits = BitPlanes::pack(values, rows, columns, true).unwrap();
            let on = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                let run = || product(&bits, DenseColumns::all(dense, n), None);
                let sums = pool.build().unwrap().install(run);
                sums.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            assert!(on(1) == on(64));
        }
    }

    #[test]
    fn what_is_empty_stays_empty() {
        for (rows, columns, n) in [(0, 3, 4), (3, 0, 4), (3, 4, 0)] {
            check(rows, columns, n, 2, true);
        }
    }

    #[test]
    fn numbers_that_are_no_spikes_have_no_planes() {
        for x in [
            0.1,
            16.0,
            -16.0,
            1e9,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
        ] {
            assert!(
                BitPlanes::pack(&[0.0, 1.0, x, 0.5], 2, 2, true).is_none(),
                "{x}"
            );
        }
        // Too many planes.
        assert!(BitPlanes::pack(&[15.75], 1, 1, true).is_none());
        let planes = BitPlanes::pack(&[15.0, -0.0], 1, 2, true).unwrap();
        assert_eq!((planes.iter().count(), planes.additions()), (4, 4));
    }

    #[test]
    fn silent_rows_do_not_spread_what_is_not_finite() {
        // Of few and many rows, and where most fire.
        for (rows, columns) in [(1, 2), (100, 2), (100, 200)] {
            let row = (0..columns).map(|i| f32::from(u8::from(i > 0)));
            let bits = BitPlanes::pack(&row.collect::<Vec<_>>().repeat(rows), rows, columns, true);
            let mut dense = vec![1.0; 2 * columns];
            dense[..2].copy_from_slice(&[f32::NAN, f32::INFINITY]);
            let got = product(&bits.unwrap(), DenseColumns::all(&dense, 2), None);
            assert_eq!(got, vec![(columns - 1) as f32; 2 * rows]);
        }
    }

    #[test]
    fn zeros_are_subtracted_only_where_they_may_be() {
        // One element is so large that others vanish beside it; it is not chosen.
        let (rows, columns) = (100, 70);
        let row = (0..columns).map(|i| f32::from(u8::from(i > 0)));
        let values = row.collect::<Vec<_>>().repeat(rows);
        let bits = BitPlanes::pack(&values, rows, columns, true).unwrap();
        assert_eq!(bits.additions(), rows);
        let mut dense = vec![1.0; columns];
        dense[0] = 1e10;
        let numbers = DenseColumns::all(&dense, 1);
        assert!(product(&bits, numbers, None).iter().all(|x| *x != 69.0));
        let bits = BitPlanes::pack(&values, rows, columns, false).unwrap();
        assert_eq!(bits.additions(), 69 * rows);
        assert_eq!(product(&bits, numbers, None), vec![69.0; rows]);
    }
}
