//! `synfire onnx`.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use synfire::InvalidConfig;
use synfire_models::SpikingNetwork;
use synfire_onnx::{OnnxOptions, export};
use synfire_train::{RunError, say};

use crate::EXAMPLES_FIRST;
use crate::trained::Trained;

/// Write a trained network as an ONNX model.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire onnx --weights vgg9-fashion-mnist --image --out vgg9.onnx
  synfire onnx --run runs/nmnist --step --out step.onnx")]
pub struct Onnx {
    #[command(flatten)]
    trained: Trained,
    /// The file
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    /// Time steps of the sequence [default: as the run]
    #[arg(long, value_name = "T", conflicts_with = "step")]
    time_steps: Option<usize>,
    /// Samples of a batch
    #[arg(long, value_name = "B", default_value_t = 1)]
    batch_size: usize,
    /// The input is a static image, shown in every step
    #[arg(long, conflicts_with = "step")]
    image: bool,
    /// One step in place of a sequence, with the states as inputs and outputs
    #[arg(long)]
    step: bool,
    /// Output the spikes of every layer as well
    #[arg(long)]
    layers: bool,
}

impl Onnx {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let (saved, _) = self.trained.load(&Device::default())?;
        let config = &saved.run.config;
        let steps = self.time_steps.unwrap_or(config.time_steps);
        let expected = format!("{}: the network needs whole sequences", config.time_steps);
        let network = &saved.classifier.network;
        let fits = self.step || steps == config.time_steps || network.initial_state(1).is_ok();
        InvalidConfig::require("the network", "time steps", steps, fits, expected)?;
        let options = match (self.step, self.image) {
            (true, _) => OnnxOptions::step(),
            (false, true) => OnnxOptions::image(steps),
            (false, false) => OnnxOptions::sequence(steps),
        };
        let options = options
            .with_batch_size(self.batch_size)
            .with_layers(self.layers);
        let model = export(network, &options)?;
        model.save(&self.out)?;
        for (name, shape) in model.inputs() {
            say!("input   {name} {shape:?}");
        }
        for (name, shape) in model.outputs() {
            say!("output  {name} {shape:?}");
        }
        let nodes: usize = model.operators().values().sum();
        say!("{}: {nodes} nodes", self.out.display());
        Ok(())
    }
}
