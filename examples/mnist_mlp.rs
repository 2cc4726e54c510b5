//! The fully connected network of the STBP paper on all of MNIST:
//! `cargo run --release --example mnist_mlp`.

use std::process::ExitCode;

use synfire_examples::augment::Augmentation;
use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mlp = RunConfig {
        epochs: 40,
        // Without it, 98.7 %: the training digits are learned by heart.
        augmentation: Augmentation {
            shift: 1,
            ..Augmentation::default()
        },
        ..RunConfig::of(DatasetOption::Mnist, ModelOption::StbpMlp)
    };
    script(
        "mnist_mlp",
        "Train the fully connected network of the STBP paper on MNIST",
        &[mlp],
    )
}
