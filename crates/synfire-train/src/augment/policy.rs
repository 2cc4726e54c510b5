//! AutoAugment and RandAugment: sequences of operations on images, drawn for each sample.

use serde::{Deserialize, Serialize};

/// A policy that draws operations for every image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Policy {
    /// One of the 25 pairs of operations that a search found for CIFAR-10 (Cubuk et al. 2019, *AutoAugment: Learning Augmentation
    /// Strategies from Data*).
    AutoCifar10 {},
    /// Any operations, all with the same magnitude (Cubuk et al. 2020, *RandAugment: Practical Automated Data Augmentation with a
    /// Reduced Search Space*).
    Random {
        /// Number of operations, at most 16.
        #[serde(default = "two")]
        operations: usize,
        /// Their magnitude, from 0 to 30.
        #[serde(default = "nine")]
        magnitude: u32,
    },
}

fn two() -> usize {
    2
}

fn nine() -> u32 {
    9
}

/// Maximum number of operations on an image.
pub const MAX_OPERATIONS: usize = 16;
/// Maximum magnitude of random operations.
pub const MAX_MAGNITUDE: u32 = 30;

/// An operation on an image of intensities from 0 to 1, as torchvision defines it for images of one or three channels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Moves a row to the left by this part of its distance from the top.
    ShearX(f32),
    /// Moves a column up by this part of its distance from the left.
    ShearY(f32),
    /// Moves to the right, in whole pixels.
    TranslateX(f32),
    /// Moves down, in whole pixels.
    TranslateY(f32),
    /// Rotates to the left, in degrees.
    Rotate(f32),
    /// Brightens by this part of each intensity.
    Brightness(f32),
    /// Moves colours away from their grey; images of one channel have none.
    Color(f32),
    /// Moves intensities away from the mean grey.
    Contrast(f32),
    /// Moves intensities away from a blurred image.
    Sharpness(f32),
    /// Keeps so many bits of 8.
    Posterize(u32),
    /// Inverts intensities from this one on.
    Solarize(f32),
    /// Stretches each channel from 0 to 1.
    AutoContrast,
    /// Spreads the intensities of each channel evenly.
    Equalize,
    /// Turns light into dark.
    Invert,
}

/// The kinds of operations: all that [`Policy::Random`] draws but the one that does nothing, and inversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

use Kind::*;

const RANDOM: [Kind; 13] = [
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

/// Pairs of operations for CIFAR-10, each with its probability in tenths and its magnitude, of 0 to 9.
const AUTO_CIFAR10: [[(Kind, u32, u32); 2]; 25] = [
    [(Invert, 1, 0), (Contrast, 2, 6)],
    [(Rotate, 7, 2), (TranslateX, 3, 9)],
    [(Sharpness, 8, 1), (Sharpness, 9, 3)],
    [(ShearY, 5, 8), (TranslateY, 7, 9)],
    [(AutoContrast, 5, 0), (Equalize, 9, 0)],
    [(ShearY, 2, 7), (Posterize, 3, 7)],
    [(Color, 4, 3), (Brightness, 6, 7)],
    [(Sharpness, 3, 9), (Brightness, 7, 9)],
    [(Equalize, 6, 0), (Equalize, 5, 0)],
    [(Contrast, 6, 7), (Sharpness, 6, 5)],
    [(Color, 7, 7), (TranslateX, 5, 8)],
    [(Equalize, 3, 0), (AutoContrast, 4, 0)],
    [(TranslateY, 4, 3), (Sharpness, 2, 6)],
    [(Brightness, 9, 6), (Color, 2, 8)],
    [(Solarize, 5, 2), (Invert, 0, 0)],
    [(Equalize, 2, 0), (AutoContrast, 6, 0)],
    [(Equalize, 2, 0), (Equalize, 6, 0)],
    [(Color, 9, 9), (Equalize, 6, 0)],
    [(AutoContrast, 8, 0), (Solarize, 2, 8)],
    [(Brightness, 1, 3), (Color, 7, 0)],
    [(Solarize, 4, 5), (AutoContrast, 9, 0)],
    [(TranslateY, 9, 9), (TranslateY, 7, 9)],
    [(AutoContrast, 9, 0), (Solarize, 8, 3)],
    [(Equalize, 8, 0), (Invert, 1, 0)],
    [(TranslateY, 7, 9), (AutoContrast, 9, 0)],
];

impl Kind {
    /// The operation with a magnitude of 0 to `most`, on images of this height and width. `sign` decides a direction.
    fn of(self, magnitude: u32, most: u32, [height, width]: [usize; 2], sign: u32) -> Operation {
        let part = magnitude as f32 / most as f32;
        let signed = |largest: f32| match sign >> 31 {
            0 => largest * part,
            _ => -largest * part,
        };
        let moved = |size: usize| signed(150.0 / 331.0 * size as f32).trunc();
        match self {
            ShearX => Operation::ShearX(signed(0.3)),
            ShearY => Operation::ShearY(signed(0.3)),
            TranslateX => Operation::TranslateX(moved(width)),
            TranslateY => Operation::TranslateY(moved(height)),
            Rotate => Operation::Rotate(signed(30.0)),
            Brightness => Operation::Brightness(signed(0.9)),
            Color => Operation::Color(signed(0.9)),
            Contrast => Operation::Contrast(signed(0.9)),
            Sharpness => Operation::Sharpness(signed(0.9)),
            Posterize => Operation::Posterize(8 - (4.0 * part).round_ties_even() as u32),
            Solarize => Operation::Solarize(1.0 - part),
            AutoContrast => Operation::AutoContrast,
            Equalize => Operation::Equalize,
            Invert => Operation::Invert,
        }
    }
}

impl Policy {
    /// Applies the drawn operations to an image; `words` returns random words for a number.
    pub(super) fn apply(
        self,
        image: &mut [f32],
        shape: [usize; 3],
        words: impl Fn(u32) -> [u32; 4],
    ) {
        let [_, height, width] = shape;
        let choose =
            |word: u32, choices: usize| ((u64::from(word) * choices as u64) >> 32) as usize;
        match self {
            Self::AutoCifar10 {} => {
                let [pair, ..] = words(0);
                let pair = AUTO_CIFAR10[choose(pair, AUTO_CIFAR10.len())];
                for (i, (kind, tenths, magnitude)) in (1..).zip(pair) {
                    let [taken, sign, ..] = words(i);
                    if choose(taken, 10) < tenths as usize {
                        kind.of(magnitude, 9, [height, width], sign)
                            .apply(image, shape);
                    }
                }
            }
            Self::Random {
                operations,
                magnitude,
            } => {
                for i in 0..operations {
                    let [kind, sign, ..] = words(i as u32);
                    // The last choice does nothing.
                    if let Some(kind) = RANDOM.get(choose(kind, RANDOM.len() + 1)) {
                        let operation = kind.of(magnitude, MAX_MAGNITUDE, [height, width], sign);
                        operation.apply(image, shape);
                    }
                }
            }
        }
    }
}

impl Operation {
    /// Changes an image.
    ///
    /// # Shapes
    ///
    /// - image: `[channels, height, width]`, row by row
    ///
    /// # Panics
    ///
    /// If there are fewer numbers.
    pub fn apply(self, image: &mut [f32], shape: [usize; 3]) {
        let [_, height, width] = shape;
        let (middle_x, middle_y) = (width as f32 / 2.0, height as f32 / 2.0);
        match self {
            Self::ShearX(by) => transform(image, shape, |x, y| (x + by * y, y)),
            Self::ShearY(by) => transform(image, shape, |x, y| (x, y + by * x)),
            Self::TranslateX(by) => transform(image, shape, |x, y| (x - by, y)),
            Self::TranslateY(by) => transform(image, shape, |x, y| (x, y - by)),
            Self::Rotate(degrees) => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                transform(image, shape, |x, y| {
                    let (x, y) = (x - middle_x, y - middle_y);
                    (cos * x - sin * y + middle_x, sin * x + cos * y + middle_y)
                });
            }
            Self::Brightness(by) => away(image, by, |_| 0.0),
            Self::Color(by) => {
                if let Some(grey) = grey(image, shape) {
                    away(image, by, |i| grey[i % grey.len()]);
                }
            }
            Self::Contrast(by) => {
                let grey = grey(image, shape);
                let grey = grey.as_deref().unwrap_or(image);
                let mean = grey.iter().sum::<f32>() / grey.len() as f32;
                away(image, by, |_| mean);
            }
            Self::Sharpness(by) => {
                let blurred = blurred(image, shape);
                away(image, by, |i| blurred[i]);
            }
            Self::Posterize(bits) => {
                let step = (1u32 << (8 - bits.min(8))) as f32;
                for x in image {
                    *x = ((*x * 255.0).round() / step).floor() * step / 255.0;
                }
            }
            Self::Solarize(from) => {
                let bright = image.iter_mut().filter(|x| **x >= from);
                bright.for_each(|x| *x = 1.0 - *x);
            }
            Self::AutoContrast => {
                for channel in image.chunks_mut(height * width) {
                    let least = channel.iter().copied().fold(f32::INFINITY, f32::min);
                    let most = channel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    if most > least {
                        let scale = 1.0 / (most - least);
                        channel.iter_mut().for_each(|x| *x = (*x - least) * scale);
                    }
                }
            }
            Self::Equalize => image.chunks_mut(height * width).for_each(equalize),
            Self::Invert => image.iter_mut().for_each(|x| *x = 1.0 - *x),
        }
    }
}

/// Takes each pixel from a place in the old image, from the middle of one pixel to any point; outside it is black.
fn transform(
    image: &mut [f32],
    [_, height, width]: [usize; 3],
    from: impl Fn(f32, f32) -> (f32, f32),
) {
    let old = image.to_vec();
    let inside = |place: f32, size: usize| {
        let place = (place - 0.5).round_ties_even();
        (place >= 0.0 && place < size as f32).then_some(place as usize)
    };
    for y in 0..height {
        for x in 0..width {
            let (from_x, from_y) = from(x as f32 + 0.5, y as f32 + 0.5);
            let place = inside(from_x, width).zip(inside(from_y, height));
            let place = place.map(|(x, y)| y * width + x);
            let channels = image
                .chunks_mut(height * width)
                .zip(old.chunks(height * width));
            for (channel, old) in channels {
                channel[y * width + x] = place.map_or(0.0, |place| old[place]);
            }
        }
    }
}

/// Moves intensities away from others by a part of their distance, within 0 and 1.
fn away(image: &mut [f32], by: f32, others: impl Fn(usize) -> f32) {
    for (i, x) in image.iter_mut().enumerate() {
        *x = ((1.0 + by) * *x - by * others(i)).clamp(0.0, 1.0);
    }
}

/// The grey of an image of three channels.
fn grey(image: &[f32], [channels, height, width]: [usize; 3]) -> Option<Vec<f32>> {
    let pixels = height * width;
    let grey =
        |i: usize| 0.2989 * image[i] + 0.587 * image[pixels + i] + 0.114 * image[2 * pixels + i];
    (channels == 3).then(|| (0..pixels).map(grey).collect())
}

/// Weighted means of nine pixels; the border stays.
fn blurred(image: &[f32], [_, height, width]: [usize; 3]) -> Vec<f32> {
    let mut blurred = image.to_vec();
    let channels = image.chunks(height * width);
    for (old, new) in channels.zip(blurred.chunks_mut(height * width)) {
        for y in 1..height.max(1) - 1 {
            for x in 1..width.max(1) - 1 {
                let rows =
                    (y - 1..=y + 1).map(|row| old[row * width + x - 1..][..3].iter().sum::<f32>());
                new[y * width + x] = (rows.sum::<f32>() + 4.0 * old[y * width + x]) / 13.0;
            }
        }
    }
    blurred
}

/// Spreads the intensities, of 256, so that there are about as many of each.
fn equalize(channel: &mut [f32]) {
    let level = |x: f32| (x * 255.0).round().clamp(0.0, 255.0) as usize;
    let mut counts = [0usize; 256];
    channel.iter().for_each(|x| counts[level(*x)] += 1);
    let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    let step = (channel.len() - counts[last]) / 255;
    if step == 0 {
        return;
    }
    let mut below = 0;
    let levels = counts.map(|count| {
        let level = ((below + step / 2) / step).min(255);
        below += count;
        level
    });
    for x in channel {
        *x = levels[level(*x)] as f32 / 255.0;
    }
}
