//! The trained weights of the zoo are what their cards say.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use synfire::encode::{Encoder, SampleKeys};
use synfire_data::DatasetName;
use synfire_data::{DataSource, sha256};
use synfire_models::{
    Card, PretrainedError, SpikingNetwork, StbpCnn, StbpCnnWeights, StbpMlp, StbpMlpWeights,
};
use synfire_tests::say;
use synfire_train::saved::Saved;
use synfire_train::train::test_all;

fn cards() -> Vec<Card> {
    Card::all().unwrap()
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/weights"))
}

#[test]
fn every_file_has_its_card_and_every_card_its_file() {
    let mut expected: Vec<_> = cards()
        .into_iter()
        .flat_map(|card| [card.file, format!("{}.json", card.id)])
        .collect();
    expected.sort();
    let entries = fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn cards_are_of_their_files() {
    let device = Device::flex();
    let mut total = 0;
    for card in cards() {
        let bytes = fs::read(folder().join(&card.file)).unwrap();
        assert_eq!(card.sha256, sha256(&bytes), "{}", card.id);
        assert_eq!(card.bytes, bytes.len() as u64);
        total += card.bytes;

        let network = card.load(&device).unwrap();
        assert_eq!(network.num_params(), card.parameters);
        assert_eq!(card.config.network.name(), card.architecture);
        assert_eq!(card.config.network.structure(), card.structure);
        let preset = card.config.run["preset"].as_str().unwrap();
        let of_dataset = format!("-{}", card.dataset);
        let network_of = preset.strip_suffix(&of_dataset).unwrap_or(preset);
        assert_eq!(card.id, format!("{network_of}{of_dataset}"));
        let rates = &card.firing_rates;
        assert_eq!(rates.len(), network.layer_names().len());
        for layer in network.layer_names() {
            assert!(
                (0.001..0.9).contains(&rates[&layer]),
                "{}: {layer}",
                card.id
            );
        }
        assert!(card.test_accuracy > 0.8 && card.validation_accuracy > 0.8);
        assert!(card.command.starts_with("synfire train "));
        // The run can be made again from the card.
        let saved = Saved::of_card(&card, &device).unwrap();
        assert_eq!(saved.run.config.seed, card.seed);
        assert_eq!(saved.run.config.time_steps, card.time_steps);
    }
    assert!(total < 24_000_000, "{total} bytes");
}

#[test]
fn the_weights_of_mnist_know_the_embedded_digits() {
    let device = Device::flex();
    let mut seen = 0;
    for card in cards() {
        let Some(expected) = card.embedded_accuracy else {
            continue;
        };
        let saved = Saved::of_card(&card, &device).unwrap();
        let data = DatasetName::Mnist.load(&DataSource::Embedded).unwrap();
        let config = &saved.run.config;
        let tested = test_all(
            &saved.classifier,
            data.test,
            config,
            config.batch_size,
            &device,
        );
        let accuracy = tested.unwrap().accuracy;
        say(&format!(
            "{}: {:.2} % of the embedded digits, {:.2} % on the card",
            card.id,
            100.0 * accuracy,
            100.0 * expected
        ));
        // Another processor adds in another order, and a spike may come or not.
        assert!((accuracy - expected).abs() <= 0.002, "{}", card.id);
        seen += 1;
    }
    assert_eq!(seen, 3, "MLP and two CNNs");
}

#[test]
fn one_line_loads_a_network_with_its_encoder() {
    let device = Device::flex();
    for weights in StbpCnnWeights::ALL {
        let trained = StbpCnn::pretrained(*weights, &device).unwrap();
        assert_eq!(trained.card.id, weights.id());
        let [channels, height, width] = trained.network.sample_shape()[..] else {
            panic!("it looks at images");
        };
        if channels == 2 {
            let error = trained.encoder().unwrap_err();
            assert!(
                matches!(error, PretrainedError::NoEncoder { .. }),
                "{error}"
            );
            continue;
        }
        let images = Tensor::<4>::zeros([1, channels, height, width], &device);
        let input: Tensor<5> = trained
            .encoder()
            .unwrap()
            .encode(images, &SampleKeys::fixed(1));
        assert_eq!(input.dims()[0], trained.card.time_steps);
        assert_eq!(
            trained.network.run(input).dims()[0],
            trained.card.time_steps
        );
    }
    let mlp = StbpMlp::pretrained(StbpMlpWeights::NMnist, &device).unwrap();
    assert_eq!(mlp.network.elements(), 2 * 34 * 34);
    let error = Card::of("stbp-mlp-cifar10").unwrap_err();
    let PretrainedError::Unknown { id, known } = &error else {
        panic!("{error}");
    };
    assert_eq!(id, "stbp-mlp-cifar10");
    assert!(known.contains(&"stbp-mlp-mnist"), "{error}");
}

/// Cards as they were before formats had a number, and the weights that they are of.
#[test]
fn cards_of_format_1_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cards");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains("\"format\""));
        let card = Card::read_json(&text).unwrap();
        let expected = Card::of(&card.id).unwrap();
        let command = expected.command.clone();
        assert_eq!(Card { command, ..card }, expected);
        seen += 1;
    }
    assert_eq!(seen, 8);
}
