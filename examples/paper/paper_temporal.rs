//! Benefit of gradients through time (the STBP paper's comparison with SDBP, which has none): the same networks with the
//! same seeds, with gradients through time and without.
//! `cargo run --release --example paper_temporal -- --nmnist DIR` writes `temporal.csv`, `temporal.svg` and
//! `temporal.png`; `-- --out DIR` does so of MNIST alone.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use synfire::plot::Marks;
use synfire_examples::analysis::{AnalysisOptions, Row, Variant, deviation, panel};
use synfire_train::report::Spread;
use synfire_train::{Report, RunConfig, RunError, exit_code, say};

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

/// With gradients through time (STBP), and without (SDBP).
fn rows([stbp, sdbp]: [Report; 2]) -> [Row; 1] {
    let difference = stbp.test_accuracy - sdbp.test_accuracy;
    [vec![
        ("stbp_validation_accuracy", stbp.validation_accuracy.into()),
        ("stbp_test_accuracy", stbp.test_accuracy.into()),
        ("sdbp_validation_accuracy", sdbp.validation_accuracy.into()),
        ("sdbp_test_accuracy", sdbp.test_accuracy.into()),
        // STBP above SDBP on the test samples.
        ("difference", difference.into()),
    ]]
}

fn variants(cli: &Cli) -> Result<Vec<Variant<2>>, RunError> {
    let options = &cli.options;
    let mut networks = vec![("MNIST", options.network(5))];
    if let Some(folder) = &cli.nmnist {
        let nmnist = RunConfig::default().with([
            ("dataset", "nmnist"),
            ("batch_size", "50"),
            ("augmentation.shift", "2"),
        ])?;
        let nmnist = RunConfig {
            data: folder.display().to_string(),
            ..options.configure(nmnist, 25)
        };
        networks.push(("N-MNIST", nmnist));
    }
    // How much of its past a neuron carries on.
    let decays: &[f64] = match options.smoke {
        true => &[0.2],
        false => &[0.2, 0.5, 0.9],
    };
    let mut variants = Vec::new();
    for (dataset, config) in &networks {
        for decay in decays {
            let stbp = config.with([("network.neuron.decay", decay.to_string())])?;
            let sdbp = stbp.with([("network.neuron.temporal_gradient", "off")])?;
            variants.push(Variant {
                key: vec![("dataset", (*dataset).into()), ("decay", (*decay).into())],
                runs: [("STBP", stbp), ("SDBP", sdbp)].map(|(method, config)| {
                    (format!("{dataset}, decay {decay}, {method}"), config)
                }),
            });
        }
    }
    Ok(variants)
}

fn run(cli: &Cli) -> Result<(), RunError> {
    let table = cli.options.table("temporal", 5, &variants(cli)?, rows)?;
    let mut panels = Vec::new();
    for (dataset, rows) in table.split(&["dataset"])? {
        for (decay, differences) in rows.points("decay", "difference")? {
            say!(
                "{dataset}, decay {decay}: STBP above SDBP by {:.3} % of the test samples, standard deviation {:.3}, {} seeds",
                100.0 * Spread::new(&differences).mean,
                100.0 * deviation(&differences),
                differences.len()
            );
        }
        let lines = [
            ("STBP", rows.points("decay", "stbp_test_accuracy")?),
            ("SDBP", rows.points("decay", "sdbp_test_accuracy")?),
        ];
        let panel = panel("decay", &format!("test accuracy, {dataset}"), lines);
        panels.push(panel.with_marks(Marks::Points));
    }
    cli.options.picture("temporal", panels)
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
