//! `synfire nir`.

use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use synfire::InvalidConfig;
use synfire::encode::EncoderConfig;
use synfire_data::{DataSource, DatasetName, FrameBy, FrameValue, Frames};
use synfire_models::SpikingNetwork;
use synfire_nir::{
    Clock, Current, Graph, Integration, NirNetwork, NirOptions, OnSpike, diff, export,
};
use synfire_train::augment::Augmentation;
use synfire_train::contrast::Contrast;
use synfire_train::loss::LossKind;
use synfire_train::report::{operations, percent};
use synfire_train::samples::Coding;
use synfire_train::train::{loader_of, test_network};
use synfire_train::{RunError, describe, device, say};

use crate::EXAMPLES_FIRST;
use crate::trained::Trained;

/// Read, run, write and compare graphs of the Neuromorphic Intermediate Representation.
#[derive(Clone, Debug, Subcommand)]
pub enum Nir {
    /// Show the nodes of a graph, their shapes, and where it goes back in time
    Info(Info),
    /// Test a graph on a dataset
    Run(Box<Run>),
    /// Write a trained network as a graph
    Export(Export),
    /// Compare two graphs, node by node
    Diff(Diff),
}

impl Nir {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        match self {
            Self::Info(info) => info.run(),
            Self::Run(run) => run.run(),
            Self::Export(export) => export.run(),
            Self::Diff(diff) => diff.run(),
        }
    }
}

/// An option by its name in files.
fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

/// Options of the discretisation, which a file does not hold.
#[derive(Args, Clone, Debug)]
struct Options {
    /// Length of a step, in the unit of the time constants of the file
    #[arg(long, value_name = "SECONDS", default_value_t = 1e-4)]
    dt: f64,
    /// Reset after a spike: to `v_reset` or 0, or by the threshold
    #[arg(long, value_name = "zero|subtract", default_value = "zero")]
    #[arg(value_parser = named::<OnSpike>)]
    reset: OnSpike,
    /// Step of an equation
    #[arg(
        long,
        value_name = "euler|exponential|exponential-leak",
        default_value = "euler"
    )]
    #[arg(value_parser = named::<Integration>)]
    integration: Integration,
    /// Unit of time of IF and I, which have no time constant
    #[arg(long, value_name = "steps|seconds", default_value = "steps")]
    #[arg(value_parser = named::<Clock>)]
    clock: Clock,
    /// Synaptic current of CubaLIF and CubaLI: after or before the input of the step
    #[arg(long, value_name = "new|old", default_value = "new")]
    #[arg(value_parser = named::<Current>)]
    current: Current,
}

impl Options {
    fn of_network(&self) -> NirOptions {
        NirOptions::new()
            .with_dt(self.dt)
            .with_reset(self.reset)
            .with_integration(self.integration)
            .with_clock(self.clock)
            .with_current(self.current)
    }
}

/// `synfire nir info`.
#[derive(Args, Clone, Debug)]
pub struct Info {
    /// The graph
    #[arg(value_name = "FILE.nir")]
    file: PathBuf,
    #[command(flatten)]
    options: Options,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

impl Info {
    fn run(&self) -> Result<(), RunError> {
        let graph = Graph::open(&self.file)?;
        let network = NirNetwork::new(&graph, &self.options.of_network(), &Device::default())?;
        let late = network.late_edges();
        if self.json {
            let nodes: Vec<_> = network
                .nodes()
                .map(|(name, kind, shapes)| {
                    json!({"name": name, "type": kind, "input": shapes.input, "output": shapes.output})
                })
                .collect();
            let (edges, parameters) = (network.edges().count(), network.num_params());
            say!(
                "{}",
                json!({"nodes": nodes, "edges": edges, "late": late, "parameters": parameters})
            );
            return Ok(());
        }
        let nodes: Vec<_> = network.nodes().collect();
        let width = nodes
            .iter()
            .map(|(name, ..)| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, kind, shapes) in nodes {
            say!(
                "{name:width$}  {kind:9}  {:?} -> {:?}",
                shapes.input,
                shapes.output
            );
        }
        for (from, to) in network.edges() {
            let when = if late.binary_search(&(from, to)).is_ok() {
                "  in the next step"
            } else {
                ""
            };
            say!("{from} -> {to}{when}");
        }
        say!("{} parameters", network.num_params());
        Ok(())
    }
}

/// Test a graph on a dataset.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Examples:
  synfire nir run cnn.nir --dataset nmnist --data N-MNIST
  synfire nir run mlp.nir --dataset mnist --time-steps 50 --dt 1e-3 --reset subtract --json")]
pub struct Run {
    /// The graph; the highest sum of an output over time is the answer
    #[arg(value_name = "FILE.nir")]
    file: PathBuf,
    /// The dataset, see `synfire datasets`
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Source of the test samples
    #[arg(long, value_name = "auto|embedded|DIR", default_value = "auto")]
    data: String,
    /// Time steps of a sample
    #[arg(long, value_name = "T", default_value_t = 300)]
    time_steps: usize,
    /// Microseconds of a frame of events
    #[arg(long, value_name = "US", default_value_t = 1000)]
    window: u32,
    /// Frames of numbers of events; else of spikes
    #[arg(long)]
    counts: bool,
    /// Samples per step
    #[arg(long, value_name = "B", default_value_t = 10)]
    batch_size: usize,
    #[command(flatten)]
    options: Options,
    /// One line of JSON
    #[arg(long)]
    json: bool,
    /// Device
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Run {
    fn run(&self) -> Result<(), RunError> {
        const OWNER: &str = "the test";
        InvalidConfig::require_size(OWNER, "--time-steps", self.time_steps)?;
        InvalidConfig::require_size(OWNER, "--batch-size", self.batch_size)?;
        InvalidConfig::require_nonzero(OWNER, "--window", self.window as usize)?;
        let dataset: DatasetName = self.dataset.parse()?;
        let device = device(&self.device)?;
        let graph = Graph::open(&self.file)?;
        let network = NirNetwork::new(&graph, &self.options.of_network(), &device)?;
        let shape = network.sample_shape();
        // Flat samples may be images.
        let image = <[usize; 3]>::try_from(shape.as_slice()).ok();
        let loader = loader_of(image.unwrap_or(dataset.shape().0));
        let data = dataset.load_with(&loader, &DataSource::parse(&self.data))?;
        let fits = data.shape.iter().product::<usize>() == network.elements();
        let expected = format!("samples of shape {shape:?}");
        InvalidConfig::require(
            OWNER,
            "--dataset",
            format!("{:?}", data.shape),
            fits,
            expected,
        )?;
        let outputs: usize = network
            .output_shapes()
            .iter()
            .map(|shape| shape.iter().product::<usize>())
            .sum();
        let expected = format!("as many as the outputs of the graph, {outputs}");
        InvalidConfig::require(
            OWNER,
            "classes",
            data.classes,
            data.classes == outputs,
            expected,
        )?;

        let frames = Frames::new(FrameBy::Window(self.window)).with_time_steps(self.time_steps);
        let coding = Coding {
            encoder: EncoderConfig::DIRECT.init(self.time_steps, 0)?,
            frames: frames.with_value(match self.counts {
                true => FrameValue::Counts,
                false => FrameValue::Binary,
            }),
            contrast: Contrast::default(),
            augmentation: Augmentation::default(),
            least_time_steps: None,
        };
        let count = data.test.len();
        if !self.json {
            say!("{dataset}, {}", data.source);
            say!("T = {}, on {}", self.time_steps, describe(&device));
        }
        let started = Instant::now();
        let loss = LossKind::CrossEntropy;
        let tested = test_network(&network, loss, data.test, &coding, self.batch_size, &device)?;
        let seconds = started.elapsed().as_secs_f64();
        let layers = network.layer_names();
        let rates: Vec<_> = layers.iter().zip(&tested.firing_rates).collect();
        if self.json {
            let of = &tested.operations;
            let line = json!({
                "accuracy": tested.accuracy,
                "samples": count,
                "firing_rates": rates.iter().map(|(name, rate)| json!({"layer": name, "rate": rate})).collect::<Vec<_>>(),
                "synaptic_operations": json!({
                    "accumulates": of.accumulates,
                    "multiply_accumulates": of.multiply_accumulates,
                    "dense": of.dense,
                }),
            });
            say!("{line}");
            return Ok(());
        }
        say!(
            "accuracy             {} of {count} samples",
            percent(tested.accuracy)
        );
        for (layer, rate) in rates {
            say!("{:<20} {rate:.4}", format!("firing rate {layer}"));
        }
        say!("synaptic operations  {}", operations(&tested.operations));
        say!(
            "time                 {seconds:.1} s, {:.0} samples/s",
            count as f64 / seconds
        );
        Ok(())
    }
}

/// Write a trained network as a graph.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire nir export --weights stbp-cnn-mnist --out cnn.nir")]
pub struct Export {
    #[command(flatten)]
    trained: Trained,
    /// The graph
    #[arg(long, value_name = "FILE.nir")]
    out: PathBuf,
}

impl Export {
    fn run(&self) -> Result<(), RunError> {
        let (saved, _) = self.trained.load(&Device::default())?;
        let exported = export(&saved.classifier.network)?;
        exported.graph.save(&self.out)?;
        let (nodes, options) = (exported.graph.nodes.len(), &exported.options);
        let reset = match options.reset {
            OnSpike::Zero => "zero",
            OnSpike::Subtract => "subtract",
        };
        say!(
            "{}: {nodes} nodes, to be run with --dt {} --reset {reset}",
            self.out.display(),
            options.dt
        );
        Ok(())
    }
}

/// Compare two graphs, node by node.
#[derive(Args, Clone, Debug)]
pub struct Diff {
    /// The first graph
    #[arg(value_name = "A.nir")]
    first: PathBuf,
    /// The second graph
    #[arg(value_name = "B.nir")]
    second: PathBuf,
}

impl Diff {
    fn run(&self) -> Result<(), RunError> {
        let found = diff(&Graph::open(&self.first)?, &Graph::open(&self.second)?);
        for difference in &found {
            say!("{difference}");
        }
        let expected = "graphs that are the same";
        let text = format!("{} differences", found.len());
        InvalidConfig::require("the comparison", "graphs", text, found.is_empty(), expected)?;
        say!("the same");
        Ok(())
    }
}
