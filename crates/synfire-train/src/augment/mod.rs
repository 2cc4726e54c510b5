//! Data augmentation: small random changes of training samples, drawn again in every epoch.

mod mix;
mod policy;

use std::ops::Range;

use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::encode::SampleKeys;
use synfire::random::{Philox, Purpose};

pub use policy::{MAX_MAGNITUDE, MAX_OPERATIONS, Operation, Policy};

/// Random augmentation of training samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Maximum shift of a sample in each direction, in pixels.
    pub shift: u32,
    /// True if half of the samples, at random, are mirrored left to right.
    pub flip: bool,
    /// Operations on images that are drawn for each, after shift and mirroring. `None`: none.
    pub policy: Option<Policy>,
    /// The side in pixels of a square, anywhere in the sample, that becomes its mean (DeVries and Taylor 2017, *Improved
    /// Regularization of Convolutional Neural Networks with Cutout*).
    pub erase: u32,
    /// `alpha`, at most 1, where a sample becomes a weighted mean with another of its batch, whose weight is drawn from
    /// `Beta(alpha, alpha)` (Zhang et al. 2018, *mixup: Beyond Empirical Risk Minimization*); 0: off.
    pub mixup: f64,
    /// `alpha`, at most 1, where a rectangle of a sample becomes that of another of its batch; the part that stays is drawn from
    /// `Beta(alpha, alpha)` (Yun et al. 2019, *CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    /// Features*); 0: off.
    pub cutmix: f64,
    /// Decides the draws.
    #[serde(skip)]
    pub seed: u64,
}

/// Fill values at the border of a shifted sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Zeros.
    Zero,
    /// The nearest pixel.
    Nearest,
}

/// Maximum of the shift and of the side of the square, in pixels.
pub const MAX_PIXELS: u32 = 255;

impl Augmentation {
    /// Checks all values, in the name of `owner`.
    ///
    /// # Errors
    ///
    /// If one is out of its range; the error names it.
    pub fn validate(&self, owner: &'static str) -> Result<(), InvalidConfig> {
        for (field, pixels) in [
            ("augmentation.shift", self.shift),
            ("augmentation.erase", self.erase),
        ] {
            let expected = format!("at most {MAX_PIXELS} pixels");
            InvalidConfig::require(owner, field, pixels, pixels <= MAX_PIXELS, expected)?;
        }
        for (field, alpha) in [
            ("augmentation.mixup", self.mixup),
            ("augmentation.cutmix", self.cutmix),
        ] {
            // Smaller ones have draws of 0 and 1 alone.
            let ok = alpha == 0.0 || (1e-3..=1.0).contains(&alpha);
            InvalidConfig::require(owner, field, alpha, ok, "0, or from 0.001 to 1")?;
        }
        if let Some(Policy::Random {
            operations,
            magnitude,
        }) = self.policy
        {
            let (field, ok) = (
                "augmentation.policy.operations",
                operations <= MAX_OPERATIONS,
            );
            let expected = format!("at most {MAX_OPERATIONS}");
            InvalidConfig::require(owner, field, operations, ok, expected)?;
            let (field, ok) = ("augmentation.policy.magnitude", magnitude <= MAX_MAGNITUDE);
            let expected = format!("at most {MAX_MAGNITUDE}");
            InvalidConfig::require(owner, field, magnitude, ok, expected)?;
        }
        Ok(())
    }

    /// Augments samples, each the same way in all its frames.
    ///
    /// # Shapes
    ///
    /// - frames: `[T, B, channels, height, width]`, row by row
    ///
    /// # Panics
    ///
    /// If there are fewer numbers, or the values are not [valid](Self::validate).
    pub fn apply(
        &self,
        frames: &mut [f32],
        time_steps: usize,
        shape: [usize; 3],
        border: Border,
        draw: &SampleKeys,
    ) {
        if self.shift == 0 && !self.flip && self.policy.is_none() && self.erase == 0 {
            return;
        }
        let philox = Philox::new(self.seed).for_purpose(Purpose::Augment);
        let elements: usize = shape.iter().product();
        let batch = draw.samples.len();
        let mut moved = vec![0.0; elements];
        for (i, sample) in draw.samples.iter().enumerate() {
            let [x, y, mirror, _] = philox.block([0, 0, *sample, draw.epoch]);
            let [left, top, ..] = philox.block([1, 0, *sample, draw.epoch]);
            let by = [self.offset(y), self.offset(x)];
            let mirror = self.flip && mirror >> 31 == 1;
            for step in 0..time_steps {
                let frame = &mut frames[(step * batch + i) * elements..][..elements];
                shift(frame, &mut moved, shape, by, mirror, border);
                frame.copy_from_slice(&moved);
                if let Some(policy) = self.policy {
                    policy.apply(frame, shape, |index| {
                        philox.block([8 + index, 0, *sample, draw.epoch])
                    });
                }
                self.erase(frame, shape, [top, left]);
            }
        }
    }

    /// Sets a square to the mean of its channel; `words` decide its centre.
    fn erase(&self, frame: &mut [f32], [_, height, width]: [usize; 3], words: [u32; 2]) {
        if self.erase == 0 {
            return;
        }
        let side = self.erase as usize;
        let (rows, columns) = (
            around(words[0], height, side),
            around(words[1], width, side),
        );
        for channel in frame.chunks_mut(height * width) {
            let mean = channel.iter().sum::<f32>() / (height * width) as f32;
            for row in rows.clone() {
                channel[row * width..][columns.clone()].fill(mean);
            }
        }
    }

    /// From `-shift` to `shift`.
    fn offset(&self, word: u32) -> isize {
        let places = u64::from(2 * self.shift + 1);
        let place = (u64::from(word) * places) >> 32;
        place as isize - self.shift as isize
    }
}

/// A range of `side` places on an axis around a random one, without those beyond its ends.
pub(crate) fn around(word: u32, size: usize, side: usize) -> Range<usize> {
    let middle = ((u64::from(word) * size as u64) >> 32) as usize;
    let begin = middle.saturating_sub(side / 2);
    begin..(middle + side.div_ceil(2)).min(size)
}

/// Mirrors a frame, then shifts it down and to the right.
fn shift(
    from: &[f32],
    to: &mut [f32],
    [_, height, width]: [usize; 3],
    [down, right]: [isize; 2],
    mirror: bool,
    border: Border,
) {
    // Source index of a position on an axis.
    let source = |place: usize, by: isize, size: usize| {
        let (place, size) = (place as isize - by, size as isize);
        match border {
            Border::Zero if !(0..size).contains(&place) => None,
            _ => Some(place.clamp(0, size - 1) as usize),
        }
    };
    for (row, target) in to.chunks_mut(width).enumerate() {
        let (channel, y) = (row / height, row % height);
        target.fill(0.0);
        let Some(y) = source(y, down, height) else {
            continue;
        };
        let row = &from[(channel * height + y) * width..][..width];
        for (x, value) in target.iter_mut().enumerate() {
            if let Some(x) = source(x, right, width) {
                *value = row[if mirror { width - 1 - x } else { x }];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_move_whole() {
        let frame: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let change = |by: [isize; 2], mirror, border| {
            let mut to = vec![9.0; 12];
            shift(&frame, &mut to, [2, 2, 3], by, mirror, border);
            to
        };
        let moved = |by, mirror| change(by, mirror, Border::Zero);
        assert_eq!(moved([0, 0], false), frame);
        assert_eq!(
            moved([1, 0], false),
            [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 7.0, 8.0, 9.0]
        );
        assert_eq!(
            moved([0, -2], false),
            [3.0, 0.0, 0.0, 6.0, 0.0, 0.0, 9.0, 0.0, 0.0, 12.0, 0.0, 0.0]
        );
        assert_eq!(moved([0, 0], true)[..3], [3.0, 2.0, 1.0]);
        assert_eq!(moved([0, 1], true)[..3], [0.0, 3.0, 2.0]);
        assert_eq!(moved([-2, 0], false), [0.0; 12]);
        assert_eq!(
            change([1, -2], false, Border::Nearest),
            [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]
        );
    }

    #[test]
    fn a_square_becomes_the_mean() {
        let erase = |side, words| {
            let augmentation = Augmentation {
                erase: side,
                ..Augmentation::default()
            };
            // Two channels; the first has mean 1.
            let mut frame = [2.0, 0.0, 2.0, 0.0, 5.0, 5.0, 5.0, 5.0];
            augmentation.erase(&mut frame, [2, 2, 2], words);
            frame
        };
        assert_eq!(erase(0, [0, 0])[..4], [2.0, 0.0, 2.0, 0.0]);
        assert_eq!(erase(1, [0, u32::MAX])[..4], [2.0, 1.0, 2.0, 0.0]);
        assert_eq!(erase(1, [u32::MAX, 0])[..4], [2.0, 0.0, 1.0, 0.0]);
        assert_eq!(erase(4, [0, 0]), [1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 5.0]);
        // At the edge only a part of the square.
        assert_eq!(erase(2, [0, 0])[..4], [1.0, 0.0, 2.0, 0.0]);
    }

    #[test]
    fn a_sample_is_changed_by_its_number_and_epoch() {
        let augmentation = Augmentation {
            shift: 2,
            flip: true,
            seed: 3,
            ..Augmentation::default()
        };
        // Two steps of three samples with one bright pixel near the middle of 9x9.
        let apply = |augmentation: Augmentation, draw: &SampleKeys| {
            let mut frames = vec![0.0; 2 * draw.samples.len() * 81];
            frames.chunks_mut(81).for_each(|frame| frame[41] = 1.0);
            augmentation.apply(&mut frames, 2, [1, 9, 9], Border::Zero, draw);
            let places = frames
                .chunks(81)
                .map(|frame| frame.iter().position(|x| *x == 1.0).unwrap());
            places.collect::<Vec<_>>()
        };
        let many = apply(augmentation, &SampleKeys::new(1, (0..400).collect()));
        // The same in all steps.
        assert_eq!(many[..400], many[400..]);
        let mut seen = many.clone();
        seen.sort();
        seen.dedup();
        // Rows 2 to 6; columns 3 to 7, and mirrored 1 to 5: five by seven places.
        assert_eq!(seen.len(), 35);
        let some = apply(augmentation, &SampleKeys::new(1, vec![7, 3]));
        assert_eq!(some[..2], [many[7], many[3]]);
        assert_ne!(
            apply(augmentation, &SampleKeys::new(2, (0..400).collect())),
            many
        );
        let off = Augmentation::default();
        assert!(
            apply(off, &SampleKeys::fixed(5))
                .iter()
                .all(|place| *place == 41)
        );
    }
}
