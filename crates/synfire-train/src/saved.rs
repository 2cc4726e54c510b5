//! Saved runs: their configuration and networks.

use std::io::ErrorKind;
use std::path::Path;

use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synfire_data::{read_regular, sha256, write_atomically};
use synfire_models::{
    AnyNetwork, Card, FORMAT, NetworkConfig, WeightsHeader, load_network, save_network,
};

use crate::RunError;
use crate::classifier::Classifier;
use crate::config::RunConfig;
use crate::report::{REPORT, Report};

/// The content of `run.json`: the identity of the run, fixed when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// The format of the run's files, that of its weights.
    pub format: u32,
    /// Everything that decides the run.
    pub config: RunConfig,
    /// Whether it began with the embedded digits.
    pub embedded: bool,
    /// Hashes of the training and test samples.
    pub data: [String; 2],
    /// The command that began it.
    pub command: String,
}

impl RunFile {
    /// A hash of everything that decides the result of the run. Checkpoints name it, so that no other run uses them.
    pub fn id(&self) -> String {
        let config = RunConfig {
            // The folder of the data does not matter, and a flag allows other devices.
            data: String::new(),
            devices: 1,
            ..self.config.clone()
        };
        let decides = serde_json::to_string(&(config, &self.data)).expect("it is plain data");
        // Runs that began before there was such a value have none.
        let decides = decides.replace("\"validation_samples\":null,", "");
        sha256(decides.as_bytes())
    }
}

/// The file that identifies a run.
pub const RUN: &str = "run.json";
/// The file with the weights of the best epoch.
pub const WEIGHTS: &str = "model.safetensors";

/// Writes the weights of a run, with the configuration in the header, and returns the SHA-256 of the file.
pub(crate) fn write_weights(
    out: &Path,
    network: &AnyNetwork,
    config: &NetworkConfig,
) -> Result<String, RunError> {
    let path = out.join(WEIGHTS);
    let bytes = save_network(network, config, DType::F32).map_err(RunError::damaged(&path))?;
    write_atomically(&path, |file| file.write_all(&bytes)).map_err(RunError::io(&path))?;
    Ok(sha256(&bytes))
}

/// Reads `run.json` of a folder. `None` if there is none.
///
/// # Errors
///
/// If the file cannot be read, or is damaged.
pub fn read_run(out: &Path) -> Result<Option<RunFile>, RunError> {
    let path = out.join(RUN);
    let text = match read_regular(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RunError::io(&path)(error)),
    };
    let run: Value = serde_json::from_slice(&text).map_err(RunError::damaged(&path))?;
    let format = run.get("format").map_or(Some(1), Value::as_u64);
    let expected = Some(u64::from(FORMAT));
    if run.is_object() && format != expected {
        let found = format.map_or("another".to_owned(), |format| format.to_string());
        let what = match format < expected {
            true => "0.1.0 before runs had a format",
            false => "a newer one",
        };
        return Err(RunError::damaged(&path)(format!(
            "a version of Synfire wrote it whose runs have format {found} ({what}), and this version reads format {FORMAT}"
        )));
    }
    let run: RunFile = serde_json::from_value(run).map_err(RunError::damaged(&path))?;
    run.config.validate().map_err(RunError::damaged(&path))?;
    Ok(Some(run))
}

/// Checks that weights belong to the network of a run and are unchanged since it ended.
fn verify(folder: &Path, run: &RunFile, weights: &[u8]) -> Result<(), String> {
    let header = WeightsHeader::read(weights).map_err(|error| error.to_string())?;
    if header.is_some_and(|header| header.network != run.config.network) {
        return Err("the weights are of another network than run.json tells of".to_owned());
    }
    let report = Report::read(folder).map_err(|error| error.to_string())?;
    let found = sha256(weights);
    match report.weights_sha256 {
        Some(expected) if expected != found => Err(format!(
            "SHA-256 is {found}, expected {expected}, as report.json has it"
        )),
        _ => Ok(()),
    }
}

/// A trained network with its run.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The run.
    pub run: RunFile,
    /// The network, for inference.
    pub classifier: Classifier,
}

impl Saved {
    /// Loads the network of the finished run in a folder.
    ///
    /// # Errors
    ///
    /// If `run.json`, `report.json` or `model.safetensors` is missing or damaged, or the weights are not those that the
    /// report tells of, missing, too many, of another shape or not finite.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, RunError> {
        let run = read_run(folder)?.ok_or_else(|| RunError::NoRun(folder.to_path_buf()))?;
        Self::of_run(run, folder, device)
    }

    /// Loads the network of this run, which is in a folder.
    fn of_run(run: RunFile, folder: &Path, device: &Device) -> Result<Self, RunError> {
        let path = folder.join(WEIGHTS);
        if !path.exists() || !folder.join(REPORT).exists() {
            return Err(RunError::Unfinished(folder.to_path_buf()));
        }
        // Read here, because the store's error does not name the file.
        let bytes = read_regular(&path).map_err(RunError::io(&path))?;
        verify(folder, &run, &bytes).map_err(RunError::damaged(&path))?;
        let network =
            load_network(&run.config.network, bytes, device).map_err(RunError::damaged(&path))?;
        Ok(Self {
            classifier: Classifier::new(network, run.config.loss, device),
            run,
        })
    }

    /// Loads trained weights: those of the zoo with that name, or of a finished run in that folder.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load) and [`of_card`](Self::of_card).
    pub fn of_weights(weights: &str, device: &Device) -> Result<Self, RunError> {
        let folder = Path::new(weights);
        match read_run(folder)? {
            Some(run) => Self::of_run(run, folder, device),
            None => Self::of_card(&Card::of(weights)?, device),
        }
    }

    /// Loads trained weights of the zoo, with the run that they came from.
    ///
    /// # Errors
    ///
    /// If they cannot be found or verified, or the card is not of such a run.
    pub fn of_card(card: &Card, device: &Device) -> Result<Self, RunError> {
        let config = RunConfig::of_card(card)?;
        Ok(Self {
            classifier: Classifier::new(card.load(device)?, config.loss, device),
            run: RunFile {
                format: FORMAT,
                embedded: false,
                data: card.data.clone(),
                command: card.command.clone(),
                config,
            },
        })
    }

    /// True if this is the network of a card with the same weights, rounded as they are.
    ///
    /// # Errors
    ///
    /// If the weights of the card cannot be found or verified.
    pub fn is_of_card(&self, card: &Card, device: &Device) -> Result<bool, RunError> {
        let precision = match card.precision.as_str() {
            "f16" => DType::F16,
            _ => DType::F32,
        };
        let bytes = |network| {
            let bytes = save_network(network, &self.run.config.network, precision);
            bytes.map_err(RunError::damaged(Path::new(&card.id)))
        };
        let same = self.run.config.network == card.config.network;
        Ok(same && bytes(&self.classifier.network)? == bytes(&card.load(device)?)?)
    }
}
