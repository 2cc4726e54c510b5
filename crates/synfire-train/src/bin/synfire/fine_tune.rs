//! `synfire fine-tune`.

use clap::Args;
use synfire_models::Card;
use synfire_train::{RunConfig, RunError};

use crate::EXAMPLES_FIRST;
use crate::train::Running;

/// Fine-tune trained weights on other data: the last layer is re-initialised for their classes.
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
    /// Source of the data: `auto`, `embedded`, or a folder
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Passes over the training samples
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: usize,
    /// Learning rate at the start
    #[arg(long, value_name = "LR", default_value_t = 5e-4)]
    learning_rate: f64,
    /// Seed of all random draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    running: Running,
}

impl FineTune {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let first = RunConfig {
            weights: Some(self.weights.clone()),
            ..RunConfig::of_card(&Card::of(&self.weights)?)?
        };
        let options = [
            ("dataset", Some(self.dataset.clone())),
            ("data", self.data.clone()),
            ("epochs", Some(self.epochs.to_string())),
            ("learning_rate", Some(self.learning_rate.to_string())),
            ("seed", Some(self.seed.to_string())),
        ];
        self.running.run(first, &options)
    }
}
