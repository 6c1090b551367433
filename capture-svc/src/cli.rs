//! The command line of capture-svc.
//! In: arguments. Out: reports, a running capture, an exit code.
//! Must not: hold anything that a test of [`crate::run`] would need.

use std::io::IsTerminal as _;

use clap::{Parser, Subcommand};
use definition::{Deployment, Diagnostic, Diagnostics, Overrides};
use runtime::Environment;
use runtime::cli::{
    CommonFlags, Exit, ReportFormat, complain, given, load, print, render, show_on_stderr,
    unsupported,
};
use runtime::configured::{Part, unresolved};
use runtime::shutdown::Shutdown;
use serde_json::json;

use crate::config::Config;
use crate::error::{Definite, Failure};
use crate::needs::Union;
use crate::preflight::{Preflight, Settings};
use crate::{APPLICATION, own, run, topics};

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
    Check {
        /// Look at the files only
        #[arg(long)]
        offline: bool,
        /// Warnings count as errors
        #[arg(long)]
        strict: bool,
    },
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
        version(cli.common.format);
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
    let is_report = matches!(cli.command, Command::Check { .. });
    let (deployment, warnings) = match load(&cli.common.config, &environment, &overrides) {
        Ok(loaded) => loaded,
        Err(findings) => {
            if is_report {
                report(&findings, cli.common.format, &environment);
            } else {
                show_on_stderr(&findings, &environment);
            }
            return if is_report && !findings.is_unreadable() {
                Exit::Problems
            } else {
                Exit::Usage
            };
        }
    };
    match cli.command {
        Command::Check { offline, strict } => {
            check(
                &deployment,
                warnings,
                offline,
                strict,
                cli.common.format,
                &environment,
            )
            .await
        }
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
        Command::Version => Exit::Done,
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

/// Groups A to D of the language reference.
async fn check(
    deployment: &Deployment,
    mut findings: Diagnostics,
    offline: bool,
    strict: bool,
    format: ReportFormat,
    environment: &Environment,
) -> Exit {
    let mut all_answered = true;
    if !offline {
        findings.extend(unresolved(deployment, Part::Capture, environment));
        if findings.is_unreadable() {
            findings.sort();
            report(&findings, format, environment);
            return Exit::Usage;
        }
        let config = match Config::new(deployment, environment) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Exit::Failed;
            }
        };
        let broker = topics::plan(&config.kafka, &config.broker).await;
        for (code, looked) in [
            ("E307", source(&config).await),
            ("E509", broker.map(|plan| plan.findings)),
        ] {
            match looked {
                Ok(more) => findings.extend(more),
                Err(error) => {
                    all_answered = false;
                    findings.push(Diagnostic::error(code, error.to_string()));
                }
            }
        }
    }
    let mut findings = findings.locate_in_config(&deployment.places);
    findings.sort();
    report(&findings, format, environment);
    if !all_answered {
        return Exit::Failed;
    }
    let problems = findings.has_errors() || (strict && findings.warnings() > 0);
    if problems { Exit::Problems } else { Exit::Done }
}

/// Groups B and C.
async fn source(config: &Config) -> Result<Diagnostics, Failure> {
    let session = config
        .postgres
        .connect(APPLICATION)
        .await
        .map_err(|error| {
            let help = error
                .help()
                .map(|help| format!(": {help}"))
                .unwrap_or_default();
            Definite::SetUp(format!("source.connection_url: {error}{help}"))
        })?;
    let own = own::read(&session, &config.indexes).await?;
    let mut findings = own.findings;
    let union = Union::new(
        own.needs,
        model::Needs::new(),
        std::collections::BTreeSet::new(),
    );
    let settings = Settings::new(&config.source, config.max_retained_wal());
    let preflight = Preflight::read(&session, settings, union)
        .await
        .map_err(|error| Definite::SetUp(error.to_string()))?;
    findings.extend(preflight.report());
    Ok(findings)
}

/// Findings on standard output.
fn report(findings: &Diagnostics, format: ReportFormat, environment: &Environment) {
    match format {
        ReportFormat::Json => print(&findings.to_json().to_string()),
        ReportFormat::Human => {
            let text = render(findings, std::io::stdout().is_terminal(), environment);
            let counts = format!(
                "{} errors, {} warnings",
                findings.errors(),
                findings.warnings()
            );
            print(&if text.trim().is_empty() {
                counts
            } else {
                format!("{}\n\n{counts}", text.trim_end())
            });
        }
    }
}

fn version(format: ReportFormat) {
    let (product, librdkafka, rendering) = (
        env!("CARGO_PKG_VERSION"),
        runtime::kafka::Kafka::library_version(),
        definition::RENDERING,
    );
    match format {
        ReportFormat::Json => print(
            &json!({"product": product, "librdkafka": librdkafka, "rendering": rendering})
                .to_string(),
        ),
        ReportFormat::Human => print(&format!(
            "capture-svc {product}\nlibrdkafka {librdkafka}\nrendering {rendering}"
        )),
    }
}
