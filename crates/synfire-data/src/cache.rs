//! Files that have been fetched once and checked.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::idx::plain;
use crate::published::PublishedFile;
use crate::sha256::HashingWriter;
use crate::{DataError, remove_leftovers, write_atomically};

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
    // An error is the file's until the stream is to blame.
    let mut of_stream = false;
    let mut checked = Ok(());
    let written = write_atomically(&path, |out| {
        let mut hasher = HashingWriter::new(out);
        // One byte more than published is enough to know that it is another file.
        let copied = plain(stream)
            .and_then(|stream| io::copy(&mut stream.take(file.bytes + 1), &mut hasher));
        of_stream = copied.is_err() && !hasher.failed();
        copied?;
        checked = expect_hash(from, hasher.finish(), file);
        match checked {
            Ok(()) => Ok(()),
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    });
    checked?;
    let blamed = if of_stream { from } else { &path };
    written.map_err(DataError::io(blamed))?;
    Ok(path)
}

/// Creates the folder, so that a cache that cannot be written is known before anything is fetched, and removes what a
/// killed process left there. One that is younger may be at work.
pub(crate) fn prepare(folder: &Path) -> Result<(), DataError> {
    remove_leftovers(folder, Duration::from_secs(3600));
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
