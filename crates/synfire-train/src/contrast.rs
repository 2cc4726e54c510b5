//! Transformation of the intensities of images before encoding.

use serde::{Deserialize, Serialize};

/// Transformation of the intensities of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contrast {
    /// No transformation
    #[default]
    AsIs,
    /// The darkest pixel becomes 0 and the brightest 1
    Stretch,
    /// Histogram equalisation: a pixel becomes the fraction of darker pixels
    Equalize,
}

impl Contrast {
    /// Transforms the intensities of an image. An image of a single shade stays unchanged.
    pub fn apply(self, image: &mut [f32]) {
        match self {
            Self::AsIs => {}
            Self::Stretch => stretch(image),
            Self::Equalize => equalize(image),
        }
    }
}

fn stretch(image: &mut [f32]) {
    let low = image.iter().copied().fold(f32::INFINITY, f32::min);
    let high = image.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if high > low {
        let stretch = |x: &mut f32| *x = (*x - low) / (high - low);
        image.iter_mut().for_each(stretch);
    }
}

/// Histogram equalisation; half of the equally bright pixels count as darker.
fn equalize(image: &mut [f32]) {
    let mut sorted = image.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    if sorted.first() == sorted.last() {
        return;
    }
    for x in &mut *image {
        let darker = sorted.partition_point(|y| y < x);
        let not_brighter = sorted.partition_point(|y| y <= x);
        *x = (darker + not_brighter) as f32 / (2 * sorted.len()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(contrast: Contrast, mut image: [f32; 4]) -> [f32; 4] {
        contrast.apply(&mut image);
        image
    }

    #[test]
    fn stretched_images_have_all_intensities() {
        let stretched = of(Contrast::Stretch, [0.25, 0.5, 0.75, 0.25]);
        assert_eq!(stretched, [0.0, 0.5, 1.0, 0.0]);
    }

    #[test]
    fn equalized_images_have_all_intensities_equally_often() {
        let equalized = of(Contrast::Equalize, [0.9, 0.1, 0.2, 0.11]);
        assert_eq!(equalized, [0.875, 0.125, 0.625, 0.375]);
        // Equalisation is invariant to a monotonic change of brightness.
        let darker = [0.9, 0.1, 0.2, 0.11].map(|x: f32| x * x);
        assert_eq!(of(Contrast::Equalize, darker), equalized);
        let equals = of(Contrast::Equalize, [0.5, 0.3, 0.3, 0.3]);
        assert_eq!(equals, [0.875, 0.375, 0.375, 0.375]);
    }

    #[test]
    fn an_image_of_one_shade_stays() {
        for contrast in [Contrast::AsIs, Contrast::Stretch, Contrast::Equalize] {
            assert_eq!(of(contrast, [0.3; 4]), [0.3; 4]);
        }
    }
}
