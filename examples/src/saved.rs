//! Finished runs: what they were, and their networks.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use burn::store::SafetensorsStore;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::RunError;
use crate::checkpoint::not_finite;
use crate::classifier::Classifier;
use crate::options::RunConfig;

/// The content of `run.json`: what the run is, fixed when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Everything that decides the run.
    pub config: RunConfig,
    /// Whether it began with the embedded digits.
    pub embedded: bool,
    /// Hashes of the training and test images.
    pub data: [String; 2],
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
            Err(error) => Err(RunError::Damaged {
                path,
                reason: error.to_string(),
            }),
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
        let config = &run.config;
        let mut network = config.model.init(device)?;

        let path = folder.join(WEIGHTS);
        // Read here, because the store's error does not name the file.
        let bytes = fs::read(&path).map_err(RunError::io(&path))?;
        let damaged = |reason: String| RunError::Damaged {
            path: path.clone(),
            reason,
        };
        // All that is wrong is told below, not only the first of it.
        let mut store = SafetensorsStore::from_bytes(Some(bytes))
            .allow_partial(true)
            .validate(false);
        let applied = network
            .load_from(&mut store)
            .map_err(|error| damaged(error.to_string()))?;
        let mut wrong: Vec<String> = applied.errors.iter().map(ToString::to_string).collect();
        wrong.extend(
            applied
                .missing
                .iter()
                .map(|(name, _)| format!("`{name}` is missing")),
        );
        wrong.extend(
            applied
                .unused
                .iter()
                .map(|name| format!("`{name}` is not of this network")),
        );
        if !wrong.is_empty() {
            return Err(damaged(wrong.join("; ")));
        }
        if let Some(parameter) = not_finite(&network) {
            return Err(damaged(format!("`{parameter}` is not finite")));
        }
        let loss = config.loss.init(device)?;
        Ok(Self {
            classifier: Classifier { network, loss },
            run,
        })
    }
}
