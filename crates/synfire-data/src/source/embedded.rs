//! Real digits inside the binary: 4,000 of MNIST's training part and 1,000 of its test part.
//!
//! They are balanced over the classes, evenly spaced over the images of each class, and in the order of the files. The
//! example `embed_mnist` of this crate made the files.

use std::path::Path;

use crate::image::idx::Idx;
use crate::{DataError, ImageDataset};

const TRAIN_IMAGES: &[u8] = include_bytes!("../../data/train-images-idx3-ubyte.gz");
const TRAIN_LABELS: &[u8] = include_bytes!("../../data/train-labels-idx1-ubyte.gz");
const TEST_IMAGES: &[u8] = include_bytes!("../../data/t10k-images-idx3-ubyte.gz");
const TEST_LABELS: &[u8] = include_bytes!("../../data/t10k-labels-idx1-ubyte.gz");

/// The embedded training and test digits.
pub(crate) fn digits() -> Result<[ImageDataset; 2], DataError> {
    let name = Path::new("embedded digits");
    let read = |images, labels| {
        ImageDataset::new(Idx::read(images, 3, name)?, Idx::read(labels, 1, name)?)
    };
    Ok([
        read(TRAIN_IMAGES, TRAIN_LABELS)?,
        read(TEST_IMAGES, TEST_LABELS)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::data::dataset::Dataset;

    /// The cards and reports of published weights hold these hashes.
    #[test]
    fn the_fingerprints_stay() {
        let prints = digits().unwrap().map(|part| part.fingerprint());
        assert_eq!(
            prints,
            [
                "18be2c5d726fe15063f63671d6738dcc7b7294d0ac050e3c7de4175d69fd6659",
                "4ff58c81ff54395df20143f581dc85a9461cd7031b2e9b74bf781ee48ff6f8b9",
            ]
        );
    }

    #[test]
    fn there_are_5000_balanced_digits() {
        let [train, test] = digits().unwrap();
        for (part, count) in [(&train, 4000), (&test, 1000)] {
            assert_eq!(part.len(), count);
            assert_eq!(part.image_size(), [28, 28]);
            for digit in 0..10 {
                let of_digit = part.labels().iter().filter(|label| **label == digit);
                assert_eq!(of_digit.count(), count / 10);
            }
        }
        // Real digits: MNIST's pixels have a mean of 33.3.
        let total: u64 = train
            .iter()
            .map(|item| {
                item.unwrap()
                    .pixels
                    .iter()
                    .map(|p| u64::from(*p))
                    .sum::<u64>()
            })
            .sum();
        let mean = total as f64 / (4000.0 * 784.0);
        assert!((30.0..37.0).contains(&mean), "{mean}");
    }
}
