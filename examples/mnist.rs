//! Trains a fully connected spiking network on MNIST by spatio-temporal backpropagation, in about two minutes:
//! `cargo run --release --example mnist`.
//!
//! Everything else that can be chosen is an option of `synfire train`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use synfire::encode::EncoderConfig;
use synfire::neuron::LifConfig;
use synfire::surrogate::Surrogate;
use synfire_models::StbpMlpConfig;
use synfire_train::loss::LossKind;
use synfire_train::{Optimizer, Output, RunConfig, RunError, Trainer, exit_code_of_run, say};

/// Train a fully connected spiking network on MNIST.
#[derive(Parser)]
struct Cli {
    /// Source of MNIST: `auto` (cache, download, else the embedded digits), `embedded`, or a folder
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Passes over the training samples [default: 8]
    #[arg(long)]
    epochs: Option<usize>,
    /// Training samples, chosen by the seed [default: all]
    #[arg(long)]
    samples: Option<usize>,
    /// Time steps for which an image is shown [default: 10]
    #[arg(long)]
    time_steps: Option<usize>,
    /// Sizes of the hidden layers, comma-separated [default: 800]
    #[arg(long, value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// Decides every draw [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Device: auto, flex, wgpu, ...
    #[arg(long, default_value = "auto")]
    device: String,
    /// Folder for checkpoints, weights and report [default: the next one under runs]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Resume the run in --out, or the newest one
    #[arg(long)]
    resume: bool,
    /// Plain lines instead of the dashboard
    #[arg(long)]
    no_tui: bool,
}

/// 784-800-10 leaky integrate-and-fire neurons. A gradient passes where the membrane is within 0.5 of the threshold.
fn network() -> Result<StbpMlpConfig, RunError> {
    let neuron = LifConfig::new()
        .with_threshold(0.5)
        .with_decay(0.2)
        .with_surrogate(Surrogate::rectangular(1.0)?);
    Ok(StbpMlpConfig::new()
        .with_sizes(vec![784, 800, 10])
        .with_neuron(neuron))
}

/// A pixel is the probability of a spike in each of 10 steps; the target firing rate is 1 for the label and 0 for all others.
fn config() -> Result<RunConfig, RunError> {
    Ok(RunConfig {
        network: network()?.into(),
        encoder: EncoderConfig::BERNOULLI,
        time_steps: 10,
        loss: LossKind::Stbp,
        optimizer: Optimizer::Adam,
        learning_rate: 1e-3,
        batch_size: 100,
        epochs: 8,
        ..RunConfig::default()
    })
}

fn run(cli: &Cli) -> Result<(), RunError> {
    let output = match cli.no_tui {
        true => Output::Lines,
        false => Output::Dashboard,
    };
    let trainer = Trainer::new()
        .with_device(&cli.device)
        .with_out(cli.out.clone())
        .with_output(output);
    // Defaults are the values above or, with `--resume`, those of the run.
    let hidden = cli.hidden.as_ref();
    let sizes = hidden.map(|hidden| [&[784], &hidden[..], &[10]].concat());
    let options = [
        ("data", cli.data.clone()),
        ("epochs", cli.epochs.map(|n| n.to_string())),
        ("samples", cli.samples.map(|n| n.to_string())),
        ("time_steps", cli.time_steps.map(|n| n.to_string())),
        ("network.sizes", sizes.map(|sizes| format!("{sizes:?}"))),
        ("seed", cli.seed.map(|n| n.to_string())),
    ];
    let options = options.into_iter();
    let given = options.filter_map(|(path, value)| Some((path, value?)));
    let change = |config: RunConfig| config.with(given);
    let (report, folder) = match cli.resume {
        true => trainer.resume("mnist", change)?,
        false => trainer.train(change(config()?)?)?,
    };
    say!("\n{report}");
    let folder = folder.display();
    say!("Next     synfire predict --run {folder} --index 7");
    Ok(())
}

fn main() -> ExitCode {
    // This thread takes part in the work of all cores.
    synfire::ops::join_pool();
    exit_code_of_run(run(&Cli::parse()))
}
