//! Spikes as bits: packing, transposing, and the windows of a convolution.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Bits in a word.
pub const WORD: usize = 64;
/// The most planes that are worth more than a dense product.
const MOST_PLANES: usize = 4;
/// Elements below 16 in amount.
const QUARTER_BITS: u32 = 6;
/// The share of ones above which products look, in each block, whether its zeros are fewer.
const MANY_ONES: f64 = 0.4;
/// Elements that are packed by a task.
const TASK: usize = 1 << 15;

/// Rows of bits. Each row starts at a word; the unused bits of its last word are 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitMatrix {
    words: Vec<u64>,
    rows: usize,
    columns: usize,
}

impl BitMatrix {
    /// A matrix of zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            words: vec![0; rows * columns.div_ceil(WORD)],
            rows,
            columns,
        }
    }

    /// Packs rows of zeros and ones, and counts the ones. `None` if any element is neither; -0 counts as 0.
    pub fn pack(values: &[f32], rows: usize, columns: usize) -> Option<(Self, usize)> {
        Self::pack_by(values, rows, columns, OnesMask)
    }

    /// Packs rows by a mask of each 64 elements; `None` if it is not to be.
    fn pack_by(
        values: &[f32],
        rows: usize,
        columns: usize,
        mask: impl Mask,
    ) -> Option<(Self, usize)> {
        debug_assert_eq!(values.len(), rows * columns);
        let mut bits = Self::zeros(rows, columns);
        let stride = bits.stride();
        if values.is_empty() {
            return Some((bits, 0));
        }
        let arch = Arch::new();
        let chunk = TASK.div_ceil(columns).max(1);
        let ones = bits
            .words
            .par_chunks_mut(chunk * stride)
            .zip(values.par_chunks(chunk * columns))
            .map(|(words, values)| {
                arch.dispatch(Pack {
                    values,
                    columns,
                    words,
                    mask,
                })
            })
            .try_reduce(|| 0, |a, b| Some(a + b))?;
        Some((bits, ones))
    }

    /// Words in a row.
    pub fn stride(&self) -> usize {
        self.columns.div_ceil(WORD)
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The words of some rows.
    pub fn words(&self, rows: std::ops::Range<usize>) -> &[u64] {
        let stride = self.stride();
        &self.words[rows.start * stride..rows.end * stride]
    }

    /// All words, for setting bits.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Self {
        let mut out = Self::zeros(self.columns, self.rows);
        let (from, to) = (self.stride(), out.stride());
        if out.words.is_empty() {
            return out;
        }
        // The rows that come from one column of words.
        out.words
            .par_chunks_mut(WORD * to)
            .enumerate()
            .for_each(|(word, out)| {
                for block in 0..to {
                    let mut square = [0u64; WORD];
                    let rows = WORD.min(self.rows - block * WORD);
                    for (i, line) in square[..rows].iter_mut().enumerate() {
                        *line = self.words[(block * WORD + i) * from + word];
                    }
                    transpose_square(&mut square);
                    for (line, out) in square.iter().zip(out.chunks_exact_mut(to)) {
                        out[block] = *line;
                    }
                }
            });
        out
    }
}

/// Transposes 64 words of 64 bits, in six rounds of exchanged blocks.
fn transpose_square(square: &mut [u64; WORD]) {
    let mut half = WORD / 2;
    let mut mask = u64::MAX >> half;
    while half > 0 {
        let mut i = 0;
        while i < WORD {
            let other = i + half;
            let exchanged = ((square[i] >> half) ^ square[other]) & mask;
            square[i] ^= exchanged << half;
            square[other] ^= exchanged;
            // The next index whose bit `half` is 0.
            i = (other + 1) & !half;
        }
        half /= 2;
        mask ^= mask << half;
    }
}

struct Pack<'a, M> {
    values: &'a [f32],
    columns: usize,
    words: &'a mut [u64],
    mask: M,
}

impl<M: Mask> WithSimd for Pack<'_, M> {
    type Output = Option<usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<usize> {
        let stride = self.columns.div_ceil(WORD);
        let mut ones = 0;
        let mut fits = true;
        for (row, words) in self
            .values
            .chunks_exact(self.columns)
            .zip(self.words.chunks_exact_mut(stride))
        {
            for (values, word) in row.chunks(WORD).zip(words) {
                let bits = match <&[f32; WORD]>::try_from(values) {
                    Ok(values) => self.mask.word(values),
                    Err(_) => {
                        let mut padded = [0.0; WORD];
                        padded[..values.len()].copy_from_slice(values);
                        self.mask.word(&padded)
                    }
                };
                *word = bits.0;
                fits &= bits.1;
                ones += bits.0.count_ones() as usize;
            }
        }
        fits.then_some(ones)
    }
}

/// Spikes as numbers: small multiples of 1 or of a quarter, as joined, graded and average-pooled spikes are. Each number is the
/// sum of the factors of the planes that have its bit.
#[derive(Clone, Debug)]
pub struct BitPlanes(Vec<BitPlane>);

/// The bits of a plane, and its factor.
#[derive(Clone, Debug)]
pub struct BitPlane {
    pub bits: BitMatrix,
    pub factor: f32,
    /// True if products may subtract the rows of zeros from the sum of all rows, where those are fewer.
    pub many_ones: bool,
    /// About how many rows are added or subtracted in a product with the packed matrix.
    additions: usize,
}

impl BitPlane {
    fn new((bits, ones): (BitMatrix, usize), factor: f32, subtract: bool) -> Self {
        let all = bits.rows() * bits.columns();
        Self {
            bits,
            factor,
            many_ones: subtract && ones as f64 > MANY_ONES * all as f64,
            additions: if subtract { ones.min(all - ones) } else { ones },
        }
    }
}

impl BitPlanes {
    /// Packs rows of numbers: one plane for zeros and ones. `None` if they need more than [`MOST_PLANES`]; -0 counts as 0. Their
    /// products may subtract, or only add.
    pub fn pack(values: &[f32], rows: usize, columns: usize, subtract: bool) -> Option<Self> {
        if let Some(packed) = BitMatrix::pack(values, rows, columns) {
            return Some(Self(vec![BitPlane::new(packed, 1.0, subtract)]));
        }
        let arch = Arch::new();
        let quarters = values
            .par_chunks(TASK)
            .map(|values| arch.dispatch(Quarters(values)))
            .try_reduce(|| [0; 2], |[a, b], [c, d]| Some([a | c, b | d]))?;
        let count: u32 = quarters.iter().map(|used| used.count_ones()).sum();
        if count as usize > MOST_PLANES {
            return None;
        }
        let mut planes = Vec::new();
        for (sign, used) in [1.0f32, -1.0].into_iter().zip(quarters) {
            for bit in (0..QUARTER_BITS).filter(|bit| used >> bit & 1 == 1) {
                let mask = PlaneMask {
                    scale: 4.0 * sign,
                    bit,
                };
                let packed = BitMatrix::pack_by(values, rows, columns, mask)?;
                let factor = sign * 0.25 * (1 << bit) as f32;
                planes.push(BitPlane::new(packed, factor, subtract));
            }
        }
        Some(Self(planes))
    }

    /// About how many rows are added or subtracted in a product with the packed numbers.
    pub fn additions(&self) -> usize {
        self.0.iter().map(|plane| plane.additions).sum()
    }

    /// The planes; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &BitPlane> {
        self.0.iter()
    }

    /// The numbers of a row.
    pub fn unpack(&self, row: usize, values: &mut [f32]) {
        values.fill(0.0);
        for BitPlane { bits, factor, .. } in &self.0 {
            let words = bits.words(row..row + 1);
            Arch::new().dispatch(AddPlane {
                words,
                factor: *factor,
                values: &mut *values,
            });
        }
    }

    /// The same of every plane.
    pub fn map(&self, body: impl Fn(&BitMatrix) -> BitMatrix) -> Self {
        let plane = |plane: &BitPlane| BitPlane {
            bits: body(&plane.bits),
            ..*plane
        };
        Self(self.0.iter().map(plane).collect())
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Self {
        self.map(BitMatrix::transposed)
    }

    /// Words in a row of a plane.
    pub fn stride(&self) -> usize {
        self.0[0].bits.stride()
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.0[0].bits.rows()
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.0[0].bits.columns()
    }
}

/// Adds a factor to the elements that have their bit.
struct AddPlane<'a> {
    words: &'a [u64],
    factor: f32,
    values: &'a mut [f32],
}

impl WithSimd for AddPlane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (values, word) in self.values.chunks_mut(WORD).zip(self.words) {
            for (bit, x) in values.iter_mut().enumerate() {
                *x += if word >> bit & 1 == 1 {
                    self.factor
                } else {
                    0.0
                };
            }
        }
    }
}

/// The bits that are used in the numbers of quarters of positive and of negative elements; `None` if an element is no small
/// number of quarters.
struct Quarters<'a>(&'a [f32]);

impl WithSimd for Quarters<'_> {
    type Output = Option<[u32; 2]>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<[u32; 2]> {
        let [mut positive, mut negative] = [0; 2];
        for part in self.0.chunks(1024) {
            let mut other = 0;
            for x in part {
                let quarters = x * 4.0;
                let amount = quarters.abs();
                let count = count_bits(amount);
                other |= u32::from(count as f32 != amount) | count >> QUARTER_BITS;
                positive |= if quarters > 0.0 { count } else { 0 };
                negative |= if quarters < 0.0 { count } else { 0 };
            }
            if other != 0 {
                return None;
            }
        }
        Some([positive, negative])
    }
}

/// The bits of 64 elements.
trait Mask: Copy + Sync {
    /// The bits, and whether the elements are as expected.
    fn word(self, values: &[f32; WORD]) -> (u64, bool);
}

/// Of ones. All other elements are to be 0.
#[derive(Clone, Copy)]
struct OnesMask;

impl Mask for OnesMask {
    #[inline(always)]
    fn word(self, values: &[f32; WORD]) -> (u64, bool) {
        let mut one = [0u8; WORD];
        let mut other = 0u8;
        for (x, one) in values.iter().zip(&mut one) {
            *one = u8::from(*x == 1.0);
            other |= u8::from(*x != 0.0) ^ *one;
        }
        (word(&one), other == 0)
    }
}

/// Of a bit of the multiples by `scale`, which are whole numbers or negative.
#[derive(Clone, Copy)]
struct PlaneMask {
    scale: f32,
    bit: u32,
}

impl Mask for PlaneMask {
    #[inline(always)]
    fn word(self, values: &[f32; WORD]) -> (u64, bool) {
        let mut one = [0u8; WORD];
        for (x, one) in values.iter().zip(&mut one) {
            let count = count_bits((x * self.scale).max(0.0));
            *one = (count >> self.bit & 1) as u8;
        }
        (word(&one), true)
    }
}

/// A whole number below 2^23 as bits.
#[inline(always)]
fn count_bits(x: f32) -> u32 {
    const HIDDEN: f32 = (1 << 23) as f32;
    // The mantissa of the sum: cheaper than a conversion, which checks for infinities.
    (x + HIDDEN).to_bits() & ((1 << 23) - 1)
}

/// The mask of the bytes that are 1; all others are 0.
#[inline(always)]
fn word(ones: &[u8; WORD]) -> u64 {
    let mut word = 0;
    for (i, eight) in ones.chunks_exact(8).enumerate() {
        let bytes = u64::from_le_bytes(eight.try_into().expect("eight bytes"));
        // Byte `i` of 0 or 1 becomes bit `56 + i`; no two terms of the product meet below.
        word |= (bytes.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    word
}

/// `len` bits from bit `from` on, at most 64; 0 past the end.
#[inline(always)]
fn read_bits(words: &[u64], from: usize, len: usize) -> u64 {
    let (word, shift) = (from / WORD, from % WORD);
    // No branch that depends on where a word ends: it would be guessed wrong too often.
    let high = words.get(word + 1).copied().unwrap_or(0);
    let both = u128::from(words[word]) | u128::from(high) << WORD;
    (both >> shift) as u64 & (u64::MAX >> (WORD - len))
}

/// Writes bits one after the other.
pub struct BitWriter<'a> {
    words: &'a mut [u64],
    /// The current word.
    word: usize,
    /// Pending bits, from the lowest on; fewer than a word.
    next: u128,
    filled: usize,
}

impl<'a> BitWriter<'a> {
    /// Starts at the first word.
    pub fn new(words: &'a mut [u64]) -> Self {
        Self {
            words,
            word: 0,
            next: 0,
            filled: 0,
        }
    }

    /// Writes zeros up to this bit.
    #[inline(always)]
    pub fn skip_to(&mut self, bit: usize) {
        let zeros = bit - (self.word * WORD + self.filled);
        self.filled += zeros;
        while self.filled >= WORD {
            self.emit();
        }
    }

    /// Writes `len` bits of `from`, starting with bit `start`.
    #[inline(always)]
    pub fn copy(&mut self, from: &[u64], start: usize, len: usize) {
        let (mut start, mut left) = (start, len);
        while left > 0 {
            let take = left.min(WORD);
            self.next |= u128::from(read_bits(from, start, take)) << self.filled;
            self.filled += take;
            if self.filled >= WORD {
                self.emit();
            }
            start += take;
            left -= take;
        }
    }

    #[inline(always)]
    fn emit(&mut self) {
        self.words[self.word] = self.next as u64;
        self.next >>= WORD;
        self.word += 1;
        self.filled -= WORD;
    }

    /// Writes the rest of a word. Later words are unchanged.
    pub fn finish(self) {
        if self.filled > 0 {
            self.words[self.word] = self.next as u64;
        }
    }
}

/// Writes `len` bits of `from`, starting with bit `start`, over zeros at `to`, starting with bit `at`.
#[inline(always)]
pub fn copy_bits(from: &[u64], start: usize, to: &mut [u64], at: usize, len: usize) {
    let mut done = 0;
    while done < len {
        let take = (len - done).min(WORD);
        let bits = read_bits(from, start + done, take);
        let (word, shift) = ((at + done) / WORD, (at + done) % WORD);
        to[word] |= bits << shift;
        if shift + take > WORD {
            to[word + 1] |= bits >> (WORD - shift);
        }
        done += take;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudo-random bits.
    fn matrix(rows: usize, columns: usize) -> Vec<f32> {
        let bit = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7).is_multiple_of(3);
        (0..rows * columns)
            .map(|i| f32::from(u8::from(bit(i))))
            .collect()
    }

    fn get(bits: &BitMatrix, row: usize, column: usize) -> bool {
        bits.words(row..row + 1)[column / WORD] >> (column % WORD) & 1 == 1
    }

    #[test]
    fn bits_are_where_the_ones_were() {
        for (rows, columns) in [
            (1, 1),
            (3, 64),
            (5, 65),
            (700, 130),
            (2, 63),
            (0, 4),
            (4, 0),
        ] {
            let values = matrix(rows, columns);
            let (bits, ones) = BitMatrix::pack(&values, rows, columns).unwrap();
            assert_eq!(ones, values.iter().filter(|x| **x == 1.0).count());
            let transposed = bits.transposed();
            assert_eq!((transposed.rows(), transposed.columns()), (columns, rows));
            for row in 0..rows {
                for column in 0..columns {
                    let expected = values[row * columns + column] == 1.0;
                    assert_eq!(get(&bits, row, column), expected);
                    assert_eq!(get(&transposed, column, row), expected);
                }
            }
            assert_eq!(transposed.transposed(), bits);
        }
    }

    #[test]
    fn rows_are_unpacked() {
        for (columns, levels) in [
            (130, &[0.0, 1.0][..]),
            (64, &[0.0, 1.0, 2.0, 3.0]),
            (67, &[0.0, -1.0, 0.25, 1.25]),
            (0, &[0.0]),
        ] {
            let values: Vec<f32> = (0..3 * columns)
                .map(|i| levels[i * i % 7 % levels.len()])
                .collect();
            let planes = BitPlanes::pack(&values, 3, columns, true).unwrap();
            let mut row = vec![f32::NAN; columns];
            planes.unpack(2, &mut row);
            assert_eq!(row, values[2 * columns..]);
        }
    }

    #[test]
    fn anything_but_zeros_and_ones_is_refused() {
        for other in [0.5, -1.0, 2.0, f32::NAN, f32::INFINITY, f32::MIN_POSITIVE] {
            for at in [0, 64, 129] {
                let mut values = matrix(1, 130);
                values[at] = other;
                assert_eq!(BitMatrix::pack(&values, 1, 130), None);
            }
        }
        let (bits, ones) = BitMatrix::pack(&[-0.0, 1.0], 1, 2).unwrap();
        assert_eq!((bits.words(0..1), ones), (&[2u64][..], 1));
    }

    #[test]
    fn runs_of_bits_are_copied() {
        let (bits, _) = BitMatrix::pack(&matrix(1, 300), 1, 300).unwrap();
        for (start, at, len) in [
            (0, 0, 300),
            (1, 7, 130),
            (63, 0, 64),
            (64, 65, 2),
            (250, 3, 50),
        ] {
            let mut copy = BitMatrix::zeros(1, 320);
            copy_bits(&bits.words, start, &mut copy.words, at, len);
            let mut written = BitMatrix::zeros(1, 320);
            let mut writer = BitWriter::new(&mut written.words);
            writer.skip_to(at);
            writer.copy(&bits.words, start, len);
            writer.finish();
            assert_eq!(written, copy);
            for i in 0..320 {
                let inside = (at..at + len).contains(&i);
                let expected = inside && get(&bits, 0, start + i - at);
                assert_eq!(get(&copy, 0, i), expected, "{start} {at} {len}: {i}");
            }
        }
    }
}
