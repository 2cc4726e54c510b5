//! Times training steps and inference of spiking networks: `synfire-bench mlp`, or with `--json` as one line for programs.

use std::process::ExitCode;

use clap::Parser;
use synfire_bench::{Options, run};

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(report) if options.json => {
            println!("{}", report.json());
            ExitCode::SUCCESS
        }
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
