//! Comparison of forget gates and of gradients through the reset: the linear gate f(o) = tau (1 - o) of the authors' code
//! and the paper's exponential one, f(o) = tau e^(-o/tau), each with its own gradient, the other's, none through the
//! reset, and none through time.
//! `cargo run --release --example paper_gates` writes `gates.csv`, `gates.svg` and `gates.png`.

use std::process::ExitCode;

use synfire::plot::Marks;
use synfire_examples::analysis::{AnalysisOptions, Row, Variant, analysis, panel};
use synfire_train::{Report, RunError};

/// The gates, and the resets that are such gates.
const GATES: [(&str, &str); 2] = [("linear gate", "hard"), ("exponential gate", "exponential")];

const GRADIENTS: [&str; 4] = ["linear", "exponential", "detached", "off"];

fn rows([report]: [Report; 1]) -> [Row; 1] {
    [vec![
        ("validation_accuracy", report.validation_accuracy.into()),
        ("test_accuracy", report.test_accuracy.into()),
        ("hidden_firing_rate", report.firing_rates["hidden"].into()),
    ]]
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let taus: &[f64] = if options.smoke { &[0.2] } else { &[0.2, 0.5] };
    let mut variants = Vec::new();
    for tau in taus {
        for (gate, reset) in GATES {
            for gradient in GRADIENTS {
                let config = options.network(5).with([
                    ("network.neuron.reset", reset),
                    ("network.neuron.decay", &tau.to_string()),
                    ("network.neuron.temporal_gradient", gradient),
                ])?;
                variants.push(Variant {
                    key: vec![
                        ("gate", gate.into()),
                        ("tau", (*tau).into()),
                        ("gradient", gradient.into()),
                    ],
                    runs: [(format!("{gate}, tau {tau}, gradient {gradient}"), config)],
                });
            }
        }
    }
    let table = options.table("gates", 5, &variants, rows)?;
    let mut panels = Vec::new();
    for (tau, rows) in table.split(&["tau"])? {
        let title = format!("test accuracy, tau = {tau}");
        let gates = rows.lines("gate", "gradient", "test_accuracy")?;
        let panel = panel("gradient through the reset", &title, gates);
        panels.push(panel.with_marks(Marks::Points));
    }
    options.picture("gates", panels)
}

fn main() -> ExitCode {
    let about = "Train with both forget gates and all gradients through the reset";
    analysis("paper_gates", about, run)
}
