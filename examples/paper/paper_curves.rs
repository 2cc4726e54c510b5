//! Do the four derivative curves of the STBP paper learn equally well?
//! `cargo run --release --example paper_curves` writes `curves.csv`, `curves.svg` and `curves.png`.

use std::process::ExitCode;

use synfire::plot::{Panel, Series};
use synfire_examples::analysis::{AnalysisOptions, Row, Variant, analysis, curves};
use synfire_train::history::EpochRecord;
use synfire_train::{Report, RunError};

/// A row for each epoch.
fn rows([report]: [Report; 1]) -> Vec<Row> {
    let epochs = report.history.iter();
    let row = |epoch: &EpochRecord| {
        let rates = &epoch.validation.firing_rates;
        vec![
            ("epoch", epoch.epoch.into()),
            ("train_loss", epoch.train.loss.into()),
            ("train_accuracy", epoch.train.accuracy.into()),
            ("validation_loss", epoch.validation.loss.into()),
            ("validation_accuracy", epoch.validation.accuracy.into()),
            ("hidden_firing_rate", rates[0].into()),
            // Of the epoch that validation chose, in all rows of a run.
            ("test_accuracy", report.test_accuracy.into()),
        ]
    };
    epochs.map(row).collect()
}

fn run(options: &AnalysisOptions) -> Result<(), RunError> {
    let config = options.network(8);
    let mut variants = Vec::new();
    // The paper's a = 1 for all of them, which are of different width.
    for (name, surrogate) in curves()? {
        variants.push(Variant::of_curve(
            name.to_owned(),
            &config,
            name,
            surrogate,
        )?);
    }
    let table = options.table("curves", 5, &variants, rows)?;
    let panel = |title: &str, value: &str| -> Result<Panel, RunError> {
        let mut panel = Panel::new("epoch", title);
        for (curve, points) in table.lines("curve", "epoch", value)? {
            // Epochs are counted from 1.
            let points = (1..).zip(points);
            let points = points.map(|(epoch, (_, values))| (f64::from(epoch), values));
            panel = panel.with_series(Series::new(curve, points));
        }
        Ok(panel)
    };
    let accuracy = panel("validation accuracy", "validation_accuracy")?;
    options.picture("curves", [accuracy, panel("training loss", "train_loss")?])
}

fn main() -> ExitCode {
    let about = "Train with each of the paper's four derivative curves";
    analysis("paper_curves", about, run)
}
