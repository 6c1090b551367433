//! The command line that both services share: flags with their environment twins, the loading of
//! the configuration, reports and exit codes.
//! In: arguments. Out: a checked deployment, or a report for a person and an exit code.
//! Must not: know a single command of a service.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use definition::{Deployment, Diagnostics, Files, Overrides};

use crate::Environment;
use crate::telemetry::{self, LogFormat, Settings, colour};

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Something failed while running, or a dependency cannot be reached.
    Failed,
    /// The command line or a file is wrong.
    Usage,
    /// A check found problems.
    Problems,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Problems => 3,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// How reports look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For a person.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// Flags of every command of both services.
#[derive(Args, Clone, Debug)]
pub struct CommonFlags {
    /// The configuration
    #[arg(
        short,
        long,
        global = true,
        env = "FLUSSO_CONFIG",
        default_value = "flusso.toml",
        value_name = "PATH"
    )]
    pub config: PathBuf,
    /// Stands before every topic name
    #[arg(long, global = true, env = "FLUSSO_TOPIC_PREFIX", value_name = "TEXT")]
    pub topic_prefix: Option<String>,
    /// Kafka brokers, separated by commas
    #[arg(
        long,
        global = true,
        env = "FLUSSO_BOOTSTRAP_SERVERS",
        value_name = "HOST:PORT,…"
    )]
    pub bootstrap_servers: Option<String>,
    /// How log lines look
    #[arg(
        long,
        global = true,
        env = "FLUSSO_LOG_FORMAT",
        default_value = "human",
        value_name = "human|json"
    )]
    pub log_format: LogFormat,
    /// Which log lines are written, e.g. `info,worker_svc=debug`; else `RUST_LOG`
    #[arg(long, global = true, env = "FLUSSO_LOG_FILTER", value_name = "FILTER")]
    pub log_filter: Option<String>,
    /// How reports look
    #[arg(
        long,
        global = true,
        env = "FLUSSO_FORMAT",
        value_enum,
        default_value = "human"
    )]
    pub format: ReportFormat,
}

impl CommonFlags {
    /// What these flags change in the file.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            topic_prefix: given(self.topic_prefix.as_deref()),
            bootstrap_servers: given(self.bootstrap_servers.as_deref()),
            ..Overrides::default()
        }
    }

    /// How this process logs.
    #[must_use]
    pub fn telemetry(&self, environment: &Environment) -> Settings {
        Settings::new(self.log_format, self.filter(environment), environment)
    }

    /// The filter of log lines: the flag or its twin, else `RUST_LOG`, else `info`.
    #[must_use]
    pub fn filter(&self, environment: &Environment) -> String {
        given(self.log_filter.as_deref())
            .or_else(|| {
                environment
                    .get("RUST_LOG")
                    .filter(|text| !text.is_empty())
                    .cloned()
            })
            .unwrap_or_else(|| "info".to_owned())
    }
}

/// An empty twin counts as unset.
#[must_use]
pub fn given(value: Option<&str>) -> Option<String> {
    value.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

/// The variables of this process.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Files of the disk.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// Loads the configuration.
///
/// # Errors
/// All findings of all files, with at least one error.
pub fn load(
    config: &Path,
    environment: &BTreeMap<String, String>,
    overrides: &Overrides,
) -> Result<(Deployment, Diagnostics), Diagnostics> {
    definition::load(config, &Disk, environment, overrides)
}

/// Findings as text, in colour when `terminal` and the user did not object.
#[must_use]
pub fn render(findings: &Diagnostics, terminal: bool, environment: &Environment) -> String {
    findings.render_human(colour(terminal, environment))
}

/// Findings on standard error, as `run` shows them.
pub fn show_on_stderr(findings: &Diagnostics, environment: &Environment) {
    if !findings.is_empty() {
        let text = render(findings, io::stderr().is_terminal(), environment);
        // Nobody is left to tell when standard error is gone.
        drop(writeln!(io::stderr(), "{}", text.trim_end()));
    }
}

/// A report on standard output.
pub fn print(text: &str) {
    // A reader that has gone (a pager that was closed) wants nothing more.
    drop(writeln!(io::stdout(), "{}", text.trim_end()));
}

/// The whole process of a service: log, runtime, and `execute` to its end. Only `main` asks.
pub fn main<E, R>(common: &CommonFlags, execute: E) -> std::process::ExitCode
where
    E: FnOnce(Environment) -> R,
    R: Future<Output = Exit>,
{
    let environment = environment();
    if let Err(error) = telemetry::init(&common.telemetry(&environment)) {
        complain(&error);
        return Exit::Usage.into();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(execute(environment)).into(),
        Err(error) => {
            complain(&error);
            Exit::Failed.into()
        }
    }
}

/// A message on standard error, with the chain of causes.
pub fn complain(error: &dyn std::error::Error) {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    drop(writeln!(io::stderr(), "{text}"));
}
