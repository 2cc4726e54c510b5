//! Digits as an event camera saw them (N-MNIST, as in the STBP paper), from a folder with `Train` and `Test` of N-MNIST:
//! `cargo run --release --example nmnist -- --data DIR`.

use std::process::ExitCode;

use synfire_examples::augment::Augmentation;
use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mlp = RunConfig {
        epochs: 60,
        batch_size: 50,
        augmentation: Augmentation {
            shift: 2,
            ..Augmentation::default()
        },
        ..RunConfig::of(DatasetOption::NMnist, ModelOption::StbpMlp)
    };
    script(
        "nmnist",
        "Train the fully connected network of the STBP paper on N-MNIST",
        &[mlp],
    )
}
