//! N-MNIST: MNIST's digits as an event camera saw them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};

use crate::event::parse_events;
use crate::frames::frame_elements;
use crate::sha256::HashingWriter;
use crate::{DataError, Event, FrameBy, Frames};

/// A recording with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventItem {
    /// The number of the recording in its dataset, which stays with it through any selection or shuffling.
    pub index: u32,
    /// What the camera saw, in the order of time.
    pub events: Vec<Event>,
    /// The class.
    pub label: u8,
}

/// Recordings of N-MNIST (Orchard et al. 2015), read when they are asked for: 34x34 pixels, some 300 ms and 4,000 events
/// each.
///
/// ```no_run
/// use burn::data::dataset::Dataset;
/// use synfire_data::{FrameBy, Frames, NMnist};
///
/// let train = NMnist::from_folder("data/n-mnist", "Train")?;
/// println!("{} recordings, the first of a {}", train.len(), train.labels()[0]);
/// // 10 frames of 30 ms: [10, 3 recordings, 2 * 34 * 34].
/// let (frames, labels) = train.batch([0, 1, 2], &Frames::new(FrameBy::Window(30_000)).with_time_steps(10))?;
/// assert_eq!((frames.len(), labels.len()), (10 * 3 * 2 * 34 * 34, 3));
/// # Ok::<(), synfire_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NMnist {
    paths: Arc<Vec<PathBuf>>,
    labels: Arc<Vec<u8>>,
}

/// How to get the data.
const HINT: &str = "unpack Train.zip and Test.zip of N-MNIST (https://www.garrickorchard.com/datasets/n-mnist) in one \
                    folder, and name that";

impl NMnist {
    /// Height and width of the sensor.
    pub const SENSOR: [u8; 2] = [34, 34];
    /// The number of classes.
    pub const CLASSES: usize = 10;

    /// Finds the recordings `{folder}/{part}/{digit}/*.bin`, in the order of digits and names. In the official layout
    /// `part` is `Train` or `Test`.
    ///
    /// # Errors
    ///
    /// If a folder is missing or cannot be read, or there is no recording.
    pub fn from_folder(folder: impl AsRef<Path>, part: &str) -> Result<Self, DataError> {
        let folder = folder.as_ref().join(part);
        if !folder.is_dir() {
            return Err(DataError::NoRecordings { folder, hint: HINT });
        }
        let (mut paths, mut labels) = (Vec::new(), Vec::new());
        for digit in 0..Self::CLASSES as u8 {
            let class = folder.join(digit.to_string());
            let mut found = Vec::new();
            for entry in fs::read_dir(&class).map_err(DataError::io(&class))? {
                let path = entry.map_err(DataError::io(&class))?.path();
                if path.extension().is_some_and(|extension| extension == "bin") {
                    found.push(path);
                }
            }
            found.sort();
            labels.resize(labels.len() + found.len(), digit);
            paths.append(&mut found);
        }
        if paths.is_empty() {
            return Err(DataError::NoRecordings { folder, hint: HINT });
        }
        Ok(Self {
            paths: Arc::new(paths),
            labels: Arc::new(labels),
        })
    }

    /// The labels of all recordings, in order.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The events of a recording.
    ///
    /// # Errors
    ///
    /// If there is no recording of such a number, or its file is [damaged](crate::read_events).
    pub fn events(&self, index: usize) -> Result<Vec<Event>, DataError> {
        let path = self.path(index)?;
        parse_events(&read(path)?, Self::SENSOR, path)
    }

    fn path(&self, index: usize) -> Result<&Path, DataError> {
        match self.paths.get(index) {
            Some(path) => Ok(path),
            None => Err(DataError::NoSuchRecording {
                index,
                count: self.paths.len(),
            }),
        }
    }

    /// Recordings as a training step wants them: frames `[T, recordings, 2, 34, 34]` row by row, and labels.
    ///
    /// # Errors
    ///
    /// Those of [`events`](Self::events), and if the number of frames is neither given nor that of bins: sequences of one
    /// batch have one length.
    pub fn batch(
        &self,
        indices: impl IntoIterator<Item = usize>,
        frames: &Frames,
    ) -> Result<(Vec<f32>, Vec<i64>), DataError> {
        let indices: Vec<_> = indices.into_iter().collect();
        let time_steps = match (frames.time_steps, frames.by) {
            (Some(time_steps), _) => time_steps,
            (None, FrameBy::Bins(bins)) => bins,
            (None, _) => return Err(DataError::NoTimeSteps),
        };
        let frames = frames.with_time_steps(time_steps);
        let elements = frame_elements(Self::SENSOR);
        let stride = indices.len() * elements;
        let mut sequence = vec![0.0; time_steps * stride];
        let mut labels = Vec::with_capacity(indices.len());
        for (i, index) in indices.into_iter().enumerate() {
            let events = self.events(index)?;
            if let Some(own) = sequence.get_mut(i * elements..) {
                frames.add(&events, Self::SENSOR, own, stride);
            }
            labels.push(i64::from(self.labels[index]));
        }
        Ok((sequence, labels))
    }

    /// A hash of everything in the dataset (SHA-256 of labels, lengths and recordings, in hexadecimal).
    ///
    /// # Errors
    ///
    /// If a recording cannot be read.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        let mut hasher = HashingWriter::new(std::io::sink());
        let mut write = |bytes: &[u8]| hasher.write_all(bytes).expect("a sink takes everything");
        for (path, label) in self.paths.iter().zip(self.labels.iter()) {
            let bytes = read(path)?;
            write(&[*label]);
            write(&(bytes.len() as u64).to_be_bytes());
            write(&bytes);
        }
        Ok(hasher.finish())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(DataError::io(path))
}

impl Dataset<EventItem> for NMnist {
    fn get(&self, index: usize) -> Result<EventItem, DatasetError> {
        Ok(EventItem {
            index: index as u32,
            events: self.events(index).map_err(DatasetError::new)?,
            label: self.labels[index],
        })
    }

    fn len(&self) -> usize {
        self.paths.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameValue;

    /// A folder with a recording of a 0 and two of a 3.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for digit in 0..10 {
            fs::create_dir_all(folder.path().join(format!("Train/{digit}"))).unwrap();
        }
        let write = |name: &str, events: &[[u8; 5]]| {
            fs::write(folder.path().join("Train").join(name), events.concat()).unwrap();
        };
        write("3/00007.bin", &[[1, 0, 0x80, 0, 9], [1, 0, 0x80, 0, 9]]);
        write("3/00002.bin", &[[0, 0, 0, 0, 1], [33, 33, 0x80, 0, 2]]);
        write("0/00009.bin", &[]);
        write("0/notes.txt", &[]);
        folder
    }

    #[test]
    fn recordings_are_in_the_order_of_their_names() {
        let folder = folder();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        assert_eq!(data.labels(), [0, 3, 3]);
        assert_eq!(data.len(), 3);
        let item = data.get(1).unwrap();
        assert_eq!((item.index, item.label), (1, 3));
        let seen: Vec<_> = item
            .events
            .iter()
            .map(|e| (e.x, e.y, e.on, e.time))
            .collect();
        assert_eq!(seen, [(0, 0, false, 1), (33, 33, true, 2)]);
        let error = data.get(3).unwrap_err().to_string();
        assert!(
            error.contains("there is no recording 3: there are 3"),
            "{error}"
        );
        assert!(data.events(9).is_err());
    }

    #[test]
    fn batches_have_time_first() {
        let folder = folder();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        let frames = Frames::new(FrameBy::Bins(2)).with_value(FrameValue::Counts);
        let (sequence, labels) = data.batch([1, 0, 2], &frames).unwrap();
        assert_eq!(labels, [3, 0, 3]);
        let pixels = 34 * 34;
        assert_eq!(sequence.len(), 2 * 3 * 2 * pixels);
        let found: Vec<_> = (0..sequence.len())
            .filter(|i| sequence[*i] != 0.0)
            .collect();
        let place = |step: usize, sample, channel, pixel| {
            ((step * 3 + sample) * 2 + channel) * pixels + pixel
        };
        assert_eq!(
            found,
            [
                place(0, 0, 0, 0),
                place(0, 2, 1, 1),
                place(1, 0, 1, pixels - 1)
            ]
        );
        assert_eq!(sequence[place(0, 2, 1, 1)], 2.0);
        // One by one the same.
        let (alone, _) = data.batch([2], &frames).unwrap();
        assert_eq!(alone[pixels + 1], 2.0);
        assert_eq!(data.batch([], &frames).unwrap(), (vec![], vec![]));
    }

    #[test]
    fn the_fingerprint_is_of_everything() {
        let folder = folder();
        let print = || {
            let data = NMnist::from_folder(folder.path(), "Train").unwrap();
            data.fingerprint().unwrap()
        };
        let before = print();
        assert_eq!(before, print());
        let path = folder.path().join("Train/3/00002.bin");
        fs::rename(&path, folder.path().join("Train/4/00002.bin")).unwrap();
        assert_ne!(before, print());
        fs::write(path, [0, 0, 0, 0, 1]).unwrap();
        assert_ne!(before, print());
    }

    #[test]
    fn what_is_missing_or_damaged_is_named() {
        let folder = folder();
        let text = |part: &str| {
            let result = NMnist::from_folder(folder.path(), part);
            result.unwrap_err().to_string()
        };
        assert!(
            text("Test").contains("Test: there are no recordings"),
            "{}",
            text("Test")
        );
        assert!(text("Test").contains("Train.zip"));
        fs::create_dir_all(folder.path().join("Test/0")).unwrap();
        assert!(text("Test").contains("Test/1"), "{}", text("Test"));
        for digit in 1..10 {
            fs::create_dir_all(folder.path().join(format!("Test/{digit}"))).unwrap();
        }
        assert!(text("Test").contains("there are no recordings"));

        let bad = folder.path().join("Train/0/00009.bin");
        fs::write(&bad, [40, 0, 0, 0, 0]).unwrap();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        let error = data.batch([0], &Frames::new(FrameBy::Bins(1))).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("00009.bin: at byte 0: `x` is 40"), "{error}");
    }

    #[test]
    fn sequences_of_a_batch_have_one_length() {
        let folder = folder();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        let error = data.batch([0], &Frames::new(FrameBy::Window(1000)));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("number of time steps"), "{error}");
    }
}
