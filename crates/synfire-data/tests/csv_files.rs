//! Datasets of sequences in CSV files.

use std::fs;
use std::path::Path;

use synfire_data::{Data, DataError, DataSource, DatasetName, Samples, SequenceDataset};
use tempfile::tempdir;

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn load(folder: &Path) -> Result<Data, DataError> {
    DatasetName::Csv.load(&DataSource::Folder(folder.into()))
}

fn sequences(samples: &Samples) -> &SequenceDataset {
    match samples {
        Samples::Sequences(sequences) => sequences,
        _ => panic!("no sequences"),
    }
}

#[test]
fn folders_are_classes() {
    let folder = tempdir().unwrap();
    put(folder.path(), "train/2/a.csv", "1,2\n3,4\n5,6\n");
    put(folder.path(), "train/10/a.CSV", "x,y\n7,8\n");
    put(folder.path(), "test/10/a.csv", "0,0.5\n");
    let data = load(folder.path()).unwrap();
    assert_eq!((data.shape, data.classes), ([2, 1, 1], 2));
    // In the order of numbers.
    assert_eq!(data.class_names, ["2", "10"]);
    assert_eq!(data.train.time_steps(), Some(3));
    let (values, labels) = sequences(&data.train).batch([1, 0], 2).unwrap();
    assert_eq!(values, [7.0, 8.0, 1.0, 2.0, 0.0, 0.0, 3.0, 4.0]);
    assert_eq!(labels, [1, 0]);
    assert_eq!(data.test.labels(), [1]);
    let [train, test] = data.fingerprints().unwrap();
    assert_ne!(train, test);
}

#[test]
fn every_step_may_have_its_label() {
    let folder = tempdir().unwrap();
    put(folder.path(), "train/1.csv", "x,label\n1,0\n2,3\n");
    put(folder.path(), "train/2.csv", "x,label\n5,1\n");
    put(folder.path(), "test/1.csv", "x,label\n6,3\n");
    let data = load(folder.path()).unwrap();
    assert_eq!((data.shape, data.classes), ([1, 1, 1], 4));
    assert!(data.train.labels_each_step());
    let (values, labels) = sequences(&data.train).batch([0, 1], 3).unwrap();
    assert_eq!(values, [1.0, 5.0, 2.0, 0.0, 0.0, 0.0]);
    assert_eq!(labels, [0, 1, 3, -1, -1, -1]);
    put(folder.path(), "test/1.csv", "x,label\n6,2\n");
    let error = load(folder.path()).unwrap_err().to_string();
    let said = "`label of the test part` is 2, expected a label that is trained on";
    assert!(error.ends_with(said), "{error}");

    // Without a split.
    let folder = tempdir().unwrap();
    for i in 0..12 {
        put(
            folder.path(),
            &format!("{i}.csv"),
            &format!("x,label\n{i},1\n{i},0\n"),
        );
    }
    let data = load(folder.path()).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (10, 2));
    let again = load(folder.path()).unwrap();
    assert_eq!(data.fingerprints().unwrap(), again.fingerprints().unwrap());
}

#[test]
fn errors_name_file_line_and_value() {
    let folder = tempdir().unwrap();
    let error = || load(folder.path()).unwrap_err().to_string();
    put(folder.path(), "train/a/1.csv", "1,2\n");
    put(folder.path(), "train/b/1.csv", "1,2\n");
    assert!(error().contains("there is no folder `test`"), "{}", error());
    put(folder.path(), "test/a/1.csv", "1,2\n");
    assert_eq!(load(folder.path()).unwrap().train.len(), 2);
    for (name, text, said) in [
        (
            "train/b/1.csv",
            "1,2\n3,nan\n",
            "1.csv: line 2: `column 2` is `nan`, expected a finite number",
        ),
        (
            "train/b/1.csv",
            "1,2\n3\n",
            "1.csv: line 2: `number of columns` is 1, expected 2, as in the first row",
        ),
        (
            "train/b/1.csv",
            "",
            "1.csv: `number of steps` is 0, expected at least 1",
        ),
        (
            "train/b/1.csv",
            "1\n",
            "1.csv: `number of channels` is 1, expected 2, as in the first file to train on",
        ),
        (
            "test/a/1.csv",
            "1,2,3\n",
            "1.csv: `number of channels` is 3, expected 2, as in the first file to train on",
        ),
    ] {
        let good = fs::read_to_string(folder.path().join(name)).unwrap();
        put(folder.path(), name, text);
        assert!(error().ends_with(said), "{}", error());
        put(folder.path(), name, &good);
    }
    // Not read: it would take all memory.
    let long = fs::File::create(folder.path().join("train/b/1.csv")).unwrap();
    long.set_len(1 << 40).unwrap();
    assert!(
        error().contains("`bytes of CSV files` is 10995116277"),
        "{}",
        error()
    );
    long.set_len(1 << 30).unwrap();
    assert!(
        error().contains("1.csv: `file size` is 1073741824 bytes"),
        "{}",
        error()
    );

    let folder = tempdir().unwrap();
    put(folder.path(), "1.csv", "x,y\n1,2\n");
    let error = || load(folder.path()).unwrap_err().to_string();
    assert!(
        error().contains("second file with the ending csv to test on"),
        "{}",
        error()
    );
    put(folder.path(), "2.csv", "x,y\n1,2\n");
    assert!(
        error().contains("line 1: `last column` is `y`, expected a header"),
        "{}",
        error()
    );
    put(folder.path(), "1.csv", "x,label\n1,0\n");
    put(folder.path(), "2.csv", "x,label\n1,0\n");
    let said = "`number of training samples` is 1, expected at least 2";
    assert!(error().contains(said), "{}", error());
}
