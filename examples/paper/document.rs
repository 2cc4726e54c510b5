//! Updates tables between marks in documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use synfire_data::write_atomically;
use synfire_train::{Report, RunError, say};

/// The entries of a folder, in the order of their names.
///
/// # Errors
///
/// If it cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let entries = fs::read_dir(folder).map_err(RunError::io(folder))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(RunError::io(folder))?;
    paths.sort();
    Ok(paths)
}

/// The reports in a folder, with the names of their files.
///
/// # Errors
///
/// If one cannot be read.
pub fn reports(folder: &Path) -> Result<Vec<(String, Report)>, RunError> {
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok((name.into_owned(), Report::from_file(&path)?))
    };
    entries(folder)?.into_iter().map(read).collect()
}

/// The figures in a JSON file, by name.
///
/// # Errors
///
/// If it cannot be read.
pub fn figures<T: DeserializeOwned>(path: &Path) -> Result<BTreeMap<String, T>, RunError> {
    let text = fs::read_to_string(path).map_err(RunError::io(path))?;
    serde_json::from_str(&text).map_err(RunError::damaged(path))
}

/// The same, none if there is no file yet.
///
/// # Errors
///
/// If it cannot be read.
pub fn figures_so_far<T: DeserializeOwned>(path: &Path) -> Result<BTreeMap<String, T>, RunError> {
    match path.exists() {
        true => figures(path),
        false => Ok(BTreeMap::new()),
    }
}

/// Puts tables between the marks of their blocks, and writes the document if that changes it.
///
/// # Errors
///
/// If the document has no such marks, or cannot be read or written or, where it is only to be checked, if it would change.
pub fn update(path: &Path, blocks: &[(&str, String)], check: bool) -> Result<(), RunError> {
    let old = fs::read_to_string(path).map_err(RunError::io(path))?;
    let mut new = old.clone();
    for (block, table) in blocks {
        let begin = format!("<!-- begin {block} -->\n");
        let end = format!("<!-- end {block} -->");
        let missing =
            |mark: &str| RunError::damaged(path)(format!("there is no `{}`", mark.trim()));
        let (before, rest) = new.split_once(&begin).ok_or_else(|| missing(&begin))?;
        let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
        new = format!("{before}{begin}{table}{end}{after}");
    }
    if new == old {
        say!("{}: as the files say", path.display());
        return Ok(());
    }
    if check {
        let reason = "its tables are not those of the files";
        return Err(RunError::damaged(path)(reason));
    }
    write_atomically(path, |file| file.write_all(new.as_bytes())).map_err(RunError::io(path))?;
    say!("{}: written", path.display());
    Ok(())
}
