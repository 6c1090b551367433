//! `check`: A files · B database · C replication · D broker. Nothing is changed.
//! Exit: 0, 3 for errors (with `--strict` also warnings), 1 when a dependency cannot be reached,
//! 2 when files cannot be read.

use std::collections::BTreeSet;

use definition::report::{IndexReport, Report, probes};
use definition::{Catalog, Deployment, Diagnostic, compile};
use runtime::Environment;
use runtime::cli::{CheckFlags, CommonFlags, Exit, unsupported};
use runtime::configured::{self, Part};
use runtime::postgres::{Error, Session};

use crate::APPLICATION;
use crate::config::Config;
use crate::needs::Union;
use crate::preflight::{Preflight, Settings};

pub(super) async fn check(
    flags: &CheckFlags,
    common: &CommonFlags,
    overrides: &definition::Overrides,
    environment: &Environment,
) -> Exit {
    let mut report = Report::default();
    let mut loaded = None;
    match common.load(environment, overrides) {
        Err(findings) => report.findings = findings,
        Ok((deployment, warnings)) => {
            report.findings = warnings;
            let (indexes, catalog) = (deployment.indexes.iter(), Catalog::default());
            report.indexes = indexes
                .map(|index| IndexReport::new(&deployment, index, &catalog))
                .collect();
            loaded = Some(deployment);
        }
    }
    // Before the servers are asked: what loading found tells what 0.15 took.
    flags.explain(&mut report, common, environment, None);
    if let (Some(deployment), false) = (loaded, flags.offline) {
        if let Some(catalog) = live(&deployment, environment, &mut report).await {
            flags.explain(&mut report, common, environment, Some(&catalog));
        }
        report.findings = std::mem::take(&mut report.findings).locate_in_config(&deployment.places);
    }
    report.findings.sort();
    flags.conclude(&report, common.format, environment)
}

/// Asks the servers. The tables of the files, if the database answered.
async fn live(
    deployment: &Deployment,
    environment: &Environment,
    report: &mut Report,
) -> Option<Catalog> {
    let secrets = configured::unresolved(deployment, Part::Capture, environment);
    if !secrets.is_empty() {
        report.findings.extend(secrets);
        return None;
    }
    report.findings.extend(unsupported(deployment));
    let config = match Config::new(deployment, environment) {
        Ok(config) => config,
        Err(error) => {
            report
                .findings
                .push(Diagnostic::error("E307", error.to_string()));
            return None;
        }
    };
    let catalog = match source(deployment, &config, report).await {
        Ok(catalog) => Some(catalog),
        Err(error) => {
            let place = config.postgres.target().describe();
            let message = format!("Postgres at {place} cannot be used: {error}");
            unreachable(report, Diagnostic::error("E307", message), error.help());
            None
        }
    };
    match configured::topic_plan(&config.kafka, &config.broker).await {
        Ok(plan) => report.findings.extend(plan.findings),
        Err(error) => {
            let message = format!(
                "Kafka at {} cannot be used: {error}",
                config.kafka.bootstrap()
            );
            unreachable(report, Diagnostic::error("E509", message), error.help());
        }
    }
    catalog
}

/// A dependency cannot be reached.
fn unreachable(report: &mut Report, finding: Diagnostic, help: Option<&str>) {
    report.is_unreachable = true;
    report.findings.push(match help {
        Some(help) => finding.help(help),
        None => finding,
    });
}

/// Groups B and C.
async fn source(
    deployment: &Deployment,
    config: &Config,
    report: &mut Report,
) -> Result<Catalog, Error> {
    let session = config.postgres.connect(APPLICATION).await?;
    let definitions = config.indexes.iter().map(|index| &*index.definition);
    let catalog = configured::catalog(&session, definitions).await?;
    let mut needs = model::Needs::new();
    for index in &config.indexes {
        let fits = definition(deployment, index, &session, &catalog, report).await?;
        needs = needs.union(fits);
    }
    let union = Union::new(needs, model::Needs::new(), BTreeSet::new());
    let settings = Settings::new(&config.source, config.max_retained_wal());
    let preflight = Preflight::read(&session, settings, union).await;
    match preflight {
        Ok(preflight) => report.findings.extend(preflight.report()),
        Err(error) => unreachable(report, Diagnostic::error("E307", error.to_string()), None),
    }
    Ok(catalog)
}

/// One index against the database. Its needs; none when it does not fit.
async fn definition(
    deployment: &Deployment,
    index: &definition::Index,
    session: &Session,
    catalog: &Catalog,
    report: &mut Report,
) -> Result<model::Needs, Error> {
    let mut findings = compile::check(&index.definition, catalog);
    let probes = probes(&index.definition, catalog);
    findings.extend(configured::probed(session, &probes).await?);
    report
        .findings
        .extend(findings.locate(&index.name, &index.spans));
    // Its errors are among the findings already.
    let Ok(compiled) = definition::compile(&index.definition, catalog) else {
        return Ok(model::Needs::new());
    };
    let identities = configured::identities(session, &compiled.tables).await?;
    for shown in report.indexes.iter_mut().filter(|it| it.name == index.name) {
        *shown = IndexReport::new(deployment, index, catalog).needs(
            &compiled.needs,
            catalog,
            &identities,
        );
    }
    Ok(compiled.needs)
}
