//! Which gradient should go through the reset, and which forget gate should a neuron have? The linear gate
//! f(o) = tau (1 - o) of the authors' code and the paper's exponential one, f(o) = tau e^(-o/tau), each with its own
//! gradient, the other's, none through the reset, and none through time at all.
//! `cargo run --release --example paper_gates` writes `gates.csv`, `gates.svg` and `gates.png`.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use synfire::neuron::{Reset, ResetGradient, TemporalGradient};
use synfire::plot::{Marks, Panel, Series, SeriesPlot};
use synfire_examples::analysis::{AnalysisOptions, Trials, analysis, distinct, with_neuron};
use synfire_train::RunError;

#[derive(Serialize, Deserialize)]
struct Row {
    gate: String,
    tau: f64,
    gradient: String,
    seed: u64,
    validation_accuracy: f64,
    test_accuracy: f64,
    hidden_firing_rate: f64,
}

const GATES: [(&str, Reset); 2] = [
    ("linear gate", Reset::HARD),
    ("exponential gate", Reset::Exponential),
];

const GRADIENTS: [(&str, TemporalGradient); 4] = [
    ("linear", TemporalGradient::Full(ResetGradient::Linear)),
    (
        "exponential",
        TemporalGradient::Full(ResetGradient::Exponential),
    ),
    ("detached", TemporalGradient::Full(ResetGradient::Detached)),
    ("off", TemporalGradient::Off),
];

fn measure(options: &AnalysisOptions) -> Result<Vec<Row>, RunError> {
    let taus: &[f64] = if options.smoke { &[0.2] } else { &[0.2, 0.5] };
    let seeds = options.seeds(5);
    let total = taus.len() * GATES.len() * GRADIENTS.len() * seeds.clone().count();
    let mut trials = Trials::new(options, total)?;
    let mut rows = Vec::new();
    for tau in taus {
        for (gate, reset) in GATES {
            for (gradient, temporal_gradient) in GRADIENTS {
                let config = with_neuron(options.network(5)?, |neuron| {
                    neuron.set("reset", reset)?;
                    neuron.set("decay", *tau)?;
                    neuron.set("temporal_gradient", temporal_gradient)
                })?;
                for seed in seeds.clone() {
                    let name = format!("{gate}, tau {tau}, gradient {gradient}");
                    let report = trials.run(&name, &config, seed)?;
                    rows.push(Row {
                        gate: gate.to_owned(),
                        tau: *tau,
                        gradient: gradient.to_owned(),
                        seed,
                        validation_accuracy: report.validation_accuracy,
                        test_accuracy: report.test_accuracy,
                        hidden_firing_rate: report.firing_rates["hidden"],
                    });
                }
            }
        }
    }
    Ok(rows)
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let rows = options.rows("gates", || measure(options))?;
    let taus = distinct(rows.iter().map(|row| row.tau));
    let panels = taus.iter().map(|tau| {
        let title = format!("test accuracy, tau = {tau}");
        let panel = Panel::new("gradient through the reset", title)
            .with_places(GRADIENTS.map(|(name, _)| name))
            .with_marks(Marks::Points);
        GATES.iter().fold(panel, |panel, (gate, _)| {
            let points = GRADIENTS.iter().enumerate().map(|(place, (gradient, _))| {
                let rows = rows.iter().filter(|row| {
                    row.gate == *gate && row.gradient == *gradient && row.tau == *tau
                });
                (place as f64, rows.map(|row| row.test_accuracy).collect())
            });
            panel.with_series(Series::new(*gate, points))
        })
    });
    options.picture("gates", &SeriesPlot::new(panels))
}

fn main() -> ExitCode {
    analysis(
        "paper_gates",
        "Train with both forget gates and all gradients through the reset",
        run,
    )
}
