//! A loaded dataset and its samples.

use crate::{DataError, DatasetName, EventDataset, ImageDataset, Loaded, SequenceDataset, Source};
use burn::data::dataset::Dataset;

/// A loaded dataset.
///
/// ```
/// use synfire_data::{DataSource, DatasetName, Samples};
///
/// let data = DatasetName::Mnist.load(&DataSource::Embedded)?;
/// assert_eq!((data.shape, data.classes), ([1, 28, 28], 10));
/// if let Samples::Images(images) = &data.train {
///     // [2 images, 1, 28, 28]
///     let (intensities, labels) = images.batch([0, 1])?;
///     println!("{} and {}", data.class_names[labels[0] as usize], data.class_names[labels[1] as usize]);
///     assert_eq!(intensities.len(), 2 * 28 * 28);
/// }
/// # Ok::<(), synfire_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Data {
    /// The training samples, at least two.
    pub train: Samples,
    /// The test samples.
    pub test: Samples,
    /// Channels, height and width of a sample: of an image, of a frame of events, or `[channels, 1, 1]` of a step of a
    /// sequence.
    pub shape: [usize; 3],
    /// The number of classes, at least 2.
    pub classes: usize,
    /// The names of the classes, one for each label from 0 on.
    pub class_names: Vec<String>,
    /// Source of the data.
    pub source: Source,
    /// Sources that were tried before, each with its error.
    pub tried: Vec<String>,
}

impl Data {
    /// The samples to train on and those to test on, with classes of these names, from the first source that was tried.
    pub(crate) fn new(
        parts: [impl Into<Samples>; 2],
        class_names: Vec<String>,
        source: Source,
    ) -> Self {
        let [train, test]: [Samples; 2] = parts.map(Into::into);
        Self {
            shape: train.shape(),
            classes: class_names.len(),
            class_names,
            train,
            test,
            source,
            tried: Vec::new(),
        }
    }

    /// Images with classes of these names.
    pub(crate) fn of_images(loaded: Loaded, class_names: Vec<String>) -> Self {
        Self {
            tried: loaded.tried,
            ..Self::new([loaded.train, loaded.test], class_names, loaded.source)
        }
    }

    /// The folder of the data, or another description of their source.
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

    /// Checks that the data suffice for a run.
    pub(crate) fn checked(self, dataset: DatasetName) -> Result<Self, DataError> {
        if self.train.len() < 2 {
            let path = match self.source.folder() {
                Some(folder) => folder.to_path_buf(),
                None => dataset.name().into(),
            };
            let (field, count) = ("number of training samples", self.train.len());
            let expected = "at least 2, one to train on and one to validate";
            return Err(DataError::format(path, field, count, expected));
        }
        Ok(self)
    }
}

/// Samples of one kind.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Images `[channels, height, width]`.
    Images(ImageDataset),
    /// Recordings of an event camera, which become frames `[T, 2, height, width]`.
    Events(EventDataset),
    /// Sequences `[T, channels]`.
    Sequences(SequenceDataset),
}

impl Samples {
    /// The labels of all samples, in order: one a sample or, of sequences with a label at every step, one a step.
    pub fn labels(&self) -> &[u8] {
        match self {
            Self::Images(images) => images.labels(),
            Self::Events(events) => events.labels(),
            Self::Sequences(sequences) => sequences.labels(),
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::Images(images) => images.len(),
            Self::Events(events) => events.len(),
            Self::Sequences(sequences) => sequences.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width of a sample, as [`Data::shape`].
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Images(images) => images.shape(),
            Self::Events(events) => events.shape(),
            Self::Sequences(sequences) => [sequences.channels(), 1, 1],
        }
    }

    /// The number of steps of the longest sequence. Images and recordings have none of their own.
    pub fn time_steps(&self) -> Option<usize> {
        match self {
            Self::Images(_) | Self::Events(_) => None,
            Self::Sequences(sequences) => Some(sequences.longest()),
        }
    }

    /// Whether there is a label at every step.
    pub fn labels_each_step(&self) -> bool {
        match self {
            Self::Images(_) | Self::Events(_) => false,
            Self::Sequences(sequences) => sequences.labels_each_step(),
        }
    }

    /// A hash of everything in them (SHA-256, in hexadecimal).
    ///
    /// # Errors
    ///
    /// If a recording cannot be read, or is damaged.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        match self {
            Self::Images(images) => Ok(images.fingerprint()),
            Self::Events(events) => events.fingerprint(),
            Self::Sequences(sequences) => Ok(sequences.fingerprint()),
        }
    }
}

impl From<ImageDataset> for Samples {
    fn from(images: ImageDataset) -> Self {
        Self::Images(images)
    }
}

impl From<EventDataset> for Samples {
    fn from(events: EventDataset) -> Self {
        Self::Events(events)
    }
}

impl From<SequenceDataset> for Samples {
    fn from(sequences: SequenceDataset) -> Self {
        Self::Sequences(sequences)
    }
}

/// The number of classes of these labels: one more than the highest, at least 2, which a classifier needs.
pub(crate) fn count_classes(labels: &[u8]) -> usize {
    let highest = labels.iter().max();
    highest.map_or(0, |label| usize::from(*label) + 1).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sequence, SequenceLabel};

    #[test]
    fn every_kind_of_samples_answers() {
        let images = ImageDataset::from_pixels([1, 1, 1], vec![1, 2], vec![0, 1]).unwrap();
        let images = Samples::from(images);
        assert_eq!((images.len(), images.shape()), (2, [1, 1, 1]));
        assert_eq!((images.labels(), images.time_steps()), (&[0, 1][..], None));

        let events = Samples::from(EventDataset::new([3, 4], []).unwrap());
        assert_eq!((events.is_empty(), events.shape()), (true, [2, 3, 4]));

        let steps = |labels: &[u8]| Sequence {
            values: vec![0.5; 2 * labels.len()],
            label: SequenceLabel::Steps(labels.to_vec()),
        };
        let sequences = SequenceDataset::new(2, vec![steps(&[1, 0, 1]), steps(&[0])]).unwrap();
        let sequences = Samples::from(sequences);
        assert_eq!((sequences.len(), sequences.shape()), (2, [2, 1, 1]));
        assert_eq!(sequences.labels(), [1, 0, 1, 0]);
        assert_eq!(sequences.time_steps(), Some(3));
        assert!(sequences.labels_each_step() && !events.labels_each_step());
        let all = [images, events, sequences];
        let prints: Vec<_> = all.iter().map(|s| s.fingerprint().unwrap()).collect();
        assert!(prints.iter().all(|print| print.len() == 64));
    }

    #[test]
    fn one_sample_is_not_enough() {
        let images = ImageDataset::from_pixels([1, 1, 1], vec![1], vec![0]).unwrap();
        let data = Data {
            shape: [1, 1, 1],
            classes: 2,
            class_names: vec!["a".into(), "b".into()],
            train: images.clone().into(),
            test: images.into(),
            source: Source::Folder("some/folder".into()),
            tried: Vec::new(),
        };
        assert_eq!(data.place(), "some/folder");
        let error = data.checked(DatasetName::Mnist).unwrap_err().to_string();
        assert!(error.starts_with("some/folder: `number of training samples` is 1, expected"));
    }
}
