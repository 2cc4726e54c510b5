//! Patches with and without pedestrians, or any other idx files of grey images.

use super::NamedDataset;
use crate::{Data, DataError, DataSource, ImageDataset, Loaded, Loader, Samples};

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        "pedestrian"
    }

    fn about(&self) -> &'static str {
        "Grey patches with a pedestrian or without; any other idx files: the folder decides image size and classes"
    }

    fn hint(&self) -> &'static str {
        "a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
         t10k-labels-idx1-ubyte, plain or with .gz: grey patches of one size with their classes, in MNIST's format (the \
         paper's own patches were never published)"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        ([1, 28, 28], 2)
    }

    fn load(&self, _loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let loaded = Loaded::from_idx_folder(self.folder(choice)?)?;
        let classes = loaded.classes();
        Ok(Data::of_images(loaded, super::numbered(classes)))
    }

    /// Images that are nearly the same, or mirror images, are a group.
    fn groups(&self, samples: &Samples) -> Result<Vec<usize>, DataError> {
        match samples {
            Samples::Images(images) => alike(images),
            _ => Ok((0..samples.len()).collect()),
        }
    }
}

/// Maximum number of images that are compared with each other.
const MOST_COMPARED: usize = 10_000;
/// Correlation of intensities above which images count as the same.
const ALIKE: f32 = 0.9;

/// Groups of images that are nearly the same, or mirror images. Collections of patches have many: cut from the same
/// photograph a few pixels apart, and mirrored to have more of them. Of more than 10,000 every one is a group of its own.
fn alike(images: &ImageDataset) -> Result<Vec<usize>, DataError> {
    let count = images.labels().len();
    let mut groups: Vec<usize> = (0..count).collect();
    if count > MOST_COMPARED {
        return Ok(groups);
    }
    let [channels, height, width] = images.shape();
    let elements = channels * height * width;
    let (mut intensities, _) = images.batch(0..count)?;
    // Normalised to mean 0 and norm 1, so that a scalar product is the correlation.
    for image in intensities.chunks_mut(elements) {
        let mean = image.iter().sum::<f32>() / image.len() as f32;
        image.iter_mut().for_each(|x| *x -= mean);
        let norm = image.iter().map(|x| x * x).sum::<f32>().sqrt();
        image.iter_mut().for_each(|x| *x /= norm.max(1e-6));
    }
    let images: Vec<&[f32]> = intensities.chunks(elements).collect();
    for (i, image) in images.iter().enumerate() {
        let rows = image.chunks(width);
        let mirrored: Vec<f32> = rows.flat_map(|row| row.iter().rev().copied()).collect();
        for (j, other) in images[..i].iter().enumerate() {
            if product(image, other) > ALIKE || product(&mirrored, other) > ALIKE {
                let (a, b) = (root(&mut groups, i), root(&mut groups, j));
                groups[a.max(b)] = a.min(b);
            }
        }
    }
    Ok((0..count).map(|image| root(&mut groups, image)).collect())
}

/// The first image of the group of an image (union-find root). Shortens the path in `parents` on the way.
fn root(parents: &mut [usize], mut image: usize) -> usize {
    while parents[image] != image {
        parents[image] = parents[parents[image]];
        image = parents[image];
    }
    image
}

/// A scalar product, in sums that the processor can add side by side.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let (a, rest_a) = a.as_chunks::<16>();
    let (b, rest_b) = b.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DatasetName, encode_idx};

    #[test]
    fn images_that_are_alike_are_a_group() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = [[0, 50, 90, 10, 20, 30], [200, 10, 0, 90, 0, 90]];
        let mirrored = [90, 50, 0, 30, 20, 10];
        let nearly = [12, 62, 102, 22, 30, 42];
        let pixels = [a, b, mirrored, nearly, [7; 6], [7; 6]].concat();
        for part in ["train", "t10k"] {
            let write = |name: &str, bytes: Vec<u8>| {
                std::fs::write(folder.path().join(format!("{part}-{name}-ubyte")), bytes).unwrap();
            };
            write("images-idx3", encode_idx(&[6, 2, 3], &pixels));
            write("labels-idx1", encode_idx(&[6], &[0, 1, 0, 0, 1, 1]));
        }
        let choice = DataSource::Folder(folder.path().to_path_buf());
        let data = DatasetName::Pedestrian.load(&choice).unwrap();
        assert_eq!((data.shape, data.classes), ([1, 2, 3], 2));
        assert_eq!(data.class_names, ["0", "1"]);
        let groups = DatasetName::Pedestrian.groups(&data.train).unwrap();
        assert!(
            groups[0] == groups[2] && groups[0] == groups[3],
            "{groups:?}"
        );
        // Images of a single shade are never alike.
        let others = [groups[0], groups[1], groups[4], groups[5]];
        assert!(
            (1..4).all(|i| !others[..i].contains(&others[i])),
            "{groups:?}"
        );
        // In another dataset the same images are separate groups.
        let apart = DatasetName::Mnist.groups(&data.train).unwrap();
        assert_eq!(apart, [0, 1, 2, 3, 4, 5]);
    }
}
