//! CIFAR-10 from its binary version, in files of the official size.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use synfire_data::{Data, DataError, DataSource, DatasetName, Samples, Source};
use tempfile::tempdir;

const FILE_BYTES: u64 = 30_730_000;
const NAMES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// Files that take no room on the disk: black airplanes, but for a record.
fn write_files(folder: &Path) {
    for name in NAMES {
        let file = File::create(folder.join(name)).unwrap();
        file.set_len(FILE_BYTES).unwrap();
    }
    // The last record to train on: a frog, all red.
    let record = [vec![6], vec![255; 1024], vec![0; 2048]].concat();
    write_at(&folder.join(NAMES[4]), FILE_BYTES - 3073, &record);
    write_at(&folder.join(NAMES[5]), 3073, &[9]);
}

fn write_at(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn load(folder: &Path) -> Result<Data, DataError> {
    DatasetName::Cifar10.load(&DataSource::Folder(folder.into()))
}

fn check(data: &Data) {
    assert_eq!((data.shape, data.classes), ([3, 32, 32], 10));
    assert_eq!((data.train.len(), data.test.len()), (50_000, 10_000));
    assert_eq!(data.train.labels()[49_998..], [0, 6]);
    assert_eq!(data.test.labels()[..3], [0, 9, 0]);
    assert_eq!(
        (&data.class_names[6][..], &data.class_names[9][..]),
        ("frog", "truck")
    );
    let Samples::Images(images) = &data.train else {
        panic!("no images")
    };
    let (intensities, labels) = images.batch([49_999]).unwrap();
    assert_eq!(labels, [6]);
    let (red, others) = intensities.split_at(1024);
    assert!(red.iter().all(|x| *x == 1.0) && others.iter().all(|x| *x == 0.0));
}

#[test]
fn files_are_read_from_a_folder_its_subfolder_and_the_archive() {
    let folder = tempdir().unwrap();
    write_files(folder.path());
    let data = load(folder.path()).unwrap();
    check(&data);
    assert_eq!(data.source, Source::Folder(folder.path().into()));
    let fingerprints = data.fingerprints().unwrap();
    drop(data);

    let inside = tempdir().unwrap();
    let archive = File::create(inside.path().join("cifar-10-binary.tar.gz")).unwrap();
    let gzip = GzEncoder::new(archive, Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    let subfolder = Path::new("cifar-10-batches-bin");
    // In another order, and with files that are not needed.
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, subfolder.join("readme.html"), &b"hello"[..])
        .unwrap();
    for name in NAMES.iter().rev() {
        tar.append_path_with_name(folder.path().join(name), subfolder.join(name))
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    let data = load(inside.path()).unwrap();
    check(&data);
    assert_eq!(data.fingerprints().unwrap(), fingerprints);
    drop(data);

    let outer = tempdir().unwrap();
    fs::rename(folder.path(), outer.path().join(subfolder)).unwrap();
    let data = load(outer.path()).unwrap();
    assert_eq!(data.fingerprints().unwrap(), fingerprints);
}

#[test]
fn damaged_files_are_named() {
    let folder = tempdir().unwrap();
    let error = || load(folder.path()).unwrap_err().to_string();
    let said = "there is no `data_batch_1.bin`, `cifar-10-binary.tar.gz` or `train/<class>`; expected a folder with";
    assert!(error().contains(said), "{}", error());
    assert!(
        error().contains("https://www.cs.toronto.edu/~kriz/cifar.html"),
        "{}",
        error()
    );

    write_files(folder.path());
    write_at(&folder.path().join(NAMES[1]), 2 * 3073, &[10]);
    let said = "data_batch_2.bin: `label` is 10 in record 2, expected 0 to 9";
    assert!(error().ends_with(said), "{}", error());

    // Nothing of a file as long as the disk is read.
    let long = File::options()
        .write(true)
        .open(folder.path().join(NAMES[3]))
        .unwrap();
    long.set_len(1 << 40).unwrap();
    let said = "data_batch_4.bin: `file size` is 1099511627776 bytes, expected 30730000 bytes, 10000 records of 3073";
    assert!(error().ends_with(said), "{}", error());
    drop(long);
    fs::remove_file(folder.path().join(NAMES[3])).unwrap();
    assert!(error().contains("data_batch_4.bin: "), "{}", error());
    fs::create_dir(folder.path().join(NAMES[3])).unwrap();
    assert!(
        error().ends_with("data_batch_4.bin: is a directory, expected a regular file"),
        "{}",
        error()
    );
}

#[test]
fn damaged_archives_are_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("cifar-10-binary.tar.gz");
    let error = || load(folder.path()).unwrap_err().to_string();
    fs::write(&path, b"not an archive").unwrap();
    assert!(error().contains("cifar-10-binary.tar.gz: "), "{}", error());

    let archive = |entries: &[(&str, u64)]| {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, size) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size);
            header.set_mode(0o644);
            let bytes = std::io::Read::take(std::io::repeat(0), *size);
            let name = format!("cifar-10-batches-bin/{name}");
            tar.append_data(&mut header, name, bytes).unwrap();
        }
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        fs::write(&path, &bytes).unwrap();
        bytes
    };
    archive(&[("test_batch.bin", 3073)]);
    let said =
        "cifar-10-batches-bin/test_batch.bin: `file size` is 3073 bytes, expected 30730000 bytes";
    assert!(error().contains(said), "{}", error());
    let bytes = archive(&[("test_batch.bin", FILE_BYTES)]);
    let said = "cifar-10-binary.tar.gz: `files` is incomplete, expected cifar-10-batches-bin/data_batch_1.bin among them";
    assert!(error().ends_with(said), "{}", error());
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(error().contains("cifar-10-binary.tar.gz: "), "{}", error());
}
