//! `synfire sweep`.

use std::env;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use synfire_data::write_atomically;
use synfire_train::report::save_picture;
use synfire_train::sweep::{Plan, Sweep, Workers};
use synfire_train::{RunError, say};

use crate::EXAMPLES_FIRST;

/// Train runs that differ in some values, and rank them by validation
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire sweep sweep.toml --out runs/sweep --jobs 4

with the file

  method = \"halving\"      # or grid, random
  candidates = 18
  [values]
  network.neuron = [\"lif\", \"klif\"]
  learning_rate = { from = 1e-4, to = 1e-2, log = true }
  [run]                   # as in `synfire train --config`
  preset = \"stbp-mlp\"
  epochs = 9")]
pub struct SweepRuns {
    /// A TOML file with the search space and the values of all runs
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder for the runs, the table and the picture. If it holds a part of the sweep, that goes on
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Runs at a time, which share the processor [default: one for each device]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Devices, comma-separated, which runs take in turn
    #[arg(long, value_delimiter = ',', default_value = "auto")]
    device: Vec<String>,
    /// Print the candidates and exit
    #[arg(long)]
    dry_run: bool,
}

impl SweepRuns {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let sweep = Sweep::from_file(&self.file)?;
        let Some(out) = self.out.as_ref().filter(|_| !self.dry_run) else {
            let Plan { candidates, rounds } = sweep.plan()?;
            for values in candidates {
                let values = values.iter();
                let values = values.map(|(path, value)| format!("{path} = {value}"));
                say!("{}", values.collect::<Vec<_>>().join(", "));
            }
            say!("epochs of each round: {rounds:?}, seeds: {:?}", sweep.seeds);
            return Ok(());
        };
        for device in &self.device {
            synfire_train::device(device)?;
        }
        let program = env::current_exe().map_err(RunError::io("synfire"))?;
        let jobs = self.jobs.map_or(self.device.len(), NonZeroUsize::get);
        let workers = Workers::new(program, self.device.clone(), jobs);
        let outcome = sweep.run(out, workers.jobs(), |worker, run| {
            workers.train(worker, run)
        })?;
        let table = outcome.table();
        let path = out.join("sweep.md");
        write_atomically(&path, |file| file.write_all(table.as_bytes()))
            .map_err(RunError::io(&path))?;
        say!("\n{table}");
        let mut written = vec![path];
        if let Some(picture) = outcome.picture() {
            written.extend(save_picture(out, "sweep", &picture)?);
        }
        let written = written.iter().map(|path| path.display().to_string());
        say!("Written  {}", written.collect::<Vec<_>>().join(", "));
        let [ended, failed] = outcome.counts();
        if ended == 0 {
            let reason = format!(
                "all {failed} runs failed; their output is in {}",
                out.display()
            );
            return Err(RunError::Training(reason));
        }
        let best = &outcome.candidates[outcome.ranking()[0]];
        let epochs = best.rounds.last().map_or(1, |round| round.epochs);
        let best = sweep.config(&best.values, sweep.seeds[0], epochs)?;
        say!("Best     {}", best.command());
        Ok(())
    }
}
