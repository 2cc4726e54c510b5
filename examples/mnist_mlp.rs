//! The fully connected network of the STBP paper on all of MNIST (section 3.1.1):
//! `cargo run --release --example mnist_mlp`.

use std::process::ExitCode;

use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mut mlp = RunConfig {
        epochs: 60,
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpMlp)
    };
    *mlp.model.dropout_mut() = 0.3;
    script(
        "mnist_mlp",
        "Train the fully connected network of the STBP paper on MNIST",
        &[mlp],
    )
}
