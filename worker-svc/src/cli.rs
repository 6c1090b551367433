//! The command line.
//! In: arguments and the environment. Out: a report on standard output, an exit code:
//! 0 done · 1 failed while running · 2 usage or configuration · 3 a check found problems.
//! Must hold: data goes to standard output, everything else to standard error.

mod apply;
mod build;
mod check;
mod preview;
mod resume;
mod run;
mod schema;
mod status;

use std::io::Write as _;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use definition::{Deployment, Diagnostics};
use runtime::Environment;
use runtime::cli::{
    CheckFlags, CommonFlags, DEFAULT_LOCK, Exit, ReportFormat, complain, given, path_or,
    show_on_stderr, switch,
};

use crate::config::Config;
use crate::error::{Definite, Transient};

/// Keeps OpenSearch indexes equal to a Postgres database.
#[derive(Debug, Parser)]
#[command(name = "worker-svc", version, about)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Stands before every index, alias and registry name
    #[arg(long, global = true, env = "FLUSSO_INDEX_PREFIX", value_name = "TEXT")]
    pub index_prefix: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check files, database, broker and sinks; nothing is changed
    Check(CheckFlags),
    /// Put configuration and schemas into one file, the lock
    Build(BuildFlags),
    /// Compare files and registry, print the plan, carry it out
    Apply(ApplyFlags),
    /// Feed the indexes
    Run(RunFlags),
    /// State of the deployment
    Status(Narrow),
    /// The generations of every index
    Indexes(Narrow),
    /// Restart paused or stopped feeds of an index
    Resume {
        /// The index
        index: String,
        /// Which sink
        #[command(flatten)]
        narrow: Narrow,
    },
    /// The document as it would be written now
    Preview(PreviewFlags),
    /// JSON Schema of the files, for editors
    Schema {
        /// Of which file
        #[arg(value_enum, env = "FLUSSO_SCHEMA")]
        of: FileFormat,
    },
    /// Versions of product, commit, librdkafka and rendering
    Version,
}

/// The formats of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// flusso.toml
    Config,
    /// *.schema.yml
    Index,
}

/// Flags of `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildFlags {
    /// Where the lock is written
    #[arg(
        short,
        long,
        env = "FLUSSO_OUT",
        default_value = DEFAULT_LOCK,
        value_parser = path_or(DEFAULT_LOCK),
        value_name = "PATH"
    )]
    pub out: PathBuf,
    /// Refuse secrets that stand literally in the files
    #[arg(long, env = "FLUSSO_DENY_LITERAL_SECRETS", value_parser = switch)]
    pub deny_literal_secrets: bool,
}

/// Flags of `apply`.
#[derive(Debug, Clone, Args)]
pub struct ApplyFlags {
    /// Print the plan only
    #[arg(long, env = "FLUSSO_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub dry_run: bool,
    /// Until the aliases moved
    #[arg(long, env = "FLUSSO_WAIT", value_parser = BoolishValueParser::new())]
    pub wait: bool,
}

/// Flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunFlags {
    /// Feed only this index; may be repeated
    #[arg(long, env = "FLUSSO_ONLY", value_name = "INDEX", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Make new generations of changed definitions
    #[arg(long, env = "FLUSSO_AUTO_APPLY", value_parser = BoolishValueParser::new())]
    pub auto_apply: bool,
    /// Where health, status and metrics are served
    #[arg(long, env = "FLUSSO_PUBLIC_ADDRESS", value_name = "HOST:PORT")]
    pub public_address: Option<String>,
    /// Where the private surface is served
    #[arg(long, env = "FLUSSO_PRIVATE_ADDRESS", value_name = "HOST:PORT")]
    pub private_address: Option<String>,
    /// User of the private surface
    #[arg(long, env = "FLUSSO_ADMIN_USER", value_name = "NAME")]
    pub admin_user: Option<String>,
    /// Password of the private surface
    #[arg(
        long,
        env = "FLUSSO_ADMIN_PASSWORD",
        value_name = "TEXT",
        hide_env_values = true
    )]
    pub admin_password: Option<String>,
}

/// Flags of `preview`.
#[derive(Debug, Clone, Args)]
pub struct PreviewFlags {
    /// The index
    pub index: String,
    /// The document's id
    pub id: String,
    /// Statement and timing on standard error
    #[arg(long, env = "FLUSSO_SQL", value_parser = switch)]
    pub sql: bool,
}

/// Narrows a command to one sink.
#[derive(Debug, Clone, Default, Args)]
pub struct Narrow {
    /// Only this sink
    #[arg(long, env = "FLUSSO_SINK", value_name = "NAME")]
    pub sink: Option<String>,
}

impl Narrow {
    fn takes(&self, sink: &str) -> bool {
        self.sink
            .as_deref()
            .is_none_or(|name| name.is_empty() || name == sink)
    }
}

/// Does what the command line says.
pub async fn execute(cli: Cli, environment: Environment) -> Exit {
    let invocation = Invocation {
        common: cli.common,
        index_prefix: cli.index_prefix,
        environment,
    };
    match cli.command {
        Command::Version => {
            runtime::cli::version(env!("CARGO_PKG_VERSION"), invocation.common.format);
            Exit::Done
        }
        Command::Schema { of } => schema::schema(of),
        Command::Build(flags) => build::build(&invocation, &flags),
        Command::Check(flags) => check::check(&invocation, &flags).await,
        Command::Apply(flags) => apply::apply(&invocation, &flags).await,
        Command::Run(flags) => run::run(&invocation, &flags).await,
        Command::Status(narrow) => status::status(&invocation, &narrow).await,
        Command::Indexes(narrow) => status::indexes(&invocation, &narrow).await,
        Command::Resume { index, narrow } => resume::resume(&invocation, &index, &narrow).await,
        Command::Preview(flags) => preview::preview(&invocation, &flags).await,
    }
}

/// What every command was called with.
#[derive(Debug)]
pub struct Invocation {
    /// The flags of every command.
    pub common: CommonFlags,
    /// `--index-prefix`.
    pub index_prefix: Option<String>,
    /// The variables of the process.
    pub environment: Environment,
}

impl Invocation {
    fn overrides(&self) -> definition::Overrides {
        definition::Overrides {
            index_prefix: given(self.index_prefix.as_deref()),
            ..self.common.overrides()
        }
    }

    /// The checked files; warnings are on standard error already.
    ///
    /// # Errors
    /// The files have errors; they are on standard error.
    pub fn config(&self) -> Result<Config, Exit> {
        self.config_with(&self.overrides())
    }

    fn config_with(&self, overrides: &definition::Overrides) -> Result<Config, Exit> {
        match self.load(overrides) {
            Ok((deployment, warnings)) => {
                show_on_stderr(&warnings, &self.environment);
                Ok(Config::new(deployment, self.environment.clone()))
            }
            Err(findings) => {
                show_on_stderr(&findings, &self.environment);
                Err(Exit::Usage)
            }
        }
    }

    fn load(
        &self,
        overrides: &definition::Overrides,
    ) -> Result<(Deployment, Diagnostics), Diagnostics> {
        self.common.load(&self.environment, overrides)
    }

    /// Whether reports are JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.common.format == ReportFormat::Json
    }
}

/// Tells a person that a command failed.
pub(crate) fn failed(error: &Transient) -> Exit {
    complain(error);
    Exit::Failed
}

/// Tells a person what has to be mended first.
pub(crate) fn refused(error: &Definite) -> Exit {
    complain(error);
    say(&format!("help: {}", error.rule().advice));
    match error.rule().action {
        crate::error::Action::Refuse => Exit::Usage,
        crate::error::Action::StopFeed | crate::error::Action::StopAll => Exit::Failed,
    }
}

/// A line on standard error that is no error.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(std::io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_behind_the_command() {
        let behind = Cli::parse_from([
            "worker-svc",
            "check",
            "-c",
            "a.toml",
            "--strict",
            "--index-prefix",
            "dev_",
        ]);
        assert_eq!(behind.common.config.to_str(), Some("a.toml"));
        assert_eq!(behind.index_prefix.as_deref(), Some("dev_"));
        assert!(matches!(
            behind.command,
            Command::Check(CheckFlags {
                strict: true,
                offline: false,
                explain_differences: false,
            })
        ));
        let before = Cli::parse_from([
            "worker-svc",
            "--config",
            "b.toml",
            "run",
            "--only",
            "a",
            "--only",
            "b",
        ]);
        let Command::Run(flags) = before.command else {
            panic!()
        };
        assert_eq!(flags.only, ["a", "b"]);
    }

    #[test]
    fn an_empty_sink_narrows_nothing() {
        assert!(Narrow::default().takes("main"));
        assert!(
            Narrow {
                sink: Some(String::new())
            }
            .takes("main")
        );
        assert!(
            !Narrow {
                sink: Some("other".into())
            }
            .takes("main")
        );
    }
}
