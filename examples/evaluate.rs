//! Tests a trained network: `cargo run --release --example evaluate -- --model runs/mnist`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use synfire::InvalidConfig;
use synfire_examples::data::EpochLoader;
use synfire_examples::saved::Saved;
use synfire_examples::train::evaluate;
use synfire_examples::{RunError, describe, device, exit_code};
use synfire_models::SpikingNetwork;

/// Keeps freed memory at hand: the tensors of one step are those of the next, without new pages for each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Test a trained network.
#[derive(Parser)]
#[command(name = "evaluate")]
struct Cli {
    /// Folder of a finished run
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Where the test images come from [default: from where the run had its data]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Images per step [default: as the run]
    #[arg(long, value_name = "B")]
    batch_size: Option<usize>,
    /// Where to compute
    #[arg(long, default_value = "auto")]
    device: String,
}

fn run(cli: &Cli) -> Result<(), RunError> {
    let device = device(&cli.device)?;
    let saved = Saved::load(&cli.model, &device)?;
    let config = &saved.run.config;
    let loaded = saved.data(cli.data.as_deref())?;
    let count = loaded.test.labels().len();
    let batch_size = cli.batch_size.unwrap_or(config.batch_size);
    InvalidConfig::require_nonzero("the evaluation", "--batch-size", batch_size)?;
    println!("{}, {}", config.dataset, loaded.source);
    println!(
        "{}, T = {}, on {}",
        config.model.structure(),
        config.time_steps,
        describe(&device)
    );

    let test = EpochLoader::fixed(
        loaded.test,
        (0..count).collect(),
        config.encoder()?,
        batch_size,
        &device,
    );
    let started = Instant::now();
    let tested = evaluate(&saved.classifier, &test)?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "accuracy             {:.2} % of {count} images",
        100.0 * tested.accuracy
    );
    println!("loss                 {:.4}", tested.loss);
    let layers = saved.classifier.network.layer_names();
    for (layer, rate) in layers.iter().zip(&tested.firing_rates) {
        println!("{:<20} {rate:.4}", format!("firing rate {layer}"));
    }
    println!(
        "synaptic operations  {:.0} accumulates, {:.0} multiply-accumulates per image (dense: {:.0})",
        tested.operations.accumulates,
        tested.operations.multiply_accumulates,
        tested.operations.dense
    );
    println!(
        "time                 {seconds:.1} s, {:.0} images/s",
        count as f64 / seconds
    );
    Ok(())
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
