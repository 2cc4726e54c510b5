//! Do the four derivative curves of the STBP paper learn equally well?
//! `cargo run --release --example paper_curves` writes `curves.csv`, `curves.svg` and `curves.png`.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use synfire::plot::{Panel, Series, SeriesPlot};
use synfire::surrogate::Surrogate;
use synfire_examples::analysis::{AnalysisOptions, Trials, analysis, distinct, with_neuron};
use synfire_train::RunError;

#[derive(Serialize, Deserialize)]
struct Row {
    curve: String,
    a: f64,
    full_width_at_half_maximum: f64,
    seed: u64,
    epoch: usize,
    train_loss: f64,
    train_accuracy: f64,
    validation_loss: f64,
    validation_accuracy: f64,
    hidden_firing_rate: f64,
    /// Of the epoch that validation chose, in all rows of a run.
    test_accuracy: f64,
}

fn measure(options: &AnalysisOptions) -> Result<Vec<Row>, RunError> {
    // The paper's a = 1 for all of them, which are of different width.
    let curves = [
        ("rectangular", Surrogate::rectangular(1.0)?),
        ("polynomial", Surrogate::polynomial(1.0)?),
        ("sigmoid", Surrogate::sigmoid(1.0)?),
        ("Gaussian", Surrogate::gaussian(1.0)?),
    ];
    let seeds = options.seeds(5);
    let mut trials = Trials::new(options, curves.len() * seeds.clone().count())?;
    let mut rows = Vec::new();
    for (name, surrogate) in curves {
        let config = with_neuron(options.network(8)?, |neuron| {
            neuron.set("surrogate", surrogate)
        })?;
        for seed in seeds.clone() {
            let report = trials.run(name, &config, seed)?;
            rows.extend(report.history.iter().map(|epoch| Row {
                curve: name.to_owned(),
                a: 1.0,
                full_width_at_half_maximum: surrogate.full_width_at_half_maximum(),
                seed,
                epoch: epoch.epoch,
                train_loss: epoch.train.loss,
                train_accuracy: epoch.train.accuracy,
                validation_loss: epoch.validation.loss,
                validation_accuracy: epoch.validation.accuracy,
                hidden_firing_rate: epoch.validation.firing_rates[0],
                test_accuracy: report.test_accuracy,
            }));
        }
    }
    Ok(rows)
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let rows = options.rows("curves", || measure(options))?;
    let curves = distinct(rows.iter().map(|row| row.curve.as_str()));
    let panel = |title: &str, value: fn(&Row) -> f64| {
        let series = curves.iter().map(|name| {
            let of_epoch = |epoch: usize| {
                let rows = rows.iter();
                let rows = rows.filter(|row| row.curve == *name && row.epoch == epoch);
                (epoch as f64, rows.map(value).collect())
            };
            let epochs = rows.iter().map(|row| row.epoch).max().unwrap_or_default();
            Series::new(*name, (1..=epochs).map(of_epoch))
        });
        series.fold(Panel::new("epoch", title), Panel::with_series)
    };
    options.picture(
        "curves",
        &SeriesPlot::new([
            panel("validation accuracy", |row| row.validation_accuracy),
            panel("training loss", |row| row.train_loss),
        ]),
    )
}

fn main() -> ExitCode {
    analysis(
        "paper_curves",
        "Train with each of the paper's four derivative curves",
        run,
    )
}
