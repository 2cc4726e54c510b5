//! Writes the tables of docs/paper.md: of the experiments and of single trials out of the reports of their runs, of the
//! analyses out of the tables that they wrote. And the first table of README.md, out of the reports in docs/results/first.
//!
//! `cargo run --release --example paper_tables -- --add runs/paper` takes over the reports of the runs in that folder
//! first, `--add-first runs/first` those for README.md; `--check` only sees whether the documents have what the files say.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use synfire_data::write_atomically;
use synfire_examples::analysis::{deviation, mean, read_rows};
use synfire_examples::document::{entries, finish, put};
use synfire_train::RunConfig;
use synfire_train::report::Report;
use synfire_train::say;
use synfire_train::{RunError, exit_code};

/// Write the tables of docs/paper.md.
#[derive(Parser)]
#[command(name = "paper_tables")]
struct Cli {
    /// Folder with runs whose reports are taken over
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

/// Takes over the reports of finished runs, one line each: they have the figures of every epoch. They are called as their
/// folders, or by network, data and seed.
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
    (
        "stbp-cnn-pedestrian",
        "pedestrian patches",
        "(98.3 %, on other patches)",
    ),
    (
        "stbp-mlp-pedestrian",
        "pedestrian patches",
        "(98.3 %, on other patches)",
    ),
    (
        "stbp-mlp-nmnist",
        "N-MNIST, 800 + 100 recordings",
        "(98.78 %, on 60,000 + 10,000)",
    ),
];

fn percent(values: &[f64]) -> String {
    let mean = 100.0 * mean(values);
    match values.len() {
        1 => format!("{mean:.2} %"),
        _ => format!("{mean:.2} ± {:.2} %", 100.0 * deviation(values)),
    }
}

/// One row for each report, by the name of its file.
fn trials(folder: &Path) -> Result<String, RunError> {
    let mut table = String::from(
        "| trial | network | training samples | epochs | validation | test | options |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for path in entries(folder)? {
        let report = Report::from_file(&path)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let options = &report.command;
        table += &format!(
            "| [{name}](results/trials/{name}.json) | {} | {} | {} | {:.2} % | {:.2} % | `{options}` |\n",
            report.config.network.structure(),
            report.samples_train,
            report.epochs,
            100.0 * report.validation_accuracy,
            100.0 * report.test_accuracy,
        );
    }
    Ok(table)
}

fn experiments(folder: &Path) -> Result<String, RunError> {
    let mut groups: BTreeMap<String, Vec<Report>> = BTreeMap::new();
    for path in entries(folder)? {
        let report = Report::from_file(&path)?;
        groups.entry(report.experiment()).or_default().push(report);
    }
    let mut table = String::from(
        "| data | network | T | epochs | seeds | validation | test, mean ± deviation | test, lowest to highest | test of the seed that validation chose | the paper |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (experiment, data, published) in EXPERIMENTS {
        let Some(mut reports) = groups.remove(experiment) else {
            continue;
        };
        reports.sort_by_key(|report| report.seed);
        let first = &reports[0];
        for other in &reports {
            if let Some(name) = other_setting(&first.config, &other.config) {
                let reason = format!(
                    "seeds {} and {} of `{experiment}` differ in `{name}`",
                    first.seed, other.seed
                );
                return Err(RunError::damaged(folder)(reason));
            }
        }
        let test: Vec<_> = reports.iter().map(|report| report.test_accuracy).collect();
        let validation: Vec<_> = reports.iter().map(|r| r.validation_accuracy).collect();
        let chosen = chosen(&reports);
        let low = test.iter().copied().fold(f64::INFINITY, f64::min);
        let high = test.iter().copied().fold(0.0, f64::max);
        table += &format!(
            "| {data} | {} | {} | {} | {} | {} | {} | {:.2} to {:.2} % | {:.2} % (seed {}) | {published} |\n",
            first.config.network.structure(),
            first.time_steps,
            first.epochs,
            reports.len(),
            percent(&validation),
            percent(&test),
            100.0 * low,
            100.0 * high,
            100.0 * chosen.test_accuracy,
            chosen.seed
        );
    }
    match groups.keys().next() {
        Some(name) => Err(RunError::damaged(folder)(format!(
            "`{name}` is no experiment of the table"
        ))),
        None => Ok(table),
    }
}

/// One row for each command, over the seeds that it was run with.
fn first(folder: &Path) -> Result<String, RunError> {
    let mut groups: Vec<(String, Vec<Report>)> = Vec::new();
    for path in entries(folder)? {
        let report = Report::from_file(&path)?;
        let seed = format!(" --seed {}", report.seed);
        let command = report.command.replace(&seed, "");
        match groups.iter_mut().find(|(other, _)| *other == command) {
            Some((_, reports)) => reports.push(report),
            None => groups.push((command, vec![report])),
        }
    }
    // What takes longest first.
    let seconds = |reports: &[Report]| {
        let all: Vec<_> = reports
            .iter()
            .map(|report| report.seconds_training)
            .collect();
        mean(&all)
    };
    groups.sort_by(|(_, a), (_, b)| seconds(b).total_cmp(&seconds(a)));
    let mut table = String::from(
        "| command | test accuracy, mean | worst | seeds | test samples | training time |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for (command, reports) in groups {
        let test: Vec<_> = reports.iter().map(|report| report.test_accuracy).collect();
        let worst = test.iter().copied().fold(f64::INFINITY, f64::min);
        table += &format!(
            "| `{command}` | {:.1} % | {:.1} % | {} | {} | {:.0} s |\n",
            100.0 * mean(&test),
            100.0 * worst,
            reports.len(),
            reports[0].samples_test,
            seconds(&reports)
        );
    }
    Ok(table)
}

/// What two runs differ in, besides their seeds and where their data were.
fn other_setting(one: &RunConfig, other: &RunConfig) -> Option<String> {
    let differences = one.differences(other).into_iter();
    let mut names = differences.map(|(name, ..)| name);
    names.find(|name| name != "data" && name != "seed" && !name.ends_with(".seed"))
}

/// The run with the highest validation accuracy, the one with the lowest seed of several.
fn chosen(reports: &[Report]) -> &Report {
    reports
        .iter()
        .reduce(
            |best, next| match next.validation_accuracy > best.validation_accuracy {
                true => next,
                false => best,
            },
        )
        .expect("a group has a report")
}

/// A row of a table, by the names of its columns.
type Row = BTreeMap<String, String>;

/// Groups the rows by some columns, in their order, and shows the mean and deviation of others, over the seeds.
fn summary(path: &Path, by: &[&str], shown: &[Column]) -> Result<String, RunError> {
    let mut groups: Vec<(Vec<String>, Vec<Row>)> = Vec::new();
    for row in read_rows::<Row>(path)? {
        let field = |name: &&str| {
            let value = row.get(*name).cloned();
            value.ok_or_else(|| RunError::damaged(path)(format!("there is no column `{name}`")))
        };
        let key = by.iter().map(field).collect::<Result<Vec<_>, _>>()?;
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    let names = by.iter().map(|name| name.replace('_', " "));
    let names: Vec<_> = names
        .chain(shown.iter().map(|column| column.title.to_owned()))
        .collect();
    let mut table = format!(
        "| {} |\n|{}\n",
        names.join(" | "),
        " --- |".repeat(names.len())
    );
    for (key, rows) in groups {
        let mut cells: Vec<_> = key.iter().map(|value| number(value)).collect();
        for column in shown {
            let mut values = Vec::new();
            for row in &rows {
                let text = row.get(column.name).ok_or_else(|| {
                    RunError::damaged(path)(format!("there is no column `{}`", column.name))
                })?;
                if !text.is_empty() {
                    let value: f64 = text.parse().map_err(|error| {
                        RunError::damaged(path)(format!("`{}` is {text}: {error}", column.name))
                    })?;
                    values.push(value * column.scale);
                }
            }
            cells.push(match values.len() {
                0 => "never".to_owned(),
                n if n < rows.len() => format!(
                    "{:.*} ({n} of {})",
                    column.digits,
                    mean(&values),
                    rows.len()
                ),
                1 => format!("{:.*}", column.digits, values[0]),
                _ => format!(
                    "{:.*} ± {:.*}",
                    column.digits,
                    mean(&values),
                    column.digits,
                    deviation(&values)
                ),
            });
        }
        table += &format!("| {} |\n", cells.join(" | "));
    }
    Ok(table)
}

/// A number with as many digits as one wants to read, and what is none as it is.
fn number(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) => format!("{}", (value * 1e4).round() / 1e4),
        Err(_) => text.to_owned(),
    }
}

/// A column of a summary.
struct Column {
    name: &'static str,
    title: &'static str,
    scale: f64,
    digits: usize,
}

const fn column(name: &'static str, title: &'static str, scale: f64, digits: usize) -> Column {
    Column {
        name,
        title,
        scale,
        digits,
    }
}

const RATE: Column = column("hidden_firing_rate", "hidden firing rate", 1.0, 3);
const TEST: Column = column("test_accuracy", "test, %", 100.0, 2);

/// The analyses' tables, by the names of their blocks.
fn analyses(folder: &Path) -> Result<Vec<(&'static str, String)>, RunError> {
    let first = column(
        "first_validation_accuracy",
        "validation after one epoch, %",
        100.0,
        2,
    );
    let reached = column("epochs_to_90_percent", "epochs to 90 %", 1.0, 1);
    let tables: [(&str, &[&str], &[Column]); 5] = [
        ("curves", &["curve", "full_width_at_half_maximum"], &[TEST]),
        (
            "width",
            &["curve", "full_width_at_half_maximum"],
            &[first, reached, TEST, RATE],
        ),
        (
            "temporal",
            &["dataset", "decay"],
            &[
                column("stbp_test_accuracy", "STBP, test, %", 100.0, 2),
                column("sdbp_test_accuracy", "SDBP, test, %", 100.0, 2),
                column("difference", "difference, points", 100.0, 2),
            ],
        ),
        ("gates", &["tau", "gate", "gradient"], &[TEST, RATE]),
        (
            "time_steps",
            &["time_steps"],
            &[
                TEST,
                RATE,
                column(
                    "synaptic_operations_per_sample",
                    "synaptic operations of a sample, thousands",
                    1e-3,
                    0,
                ),
                column(
                    "milliseconds_per_training_sample",
                    "training time of a sample, ms",
                    1.0,
                    3,
                ),
            ],
        ),
    ];
    let mut blocks = Vec::new();
    for (name, by, shown) in tables {
        let path = folder.join(format!("{name}.csv"));
        blocks.push((name, summary(&path, by, shown)?));
    }
    Ok(blocks)
}

fn run(cli: &Cli) -> Result<(), RunError> {
    if let Some(runs) = &cli.add {
        add(runs, &cli.reports, false)?;
    }
    if let Some(runs) = &cli.add_first {
        add(runs, &cli.first, true)?;
    }
    let readme = fs::read_to_string(&cli.readme).map_err(RunError::io(&cli.readme))?;
    let filled = put(&readme, &cli.readme, "first", &first(&cli.first)?)?;
    finish(&cli.readme, &readme, &filled, cli.check)?;
    let path = &cli.document;
    let old = fs::read_to_string(path).map_err(RunError::io(path))?;
    let mut new = put(&old, path, "experiments", &experiments(&cli.reports)?)?;
    new = put(&new, path, "trials", &trials(&cli.trials)?)?;
    for (block, table) in analyses(&cli.analyses)? {
        new = put(&new, path, block, &table)?;
    }
    finish(path, &old, &new, cli.check)
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}
