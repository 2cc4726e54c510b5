//! The convolutional network of the STBP paper, normalised, on all of Fashion-MNIST, with five time steps:
//! `cargo run --release --example fashion_mnist`. With `--model plif-net` a network with learned time constants, half as wide
//! as that of its paper.

use std::process::ExitCode;

use synfire_examples::augment::Augmentation;
use synfire_examples::config::RunConfig;
use synfire_examples::loss::LossOption;
use synfire_examples::options::{EncoderOption, ModelOption};
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;
use synfire_models::{NetworkConfig, Norm, PlifNetConfig, StbpCnnConfig};

fn main() -> ExitCode {
    let loss = LossOption::Membrane;
    let network = StbpCnnConfig::few_steps()
        .with_norm(Some(Norm::TdBatch))
        .with_readout(loss.readout());
    let cnn = RunConfig {
        model: NetworkConfig::StbpCnn(network),
        encoder: EncoderOption::Direct,
        loss,
        time_steps: 5,
        epochs: 30,
        learning_rate: 1e-3,
        batch_size: 50,
        augmentation: Augmentation {
            shift: 1,
            flip: true,
            ..Augmentation::default()
        },
        ..RunConfig::of(DatasetOption::FashionMnist, ModelOption::StbpCnn)
    };
    let mut plif = RunConfig {
        loss,
        time_steps: 4,
        epochs: 18,
        learning_rate: 2e-3,
        augmentation: cnn.augmentation,
        ..RunConfig::of(DatasetOption::FashionMnist, ModelOption::PlifNet)
    };
    let small = PlifNetConfig::fashion_mnist()
        .with_channels(64)
        .with_hidden(512);
    plif.model = NetworkConfig::PlifNet(small);
    *plif.model.dropout_mut() = 0.3;
    *plif.model.readout_mut() = loss.readout();
    script(
        "fashion_mnist",
        "Train the convolutional network of the STBP paper, normalised, or a PLIF net on Fashion-MNIST",
        &[cnn, plif],
    )
}
