//! N-MNIST: MNIST's digits recorded by an event camera.

use std::path::Path;

use super::NamedDataset;
use crate::{Data, DataError, DataSource, EventDataset, Loader, Source, class_folders};

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
#[derive(Clone, Copy, Debug)]
pub struct NMnist;

/// Instructions for getting the data.
const HINT: &str = "unpack Train.zip and Test.zip of N-MNIST (https://www.garrickorchard.com/datasets/n-mnist) in one \
                    folder, and name that";

impl NMnist {
    /// Height and width of the sensor.
    pub const SENSOR: [u8; 2] = [34, 34];
    /// The number of classes.
    pub const CLASSES: usize = 10;

    /// Finds the recordings `{folder}/{part}/{digit}/*.bin` (or `.BIN`), in the order of digits and names. In the official
    /// layout `part` is `Train` or `Test`.
    ///
    /// # Errors
    ///
    /// If a folder is missing or cannot be read, there is no recording of a digit, or one is empty or no file.
    pub fn from_folder(folder: impl AsRef<Path>, part: &str) -> Result<EventDataset, DataError> {
        let folder = folder.as_ref().join(part);
        let none = |folder| DataError::NoRecordings { folder, hint: HINT };
        if !folder.is_dir() {
            return Err(none(folder));
        }
        let mut recordings = Vec::new();
        for digit in 0..Self::CLASSES as u8 {
            let class = folder.join(digit.to_string());
            // In upper or lower case: some systems and programs change it.
            let found = class_folders::files(&class, &["bin"])?;
            if found.is_empty() {
                return Err(none(class));
            }
            recordings.extend(found.into_iter().map(|path| (path, digit)));
        }
        EventDataset::new(Self::SENSOR, recordings)
    }
}

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        "nmnist"
    }

    fn about(&self) -> &'static str {
        "Handwritten digits as an event camera saw them: 60,000 + 10,000 recordings, 34x34, 10 classes"
    }

    fn hint(&self) -> &'static str {
        "the folder with Train and Test of N-MNIST, from Train.zip and Test.zip at \
         https://www.garrickorchard.com/datasets/n-mnist"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        let [height, width] = NMnist::SENSOR.map(usize::from);
        ([2, height, width], NMnist::CLASSES)
    }

    fn load(&self, _loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let folder = self.folder(choice)?;
        let [train, test] = ["Train", "Test"].map(|part| NMnist::from_folder(folder, part));
        let parts = [train?, test?];
        let source = Source::Folder(folder.to_path_buf());
        Ok(Data::new(parts, super::numbered(NMnist::CLASSES), source))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use burn::data::dataset::Dataset;

    use super::*;
    use crate::{FrameBy, FrameValue, Frames};

    /// A folder with a recording of each digit, and two of a 3.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for digit in 0..10 {
            fs::create_dir_all(folder.path().join(format!("Train/{digit}"))).unwrap();
        }
        let write = |name: &str, events: &[[u8; 5]]| {
            fs::write(folder.path().join("Train").join(name), events.concat()).unwrap();
        };
        for digit in (0..10).filter(|digit| *digit != 3) {
            write(&format!("{digit}/00009.bin"), &[[digit, 1, 0, 0, 4]]);
        }
        write("3/00007.bin", &[[1, 0, 0x80, 0, 9], [1, 0, 0x80, 0, 9]]);
        write("3/00002.bin", &[[0, 0, 0, 0, 1], [33, 33, 0x80, 0, 2]]);
        write("0/notes.txt", &[]);
        folder
    }

    #[test]
    fn recordings_are_in_the_order_of_their_names() {
        let folder = folder();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        assert_eq!(data.labels(), [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(data.len(), 11);
        let item = data.get(3).unwrap();
        assert_eq!((item.index, item.label), (3, 3));
        let seen: Vec<_> = item
            .events
            .iter()
            .map(|e| (e.x, e.y, e.on, e.time))
            .collect();
        assert_eq!(seen, [(0, 0, false, 1), (33, 33, true, 2)]);
        let error = data.get(11).unwrap_err().to_string();
        assert!(
            error.contains("there is no recording 11: there are 11"),
            "{error}"
        );
        assert!(data.events(19).is_err());
    }

    #[test]
    fn batches_have_time_first() {
        let folder = folder();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        let frames = Frames::new(FrameBy::Bins(2)).with_value(FrameValue::Counts);
        let (sequence, labels) = data.batch([3, 0, 4], &frames).unwrap();
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
                place(0, 1, 0, 34),
                place(0, 2, 1, 1),
                place(1, 0, 1, pixels - 1)
            ]
        );
        assert_eq!(sequence[place(0, 2, 1, 1)], 2.0);
        // The same as in a batch.
        let (alone, _) = data.batch([4], &frames).unwrap();
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
        let of = |part, digit| Path::new(part).join(digit).display().to_string();
        assert!(text("Test").contains(&of("Test", "0")), "{}", text("Test"));
        for digit in 1..10 {
            fs::create_dir_all(folder.path().join(format!("Test/{digit}"))).unwrap();
        }
        assert!(text("Test").contains("there are no recordings"));
        // One digit without recordings is enough.
        fs::remove_file(folder.path().join("Train/7/00009.bin")).unwrap();
        assert!(
            text("Train").contains(&(of("Train", "7") + ": there are no recordings")),
            "{}",
            text("Train")
        );
        fs::write(folder.path().join("Train/7/00009.bin"), [7, 1, 0, 0, 4]).unwrap();

        let bad = folder.path().join("Train/0/00009.bin");
        fs::write(&bad, [40, 0, 0, 0, 0]).unwrap();
        let data = NMnist::from_folder(folder.path(), "Train").unwrap();
        let error = data.batch([0], &Frames::new(FrameBy::Bins(1))).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("00009.bin: at byte 0: `x` is 40"), "{error}");
        // The fingerprint finds the error before training starts.
        assert_eq!(data.fingerprint().unwrap_err().to_string(), error);
    }

    #[test]
    fn a_recording_without_events_is_an_error() {
        let folder = folder();
        let find = || NMnist::from_folder(folder.path(), "Train");
        let said = "00002.bin: `number of events` is 0, expected at least 1";
        let data = find().unwrap();
        let path = folder.path().join("Train/3/00002.bin");
        // An empty file, and a clock overflow only.
        for bytes in [&b""[..], &b"\x00\xf0\x00\x00\x00"[..]] {
            fs::write(&path, bytes).unwrap();
            for error in [data.fingerprint().unwrap_err(), data.events(3).unwrap_err()] {
                let error = error.to_string();
                assert!(error.ends_with(said), "{error}");
            }
        }
        assert!(find().is_ok());
        fs::write(&path, b"").unwrap();
        let error = find().unwrap_err().to_string();
        assert!(error.ends_with(said), "{error}");
    }

    #[test]
    fn recordings_are_files_with_the_ending_in_any_case() {
        let folder = folder();
        let path = folder.path().join("Train/3/00001.BIN");
        fs::write(&path, [5, 5, 0, 0, 1]).unwrap();
        let find = || NMnist::from_folder(folder.path(), "Train");
        let data = find().unwrap();
        assert_eq!(data.len(), 12);
        assert_eq!(data.events(3).unwrap()[0].x, 5);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = find().unwrap_err().to_string();
        assert!(error.ends_with("00001.BIN: is a directory, expected a regular file"));
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
