//! The command line of capture-svc.
//! In: arguments. Out: reports, a running capture, an exit code.
//! Must not: hold anything that a test of [`crate::run`] would need.

mod check;

use clap::{Parser, Subcommand};
use definition::{Deployment, Diagnostics, Overrides};
use runtime::Environment;
use runtime::cli::{
    CheckFlags, CommonFlags, Exit, complain, given, print, show_on_stderr, unsupported,
};
use runtime::configured::{Part, unresolved};
use runtime::shutdown::Shutdown;

use crate::config::Config;
use crate::error::{Definite, Failure};
use crate::{run, topics};

/// Reads Postgres' logical replication and writes thin change records to Kafka.
#[derive(Debug, Parser)]
#[command(name = "capture-svc", version, about, max_term_width = 100)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub common: CommonFlags,
    /// The replication slot
    #[arg(long, global = true, env = "FLUSSO_SLOT", value_name = "NAME")]
    pub slot: Option<String>,
    /// The publication
    #[arg(long, global = true, env = "FLUSSO_PUBLICATION", value_name = "NAME")]
    pub publication: Option<String>,
    /// Create and extend the publication
    #[arg(long, global = true, env = "FLUSSO_MANAGE_PUBLICATION", value_name = "BOOL", value_parser = clap::builder::BoolishValueParser::new())]
    pub manage_publication: Option<bool>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Report what would go wrong, now or later; change nothing
    Check(CheckFlags),
    /// Create the topics that are missing, check the rest
    Topics {
        /// Only say what would be created
        #[arg(long)]
        dry_run: bool,
    },
    /// Capture, or wait as standby while another capture holds the slot
    Run {
        /// Where to serve health, status and metrics
        #[arg(long, env = "FLUSSO_PUBLIC_ADDRESS", value_name = "HOST:PORT")]
        public_address: Option<String>,
    },
    /// Print versions
    Version,
}

/// Carries out one command.
pub async fn execute(cli: Cli, environment: Environment) -> Exit {
    if let Command::Version = cli.command {
        runtime::cli::version(env!("CARGO_PKG_VERSION"), cli.common.format);
        return Exit::Done;
    }
    let mut overrides = Overrides {
        slot: given(cli.slot.as_deref()),
        publication: given(cli.publication.as_deref()),
        manage_publication: cli.manage_publication,
        ..cli.common.overrides()
    };
    if let Command::Run { public_address } = &cli.command {
        overrides.public_address = given(public_address.as_deref());
    }
    if let Command::Check(flags) = &cli.command {
        return check::check(flags, &cli.common, &overrides, &environment).await;
    }
    let (deployment, warnings) = match cli.common.load(&environment, &overrides) {
        Ok(loaded) => loaded,
        Err(findings) => {
            show_on_stderr(&findings, &environment);
            return Exit::Usage;
        }
    };
    match cli.command {
        Command::Topics { dry_run } => make_topics(&deployment, dry_run, &environment).await,
        Command::Run { .. } => {
            show_on_stderr(&warnings, &environment);
            let mut refused = unsupported(&deployment);
            refused.extend(unresolved(&deployment, Part::Capture, &environment));
            if refused.has_errors() {
                show_on_stderr(&refused, &environment);
                return Exit::Usage;
            }
            capture(&deployment, &environment).await
        }
        Command::Check(_) | Command::Version => Exit::Done,
    }
}

async fn capture(deployment: &Deployment, environment: &Environment) -> Exit {
    let config = match Config::new(deployment, environment) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return Exit::Usage;
        }
    };
    let shutdown = Shutdown::new();
    let signals = match shutdown.on_signals(i32::from(Exit::Failed.code())) {
        Ok(signals) => signals,
        Err(error) => {
            complain(&error);
            return Exit::Failed;
        }
    };
    let ended = run(config, &shutdown).await;
    drop(signals);
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}

async fn make_topics(deployment: &Deployment, dry_run: bool, environment: &Environment) -> Exit {
    let work = async {
        let config = Config::new(deployment, environment)
            .map_err(|error| Definite::SetUp(error.to_string()))?;
        let plan = topics::plan(&config.kafka, &config.broker).await?;
        for topic in &plan.missing {
            let verb = if dry_run { "would make" } else { "makes" };
            print(&format!(
                "{verb} {} with {} partitions",
                topic.name, topic.partitions
            ));
        }
        if !dry_run {
            topics::create(&config.kafka, &plan.missing).await?;
        }
        Ok::<Diagnostics, Failure>(plan.findings)
    };
    match work.await {
        Ok(findings) => {
            let missing_only = findings
                .findings()
                .iter()
                .all(|finding| finding.code == "W502");
            if !missing_only {
                show_on_stderr(&findings, environment);
            }
            if findings.has_errors() {
                Exit::Problems
            } else {
                Exit::Done
            }
        }
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}
