//! The command line that both services share: flags with their environment twins, the loading of
//! the configuration, reports and exit codes.
//! In: arguments. Out: a checked deployment, or a report for a person and an exit code.
//! Must not: know a single command of a service.

mod report;
mod source;
mod version;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use definition::{Deployment, Diagnostic, Diagnostics, Files, Overrides, RefusedProperty};

use crate::Environment;
use crate::kafka::settings::{PropertyError, verify_property};
use crate::telemetry::{self, LogFormat, Settings, colour};

pub use report::CheckFlags;
pub use version::version;

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
        default_value = DEFAULT_CONFIG,
        value_parser = path_or(DEFAULT_CONFIG),
        value_name = "PATH"
    )]
    pub config: PathBuf,
    /// The lock, read when there is no configuration
    #[arg(
        long,
        global = true,
        env = "FLUSSO_LOCK",
        default_value = DEFAULT_LOCK,
        value_parser = path_or(DEFAULT_LOCK),
        value_name = "PATH"
    )]
    pub lock: PathBuf,
    /// Read the lock even when there is a configuration
    #[arg(long, global = true, env = "FLUSSO_LOCKED", value_parser = switch)]
    pub locked: bool,
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

/// The configuration where no flag names one.
pub const DEFAULT_CONFIG: &str = "flusso.toml";

/// The lock where no flag names one.
pub const DEFAULT_LOCK: &str = "flusso.lock";

/// Reads a path; an empty twin counts as unset.
#[must_use]
pub fn path_or(default: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(move |path| {
        if path.is_empty() {
            PathBuf::from(default)
        } else {
            PathBuf::from(path)
        }
    })
}

/// Reads a boolean variable; an empty one counts as unset.
///
/// # Errors
/// It is none of the words.
pub fn switch(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "" | "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("true, false, 1, 0, yes, no, on or off".to_owned()),
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

    fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn kafka_property(&self, name: &str, value: Option<&str>) -> Result<(), RefusedProperty> {
        match verify_property(name, value.unwrap_or_default()) {
            // A value that is not known yet proves nothing.
            Err(PropertyError::Value { .. }) if value.is_none() => Ok(()),
            Err(error) => Err(RefusedProperty {
                message: error.to_string(),
                help: error.help().to_owned(),
            }),
            Ok(()) => Ok(()),
        }
    }
}

/// What the language has and this version cannot do while it runs: `run` refuses it in one
/// report instead of leaving it out. A line goes when the thing works.
#[must_use]
pub fn unsupported(deployment: &Deployment) -> Diagnostics {
    let mut keys = Vec::new();
    if deployment.broker.schema_registry.is_some() {
        keys.push("broker.schema_registry_url");
    }
    if deployment.telemetry.otlp_endpoint.is_some() {
        keys.push("telemetry.otlp_endpoint");
    }
    let mut findings = Diagnostics::new();
    for key in keys {
        findings.push(
            Diagnostic::error(
                "E299",
                format!("{key} is not supported by this version yet"),
            )
            .help("remove it")
            .key(key),
        );
    }
    findings.locate_in_config(&deployment.places)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// One configuration file.
    struct One(&'static str);

    impl Files for One {
        fn read(&self, _path: &Path) -> io::Result<String> {
            Ok(self.0.to_owned())
        }

        fn kafka_property(&self, name: &str, value: Option<&str>) -> Result<(), RefusedProperty> {
            Disk.kafka_property(name, value)
        }
    }

    fn loaded(text: &'static str) -> Result<(Deployment, Diagnostics), Diagnostics> {
        let none = BTreeMap::new();
        definition::load(
            Path::new("flusso.toml"),
            &One(text),
            &none,
            &Overrides::default(),
        )
    }

    #[test]
    fn run_names_what_it_cannot_do_yet_and_where_it_is_asked_for() {
        let (deployment, _) = loaded(
            "[source]\ntype = \"postgres\"\n[broker]\nschema_registry_url = \"http://r\"\n\
             [telemetry]\notlp_endpoint = \"http://o\"\n",
        )
        .unwrap();
        let text = unsupported(&deployment).render_human(false);
        assert_eq!(
            text,
            "error[E299]: broker.schema_registry_url is not supported by this version yet\n \
             --> flusso.toml:4:23\n  |\n4 | schema_registry_url = \"****://*\"\n  |                       \
             ^^^^^^^^^^\n  = help: remove it\n\n\
             error[E299]: telemetry.otlp_endpoint is not supported by this version yet\n \
             --> flusso.toml:6:17\n  |\n6 | otlp_endpoint = \"http://o\"\n  |                 ^^^^^^^^^^\n  \
             = help: remove it\n\n"
        );
    }

    #[test]
    fn kafka_properties_are_judged_by_librdkafka_at_their_place_without_a_broker() {
        let findings = loaded(
            "[source]\ntype = \"postgres\"\n[broker.kafka]\n\"securty.protocol\" = \"ssl\"\n\
             \"security.protocol\" = \"hunter2\"\n\"sasl.password\" = { env = \"NOT_SET_YET\" }\n\
             \"no.such.secret\" = { env = \"NOT_SET_YET\" }\nfetch.min.bytes = 0\n",
        )
        .unwrap_err();
        let found: Vec<(&str, usize, &str)> = findings
            .findings()
            .iter()
            .map(|finding| {
                let line = finding.place.as_ref().unwrap().line;
                (finding.code, line, finding.message.as_str())
            })
            .collect();
        assert_eq!(
            found,
            [
                (
                    "E109",
                    4,
                    "kafka: librdkafka knows no property `securty.protocol`"
                ),
                (
                    "E109",
                    5,
                    "kafka: librdkafka does not take the value of `security.protocol`"
                ),
                (
                    "E109",
                    7,
                    "kafka: librdkafka knows no property `no.such.secret`"
                ),
                (
                    "E109",
                    8,
                    "kafka: librdkafka does not take the value of `fetch.min.bytes`"
                ),
            ]
        );
        assert!(!findings.render_human(false).contains("hunter2"));
    }
}
