//! Files in folders that are named after their classes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{DataError, sha256};

/// Labels are bytes.
pub(crate) const MOST_CLASSES: usize = 256;

/// A file and the label of its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    pub path: PathBuf,
    pub label: u8,
}

/// The files of class folders, in the order of classes and names.
#[derive(Clone, Debug)]
pub(crate) struct ClassFolders {
    /// The names of the classes, in numerical order if all are numbers, else in alphabetical order.
    pub classes: Vec<String>,
    /// At least one of each class.
    pub train: Vec<Labelled>,
    /// At least one.
    pub test: Vec<Labelled>,
}

impl ClassFolders {
    /// Whether a folder has class folders with files of one of these endings.
    #[cfg(any(feature = "images", test))]
    pub fn are_in(folder: &Path, endings: &[&str]) -> bool {
        let classes = subfolders(folder).unwrap_or_default();
        let mut classes = classes.iter();
        classes.any(|class| files(class, endings).is_ok_and(|files| !files.is_empty()))
    }

    /// Finds `train/<class>/<file>` and `test/<class>/<file>` with one of these endings, in capitals or not. If `train` has no
    /// folders, it finds `<class>/<file>`, and a sixth (see [`sixth`]) of each class is the test part. Skips hidden files.
    pub fn find(folder: &Path, endings: &[&str], hint: &'static str) -> Result<Self, DataError> {
        let missing = |folder: &Path, what: &str| DataError::not_in_folder(folder, what, hint);
        let endings_text = endings.join(", ");
        let [train, test] = ["train", "test"].map(|part| folder.join(part));
        let split = train.is_dir() && !subfolders(&train)?.is_empty();
        let root = if split { train.as_path() } else { folder };
        let classes = subfolders(root)?;
        match classes.len() {
            0 | 1 => {
                let what = "class folder, or only one: there must be two classes";
                return Err(missing(root, what));
            }
            count if count > MOST_CLASSES => {
                let (field, expected) = ("number of classes", format!("at most {MOST_CLASSES}"));
                return Err(DataError::format(root, field, count, expected));
            }
            _ => {}
        }
        let mut found = Self {
            classes: classes.iter().map(|class| name(class)).collect(),
            train: Vec::new(),
            test: Vec::new(),
        };
        for (label, class) in classes.iter().enumerate() {
            let label = label as u8;
            let labelled = |path| Labelled { path, label };
            let files = files(class, endings)?;
            if files.is_empty() {
                let what = format!("file with the ending {endings_text}");
                return Err(missing(class, &what));
            }
            let (train, test) = match split {
                true => (files, Vec::new()),
                false => sixth(files, |file| format!("{}/{}", name(class), name(file))),
            };
            found.train.extend(train.into_iter().map(labelled));
            found.test.extend(test.into_iter().map(labelled));
        }
        if split {
            if !test.is_dir() {
                return Err(missing(folder, "folder `test` beside `train`"));
            }
            let labels: HashMap<_, _> = (0..).zip(&found.classes).map(|(i, c)| (c, i)).collect();
            for class in subfolders(&test)? {
                let Some(&label) = labels.get(&name(&class)) else {
                    let value = format!("`{}`", name(&class));
                    let expected = "a class that is trained on";
                    return Err(DataError::format(class, "class", value, expected));
                };
                let files = files(&class, endings)?.into_iter();
                let files = files.map(|path| Labelled { path, label });
                found.test.extend(files);
            }
        }
        if found.test.is_empty() {
            let what = format!("file with the ending {endings_text} to test on");
            return Err(missing(if split { &test } else { folder }, &what));
        }
        Ok(found)
    }
}

/// Splits files into a training and a test part. The test part is the sixth whose keys have the smallest SHA-256, at least
/// one file of several. The same keys are split the same way on every machine. The order stays.
pub(crate) fn sixth<T>(files: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Vec<T>) {
    let count = match files.len() {
        0 | 1 => 0,
        len => (len / 6).max(1),
    };
    let own = files.iter().map(|file| sha256(key(file).as_bytes()));
    let own: Vec<_> = own.collect();
    let mut hashes = own.clone();
    hashes.sort_unstable();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (file, hash) in files.into_iter().zip(own) {
        match hashes[..count].binary_search(&hash) {
            Ok(_) => test.push(file),
            Err(_) => train.push(file),
        }
    }
    (train, test)
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The files of a folder with one of these endings, in the order of their names.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut found = entries(folder)?;
    found.retain(|path| {
        let own = path.extension().unwrap_or_default();
        let mut endings = endings.iter();
        endings.any(|ending| own.eq_ignore_ascii_case(ending))
    });
    found.sort();
    Ok(found)
}

/// The folders in a folder.
fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = entries(folder)?;
    found.retain(|path| path.is_dir());
    let numbers: Option<Vec<u64>> = found.iter().map(|path| name(path).parse().ok()).collect();
    match numbers {
        Some(_) => found.sort_by_key(|path| (name(path).parse::<u64>().ok(), name(path))),
        None => found.sort(),
    }
    Ok(found)
}

/// The entries of a folder that are not hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(DataError::io(folder))? {
        let entry = entry.map_err(DataError::io(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
    }

    fn find(folder: &Path) -> Result<ClassFolders, String> {
        ClassFolders::find(folder, &["txt"], "texts").map_err(|error| error.to_string())
    }

    #[test]
    fn a_split_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        put(
            folder.path(),
            &[
                "train/b/1.txt",
                "train/a/2.TXT",
                "train/a/1.txt",
                "train/a/1.png",
                "test/b/1.txt",
            ],
        );
        put(
            folder.path(),
            &["train/.hidden/1.txt", "train/notes.txt", "other/1.txt"],
        );
        let found = find(folder.path()).unwrap();
        assert_eq!(found.classes, ["a", "b"]);
        let names = |part: &[Labelled]| -> Vec<_> {
            part.iter()
                .map(|file| (name(&file.path), file.label))
                .collect()
        };
        let named = |name: &str, label| (name.to_owned(), label);
        let train = [named("1.txt", 0), named("2.TXT", 0), named("1.txt", 1)];
        assert_eq!(names(&found.train), train);
        assert_eq!(names(&found.test), [named("1.txt", 1)]);
        assert!(ClassFolders::are_in(&folder.path().join("train"), &["txt"]));
        assert!(!ClassFolders::are_in(
            &folder.path().join("train"),
            &["jpg"]
        ));

        put(folder.path(), &["test/c/1.txt"]);
        let error = find(folder.path()).unwrap_err();
        assert!(
            error.contains("`class` is `c`, expected a class that is trained on"),
            "{error}"
        );
        fs::remove_dir_all(folder.path().join("test")).unwrap();
        let error = find(folder.path()).unwrap_err();
        assert!(
            error.ends_with("there is no folder `test` beside `train`; expected texts"),
            "{error}"
        );
        fs::create_dir(folder.path().join("test")).unwrap();
        let error = find(folder.path()).unwrap_err();
        assert!(
            error.contains("test: there is no file with the ending txt to test on"),
            "{error}"
        );
    }

    #[test]
    fn without_a_split_a_sixth_of_each_class_is_to_test_on() {
        let folder = tempfile::tempdir().unwrap();
        for class in ["10", "9"] {
            for i in 0..13 {
                put(folder.path(), &[&format!("{class}/{i:02}.txt")]);
            }
        }
        // A class may have the name of a part.
        put(folder.path(), &["train/1.txt"]);
        assert_eq!(find(folder.path()).unwrap().classes, ["10", "9", "train"]);
        fs::remove_dir_all(folder.path().join("train")).unwrap();
        let found = find(folder.path()).unwrap();
        assert_eq!(found.classes, ["9", "10"]);
        assert_eq!((found.train.len(), found.test.len()), (22, 4));
        let again = find(folder.path()).unwrap();
        assert_eq!((found.train, &found.test), (again.train, &again.test));
        // Published results depend on this rule.
        let test: Vec<_> = found.test.iter().map(|file| name(&file.path)).collect();
        assert_eq!(test, ["07.txt", "11.txt", "08.txt", "11.txt"]);
    }

    #[test]
    fn few_files_are_divided_too() {
        let divide = |count: usize| sixth((0..count).collect(), |i| i.to_string());
        for (count, test) in [(0, 0), (1, 0), (2, 1), (11, 1), (12, 2), (600, 100)] {
            let (train, tested) = divide(count);
            assert_eq!((train.len(), tested.len()), (count - test, test));
            let mut all = [train, tested].concat();
            all.sort_unstable();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn errors_name_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let error = || find(folder.path()).unwrap_err();
        assert!(error().contains("there is no class folder"), "{}", error());
        put(folder.path(), &["a/1.txt"]);
        assert!(error().contains("or only one"), "{}", error());
        put(folder.path(), &["b/1.png"]);
        assert!(
            error().contains("b: there is no file with the ending txt"),
            "{}",
            error()
        );
        put(folder.path(), &["b/1.txt"]);
        let said = "there is no file with the ending txt to test on";
        assert!(error().contains(said), "{}", error());
        for class in 0..300 {
            put(folder.path(), &[&format!("{class}/1.txt")]);
        }
        assert!(
            error().contains("`number of classes` is 302, expected at most 256"),
            "{}",
            error()
        );
        let missing = find(&folder.path().join("missing")).unwrap_err();
        assert!(missing.contains("missing: "), "{missing}");
    }
}
