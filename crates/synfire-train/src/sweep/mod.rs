//! Sweeps: runs that differ in some values of their configuration, ranked by validation.

mod file;
mod outcome;
mod workers;

use std::collections::HashSet;
use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::checkpoint::write_json;
use crate::folder::{LOCK, lock};
use crate::report::REPORT;
use crate::{Report, RunConfig, RunError, say};

use outcome::count;

pub use file::{Method, Range, Sweep, Values};
pub use outcome::{Candidate, Outcome, Round};
pub use workers::Workers;

/// The file with the outcome of a sweep, in its folder.
pub const SWEEP: &str = "sweep.json";

/// One run of a sweep.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The number of the candidate, from 0.
    pub candidate: usize,
    /// The folder of the run.
    pub folder: PathBuf,
    /// The configuration of the run.
    pub config: RunConfig,
}

/// The report of a run, or why there is none.
type Trained = Result<Report, String>;

impl Sweep {
    /// Trains all candidates with all seeds, `jobs` at a time, each in a folder of its own below `out`. `train` trains one; runs that
    /// have ended are not trained again, so that an interrupted sweep goes on. A run that fails leaves the others alone.
    ///
    /// # Errors
    ///
    /// If a configuration is invalid, the folder cannot be written, is in use or holds another sweep, or a run is interrupted.
    pub fn run(
        &self,
        out: &Path,
        jobs: usize,
        train: impl Fn(usize, &Trial) -> Result<Report, RunError> + Sync,
    ) -> Result<Outcome, RunError> {
        // Invalid values are found before hours of training.
        for values in self.candidates() {
            self.config(&values, self.seeds[0], None)?;
        }
        fs::create_dir_all(out).map_err(RunError::io(out))?;
        let lock = lock(&out.join(LOCK)).map_err(|error| match error {
            TryLockError::WouldBlock => RunError::InUse(out.to_path_buf()),
            TryLockError::Error(error) => RunError::io(out)(error),
        })?;
        let outcome = self.run_rounds(out, jobs, &train);
        // Removed while the lock is held, so that no other process takes the old file.
        let _ = fs::remove_file(out.join(LOCK));
        drop(lock);
        outcome
    }

    fn run_rounds(
        &self,
        out: &Path,
        jobs: usize,
        train: &(impl Fn(usize, &Trial) -> Result<Report, RunError> + Sync),
    ) -> Result<Outcome, RunError> {
        let path = out.join(SWEEP);
        if path.exists() && Outcome::read(&path)?.sweep != *self {
            return Err(RunError::OtherSweep(out.to_path_buf()));
        }
        let mut outcome = Outcome::new(self.clone(), self.candidates());
        write_json(&path, &outcome)?;
        let mut going_on: Vec<usize> = (0..outcome.candidates.len()).collect();
        for (round, epochs) in self.rounds()?.into_iter().enumerate() {
            let trials = self.trials(out, &outcome, &going_on, epochs)?;
            let (runs, long) = (count(trials.len(), "run"), count(epochs, "epoch"));
            say!("Round {}: {runs} of {long}", round + 1);
            let trained = in_turn(&trials, jobs, train)?;
            for candidate in &going_on {
                let of_candidate = trials.iter().zip(&trained);
                let mine = of_candidate.filter(|(trial, _)| trial.candidate == *candidate);
                let round = Round::new(epochs, mine.map(|(_, trained)| trained));
                outcome.candidates[*candidate].rounds.push(round);
            }
            write_json(&path, &outcome)?;
            let keep = going_on.len().div_ceil(self.keep_one_of);
            let best: HashSet<_> = outcome.ranking().into_iter().take(keep).collect();
            going_on.retain(|candidate| best.contains(candidate));
        }
        Ok(outcome)
    }

    /// The runs of a round.
    fn trials(
        &self,
        out: &Path,
        outcome: &Outcome,
        candidates: &[usize],
        epochs: usize,
    ) -> Result<Vec<Trial>, RunError> {
        let mut trials = Vec::new();
        for &candidate in candidates {
            for &seed in &self.seeds {
                let values = &outcome.candidates[candidate].values;
                trials.push(Trial {
                    candidate,
                    folder: out.join(format!("{candidate:03}-epochs-{epochs}-seed-{seed}")),
                    config: self.config(values, seed, Some(epochs))?,
                });
            }
        }
        Ok(trials)
    }
}

/// Trains all, `jobs` at a time. The first number that `train` gets is that of the worker.
fn in_turn(
    trials: &[Trial],
    jobs: usize,
    train: &(impl Fn(usize, &Trial) -> Result<Report, RunError> + Sync),
) -> Result<Vec<Trained>, RunError> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let trained = Mutex::new(vec![None; trials.len()]);
    let work = |worker: usize| {
        while !stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(trial) = trials.get(index) else {
                break;
            };
            let name = trial
                .folder
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            let report = match trial.folder.join(REPORT).exists() {
                true => Report::read(&trial.folder),
                false => train(worker, trial),
            };
            let report = match report {
                Ok(report) => {
                    let (accuracy, loss) = (report.validation_accuracy, report.validation_loss());
                    say!(
                        "{name}: validation accuracy {:.2} %, loss {loss:.4}",
                        100.0 * accuracy
                    );
                    Ok(report)
                }
                Err(error @ (RunError::Interrupted { .. } | RunError::SweepInterrupted)) => {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                Err(error) => {
                    say!("{name}: {error}");
                    Err(error.to_string())
                }
            };
            trained.lock().expect("no holder of the lock panics")[index] = Some(report);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers = (0..jobs.clamp(1, trials.len().max(1))).map(|i| scope.spawn(move || work(i)));
        let workers: Vec<_> = workers.collect();
        let joined = workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker does not panic"));
        // All are waited for.
        joined
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Result<Vec<()>, _>>()
    })?;
    let trained = trained.into_inner().expect("no holder of the lock panics");
    Ok(trained
        .into_iter()
        .map(|trained| trained.expect("all were trained"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, Trainer};

    const HALVING: &str = r#"
method = "halving"
candidates = 3
keep_one_of = 2
seeds = [0, 1]
[values]
batch_size = [5, 10, 20]
[run]
data = "embedded"
network.sizes = [784, 10]
time_steps = 2
samples = 40
epochs = 2
"#;

    #[test]
    fn halving_trains_the_better_ones_for_longer_and_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("sweep");
        let sweep: Sweep = toml::from_str(HALVING).unwrap();
        let begun = AtomicUsize::new(0);
        let train = |_: usize, trial: &Trial| {
            begun.fetch_add(1, Ordering::Relaxed);
            let trainer = Trainer::new().with_output(Output::Nothing);
            let trained = trainer
                .with_out(trial.folder.clone())
                .train(trial.config.clone());
            trained.map(|(report, _)| report)
        };
        // Stopped after three runs.
        let stopped = sweep.run(&out, 1, |worker, trial| {
            match begun.load(Ordering::Relaxed) {
                3 => Err(RunError::SweepInterrupted),
                _ => train(worker, trial),
            }
        });
        assert!(matches!(stopped, Err(RunError::SweepInterrupted)));
        let outcome = sweep.run(&out, 2, train).unwrap();
        // All of the first round, and two of three candidates in the second one.
        assert_eq!(begun.load(Ordering::Relaxed), 6 + 4);
        assert_eq!(outcome, sweep.run(&out, 2, train).unwrap());
        assert_eq!(begun.load(Ordering::Relaxed), 6 + 4);
        assert_eq!(outcome, Outcome::read(&out.join(SWEEP)).unwrap());
        assert_eq!(outcome.counts(), [10, 0]);
        let ranking = outcome.ranking();
        let last = &outcome.candidates[ranking[2]];
        assert_eq!(last.rounds.len(), 1);
        let first = |i: usize| {
            outcome.candidates[i].rounds[0]
                .accuracies
                .iter()
                .sum::<f64>()
        };
        assert!(first(ranking[2]) <= first(ranking[0]).min(first(ranking[1])));
        assert_eq!(outcome.table().lines().count(), 2 + 3);
        assert!(outcome.picture().is_some());

        let other = Sweep { seed: 1, ..sweep };
        assert!(matches!(
            other.run(&out, 1, train),
            Err(RunError::OtherSweep(_))
        ));
    }

    #[test]
    fn a_failed_run_is_the_last_and_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = HALVING
            .replace("halving", "grid")
            .replace("epochs = 2", "epochs = 1");
        let sweep: Sweep = toml::from_str(&text).unwrap();
        let outcome = sweep.run(folder.path(), 2, |_, trial| match trial.candidate {
            0 => Err(RunError::Training("no luck".to_owned())),
            _ => {
                let trainer = Trainer::new().with_output(Output::Nothing);
                let trained = trainer
                    .with_out(trial.folder.clone())
                    .train(trial.config.clone());
                trained.map(|(report, _)| report)
            }
        });
        let outcome = outcome.unwrap();
        assert_eq!(outcome.counts(), [4, 2]);
        assert_eq!(outcome.ranking()[2], 0);
        assert!(outcome.table().contains("0, 2 failed"));
    }
}
