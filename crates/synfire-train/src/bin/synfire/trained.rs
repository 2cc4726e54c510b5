//! Options that select a trained network.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use synfire_models::Card;
use synfire_train::RunError;
use synfire_train::saved::Saved;

/// A trained network.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Trained {
    /// Folder of a finished run
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Name of trained weights, see `synfire weights`
    #[arg(long, value_name = "ID")]
    pub weights: Option<String>,
}

impl Trained {
    /// The name of the weights, or the folder of the run.
    pub fn name(&self) -> String {
        match (&self.weights, &self.run) {
            (Some(id), _) => id.clone(),
            (None, run) => run.clone().unwrap_or_default().display().to_string(),
        }
    }

    /// Loads the network; with `--weights` also its card.
    pub fn load(&self, device: &Device) -> Result<(Saved, Option<Card>), RunError> {
        let Some(id) = &self.weights else {
            let folder = self.run.clone().unwrap_or_default();
            return Ok((Saved::load(&folder, device)?, None));
        };
        let card = Card::of(id)?;
        Ok((Saved::of_card(&card, device)?, Some(card)))
    }
}
