//! Shared code of the analyses of the paper: many small runs that differ in one setting, their tables and plots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Command, FromArgMatches};
use csv::{Position, StringRecord};
use serde_json::Value;
use synfire::InvalidConfig;
use synfire::plot::{Panel, Series, SeriesPlot};
use synfire::surrogate::Surrogate;
use synfire_data::{read_regular, write_atomically};
use synfire_models::StbpMlpConfig;
use synfire_train::report::{Spread, percent, save_picture};
use synfire_train::{Output, Report, RunConfig, RunError, Trainer, exit_code, say};

/// Options of an analysis. Without `--out` it only writes to docs/paper with its default settings.
#[derive(Args, Clone, Debug)]
pub struct AnalysisOptions {
    /// Folder for the table and the pictures [default: docs/paper]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of seeds [default: as many as the figures of docs/paper were made with]
    #[arg(long, value_name = "N", requires = "out", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: Option<u64>,
    /// Training samples of each run [default: 10000]
    #[arg(long, value_name = "N", requires = "out", conflicts_with = "smoke")]
    pub samples: Option<usize>,
    /// Epochs of each run [default: as many as the figures of docs/paper were made with]
    #[arg(long, value_name = "N", requires = "out")]
    pub epochs: Option<usize>,
    /// Source of MNIST: `auto`, `embedded` or a folder
    #[arg(long, value_name = "auto|embedded|DIR", default_value = "auto")]
    #[arg(conflicts_with = "smoke")]
    pub data: String,
    /// Only test that it works: one seed, a small network, few steps, the embedded digits
    #[arg(long, requires = "out")]
    pub smoke: bool,
    /// Only redraw the pictures from the existing table
    #[arg(long, conflicts_with_all = ["seeds", "samples", "epochs", "smoke"])]
    pub draw: bool,
    /// Device
    #[arg(long, default_value = "auto")]
    pub device: String,
}

impl AnalysisOptions {
    /// The network of the analyses: 784-400-10 on MNIST, T = 10, as the training scripts have it otherwise.
    pub fn network(&self, epochs: usize) -> RunConfig {
        self.configure(RunConfig::default(), epochs)
    }

    /// A fully connected network, reduced with `--smoke`.
    pub fn configure(&self, config: RunConfig, epochs: usize) -> RunConfig {
        let samples = self.samples.unwrap_or(10_000);
        let (hidden, time_steps, epochs, samples, data) = match self.smoke {
            true => (100, 4, 2, 3_000, "embedded"),
            false => (400, config.time_steps, epochs, samples, &*self.data),
        };
        let [inputs, classes] = [config.sample.iter().product(), config.network.classes()];
        let network = StbpMlpConfig::new().with_sizes(vec![inputs, hidden, classes]);
        RunConfig {
            network: network.into(),
            time_steps,
            epochs: self.epochs.unwrap_or(epochs),
            samples: Some(samples),
            data: data.to_owned(),
            ..config
        }
    }

    /// The folder of this analysis, which is created.
    fn folder(&self) -> Result<&Path, RunError> {
        let folder = self.out.as_deref().unwrap_or(Path::new("docs/paper"));
        fs::create_dir_all(folder).map_err(RunError::io(folder))?;
        Ok(folder)
    }

    /// The table of an analysis. The variants are trained with so many seeds, if nothing else is said, and `rows` gives the
    /// figures of the reports of each; key, seed and figures are written as CSV. Where pictures are only to be drawn again, it
    /// is the table that was written before.
    ///
    /// # Errors
    ///
    /// If training fails, or the file cannot be written or read.
    pub fn table<const RUNS: usize, Rows: IntoIterator<Item = Row>>(
        &self,
        name: &str,
        seeds: u64,
        variants: &[Variant<RUNS>],
        rows: impl Fn([Report; RUNS]) -> Rows,
    ) -> Result<Table, RunError> {
        let path = self.folder()?.join(format!("{name}.csv"));
        if self.draw {
            return Table::read(&path);
        }
        let seeds = self.seeds.unwrap_or(if self.smoke { 1 } else { seeds });
        let total = variants.len() * seeds as usize * RUNS;
        let (mut done, started) = (0, Instant::now());
        let mut all = Vec::new();
        for variant in variants {
            for seed in 0..seeds {
                let mut reports = Vec::new();
                for (name, config) in &variant.runs {
                    let report = self.train(config, seed)?;
                    done += 1;
                    let minutes = started.elapsed().as_secs_f64() / 60.0;
                    say!(
                        "{done:>3}/{total}  {name}, seed {seed}: validation {}, test {}, left {:.1} min",
                        percent(report.validation_accuracy),
                        percent(report.test_accuracy),
                        minutes / done as f64 * (total - done) as f64
                    );
                    reports.push(report);
                }
                let reports = reports.try_into().expect("each run has a report");
                let key = [&*variant.key, &[("seed", seed.into())]].concat();
                all.extend(rows(reports).into_iter().map(|row| [&*key, &row].concat()));
            }
        }
        write_rows(&path, &all)?;
        Table::read(&path)
    }

    /// Trains in a folder that does not stay.
    fn train(&self, config: &RunConfig, seed: u64) -> Result<Report, RunError> {
        let folder = tempfile::tempdir().map_err(RunError::io(std::env::temp_dir()))?;
        let trainer = Trainer::new()
            .with_device(&self.device)
            .with_out(folder.path().join("run"))
            .with_output(Output::Nothing);
        let (report, _) = trainer.train(config.with([("seed", seed.to_string())])?)?;
        Ok(report)
    }

    /// Draws panels as SVG and as PNG.
    ///
    /// # Errors
    ///
    /// If they cannot be drawn or written.
    pub fn picture(
        &self,
        name: &str,
        panels: impl IntoIterator<Item = Panel>,
    ) -> Result<(), RunError> {
        let picture = SeriesPlot::new(panels);
        for path in save_picture(self.folder()?, name, &picture)? {
            say!("{}", path.display());
        }
        Ok(())
    }
}

/// The main function of an analysis that has no other options.
pub fn analysis(
    name: &'static str,
    about: &'static str,
    run: impl FnOnce(&AnalysisOptions) -> Result<(), RunError>,
) -> ExitCode {
    let matches = AnalysisOptions::augment_args(Command::new(name).about(about)).get_matches();
    let options = AnalysisOptions::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    exit_code(run(&options))
}

/// Columns of a table, and what a row has there.
pub type Row = Vec<(&'static str, Value)>;

/// One of the things that an analysis compares: the columns that tell it from the others, and its runs with their names, whose
/// reports give a row together.
#[derive(Debug)]
pub struct Variant<const RUNS: usize> {
    /// The first columns of its rows.
    pub key: Row,
    /// The runs that are trained with each seed.
    pub runs: [(String, RunConfig); RUNS],
}

/// The curves of the STBP paper with its a = 1, by their names.
///
/// # Errors
///
/// None: 1 is in the range of each.
pub fn curves() -> Result<[(&'static str, Surrogate); 4], InvalidConfig> {
    Ok([
        ("rectangular", Surrogate::rectangular(1.0)?),
        ("polynomial", Surrogate::polynomial(1.0)?),
        ("sigmoid", Surrogate::sigmoid(1.0)?),
        ("Gaussian", Surrogate::gaussian(1.0)?),
    ])
}

impl Variant<1> {
    /// A run, called `name`, whose neurons have one of the [curves].
    ///
    /// # Errors
    ///
    /// If the configuration is invalid.
    pub fn of_curve(
        name: String,
        config: &RunConfig,
        curve: &str,
        surrogate: Surrogate,
    ) -> Result<Self, RunError> {
        // The only parameter of each of the four.
        let a = surrogate.parameters()[0].1;
        let width = surrogate.full_width_at_half_maximum();
        let config = config.with([
            ("network.neuron.surrogate", surrogate.curve().id()),
            ("network.neuron.surrogate.a", &a.to_string()),
        ])?;
        let key = vec![
            ("curve", curve.into()),
            ("a", a.into()),
            ("full_width_at_half_maximum", width.into()),
        ];
        let runs = [(name, config)];
        Ok(Self { key, runs })
    }
}

/// Writes rows as CSV, with the names of their columns at the top.
fn write_rows(path: &Path, rows: &[Row]) -> Result<(), RunError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = rows.first().into_iter().flatten().map(|(column, _)| column);
    let damaged = || RunError::damaged(path);
    writer.write_record(columns).map_err(damaged())?;
    for row in rows {
        let values: Vec<_> = row.iter().map(|(_, value)| value).collect();
        writer.serialize(values).map_err(damaged())?;
    }
    let bytes = writer.into_inner().map_err(RunError::damaged(path))?;
    write_atomically(path, |file| file.write_all(&bytes)).map_err(RunError::io(path))?;
    say!("{}", path.display());
    Ok(())
}

/// A table that an analysis wrote, or some of its rows.
#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    columns: StringRecord,
    rows: Vec<StringRecord>,
}

/// Values by the places of an axis, a value for each seed.
pub type Points = Vec<(String, Vec<f64>)>;

impl Table {
    /// Reads CSV with the names of the columns at the top.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is damaged.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = read_regular(path).map_err(RunError::io(path))?;
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let columns = reader.headers().map_err(RunError::damaged(path))?.clone();
        let rows: Result<_, _> = reader.into_records().collect();
        Ok(Self {
            path: path.to_owned(),
            columns,
            rows: rows.map_err(RunError::damaged(path))?,
        })
    }

    fn column(&self, name: &str) -> Result<usize, RunError> {
        let place = self.columns.iter().position(|column| column == name);
        let missing = || RunError::damaged(&self.path)(format!("there is no column `{name}`"));
        place.ok_or_else(missing)
    }

    /// The rows by what they have in some columns, ` | ` in between, in the order in which that comes. Numbers have as many
    /// digits as one wants to read.
    ///
    /// # Errors
    ///
    /// If there is no such column.
    pub fn split(&self, by: &[&str]) -> Result<Vec<(String, Self)>, RunError> {
        let columns = by.iter().map(|name| self.column(name));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let none = Self {
            rows: Vec::new(),
            ..self.clone()
        };
        let mut parts: Vec<(String, Self)> = Vec::new();
        for row in &self.rows {
            let values: Vec<_> = columns.iter().map(|place| number(&row[*place])).collect();
            let key = values.join(" | ");
            let known = parts.iter().position(|(other, _)| *other == key);
            let part = known.unwrap_or_else(|| {
                parts.push((key, none.clone()));
                parts.len() - 1
            });
            parts[part].1.rows.push(row.clone());
        }
        Ok(parts)
    }

    /// The numbers of a column; NaN where there is nothing.
    ///
    /// # Errors
    ///
    /// If there is no such column, or something else in it.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, RunError> {
        let column = self.column(name)?;
        let parse = |row: &StringRecord| match &row[column] {
            "" => Ok(f64::NAN),
            text => text.parse().map_err(|error| {
                let line = row.position().map_or(0, Position::line);
                let reason = format!("line: {line}: `{name}` is {text}: {error}");
                RunError::damaged(&self.path)(reason)
            }),
        };
        self.rows.iter().map(parse).collect()
    }

    /// The values of a column at each value of the column `x`.
    ///
    /// # Errors
    ///
    /// As [`numbers`](Self::numbers).
    pub fn points(&self, x: &str, value: &str) -> Result<Points, RunError> {
        let values = |(place, rows): (_, Self)| Ok((place, rows.numbers(value)?));
        self.split(&[x])?.into_iter().map(values).collect()
    }

    /// The [points](Self::points) of each value of the column `of`.
    ///
    /// # Errors
    ///
    /// As [`numbers`](Self::numbers).
    pub fn lines(&self, of: &str, x: &str, value: &str) -> Result<Vec<(String, Points)>, RunError> {
        let points = |(label, rows): (_, Self)| Ok((label, rows.points(x, value)?));
        self.split(&[of])?.into_iter().map(points).collect()
    }
}

/// A number with as many digits as one wants to read, and what is none as it is.
fn number(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) => format!("{}", (value * 1e4).round() / 1e4),
        Err(_) => text.to_owned(),
    }
}

/// A panel of lines with their labels. Places have their names, side by side.
pub fn panel<Label: Into<String>>(
    x: &str,
    y: &str,
    lines: impl IntoIterator<Item = (Label, Points)>,
) -> Panel {
    let mut places = Vec::new();
    let mut place_of = |name: String| {
        let place = places.iter().position(|place| *place == name);
        place.unwrap_or_else(|| {
            places.push(name);
            places.len() - 1
        }) as f64
    };
    let mut panel = Panel::new(x, y);
    for (label, points) in lines {
        let points = points.into_iter();
        let points = points.map(|(name, values)| (place_of(name), values));
        panel = panel.with_series(Series::new(label, points));
    }
    panel.with_places(places)
}

/// The sample standard deviation (with n - 1); 0 for a single value.
pub fn deviation(values: &[f64]) -> f64 {
    let mean = Spread::new(values).mean;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    match values.len() {
        0 | 1 => 0.0,
        n => (squares / (n - 1) as f64).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> AnalysisOptions {
        let command = AnalysisOptions::augment_args(Command::new("test"));
        let matches = command.get_matches_from([&["test"], arguments].concat());
        AnalysisOptions::from_arg_matches(&matches).unwrap()
    }

    fn row(curve: &str, width: f64, epochs: Option<u64>) -> Row {
        vec![
            ("curve", curve.into()),
            ("width", width.into()),
            ("epochs", epochs.into()),
        ]
    }

    #[test]
    fn pictures_are_drawn_again_from_the_rows_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new");
        let again = options(&["--out", &out.display().to_string(), "--draw"]);
        let variant = || Variant {
            key: Vec::new(),
            runs: [("untrained".to_owned(), again.network(1))],
        };
        let untrained = |_: [Report; 1]| -> Vec<Row> { panic!("trained") };
        let table = || again.table("table", 1, &[variant()], untrained);
        let missing = table().unwrap_err();
        assert!(missing.to_string().contains("table.csv"), "{missing}");

        let path = out.join("table.csv");
        let rows = [row("a, \"b\"", 0.1 + 0.2, None), row("c", 1.0, Some(3))];
        write_rows(&path, &rows).unwrap();
        let text = "curve,width,epochs\n\"a, \"\"b\"\"\",0.30000000000000004,\nc,1.0,3\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let read = table().unwrap();
        assert_eq!(read.numbers("width").unwrap(), [0.1 + 0.2, 1.0]);
        let epochs = read.numbers("epochs").unwrap();
        assert!(epochs[0].is_nan() && epochs[1] == 3.0, "{epochs:?}");
        let points = read.points("curve", "width").unwrap();
        assert_eq!(points[0], ("a, \"b\"".to_owned(), vec![0.1 + 0.2]));

        fs::write(&path, "curve,width,epochs\nx,wide,\n").unwrap();
        let damaged = table().unwrap().numbers("width").unwrap_err().to_string();
        assert!(damaged.contains("table.csv"), "{damaged}");
        assert!(damaged.contains("line: 2"), "{damaged}");
        fs::write(&path, "curve,width,epochs\nx,0.1\n").unwrap();
        let damaged = table().unwrap_err().to_string();
        assert!(damaged.contains("table.csv"), "{damaged}");
        assert!(damaged.contains("line: 2"), "{damaged}");
    }

    #[test]
    fn each_value_comes_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let widths = [0.5, 0.2, 0.5 - 1e-15, 0.9, 0.2];
        let rows = widths.map(|width| row("sigmoid", width, Some(1)));
        write_rows(&path, &rows).unwrap();
        let table = Table::read(&path).unwrap();
        let parts = table.split(&["curve", "width"]).unwrap();
        let parts = parts
            .iter()
            .map(|(key, part)| (key.as_str(), part.rows.len()));
        let expected = [
            ("sigmoid | 0.5", 2),
            ("sigmoid | 0.2", 2),
            ("sigmoid | 0.9", 1),
        ];
        assert_eq!(parts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_curves_are_those_of_the_configuration() {
        let config = RunConfig::default();
        for (name, curve) in curves().unwrap() {
            let narrow = curve.with_full_width_at_half_maximum(0.2).unwrap();
            for surrogate in [curve, narrow] {
                let variant = Variant::of_curve(name.to_owned(), &config, name, surrogate);
                let [(_, config)] = variant.unwrap().runs;
                let found = config.network.layers().neuron;
                let mut neuron = RunConfig::default().network.layers().neuron;
                neuron.set("surrogate", surrogate).unwrap();
                assert_eq!(found, neuron, "{name}");
            }
        }
    }

    #[test]
    fn spreads_are_of_samples() {
        let values = [1.0, 2.0, 4.0, 5.0];
        assert!((deviation(&values) - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(deviation(&[7.0]), 0.0);
    }
}
