//! The datasets of the MNIST family.

use super::Published;
use crate::dataset::{fashion_mnist, mnist};

/// A dataset of the MNIST family: 60,000 images to train on and 10,000 to test on, 28x28 grey, 10 classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImageSet {
    /// Handwritten digits (LeCun, Cortes, Burges 1998).
    #[default]
    Mnist,
    /// Articles of clothing (Xiao, Rasul, Vollgraf 2017).
    FashionMnist,
}

impl ImageSet {
    /// The name in options, files and folders.
    pub fn name(&self) -> &'static str {
        self.published().name
    }

    /// Height and width of the images.
    pub fn image_size(&self) -> [usize; 2] {
        [28, 28]
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        10
    }

    pub(crate) fn published(&self) -> &'static Published {
        match self {
            Self::Mnist => &mnist::PUBLISHED,
            Self::FashionMnist => &fashion_mnist::PUBLISHED,
        }
    }
}
