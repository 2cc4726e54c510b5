//! Finished runs: what they were, and their networks.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use synfire_models::{Card, PretrainedError, load_network};

use crate::RunError;
use crate::classifier::Classifier;
use crate::config::RunConfig;

/// The content of `run.json`: what the run is, fixed when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Everything that decides the run.
    pub config: RunConfig,
    /// Whether it began with the embedded digits.
    pub embedded: bool,
    /// Hashes of the training and test samples.
    pub data: [String; 2],
    /// The command that began it.
    pub command: String,
}

/// The file that says what a run is.
pub const RUN: &str = "run.json";
/// The file with the weights of the best epoch.
pub const WEIGHTS: &str = "model.safetensors";

/// Reads what the run in a folder is. `None` if there is none.
///
/// # Errors
///
/// If the file cannot be read, or is damaged.
pub fn read_run(out: &Path) -> Result<Option<RunFile>, RunError> {
    let path = out.join(RUN);
    match fs::read_to_string(&path) {
        Ok(text) => match serde_json::from_str(&text) {
            Ok(run) => Ok(Some(run)),
            Err(error) => Err(RunError::damaged(&path)(error)),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RunError::io(&path)(error)),
    }
}

/// A trained network with what it was trained as.
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
    /// If `run.json` or `model.safetensors` is missing or damaged, weights are missing, too many, of another shape or
    /// not finite.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, RunError> {
        let run = read_run(folder)?.ok_or(RunError::NoRun {
            folder: folder.to_path_buf(),
        })?;
        let path = folder.join(WEIGHTS);
        // Read here, because the store's error does not name the file.
        let bytes = fs::read(&path).map_err(RunError::io(&path))?;
        let network =
            load_network(&run.config.model, bytes, device).map_err(RunError::damaged(&path))?;
        let loss = run.config.loss.init(device)?;
        Ok(Self {
            classifier: Classifier::new(network, loss, device),
            run,
        })
    }

    /// Loads trained weights of the zoo, with the run that they came from.
    ///
    /// # Errors
    ///
    /// If they cannot be found or verified, or the card is not of such a run.
    pub fn of_card(card: &Card, device: &Device) -> Result<Self, RunError> {
        let config = serde_json::to_value(&card.config).and_then(serde_json::from_value);
        let mut config: RunConfig = config.map_err(|error| PretrainedError::Card {
            id: card.id.clone(),
            reason: error.to_string(),
        })?;
        // Where the data of that run lay is nothing to this machine.
        config.data = "auto".to_owned();
        let loss = config.loss.init(device)?;
        Ok(Self {
            classifier: Classifier::new(card.load(device)?, loss, device),
            run: RunFile {
                embedded: false,
                data: card.data.clone(),
                command: card.command.clone(),
                config,
            },
        })
    }
}
