//! `synfire export`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::DType;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use synfire_data::{DataSource, DatasetName, remove_leftovers, sha256, write_atomically};
use synfire_models::{
    Card, CardConfig, FORMAT, SpikingNetwork, interval, load_network, save_network,
};
use synfire_train::checkpoint::write_json;
use synfire_train::report::{Report, percent};
use synfire_train::saved::Saved;
use synfire_train::train::test_all;
use synfire_train::{RunError, device, say};

use crate::EXAMPLES_FIRST;

/// Export the weights of a finished run, with a card, as the zoo keeps them. For weights that PyTorch reads, see
/// `synfire_models::export`.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire export --run runs/mnist --out weights")]
pub struct Export {
    /// Folder of the run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Source of the test samples [default: the source of the run's data]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Precision of the weights in the file; the card's figures are measured at this precision
    #[arg(long, default_value = "f16", value_parser = precisions())]
    precision: DType,
    /// Folder for the weights and the card
    #[arg(long, value_name = "DIR", default_value = "models/weights")]
    out: PathBuf,
    /// Replace weights of the same network and dataset
    #[arg(long)]
    replace: bool,
    /// Device
    #[arg(long, default_value = "auto")]
    device: String,
}

/// The precisions that weights are written with, by name.
fn precisions() -> impl TypedValueParser<Value = DType> {
    PossibleValuesParser::new(["f16", "f32"]).map(|name| match name.as_str() {
        "f16" => DType::F16,
        _ => DType::F32,
    })
}

impl Export {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let device = device(&self.device)?;
        let mut saved = Saved::load(&self.run, &device)?;
        let report = Report::read(&self.run)?;
        let id = report.experiment();

        remove_leftovers(&self.out, Duration::from_secs(3600));
        let path = self.out.join(format!("{id}.safetensors"));
        if path.exists() && !self.replace {
            return Err(RunError::Exists(path));
        }
        let network = &report.config.network;
        let bytes = save_network(&saved.classifier.network, network, self.precision)
            .map_err(RunError::damaged(&path))?;
        // The figures of the card are those of the exported weights.
        saved.classifier.network =
            load_network(network, bytes.clone(), &device).map_err(RunError::damaged(&path))?;
        let layers = saved.classifier.network.layer_names();

        let data = saved.data(self.data.as_deref())?;
        let fingerprints = data.fingerprints()?;
        if fingerprints != saved.run.data {
            return Err(RunError::OtherData {
                out: self.run.clone(),
                source_now: data.source.to_string(),
            });
        }
        let (model, run) = (&saved.classifier, &saved.run.config);
        let test = |samples| test_all(model, samples, run, run.batch_size, &device);
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
            architecture: network.name().to_owned(),
            structure: network.structure(),
            parameters: model.network.num_params(),
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
            firing_rates: layers.into_iter().zip(tested.firing_rates).collect(),
            synaptic_operations: tested.operations,
            command: report.command,
            file: format!("{id}.safetensors"),
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
            precision: self.precision.name().to_owned(),
            config,
            id,
        };
        fs::create_dir_all(&self.out).map_err(RunError::io(&self.out))?;
        write_atomically(&path, |file| file.write_all(&bytes)).map_err(RunError::io(&path))?;
        write_json(&path.with_extension("json"), &card)?;
        let (path, bytes) = (path.display(), card.bytes);
        let [accuracy, before] = [card.test_accuracy, report.test_accuracy].map(percent);
        say!("{path}: {bytes} bytes, test accuracy {accuracy} ({before} before rounding)");
        Ok(())
    }
}
