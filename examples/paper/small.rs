//! The small network of every architecture, trained on the embedded digits.

use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire_data::DatasetName;
use synfire_models::{NetworkConfig, learned_parameters};
use synfire_train::checkpoint::write_json;
use synfire_train::loss::LossKind;
use synfire_train::report::{Spread, percent, table_head};
use synfire_train::{Output, Report, RunConfig, RunError, Trainer, say};

use crate::document::{figures, figures_so_far};

/// Rates of which the validation samples choose.
const LEARNING_RATES: [f64; 2] = [5e-3, 1e-3];
/// Runs of an architecture.
const SEEDS: u64 = 3;

/// Runs of one architecture, one for each seed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Small {
    structure: String,
    parameters: usize,
    learning_rate: f64,
    validation: Vec<f64>,
    test: Vec<f64>,
    seconds: f64,
}

fn run(network: &NetworkConfig, learning_rate: f64, seed: u64) -> Result<Report, RunError> {
    let folder = tempfile::tempdir().map_err(RunError::io(Path::new("a temporary folder")))?;
    let mut network = network.clone().with_layers(|layers| layers.with_seed(seed));
    network.set_time_steps(4);
    let config = RunConfig {
        dataset: DatasetName::Mnist,
        data: "embedded".to_owned(),
        loss: LossKind::of(&network.layers().readout),
        network,
        time_steps: 4,
        epochs: 10,
        batch_size: 50,
        learning_rate,
        seed,
        ..RunConfig::default()
    };
    let trainer = Trainer::new()
        .with_device("flex")
        .with_output(Output::Nothing);
    let trainer = trainer.with_out(folder.path().join("run"));
    Ok(trainer.train(config)?.0)
}

/// Trains these architectures, or all, and keeps the figures of the others.
///
/// # Errors
///
/// If an architecture is unknown, a run fails, or the file cannot be read or written.
pub fn train(path: &Path, chosen: &[String]) -> Result<(), RunError> {
    let mut all = figures_so_far::<Small>(path)?;
    if let Some(unknown) = chosen
        .iter()
        .find(|name| !NetworkConfig::ARCHITECTURES.contains(&name.as_str()))
    {
        let expected = NetworkConfig::ARCHITECTURES.join(", ");
        return Err(InvalidConfig::new("the table", "--train", unknown, expected).into());
    }
    for network in NetworkConfig::small() {
        let name = network.name();
        if !chosen.is_empty() && !chosen.iter().any(|chosen| chosen == name) {
            continue;
        }
        let mut best: Option<(f64, Report)> = None;
        for rate in LEARNING_RATES {
            let report = run(&network, rate, 0)?;
            let better =
                |(_, best): &(f64, Report)| report.validation_accuracy > best.validation_accuracy;
            if best.as_ref().is_none_or(better) {
                best = Some((rate, report));
            }
        }
        let (learning_rate, first) = best.expect("there are rates");
        let mut reports = vec![first];
        for seed in 1..SEEDS {
            reports.push(run(&network, learning_rate, seed)?);
        }
        let seconds: f64 = reports.iter().map(|report| report.seconds_training).sum();
        let small = Small {
            structure: network.structure(),
            parameters: learned_parameters(&network.init(&Device::default())?),
            learning_rate,
            validation: reports
                .iter()
                .map(|report| report.validation_accuracy)
                .collect(),
            test: reports.iter().map(|report| report.test_accuracy).collect(),
            seconds: seconds / SEEDS as f64,
        };
        say!("{name}: {:?}", small.test);
        all.insert(name.to_owned(), small);
        write_json(path, &all)?;
    }
    Ok(())
}

/// One row for each architecture that was trained.
///
/// # Errors
///
/// If the file cannot be read.
pub fn table(path: &Path) -> Result<String, RunError> {
    let all = figures::<Small>(path)?;
    let mut table = table_head(
        "architecture | layers | parameters | learning rate | test accuracy, mean | worst | best | validation, mean | seconds",
    );
    for name in NetworkConfig::ARCHITECTURES {
        let Some(small) = all.get(*name) else {
            continue;
        };
        let test = Spread::new(&small.test);
        table += &format!(
            "| `{name}` | {} | {} | {} | {} | {} | {} | {} | {:.0} |\n",
            small.structure,
            small.parameters,
            small.learning_rate,
            percent(test.mean),
            percent(test.least),
            percent(test.most),
            percent(Spread::new(&small.validation).mean),
            small.seconds,
        );
    }
    Ok(table)
}
