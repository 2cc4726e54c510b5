//! What the analyses of the paper share: many small trainings that differ in one thing, and what becomes of their figures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, Command, FromArgMatches};
use serde::Serialize;
use serde::de::DeserializeOwned;
use synfire::plot::{Picture, SeriesPlot};
use synfire_data::{read_regular, write_atomically};

use synfire::InvalidConfig;
use synfire::neuron::NeuronConfig;
use synfire_models::StbpMlpConfig;
use synfire_train::{Output, Report, RunConfig, RunError, Trainer, exit_code, say};

/// Options of an analysis. Only with its own settings does it write into docs/paper unasked.
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
    /// Where MNIST comes from: `auto`, `embedded` or a folder
    #[arg(
        long,
        value_name = "auto|embedded|DIR",
        default_value = "auto",
        conflicts_with = "smoke"
    )]
    pub data: String,
    /// Only see whether it works: one seed, a small network, few steps, the embedded digits
    #[arg(long, requires = "out")]
    pub smoke: bool,
    /// Only draw the pictures again, from the table that is there
    #[arg(long, conflicts_with_all = ["seeds", "samples", "epochs", "smoke"])]
    pub draw: bool,
    /// Where to compute
    #[arg(long, default_value = "auto")]
    pub device: String,
}

impl AnalysisOptions {
    /// The seeds, so many if nothing else is said.
    pub fn seeds(&self, default: u64) -> std::ops::Range<u64> {
        0..self.seeds.unwrap_or(if self.smoke { 1 } else { default })
    }

    /// The network of the analyses: 784-400-10 on MNIST, T = 10, as the training scripts have it otherwise.
    ///
    /// # Errors
    ///
    /// If an option is out of its range.
    pub fn network(&self, epochs: usize) -> Result<RunConfig, RunError> {
        self.configure(RunConfig::default(), epochs)
    }

    /// A fully connected network, cut down where it is only to be seen to work.
    ///
    /// # Errors
    ///
    /// If an option is out of its range.
    pub fn configure(&self, config: RunConfig, epochs: usize) -> Result<RunConfig, RunError> {
        let hidden = if self.smoke { 100 } else { 400 };
        let [inputs, classes] = [config.sample.iter().product(), config.network.classes()];
        let network = StbpMlpConfig::new().with_sizes(vec![inputs, hidden, classes]);
        Ok(RunConfig {
            network: network.into(),
            time_steps: if self.smoke { 4 } else { config.time_steps },
            epochs: self.epochs.unwrap_or(if self.smoke { 2 } else { epochs }),
            samples: Some(match self.smoke {
                true => 3_000,
                false => self.samples.unwrap_or(10_000),
            }),
            data: match self.smoke {
                true => "embedded".to_owned(),
                false => self.data.clone(),
            },
            ..config
        })
    }

    /// The file `name.ending` in the folder of this analysis, which is made.
    fn path(&self, name: &str, ending: &str) -> Result<PathBuf, RunError> {
        let folder = self.out.as_deref().unwrap_or(Path::new("docs/paper"));
        fs::create_dir_all(folder).map_err(RunError::io(folder))?;
        Ok(folder.join(format!("{name}.{ending}")))
    }

    /// The rows of a table: those that `train` gives, which are written as CSV with the names of their fields at the top,
    /// or, where pictures are only to be drawn again, those that were written before.
    ///
    /// # Errors
    ///
    /// If training fails, or the file cannot be written or read.
    pub fn rows<Row: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        train: impl FnOnce() -> Result<Vec<Row>, RunError>,
    ) -> Result<Vec<Row>, RunError> {
        let path = self.path(name, "csv")?;
        if self.draw {
            return read_rows(&path);
        }
        let rows = train()?;
        Self::write(&path, &rows)?;
        Ok(rows)
    }

    fn write(path: &Path, rows: &[impl Serialize]) -> Result<(), RunError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in rows {
            writer.serialize(row).map_err(RunError::damaged(path))?;
        }
        let bytes = writer.into_inner().map_err(RunError::damaged(path))?;
        write_atomically(path, |file| file.write_all(&bytes)).map_err(RunError::io(path))?;
        say!("{}", path.display());
        Ok(())
    }

    /// Draws a picture as SVG and as PNG.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn or written.
    pub fn picture(&self, name: &str, picture: &SeriesPlot) -> Result<(), RunError> {
        for ending in ["svg", "png"] {
            let path = self.path(name, ending)?;
            picture.save(&path)?;
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

/// Changes the neurons of a run.
///
/// # Errors
///
/// If they cannot be changed so.
pub fn with_neuron(
    mut config: RunConfig,
    change: impl FnOnce(&mut NeuronConfig) -> Result<(), InvalidConfig>,
) -> Result<RunConfig, InvalidConfig> {
    let mut neuron = config.network.layers().neuron;
    change(&mut neuron)?;
    config.network = config.network.with_neuron(neuron);
    Ok(config)
}

/// Trains many times, one run after the other, in a folder that does not stay.
#[derive(Debug)]
pub struct Trials {
    device: String,
    folder: tempfile::TempDir,
    total: usize,
    done: usize,
    started: Instant,
}

impl Trials {
    /// So many runs.
    ///
    /// # Errors
    ///
    /// If no folder for them can be made.
    pub fn new(options: &AnalysisOptions, total: usize) -> Result<Self, RunError> {
        let folder = tempfile::tempdir().map_err(RunError::io(std::env::temp_dir()))?;
        Ok(Self {
            device: options.device.clone(),
            folder,
            total,
            done: 0,
            started: Instant::now(),
        })
    }

    /// Trains with a seed, and prints a line that begins with `name`.
    ///
    /// # Errors
    ///
    /// If the training fails.
    pub fn run(&mut self, name: &str, config: &RunConfig, seed: u64) -> Result<Report, RunError> {
        let out: &Path = &self.folder.path().join("run");
        let config = config.with([("seed", seed.to_string())])?;
        let trainer = Trainer::new()
            .with_device(&self.device)
            .with_out(out.to_path_buf())
            .with_output(Output::Nothing);
        let (report, _) = trainer.train(config)?;
        fs::remove_dir_all(out).map_err(RunError::io(out))?;
        self.done += 1;
        let elapsed = self.started.elapsed().as_secs_f64();
        say!(
            "{:>3}/{}  {name}, seed {seed}: validation {:.2} %, test {:.2} %, left {:.1} min",
            self.done,
            self.total,
            100.0 * report.validation_accuracy,
            100.0 * report.test_accuracy,
            elapsed / self.done as f64 * (self.total - self.done) as f64 / 60.0
        );
        Ok(report)
    }
}

/// The rows of a table with the names of their fields at the top.
///
/// # Errors
///
/// If the file cannot be read, or is damaged.
pub fn read_rows<Row: DeserializeOwned>(path: &Path) -> Result<Vec<Row>, RunError> {
    let text = read_regular(path).map_err(RunError::io(path))?;
    let rows = csv::Reader::from_reader(text.as_slice()).into_deserialize();
    let rows: Result<_, csv::Error> = rows.collect();
    rows.map_err(RunError::damaged(path))
}

/// Each value once, in the order in which they come.
pub fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

/// The mean of some values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of the values that a sample is drawn from (by n - 1). 0 of a single value.
pub fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    match values.len() {
        0 | 1 => 0.0,
        n => (squares / (n - 1) as f64).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, serde::Deserialize, Clone, Debug, PartialEq)]
    struct Row {
        curve: String,
        width: f64,
        epochs: Option<usize>,
    }

    fn options(arguments: &[&str]) -> AnalysisOptions {
        let command = AnalysisOptions::augment_args(Command::new("test"));
        let matches = command.get_matches_from([&["test"], arguments].concat());
        AnalysisOptions::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn pictures_are_drawn_again_from_the_rows_that_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new").display().to_string();
        let row = |epochs| Row {
            curve: "a, \"b\"".to_owned(),
            width: 0.1 + 0.2,
            epochs,
        };
        let rows = vec![row(None), row(Some(3))];
        let again = options(&["--out", &out, "--draw"]);
        let untrained = || -> Result<Vec<Row>, RunError> { panic!("trained") };
        let missing = again.rows("table", untrained).unwrap_err();
        assert!(missing.to_string().contains("table.csv"), "{missing}");

        let written = options(&["--out", &out]).rows("table", || Ok(rows.clone()));
        assert_eq!(written.unwrap(), rows);
        assert_eq!(again.rows("table", untrained).unwrap(), rows);

        let path = folder.path().join("new").join("table.csv");
        fs::write(&path, "curve,width,epochs\nx,wide,\n").unwrap();
        let damaged = again.rows("table", untrained).unwrap_err().to_string();
        assert!(damaged.contains("table.csv"), "{damaged}");
        assert!(damaged.contains("line: 2"), "{damaged}");
    }

    #[test]
    fn each_value_comes_once() {
        assert_eq!(distinct([0.5, 0.2, 0.5, 0.9, 0.2]), [0.5, 0.2, 0.9]);
    }

    #[test]
    fn spreads_are_of_samples() {
        let values = [1.0, 2.0, 4.0, 5.0];
        assert_eq!(mean(&values), 3.0);
        assert!((deviation(&values) - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(deviation(&[7.0]), 0.0);
    }
}
