//! Digits as an event camera saw them (N-MNIST, as in the STBP paper), from a folder with `Train` and `Test` of N-MNIST:
//! `cargo run --release --example nmnist -- --data DIR`.

use std::process::ExitCode;

use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mut mlp = RunConfig {
        epochs: 60,
        batch_size: 50,
        ..RunConfig::of(DatasetOption::NMnist, ModelOption::StbpMlp)
    };
    *mlp.model.dropout_mut() = 0.3;
    script(
        "nmnist",
        "Train the fully connected network of the STBP paper on N-MNIST",
        &[mlp],
    )
}
