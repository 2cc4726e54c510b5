//! A convolutional network like that of the STBP paper on all of Fashion-MNIST, with five time steps:
//! `cargo run --release --example fashion_mnist`.

use std::process::ExitCode;

use synfire_examples::augment::Augmentation;
use synfire_examples::config::RunConfig;
use synfire_examples::options::{EncoderOption, ModelOption};
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;
use synfire_models::{NetworkConfig, StbpCnnConfig};

fn main() -> ExitCode {
    // Wider than that of the digits, which learns its training images less well.
    let network = StbpCnnConfig::few_steps()
        .with_channels(vec![24, 48])
        .with_hidden(vec![512]);
    let cnn = RunConfig {
        model: NetworkConfig::StbpCnn(network),
        encoder: EncoderOption::Direct,
        time_steps: 5,
        epochs: 16,
        learning_rate: 1e-3,
        augmentation: Augmentation {
            shift: 1,
            flip: true,
            ..Augmentation::default()
        },
        ..RunConfig::of(DatasetOption::FashionMnist, ModelOption::StbpCnn)
    };
    script(
        "fashion_mnist",
        "Train a convolutional network like that of the STBP paper on Fashion-MNIST",
        &[cnn],
    )
}
