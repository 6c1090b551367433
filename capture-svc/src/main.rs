//! The process: arguments, log, runtime; then [`capture_svc::cli::execute`].

use std::process::ExitCode;

use capture_svc::cli::{Cli, execute};
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let common = cli.common.clone();
    runtime::cli::main(&common, |environment| execute(cli, environment))
}
