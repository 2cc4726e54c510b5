//! Patches with an object or without (the object detection of the STBP paper, whose own patches were never published), from a
//! folder with idx files of any image size and number of classes:
//! `cargo run --release --example object_detection -- --data DIR`. `--model stbp-mlp` is the fully connected network.

use std::process::ExitCode;

use synfire::layer::Pooling;
use synfire::surrogate::Surrogate;
use synfire_examples::augment::Augmentation;
use synfire_examples::config::RunConfig;
use synfire_examples::contrast::Contrast;
use synfire_examples::options::{BestBy, EncoderOption, ModelOption};
use synfire_examples::samples::DatasetOption;
use synfire_examples::script;
use synfire_models::{NetworkConfig, StbpCnnConfig};

fn main() -> ExitCode {
    let augmentation = |shift| Augmentation {
        shift,
        flip: true,
        ..Augmentation::default()
    };
    let cnn = RunConfig {
        model: NetworkConfig::StbpCnn(StbpCnnConfig::few_steps().with_pooling(Pooling::Max)),
        epochs: 40,
        // The shades of a photograph say more than its brightest places.
        encoder: EncoderOption::Direct,
        best_by: BestBy::Loss,
        contrast: Contrast::Stretch,
        augmentation: augmentation(1),
        learning_rate: 1e-3,
        batch_size: 50,
        ..RunConfig::of(DatasetOption::Pedestrian, ModelOption::StbpCnn)
    };
    let mut mlp = RunConfig {
        epochs: 100,
        best_by: BestBy::Loss,
        // The fully connected network learns the light of the photographs that it is trained on, and is tested on others.
        contrast: Contrast::Equalize,
        augmentation: augmentation(2),
        time_steps: 20,
        batch_size: 20,
        // At 1e-3 the two outputs, each of which is to fire for half of the patches, soon fire for all, and stay there.
        learning_rate: 1e-4,
        ..RunConfig::of(DatasetOption::Pedestrian, ModelOption::StbpMlp)
    };
    mlp.model.set_hidden(&[400]).expect("an MLP has any sizes");
    for neuron in mlp.model.neurons_mut() {
        let surrogate = Surrogate::sigmoid(0.14).expect("a width above 0");
        let set = neuron.set("surrogate", surrogate);
        set.expect("all neurons of the preset have one");
    }
    script(
        "object_detection",
        "Train the networks of the STBP paper on patches with a pedestrian or without, or other images in idx files",
        &[cnn, mlp],
    )
}
