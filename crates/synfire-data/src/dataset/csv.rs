//! Sequences in CSV files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::NamedDataset;
use crate::class_folders::{self, ClassFolders, Labelled};
use crate::data::count_classes;
use crate::file::check_total;
use crate::sequence::{Labels, read_csv};
use crate::{
    Data, DataError, DataSource, Loader, Sequence, SequenceDataset, SequenceLabel, Source,
};

const ENDINGS: [&str; 1] = ["csv"];

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
        let source = Source::Folder(folder.to_path_buf());
        if let Some(files) = flat_parts(folder, self.hint())? {
            // A label for every step.
            let parts = read_parts(folder, files)?;
            let classes = classes_of_steps(folder, &parts)?;
            return Ok(Data::new(parts, super::numbered(classes), source));
        }
        let folders = ClassFolders::find(folder, &ENDINGS, self.hint())?;
        let labelled = |file: Labelled| (file.path, Some(file.label));
        let parts = [folders.train, folders.test];
        let files = parts.map(|part| part.into_iter().map(labelled).collect());
        let parts = read_parts(folder, files)?;
        Ok(Data::new(parts, folders.classes, source))
    }
}

/// A file, and the label of its folder if folders define the labels.
type File = (PathBuf, Option<u8>);

/// Files that are not in class folders: `train/*.csv` and `test/*.csv`, or `*.csv`, of which a sixth is the test part. `None`
/// if there are none.
fn flat_parts(folder: &Path, hint: &'static str) -> Result<Option<[Vec<File>; 2]>, DataError> {
    let [train, test] = ["train", "test"].map(|part| folder.join(part));
    let unlabelled = |files: Vec<PathBuf>| files.into_iter().map(|path| (path, None)).collect();
    if train.is_dir() {
        let files = class_folders::files(&train, &ENDINGS)?;
        if !files.is_empty() {
            let tested = class_folders::files(&test, &ENDINGS)?;
            if tested.is_empty() {
                let what = "file with the ending csv to test on";
                return Err(DataError::not_in_folder(test, what, hint));
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
        let what = "second file with the ending csv to test on";
        return Err(DataError::not_in_folder(folder, what, hint));
    }
    Ok(Some([train, test].map(unlabelled)))
}

/// The number of classes of sequences with a label for every step. All must be trained on.
fn classes_of_steps(
    folder: &Path,
    [train, test]: &[SequenceDataset; 2],
) -> Result<usize, DataError> {
    let trained: HashSet<_> = train.labels().iter().collect();
    match test.labels().iter().find(|label| !trained.contains(label)) {
        None => Ok(count_classes(train.labels())),
        Some(label) => {
            let (field, expected) = ("label of the test part", "a label that is trained on");
            Err(DataError::format(folder, field, label, expected))
        }
    }
}

/// Reads the files to train on and those to test on.
fn read_parts(
    folder: &Path,
    [train, test]: [Vec<File>; 2],
) -> Result<[SequenceDataset; 2], DataError> {
    let train = read_part(folder, &train, None)?;
    let test = read_part(folder, &test, Some(train.channels()))?;
    Ok([train, test])
}

/// Reads the files, which must all have the given number of channels, or that of the first file.
fn read_part(
    folder: &Path,
    files: &[File],
    channels: Option<usize>,
) -> Result<SequenceDataset, DataError> {
    let paths = files.iter().map(|(path, _)| path);
    check_total(folder, "bytes of CSV files", paths)?;
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
            let (field, own) = ("number of channels", sequence.channels);
            let expected = format!("{channels}, as in the first file to train on");
            return Err(DataError::format(path, field, own, expected));
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
