//! Training runs on the embedded digits, as several tests begin them.

use std::path::Path;

use synfire_examples::RunError;
use synfire_examples::config::RunConfig;
use synfire_examples::options::Options;
use synfire_examples::report::Report;
use synfire_examples::train::train;

/// A run on the embedded digits in this folder, on flex.
pub fn on_digits(out: &Path) -> Options {
    Options {
        data: Some("embedded".to_owned()),
        resume: false,
        ..resumed(out)
    }
}

/// The run in this folder, to go on.
pub fn resumed(out: &Path) -> Options {
    Options {
        device: "flex".to_owned(),
        out: Some(out.to_path_buf()),
        resume: true,
        no_tui: true,
        ..Options::default()
    }
}

/// Trains; what the options leave open is the default.
///
/// # Errors
///
/// Those of [`train`].
pub fn run(options: &Options) -> Result<Report, RunError> {
    train(options, &[RunConfig::default()])
}
