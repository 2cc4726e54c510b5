//! `synfire export`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::DType;
use clap::{Args, ValueEnum};
use synfire_data::{DataSource, DatasetName, Samples, remove_leftovers, sha256, write_atomically};
use synfire_models::{
    Card, CardConfig, FORMAT, SpikingNetwork, interval, load_network, save_network,
};
use synfire_train::checkpoint::write_json;
use synfire_train::report::Report;
use synfire_train::saved::Saved;
use synfire_train::train::{Evaluation, test_all};
use synfire_train::{RunError, device, say};

use crate::EXAMPLES_FIRST;

/// Make weights with a card out of a finished run.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire export --run runs/mnist --out weights")]
pub struct Export {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Where the test samples come from [default: from where the run had its data]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Precision of the weights in the file; the card's figures are those of what the file holds
    #[arg(long, default_value = "f16")]
    precision: Precision,
    /// Folder for the weights and the card
    #[arg(long, value_name = "DIR", default_value = "models/weights")]
    out: PathBuf,
    /// Replace weights of the same network and dataset
    #[arg(long)]
    replace: bool,
    /// Where to compute
    #[arg(long, default_value = "auto")]
    device: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Precision {
    F16,
    F32,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::F32 => DType::F32,
        }
    }
}

impl Export {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        export(self)
    }
}

fn export(cli: &Export) -> Result<(), RunError> {
    let device = device(&cli.device)?;
    let mut saved = Saved::load(&cli.run, &device)?;
    let report = Report::read(&cli.run)?;
    let id = report.experiment();

    remove_leftovers(&cli.out, Duration::from_secs(3600));
    let path = cli.out.join(format!("{id}.safetensors"));
    if path.exists() && !cli.replace {
        return Err(RunError::Exists(path));
    }
    let (network, config) = (&saved.classifier.network, &report.config.network);
    let bytes = save_network(network, config, cli.precision.dtype());
    let bytes = bytes.map_err(RunError::damaged(&path))?;
    // What follows is of what the file holds.
    saved.classifier.network = load_network(&report.config.network, bytes.clone(), &device)
        .map_err(RunError::damaged(&path))?;
    let network = &saved.classifier.network;

    let data = saved.data(cli.data.as_deref())?;
    let fingerprints = data.fingerprints()?;
    if fingerprints != saved.run.data {
        return Err(RunError::OtherData {
            out: cli.run.clone(),
            source_now: data.source.to_string(),
        });
    }
    let test = |samples: Samples| -> Result<Evaluation, RunError> {
        let (config, device) = (&saved.run.config, &device);
        test_all(
            &saved.classifier,
            samples,
            config,
            config.batch_size,
            device,
        )
    };
    let tested = test(data.test)?;
    let embedded_accuracy = match report.config.dataset {
        DatasetName::Mnist => {
            let embedded = DatasetName::Mnist.load(&DataSource::Embedded)?;
            Some(test(embedded.test)?.accuracy)
        }
        _ => None,
    };

    let config = serde_json::to_value(&report.config).and_then(serde_json::from_value);
    let config: CardConfig = config.map_err(RunError::damaged(&path))?;
    let card = Card {
        format: FORMAT,
        architecture: report.config.network.name().to_owned(),
        structure: report.config.network.structure(),
        parameters: network.num_params(),
        dataset: report.dataset.name().to_owned(),
        data: fingerprints,
        samples: [
            report.samples_train,
            report.samples_validation,
            report.samples_test,
        ],
        time_steps: report.time_steps,
        seed: report.seed,
        validation_accuracy: report.validation_accuracy,
        test_accuracy: tested.accuracy,
        test_interval: interval(tested.accuracy, report.samples_test),
        embedded_accuracy,
        firing_rates: network
            .layer_names()
            .into_iter()
            .zip(tested.firing_rates)
            .collect(),
        synaptic_operations: tested.operations,
        command: report.command,
        file: format!("{id}.safetensors"),
        bytes: bytes.len() as u64,
        sha256: sha256(&bytes),
        precision: match cli.precision {
            Precision::F16 => "f16".to_owned(),
            Precision::F32 => "f32".to_owned(),
        },
        config,
        id,
    };
    fs::create_dir_all(&cli.out).map_err(RunError::io(&cli.out))?;
    write_atomically(&path, |file| file.write_all(&bytes)).map_err(RunError::io(&path))?;
    write_json(&path.with_extension("json"), &card)?;
    say!(
        "{}: {} bytes, test accuracy {:.2} % ({:.2} % before rounding)",
        path.display(),
        card.bytes,
        100.0 * card.test_accuracy,
        100.0 * report.test_accuracy
    );
    Ok(())
}
