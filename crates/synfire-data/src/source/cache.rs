//! Cache of downloaded and verified files.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::PublishedFile;
use crate::image::idx::plain;
use crate::sha256::HashingWriter;
use crate::{DataError, open_regular, write_atomically};

/// Checks that all files are present, whole and unchanged. The error names the first that is not.
pub(crate) fn check(folder: &Path, files: &[PublishedFile]) -> Result<(), DataError> {
    for file in files {
        let path = folder.join(file.name);
        let opened = open_regular(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DataError::Missing {
                folder: folder.to_path_buf(),
                name: file.name.to_owned(),
            },
            _ => DataError::io(&path)(error),
        })?;
        let mut hasher = HashingWriter::new(io::sink());
        let mut stream = BufReader::new(opened);
        io::copy(&mut stream, &mut hasher).map_err(DataError::io(&path))?;
        expect_hash(&path, hasher.finish(), file)?;
    }
    Ok(())
}

/// Stores a stream, without the compression that it is served with, as `file` in `folder`, if it is the published file.
/// `from` is for error messages.
#[cfg_attr(not(feature = "download"), allow(dead_code))]
pub(crate) fn install(
    stream: impl BufRead,
    file: &PublishedFile,
    folder: &Path,
    from: &Path,
) -> Result<PathBuf, DataError> {
    let path = folder.join(file.name);
    // Errors belong to the file unless the stream caused them.
    let mut of_stream = false;
    let mut checked = Ok(());
    let written = write_atomically(&path, |out| {
        let mut hasher = HashingWriter::new(out);
        // One byte more than published suffices to detect another file.
        let stream: io::Result<Box<dyn Read>> = match file.gzipped {
            true => plain(stream),
            false => Ok(Box::new(stream)),
        };
        let copied =
            stream.and_then(|stream| io::copy(&mut stream.take(file.bytes + 1), &mut hasher));
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

fn expect_hash(path: &Path, found: String, file: &PublishedFile) -> Result<(), DataError> {
    match found == file.sha256 {
        true => Ok(()),
        false => Err(DataError::Checksum {
            path: path.to_path_buf(),
            found,
            expected: file.sha256,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256;
    use flate2::{Compression, write::GzEncoder};
    use std::fs;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn published(bytes: &[u8]) -> PublishedFile {
        PublishedFile::gzipped("some-file", bytes.len() as u64, sha256(bytes).leak())
    }

    #[test]
    fn a_file_of_several_members_is_stored_and_one_with_a_tail_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let content = b"what was published";
        let (first, second) = content.split_at(5);
        let members = [gzip(first), gzip(second)].concat();
        let store = |stream: &[u8]| {
            let from = Path::new("mirror/some-file.gz");
            install(stream, &published(content), folder.path(), from)
        };

        let error = store(&[&members[..], &b"and a tail"[..]].concat()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("mirror/some-file.gz: "), "{error}");
        assert!(!folder.path().join("some-file").exists());
        let path = store(&members).unwrap();
        assert_eq!(fs::read(path).unwrap(), content);
    }

    #[test]
    fn an_archive_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let archive = gzip(b"what is in it");
        let file = PublishedFile::as_is("a.gz", archive.len() as u64, sha256(&archive).leak());
        let from = Path::new("mirror/a.gz");
        let path = install(&archive[..], &file, folder.path(), from).unwrap();
        assert_eq!(fs::read(path).unwrap(), archive);
    }

    #[test]
    fn a_directory_in_place_of_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let text = || {
            let error = check(folder.path(), &[published(b"x")]).unwrap_err();
            error.to_string()
        };
        assert!(text().contains("neither `some-file`"), "{}", text());
        fs::create_dir(folder.path().join("some-file")).unwrap();
        assert!(
            text().ends_with("some-file: is a directory, expected a regular file"),
            "{}",
            text()
        );
    }
}
