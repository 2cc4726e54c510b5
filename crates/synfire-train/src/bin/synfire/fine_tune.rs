//! `synfire fine-tune`.

use std::path::PathBuf;

use clap::Args;
use synfire_models::Card;
use synfire_train::{RunConfig, RunError};

use crate::EXAMPLES_FIRST;
use crate::train::{Running, assignment};

/// Go on with trained weights on other data: the last layer is re-initialised for their classes.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire fine-tune --weights stbp-cnn-fashion-mnist --dataset mnist --epochs 2")]
pub struct FineTune {
    /// Name of trained weights, see `synfire weights`
    #[arg(long, value_name = "ID")]
    weights: String,
    /// The dataset, see `synfire datasets`
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Where the data are: `auto`, `embedded`, or a folder
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Passes over the training samples
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: usize,
    /// Learning rate at the start
    #[arg(long, value_name = "LR", default_value_t = 5e-4)]
    learning_rate: f64,
    /// Decides every draw
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Any other value, by its path; see `synfire train --show-config`
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
    /// A TOML file with values by their paths
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    running: Running,
}

impl FineTune {
    fn change(&self, config: RunConfig) -> Result<RunConfig, RunError> {
        let mut config = config;
        if let Some(path) = &self.config {
            config = config.with_file(path)?;
        }
        let options = [
            ("dataset", self.dataset.clone()),
            ("data", self.data.clone().unwrap_or(config.data.clone())),
            ("epochs", self.epochs.to_string()),
            ("learning_rate", self.learning_rate.to_string()),
            ("seed", self.seed.to_string()),
        ];
        let options = options.map(|(path, value)| (path.to_owned(), value));
        config.with(options.into_iter().chain(self.set.iter().cloned()))
    }

    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let first = RunConfig {
            weights: Some(self.weights.clone()),
            ..RunConfig::of_card(&Card::of(&self.weights)?)?
        };
        self.running.run(first, |config| self.change(config))
    }
}
