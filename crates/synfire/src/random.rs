//! Counter-based random numbers: the same draw for the same key and counter, on every host and device.
//!
//! Burn's backends keep one process-wide generator each, shared by everything that draws from it, so two runs (or
//! two tests) in one process disturb each other and no two backends agree. Synfire draws instead from
//! Philox4x32-10 (Salmon et al. 2011, *Parallel Random Numbers: As Easy as 1, 2, 3*), a function from a key and a
//! counter to 128 random bits. A training run derives the key from the user's seed and the counter from the identity of
//! the draw (epoch, sample, time step, element). So a draw depends on no other: any order, batch size or number of threads
//! gives the same draws, in a resumed run as well.
//!
//! ```
//! use synfire::random::{Philox, Purpose};
//!
//! let spikes = Philox::new(42).for_purpose(Purpose::Encode);
//! let block = spikes.block([0, 0, 0, 0]);
//! assert_eq!(block, Philox::new(42).for_purpose(Purpose::Encode).block([0, 0, 0, 0]));
//! ```

pub(crate) const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
pub(crate) const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
pub(crate) const ROUNDS: usize = 10;

/// Purpose of a stream of draws, a word of its key. Streams of different purposes under one seed are independent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Spikes of an encoder.
    Encode = 1,
    /// The order of samples in an epoch.
    Shuffle = 2,
    /// Initial weights.
    Initialize = 3,
    /// The division of a dataset into parts.
    Split = 4,
    /// Dropout masks.
    Dropout = 5,
    /// Changes of samples.
    Augment = 6,
}

/// The Philox4x32-10 function under one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    key: [u32; 2],
}

impl Philox {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
        }
    }

    /// The generator of one purpose under this one's seed.
    pub fn for_purpose(&self, purpose: Purpose) -> Self {
        let [k0, k1, ..] = self.block([purpose as u32, 0, 0, u32::MAX]);
        Self { key: [k0, k1] }
    }

    /// The key, for kernels that draw elsewhere.
    #[cfg(feature = "cube")]
    pub(crate) fn key(&self) -> [u32; 2] {
        self.key
    }

    /// 128 random bits for a counter.
    #[inline]
    pub fn block(&self, counter: [u32; 4]) -> [u32; 4] {
        let [mut c0, mut c1, mut c2, mut c3] = counter;
        let [mut k0, mut k1] = self.key;
        for _ in 0..ROUNDS {
            let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c0);
            let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c2);
            (c0, c1, c2, c3) = (
                (p1 >> 32) as u32 ^ c1 ^ k0,
                p1 as u32,
                (p0 >> 32) as u32 ^ c3 ^ k1,
                p0 as u32,
            );
            k0 = k0.wrapping_add(KEY_STEPS[0]);
            k1 = k1.wrapping_add(KEY_STEPS[1]);
        }
        [c0, c1, c2, c3]
    }

    /// The `index`th four words of the sequence numbered `sequence`.
    fn four(&self, sequence: u64, index: u64) -> [u32; 4] {
        self.block([
            index as u32,
            (index >> 32) as u32,
            sequence as u32,
            (sequence >> 32) as u32,
        ])
    }

    /// The `index`th word of the sequence numbered `sequence`.
    fn word(&self, sequence: u64, index: u64) -> u32 {
        self.four(sequence, index / 4)[(index % 4) as usize]
    }

    /// The first `len` words of the sequence.
    fn words(&self, sequence: u64, len: usize) -> impl Iterator<Item = u32> {
        let fours = (0..len.div_ceil(4) as u64).flat_map(move |i| self.four(sequence, i));
        fours.take(len)
    }

    /// A random order of `0..len`; `sequence` selects it (such as the epoch).
    ///
    /// Fisher-Yates, with positions drawn by multiplication; their bias is below `len / 2^32`.
    ///
    /// ```
    /// use synfire::random::Philox;
    ///
    /// let mut order = Philox::new(1).permutation(0, 100);
    /// assert_ne!(order, Philox::new(1).permutation(1, 100));
    /// order.sort();
    /// assert_eq!(order, (0..100).collect::<Vec<_>>());
    /// ```
    pub fn permutation(&self, sequence: u64, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        for i in (1..len).rev() {
            let word = u64::from(self.word(sequence, i as u64));
            let j = (word * (i as u64 + 1)) >> 32;
            order.swap(i, j as usize);
        }
        order
    }

    /// `len` uniform numbers in `[low, high)`; `sequence` selects them.
    pub fn uniform(&self, sequence: u64, len: usize, low: f32, high: f32) -> Vec<f32> {
        self.words(sequence, len)
            .map(|word| low + (high - low) * unit(word))
            .collect()
    }

    /// `len` normal numbers of mean 0 (Box-Muller); `sequence` selects them.
    pub fn normal(&self, sequence: u64, len: usize, deviation: f64) -> Vec<f32> {
        let mut units = self
            .words(sequence, len.next_multiple_of(2))
            .map(|word| f64::from(unit(word)));
        let mut numbers = Vec::with_capacity(len + 1);
        while let (Some(a), Some(b)) = (units.next(), units.next()) {
            // The logarithm of 1 - a, which is above 0.
            let radius = deviation * libm::sqrt(-2.0 * libm::log1p(-a));
            let angle = std::f64::consts::TAU * b;
            numbers.extend([libm::cos(angle), libm::sin(angle)].map(|x| (radius * x) as f32));
        }
        numbers.truncate(len);
        numbers
    }
}

/// The upper 24 bits of a word as a number in `[0, 1)`: exact in `f32`, so equal on all devices.
#[inline]
pub fn unit(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the authors' Random123 library, file `kat_vectors`.
    #[test]
    fn philox_gives_the_published_answers() {
        let zero = Philox { key: [0, 0] };
        assert_eq!(
            zero.block([0; 4]),
            [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]
        );
        let ones = Philox {
            key: [u32::MAX, u32::MAX],
        };
        assert_eq!(
            ones.block([u32::MAX; 4]),
            [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]
        );
        let pi = Philox {
            key: [0xA409_3822, 0x299F_31D0],
        };
        assert_eq!(
            pi.block([0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344]),
            [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]
        );
    }

    #[test]
    fn purposes_and_seeds_have_streams_of_their_own() {
        let purposes = [
            Purpose::Encode,
            Purpose::Shuffle,
            Purpose::Initialize,
            Purpose::Split,
            Purpose::Dropout,
            Purpose::Augment,
        ];
        let mut blocks: Vec<_> = [0, 1, 1 << 32, u64::MAX]
            .into_iter()
            .flat_map(|seed| purposes.map(|purpose| Philox::new(seed).for_purpose(purpose)))
            .map(|philox| philox.block([0; 4]))
            .collect();
        let total = blocks.len();
        blocks.sort();
        blocks.dedup();
        assert_eq!(blocks.len(), total);
    }

    #[test]
    fn every_position_of_a_permutation_is_equally_likely() {
        let (len, runs) = (8, 8_000);
        let mut counts = vec![vec![0u32; len]; len];
        for run in 0..runs {
            for (position, item) in Philox::new(3).permutation(run, len).into_iter().enumerate() {
                counts[position][item] += 1;
            }
        }
        // 1,000 expected, standard deviation 30.
        for count in counts.into_iter().flatten() {
            assert!((850..1150).contains(&count), "{count}");
        }
        assert!(Philox::new(3).permutation(0, 0).is_empty());
    }

    #[test]
    fn uniform_numbers_stay_in_their_range() {
        let numbers = Philox::new(9).uniform(0, 100_000, -0.5, 1.5);
        let mean = numbers.iter().sum::<f32>() / numbers.len() as f32;
        assert!(numbers.iter().all(|x| (-0.5..1.5).contains(x)));
        // Standard deviation of the mean: 0.0018.
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
        assert_eq!(unit(u32::MAX), 1.0 - 1.0 / 16_777_216.0);
        assert_eq!(unit(0), 0.0);
    }
    #[test]
    fn normal_numbers_have_their_deviation() {
        let numbers = Philox::new(9).normal(0, 100_001, 2.0);
        assert_eq!(numbers.len(), 100_001);
        let moment = |power| {
            let powers = numbers.iter().map(|x| f64::from(*x).powi(power));
            powers.sum::<f64>() / numbers.len() as f64
        };
        // Standard deviations of the moments: 0.006, 0.018, 0.31 (of 4 times 3).
        assert!(moment(1).abs() < 0.03, "{}", moment(1));
        assert!((moment(2) - 4.0).abs() < 0.09, "{}", moment(2));
        assert!((moment(4) - 48.0).abs() < 3.0, "{}", moment(4));
    }

    #[test]
    fn words_come_one_by_one_or_together() {
        let philox = Philox::new(4);
        for len in [0, 1, 4, 7] {
            let together: Vec<_> = philox.words(9, len).collect();
            let alone: Vec<_> = (0..len as u64).map(|i| philox.word(9, i)).collect();
            assert_eq!(together, alone);
        }
    }
}
