//! Writes the tables of models/README.md: networks from docs/results/zoo.json, which `--measure` writes again, small networks from
//! docs/results/small.json, which `--train` writes again, trained weights from their cards, and runs from the reports in
//! docs/results/zoo. `--check` only compares the document with these files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn::tensor::{Device, Tensor, TensorData};
use clap::Parser;
use serde::{Deserialize, Serialize};
use synfire::metric::SynapticOperations;
use synfire::random::Philox;
use synfire::record::Recorder;
use synfire_examples::document::{figures, reports, update};
use synfire_examples::small;
use synfire_models::{Card, Context, NetworkConfig, SpikingNetwork, learned_parameters};
use synfire_train::checkpoint::write_json;
use synfire_train::report::{Spread, percent, table_head};
use synfire_train::{Report, RunError, exit_code, say};

/// Write the tables of models/README.md.
#[derive(Parser)]
#[command(name = "zoo_table")]
struct Cli {
    /// Run networks once, and write their figures: these presets, or all (takes minutes, and much memory)
    #[arg(long, value_name = "PRESET", num_args = 0..)]
    measure: Option<Vec<String>>,
    /// Train the small network of these architectures, or of all (some hours), and write their figures
    #[arg(long, value_name = "ARCHITECTURE", num_args = 0..)]
    train: Option<Vec<String>>,
    /// Write nothing, and fail if there is something to write
    #[arg(long)]
    check: bool,
    /// The document
    #[arg(long, value_name = "FILE", default_value = "models/README.md")]
    document: PathBuf,
    /// The file with the figures
    #[arg(long, value_name = "FILE", default_value = "docs/results/zoo.json")]
    figures: PathBuf,
    /// The file with the figures of small networks
    #[arg(long, value_name = "FILE", default_value = "docs/results/small.json")]
    small: PathBuf,
    /// Folder with the reports of the zoo's training runs
    #[arg(long, value_name = "DIR", default_value = "docs/results/zoo")]
    reports: PathBuf,
}

/// Figures of a network with the initial weights of seed 0, on one sample of uniform numbers in `[0, 1)` that is repeated in
/// every step. Normalisations use the statistics of this batch, as in training, because running statistics are untrained.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Figures {
    structure: String,
    parameters: usize,
    neurons: usize,
    inputs: usize,
    time_steps: usize,
    synaptic_operations: SynapticOperations,
}

/// Measures these presets and keeps the figures of the others, or measures all.
fn measure(path: &Path, chosen: &[String]) -> Result<(), RunError> {
    let device = Device::default().autodiff();
    let mut all = match chosen {
        [] => BTreeMap::new(),
        _ => figures(path)?,
    };
    for name in chosen {
        NetworkConfig::preset(name)?;
    }
    for preset in NetworkConfig::presets() {
        if !chosen.is_empty() && !chosen.iter().any(|chosen| chosen == preset.id) {
            continue;
        }
        let network = preset.config.init(&device)?;
        let inputs = network.elements();
        let sample = Philox::new(0).uniform(0, inputs, 0.0, 1.0);
        let sample = Tensor::from_data(TensorData::new(sample, [1, 1, inputs]), &device);
        let recorder = Recorder::spikes().with_operations();
        let context = Context::new().with_recorder(recorder);
        let mut context = context.with_repeats(preset.time_steps);
        network.forward(sample, &mut context);
        let recorder = context.recorder();
        let neurons = recorder.layers().iter();
        let neurons = neurons.map(|layer| layer.shape.iter().product::<usize>());
        let mut figures = Figures {
            structure: preset.config.structure(),
            parameters: learned_parameters(&network),
            neurons: neurons.sum(),
            inputs,
            time_steps: preset.time_steps,
            synaptic_operations: SynapticOperations::default(),
        };
        for layer in recorder.operations() {
            figures.synaptic_operations += layer.count().map_err(RunError::damaged(path))?;
        }
        say!("{}: {} parameters", preset.id, figures.parameters);
        all.insert(preset.id.to_owned(), figures);
    }
    write_json(path, &all)
}

/// A number with three digits and a unit.
fn short(number: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k")];
    let unit = units.into_iter().find(|(size, _)| number >= *size);
    let (size, unit) = unit.unwrap_or((1.0, ""));
    let scaled = number / size;
    let digits = match scaled {
        s if s >= 100.0 => 0,
        s if s >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

fn networks(path: &Path) -> Result<String, RunError> {
    let figures = figures::<Figures>(path)?;
    let mut table = table_head(
        "preset | layers | parameters | neurons | T | synaptic operations (dense hardware) | verified against",
    );
    for preset in NetworkConfig::presets() {
        let name = preset.id;
        let missing = || RunError::damaged(path)(format!("there is no {name}"));
        let of = figures.get(name).ok_or_else(missing)?;
        table += &format!(
            "| `{name}` | {} | {} | {} | {} | {} ({}) | {} |\n",
            of.structure,
            of.parameters,
            of.neurons,
            of.time_steps,
            short(of.synaptic_operations.effective()),
            short(of.synaptic_operations.dense),
            preset.proof,
        );
    }
    Ok(table)
}

fn weights() -> Result<String, RunError> {
    let mut table = table_head(
        "weights | layers | T | trained on | test accuracy (95 % interval) | test samples | validation | synaptic operations | size",
    );
    for card in Card::all()? {
        table += &format!(
            "| `{}` | {} | {} | {} | {} ({:.2} to {:.2}) | {} | {} | {} | {} kB |\n",
            card.id,
            card.structure,
            card.time_steps,
            card.dataset,
            percent(card.test_accuracy),
            100.0 * card.test_interval[0],
            100.0 * card.test_interval[1],
            card.samples[2],
            percent(card.validation_accuracy),
            short(card.synaptic_operations.effective()),
            card.bytes / 1000,
        );
    }
    Ok(table)
}

/// Every run whose report is in the folder, also those whose weights are not among the zoo's. Runs that differ in the seed alone
/// are a row.
fn runs(folder: &Path) -> Result<String, RunError> {
    let mut table = table_head("run | seeds | test accuracy | validation | minutes | options");
    let mut seeds = BTreeMap::<_, Vec<Report>>::new();
    for (name, report) in reports(folder)? {
        let Some(run) = name.strip_suffix(&format!("-{}", report.seed)) else {
            let reason = format!("{name} does not end in the seed {}", report.seed);
            return Err(RunError::damaged(folder)(reason));
        };
        seeds.entry(run.to_owned()).or_default().push(report);
    }
    for (name, reports) in seeds {
        let commands = reports.iter().map(Report::command_of_any_seed);
        let commands = commands.collect::<BTreeSet<_>>();
        let [command] = &Vec::from_iter(commands)[..] else {
            let reason = format!("the runs of {name} differ in more than the seed");
            return Err(RunError::damaged(folder)(reason));
        };
        let spread = |value: fn(&Report) -> f64| {
            let values: Vec<_> = reports.iter().map(value).collect();
            Spread::new(&values)
        };
        table += &format!(
            "| {name} | {} | {} | {} | {} | `{command}` |\n",
            reports.len(),
            accuracies(&spread(|report| report.test_accuracy)),
            accuracies(&spread(|report| report.validation_accuracy)),
            (spread(|report| report.seconds_training).mean / 60.0).round(),
        );
    }
    Ok(table)
}

/// Accuracies as text: their mean, and least and largest if they differ.
fn accuracies(of: &Spread) -> String {
    let mean = percent(of.mean);
    match of.least < of.most {
        true => format!("{mean} ({:.2} to {:.2})", 100.0 * of.least, 100.0 * of.most),
        false => mean,
    }
}

fn run(cli: &Cli) -> Result<(), RunError> {
    if let Some(chosen) = &cli.measure {
        measure(&cli.figures, chosen)?;
    }
    if let Some(chosen) = &cli.train {
        small::train(&cli.small, chosen)?;
    }
    let blocks = [
        ("networks", networks(&cli.figures)?),
        ("small", small::table(&cli.small)?),
        ("weights", weights()?),
        ("runs", runs(&cli.reports)?),
    ];
    update(&cli.document, &blocks, cli.check)
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
