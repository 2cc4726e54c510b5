//! Atomic writes, and reads of regular files only.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use tempfile::NamedTempFile;

use crate::DataError;

/// Writes a file under a temporary name beside it and renames it when all of it is on the disk.
///
/// Whatever goes wrong (`write` fails, the disk is full, the process is killed), `path` keeps its old content or
/// stays absent. Folders above it are created.
///
/// # Errors
///
/// Those of `write` and of the file system.
///
/// ```
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("report.json");
/// synfire_data::write_atomically(&path, |file| file.write_all(b"{}"))?;
/// assert_eq!(std::fs::read(&path)?, b"{}");
/// # std::io::Result::Ok(())
/// ```
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let path = path.as_ref();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // Removed when dropped, unless it was renamed.
    let file = temporary(folder)?;
    let mut buffered = BufWriter::new(file);
    write(&mut buffered)?;
    let file = buffered.into_inner().map_err(io::Error::from)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The new name must be on the disk before another file can rely on it. Not every system can do that.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Maximum size of a dataset, or of its training or test part, in bytes.
pub(crate) const MOST_BYTES: u64 = 1 << 32;

const PREFIX: &str = ".synfire-";
const SUFFIX: &str = ".part";

/// A temporary file with the permissions of an ordinary new file, as it becomes one.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(folder)
}

/// A folder that is removed with all that is in it when it is dropped. If the process is killed before,
/// [`remove_leftovers`] knows it by its name.
#[cfg(any(feature = "download", test))]
pub(crate) fn temporary_folder(folder: &Path) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .tempdir_in(folder)
}

/// Removes the leftovers of [`write_atomically`] and downloads whose process was killed: files and folders named
/// `.synfire-*.part` that have not been written to for `age`. Failures are ignored.
pub fn remove_leftovers(folder: impl AsRef<Path>, age: Duration) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        // The metadata of a link itself, not of its target.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let modified = metadata.modified();
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|passed| passed >= age)) {
            let _ = match metadata.is_dir() {
                true => fs::remove_dir_all(entry.path()),
                false => fs::remove_file(entry.path()),
            };
        }
    }
}

/// Opens a file to read it, if it is an ordinary file or a link to one.
///
/// Opening a pipe or reading a device may block forever, so the file type is checked first.
///
/// # Errors
///
/// Those of the file system; of the kind [`IsADirectory`](io::ErrorKind::IsADirectory) if it is a directory, and
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if it is a pipe, a device or a socket. They do not name the file.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let error = synfire_data::open_regular(folder.path()).unwrap_err();
/// assert_eq!(error.to_string(), "is a directory, expected a regular file");
/// # std::io::Result::Ok(())
/// ```
pub fn open_regular(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    regular(path)?;
    File::open(path)
}

/// The bytes of an ordinary file.
///
/// # Errors
///
/// Those of [`open_regular`], and of reading.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("some.bin");
/// std::fs::write(&path, b"abc")?;
/// assert_eq!(synfire_data::read_regular(&path)?, b"abc");
/// # std::io::Result::Ok(())
/// ```
pub fn read_regular(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of an ordinary file, unless it is longer than `most` bytes.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, DataError> {
    let too_long = |length: u64| {
        let expected = format!("at most {most} bytes");
        DataError::format(path, "file size", format!("{length} bytes"), expected)
    };
    let length = regular(path).map_err(DataError::io(path))?.len();
    if length > most {
        return Err(too_long(length));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    // The file may grow while it is read.
    File::open(path)
        .and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
        .map_err(DataError::io(path))?;
    match bytes.len() as u64 {
        length if length > most => Err(too_long(length)),
        _ => Ok(bytes),
    }
}

/// Rejects files that are too large together; `field` is what the error says of them.
pub(crate) fn check_total<'a>(
    folder: &Path,
    field: &'static str,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<(), DataError> {
    let mut bytes: u64 = 0;
    for path in files {
        bytes = bytes.saturating_add(regular(path).map_err(DataError::io(path))?.len());
    }
    if bytes > MOST_BYTES {
        let expected = format!("at most {MOST_BYTES}");
        return Err(DataError::format(folder, field, bytes, expected));
    }
    Ok(())
}

/// Passes those entries of a compressed tar archive that are one of `names` in `folder` to `found`: the place of the name, the
/// path in the archive, the size and the content.
pub(crate) fn unpack(
    archive: &Path,
    folder: &str,
    names: &[&str],
    mut found: impl FnMut(usize, &Path, u64, &mut dyn Read) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let io = || DataError::io(archive);
    let stream = BufReader::new(open_regular(archive).map_err(io())?);
    let mut tar = tar::Archive::new(MultiGzDecoder::new(stream));
    for entry in tar.entries().map_err(io())? {
        let mut entry = entry.map_err(io())?;
        let path = entry.path().map_err(io())?.into_owned();
        let is_it = |name: &&str| path == Path::new(folder).join(name);
        if let Some(place) = names.iter().position(is_it) {
            found(place, &path, entry.size(), &mut entry)?;
        }
    }
    Ok(())
}

/// The metadata of an ordinary file; an error for anything else.
pub(crate) fn regular(path: &Path) -> io::Result<Metadata> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return Ok(metadata);
    }
    let (kind, what) = match metadata.is_dir() {
        true => (io::ErrorKind::IsADirectory, "directory"),
        false => (io::ErrorKind::InvalidInput, "pipe, device or socket"),
    };
    let text = format!("is a {what}, expected a regular file");
    Err(io::Error::new(kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk, as `write` sees it.
    fn out_of_space(file: &mut dyn Write) -> io::Result<()> {
        file.write_all(b"half of it")?;
        file.flush()?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_full_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let error = write_atomically(&path, out_of_space).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_full_disk_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_atomically(&path, |file| file.write_all(b"old")).unwrap();
        write_atomically(&path, out_of_space).unwrap_err();
        assert_eq!(names(folder.path()), ["model"]);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_atomically(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn leftovers_of_killed_processes_go() {
        let folder = tempfile::tempdir().unwrap();
        let (_, left) = temporary(folder.path()).unwrap().keep().unwrap();
        let left_folder = temporary_folder(folder.path()).unwrap().keep();
        fs::write(left_folder.join("inside"), b"x").unwrap();
        fs::write(folder.path().join("other"), b"x").unwrap();
        remove_leftovers(folder.path(), Duration::from_secs(3600));
        assert!(left.exists() && left_folder.join("inside").exists());
        remove_leftovers(folder.path(), Duration::ZERO);
        assert_eq!(names(folder.path()), ["other"]);
    }

    #[test]
    fn a_directory_is_no_file_and_a_missing_file_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_regular(folder.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(error.to_string(), "is a directory, expected a regular file");
        let error = open_regular(folder.path().join("absent")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        // A sparse file: no space on the disk, but more than all memory.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read_at_most(&path, 10).unwrap_err().to_string();
        let said = "long: `file size` is 1099511627776 bytes, expected at most 10 bytes";
        assert!(error.ends_with(said), "{error}");
        fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read_at_most(&path, 10).unwrap(), b"0123456789");
    }

    /// Opening the pipe would wait for a writer; reading the device would never end.
    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_not_opened() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let [file, device, pipe] = ["file", "device", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, b"x").unwrap();
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        assert_eq!(read_regular(&link).unwrap(), b"x");

        symlink("/dev/zero", &device).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for path in [device, pipe] {
            let error = read_regular(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                "is a pipe, device or socket, expected a regular file"
            );
        }
    }

    /// The system's own error: `/dev/full` refuses every byte.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_error_of_the_system_arrives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        let error = write_atomically(&path, |_| {
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")?
                .write_all(b"x")
        })
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!path.exists());
    }
}
