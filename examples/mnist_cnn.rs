//! The convolutional network of the STBP paper on all of MNIST: `cargo run --release --example mnist_cnn`.
//! `--model stbp-cnn-authors` is the network of the code that the authors published.

use std::process::ExitCode;

use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mut cnn = RunConfig {
        epochs: 20,
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpCnn)
    };
    *cnn.model.dropout_mut() = 0.3;
    let authors = RunConfig {
        epochs: 20,
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpCnnAuthors)
    };
    script(
        "mnist_cnn",
        "Train the convolutional network of the STBP paper on MNIST",
        &[cnn, authors],
    )
}
