//! `synfire convert`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use synfire_models::{Balance, ConversionConfig};
use synfire_train::conversion::Conversion;
use synfire_train::folder::RunFolder;
use synfire_train::report::{Report, operations, percent};
use synfire_train::saved::Saved;
use synfire_train::train::test_all;
use synfire_train::{RunError, device, say};

use crate::EXAMPLES_FIRST;

/// Convert a trained network of rectifiers to one of spikes: the same weights, with a threshold for each channel.
#[derive(Args, Clone, Debug)]
#[command(help_template = EXAMPLES_FIRST, after_help = "Example:
  synfire train --model vgg5 --neuron relu --time-steps 1 --set network.pooling=average --out runs/relu
  synfire convert --run runs/relu --time-steps 16 --out runs/spikes
  synfire plot --run runs/spikes")]
pub struct Convert {
    /// Folder of a finished run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Time steps of a sample
    #[arg(long, value_name = "T")]
    time_steps: usize,
    /// The thresholds [default: learned for quantised rectifiers, else steps]
    #[arg(long, value_enum)]
    balance: Option<Thresholds>,
    /// The percentile of `--balance percentile`
    #[arg(long, value_name = "P", default_value_t = 99.9)]
    percentile: f64,
    /// The initial membrane potential, as a part of the threshold
    #[arg(long, value_name = "PART", default_value_t = 0.5)]
    start: f64,
    /// One threshold for a layer in place of one for each channel
    #[arg(long)]
    per_layer: bool,
    /// Neurons take spikes back
    #[arg(long)]
    signed: bool,
    /// Number of training samples from which thresholds follow
    #[arg(long, value_name = "N", default_value_t = Conversion::SAMPLES)]
    samples: usize,
    /// Source of the data [default: that of the run]
    #[arg(long, value_name = "auto|embedded|DIR")]
    data: Option<String>,
    /// Folder for the converted network, a finished run like others [default: it is only tested]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Device
    #[arg(long, default_value = "auto")]
    device: String,
}

/// How thresholds follow from the outputs of rectifiers.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Thresholds {
    /// The largest output
    Maximum,
    /// A percentile
    Percentile,
    /// The fewest errors of so many time steps
    Steps,
    /// Those of quantised rectifiers
    Learned,
}

impl Convert {
    /// Runs the command.
    pub fn run(&self) -> Result<(), RunError> {
        let device = device(&self.device)?;
        let folder = self.out.as_deref().map(RunFolder::new).transpose()?;
        let saved = Saved::load(&self.run, &device)?;
        let report = Report::read(&self.run)?;
        let data = saved.data(self.data.as_deref())?;
        let balance = match self.balance {
            Some(Thresholds::Maximum) => Balance::Maximum,
            Some(Thresholds::Percentile) => Balance::Percentile(self.percentile),
            Some(Thresholds::Steps) => Balance::Steps(self.time_steps),
            Some(Thresholds::Learned) => Balance::Learned,
            None => Conversion::balance(&saved.run.config.network, self.time_steps),
        };
        let conversion = Conversion {
            config: ConversionConfig::new()
                .with_balance(balance)
                .with_per_channel(!self.per_layer)
                .with_start(self.start)
                .with_signed(self.signed),
            time_steps: self.time_steps,
            samples: self.samples,
        };
        let converted = conversion.convert(&saved, &data, &device)?;
        let validated = converted.validate(&data, &device)?;
        let run = &converted.run.config;
        let test = data.test.clone();
        let tested = test_all(&converted.classifier, test, run, run.batch_size, &device)?;
        say!("{}, T = {}", run.network.structure(), run.time_steps);
        for (samples, accuracy, before) in [
            ("validation", validated.accuracy, report.validation_accuracy),
            ("test", tested.accuracy, report.test_accuracy),
        ] {
            let [after, before] = [accuracy, before].map(percent);
            say!(
                "{:<20} {after}, of the rectifiers {before}",
                format!("{samples} accuracy")
            );
        }
        say!("synaptic operations  {}", operations(&tested.operations));
        if let Some(folder) = folder {
            let out = folder.path().to_path_buf();
            let command = self.command();
            converted.save_converted(folder, &report, [&validated, &tested], &command, &device)?;
            say!("Next     synfire predict --run {} --index 7", out.display());
        }
        Ok(())
    }

    /// The command of the converted run.
    fn command(&self) -> String {
        let Self {
            run,
            time_steps,
            start,
            samples,
            ..
        } = self;
        let mut command = format!(
            "synfire convert --run {} --time-steps {time_steps}",
            run.display()
        );
        if let Some(balance) = self.balance.and_then(|balance| balance.to_possible_value()) {
            command += &format!(" --balance {}", balance.get_name());
        }
        if matches!(self.balance, Some(Thresholds::Percentile)) {
            command += &format!(" --percentile {}", self.percentile);
        }
        command += &format!(" --start {start} --samples {samples}");
        if self.per_layer {
            command += " --per-layer";
        }
        if self.signed {
            command += " --signed";
        }
        command
    }
}
