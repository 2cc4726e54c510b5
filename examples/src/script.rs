//! The main function of a training script.

use std::process::ExitCode;

use clap::{Args, Command, FromArgMatches};

use crate::config::{RunConfig, tell_defaults};
use crate::exit_code;
use crate::options::Options;
use crate::train::train;

/// Trains as the command line says. What it leaves open is as in the first of the configurations, or in that of the
/// network that it names.
pub fn script(name: &'static str, about: &'static str, configs: &[RunConfig]) -> ExitCode {
    let matches = command(name, about, configs).get_matches();
    let options = Options::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let report = train(&options, configs);
    exit_code(report.map(|report| println!("\n{report}")))
}

/// The command line of a script, with the defaults in its help.
pub fn command(name: &'static str, about: &'static str, configs: &[RunConfig]) -> Command {
    tell_defaults(
        Options::augment_args(Command::new(name).about(about)),
        configs,
    )
}
