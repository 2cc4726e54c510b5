//! CIFAR-10 (Krizhevsky 2009), from the binary version or from image files.
//!
//! A file of the binary version is 10,000 records of a label and 3,072 pixel values, `[3, 32, 32]` row by row.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::NamedDataset;
use crate::file::{read_at_most, regular, unpack};
use crate::source::{Published, PublishedFile};
use crate::{Data, DataError, DataSource, ImageDataset, Loader, Source};

/// The official archive of the binary version.
const ARCHIVE: &str = "cifar-10-binary.tar.gz";

pub(crate) static PUBLISHED: Published = Published {
    name: "cifar10",
    files: &[PublishedFile::as_is(
        ARCHIVE,
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    )],
    mirrors: &["https://www.cs.toronto.edu/~kriz"],
    npm: None,
    debian: false,
};

/// The folder in the archive.
const SUBFOLDER: &str = "cifar-10-batches-bin";
/// The files; the last is the test part.
const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
/// The records of a file.
const RECORDS: usize = 10_000;
const SHAPE: [usize; 3] = [3, 32, 32];
/// The bytes of a record.
const RECORD_BYTES: usize = 1 + 3 * 32 * 32;

/// The classes, in the order of their labels, which is that of the alphabet.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        PUBLISHED.name
    }

    fn about(&self) -> &'static str {
        "Photographs of animals and vehicles: 50,000 + 10,000 colour images, 32x32, 10 classes"
    }

    fn hint(&self) -> &'static str {
        "a folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, in cifar-10-batches-bin or not, or with \
         cifar-10-binary.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html, or with train/<class>/*.png and \
         test/<class>/*.png, or .jpg"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        (SHAPE, CLASSES.len())
    }

    fn load(&self, loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let mut tried = Vec::new();
        let found = match choice {
            DataSource::Folder(folder) => Some(match read(folder, RECORDS)? {
                Some(parts) => (parts, Source::Folder(folder.clone())),
                None => image_files(folder, self.hint())?,
            }),
            DataSource::Embedded => {
                tried.push("the embedded digits: they are of MNIST".to_owned());
                None
            }
            DataSource::Auto => {
                let open = |folder: &Path| {
                    read(folder, RECORDS)?.ok_or_else(|| nothing(folder, self.hint()))
                };
                loader.find(&PUBLISHED, open, &mut tried)?
            }
        };
        match found {
            Some((parts, source)) => Ok(Data {
                tried,
                ..Data::new(parts, super::named(CLASSES), source)
            }),
            None => Err(DataError::Unavailable {
                dataset: self.name(),
                tried,
            }),
        }
    }
}

fn nothing(folder: &Path, hint: &'static str) -> DataError {
    let what = format!("`{}`, `{ARCHIVE}` or `train/<class>`", FILES[0]);
    DataError::not_in_folder(folder, what, hint)
}

/// Reads the binary version from its files or from the archive, with `records` per file. `None` if both are missing.
fn read(folder: &Path, records: usize) -> Result<Option<[ImageDataset; 2]>, DataError> {
    for folder in [folder.to_path_buf(), folder.join(SUBFOLDER)] {
        if FILES.iter().any(|name| folder.join(name).exists()) {
            return read_files(&folder, records).map(Some);
        }
    }
    let archive = folder.join(ARCHIVE);
    match archive.exists() {
        true => read_archive(&archive, records).map(Some),
        false => Ok(None),
    }
}

fn read_files(folder: &Path, records: usize) -> Result<[ImageDataset; 2], DataError> {
    let paths = FILES.map(|name| folder.join(name));
    // Check all sizes before allocating memory.
    for path in &paths {
        let metadata = regular(path).map_err(DataError::io(path))?;
        expect_size(path, metadata.len(), records)?;
    }
    let mut files = Vec::new();
    for path in paths {
        let bytes = read_at_most(&path, (records * RECORD_BYTES) as u64)?;
        files.push((path, bytes));
    }
    parts(folder, files, records)
}

fn read_archive(archive: &Path, records: usize) -> Result<[ImageDataset; 2], DataError> {
    let mut found: [Option<Vec<u8>>; 6] = Default::default();
    unpack(archive, SUBFOLDER, &FILES, |number, path, size, entry| {
        expect_size(&archive.join(path), size, records)?;
        let mut bytes = Vec::with_capacity(size as usize);
        let read = entry.take(size).read_to_end(&mut bytes);
        read.map_err(DataError::io(archive))?;
        found[number] = Some(bytes);
        Ok(())
    })?;
    let mut files = Vec::new();
    for (name, bytes) in FILES.iter().zip(found) {
        let Some(bytes) = bytes else {
            let expected = format!("{SUBFOLDER}/{name} among them");
            return Err(DataError::format(archive, "files", "incomplete", expected));
        };
        files.push((archive.join(name), bytes));
    }
    parts(archive, files, records)
}

fn expect_size(path: &Path, bytes: u64, records: usize) -> Result<(), DataError> {
    let expected = records * RECORD_BYTES;
    if bytes == expected as u64 {
        return Ok(());
    }
    let expected = format!("{expected} bytes, {records} records of {RECORD_BYTES}");
    let bytes = format!("{bytes} bytes");
    Err(DataError::format(path, "file size", bytes, expected))
}

/// The images of the six files.
fn parts(
    from: &Path,
    mut files: Vec<(PathBuf, Vec<u8>)>,
    records: usize,
) -> Result<[ImageDataset; 2], DataError> {
    let test = files.split_off(FILES.len() - 1);
    let images = |files: Vec<(PathBuf, Vec<u8>)>| {
        let count = files.len() * records;
        let mut pixels = Vec::with_capacity(count * (RECORD_BYTES - 1));
        let mut labels = Vec::with_capacity(count);
        for (path, bytes) in files {
            expect_size(&path, bytes.len() as u64, records)?;
            for (number, record) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
                if usize::from(record[0]) >= CLASSES.len() {
                    let value = format!("{} in record {number}", record[0]);
                    return Err(DataError::format(path, "label", value, "0 to 9"));
                }
                labels.push(record[0]);
                pixels.extend_from_slice(&record[1..]);
            }
        }
        ImageDataset::from_parts(from, SHAPE, pixels, labels)
    };
    Ok([images(files)?, images(test)?])
}

/// The images from files in class folders.
#[cfg(feature = "images")]
fn image_files(
    folder: &Path,
    hint: &'static str,
) -> Result<([ImageDataset; 2], Source), DataError> {
    use super::images::ENDINGS;
    use crate::class_folders::ClassFolders;
    use crate::image::{Sides, read_parts};

    // Only the official split is CIFAR-10.
    if !ClassFolders::are_in(&folder.join("train"), &ENDINGS) {
        return Err(nothing(folder, hint));
    }
    let folders = ClassFolders::find(folder, &ENDINGS, hint)?;
    if folders.classes != CLASSES {
        let (found, expected) = (folders.classes.join(", "), CLASSES.join(", "));
        return Err(DataError::format(folder, "classes", found, expected));
    }
    let [channels, height, width] = SHAPE;
    let sides = Sides::Exactly([height, width]);
    read_parts(folder, &folders, sides, Some(channels))
}

#[cfg(not(feature = "images"))]
fn image_files(
    folder: &Path,
    hint: &'static str,
) -> Result<([ImageDataset; 2], Source), DataError> {
    Err(nothing(folder, hint))
}
