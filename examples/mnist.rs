//! Trains a fully connected spiking network on MNIST by spatio-temporal backpropagation, as in section 3.1.1 of
//! Wu et al. (2018): `cargo run --release --example mnist`.

use std::process::ExitCode;

use clap::Parser;
use synfire_examples::exit_code;
use synfire_examples::options::{Options, RunConfig};
use synfire_examples::train::train;

/// Keeps freed memory at hand: the tensors of one step are those of the next, without new pages for each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Train a spiking network on MNIST or Fashion-MNIST by spatio-temporal backpropagation (STBP).
#[derive(Parser)]
#[command(name = "mnist")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let report = train(&cli.options, &RunConfig::default());
    exit_code(report.map(|report| println!("\n{report}")))
}
