//! `synfire train`.

use std::path::{Path, PathBuf};
#[cfg(feature = "remote")]
use std::time::Duration;

use burn::tensor::Device;
use clap::Args;
use synfire_models::Card;
use synfire_train::report::percent;
use synfire_train::saved::Saved;
#[cfg(feature = "remote")]
use synfire_train::train::DEADLINE;
use synfire_train::{Output, Report, RunConfig, RunError, Trainer, device, say};

use crate::EXAMPLES_FIRST;

/// Options of a training run. Defaults are those of the network's preset or, with `--resume`, of the run.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire train --epochs 3
  synfire train --dataset fashion-mnist --model stbp-cnn-norm --set augmentation.flip=true
  synfire train --model plif-mnist --neuron klif --set network.neuron.decay=0.9 --show-config
  synfire train --card vgg9-fashion-mnist")]
pub struct Train {
    /// Train the network of these weights once more, see `synfire weights`, and compare it with them
    #[arg(long, value_name = "ID", conflicts_with_all = ["dataset", "model", "epochs", "neuron", "time_steps", "seed"])]
    card: Option<String>,
    /// The dataset, see `synfire datasets`
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Source of the data: `auto` (cache, download, else the embedded digits), `embedded`, or a folder
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// The network, see `synfire zoo`
    #[arg(long, value_name = "PRESET")]
    model: Option<String>,
    /// Passes over the training samples
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// The neurons, see `synfire neurons`
    #[arg(long, value_name = "NAME")]
    neuron: Option<String>,
    /// Time steps of a sample
    #[arg(long, value_name = "T")]
    time_steps: Option<usize>,
    /// Seed of all random draws
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the configuration and exit
    #[arg(long)]
    show_config: bool,
    #[command(flatten)]
    running: Running,
}

/// The values of a run that have no option of their own, and where and how it is trained.
#[derive(Args, Clone, Debug)]
pub struct Running {
    /// Any other value, by its path; `synfire train --show-config` lists all
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// A TOML file with values by their paths
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for checkpoints, weights and report [default: the next one under runs]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Resume the run in --out, or the newest under runs
    #[arg(long)]
    resume: bool,
    /// Resume on another kind or number of devices than before, where results may differ
    #[arg(long, requires = "resume")]
    other_device: bool,
    /// Device: auto, flex, ndarray, wgpu, ..., with a number after a colon, or remote:ws://host:port. Several, comma-separated,
    /// train together
    #[arg(long, alias = "devices", value_delimiter = ',', default_value = "auto")]
    device: Vec<String>,
    /// Seconds in which the figures of ten steps must come from devices of other machines, else the command ends
    #[cfg(feature = "remote")]
    #[arg(long, value_name = "SECONDS", default_value_t = DEADLINE.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    deadline: u64,
    /// Plain lines instead of the dashboard
    #[arg(long)]
    no_tui: bool,
}

/// Options by the paths of their values in a configuration. `None` leaves a value unchanged.
type Options = [(&'static str, Option<String>)];

/// `PATH=VALUE`.
fn assignment(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("expected PATH=VALUE")?;
    Ok((path.trim().to_owned(), value.trim().to_owned()))
}

impl Running {
    /// The configuration with the values of the file, then those of the options and of `--set`.
    pub fn change(&self, config: RunConfig, options: &Options) -> Result<RunConfig, RunError> {
        let options = options.iter();
        let given = options.filter_map(|(path, value)| Some((*path, value.as_deref()?)));
        let set = self.set.iter();
        let set = set.map(|(path, value)| (path.as_str(), value.as_str()));
        let count = self.device.len().to_string();
        let devices = (self.device.len() > 1).then_some(("devices", count.as_str()));
        let given = given.chain(devices).chain(set);
        let Some(file) = &self.config else {
            return config.with(given);
        };
        // The values of the file are those of the network that an option names.
        let (first, given): (Vec<_>, Vec<_>) =
            given.partition(|(path, _)| matches!(*path, "dataset" | "preset"));
        config.with_file_but(file, first)?.with(given)
    }

    /// Trains or resumes, prints the report and the next commands, and returns the folder of the run.
    pub fn run(&self, first: RunConfig, options: &Options) -> Result<PathBuf, RunError> {
        let output = match self.no_tui {
            true => Output::Lines,
            false => Output::Dashboard,
        };
        let trainer = Trainer::new()
            .with_devices(self.device.clone())
            .with_out(self.out.clone())
            .with_output(output)
            .with_other_device(self.other_device);
        #[cfg(feature = "remote")]
        let trainer = trainer.with_deadline(Duration::from_secs(self.deadline));
        let change = |config| self.change(config, options);
        let (report, out) = match self.resume {
            true => {
                let dataset = change(first)?.dataset;
                trainer.resume(dataset.name(), change)?
            }
            false => trainer.train(change(first)?)?,
        };
        say!("\n{report}");
        say!("Next     synfire predict --run {} --index 7", out.display());
        Ok(out)
    }
}

impl Train {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let options = [
            ("dataset", self.dataset.clone()),
            ("preset", self.model.clone()),
            ("data", self.data.clone()),
            ("epochs", self.epochs.map(|n| n.to_string())),
            ("network.neuron", self.neuron.clone()),
            ("time_steps", self.time_steps.map(|n| n.to_string())),
            ("seed", self.seed.map(|n| n.to_string())),
        ];
        let card = self.card.as_deref().map(Card::of).transpose()?;
        let first = match &card {
            Some(card) => RunConfig::of_card(card)?,
            None => RunConfig::default(),
        };
        if self.show_config {
            let config = self.running.change(first, &options)?;
            synfire_train::output::write(format_args!("{}", config.show()));
            return Ok(());
        }
        let Some(card) = card else {
            return self.running.run(first, &options).map(drop);
        };
        let device = device(&self.running.device[0])?;
        // Missing weights are an error before the training.
        card.load(&device)?;
        let out = self.running.run(first, &options)?;
        compare(&out, &card, &device)
    }
}

/// Says whether a run came to the weights of a card.
fn compare(out: &Path, card: &Card, device: &Device) -> Result<(), RunError> {
    let saved = Saved::load(out, device)?;
    if saved.is_of_card(card, device)? {
        say!(
            "Card     these are the weights of {}, number by number",
            card.id
        );
        return Ok(());
    }
    let [found, expected] = [Report::read(out)?.test_accuracy, card.test_accuracy].map(percent);
    let [low, high] = card.test_interval.map(percent);
    say!(
        "Card     other weights than those of {}: test accuracy {found}",
        card.id
    );
    say!("         of the card {expected} (95 %: {low} to {high})");
    Ok(())
}
