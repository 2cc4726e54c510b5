//! Converts trained networks of rectifiers with each method, and writes the table of docs/conversion.md from
//! docs/results/conversion.json. Rows of another library come from benches/peers/convert.py, for the same network and samples.
//! `cargo run --release --example conversion -- --run RUN` adds the network of a finished run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use safetensors::serialize_to_file;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use synfire_examples::document::{figures, figures_so_far, update};
use synfire_models::{Balance, ConversionConfig};
use synfire_train::checkpoint::write_json;
use synfire_train::conversion::Conversion;
use synfire_train::report::{percent, table_head};
use synfire_train::saved::Saved;
use synfire_train::train::test_all;
use synfire_train::{Report, RunError, device, exit_code, say};

/// Time steps of the table.
const TIME_STEPS: [usize; 4] = [4, 8, 16, 32];
/// Training samples from which thresholds follow.
const SAMPLES: usize = 1000;

/// Convert networks, and write the table of docs/conversion.md.
#[derive(Parser)]
#[command(name = "conversion")]
struct Cli {
    /// Folder of a finished run of rectifiers, whose network is converted
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Source of its data [default: that of the run]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Only write its samples, for benches/peers/convert.py
    #[arg(long, value_name = "FILE", requires = "run")]
    samples: Option<PathBuf>,
    /// Write nothing, and fail if there is something to write
    #[arg(long)]
    check: bool,
    /// The document
    #[arg(long, value_name = "FILE", default_value = "docs/conversion.md")]
    document: PathBuf,
    /// The file with the figures
    #[arg(
        long,
        value_name = "FILE",
        default_value = "docs/results/conversion.json"
    )]
    figures: PathBuf,
}

/// Test accuracies of one network.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Figures {
    structure: String,
    dataset: String,
    neuron: String,
    test_accuracy: f64,
    test_samples: usize,
    /// By library and method, then by time steps.
    spikes: BTreeMap<String, BTreeMap<usize, f64>>,
}

/// Converts the network of a run with every method that suits it.
fn convert(run: &Path, data: Option<&str>, path: &Path) -> Result<(), RunError> {
    let device = device("flex")?;
    let saved = Saved::load(run, &device)?;
    let report = Report::read(run)?;
    let data = saved.data(data)?;
    let network = &saved.run.config.network;
    let neuron = network.layers().neuron.kind().into_owned();
    let name = format!("{neuron}, {}", report.experiment());
    let mut all = figures_so_far::<Figures>(path)?;
    let figures = all.entry(name).or_default();
    figures.structure = network.structure();
    figures.dataset = report.dataset.to_string();
    figures.test_accuracy = report.test_accuracy;
    figures.test_samples = report.samples_test;
    let methods: &[(&str, Option<Balance>)] = match neuron.as_str() {
        "quantized-relu" => &[
            ("Synfire, learned", Some(Balance::Learned)),
            ("Synfire, steps", None),
        ],
        _ => &[
            ("Synfire, maximum", Some(Balance::Maximum)),
            ("Synfire, percentile 99.9", Some(Balance::Percentile(99.9))),
            ("Synfire, steps", None),
        ],
    };
    figures.neuron = neuron;
    for (method, balance) in methods {
        for time_steps in TIME_STEPS {
            let balance = balance.unwrap_or(Balance::Steps(time_steps));
            let conversion = conversion(balance, time_steps);
            let spiking = conversion.convert(&saved, &data, &device)?;
            let config = &spiking.run.config;
            let test = data.test.clone();
            let tested = test_all(
                &spiking.classifier,
                test,
                config,
                config.batch_size,
                &device,
            )?;
            say!("{method}, T = {time_steps}: {}", percent(tested.accuracy));
            let row = figures.spikes.entry((*method).to_owned()).or_default();
            row.insert(time_steps, tested.accuracy);
        }
    }
    write_json(path, &all)
}

/// Writes images `[samples, channels, height, width]` and labels: `training`, from which thresholds follow, and `test`.
fn write_samples(run: &Path, data: Option<&str>, path: &Path) -> Result<(), RunError> {
    let device = device("flex")?;
    let saved = Saved::load(run, &device)?;
    let data = saved.data(data)?;
    let conversion = conversion(Balance::Maximum, TIME_STEPS[0]);
    let training = conversion.chosen(&saved.run.config, &data)?;
    let test = (0..data.test.len() as u32).collect();
    let mut tensors = Vec::new();
    for (name, samples, chosen) in [
        ("training", &data.train, training),
        ("test", &data.test, test),
    ] {
        let (images, labels) = saved.sequences(samples, chosen, &device)?;
        let images = images.narrow(0, 0, 1).into_data();
        let bytes: Vec<u8> = images.iter::<f32>().flat_map(f32::to_le_bytes).collect();
        let shape = [vec![labels.len()], saved.run.config.sample.to_vec()].concat();
        tensors.push((name.to_owned(), Dtype::F32, shape, bytes));
        let bytes = labels
            .iter()
            .flat_map(|label| label.to_le_bytes())
            .collect();
        tensors.push((
            format!("{name} labels"),
            Dtype::I64,
            vec![labels.len()],
            bytes,
        ));
    }
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        (name, view.expect("as many bytes as the shape says"))
    });
    let written = serialize_to_file(views, None, path);
    written.map_err(RunError::damaged(path))
}

fn conversion(balance: Balance, time_steps: usize) -> Conversion {
    Conversion {
        config: ConversionConfig::new().with_balance(balance),
        time_steps,
        samples: SAMPLES,
    }
}

fn table(path: &Path) -> Result<String, RunError> {
    let steps = TIME_STEPS.map(|steps| format!("T = {steps}")).join(" | ");
    let mut table = table_head(&format!("network | method | {steps}"));
    for (name, figures) in figures::<Figures>(path)? {
        let accuracy = percent(figures.test_accuracy);
        table += &format!(
            "| {name} | none: {accuracy} |{}\n",
            " |".repeat(TIME_STEPS.len())
        );
        for (method, row) in figures.spikes {
            table += &format!("| | {method} |");
            for steps in TIME_STEPS {
                match row.get(&steps) {
                    Some(accuracy) => {
                        let loss = 100.0 * (accuracy - figures.test_accuracy);
                        table += &format!(" {} ({loss:+.2}) |", percent(*accuracy));
                    }
                    None => table += " |",
                }
            }
            table.push('\n');
        }
    }
    Ok(table)
}

fn run(cli: &Cli) -> Result<(), RunError> {
    match (&cli.run, &cli.samples) {
        (Some(run), Some(path)) => return write_samples(run, cli.data.as_deref(), path),
        (Some(run), None) => convert(run, cli.data.as_deref(), &cli.figures)?,
        (None, _) => {}
    }
    update(
        &cli.document,
        &[("conversion", table(&cli.figures)?)],
        cli.check,
    )
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
