//! Training runs on the embedded digits, as several tests begin them.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use synfire_train::{Output, Report, RunConfig, RunError, Trainer};

/// A run that a test begins, or goes on with.
#[derive(Clone, Debug)]
pub struct TestRun {
    changes: Vec<(String, String)>,
    out: PathBuf,
    resume: bool,
    other_device: bool,
    device: String,
    output: Output,
}

/// A run on the embedded digits in this folder, on flex.
pub fn on_digits(out: &Path) -> TestRun {
    TestRun {
        resume: false,
        ..resumed(out)
    }
    .set("data", "embedded")
}

/// The run in this folder, to go on.
pub fn resumed(out: &Path) -> TestRun {
    TestRun {
        changes: Vec::new(),
        out: out.to_path_buf(),
        resume: true,
        other_device: false,
        device: "flex".to_owned(),
        output: Output::Lines,
    }
}

impl TestRun {
    /// With this value at a path of the configuration.
    pub fn set(mut self, path: &str, value: impl Display) -> Self {
        self.changes.push((path.to_owned(), value.to_string()));
        self
    }

    /// With these hidden layers of a fully connected network.
    pub fn hidden(self, hidden: &[usize]) -> Self {
        self.set(
            "network.sizes",
            format!("{:?}", [&[784], hidden, &[10]].concat()),
        )
    }

    /// On this device.
    pub fn on(self, device: &str) -> Self {
        Self {
            device: device.to_owned(),
            ..self
        }
    }

    /// On other devices than before.
    pub fn on_other_devices(self) -> Self {
        Self {
            other_device: true,
            ..self
        }
    }

    /// With this output.
    pub fn with_output(self, output: Output) -> Self {
        Self { output, ..self }
    }

    /// Trains; what is not set is the default or, in a run that goes on, as it is there.
    ///
    /// # Errors
    ///
    /// Those of [`Trainer`].
    pub fn run(&self) -> Result<Report, RunError> {
        let trainer = Trainer::new()
            .with_device(&self.device)
            .with_out(self.out.clone())
            .with_output(self.output)
            .with_other_device(self.other_device);
        let changes = self.changes.iter().map(|(path, value)| (path, value));
        let (report, _) = match self.resume {
            true => trainer.resume("mnist", |config| config.with(changes))?,
            false => trainer.train(RunConfig::default().with(changes)?)?,
        };
        Ok(report)
    }
}
