//! `synfire predict`.

use std::path::PathBuf;

use clap::Args;
use synfire::record::Recorder;
use synfire_data::{Ground, read_image};
use synfire_models::SpikingNetwork;
use synfire_train::{RunError, device, output, say};

use crate::EXAMPLES_FIRST;
use crate::trained::Trained;

/// Show a trained network one sample.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire predict --run runs/mnist --index 7
  synfire predict --weights stbp-cnn-norm-mnist --image digit.png --invert")]
pub struct Predict {
    #[command(flatten)]
    trained: Trained,
    /// A PNG: a bright digit on dark ground, centred in a square; transparent pixels show the ground
    #[arg(long, value_name = "FILE.png", conflicts_with = "index")]
    #[arg(required_unless_present = "index")]
    image: Option<PathBuf>,
    /// Take a dark digit on bright ground
    #[arg(long, requires = "image", conflicts_with = "index")]
    invert: bool,
    /// The number of a test image
    #[arg(long, value_name = "N")]
    index: Option<u32>,
    /// Source of the test images [default: the source of the run's data]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Layers whose spikes are shown, comma-separated [default: the last two that spike]
    #[arg(long, value_delimiter = ',')]
    layers: Option<Vec<String>>,
    /// Rows of a raster
    #[arg(long, default_value_t = 20)]
    rows: usize,
    /// Device
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Predict {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let device = device(&self.device)?;
        let (saved, _) = self.trained.load(&device)?;
        let layers = self.layers.clone().unwrap_or_else(|| {
            let mut names = saved.classifier.network.layer_names();
            names.split_off(names.len().saturating_sub(2))
        });
        let recorder = Recorder::spikes().of(layers);
        let (prediction, shown, label) = match &self.image {
            Some(path) => {
                let shape = saved.run.config.sample;
                let (ground, help) = match self.invert {
                    true => (Ground::Bright, ""),
                    false => (Ground::Dark, "; a dark digit needs --invert"),
                };
                let mut pixels = read_image(path, shape, ground)?;
                if pixels.iter().all(|pixel| *pixel == pixels[0]) {
                    let path = path.display();
                    output::complain(format_args!("note: {path} is of a single shade{help}"));
                }
                if self.invert {
                    pixels.iter_mut().for_each(|pixel| *pixel = 1.0 - *pixel);
                }
                let prediction = saved.predict(&pixels, 0, recorder, &device)?;
                (prediction, saved.picture(&pixels), None)
            }
            None => {
                let sample = self.index.unwrap_or_default();
                let data = saved.data(self.data.as_deref())?;
                let (input, labels) = saved.sequences(&data.test, vec![sample], &device)?;
                let shown = saved.mean_picture(&input)?;
                (saved.answer(input, recorder)?, shown, Some(labels[0]))
            }
        };

        output::write(format_args!("{shown}"));
        for layer in &prediction.layers {
            let layer = layer.sample(0)?;
            say!("\nspikes of `{}`, time to the right", layer.name());
            output::write(format_args!("{}", layer.raster(self.rows)));
        }
        say!("");
        for (class, score) in prediction.scores.iter().enumerate() {
            let best = class == prediction.class && !prediction.undecided;
            let mark = if best { " <-" } else { "" };
            say!("{class:>3}  {score:7.3}{mark}");
        }
        let answer = prediction.answer();
        match label {
            None => say!("answer: {answer}"),
            Some(label) => say!("answer: {answer}, label: {label}"),
        }
        Ok(())
    }
}
