//! A walk over the list of datasets: names, and what each says when its data are missing.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use synfire_data::{DataError, DataSource, DatasetName, Loader};
use tempfile::tempdir;

use synfire_data::encode_idx as idx;

/// A loader that has nothing to find.
fn nowhere() -> (tempfile::TempDir, Loader) {
    let cache = tempdir().unwrap();
    let loader = Loader::new().with_cache(cache.path()).offline();
    (cache, loader)
}

#[test]
fn names_are_one_thing_everywhere() {
    let names: Vec<_> = DatasetName::all().iter().map(|d| d.name()).collect();
    let expected = "mnist fashion-mnist cifar10 nmnist pedestrian images csv fsdd";
    assert_eq!(names.join(" "), expected);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    for dataset in DatasetName::all() {
        let name = dataset.name();
        let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(name.chars().all(kebab), "{name}");
        assert_eq!(dataset.to_string(), name);
        assert_eq!(name.parse::<DatasetName>().unwrap(), *dataset);
        assert_eq!(serde_json::to_value(dataset).unwrap(), name);
        let read: DatasetName = serde_json::from_value(name.into()).unwrap();
        assert_eq!(read, *dataset);
        let lines = [dataset.about(), dataset.hint()];
        assert!(
            lines
                .iter()
                .all(|line| !line.is_empty() && !line.contains('\n'))
        );
        let (shape, classes) = dataset.shape();
        assert!(shape.iter().all(|size| *size > 0) && classes >= 2, "{name}");
    }
    assert_eq!(format!("{:>7}|", DatasetName::Mnist), "  mnist|");
    let error = "cifar".parse::<DatasetName>().unwrap_err().to_string();
    let said = "there is no dataset `cifar`: there are mnist, fashion-mnist, cifar10, nmnist, pedestrian, images, csv, fsdd";
    assert_eq!(error, said);
    let error = serde_json::from_str::<DatasetName>("\"cifar\"").unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
}

#[test]
fn a_folder_without_the_data_is_named() {
    let (_cache, loader) = nowhere();
    let empty = tempdir().unwrap();
    for folder in [empty.path().to_path_buf(), empty.path().join("missing")] {
        for dataset in DatasetName::all() {
            let choice = DataSource::Folder(folder.clone());
            let error = dataset.load_with(&loader, &choice).unwrap_err().to_string();
            let name = folder.display().to_string();
            let unbuilt = *dataset == DatasetName::Images && !cfg!(feature = "images");
            assert!(error.contains(&name) || unbuilt, "{dataset}: {error}");
        }
    }
}

/// Writes files, with their folders.
fn put(folder: &Path, files: impl IntoIterator<Item = (String, Vec<u8>)>) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Two images each of MNIST's size, in idx files.
fn idx_files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for part in ["train", "t10k"] {
        let images = idx(&[2, 28, 28], &[7; 2 * 784]);
        files.push((format!("{part}-images-idx3-ubyte"), images));
        files.push((format!("{part}-labels-idx1-ubyte"), idx(&[2], &[0, 1])));
    }
    files
}

/// A WAV file of silence.
fn wav(samples: usize) -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    (0..samples).for_each(|_| writer.write_sample(0i16).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn a_damaged_file_is_named() {
    let (_cache, loader) = nowhere();
    let nmnist = || {
        let parts = ["Train", "Test"].into_iter();
        let digits =
            parts.flat_map(|part| (0..10).map(move |digit| format!("{part}/{digit}/1.bin")));
        digits.map(|name| (name, vec![1, 1, 0, 0, 1])).collect()
    };
    let texts = || {
        let names = ["train/a/1.csv", "train/b/1.csv", "test/a/1.csv"];
        let files = names
            .into_iter()
            .map(|name| (name.to_owned(), b"1,2".to_vec()));
        files.collect()
    };
    let wavs = || {
        let digits = (0..10).flat_map(|digit| [4, 5].map(|index| (digit, index)));
        let name = |(digit, index)| format!("recordings/{digit}_ada_{index}.wav");
        digits.map(|number| (name(number), wav(300))).collect()
    };
    for dataset in DatasetName::all() {
        // What a folder holds, and the file that is damaged.
        let (files, damaged): (Vec<_>, _) = match dataset.name() {
            "mnist" | "fashion-mnist" | "pedestrian" => (idx_files(), "t10k-images-idx3-ubyte"),
            "nmnist" => (nmnist(), "Test/3/1.bin"),
            "csv" => (texts(), "train/b/1.csv"),
            "fsdd" => (wavs(), "recordings/3_ada_5.wav"),
            // Whole ones are large, or need an encoder: other tests have them.
            "cifar10" => (Vec::new(), "data_batch_1.bin"),
            "images" if cfg!(feature = "images") => {
                let names = ["train/a/1.png", "train/b/1.png", "test/a/1.png"];
                (
                    names.map(|name| (name.to_owned(), Vec::new())).into(),
                    "train/a/1.png",
                )
            }
            "images" => continue,
            name => panic!("{name}: what does a folder hold?"),
        };
        let folder = tempdir().unwrap();
        let choice = DataSource::Folder(folder.path().into());
        // Recordings are read when they are asked for.
        let load = || {
            let data = dataset.load_with(&loader, &choice)?;
            data.fingerprints()
        };
        let whole = !matches!(dataset.name(), "cifar10" | "images");
        put(folder.path(), files);
        if whole {
            load().unwrap();
        }
        put(folder.path(), [(damaged.to_owned(), b"damaged".to_vec())]);
        let error = load().unwrap_err().to_string();
        // With the separators of the system.
        let path: PathBuf = folder.path().join(damaged).components().collect();
        assert!(
            error.starts_with(path.to_str().unwrap()),
            "{dataset}: {error}"
        );
    }
}

#[test]
fn datasets_without_a_source_of_their_own_ask_for_a_folder() {
    let (_cache, loader) = nowhere();
    for dataset in ["nmnist", "pedestrian", "images", "csv", "fsdd"] {
        let dataset: DatasetName = dataset.parse().unwrap();
        for choice in [DataSource::Auto, DataSource::Embedded] {
            let error = dataset.load_with(&loader, &choice).unwrap_err();
            assert!(
                matches!(error, DataError::NoFolder { dataset: name, .. } if name == dataset.name())
            );
            let error = error.to_string();
            for said in [dataset.name(), "name its folder", dataset.hint()] {
                assert!(error.contains(said), "{error}");
            }
        }
    }
    let cifar = DatasetName::Cifar10;
    let error = cifar.load_with(&loader, &DataSource::Auto).unwrap_err();
    assert!(matches!(error, DataError::Unavailable { .. }));
    assert!(
        error
            .to_string()
            .starts_with("cifar10 could not be had:\n  the cache: ")
    );
    let error = cifar.load_with(&loader, &DataSource::Embedded).unwrap_err();
    assert!(error.to_string().contains("they are of MNIST"), "{error}");
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_digits_are_a_dataset() {
    let data = DatasetName::Mnist.load(&DataSource::Embedded).unwrap();
    assert_eq!((data.shape, data.classes), DatasetName::Mnist.shape());
    assert_eq!((data.train.len(), data.test.len()), (4000, 1000));
    assert_eq!(data.class_names[9], "9");
    assert_eq!(data.place(), "the embedded digits, a small part of MNIST");
    let groups = DatasetName::Mnist.groups(&data.train).unwrap();
    assert_eq!(groups, (0..4000).collect::<Vec<_>>());
    let [train, test] = data.fingerprints().unwrap();
    assert!(train.starts_with("18be2c5d726f") && test.starts_with("4ff58c81ff54"));
    assert!(matches!(data.train, synfire_data::Samples::Images(_)));
}
