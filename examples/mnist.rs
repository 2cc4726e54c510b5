//! Trains a fully connected spiking network on MNIST by spatio-temporal backpropagation, in about a minute:
//! `cargo run --release --example mnist`.
//!
//! The figures of the paper, which take longer, are those of `mnist_mlp` and `mnist_cnn`.

use std::process::ExitCode;

use synfire_examples::config::RunConfig;
use synfire_examples::script;

fn main() -> ExitCode {
    script(
        "mnist",
        "Train a spiking network on MNIST or Fashion-MNIST by spatio-temporal backpropagation (STBP)",
        &[RunConfig::default()],
    )
}
