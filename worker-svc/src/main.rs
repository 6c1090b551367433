//! The process: arguments, log, runtime; then [`worker_svc::cli::execute`].

use std::process::ExitCode;

use clap::Parser as _;
use worker_svc::cli::{Cli, execute};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let common = cli.common.clone();
    runtime::cli::main(&common, |environment| execute(cli, environment))
}
