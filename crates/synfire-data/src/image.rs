//! Datasets of grey images with class labels.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::DataError;
use crate::idx::Idx;
use crate::sha256::HashingWriter;

/// An image with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageItem {
    /// The number of the image in its dataset, which stays with it through any selection or shuffling.
    pub index: u32,
    /// Grey values, 0 to 255, row by row.
    pub pixels: Vec<u8>,
    /// The class.
    pub label: u8,
}

/// Grey images of one size, in memory.
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
    images: Arc<Idx>,
    labels: Arc<Idx>,
}

impl ImageDataset {
    /// Reads `{part}-images-idx3-ubyte` and `{part}-labels-idx1-ubyte`, each plain or with `.gz`, of any image size
    /// and any number of classes. In the MNIST family `part` is `train` or `t10k`.
    ///
    /// # Errors
    ///
    /// If a file is missing, unreadable, truncated or of another kind, or their lengths differ.
    pub fn from_idx_folder(folder: impl AsRef<Path>, part: &str) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let (images, _) = Idx::find(folder, &format!("{part}-images-idx3-ubyte"), 3)?;
        let (labels, path) = Idx::find(folder, &format!("{part}-labels-idx1-ubyte"), 1)?;
        Self::new(images, labels, &path)
    }

    /// Reads images and labels from streams, plain or gzip; `name` stands in error messages.
    #[cfg_attr(not(feature = "embedded"), allow(dead_code))]
    pub(crate) fn from_streams(
        images: impl BufRead,
        labels: impl BufRead,
        name: &Path,
    ) -> Result<Self, DataError> {
        Self::new(
            Idx::read(images, 3, name)?,
            Idx::read(labels, 1, name)?,
            name,
        )
    }

    fn new(images: Idx, labels: Idx, labels_path: &Path) -> Result<Self, DataError> {
        let (count, expected) = (labels.sizes[0], images.sizes[0]);
        if count != expected {
            return Err(DataError::Format {
                path: labels_path.to_path_buf(),
                field: "number of labels",
                value: count.to_string(),
                expected: format!("{expected}, the number of images"),
            });
        }
        Ok(Self {
            images: Arc::new(images),
            labels: Arc::new(labels),
        })
    }

    /// Height and width of the images.
    pub fn image_size(&self) -> [usize; 2] {
        [self.images.sizes[1], self.images.sizes[2]]
    }

    /// The labels of all images, in order.
    pub fn labels(&self) -> &[u8] {
        &self.labels.bytes
    }

    /// Images as a training step wants them: intensities from 0 to 1, `[images, height, width]` row by row, and their
    /// labels.
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
        let pixels = self.image_size().iter().product::<usize>();
        match self.labels().get(index) {
            Some(label) => Ok((&self.images.bytes[index * pixels..][..pixels], *label)),
            None => Err(DataError::NoSuchImage {
                index,
                count: self.labels().len(),
            }),
        }
    }

    /// A hash of everything in the dataset (SHA-256 of sizes, images and labels, in hexadecimal).
    pub fn fingerprint(&self) -> String {
        let mut hasher = HashingWriter::new(io::sink());
        for part in [&self.images, &self.labels] {
            for size in &part.sizes {
                write(&mut hasher, &(*size as u64).to_be_bytes());
            }
            write(&mut hasher, &part.bytes);
        }
        hasher.finish()
    }

    /// Rejects images of another size than `size` and labels from `classes` on; `folder` and `part` stand in error
    /// messages.
    pub(crate) fn expect(
        self,
        folder: &Path,
        part: &str,
        size: [usize; 2],
        classes: usize,
    ) -> Result<Self, DataError> {
        let error = |field, value: String, expected: String| DataError::Format {
            path: folder.join(part),
            field,
            value,
            expected,
        };
        if self.image_size() != size {
            let [height, width] = self.image_size();
            return Err(error(
                "image size",
                format!("{height}x{width}"),
                format!("{}x{}", size[0], size[1]),
            ));
        }
        if self.labels().is_empty() {
            return Err(error("number of images", "0".into(), "at least 1".into()));
        }
        let known = |label: &u8| usize::from(*label) < classes;
        if let Some(label) = self.labels().iter().find(|label| !known(label)) {
            let expected = format!("0 to {}", classes - 1);
            return Err(error("label", label.to_string(), expected));
        }
        Ok(self)
    }
}

fn write(hasher: &mut HashingWriter<io::Sink>, bytes: &[u8]) {
    hasher.write_all(bytes).expect("a sink takes everything");
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

    fn idx(sizes: &[usize], bytes: Vec<u8>) -> Idx {
        Idx {
            sizes: sizes.to_vec(),
            bytes,
        }
    }

    fn dataset(images: Idx, labels: Vec<u8>) -> Result<ImageDataset, DataError> {
        let labels = idx(&[labels.len()], labels);
        ImageDataset::new(images, labels, Path::new("labels"))
    }

    #[test]
    fn items_are_slices_of_the_file() {
        let data = dataset(idx(&[2, 1, 2], vec![1, 2, 3, 4]), vec![5, 6]).unwrap();
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
    fn what_does_not_belong_together_is_named() {
        let images = || idx(&[2, 1, 2], vec![1, 2, 3, 4]);
        let text = |result: Result<ImageDataset, DataError>| result.unwrap_err().to_string();
        assert_eq!(
            text(dataset(images(), vec![1, 2, 3])),
            "labels: `number of labels` is 3, expected 2, the number of images"
        );
        let good = dataset(images(), vec![1, 2]).unwrap();
        let folder = Path::new("folder");
        assert_eq!(
            text(good.clone().expect(folder, "t10k", [28, 28], 10)),
            "folder/t10k: `image size` is 1x2, expected 28x28"
        );
        assert_eq!(
            text(good.clone().expect(folder, "t10k", [1, 2], 2)),
            "folder/t10k: `label` is 2, expected 0 to 1"
        );
        assert!(good.expect(folder, "t10k", [1, 2], 3).is_ok());
        let empty = dataset(idx(&[0, 1, 2], vec![]), vec![]).unwrap();
        assert!(text(empty.expect(folder, "t10k", [1, 2], 3)).contains("`number of images` is 0"));
    }
}
