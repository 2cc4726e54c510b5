//! The folder of a run, locked for one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use synfire_data::remove_leftovers;

use crate::RunError;
use crate::checkpoint::CHECKPOINTS;
use crate::report::REPORT;
use crate::saved::{RUN, WEIGHTS};

/// The file whose lock says that a process is at work. It is removed at the end; one that a killed process left behind
/// is locked by nobody.
const LOCK: &str = ".lock";

/// A folder that no other run can take while this is there.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The folder was made for this run.
    created: bool,
    /// The run has begun: the folder must stay.
    begun: bool,
    /// None while it is dropped.
    lock: Option<File>,
}

impl RunFolder {
    /// A folder for a new run, created if need be.
    ///
    /// # Errors
    ///
    /// If it cannot be written, another process uses it, or it holds a run or the remains of one.
    pub fn new(path: &Path) -> Result<Self, RunError> {
        let folder = loop {
            let created = !path.exists();
            fs::create_dir_all(path).map_err(RunError::io(path))?;
            match Self::hold(path, created) {
                // Another process has just removed it.
                Err(RunError::Io { source, .. })
                    if source.kind() == ErrorKind::NotFound && !path.exists() => {}
                held => break held?,
            }
        };
        let out = path.to_path_buf();
        match occupied(path)? {
            None => Ok(folder),
            Some(RUN) => Err(RunError::Occupied(out)),
            Some(file) => Err(RunError::Remains { out, file }),
        }
    }

    /// The next free folder `name-N` below `runs`; `name` if there is none yet.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn numbered(runs: &Path, name: &str) -> Result<Self, RunError> {
        fs::create_dir_all(runs).map_err(RunError::io(runs))?;
        let numbers = numbers(runs, name).map_err(RunError::io(runs))?;
        let mut number = numbers.into_iter().max().unwrap_or(0);
        loop {
            number += 1;
            let path = path_of(runs, name, number);
            // Of several concurrent processes only one creates it.
            match fs::create_dir(&path) {
                Ok(()) => return Self::hold(&path, true),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < u32::MAX => {}
                Err(error) => return Err(RunError::io(path)(error)),
            }
        }
    }

    /// The folder of a run that is to go on.
    ///
    /// # Errors
    ///
    /// If there is no run in it, it cannot be written, or another process is at work in it.
    pub fn of_run(path: &Path) -> Result<Self, RunError> {
        if !path.join(RUN).exists() {
            return Err(RunError::NothingToResume(path.to_path_buf()));
        }
        let mut folder = Self::hold(path, false)?;
        folder.begun = true;
        Ok(folder)
    }

    /// Takes the lock, and removes half-written files of a killed process.
    pub(crate) fn hold(path: &Path, created: bool) -> Result<Self, RunError> {
        let lock = lock(&path.join(LOCK)).map_err(|error| match error {
            TryLockError::WouldBlock => RunError::InUse(path.to_path_buf()),
            TryLockError::Error(error) => RunError::io(path)(error),
        })?;
        remove_leftovers(path, Duration::ZERO);
        Ok(Self {
            path: path.to_path_buf(),
            created,
            begun: false,
            lock: Some(lock),
        })
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the folder from here on, even if the run fails.
    pub fn begin(&mut self) {
        self.begun = true;
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Removed while the lock is held, so that no other process takes the old file.
        let _ = fs::remove_file(self.path.join(LOCK));
        // Windows may remove a file only once it is closed.
        drop(self.lock.take());
        if self.created && !self.begun {
            // Fails if the folder is not empty, as it should.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Opens the file and takes its lock.
fn lock(path: &Path) -> Result<File, TryLockError> {
    loop {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = options.open(path).map_err(TryLockError::Error)?;
        match file.try_lock() {
            // The previous holder may have removed the file in between.
            Ok(()) if is_at(&file, path).map_err(TryLockError::Error)? => return Ok(file),
            Ok(()) => {}
            // Not every file system has locks; runs in one folder are not told apart there.
            Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(file),
            Err(error) => return Err(error),
        }
    }
}

/// True if the error says that the file system has no locks.
fn has_no_locks(error: &io::Error) -> bool {
    #[cfg(unix)]
    let none = error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error());
    #[cfg(not(unix))]
    let none = false;
    none || error.kind() == ErrorKind::Unsupported
}

/// True if an open file is still the one at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let open = file.metadata()?;
        Ok(fs::metadata(path).is_ok_and(|at| (at.dev(), at.ino()) == (open.dev(), open.ino())))
    }
    // An open file cannot be replaced there.
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(path.exists())
    }
}

/// The first file of an existing run in a folder, if any.
fn occupied(folder: &Path) -> Result<Option<&'static str>, RunError> {
    let is_there = |file: &&str| folder.join(file).exists();
    if let Some(file) = [RUN, WEIGHTS, REPORT].into_iter().find(is_there) {
        return Ok(Some(file));
    }
    let checkpoints = folder.join(CHECKPOINTS);
    match fs::read_dir(&checkpoints) {
        Ok(mut entries) => Ok(entries.next().map(|_| CHECKPOINTS)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RunError::io(checkpoints)(error)),
    }
}

/// The numbers of the runs under `runs`: 1 for `name`, N for `name-N`.
fn numbers(runs: &Path, name: &str) -> io::Result<Vec<u32>> {
    let number = |entry: fs::DirEntry| {
        let number = match entry.file_name().to_str()?.strip_prefix(name)? {
            "" => 1,
            rest => rest.strip_prefix('-')?.parse().ok()?,
        };
        // Ignores the largest number, so that there is always a next one, and names like `name-007`.
        let ours = number < u32::MAX && path_of(runs, name, number) == entry.path();
        ours.then_some(number)
    };
    let entries = fs::read_dir(runs)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter_map(number).collect())
}

fn path_of(runs: &Path, name: &str, number: u32) -> PathBuf {
    match number {
        1 => runs.join(name),
        _ => runs.join(format!("{name}-{number}")),
    }
}

/// The run under `runs` with the highest number. A folder whose run has not begun does not count.
pub fn newest(runs: &Path, name: &str) -> Option<PathBuf> {
    let mut numbers = numbers(runs, name).unwrap_or_default();
    numbers.retain(|number| path_of(runs, name, *number).join(RUN).exists());
    let newest = numbers.into_iter().max()?;
    Some(path_of(runs, name, newest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn runs_are_numbered_on_after_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        let unused = || {
            let folder = RunFolder::numbered(runs, "mnist").unwrap();
            folder.path().to_path_buf()
        };
        assert_eq!(unused(), runs.join("mnist"));
        assert_eq!(newest(runs, "mnist"), None);
        for name in [
            "mnist",
            "mnist-2",
            "mnist-10",
            "mnist-old",
            "mnist-007",
            "mnist-1",
            "mnist-18446744073709551615",
            "mnist-4294967295",
            "fashion-mnist-99",
        ] {
            fs::create_dir(runs.join(name)).unwrap();
            fs::write(runs.join(name).join(RUN), b"{}").unwrap();
        }
        // The folder of a run that never began.
        fs::create_dir(runs.join("mnist-11")).unwrap();
        assert_eq!(newest(runs, "mnist"), Some(runs.join("mnist-10")));
        assert_eq!(unused(), runs.join("mnist-12"));
        fs::remove_dir_all(runs.join("mnist")).unwrap();
        assert_eq!(newest(runs, "mnist"), Some(runs.join("mnist-10")));
    }

    #[test]
    fn one_process_at_a_time_has_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/run");
        let first = RunFolder::new(&out).unwrap();
        assert!(matches!(RunFolder::new(&out), Err(RunError::InUse { .. })));
        drop(first);
        // A run not begun is removed.
        assert!(!out.exists() && out.parent().unwrap().exists());
        let mut second = RunFolder::new(&out).unwrap();
        fs::write(out.join(RUN), b"{}").unwrap();
        second.begin();
        assert!(matches!(
            RunFolder::of_run(&out),
            Err(RunError::InUse { .. })
        ));
        drop(second);
        assert!(!out.join(LOCK).exists());
        assert!(matches!(
            RunFolder::new(&out),
            Err(RunError::Occupied { .. })
        ));
        drop(RunFolder::of_run(&out).unwrap());
        assert!(out.join(RUN).exists());
    }

    #[test]
    fn what_is_left_of_a_run_keeps_others_out() {
        for left in [WEIGHTS, REPORT, "checkpoint/state.json"] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join(CHECKPOINTS)).unwrap();
            drop(RunFolder::new(folder.path()).unwrap());
            fs::write(folder.path().join(left), b"x").unwrap();
            let error = RunFolder::new(folder.path()).unwrap_err().to_string();
            let file = left.split('/').next().unwrap();
            assert!(error.contains(file), "{error}");
        }
    }

    #[test]
    fn numbered_folders_are_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut claimed: Vec<PathBuf> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut claimed = RunFolder::numbered(folder.path(), "run").unwrap();
                        claimed.begin();
                        claimed.path().to_path_buf()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        claimed.sort();
        claimed.dedup();
        assert_eq!(claimed.len(), 8);
    }

    #[test]
    fn what_was_half_written_goes() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".synfire-abc.part");
        fs::write(&left, b"half").unwrap();
        drop(RunFolder::new(folder.path()).unwrap());
        assert!(!left.exists() && folder.path().exists());
    }
}
