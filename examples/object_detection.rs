//! Patches with an object or without (the object detection of the STBP paper, whose own patches were never published), from a
//! folder with idx files of any image size and number of classes:
//! `cargo run --release --example object_detection -- --data DIR`. `--model stbp-mlp` is the fully connected network.

use std::process::ExitCode;

use synfire_examples::config::RunConfig;
use synfire_examples::options::ModelOption;
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;

fn main() -> ExitCode {
    let mut cnn = RunConfig {
        epochs: 60,
        ..RunConfig::of(DatasetOption::Pedestrian, ModelOption::StbpCnn)
    };
    *cnn.model.dropout_mut() = 0.3;
    let mut mlp = RunConfig {
        epochs: 60,
        ..RunConfig::of(DatasetOption::Pedestrian, ModelOption::StbpMlp)
    };
    mlp.model.set_hidden(&[400]);
    script(
        "object_detection",
        "Train the networks of the STBP paper on patches with a pedestrian or without, or other images in idx files",
        &[cnn, mlp],
    )
}
