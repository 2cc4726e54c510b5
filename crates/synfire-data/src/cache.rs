//! Files that have been fetched once and checked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::idx::plain;
use crate::published::PublishedFile;
use crate::sha256::HashingWriter;
use crate::{DataError, write_atomically};

/// Whether all files are there, whole and unchanged. `Err` says which is not.
pub(crate) fn check(folder: &Path, files: &[PublishedFile]) -> Result<(), DataError> {
    for file in files {
        let path = folder.join(file.name);
        if !path.is_file() {
            return Err(DataError::Missing {
                folder: folder.to_path_buf(),
                name: file.name.to_owned(),
            });
        }
        let mut hasher = HashingWriter::new(io::sink());
        let mut stream = BufReader::new(File::open(&path).map_err(DataError::io(&path))?);
        io::copy(&mut stream, &mut hasher).map_err(DataError::io(&path))?;
        expect_hash(&path, hasher.finish(), file)?;
    }
    Ok(())
}

/// Stores a stream, without its compression, as `file` in `folder`, if it is the published file. `from` is for error
/// messages.
pub(crate) fn install(
    stream: impl BufRead,
    file: &PublishedFile,
    folder: &Path,
    from: &Path,
) -> Result<PathBuf, DataError> {
    let path = folder.join(file.name);
    let mut checked = Ok(());
    let written = write_atomically(&path, |out| {
        let mut hasher = HashingWriter::new(out);
        // One byte more than published is enough to know that it is another file.
        io::copy(&mut plain(stream)?.take(file.bytes + 1), &mut hasher)?;
        checked = expect_hash(from, hasher.finish(), file);
        match checked {
            Ok(()) => Ok(()),
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    });
    checked?;
    written.map_err(|error| match error.kind() {
        // The stream's end, not the file's.
        io::ErrorKind::UnexpectedEof => DataError::io(from)(error),
        _ => DataError::io(&path)(error),
    })?;
    Ok(path)
}

/// Creates the folder, so that a cache that cannot be written is known before anything is fetched.
pub(crate) fn prepare(folder: &Path) -> Result<(), DataError> {
    fs::create_dir_all(folder).map_err(DataError::io(folder))
}

fn expect_hash(path: &Path, found: String, file: &PublishedFile) -> Result<(), DataError> {
    if found == file.sha256 {
        Ok(())
    } else {
        Err(DataError::Checksum {
            path: path.to_path_buf(),
            found,
            expected: file.sha256,
        })
    }
}
