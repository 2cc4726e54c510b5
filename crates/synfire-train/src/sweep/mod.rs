//! Sweeps: runs that differ in some values of their configuration, ranked by validation.

mod file;
mod outcome;
mod workers;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use synfire_data::write_atomically;

use crate::checkpoint::write_json;
use crate::folder::RunFolder;
use crate::report::REPORT;
use crate::{Report, RunConfig, RunError, say};

use outcome::plural;

pub use file::{Method, Plan, Range, Sweep};
pub use outcome::{Candidate, Outcome, Round};
pub use workers::Workers;

/// The file with the outcome of a sweep, in its folder.
pub const SWEEP: &str = "sweep.json";

/// One run of a sweep: a candidate with one seed.
#[derive(Clone, Debug)]
pub struct SweepRun {
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
    /// Trains all candidates with all seeds, `jobs` at a time, each in a folder of its own below `out`. `train` trains one; its first
    /// number is that of the worker. Finished runs are not trained again, so that an interrupted sweep goes on; failed ones are
    /// tried again. A run that fails leaves the others alone.
    ///
    /// # Errors
    ///
    /// If a value is invalid, the folder cannot be written, is in use or holds another sweep, a device is not there, or a run is
    /// interrupted.
    pub fn run(
        &self,
        out: &Path,
        jobs: usize,
        train: impl Fn(usize, &SweepRun) -> Result<Report, RunError> + Sync,
    ) -> Result<Outcome, RunError> {
        let Plan { candidates, rounds } = self.plan()?;
        fs::create_dir_all(out).map_err(RunError::io(out))?;
        let _held = RunFolder::hold(out, false)?;
        let path = out.join(SWEEP);
        let mut outcome = Outcome::new(self.clone(), candidates);
        match path.exists() {
            true if !Outcome::read(&path)?.is_of(&outcome) => {
                return Err(RunError::OtherSweep(out.to_path_buf()));
            }
            true => {}
            false => write_json(&path, &outcome)?,
        }
        let mut survivors: Vec<usize> = (0..outcome.candidates.len()).collect();
        for (round, epochs) in rounds.into_iter().enumerate() {
            let runs = self.runs(out, &outcome, &survivors, epochs)?;
            let (count, long) = (plural(runs.len(), "run"), plural(epochs, "epoch"));
            say!("Round {}: {count} of {long}", round + 1);
            let trained = train_all(&runs, jobs, &train)?;
            for candidate in &survivors {
                let all = runs.iter().zip(&trained);
                let mine = all.filter(|(run, _)| run.candidate == *candidate);
                let round = Round::new(epochs, mine.map(|(_, trained)| trained));
                outcome.candidates[*candidate].rounds.push(round);
            }
            write_json(&path, &outcome)?;
            let keep = survivors.len().div_ceil(self.reduction_factor);
            let ended = |one: &usize| {
                outcome.candidates[*one]
                    .rounds
                    .last()
                    .is_some_and(Round::has_ended)
            };
            let best = outcome.ranking().into_iter().take(keep).filter(ended);
            let best: HashSet<_> = best.collect();
            survivors.retain(|candidate| best.contains(candidate));
            if survivors.is_empty() {
                break;
            }
        }
        Ok(outcome)
    }

    /// The runs of a round.
    fn runs(
        &self,
        out: &Path,
        outcome: &Outcome,
        candidates: &[usize],
        epochs: usize,
    ) -> Result<Vec<SweepRun>, RunError> {
        let mut runs = Vec::new();
        for &candidate in candidates {
            for &seed in &self.seeds {
                let values = &outcome.candidates[candidate].values;
                runs.push(SweepRun {
                    candidate,
                    folder: out.join(format!("{candidate:03}-epochs-{epochs}-seed-{seed}")),
                    config: self.config(values, seed, epochs)?,
                });
            }
        }
        Ok(runs)
    }
}

impl SweepRun {
    /// The file with the configuration, beside the folder.
    fn config_file(&self) -> PathBuf {
        self.folder.with_added_extension("toml")
    }

    /// Reads the report of the run, or trains it.
    fn report(
        &self,
        worker: usize,
        train: &impl Fn(usize, &Self) -> Result<Report, RunError>,
    ) -> Result<Report, RunError> {
        let (path, config) = (self.config_file(), self.config.show());
        // Another version of the library may have other defaults.
        match fs::read_to_string(&path) {
            Ok(before) if before != config => return Err(RunError::OtherSweep(path)),
            Ok(_) => {}
            Err(_) => write_atomically(&path, |file| file.write_all(config.as_bytes()))
                .map_err(RunError::io(&path))?,
        }
        match self.folder.join(REPORT).exists() {
            true => Report::read(&self.folder),
            false => train(worker, self),
        }
    }
}

/// True if an error is not of the run alone, so that others would fail, too.
fn stops_all(error: &RunError) -> bool {
    use RunError as E;
    matches!(
        error,
        E::Interrupted { .. }
            | E::SweepInterrupted
            | E::OtherSweep(_)
            | E::InUse(_)
            | E::Io { .. }
            | E::Device { .. }
    )
}

/// Trains all, `jobs` at a time.
fn train_all(
    runs: &[SweepRun],
    jobs: usize,
    train: &(impl Fn(usize, &SweepRun) -> Result<Report, RunError> + Sync),
) -> Result<Vec<Trained>, RunError> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let all: Vec<OnceLock<Trained>> = runs.iter().map(|_| OnceLock::new()).collect();
    let work = |worker: usize| {
        while !stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(index) else {
                break;
            };
            let name = run.folder.file_name().unwrap_or_default().display();
            let trained = match run.report(worker, train) {
                Ok(report) => {
                    say!(
                        "{name}: validation accuracy {:.2} %",
                        100.0 * report.validation_accuracy
                    );
                    Ok(report)
                }
                Err(error) if stops_all(&error) => {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                Err(error) => {
                    say!("{name}: {error}");
                    Err(error.to_string())
                }
            };
            // Each is taken once.
            let _ = all[index].set(trained);
        }
        Ok(())
    };
    let workers = jobs.clamp(1, runs.len().max(1));
    let mut result = Ok(());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        for worker in workers {
            let ended = worker.join().expect("a worker does not panic");
            result = std::mem::replace(&mut result, Ok(())).and(ended);
        }
    });
    result?;
    let trained = all
        .into_iter()
        .map(|trained| trained.into_inner().expect("all were trained"));
    Ok(trained.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, Trainer};

    const HALVING: &str = r#"
method = "halving"
candidates = 3
reduction_factor = 2
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
        let train = |_: usize, run: &SweepRun| {
            begun.fetch_add(1, Ordering::Relaxed);
            let trainer = Trainer::new().with_output(Output::Nothing);
            let trained = trainer
                .with_out(run.folder.clone())
                .train(run.config.clone());
            trained.map(|(report, _)| report)
        };
        // Stopped after three runs.
        let stopped = sweep.run(&out, 1, |worker, run| match begun.load(Ordering::Relaxed) {
            3 => Err(RunError::SweepInterrupted),
            _ => train(worker, run),
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
    }

    #[test]
    fn a_failed_run_is_the_last_and_leaves_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = HALVING
            .replace("halving", "grid")
            .replace("epochs = 2", "epochs = 1");
        let sweep: Sweep = toml::from_str(&text).unwrap();
        let outcome = sweep.run(folder.path(), 2, |_, run| match run.candidate {
            0 => Err(RunError::Training("no luck".to_owned())),
            _ => {
                let trainer = Trainer::new().with_output(Output::Nothing);
                let trained = trainer
                    .with_out(run.folder.clone())
                    .train(run.config.clone());
                trained.map(|(report, _)| report)
            }
        });
        let outcome = outcome.unwrap();
        assert_eq!(outcome.counts(), [4, 2]);
        assert_eq!(outcome.ranking()[2], 0);
        assert!(outcome.table().contains("0, 2 failed"));
    }
}
