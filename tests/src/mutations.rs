//! Files that were changed at random, always in the same ways: what is read from them is right or an error, never a panic.
//!
//! `SYNFIRE_MUTATIONS=100000` makes so many of each kind of file.

use std::ops::Range;

use crate::say;

/// The seed of the random numbers.
const SEED: u64 = 0x5eed_0f5f_11fe_0001;
/// The mutations of each kind, unless a number is given.
const MUTATIONS: u64 = 300;
/// Marsaglia's xorshift of 64 bits.
struct Random(u64);

impl Random {
    /// Each mutation has numbers of its own, so that one can be repeated without those before it.
    fn of_mutation(number: u64) -> Self {
        // Never 0, where it would stay.
        let state = SEED ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Self(state | 1);
        for _ in 0..8 {
            random.word();
        }
        random
    }

    fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.word() >> 16) as usize % end
    }

    fn byte(&mut self) -> u8 {
        (self.word() >> 24) as u8
    }

    /// Some of `length` bytes, at least one.
    fn slice(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length);
        start..start + 1 + self.below(length - start)
    }
}

fn mutated(valid: &[u8], number: u64) -> Vec<u8> {
    let mut random = Random::of_mutation(number);
    let mut bytes = valid.to_vec();
    // More often one than two or three.
    for _ in 0..[1, 1, 1, 2, 3][random.below(5)] {
        change(&mut bytes, &mut random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.byte());
        return;
    }
    let length = bytes.len();
    let at = random.below(length);
    match random.below(8) {
        0 => bytes[at] ^= 1_u8 << random.below(8),
        1 => bytes[at] = [0, 255][random.below(2)],
        2 => bytes.truncate(at),
        3 => {
            for _ in 0..=random.below(40) {
                bytes.push(random.byte());
            }
        }
        4 => {
            let slice = random.slice(length);
            let tail = bytes.split_off(slice.end);
            bytes.extend_from_within(slice);
            bytes.extend(tail);
        }
        5 => {
            let slice = random.slice(length);
            let tail = bytes.split_off(slice.end);
            bytes.truncate(slice.start);
            bytes.extend(tail);
        }
        6 => {
            let other = random.below(length);
            for i in 0..=random.below(8) {
                if at.max(other) + i < length {
                    bytes.swap(at + i, other + i);
                }
            }
        }
        _ => {
            let extremes = [
                0,
                1,
                0xffff,
                0x0100_0000,
                i32::MAX as u32,
                1 << 31,
                u32::MAX,
            ];
            let word = extremes[random.below(extremes.len())].to_be_bytes();
            // Often where a header has its numbers.
            let at = [at, 4 * random.below(4)][random.below(2)];
            for (byte, new) in bytes.iter_mut().skip(at).zip(word) {
                *byte = new;
            }
        }
    }
}

/// Says which mutation it was if it panics.
struct Guard<'a> {
    kind: &'a str,
    number: u64,
    bytes: &'a [u8],
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self {
                kind,
                number,
                bytes,
            } = self;
            eprintln!("{kind}: mutation {number} of seed {SEED:#x}: {bytes:?}");
        }
    }
}

/// Lets `load` have the valid file, then its mutations and their numbers. It says whether it took them.
///
/// # Panics
///
/// If the valid file is refused, or all mutations are, or none.
pub fn run(kind: &str, valid: &[u8], load: impl Fn(&[u8], u64) -> bool) {
    let count = std::env::var("SYNFIRE_MUTATIONS").map_or(MUTATIONS, |text| {
        text.parse().expect("SYNFIRE_MUTATIONS is a whole number")
    });
    for number in [0, 1] {
        assert!(load(valid, number), "{kind}: the valid file was refused");
    }
    let (mut number, mut accepted) = (0_u64, 0_u64);
    while number < count {
        let bytes = mutated(valid, number);
        let _guard = Guard {
            kind,
            number,
            bytes: &bytes,
        };
        accepted += u64::from(load(&bytes, number));
        number += 1;
    }
    let refused = number - accepted;
    let text = format!("{kind}: {number} mutations, {accepted} accepted, {refused} refused");
    say(&text);
    assert!(accepted > 0 && refused > 0, "{text}");
}
