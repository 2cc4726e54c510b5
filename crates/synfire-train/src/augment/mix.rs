//! Mixing of training samples with others of their batch.

use std::ops::Range;

use synfire::encode::SampleKeys;
use synfire::random::{Philox, Purpose};

use super::{Augmentation, around};

impl Augmentation {
    /// Mixes each sample of a batch with its partner, the sample at the same distance from the other end of the batch, the same
    /// way in all frames. Returns the weight of a sample's own label; `None` if nothing is to be mixed. A batch is mixed by one of
    /// [`mixup`](Self::mixup) and [`cutmix`](Self::cutmix); if both are on, each takes half of the batches.
    ///
    /// # Shapes
    ///
    /// - frames: `[T, B, channels, height, width]`, row by row
    ///
    /// # Panics
    ///
    /// If there are fewer numbers. Values that are not [valid](Self::validate) may take forever.
    pub fn mix(
        &self,
        frames: &mut [f32],
        time_steps: usize,
        shape: [usize; 3],
        draw: &SampleKeys,
    ) -> Option<f64> {
        let first = *draw.samples.first()?;
        let philox = Philox::new(self.seed).for_purpose(Purpose::Augment);
        let block = |purpose: u32, index: u32| philox.block([purpose, index, first, draw.epoch]);
        let [kind, top, left, _] = block(2, 0);
        let cuts = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (false, false) => return None,
            (mixes, cuts) => cuts && (!mixes || kind >> 31 == 1),
        };
        let alpha = if cuts { self.cutmix } else { self.mixup };
        let own = beta(alpha, |index| block(3, index));
        let batch = draw.samples.len();
        let elements = shape.iter().product::<usize>();
        let [_, height, width] = shape;
        let side = |size: usize| ((1.0 - own).sqrt() * size as f64) as usize;
        let square = [
            around(top, height, side(height)),
            around(left, width, side(width)),
        ];
        for step in frames.chunks_mut(batch * elements).take(time_steps) {
            let (samples, rest) = step.split_at_mut(batch / 2 * elements);
            let partners = rest.chunks_mut(elements).rev();
            for (sample, partner) in samples.chunks_mut(elements).zip(partners) {
                match cuts {
                    true => exchange(sample, partner, shape, &square),
                    false => blend(sample, partner, own as f32),
                }
            }
        }
        match cuts {
            true => {
                let area = square.iter().map(Range::len).product::<usize>();
                Some(1.0 - area as f64 / (height * width) as f64)
            }
            false => Some(own),
        }
    }
}

/// A draw of the beta distribution with both parameters `alpha`, above 0 and at most 1, of blocks of random words (Jöhnk 1964).
fn beta(alpha: f64, block: impl Fn(u32) -> [u32; 4]) -> f64 {
    let mut index = 0;
    loop {
        let [u, v, ..] = block(index);
        // In logarithms: small parameters have powers that vanish.
        let power = |word: u32| ((f64::from(word) + 0.5) / 4_294_967_296.0).ln() / alpha;
        let (x, y) = (power(u), power(v));
        if x.exp() + y.exp() <= 1.0 {
            return 1.0 / (1.0 + (y - x).exp());
        }
        index += 1;
    }
}

/// Makes weighted means of two samples.
fn blend(sample: &mut [f32], partner: &mut [f32], own: f32) {
    for (a, b) in sample.iter_mut().zip(partner) {
        (*a, *b) = (own * *a + (1.0 - own) * *b, own * *b + (1.0 - own) * *a);
    }
}

/// Exchanges a rectangle, given by its rows and columns.
fn exchange(
    sample: &mut [f32],
    partner: &mut [f32],
    [_, height, width]: [usize; 3],
    [rows, columns]: &[Range<usize>; 2],
) {
    let channels = sample.chunks_mut(height * width);
    for (a, b) in channels.zip(partner.chunks_mut(height * width)) {
        for row in rows.clone() {
            let (a, b) = (&mut a[row * width..], &mut b[row * width..]);
            a[columns.clone()].swap_with_slice(&mut b[columns.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [2, 8, 8];

    /// Two steps of samples that are everywhere as large as their number, mixed in so many epochs: each sample's own parts.
    fn mixed(augmentation: Augmentation, samples: u32, epochs: u32) -> Vec<f64> {
        let elements = SHAPE.iter().product::<usize>();
        let mut parts = Vec::new();
        for epoch in 0..epochs {
            let draw = SampleKeys::new(epoch, (0..samples).collect());
            let step = (0..samples).flat_map(|sample| vec![sample as f32; elements]);
            let step: Vec<f32> = step.collect();
            let mut frames = [step.clone(), step].concat();
            let own = augmentation.mix(&mut frames, 2, SHAPE, &draw).unwrap();
            assert!((0.0..=1.0).contains(&own));
            for (i, frame) in frames.chunks(elements).enumerate() {
                let (sample, number) = ((i % samples as usize) as f64, f64::from(samples));
                let mean = frame.iter().map(|x| f64::from(*x)).sum::<f64>() / elements as f64;
                let expected = own * sample + (1.0 - own) * (number - 1.0 - sample);
                assert!((mean - expected).abs() < 1e-4, "{mean} {expected}");
            }
            parts.push(own);
        }
        parts
    }

    #[test]
    fn a_batch_is_mixed_by_its_own_part() {
        let of = |mixup, cutmix| Augmentation {
            mixup,
            cutmix,
            seed: 4,
            ..Augmentation::default()
        };
        for samples in [1, 2, 5, 6] {
            for (mixup, cutmix) in [(0.2, 0.0), (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)] {
                mixed(of(mixup, cutmix), samples, 20);
            }
        }
        let draw = SampleKeys::new(1, vec![1, 2]);
        assert_eq!(of(0.0, 0.0).mix(&mut [1.0; 8], 2, [1, 1, 2], &draw), None);
        // Uniform: its mean and variance.
        let parts = mixed(of(1.0, 0.0), 2, 2000);
        let mean = parts.iter().sum::<f64>() / 2000.0;
        let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / 2000.0;
        assert!((mean - 0.5).abs() < 0.02 && (variance - 1.0 / 12.0).abs() < 0.005);
        // The variance of the beta distribution is 1 / (4 (2 alpha + 1)).
        let parts = mixed(of(0.2, 0.0), 2, 2000);
        let variance = parts.iter().map(|part| (part - 0.5).powi(2)).sum::<f64>() / 2000.0;
        assert!((variance - 1.0 / 5.6).abs() < 0.01, "{variance}");
    }

    #[test]
    fn a_rectangle_is_exchanged() {
        let (mut a, mut b) = ([0.0; 12], [1.0; 12]);
        exchange(&mut a, &mut b, [2, 2, 3], &[1..2, 0..2]);
        assert_eq!(a, [0., 0., 0., 1., 1., 0., 0., 0., 0., 1., 1., 0.]);
        assert_eq!(b, [1., 1., 1., 0., 0., 1., 1., 1., 1., 0., 0., 1.]);
    }
}
