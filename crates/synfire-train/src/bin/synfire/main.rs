//! The command `synfire`: trains spiking networks, evaluates and plots them.

mod convert;
mod evaluate;
mod export;
mod fine_tune;
mod lists;
#[cfg(feature = "nir")]
mod nir;
#[cfg(feature = "onnx")]
mod onnx;
mod plot;
mod predict;
#[cfg(feature = "remote")]
mod serve;
mod sweep;
mod train;
mod trained;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use synfire_train::{exit_code, exit_code_of_run};

/// Help with examples before the options.
const EXAMPLES_FIRST: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}";

/// Train, evaluate and inspect spiking networks.
#[derive(Parser)]
#[command(
    name = "synfire",
    version,
    help_template = EXAMPLES_FIRST,
    after_help = "Examples:
  synfire train --dataset mnist --model stbp-cnn --epochs 3
  synfire evaluate --weights stbp-cnn-norm-mnist
  synfire predict --run runs/mnist --index 7"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a network
    Train(train::Train),
    /// Test a trained network
    Evaluate(evaluate::Evaluate),
    /// Show a trained network one sample
    Predict(predict::Predict),
    /// Plot the activity of a trained network, and the surrogate curves
    Plot(plot::Plot),
    /// Export the weights of a finished run, with a card
    Export(export::Export),
    /// Convert a trained network of rectifiers to one of spikes
    Convert(convert::Convert),
    /// Train runs that differ in some values, and rank them by validation
    Sweep(sweep::SweepRuns),
    /// Train trained weights further, or on other data
    FineTune(fine_tune::FineTune),
    #[cfg(feature = "remote")]
    Serve(serve::Serve),
    /// Read, run, write and compare graphs of the Neuromorphic Intermediate Representation
    #[cfg(feature = "nir")]
    #[command(subcommand)]
    Nir(nir::Nir),
    /// Write a trained network as an ONNX model
    #[cfg(feature = "onnx")]
    Onnx(onnx::Onnx),
    /// List the published networks
    Zoo(lists::List),
    /// List the trained weights
    Weights(lists::List),
    /// List the neurons
    Neurons(lists::List),
    /// List the surrogate curves
    Surrogates(lists::List),
    /// List the datasets
    Datasets(lists::List),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "remote")]
    if let Command::Serve(serve) = &cli.command {
        // The thread of `main` only waits: the pool must not count on it.
        return exit_code(serve.run());
    }
    synfire::ops::join_pool();
    match cli.command {
        Command::Train(train) => exit_code_of_run(train.run()),
        Command::FineTune(fine_tune) => exit_code_of_run(fine_tune.run()),
        Command::Sweep(sweep) => exit_code_of_run(sweep.run()),
        Command::Convert(convert) => exit_code(convert.run()),
        Command::Evaluate(evaluate) => exit_code(evaluate.run()),
        Command::Predict(predict) => exit_code(predict.run()),
        Command::Plot(plot) => exit_code(plot.run()),
        Command::Export(export) => exit_code(export.run()),
        #[cfg(feature = "remote")]
        Command::Serve(_) => unreachable!("it was run above"),
        #[cfg(feature = "nir")]
        Command::Nir(nir) => exit_code(nir.run()),
        #[cfg(feature = "onnx")]
        Command::Onnx(onnx) => exit_code(onnx.run()),
        Command::Zoo(list) => exit_code(lists::zoo(&list)),
        Command::Weights(list) => exit_code(lists::weights(&list)),
        Command::Neurons(list) => exit_code(lists::neurons(&list)),
        Command::Surrogates(list) => exit_code(lists::surrogates(&list)),
        Command::Datasets(list) => exit_code(lists::datasets(&list)),
    }
}
