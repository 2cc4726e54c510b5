//! How many time steps does it take? Accuracy, firing rate, synaptic operations and time for T from 1 to 30.
//! `cargo run --release --example paper_time` writes `time_steps.csv`, `time_steps.svg` and `time_steps.png`.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use synfire::plot::{Panel, Series, SeriesPlot};
use synfire_examples::analysis::{AnalysisOptions, Trials, analysis, distinct};
use synfire_train::RunError;

#[derive(Serialize, Deserialize)]
struct Row {
    time_steps: usize,
    seed: u64,
    validation_accuracy: f64,
    test_accuracy: f64,
    hidden_firing_rate: f64,
    output_firing_rate: f64,
    synaptic_operations_per_sample: f64,
    milliseconds_per_training_sample: f64,
}

fn measure(options: &AnalysisOptions) -> Result<Vec<Row>, RunError> {
    let all: &[usize] = match options.smoke {
        true => &[1, 4],
        false => &[1, 2, 4, 8, 15, 30],
    };
    let seeds = options.seeds(5);
    let mut trials = Trials::new(options, all.len() * seeds.clone().count())?;
    let mut rows = Vec::new();
    for time_steps in all {
        let mut config = options.network(5)?;
        config.time_steps = *time_steps;
        for seed in seeds.clone() {
            let report = trials.run(&format!("T = {time_steps}"), &config, seed)?;
            rows.push(Row {
                time_steps: *time_steps,
                seed,
                validation_accuracy: report.validation_accuracy,
                test_accuracy: report.test_accuracy,
                hidden_firing_rate: report.firing_rates["hidden"],
                output_firing_rate: report.firing_rates["output"],
                synaptic_operations_per_sample: report.synaptic_operations_per_sample,
                milliseconds_per_training_sample: 1e3 / report.samples_per_second,
            });
        }
    }
    Ok(rows)
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let rows = options.rows("time_steps", || measure(options))?;
    let all = distinct(rows.iter().map(|row| row.time_steps));
    let panel = |title: &str, value: fn(&Row) -> f64| {
        let points = all.iter().enumerate().map(|(place, time_steps)| {
            let rows = rows.iter().filter(|row| row.time_steps == *time_steps);
            (place as f64, rows.map(value).collect())
        });
        let places = all.iter().map(usize::to_string);
        let panel = Panel::new("time steps T", title).with_places(places);
        panel.with_series(Series::new("", points))
    };
    options.picture(
        "time_steps",
        &SeriesPlot::new([
            panel("test accuracy", |row| row.test_accuracy),
            panel("firing rate of the hidden layer", |row| {
                row.hidden_firing_rate
            }),
            panel("synaptic operations of a sample, thousands", |row| {
                row.synaptic_operations_per_sample / 1e3
            }),
            panel("training time of a sample, ms", |row| {
                row.milliseconds_per_training_sample
            }),
        ]),
    )
}

fn main() -> ExitCode {
    analysis("paper_time", "Train with 1 to 30 time steps", run)
}
