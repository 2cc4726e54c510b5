//! Processes that train the runs of a sweep.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use burn::train::Interrupter;
use synfire_data::write_atomically;

use super::Trial;
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
    pub fn train(&self, worker: usize, trial: &Trial) -> Result<Report, RunError> {
        self.check()?;
        let file = trial.folder.with_added_extension("toml");
        let config = trial.config.show();
        write_atomically(&file, |out| out.write_all(config.as_bytes()))
            .map_err(RunError::io(&file))?;
        let log = trial.folder.with_added_extension("log");
        let output = OpenOptions::new().create(true).append(true).open(&log);
        let output = output.map_err(RunError::io(&log))?;
        let begun = output.metadata().map_err(RunError::io(&log))?.len();
        let copy = output.try_clone().map_err(RunError::io(&log))?;
        let mut command = Command::new(&self.program);
        command
            .args(["train", "--no-tui", "--out"])
            .arg(&trial.folder);
        match trial.folder.join(RUN).exists() {
            true => command.arg("--resume"),
            false => command.arg("--config").arg(&file),
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
        let ended = self.wait(&mut child);
        let ended = ended.map_err(RunError::io(&self.program))?;
        self.check()?;
        match ended {
            true => Report::read(&trial.folder),
            false => Err(RunError::Training(last_line(&log, begun))),
        }
    }

    /// An error after a signal.
    fn check(&self) -> Result<(), RunError> {
        match self.interrupter.should_stop() {
            false => Ok(()),
            true => Err(RunError::SweepInterrupted),
        }
    }

    /// Waits for the end of a process, and says whether it was a success. After a signal the process gets one, too: it stops after its
    /// step, and saves it.
    fn wait(&self, child: &mut Child) -> std::io::Result<bool> {
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
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
    format!(
        "{} ({})",
        line.trim_start_matches("error: "),
        path.display()
    )
}
