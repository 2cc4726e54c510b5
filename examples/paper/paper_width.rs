//! Effect of the width of derivative curves: widths over two decades, given as full width at half maximum, so that curves
//! are comparable.
//! `cargo run --release --example paper_width` writes `width.csv`, `width.svg` and `width.png`.

use std::process::ExitCode;

use synfire_examples::analysis::{AnalysisOptions, Row, Variant, analysis, curves, panel};
use synfire_train::{Report, RunError};

fn rows([report]: [Report; 1]) -> [Row; 1] {
    // After one epoch: how fast it learns.
    let first = report.history[0].validation.accuracy;
    let mut epochs = report.history.iter();
    let reached = epochs.find(|epoch| epoch.validation.accuracy >= 0.9);
    let reached = reached.map(|epoch| epoch.epoch);
    [vec![
        ("first_validation_accuracy", first.into()),
        ("epochs_to_90_percent", reached.into()),
        ("validation_accuracy", report.validation_accuracy.into()),
        ("test_accuracy", report.test_accuracy.into()),
        ("hidden_firing_rate", report.firing_rates["hidden"].into()),
        // Layers that never or always fired in an epoch.
        ("warnings", report.warnings.len().into()),
    ]]
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    // Two decades.
    let widths: &[f64] = match options.smoke {
        true => &[0.1, 1.0],
        false => &[0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
    };
    let config = options.network(5);
    let mut variants = Vec::new();
    for (curve, surrogate) in curves()? {
        for width in widths {
            let surrogate = surrogate.with_full_width_at_half_maximum(*width)?;
            let name = format!("{curve}, width {width}");
            variants.push(Variant::of_curve(name, &config, curve, surrogate)?);
        }
    }
    let table = options.table("width", 3, &variants, rows)?;
    let panel = |title, value| {
        let lines = table.lines("curve", "full_width_at_half_maximum", value)?;
        Ok::<_, RunError>(panel("full width at half maximum", title, lines))
    };
    let title = "validation accuracy after one epoch";
    let first = panel(title, "first_validation_accuracy")?;
    options.picture("width", [first, panel("test accuracy", "test_accuracy")?])
}

fn main() -> ExitCode {
    let about = "Train with derivative curves of different widths";
    analysis("paper_width", about, run)
}
