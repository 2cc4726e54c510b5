//! Real data that cannot be part of the project, in the folder that the variable `SYNFIRE_DATA` names: `cifar10/images.tar.gz`
//! with CIFAR-10 as JPEG files, patches in `pedestrian`, recordings in `nmnist` and `fsdd`. Where they are not, a test prints that it
//! skips.

#![cfg(feature = "images")]

use std::env;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::bufread::GzDecoder;
use synfire_data::{Data, DataSource, DatasetName, Samples};
use tempfile::tempdir;

/// A file or folder, if it is there.
fn found(name: &str) -> Option<PathBuf> {
    let path = env::var_os("SYNFIRE_DATA").map(|data| Path::new(&data).join(name));
    let found = path.filter(|path| path.exists());
    if found.is_none() {
        say(&format!(
            "skipped: the variable SYNFIRE_DATA names no folder with `{name}`"
        ));
    }
    found
}

/// Prints a line that the test harness does not hold back.
fn say(line: &str) {
    // A closed standard output is no reason to fail.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn load(dataset: DatasetName, folder: &Path) -> Data {
    dataset.load(&DataSource::Folder(folder.into())).unwrap()
}

#[test]
fn sixty_thousand_jpegs_are_cifar10() {
    let Some(archive) = found("cifar10/images.tar.gz") else {
        return;
    };
    let folder = tempdir().unwrap();
    let stream = GzDecoder::new(BufReader::new(File::open(archive).unwrap()));
    tar::Archive::new(stream).unpack(folder.path()).unwrap();
    let started = Instant::now();
    let data = load(DatasetName::Cifar10, folder.path());
    say(&format!("60,000 JPEG files: {:?}", started.elapsed()));
    assert_eq!((data.train.len(), data.test.len()), (50_000, 10_000));
    assert_eq!((data.shape, data.classes), ([3, 32, 32], 10));
    assert!(data.source.to_string().contains("JPEG"));
    for (samples, each) in [(&data.train, 5000), (&data.test, 1000)] {
        for class in 0..10 {
            let of_class = samples.labels().iter().filter(|label| **label == class);
            assert_eq!(of_class.count(), each);
        }
    }
    // CIFAR-10's well known means of red, green and blue.
    let Samples::Images(images) = &data.train else {
        panic!("no images")
    };
    let (intensities, _) = images.batch((0..50_000).step_by(5)).unwrap();
    for (channel, expected) in [0.4914, 0.4822, 0.4465].into_iter().enumerate() {
        let planes = intensities.chunks(1024).skip(channel).step_by(3);
        let sum: f64 = planes.flatten().map(|x| f64::from(*x)).sum();
        let mean = sum / (10_000.0 * 1024.0);
        assert!((mean - expected).abs() < 0.01, "{channel}: {mean}");
    }
}

#[test]
fn patches_and_recordings_are_found() {
    if let Some(folder) = found("pedestrian") {
        let data = load(DatasetName::Pedestrian, &folder);
        assert_eq!((data.train.len(), data.test.len()), (1509, 631));
        assert_eq!((data.shape, data.classes), ([1, 28, 28], 2));
        let groups = DatasetName::Pedestrian.groups(&data.train).unwrap();
        assert_eq!(groups.len(), 1509);
        assert!(groups.iter().enumerate().any(|(i, group)| *group < i));
    }
    if let Some(folder) = found("nmnist") {
        let data = load(DatasetName::NMnist, &folder);
        assert_eq!((data.train.len(), data.test.len()), (800, 100));
        assert_eq!((data.shape, data.classes), ([2, 34, 34], 10));
        assert_ne!(
            data.train.fingerprint().unwrap(),
            data.test.fingerprint().unwrap()
        );
    }
}

#[test]
fn spoken_digits_are_sequences() {
    let Some(folder) = found("fsdd") else {
        return;
    };
    let started = Instant::now();
    let data = load(DatasetName::Fsdd, &folder);
    say(&format!("3,000 WAV files: {:?}", started.elapsed()));
    assert_eq!((data.train.len(), data.test.len()), (2700, 300));
    assert_eq!((data.shape, data.classes), ([23, 1, 1], 10));
    for (samples, each) in [(&data.train, 270), (&data.test, 30)] {
        for class in 0..10 {
            let of_class = samples.labels().iter().filter(|label| **label == class);
            assert_eq!(of_class.count(), each);
        }
    }
    let Samples::Sequences(train) = &data.train else {
        panic!("no sequences")
    };
    let mut steps: Vec<_> = (0..2700).map(|i| train.time_steps(i).unwrap()).collect();
    steps.sort_unstable();
    let values: Vec<f32> = (0..2700)
        .flat_map(|i| train.values(i).unwrap())
        .copied()
        .collect();
    let share = |count: usize| count as f64 / values.len() as f64;
    let silent = share(values.iter().filter(|y| **y == 0.0).count());
    let full = share(values.iter().filter(|y| **y == 1.0).count());
    let mean = values.iter().map(|y| f64::from(*y)).sum::<f64>() / values.len() as f64;
    say(&format!(
        "{} to {} steps, median {}; mean {mean:.3}, {silent:.4} at 0, {full:.4} at 1",
        steps[0], steps[2699], steps[1350]
    ));
    // The bounds fit speech: pauses are cut, and hardly anything loud is.
    assert!(silent < 0.2 && full < 0.01, "{silent}, {full}");
    assert!((0.2..0.5).contains(&mean), "{mean}");
}
