//! Datasets of recordings of event cameras.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::data::dataset::{Dataset, DatasetError};
use sha2::{Digest, Sha256};

use super::frames::frame_elements;
use super::recording::{MOST_RECORDING_BYTES, parse_events};
use crate::error::sample;
use crate::file::{read_at_most, regular};
use crate::sha256::hexadecimal;
use crate::{DataError, Event, FrameBy, Frames};

/// A recording with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventItem {
    /// The number of the recording in its dataset, which stays with it through any selection or shuffling.
    pub index: u32,
    /// The events, ordered by time.
    pub events: Vec<Event>,
    /// The class.
    pub label: u8,
}

/// Recordings of one event camera with their labels, in files of the [40-bit format](crate::read_events) that are read on
/// access.
///
/// ```no_run
/// use synfire_data::{EventDataset, FrameBy, Frames};
///
/// let files = [("left/1.bin".into(), 0), ("right/1.bin".into(), 1)];
/// let data = EventDataset::new([128, 128], files)?;
/// // 10 frames for each: [10, 2 recordings, 2 * 128 * 128].
/// let (frames, labels) = data.batch([0, 1], &Frames::new(FrameBy::Bins(10)))?;
/// # Ok::<(), synfire_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventDataset {
    sensor: [u8; 2],
    paths: Arc<Vec<PathBuf>>,
    labels: Arc<Vec<u8>>,
}

impl EventDataset {
    /// Recordings of a sensor of this height and width, with their labels.
    ///
    /// # Errors
    ///
    /// If a recording is empty or no file.
    pub fn new(
        sensor: [u8; 2],
        recordings: impl IntoIterator<Item = (PathBuf, u8)>,
    ) -> Result<Self, DataError> {
        let (paths, labels): (Vec<_>, Vec<_>) = recordings.into_iter().unzip();
        for path in &paths {
            if regular(path).map_err(DataError::io(path))?.len() == 0 {
                return Err(empty(path));
            }
        }
        Ok(Self {
            sensor,
            paths: Arc::new(paths),
            labels: Arc::new(labels),
        })
    }

    /// Height and width of the sensor, in pixels.
    pub fn sensor(&self) -> [u8; 2] {
        self.sensor
    }

    /// Channels, height and width of a frame: 2 channels, for darker and for brighter pixels.
    pub fn shape(&self) -> [usize; 3] {
        let [height, width] = self.sensor.map(usize::from);
        [2, height, width]
    }

    /// The labels of all recordings, in order.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The events of a recording.
    ///
    /// # Errors
    ///
    /// If there is no recording of such a number, or its file is [damaged](crate::read_events) or has no events.
    pub fn events(&self, index: usize) -> Result<Vec<Event>, DataError> {
        let path = sample(&self.paths, index, "recording")?;
        self.parse(&read(path)?, path)
    }

    /// Parses the events of a recording, at least one.
    fn parse(&self, bytes: &[u8], path: &Path) -> Result<Vec<Event>, DataError> {
        let events = parse_events(bytes, self.sensor, path)?;
        match events.is_empty() {
            true => Err(empty(path)),
            false => Ok(events),
        }
    }

    /// A batch for a training step: frames `[T, recordings, 2, height, width]` row by row, and labels.
    ///
    /// # Errors
    ///
    /// Those of [`events`](Self::events), and if neither a number of frames nor bins are set: all sequences of a batch have
    /// the same length.
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
        let elements = frame_elements(self.sensor);
        let stride = indices.len() * elements;
        let mut sequence = vec![0.0; time_steps * stride];
        let mut labels = Vec::with_capacity(indices.len());
        for (i, index) in indices.into_iter().enumerate() {
            let events = self.events(index)?;
            if let Some(own) = sequence.get_mut(i * elements..) {
                frames.add(&events, self.sensor, own, stride);
            }
            labels.push(i64::from(self.labels[index]));
        }
        Ok((sequence, labels))
    }

    /// A hash of everything in the dataset (SHA-256 of labels, lengths and recordings, in hexadecimal).
    ///
    /// # Errors
    ///
    /// If a recording cannot be read, is damaged or has no events: hashing checks the whole dataset.
    pub fn fingerprint(&self) -> Result<String, DataError> {
        let mut hasher = Sha256::new();
        for (path, label) in self.paths.iter().zip(self.labels.iter()) {
            let bytes = read(path)?;
            self.parse(&bytes, path)?;
            hasher.update([*label]);
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(&bytes);
        }
        Ok(hexadecimal(hasher))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    read_at_most(path, MOST_RECORDING_BYTES)
}

/// The error of a recording without events: it was not written completely.
fn empty(path: &Path) -> DataError {
    DataError::format(path, "number of events", 0, "at least 1")
}

impl Dataset<EventItem> for EventDataset {
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
