//! A convolutional network like that of the STBP paper on all of Fashion-MNIST:
//! `cargo run --release --example fashion_mnist`.

use std::process::ExitCode;

use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mut cnn = RunConfig {
        epochs: 30,
        time_steps: 5,
        ..RunConfig::of(DatasetOption::FashionMnist, ModelOption::StbpCnn)
    };
    *cnn.model.dropout_mut() = 0.3;
    script(
        "fashion_mnist",
        "Train a convolutional network like that of the STBP paper on Fashion-MNIST",
        &[cnn],
    )
}
