//! Effect of the number of time steps: accuracy, firing rate, synaptic operations and time for T from 1 to 30.
//! `cargo run --release --example paper_time` writes `time_steps.csv`, `time_steps.svg` and `time_steps.png`.

use std::process::ExitCode;

use synfire_examples::analysis::{AnalysisOptions, Row, Variant, analysis, panel};
use synfire_train::{Report, RunConfig, RunError};

fn rows([report]: [Report; 1]) -> [Row; 1] {
    let operations = report.synaptic_operations_per_sample;
    let milliseconds = 1e3 / report.samples_per_second;
    [vec![
        ("validation_accuracy", report.validation_accuracy.into()),
        ("test_accuracy", report.test_accuracy.into()),
        ("hidden_firing_rate", report.firing_rates["hidden"].into()),
        ("output_firing_rate", report.firing_rates["output"].into()),
        ("synaptic_operations_per_sample", operations.into()),
        ("milliseconds_per_training_sample", milliseconds.into()),
    ]]
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let all: &[usize] = match options.smoke {
        true => &[1, 4],
        false => &[1, 2, 4, 8, 15, 30],
    };
    let variant = |time_steps: &usize| {
        let config = RunConfig {
            time_steps: *time_steps,
            ..options.network(5)
        };
        Variant {
            key: vec![("time_steps", (*time_steps).into())],
            runs: [(format!("T = {time_steps}"), config)],
        }
    };
    let variants: Vec<_> = all.iter().map(variant).collect();
    let table = options.table("time_steps", 5, &variants, rows)?;
    let mut panels = Vec::new();
    for (title, value, unit) in [
        ("test accuracy", "test_accuracy", 1.0),
        ("firing rate of the hidden layer", "hidden_firing_rate", 1.0),
        (
            "synaptic operations of a sample, thousands",
            "synaptic_operations_per_sample",
            1e3,
        ),
        (
            "training time of a sample, ms",
            "milliseconds_per_training_sample",
            1.0,
        ),
    ] {
        let mut points = table.points("time_steps", value)?;
        let values = points.iter_mut().flat_map(|(_, values)| values);
        values.for_each(|value| *value /= unit);
        panels.push(panel("time steps T", title, [("", points)]));
    }
    options.picture("time_steps", panels)
}

fn main() -> ExitCode {
    analysis("paper_time", "Train with 1 to 30 time steps", run)
}
