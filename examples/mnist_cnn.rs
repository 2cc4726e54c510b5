//! The convolutional network of the STBP paper on all of MNIST: `cargo run --release --example mnist_cnn`.
//! `--model stbp-cnn-authors` is the network of the code that the authors published, `--model stbp-cnn-norm` the paper's
//! with threshold-dependent batch normalisation.

use std::process::ExitCode;

use synfire::init::Initializer;
use synfire_examples::augment::Augmentation;
use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    // With all of MNIST larger steps do no harm; docs/paper.md has the figures of these.
    let mut cnn = RunConfig {
        epochs: 15,
        batch_size: 50,
        augmentation: Augmentation {
            shift: 1,
            ..Augmentation::default()
        },
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpCnn)
    };
    *cnn.model.initializer_mut() = Initializer::Uniform { gain: 2.0 };
    let norm = RunConfig {
        epochs: 20,
        augmentation: cnn.augmentation,
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpCnnNorm)
    };
    // As its code has it, but for the length of the training.
    let authors = RunConfig {
        epochs: 10,
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpCnnAuthors)
    };
    script(
        "mnist_cnn",
        "Train the convolutional network of the STBP paper on MNIST",
        &[cnn, authors, norm],
    )
}
