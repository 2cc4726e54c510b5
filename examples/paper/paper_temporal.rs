//! What does the path through time bring (the STBP paper's comparison with its network trained without it, SDBP)? The
//! same networks from the same seeds, with gradients through time and without.
//! `cargo run --release --example paper_temporal -- --nmnist DIR` writes `temporal.csv`, `temporal.svg` and
//! `temporal.png`; `-- --out DIR` does so of MNIST alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde::{Deserialize, Serialize};
use synfire::neuron::TemporalGradient;
use synfire::plot::{Marks, Panel, Series, SeriesPlot};
use synfire_examples::analysis::{AnalysisOptions, Trials, deviation, distinct, mean, with_neuron};
use synfire_train::RunConfig;
use synfire_train::augment::Augmentation;
use synfire_train::say;
use synfire_train::{RunError, exit_code};

/// Train with gradients through time and without.
#[derive(Parser)]
#[command(name = "paper_temporal")]
struct Cli {
    #[command(flatten)]
    options: AnalysisOptions,
    /// Folder with Train and Test of N-MNIST
    #[arg(long, value_name = "DIR", required_unless_present_any = ["out", "draw"])]
    nmnist: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    dataset: String,
    decay: f64,
    seed: u64,
    stbp_validation_accuracy: f64,
    stbp_test_accuracy: f64,
    sdbp_validation_accuracy: f64,
    sdbp_test_accuracy: f64,
    /// STBP above SDBP on the test samples.
    difference: f64,
}

/// The decays that are tried: how much of its past a neuron carries on.
const DECAYS: [f64; 3] = [0.2, 0.5, 0.9];

fn measure(cli: &Cli) -> Result<Vec<Row>, RunError> {
    let options = &cli.options;
    let mut networks = vec![("MNIST", options.network(5)?)];
    if let Some(folder) = &cli.nmnist {
        let nmnist = RunConfig::default().with([("dataset", "nmnist")])?;
        let nmnist = RunConfig {
            data: folder.display().to_string(),
            batch_size: 50,
            augmentation: Augmentation {
                shift: 2,
                ..Augmentation::default()
            },
            ..options.configure(nmnist, 25)?
        };
        networks.push(("N-MNIST", nmnist));
    }
    let decays = if options.smoke {
        &DECAYS[..1]
    } else {
        &DECAYS[..]
    };
    let seeds = options.seeds(5);
    let total = networks.len() * decays.len() * seeds.clone().count() * 2;
    let mut trials = Trials::new(options, total)?;
    let mut rows = Vec::new();
    for (dataset, config) in &networks {
        for decay in decays {
            let with = |gradient: Option<TemporalGradient>| {
                with_neuron(config.clone(), |neuron| {
                    neuron.set("decay", *decay)?;
                    match gradient {
                        Some(gradient) => neuron.set("temporal_gradient", gradient),
                        None => Ok(()),
                    }
                })
            };
            let (stbp, sdbp) = (with(None)?, with(Some(TemporalGradient::Off))?);
            for seed in seeds.clone() {
                let name = |method: &str| format!("{dataset}, decay {decay}, {method}");
                let stbp = trials.run(&name("STBP"), &stbp, seed)?;
                let sdbp = trials.run(&name("SDBP"), &sdbp, seed)?;
                rows.push(Row {
                    dataset: (*dataset).to_owned(),
                    decay: *decay,
                    seed,
                    stbp_validation_accuracy: stbp.validation_accuracy,
                    stbp_test_accuracy: stbp.test_accuracy,
                    sdbp_validation_accuracy: sdbp.validation_accuracy,
                    sdbp_test_accuracy: sdbp.test_accuracy,
                    difference: stbp.test_accuracy - sdbp.test_accuracy,
                });
            }
        }
    }
    Ok(rows)
}

fn run(cli: &Cli) -> Result<(), RunError> {
    let rows = cli.options.rows("temporal", || measure(cli))?;
    let decays = distinct(rows.iter().map(|row| row.decay));
    let mut panels = Vec::new();
    for dataset in distinct(rows.iter().map(|row| row.dataset.as_str())) {
        let points = |value: fn(&Row) -> f64| {
            let rows = &rows;
            let of_decay = move |(place, decay): (usize, &f64)| {
                let rows = rows.iter();
                let rows = rows.filter(|row| row.dataset == dataset && row.decay == *decay);
                (place as f64, rows.map(value).collect::<Vec<_>>())
            };
            decays.iter().enumerate().map(of_decay).collect::<Vec<_>>()
        };
        for ((_, differences), decay) in points(|row| row.difference).iter().zip(&decays) {
            say!(
                "{dataset}, decay {decay}: STBP above SDBP by {:.3} % of the test samples, standard deviation {:.3}, {} seeds",
                100.0 * mean(differences),
                100.0 * deviation(differences),
                differences.len()
            );
        }
        let places = decays.iter().map(f64::to_string);
        panels.push(
            Panel::new("decay", format!("test accuracy, {dataset}"))
                .with_places(places)
                .with_marks(Marks::Points)
                .with_series(Series::new("STBP", points(|row| row.stbp_test_accuracy)))
                .with_series(Series::new("SDBP", points(|row| row.sdbp_test_accuracy))),
        );
    }
    cli.options.picture("temporal", &SeriesPlot::new(panels))
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
