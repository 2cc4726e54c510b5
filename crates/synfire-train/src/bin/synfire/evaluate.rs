//! `synfire evaluate`.

use std::time::Instant;

use clap::Args;
use serde_json::json;
use synfire::InvalidConfig;
use synfire_train::report::{operations, percent};
use synfire_train::saved::Saved;
use synfire_train::train::{Evaluation, test_all};
use synfire_train::{RunError, describe, device, output, say};

use crate::EXAMPLES_FIRST;
use crate::trained::Trained;

use synfire_models::{Card, SpikingNetwork};

/// Test a trained network.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire evaluate --weights stbp-cnn-norm-mnist
  synfire evaluate --run runs/mnist --data embedded --json")]
pub struct Evaluate {
    #[command(flatten)]
    trained: Trained,
    /// Source of the test samples [default: the source of the run's data; with --weights: auto]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Samples per step [default: as the run]
    #[arg(long, value_name = "B")]
    batch_size: Option<usize>,
    /// One line of JSON for each network
    #[arg(long)]
    json: bool,
    /// Device
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Evaluate {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let device = device(&self.device)?;
        let (saved, card) = self.trained.load(&device)?;
        let config = &saved.run.config;
        let data = saved.data(self.data.as_deref())?;
        let count = data.test.len();
        let batch_size = self.batch_size.unwrap_or(config.batch_size);
        InvalidConfig::require_nonzero("the evaluation", "--batch-size", batch_size)?;
        if !self.json {
            say!("{}, {}", config.dataset, data.source);
            let (structure, steps) = (config.network.structure(), config.time_steps);
            say!("{structure}, T = {steps}, on {}", describe(&device));
        }
        if let Some(card) = &card
            && data.test.fingerprint()? != card.data[1]
        {
            let note = "note: these are not the test samples of the card, which are others";
            output::complain(format_args!("{note}"));
        }

        let started = Instant::now();
        let tested = test_all(&saved.classifier, data.test, config, batch_size, &device)?;
        let seconds = started.elapsed().as_secs_f64();
        if !self.json {
            show(&saved, &tested, card.as_ref(), count, seconds);
            return Ok(());
        }
        let what = if card.is_some() { "weights" } else { "run" };
        let (name, accuracy) = (self.trained.name(), tested.accuracy);
        let line = json!({what: name, "test_accuracy": accuracy, "samples": count});
        say!("{line}");
        Ok(())
    }
}

fn show(saved: &Saved, tested: &Evaluation, card: Option<&Card>, count: usize, seconds: f64) {
    let accuracy = percent(tested.accuracy);
    say!("accuracy             {accuracy} of {count} samples");
    if let Some(card) = card {
        let [low, high] = card.test_interval.map(percent);
        let (accuracy, samples) = (percent(card.test_accuracy), card.samples[2]);
        say!("of the card          {accuracy} of {samples} samples (95 %: {low} to {high})");
    }
    let undecided = percent(tested.answers.undecided());
    say!("undecided            {undecided}");
    say!("loss                 {:.4}", tested.loss);
    let layers = saved.classifier.network.layer_names();
    for (layer, rate) in layers.iter().zip(&tested.firing_rates) {
        say!("{:<20} {rate:.4}", format!("firing rate {layer}"));
    }
    say!("synaptic operations  {}", operations(&tested.operations));
    for warning in tested.warnings(&layers) {
        say!("warning: {warning}");
    }
    let speed = count as f64 / seconds;
    say!("time                 {seconds:.1} s, {speed:.0} samples/s");
}
