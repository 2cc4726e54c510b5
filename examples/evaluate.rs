//! Tests a trained network, of a run or of the zoo:
//! `cargo run --release --example evaluate -- --model runs/mnist` or `-- --weights stbp-cnn-mnist`. `--list` shows the zoo.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use synfire::InvalidConfig;
use synfire_examples::saved::Saved;
use synfire_examples::train::{Evaluation, test_all};
use synfire_examples::{RunError, describe, device, exit_code, output, say};
use synfire_models::{Card, SpikingNetwork};

/// Test a trained network.
#[derive(Parser)]
#[command(name = "evaluate")]
struct Cli {
    /// Folder of a finished run
    #[arg(long, value_name = "DIR", group = "network", required = true)]
    model: Option<PathBuf>,
    /// Name of trained weights of the zoo
    #[arg(long, value_name = "ID", group = "network")]
    weights: Option<String>,
    /// List the trained weights of the zoo, with what their cards say
    #[arg(long, group = "network")]
    list: bool,
    /// Where the test samples come from [default: from where the run had its data; of weights: auto]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Samples per step [default: as the run]
    #[arg(long, value_name = "B")]
    batch_size: Option<usize>,
    /// One line of JSON for each network
    #[arg(long)]
    json: bool,
    /// Where to compute
    #[arg(long, default_value = "auto")]
    device: String,
}

fn list(cli: &Cli) -> Result<(), RunError> {
    let cards = Card::all()?;
    if !cli.json {
        say!(
            "{:<26} {:<15} {:>8} {:>16} {:>11} {:>4}  structure",
            "weights",
            "dataset",
            "test",
            "95 % interval",
            "parameters",
            "T"
        );
    }
    for card in cards {
        match cli.json {
            true => say!(
                "{}",
                json!({
                    "weights": card.id,
                    "dataset": card.dataset,
                    "test_accuracy": card.test_accuracy,
                    "test_interval": card.test_interval,
                    "validation_accuracy": card.validation_accuracy,
                    "samples": card.samples[2],
                    "structure": card.structure,
                    "parameters": card.parameters,
                    "time_steps": card.time_steps,
                })
            ),
            false => say!(
                "{:<26} {:<15} {:>6.2} % {:>6.2} to {:>6.2} {:>11} {:>4}  {}",
                card.id,
                card.dataset,
                100.0 * card.test_accuracy,
                100.0 * card.test_interval[0],
                100.0 * card.test_interval[1],
                card.parameters,
                card.time_steps,
                card.structure
            ),
        }
    }
    Ok(())
}

fn run(cli: &Cli) -> Result<(), RunError> {
    if cli.list {
        return list(cli);
    }
    let device = device(&cli.device)?;
    let (saved, card) = match (&cli.weights, &cli.model) {
        (Some(id), _) => {
            let card = Card::of(id)?;
            (Saved::of_card(&card, &device)?, Some(card))
        }
        (None, folder) => {
            let folder = folder.clone().unwrap_or_default();
            (Saved::load(&folder, &device)?, None)
        }
    };
    let config = &saved.run.config;
    let data = saved.data(cli.data.as_deref())?;
    let count = data.test.len();
    let batch_size = cli.batch_size.unwrap_or(config.batch_size);
    InvalidConfig::require_nonzero("the evaluation", "--batch-size", batch_size)?;
    if !cli.json {
        say!("{}, {}", config.dataset, data.source);
        say!(
            "{}, T = {}, on {}",
            config.model.structure(),
            config.time_steps,
            describe(&device)
        );
    }
    if let Some(card) = &card
        && data.test.fingerprint()? != card.data[1]
    {
        output::complain(format_args!(
            "note: these are not the test samples of the card, which are others"
        ));
    }

    let started = Instant::now();
    let tested = test_all(&saved.classifier, data.test, config, batch_size, &device)?;
    let seconds = started.elapsed().as_secs_f64();
    match (cli.json, &card) {
        (true, Some(card)) => say!(
            "{}",
            json!({"weights": card.id, "test_accuracy": tested.accuracy, "samples": count})
        ),
        (true, None) => {
            let model = cli.model.as_ref().map(|path| path.display().to_string());
            say!(
                "{}",
                json!({"model": model, "test_accuracy": tested.accuracy, "samples": count})
            );
        }
        (false, card) => show(&saved, &tested, card.as_ref(), count, seconds),
    }
    Ok(())
}

fn show(saved: &Saved, tested: &Evaluation, card: Option<&Card>, count: usize, seconds: f64) {
    let percent = |part: f64| format!("{:.2} %", 100.0 * part);
    say!(
        "accuracy             {} of {count} samples",
        percent(tested.accuracy)
    );
    if let Some(card) = card {
        say!(
            "of the card          {} of {} samples (95 %: {} to {})",
            percent(card.test_accuracy),
            card.samples[2],
            percent(card.test_interval[0]),
            percent(card.test_interval[1])
        );
    }
    say!(
        "undecided            {}",
        percent(tested.answers.undecided())
    );
    say!("loss                 {:.4}", tested.loss);
    let layers = saved.classifier.network.layer_names();
    for (layer, rate) in layers.iter().zip(&tested.firing_rates) {
        say!("{:<20} {rate:.4}", format!("firing rate {layer}"));
    }
    say!(
        "synaptic operations  {:.0} accumulates, {:.0} multiply-accumulates per sample (dense: {:.0})",
        tested.operations.accumulates,
        tested.operations.multiply_accumulates,
        tested.operations.dense
    );
    for warning in tested.warnings(&layers) {
        say!("warning: {warning}");
    }
    say!(
        "time                 {seconds:.1} s, {:.0} samples/s",
        count as f64 / seconds
    );
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
