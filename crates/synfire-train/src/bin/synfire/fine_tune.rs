//! `synfire fine-tune`.

use clap::Args;
use synfire_train::{RunConfig, RunError};

use crate::EXAMPLES_FIRST;
use crate::train::Running;
use crate::trained::Trained;

/// Train trained weights further, or on another dataset: then the last layer is re-initialised for its classes.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire fine-tune --weights stbp-cnn-fashion-mnist --dataset mnist --epochs 2
  synfire fine-tune --run runs/mnist --dataset images --data my-images")]
pub struct FineTune {
    #[command(flatten)]
    trained: Trained,
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
        let weights = self.trained.name();
        let first = RunConfig {
            data: "auto".to_owned(),
            weights: Some(weights.clone()),
            ..RunConfig::of_weights(&weights)?
        };
        let options = [
            ("dataset", Some(self.dataset.clone())),
            ("data", self.data.clone()),
            ("epochs", Some(self.epochs.to_string())),
            ("learning_rate", Some(self.learning_rate.to_string())),
            ("seed", Some(self.seed.to_string())),
        ];
        self.running.run(first, &options).map(drop)
    }
}
