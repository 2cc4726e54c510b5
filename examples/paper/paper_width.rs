//! How wide must a derivative curve be? Widths over two decades, told by the full width
//! at half maximum, so that curves can be compared.
//! `cargo run --release --example paper_width` writes `width.csv`, `width.svg` and `width.png`.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use synfire::InvalidConfig;
use synfire::plot::{Panel, Series, SeriesPlot};
use synfire::surrogate::Surrogate;
use synfire_examples::analysis::{AnalysisOptions, Trials, analysis, with_neuron};
use synfire_train::RunError;

#[derive(Serialize, Deserialize)]
struct Row {
    curve: String,
    a: f64,
    full_width_at_half_maximum: f64,
    seed: u64,
    /// After one epoch: how fast it learns.
    first_validation_accuracy: f64,
    /// The first epoch with a validation accuracy of at least 90 %, if any has.
    epochs_to_90_percent: Option<usize>,
    validation_accuracy: f64,
    test_accuracy: f64,
    hidden_firing_rate: f64,
    /// Layers that never or always fired in an epoch.
    warnings: usize,
}

/// A curve: its name, and itself by its parameter.
type Named = (&'static str, fn(f64) -> Result<Surrogate, InvalidConfig>);

const CURVES: [Named; 4] = [
    ("rectangular", Surrogate::rectangular),
    ("polynomial", Surrogate::polynomial),
    ("sigmoid", Surrogate::sigmoid),
    ("Gaussian", Surrogate::gaussian),
];

/// Two decades.
const WIDTHS: [f64; 7] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

fn measure(options: &AnalysisOptions) -> Result<Vec<Row>, RunError> {
    let widths: &[f64] = match options.smoke {
        true => &[0.1, 1.0],
        false => &WIDTHS,
    };
    let seeds = options.seeds(3);
    let total = CURVES.len() * widths.len() * seeds.clone().count();
    let mut trials = Trials::new(options, total)?;
    let mut rows = Vec::new();
    for (name, curve) in CURVES {
        for width in widths {
            let surrogate = curve(1.0)?.with_full_width_at_half_maximum(*width)?;
            let config = with_neuron(options.network(5)?, |neuron| {
                neuron.set("surrogate", surrogate)
            })?;
            for seed in seeds.clone() {
                let report = trials.run(&format!("{name}, width {width}"), &config, seed)?;
                let reached = |part: f64| {
                    let mut epochs = report.history.iter();
                    epochs.find(|epoch| epoch.validation.accuracy >= part)
                };
                rows.push(Row {
                    curve: name.to_owned(),
                    // The only parameter of each of the four.
                    a: surrogate.parameters()[0].1,
                    full_width_at_half_maximum: surrogate.full_width_at_half_maximum(),
                    seed,
                    first_validation_accuracy: report.history[0].validation.accuracy,
                    epochs_to_90_percent: reached(0.9).map(|epoch| epoch.epoch),
                    validation_accuracy: report.validation_accuracy,
                    test_accuracy: report.test_accuracy,
                    hidden_firing_rate: report.firing_rates["hidden"],
                    warnings: report.warnings.len(),
                });
            }
        }
    }
    Ok(rows)
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let rows = options.rows("width", || measure(options))?;
    // Each curve has its own formula, and is off in the last digits.
    let is = |row: &Row, width: f64| (row.full_width_at_half_maximum / width - 1.0).abs() < 1e-6;
    let mut widths = WIDTHS.to_vec();
    widths.retain(|width| rows.iter().any(|row| is(row, *width)));
    let panel = |title: &str, value: fn(&Row) -> f64| {
        let places = widths.iter().map(f64::to_string);
        let panel = Panel::new("full width at half maximum", title).with_places(places);
        CURVES.iter().fold(panel, |panel, (name, _)| {
            let points = widths.iter().enumerate().map(|(place, width)| {
                let rows = rows.iter();
                let rows = rows.filter(|row| row.curve == *name && is(row, *width));
                (place as f64, rows.map(value).collect())
            });
            panel.with_series(Series::new(*name, points))
        })
    };
    options.picture(
        "width",
        &SeriesPlot::new([
            panel("validation accuracy after one epoch", |row| {
                row.first_validation_accuracy
            }),
            panel("test accuracy", |row| row.test_accuracy),
        ]),
    )
}

fn main() -> ExitCode {
    analysis(
        "paper_width",
        "Train with derivative curves of different widths",
        run,
    )
}
