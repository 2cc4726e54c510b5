//! The datasets that the scripts can train on, as samples that become sequences.

use std::fmt::{self, Display};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use synfire::encode::{AnyEncoder, BernoulliEncoder, Encoder, EncoderConfig, SampleKeys};
use synfire_data::{
    DataError, DataSource, FrameBy, FrameValue, Frames, ImageDataset, ImageSet, Loaded, Loader,
    NMnist, Source,
};

use crate::RunError;
use crate::augment::{Augmentation, Border};
use crate::contrast::Contrast;

/// A dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetOption {
    /// Handwritten digits
    Mnist,
    /// Articles of clothing
    FashionMnist,
    /// Patches with a pedestrian or without, or any other idx files: the folder decides image size and classes
    Pedestrian,
    /// Handwritten digits as an event camera saw them: a folder in the official layout
    #[serde(rename = "nmnist")]
    NMnist,
}

impl DatasetOption {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Mnist,
        Self::FashionMnist,
        Self::Pedestrian,
        Self::NMnist,
    ];

    /// The name as it stands in options, files and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => ImageSet::Mnist.name(),
            Self::FashionMnist => ImageSet::FashionMnist.name(),
            Self::Pedestrian => "pedestrian",
            Self::NMnist => "nmnist",
        }
    }

    /// Channels, height and width of a sample, and the number of classes; of patches those of the paper's, until a folder
    /// says otherwise.
    pub fn shape(self) -> ([usize; 3], usize) {
        match self {
            Self::Mnist | Self::FashionMnist => ([1, 28, 28], 10),
            Self::Pedestrian => ([1, 28, 28], 2),
            Self::NMnist => (event_shape(), NMnist::CLASSES),
        }
    }

    /// Loads the data, enough of them for a run.
    ///
    /// # Errors
    ///
    /// If they cannot be had, or there are fewer than two samples to train on.
    pub fn load(self, choice: &DataSource) -> Result<Data, RunError> {
        let data = match self {
            Self::Mnist => Data::published(ImageSet::Mnist, choice)?,
            Self::FashionMnist => Data::published(ImageSet::FashionMnist, choice)?,
            Self::Pedestrian => {
                let loaded = Loaded::from_idx_folder(self.folder(choice)?)?;
                let classes = loaded.classes();
                Data::images(loaded, classes)
            }
            Self::NMnist => {
                let folder = self.folder(choice)?;
                Data {
                    train: Samples::Events(NMnist::from_folder(&folder, "Train")?),
                    test: Samples::Events(NMnist::from_folder(&folder, "Test")?),
                    shape: event_shape(),
                    classes: NMnist::CLASSES,
                    source: Source::Folder(folder),
                    tried: Vec::new(),
                }
            }
        };
        if data.train.len() < 2 {
            return Err(DataError::Format {
                path: data.source.folder().map(Into::into).unwrap_or_default(),
                field: "number of training samples",
                value: data.train.len().to_string(),
                expected: "at least 2, one to train on and one to validate".to_owned(),
            }
            .into());
        }
        Ok(data)
    }

    /// A number for each sample to train on; those with the same number must not be divided.
    ///
    /// # Errors
    ///
    /// None, in fact: the samples are there.
    pub fn groups(self, train: &Samples) -> Result<Vec<usize>, DataError> {
        match (self, train) {
            (Self::Pedestrian, Samples::Images(images)) => alike(images),
            _ => Ok((0..train.len()).collect()),
        }
    }

    /// The folder that must have been named.
    fn folder(self, choice: &DataSource) -> Result<PathBuf, RunError> {
        match choice {
            DataSource::Folder(folder) => Ok(folder.clone()),
            DataSource::Auto | DataSource::Embedded => Err(RunError::NoFolder {
                dataset: self.name(),
                hint: match self {
                    Self::NMnist => {
                        "the folder with Train and Test of N-MNIST, from Train.zip and Test.zip at \
                         https://www.garrickorchard.com/datasets/n-mnist"
                    }
                    _ => {
                        "a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                         t10k-labels-idx1-ubyte, plain or with .gz: grey patches of one size with their classes, in \
                         MNIST's format (the paper's own patches were never published)"
                    }
                },
            }),
        }
    }
}

fn event_shape() -> [usize; 3] {
    let [height, width] = NMnist::SENSOR.map(usize::from);
    [2, height, width]
}

impl Display for DatasetOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A dataset, and how it was had.
#[derive(Clone, Debug)]
pub struct Data {
    /// The samples to train on.
    pub train: Samples,
    /// The samples to test on.
    pub test: Samples,
    /// Channels, height and width of a sample.
    pub shape: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// Where it came from.
    pub source: Source,
    /// What was tried before, and why it did not do.
    pub tried: Vec<String>,
}

impl Data {
    fn published(set: ImageSet, choice: &DataSource) -> Result<Self, DataError> {
        let loaded = Loader::new().load(set, choice)?;
        Ok(Self::images(loaded, set.classes()))
    }

    fn images(loaded: Loaded, classes: usize) -> Self {
        let [height, width] = loaded.train.image_size();
        Self {
            shape: [1, height, width],
            classes,
            train: Samples::Images(loaded.train),
            test: Samples::Images(loaded.test),
            source: loaded.source,
            tried: loaded.tried,
        }
    }

    /// The folder that the data are in, or what else they come from.
    pub fn place(&self) -> String {
        match self.source.folder() {
            Some(folder) => folder.display().to_string(),
            None => self.source.to_string(),
        }
    }

    /// Hashes of the training and the test samples, all of which are read.
    ///
    /// # Errors
    ///
    /// If a recording cannot be read, or is damaged.
    pub fn fingerprints(&self) -> Result<[String; 2], DataError> {
        Ok([self.train.fingerprint()?, self.test.fingerprint()?])
    }
}

/// The most images that are compared with each other.
const MOST_COMPARED: usize = 10_000;
/// The correlation of intensities from which on images count as the same.
const ALIKE: f32 = 0.9;

/// Groups of images that are nearly the same, or mirror images. Collections of patches have many: cut from the same
/// photograph a few pixels apart, and mirrored to have more of them. Of more than 10,000 every one is a group of its own.
fn alike(images: &ImageDataset) -> Result<Vec<usize>, DataError> {
    let count = images.labels().len();
    let mut groups: Vec<usize> = (0..count).collect();
    if count > MOST_COMPARED {
        return Ok(groups);
    }
    let [height, width] = images.image_size();
    let (mut intensities, _) = images.batch(0..count)?;
    // Of mean 0 and norm 1, so that a correlation is a product.
    for image in intensities.chunks_mut(height * width) {
        let mean = image.iter().sum::<f32>() / image.len() as f32;
        image.iter_mut().for_each(|x| *x -= mean);
        let norm = image.iter().map(|x| x * x).sum::<f32>().sqrt();
        image.iter_mut().for_each(|x| *x /= norm.max(1e-6));
    }
    let images: Vec<&[f32]> = intensities.chunks(height * width).collect();
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

/// The image that stands for the group of another: its first. `parents` leads to it in a few steps, which become fewer.
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

/// Samples of one kind.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Grey images.
    Images(ImageDataset),
    /// Recordings of an event camera.
    Events(NMnist),
}

impl Samples {
    /// The labels of all samples, in order.
    pub fn labels(&self) -> &[u8] {
        match self {
            Self::Images(images) => images.labels(),
            Self::Events(events) => events.labels(),
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A hash of everything in them.
    ///
    /// # Errors
    ///
    /// If a recording cannot be read.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        match self {
            Self::Images(images) => Ok(images.fingerprint()),
            Self::Events(events) => events.fingerprint(),
        }
    }

    /// Samples as sequences `[T, B, elements]` row by row, and their labels.
    ///
    /// # Errors
    ///
    /// If there is no sample of such a number, or a recording is damaged.
    pub fn batch(
        &self,
        draw: &SampleKeys,
        coding: &Coding,
    ) -> Result<(Vec<f32>, Vec<i64>), DataError> {
        let indices = draw.samples.iter().map(|sample| *sample as usize);
        match self {
            Self::Images(images) => {
                let (mut intensities, labels) = images.batch(indices)?;
                let [height, width] = images.image_size();
                let shape = [1, height, width];
                coding
                    .augmentation
                    .apply(&mut intensities, 1, shape, Border::Nearest, draw);
                Ok((coding.encode(intensities, height * width, draw), labels))
            }
            Self::Events(events) => {
                let (mut frames, labels) = events.batch(indices, &coding.frames)?;
                let time_steps = coding.encoder.time_steps();
                coding.augmentation.apply(
                    &mut frames,
                    time_steps,
                    event_shape(),
                    Border::Zero,
                    draw,
                );
                Ok((frames, labels))
            }
        }
    }
}

/// What is left to do when a batch has come to its device.
#[derive(Clone, Debug)]
pub enum Later {
    /// Nothing.
    Nothing,
    /// The step is shown so many times. What is multiplied with it need not be multiplied each time.
    Repeat(usize),
    /// Spikes are drawn, where the device can: its memory takes one step in place of all.
    Draw(BernoulliEncoder),
}

/// How samples become sequences.
#[derive(Clone)]
pub struct Coding {
    /// Of intensities.
    pub encoder: AnyEncoder,
    /// What of that a device can do from one step of intensities.
    pub later: Later,
    /// Of events.
    pub frames: Frames,
    /// What is done to the intensities of images.
    pub contrast: Contrast,
    /// What is changed before, for training.
    pub augmentation: Augmentation,
}

impl Coding {
    /// Images of so many pixels as sequences `[T, B, pixels]`, without augmentation.
    pub fn encode(&self, mut intensities: Vec<f32>, pixels: usize, draw: &SampleKeys) -> Vec<f32> {
        for image in intensities.chunks_mut(pixels) {
            self.contrast.apply(image);
        }
        self.encoder.encode_host(&intensities, draw)
    }

    /// The same of intensities in one step alone.
    pub fn one_step(&self) -> Self {
        let encoder = EncoderConfig::DIRECT.init(1, 0);
        Self {
            encoder: encoder.expect("one is a number of time steps"),
            later: Later::Nothing,
            ..self.clone()
        }
    }

    /// The same without augmentation, for validation and test.
    pub fn plain(&self) -> Self {
        Self {
            augmentation: Augmentation::default(),
            ..self.clone()
        }
    }
}

/// Which events make a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FramesOption {
    /// T frames of the same duration
    Bins,
    /// Frames of --frame-size microseconds
    Window,
    /// Frames of --frame-size events
    Count,
}

/// How a recording becomes T frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FramesConfig {
    /// Which events make a frame.
    pub by: FramesOption,
    /// Microseconds or events of a frame, where those decide.
    pub size: u32,
    /// Whether elements are numbers of events; else they are spikes.
    pub counts: bool,
}

impl Default for FramesConfig {
    fn default() -> Self {
        Self {
            by: FramesOption::Bins,
            size: 10_000,
            counts: false,
        }
    }
}

impl FramesConfig {
    /// The frames of a sequence of T steps.
    pub fn of(&self, time_steps: usize) -> Frames {
        let by = match self.by {
            FramesOption::Bins => FrameBy::Bins(time_steps),
            FramesOption::Window => FrameBy::Window(self.size),
            FramesOption::Count => FrameBy::Count(self.size as usize),
        };
        Frames::new(by)
            .with_time_steps(time_steps)
            .with_value(match self.counts {
                true => FrameValue::Counts,
                false => FrameValue::Binary,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synfire_data::encode_idx;

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
        let data = DatasetOption::Pedestrian.load(&choice).unwrap();
        assert_eq!(data.shape, [1, 2, 3]);
        let groups = DatasetOption::Pedestrian.groups(&data.train).unwrap();
        assert!(
            groups[0] == groups[2] && groups[0] == groups[3],
            "{groups:?}"
        );
        // Where there is no shape there is no likeness.
        let others = [groups[0], groups[1], groups[4], groups[5]];
        assert!(
            (1..4).all(|i| !others[..i].contains(&others[i])),
            "{groups:?}"
        );
    }

    #[test]
    fn what_must_be_named_is_asked_for() {
        for dataset in [DatasetOption::Pedestrian, DatasetOption::NMnist] {
            for choice in [DataSource::Auto, DataSource::Embedded] {
                let error = dataset.load(&choice).unwrap_err().to_string();
                assert!(error.contains("give --data"), "{error}");
                assert!(error.contains(dataset.name()), "{error}");
            }
        }
        for dataset in DatasetOption::ALL {
            assert_eq!(serde_json::to_value(dataset).unwrap(), dataset.name());
        }
    }
}
