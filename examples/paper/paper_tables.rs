//! Writes the tables of docs/paper.md: of the experiments and of single trials out of the reports of their runs, of the
//! analyses out of the tables that they wrote. And the first table of README.md, out of the reports in docs/results/first.
//!
//! `cargo run --release --example paper_tables -- --add runs/paper` takes over the reports of the runs in that folder
//! first, `--add-first runs/first` those for README.md; `--check` only compares the documents with the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use synfire_data::write_atomically;
use synfire_examples::analysis::{Table, deviation};
use synfire_examples::document::{entries, reports, update};
use synfire_train::report::{Spread, percent, table_head};
use synfire_train::{Report, RunConfig, RunError, exit_code, say};

/// Write the tables of docs/paper.md.
#[derive(Parser)]
#[command(name = "paper_tables")]
struct Cli {
    /// Folder with runs whose reports are added
    #[arg(long, value_name = "DIR")]
    add: Option<PathBuf>,
    /// The same for the table of README.md
    #[arg(long, value_name = "DIR")]
    add_first: Option<PathBuf>,
    /// Write nothing, and fail if there is something to write
    #[arg(long)]
    check: bool,
    /// The document
    #[arg(long, value_name = "FILE", default_value = "docs/paper.md")]
    document: PathBuf,
    /// The document with the table of the first commands
    #[arg(long, value_name = "FILE", default_value = "README.md")]
    readme: PathBuf,
    /// Folder with the reports for that table
    #[arg(long, value_name = "DIR", default_value = "docs/results/first")]
    first: PathBuf,
    /// Folder with the reports
    #[arg(long, value_name = "DIR", default_value = "docs/results/paper")]
    reports: PathBuf,
    /// Folder with reports of single trials
    #[arg(long, value_name = "DIR", default_value = "docs/results/trials")]
    trials: PathBuf,
    /// Folder with the tables of the analyses
    #[arg(long, value_name = "DIR", default_value = "docs/paper")]
    analyses: PathBuf,
}

/// Adds the reports of finished runs, one line each, with the figures of every epoch. Files are named after the folders of
/// the runs, or by network, data and seed.
fn add(runs: &Path, reports: &Path, by_folder: bool) -> Result<(), RunError> {
    fs::create_dir_all(reports).map_err(RunError::io(reports))?;
    for run in entries(runs)? {
        if !run.join("report.json").is_file() {
            continue;
        }
        let report = Report::read(&run)?;
        let name = match run.file_name() {
            Some(name) if by_folder => format!("{}.json", name.to_string_lossy()),
            _ => format!("{}-{}.json", report.experiment(), report.seed),
        };
        let path = reports.join(name);
        let line = serde_json::to_string(&report).map_err(RunError::damaged(&path))?;
        write_atomically(&path, |file| writeln!(file, "{line}")).map_err(RunError::io(&path))?;
        say!("{}", path.display());
    }
    Ok(())
}

/// Published results on patches of pedestrians.
const PATCHES: &str = "(98.3 %, on other patches)";

/// The experiments in the order of the table, with what others published.
const EXPERIMENTS: [(&str, &str, &str); 8] = [
    ("stbp-mlp-mnist", "MNIST", "98.89 %"),
    ("stbp-cnn-mnist", "MNIST", "99.42 %"),
    ("stbp-cnn-norm-mnist", "MNIST", ""),
    (
        "stbp-cnn-authors-mnist",
        "MNIST, network of the authors' code",
        "",
    ),
    (
        "stbp-cnn-fashion-mnist",
        "Fashion-MNIST",
        "(92.8 %, TSSL-BP)",
    ),
    ("stbp-cnn-pedestrian", "pedestrian patches", PATCHES),
    ("stbp-mlp-pedestrian", "pedestrian patches", PATCHES),
    (
        "stbp-mlp-nmnist",
        "N-MNIST, 800 + 100 recordings",
        "(98.78 %, on 60,000 + 10,000)",
    ),
];

/// The mean of some values in a unit, and their deviation if there are several.
fn spread(values: &[f64], unit: f64, digits: usize) -> String {
    let mean = unit * Spread::new(values).mean;
    match values.len() {
        1 => format!("{mean:.digits$}"),
        _ => format!("{mean:.digits$} ± {:.digits$}", unit * deviation(values)),
    }
}

/// A row for each report, sorted by file name.
fn trials(folder: &Path) -> Result<String, RunError> {
    let mut table =
        table_head("trial | network | training samples | epochs | validation | test | options");
    for (name, report) in reports(folder)? {
        table += &format!(
            "| [{name}](results/trials/{name}.json) | {} | {} | {} | {} | {} | `{}` |\n",
            report.config.network.structure(),
            report.samples_train,
            report.epochs,
            percent(report.validation_accuracy),
            percent(report.test_accuracy),
            report.command,
        );
    }
    Ok(table)
}

/// The reports in a folder by what is the same for all seeds.
fn groups(
    folder: &Path,
    key: impl Fn(&Report) -> String,
) -> Result<BTreeMap<String, Vec<Report>>, RunError> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (_, report) in reports(folder)? {
        groups.entry(key(&report)).or_default().push(report);
    }
    Ok(groups)
}

/// A figure of each report.
fn figures(reports: &[Report], figure: impl Fn(&Report) -> f64) -> Vec<f64> {
    reports.iter().map(figure).collect()
}

fn experiments(folder: &Path) -> Result<String, RunError> {
    let mut groups = groups(folder, Report::experiment)?;
    let mut table = table_head(
        "data | network | T | epochs | seeds | validation | test, mean ± deviation | test, lowest to highest | test of the seed that validation chose | the paper",
    );
    for (experiment, data, published) in EXPERIMENTS {
        let Some(mut reports) = groups.remove(experiment) else {
            continue;
        };
        reports.sort_by_key(|report| report.seed);
        let first = &reports[0];
        for other in &reports {
            if let Some(name) = other_setting(&first.config, &other.config) {
                let (one, other) = (first.seed, other.seed);
                let reason =
                    format!("seeds {one} and {other} of `{experiment}` differ in `{name}`");
                return Err(RunError::damaged(folder)(reason));
            }
        }
        let validation = figures(&reports, |report| report.validation_accuracy);
        let test = figures(&reports, |report| report.test_accuracy);
        let of_test = Spread::new(&test);
        let chosen = chosen(&reports);
        table += &format!(
            "| {data} | {} | {} | {} | {} | {} % | {} % | {:.2} to {} | {} (seed {}) | {published} |\n",
            first.config.network.structure(),
            first.time_steps,
            first.epochs,
            reports.len(),
            spread(&validation, 100.0, 2),
            spread(&test, 100.0, 2),
            100.0 * of_test.least,
            percent(of_test.most),
            percent(chosen.test_accuracy),
            chosen.seed
        );
    }
    if let Some(name) = groups.keys().next() {
        let reason = format!("`{name}` is no experiment of the table");
        return Err(RunError::damaged(folder)(reason));
    }
    Ok(table)
}

/// A row for each command, over its seeds.
fn first(folder: &Path) -> Result<String, RunError> {
    let seconds = |reports: &[Report]| {
        let seconds = figures(reports, |report| report.seconds_training);
        Spread::new(&seconds).mean
    };
    let groups = groups(folder, Report::command_of_any_seed)?;
    let mut groups: Vec<_> = groups.into_iter().collect();
    // The longest training first.
    groups.sort_by(|(_, one), (_, other)| seconds(other).total_cmp(&seconds(one)));
    let mut table =
        table_head("command | test accuracy, mean | worst | seeds | test samples | training time");
    for (command, reports) in groups {
        let test = Spread::new(&figures(&reports, |report| report.test_accuracy));
        table += &format!(
            "| `{command}` | {:.1} % | {:.1} % | {} | {} | {:.0} s |\n",
            100.0 * test.mean,
            100.0 * test.least,
            reports.len(),
            reports[0].samples_test,
            seconds(&reports)
        );
    }
    Ok(table)
}

/// Difference between two runs, other than seeds and sources of data.
fn other_setting(one: &RunConfig, other: &RunConfig) -> Option<String> {
    let differences = one.differences(other).into_iter();
    let mut names = differences.map(|(name, ..)| name);
    names.find(|name| name != "data" && name != "seed" && !name.ends_with(".seed"))
}

/// The run with the highest validation accuracy; the lowest seed breaks ties.
fn chosen(reports: &[Report]) -> &Report {
    let accuracy = |report: &&Report| report.validation_accuracy;
    // The last one of several is the maximum.
    let reports = reports.iter().rev();
    let chosen = reports.max_by(|one, other| accuracy(one).total_cmp(&accuracy(other)));
    chosen.expect("a group has a report")
}

/// A column of a summary: its name in the file and in the table, what a number is multiplied by, and its digits.
type Column = (&'static str, &'static str, f64, usize);

const RATE: Column = ("hidden_firing_rate", "hidden firing rate", 1.0, 3);
const TEST: Column = ("test_accuracy", "test, %", 100.0, 2);

/// The tables of the analyses: their names, the columns that tell the rows from each other, and those that are shown.
const ANALYSES: [(&str, &[&str], &[Column]); 5] = [
    ("curves", &["curve", "full_width_at_half_maximum"], &[TEST]),
    (
        "width",
        &["curve", "full_width_at_half_maximum"],
        &[
            (
                "first_validation_accuracy",
                "validation after one epoch, %",
                100.0,
                2,
            ),
            ("epochs_to_90_percent", "epochs to 90 %", 1.0, 1),
            TEST,
            RATE,
        ],
    ),
    (
        "temporal",
        &["dataset", "decay"],
        &[
            ("stbp_test_accuracy", "STBP, test, %", 100.0, 2),
            ("sdbp_test_accuracy", "SDBP, test, %", 100.0, 2),
            ("difference", "difference, points", 100.0, 2),
        ],
    ),
    ("gates", &["tau", "gate", "gradient"], &[TEST, RATE]),
    (
        "time_steps",
        &["time_steps"],
        &[
            TEST,
            RATE,
            (
                "synaptic_operations_per_sample",
                "synaptic operations of a sample, thousands",
                1e-3,
                0,
            ),
            (
                "milliseconds_per_training_sample",
                "training time of a sample, ms",
                1.0,
                3,
            ),
        ],
    ),
];

/// Groups the rows of an analysis by some columns, and shows the mean and deviation of others, over the seeds.
fn summary(path: &Path, by: &[&str], shown: &[Column]) -> Result<String, RunError> {
    let titles = shown.iter().map(|(_, title, ..)| (*title).to_owned());
    let names = by.iter().map(|name| name.replace('_', " "));
    let names: Vec<_> = names.chain(titles).collect();
    let mut table = table_head(&names.join(" | "));
    for (key, rows) in Table::read(path)?.split(by)? {
        table += &format!("| {key} |");
        for (name, _, unit, digits) in shown {
            let mut values = rows.numbers(name)?;
            let all = values.len();
            values.retain(|value| !value.is_nan());
            let text = match values.len() {
                0 => "never".to_owned(),
                n if n < all => format!(
                    "{:.digits$} ({n} of {all})",
                    unit * Spread::new(&values).mean
                ),
                _ => spread(&values, *unit, *digits),
            };
            table += &format!(" {text} |");
        }
        table += "\n";
    }
    Ok(table)
}

fn run(cli: &Cli) -> Result<(), RunError> {
    if let Some(runs) = &cli.add {
        add(runs, &cli.reports, false)?;
    }
    if let Some(runs) = &cli.add_first {
        add(runs, &cli.first, true)?;
    }
    let first = first(&cli.first)?;
    update(&cli.readme, &[("first", first)], cli.check)?;
    let mut blocks = vec![
        ("experiments", experiments(&cli.reports)?),
        ("trials", trials(&cli.trials)?),
    ];
    for (name, by, shown) in ANALYSES {
        let path = cli.analyses.join(format!("{name}.csv"));
        blocks.push((name, summary(&path, by, shown)?));
    }
    update(&cli.document, &blocks, cli.check)
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
