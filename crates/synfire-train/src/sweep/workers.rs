//! Processes that train the runs of a sweep.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use burn::train::Interrupter;

use super::SweepRun;
use crate::folder::RunFolder;
use crate::saved::RUN;
use crate::signals::Watch;
use crate::{Report, RunError};

/// Processes of the command `synfire` that train runs, each with its share of the processor, so that one that fails does not
/// stop the others.
pub struct Workers {
    program: PathBuf,
    devices: Vec<String>,
    jobs: usize,
    interrupter: Interrupter,
    _watch: Watch,
}

impl Workers {
    /// So many processes at a time of this program, the command `synfire`, which take these devices in turn. A signal stops all of
    /// them.
    pub fn new(program: impl Into<PathBuf>, devices: Vec<String>, jobs: usize) -> Self {
        let interrupter = Interrupter::new();
        Self {
            program: program.into(),
            devices,
            jobs: jobs.max(1),
            _watch: Watch::new(&interrupter),
            interrupter,
        }
    }

    /// The number of processes at a time.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// Trains a run in a process, or goes on with it. Its output is in a file beside its folder.
    ///
    /// # Errors
    ///
    /// If the process cannot be started, or the run fails or is interrupted.
    pub fn train(&self, worker: usize, run: &SweepRun) -> Result<Report, RunError> {
        self.check()?;
        let log = run.folder.with_added_extension("log");
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.map_err(RunError::io(&log))?;
        let begun = output.metadata().map_err(RunError::io(&log))?.len();
        let copy = output.try_clone().map_err(RunError::io(&log))?;
        let mut command = Command::new(&self.program);
        command
            .args(["train", "--no-tui", "--out"])
            .arg(&run.folder);
        match run.folder.join(RUN).exists() {
            true => {
                // A process of a sweep that was killed may still be at work.
                drop(RunFolder::of_run(&run.folder)?);
                command.arg("--resume")
            }
            false => command.arg("--config").arg(run.config_file()),
        };
        if let Some(device) = self.devices.get(worker % self.devices.len().max(1)) {
            command.args(["--device", device]);
        }
        const THREADS: &str = "RAYON_NUM_THREADS";
        if self.jobs > 1 && std::env::var_os(THREADS).is_none() {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            command.env(THREADS, (cores / self.jobs).max(1).to_string());
        }
        // Apart from the terminal's signals: the process gets one from here.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(copy).stderr(output);
        let mut child = command.spawn().map_err(RunError::io(&self.program))?;
        let status = self.wait(&mut child);
        let status = status.map_err(RunError::io(&self.program))?;
        self.check()?;
        match status.success() {
            true => Report::read(&run.folder),
            false => {
                let line = last_line(&log, begun);
                Err(RunError::Training(format!(
                    "{line} ({status}, {})",
                    log.display()
                )))
            }
        }
    }

    /// An error after a signal.
    fn check(&self) -> Result<(), RunError> {
        match self.interrupter.should_stop() {
            false => Ok(()),
            true => Err(RunError::SweepInterrupted),
        }
    }

    /// Waits for the end of a process. After a signal the process gets one, too: it stops after its step, and goes on later from the
    /// last epoch that it finished.
    fn wait(&self, child: &mut Child) -> std::io::Result<ExitStatus> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if self.interrupter.should_stop() && !told {
                told = true;
                stop(child);
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[cfg(unix)]
fn stop(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process};
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

#[cfg(not(unix))]
fn stop(child: &mut Child) {
    let _ = child.kill();
}

/// The last line of a file behind a place, which says why a program failed.
fn last_line(path: &Path, begun: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(begun.max(length.saturating_sub(4096))))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).into_owned())
    };
    let end = read().unwrap_or_default();
    let line = end.lines().rfind(|line| !line.trim().is_empty());
    let line = line.unwrap_or("it ended without a word");
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::RunConfig;

    #[test]
    fn a_process_that_fails_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(
            &program,
            "#!/bin/sh\necho \"$@\"\necho error: no luck >&2\nexit 3\n",
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let workers = Workers::new(&program, vec!["flex".to_owned()], 2);
        let run = SweepRun {
            candidate: 0,
            folder: folder.path().join("run"),
            config: RunConfig::default(),
        };
        let error = workers.train(1, &run).unwrap_err().to_string();
        assert!(error.contains("no luck (exit status: 3"), "{error}");
        let log = fs::read_to_string(folder.path().join("run.log")).unwrap();
        assert!(log.contains("--device flex"), "{log}");
        let nowhere = Workers::new(folder.path().join("none"), Vec::new(), 1);
        assert!(matches!(nowhere.train(0, &run), Err(RunError::Io { .. })));
    }
}
