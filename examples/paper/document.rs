//! Tables in documents, between marks, and the folders of files that they come from.

use std::fs;
use std::path::{Path, PathBuf};

use synfire_data::write_atomically;

use synfire_train::{RunError, say};

/// The entries of a folder, in the order of their names.
///
/// # Errors
///
/// If it cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let entries = fs::read_dir(folder).map_err(RunError::io(folder))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths
        .collect::<Result<_, _>>()
        .map_err(RunError::io(folder))?;
    paths.sort();
    Ok(paths)
}

/// Puts a table between the marks of its block.
///
/// # Errors
///
/// If the document has no such marks.
pub fn put(document: &str, path: &Path, block: &str, table: &str) -> Result<String, RunError> {
    let (begin, end) = (
        format!("<!-- begin {block} -->\n"),
        format!("<!-- end {block} -->"),
    );
    let missing = |mark: &str| RunError::damaged(path)(format!("there is no `{}`", mark.trim()));
    let (before, rest) = document.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

/// Writes a document that has changed.
///
/// # Errors
///
/// If it cannot be written or, where it is only to be checked, if it has changed.
pub fn finish(path: &Path, old: &str, new: &str, check: bool) -> Result<(), RunError> {
    match (new == old, check) {
        (true, _) => say!("{}: as the files say", path.display()),
        (false, true) => {
            return Err(RunError::damaged(path)(
                "its tables are not those of the files",
            ));
        }
        (false, false) => {
            write_atomically(path, |file| file.write_all(new.as_bytes()))
                .map_err(RunError::io(path))?;
            say!("{}: written", path.display());
        }
    }
    Ok(())
}
