//! `check`: A files · B database · D broker · E sinks. Nothing is changed.
//! Exit: 0, 3 for errors (with `--strict` also warnings), 1 when a dependency cannot be
//! reached, 2 when files cannot be read.

mod broker;
mod database;
mod sinks;

use definition::report::{IndexReport, Report};
use definition::{Catalog, Deployment, Diagnostic, Diagnostics};
use runtime::cli::{CheckFlags, Exit};
use runtime::configured::{self, Part};

use super::Invocation;
use crate::config::Config;

pub(super) async fn check(invocation: &Invocation, flags: &CheckFlags) -> Exit {
    let mut report = Report::default();
    let mut loaded = None;
    match invocation.load(&invocation.overrides()) {
        Err(findings) => report.findings = findings,
        Ok((deployment, warnings)) => {
            report.findings = warnings;
            report.indexes = of_the_files(&deployment);
            loaded = Some(deployment);
        }
    }
    // Before the servers are asked: what loading found tells what 0.15 took.
    flags.explain(
        &mut report,
        &invocation.common,
        &invocation.environment,
        None,
    );
    if let (Some(deployment), false) = (loaded, flags.offline) {
        let config = Config::new(deployment, invocation.environment.clone());
        if let Some(catalog) = live(&config, &mut report).await {
            let (common, environment) = (&invocation.common, &invocation.environment);
            flags.explain(&mut report, common, environment, Some(&catalog));
        }
        report.findings =
            std::mem::take(&mut report.findings).locate_in_config(&config.deployment.places);
    }
    report.findings.sort();
    flags.conclude(&report, invocation.common.format, &invocation.environment)
}

/// The indexes as far as the files tell.
fn of_the_files(deployment: &Deployment) -> Vec<IndexReport> {
    let catalog = Catalog::default();
    let indexes = deployment.indexes.iter();
    indexes
        .map(|index| IndexReport::new(deployment, index, &catalog))
        .collect()
}

/// Asks the servers. The tables of the files, if the database answered.
async fn live(config: &Config, report: &mut Report) -> Option<Catalog> {
    let secrets = configured::unresolved(&config.deployment, Part::Worker, &config.environment);
    if !secrets.is_empty() {
        report.findings.extend(secrets);
        return None;
    }
    report
        .findings
        .extend(runtime::cli::unsupported(&config.deployment));
    let catalog = database::check(config, report).await;
    broker::check(config, report).await;
    sinks::check(config, report).await;
    catalog
}

/// A dependency cannot be reached.
fn unreachable(report: &mut Report, finding: Diagnostic) {
    report.is_unreachable = true;
    report.findings.push(finding);
}

/// The findings of one index, at their places in its schema file.
fn located(findings: Diagnostics, index: &definition::Index) -> Diagnostics {
    findings.locate(&index.name, &index.spans)
}
