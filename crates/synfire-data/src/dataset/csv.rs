//! Sequences in CSV files.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::NamedDataset;
use crate::class_folders::{self, ClassFolders};
use crate::file::regular;
use crate::sequence::{Labels, read_csv};
use crate::{
    Data, DataError, DataSource, Loader, Samples, Sequence, SequenceDataset, SequenceLabel, Source,
};

const ENDINGS: [&str; 1] = ["csv"];
/// Maximum size of all training files, or of all test files, in bytes.
const MOST_BYTES: u64 = 1 << 32;

pub(super) struct Definition;

impl NamedDataset for Definition {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "Sequences in CSV files, a row a step and a column a channel: the folder decides channels and classes"
    }

    fn hint(&self) -> &'static str {
        "a folder with train/<class>/*.csv and test/<class>/*.csv or, of files whose last column `label` has the class of \
         every step, with train/*.csv and test/*.csv; without train and test, a sixth is to test on"
    }

    fn shape(&self) -> ([usize; 3], usize) {
        ([1, 1, 1], 2)
    }

    fn load(&self, _loader: &Loader, choice: &DataSource) -> Result<Data, DataError> {
        let folder = self.folder(choice)?;
        let found = match flat_parts(folder, self.hint())? {
            Some([train, test]) => steps(folder, &train, &test)?,
            None => whole(folder, self.hint())?,
        };
        let classes = found.class_names.len();
        Ok(Data {
            shape: [found.train.channels(), 1, 1],
            classes,
            class_names: found.class_names,
            train: Samples::Sequences(found.train),
            test: Samples::Sequences(found.test),
            source: Source::Folder(folder.to_path_buf()),
            tried: Vec::new(),
        })
    }
}

struct Found {
    train: SequenceDataset,
    test: SequenceDataset,
    class_names: Vec<String>,
}

/// A file, and the label of its folder if folders define the labels.
type File = (PathBuf, Option<u8>);

/// Files that are not in class folders: `train/*.csv` and `test/*.csv`, or `*.csv`, of which a sixth is to test on. `None` if
/// there are none.
fn flat_parts(folder: &Path, hint: &'static str) -> Result<Option<[Vec<File>; 2]>, DataError> {
    let [train, test] = ["train", "test"].map(|part| folder.join(part));
    let unlabelled = |files: Vec<PathBuf>| files.into_iter().map(|path| (path, None)).collect();
    if train.is_dir() {
        let files = class_folders::files(&train, &ENDINGS)?;
        if !files.is_empty() {
            let tested = class_folders::files(&test, &ENDINGS)?;
            if tested.is_empty() {
                return Err(DataError::NotInFolder {
                    folder: test,
                    what: "file with the ending csv to test on".to_owned(),
                    hint,
                });
            }
            return Ok(Some([files, tested].map(unlabelled)));
        }
    }
    let files = class_folders::files(folder, &ENDINGS)?;
    if files.is_empty() {
        return Ok(None);
    }
    let (train, test) = class_folders::sixth(files, |file| class_folders::name(file));
    if test.is_empty() {
        return Err(DataError::NotInFolder {
            folder: folder.to_path_buf(),
            what: "second file with the ending csv to test on".to_owned(),
            hint,
        });
    }
    Ok(Some([train, test].map(unlabelled)))
}

/// Sequences with a label for every step.
fn steps(folder: &Path, train: &[File], test: &[File]) -> Result<Found, DataError> {
    let train = read_part(folder, train, None)?;
    let test = read_part(folder, test, Some(train.channels()))?;
    let mut trained = [false; class_folders::MOST_CLASSES];
    train
        .labels()
        .iter()
        .for_each(|label| trained[usize::from(*label)] = true);
    if let Some(label) = test
        .labels()
        .iter()
        .find(|label| !trained[usize::from(**label)])
    {
        let expected = "a label that is trained on";
        return Err(DataError::format(
            folder,
            "label of the test part",
            label,
            expected,
        ));
    }
    let highest = train.labels().iter().max().copied().unwrap_or(0);
    Ok(Found {
        class_names: super::numbered((usize::from(highest) + 1).max(2)),
        train,
        test,
    })
}

/// Sequences in class folders.
fn whole(folder: &Path, hint: &'static str) -> Result<Found, DataError> {
    let folders = ClassFolders::find(folder, &ENDINGS, hint)?;
    let [train, test] = [folders.train, folders.test].map(|part| -> Vec<File> {
        part.into_iter()
            .map(|file| (file.path, Some(file.label)))
            .collect()
    });
    let train = read_part(folder, &train, None)?;
    let test = read_part(folder, &test, Some(train.channels()))?;
    Ok(Found {
        train,
        test,
        class_names: folders.classes,
    })
}

/// Reads the files, which must all have so many channels, or as many as the first.
fn read_part(
    folder: &Path,
    files: &[File],
    channels: Option<usize>,
) -> Result<SequenceDataset, DataError> {
    let mut bytes: u64 = 0;
    for (path, _) in files {
        bytes = bytes.saturating_add(regular(path).map_err(DataError::io(path))?.len());
    }
    if bytes > MOST_BYTES {
        let expected = format!("at most {MOST_BYTES}");
        return Err(DataError::format(
            folder,
            "bytes of CSV files",
            bytes,
            expected,
        ));
    }
    let sequences = files.par_iter().map(|(path, label)| {
        let labels = match label {
            Some(_) => Labels::OfFolder,
            None => Labels::LastColumn,
        };
        read_csv(path, labels)
    });
    let sequences = sequences.collect::<Result<Vec<_>, _>>()?;
    let channels = channels.unwrap_or(sequences[0].channels);
    let mut all = Vec::with_capacity(sequences.len());
    for (sequence, (path, label)) in sequences.into_iter().zip(files) {
        if sequence.channels != channels {
            return Err(DataError::format(
                path,
                "number of channels",
                sequence.channels,
                format!("{channels}, as in the first file to train on"),
            ));
        }
        all.push(Sequence {
            values: sequence.values,
            label: match label {
                Some(label) => SequenceLabel::Whole(*label),
                None => SequenceLabel::Steps(sequence.labels),
            },
        });
    }
    SequenceDataset::new(channels, all)
}
