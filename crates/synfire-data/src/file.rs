//! Files that are there whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

/// Writes a file under a temporary name beside it and renames it when all is on the disk.
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
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

const PREFIX: &str = ".synfire-";
const SUFFIX: &str = ".part";

/// A file that is to become an ordinary one, so with the permissions that new files have.
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(folder)
}

/// Removes what [`write_atomically`] left in a folder when its process was killed, if it has not been written to for
/// `age`. What cannot be removed stays.
pub fn remove_leftovers(folder: impl AsRef<Path>, age: Duration) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let modified = entry.metadata().and_then(|data| data.modified());
        let old = modified.is_ok_and(|time| time.elapsed().is_ok_and(|passed| passed >= age));
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) && old {
            let _ = fs::remove_file(entry.path());
        }
    }
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
        fs::write(folder.path().join("other"), b"x").unwrap();
        remove_leftovers(folder.path(), Duration::from_secs(3600));
        assert!(left.exists());
        remove_leftovers(folder.path(), Duration::ZERO);
        assert_eq!(names(folder.path()), ["other"]);
    }

    /// The system's own report: `/dev/full` refuses every byte.
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
