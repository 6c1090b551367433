//! The process: arguments, log, runtime; then [`capture_svc::cli::execute`].

use std::process::ExitCode;

use capture_svc::cli::{Cli, execute};
use clap::Parser as _;
use runtime::cli::{Exit, complain, environment};
use runtime::telemetry;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = environment();
    if let Err(error) = telemetry::init(&cli.common.telemetry(&environment)) {
        complain(&error);
        return Exit::Usage.into();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return Exit::Failed.into();
        }
    };
    runtime.block_on(execute(cli, environment)).into()
}
