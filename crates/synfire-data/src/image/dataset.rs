//! Datasets of images with class labels.

use std::path::Path;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use sha2::{Digest, Sha256};

use super::idx::Idx;
use crate::DataError;
use crate::error::sample;
use crate::sha256::hexadecimal;

/// An image with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageItem {
    /// The number of the image in its dataset, which stays with it through any selection or shuffling.
    pub index: u32,
    /// Values from 0 to 255, `[channels, height, width]` row by row.
    pub pixels: Vec<u8>,
    /// The class.
    pub label: u8,
}

/// Images of one size and any number of channels, in memory, with up to 256 classes.
///
/// ```no_run
/// use burn::data::dataset::Dataset;
/// use synfire_data::ImageDataset;
///
/// let train = ImageDataset::from_idx_folder("data/my-patches", "train")?;
/// println!("{} images of {:?} pixels", train.len(), train.image_size());
/// # Ok::<(), synfire_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageDataset {
    /// `[images, height, width]`, or `[images, channels, height, width]` of more than one channel.
    images: Arc<Idx>,
    labels: Arc<Idx>,
}

impl ImageDataset {
    /// Reads `{part}-images-idx3-ubyte` and `{part}-labels-idx1-ubyte`, each plain or with `.gz`, of any image size
    /// and any number of classes. In the MNIST family `part` is `train` or `t10k`.
    ///
    /// # Errors
    ///
    /// If a file is missing, unreadable, truncated or of another kind, there are no images or they have no pixels, or the
    /// lengths of the files differ.
    pub fn from_idx_folder(folder: impl AsRef<Path>, part: &str) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let images = Idx::find(folder, &format!("{part}-images-idx3-ubyte"), 3)?;
        let labels = Idx::find(folder, &format!("{part}-labels-idx1-ubyte"), 1)?;
        Self::new(images, labels)
    }

    /// Images from memory, of this shape `[channels, height, width]`, one after the other, row by row, with their labels.
    ///
    /// ```
    /// use synfire_data::ImageDataset;
    ///
    /// // Two images of one pixel in red, green and blue.
    /// let data = ImageDataset::from_pixels([3, 1, 1], vec![255, 0, 0, 0, 0, 255], vec![0, 1])?;
    /// assert_eq!(data.batch([1])?, (vec![0.0, 0.0, 1.0], vec![1]));
    /// # Ok::<(), synfire_data::DataError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there are no images or they have no pixels, or the numbers of pixels and labels do not match.
    pub fn from_pixels(
        shape: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let path = Path::new("images in memory");
        Self::from_parts(path, shape, pixels, labels)
    }

    /// As [`from_pixels`](Self::from_pixels); `path` is for error messages.
    pub(crate) fn from_parts(
        path: &Path,
        [channels, height, width]: [usize; 3],
        pixels: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let shape = [labels.len(), channels, height, width];
        let expected = shape.iter().try_fold(1, |n: usize, x| n.checked_mul(*x));
        if shape.contains(&0) {
            let expected = "at least 1 image, channel, row and column";
            let shape = format!("{shape:?}");
            return Err(DataError::format(path, "shape", shape, expected));
        }
        if expected != Some(pixels.len()) {
            let expected = format!("{} images of {:?}", shape[0], &shape[1..]);
            let (field, count) = ("number of pixel values", pixels.len());
            return Err(DataError::format(path, field, count, expected));
        }
        // No axis for a single channel: the fingerprint of grey images is that of their files.
        let sizes = match channels {
            1 => vec![labels.len(), height, width],
            _ => shape.to_vec(),
        };
        let idx = |sizes, bytes| Idx {
            path: path.to_path_buf(),
            sizes,
            bytes,
        };
        Self::new(idx(sizes, pixels), idx(vec![labels.len()], labels))
    }

    /// Images with their labels.
    pub(crate) fn new(images: Idx, labels: Idx) -> Result<Self, DataError> {
        let (count, expected) = (labels.sizes[0], images.sizes[0]);
        if count != expected {
            let field = "number of labels";
            let expected = format!("{expected}, the number of images");
            return Err(DataError::format(labels.path, field, count, expected));
        }
        Ok(Self {
            images: Arc::new(images),
            labels: Arc::new(labels),
        })
    }

    /// Channels, height and width of the images.
    pub fn shape(&self) -> [usize; 3] {
        match self.images.sizes[..] {
            [_, channels, height, width] => [channels, height, width],
            [_, height, width] => [1, height, width],
            _ => unreachable!("images have three axes or four"),
        }
    }

    /// Height and width of the images.
    pub fn image_size(&self) -> [usize; 2] {
        let [_, height, width] = self.shape();
        [height, width]
    }

    /// The labels of all images, in order.
    pub fn labels(&self) -> &[u8] {
        &self.labels.bytes
    }

    /// A batch for a training step: intensities from 0 to 1, `[images, channels, height, width]` row by row,
    /// and their labels.
    ///
    /// # Errors
    ///
    /// If there is no image of such a number.
    pub fn batch(
        &self,
        indices: impl IntoIterator<Item = usize>,
    ) -> Result<(Vec<f32>, Vec<i64>), DataError> {
        let (mut intensities, mut labels) = (Vec::new(), Vec::new());
        for index in indices {
            let (pixels, label) = self.image(index)?;
            intensities.extend(pixels.iter().map(|pixel| f32::from(*pixel) / 255.0));
            labels.push(i64::from(label));
        }
        Ok((intensities, labels))
    }

    /// The pixels and the label of an image.
    fn image(&self, index: usize) -> Result<(&[u8], u8), DataError> {
        let label = *sample(self.labels(), index, "image")?;
        let pixels = self.shape().iter().product::<usize>();
        Ok((&self.images.bytes[index * pixels..][..pixels], label))
    }

    /// A hash of everything in the dataset (SHA-256 of sizes, images and labels, in hexadecimal).
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for part in [&self.images, &self.labels] {
            for size in &part.sizes {
                hasher.update((*size as u64).to_be_bytes());
            }
            hasher.update(&part.bytes);
        }
        hexadecimal(hasher)
    }

    /// Rejects images of another size than `size`, and labels that are not `known`; `labels` names the known ones in the error.
    pub(crate) fn expect(
        self,
        size: [usize; 2],
        known: impl Fn(u8) -> bool,
        labels: &str,
    ) -> Result<Self, DataError> {
        if self.image_size() != size {
            let text = |[height, width]: [usize; 2]| format!("{height}x{width}");
            let (path, own) = (&self.images.path, text(self.image_size()));
            return Err(DataError::format(path, "image size", own, text(size)));
        }
        if let Some(label) = self.labels().iter().find(|label| !known(**label)) {
            return Err(DataError::format(&self.labels.path, "label", label, labels));
        }
        Ok(self)
    }
}

impl Dataset<ImageItem> for ImageDataset {
    fn get(&self, index: usize) -> Result<ImageItem, DatasetError> {
        let (pixels, label) = self.image(index).map_err(DatasetError::new)?;
        Ok(ImageItem {
            index: index as u32,
            pixels: pixels.to_vec(),
            label,
        })
    }

    fn len(&self) -> usize {
        self.labels.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idx(path: &str, sizes: &[usize], bytes: Vec<u8>) -> Idx {
        Idx {
            path: path.into(),
            sizes: sizes.to_vec(),
            bytes,
        }
    }

    /// Images of one row of two pixels.
    fn dataset(pixels: Vec<u8>, labels: Vec<u8>) -> Result<ImageDataset, DataError> {
        let images = idx("images", &[pixels.len() / 2, 1, 2], pixels);
        let labels = idx("labels", &[labels.len()], labels);
        ImageDataset::new(images, labels)
    }

    #[test]
    fn items_are_slices_of_the_file() {
        let data = dataset(vec![1, 2, 3, 4], vec![5, 6]).unwrap();
        assert_eq!(data.len(), 2);
        let item = data.get(1).unwrap();
        assert_eq!((item.index, item.pixels, item.label), (1, vec![3, 4], 6));
        let (intensities, labels) = data.batch([1, 0]).unwrap();
        assert_eq!(intensities, [3.0, 4.0, 1.0, 2.0].map(|p: f32| p / 255.0));
        assert_eq!(labels, [6, 5]);
        assert!(data.get(2).is_err());
        let error = data.batch([0, 2]).unwrap_err().to_string();
        assert_eq!(error, "there is no image 2: there are 2, counted from 0");
    }

    #[test]
    fn images_have_any_number_of_channels() {
        let pixels: Vec<u8> = (0..12).collect();
        let colour = ImageDataset::from_pixels([3, 1, 2], pixels.clone(), vec![4, 5]).unwrap();
        assert_eq!((colour.shape(), colour.image_size()), ([3, 1, 2], [1, 2]));
        assert_eq!(colour.get(1).unwrap().pixels, pixels[6..]);
        assert_eq!(colour.batch([0]).unwrap().0.len(), 6);
        // The shape is part of the fingerprint.
        let other = ImageDataset::from_pixels([2, 1, 3], pixels.clone(), vec![4, 5]).unwrap();
        assert_ne!(colour.fingerprint(), other.fingerprint());

        let text = |shape, labels| {
            let data = ImageDataset::from_pixels(shape, pixels.clone(), labels);
            data.unwrap_err().to_string()
        };
        assert_eq!(
            text([3, 1, 2], vec![1]),
            "images in memory: `number of pixel values` is 12, expected 1 images of [3, 1, 2]"
        );
        assert!(text([3, 0, 2], vec![1]).contains("`shape` is [1, 3, 0, 2]"));
        assert!(text([usize::MAX, 2, 2], vec![1]).contains("number of pixel values"));
    }

    #[test]
    fn grey_images_have_the_fingerprint_of_their_files() {
        let grey = dataset(vec![1, 2, 3, 4], vec![5, 6]).unwrap();
        let made = ImageDataset::from_pixels([1, 1, 2], vec![1, 2, 3, 4], vec![5, 6]).unwrap();
        assert_eq!(grey.fingerprint(), made.fingerprint());
        // SHA-256 of 2, 1, 2, pixels, 2, labels, numbers as 64 bits: weights' cards hold such hashes.
        let mut bytes = Vec::new();
        bytes.extend([2u64, 1, 2].map(u64::to_be_bytes).concat());
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(2u64.to_be_bytes());
        bytes.extend([5, 6]);
        assert_eq!(grey.fingerprint(), crate::sha256(&bytes));
    }

    #[test]
    fn what_does_not_belong_together_is_named() {
        let pixels = || vec![1, 2, 3, 4];
        let text = |result: Result<ImageDataset, DataError>| result.unwrap_err().to_string();
        assert_eq!(
            text(dataset(pixels(), vec![1, 2, 3])),
            "labels: `number of labels` is 3, expected 2, the number of images"
        );
        let good = dataset(pixels(), vec![1, 2]).unwrap();
        assert_eq!(
            text(good.clone().expect([28, 28], |_| true, "any")),
            "images: `image size` is 1x2, expected 28x28"
        );
        assert_eq!(
            text(good.clone().expect([1, 2], |label| label < 2, "0 to 1")),
            "labels: `label` is 2, expected 0 to 1"
        );
        assert!(good.expect([1, 2], |label| label < 3, "0 to 2").is_ok());
    }
}
