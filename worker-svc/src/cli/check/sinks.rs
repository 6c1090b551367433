//! Group E: the sinks, and what `apply` would do.

use definition::Diagnostic;
use definition::deployment::{IndexOptions, TextAnalysis};
use definition::report::Report;

use super::unreachable;
use crate::cli::apply::survey_text;
use crate::config::Config;
use crate::error::chain;
use crate::registry::Registry;
use crate::service::{options_of, survey};
use crate::sink::{Failure, Sink};

/// The lowest version this product is tested with.
const LOWEST: u32 = 2;

pub(super) async fn check(config: &Config, report: &mut Report) {
    let sinks = match config.clusters() {
        Ok(sinks) => sinks,
        Err(error) => {
            return report
                .findings
                .push(Diagnostic::error("E602", error.to_string()));
        }
    };
    let mut registries = Vec::new();
    for (name, client) in sinks {
        match one(config, &name, &client, report).await {
            Ok(()) => registries.push(Registry::new(
                client,
                name,
                config.deployment.prefix.clone(),
            )),
            Err(failure) => unreachable(
                report,
                Diagnostic::error(
                    "E602",
                    format!(
                        "OpenSearch of sink {name} cannot be used: {}",
                        chain(&failure)
                    ),
                )
                .help("check url, credentials and certificates of the sink")
                .key(format!("sinks.{name}.url")),
            ),
        }
    }
    match survey(config, &registries).await {
        Ok(Ok(survey)) if !survey.planned.is_empty() => {
            report
                .information
                .push(format!("apply would:\n{}", survey_text(&survey)));
        }
        Ok(Ok(_)) => {}
        Ok(Err(definite)) => {
            report
                .findings
                .push(Diagnostic::error("E603", definite.to_string()).help(definite.rule().advice));
        }
        Err(transient) => unreachable(report, Diagnostic::error("E602", chain(&transient))),
    }
}

async fn one(
    config: &Config,
    name: &str,
    client: &Sink,
    report: &mut Report,
) -> Result<(), Failure> {
    let info = client.info().await?;
    let major: Option<u32> = info
        .version
        .split('.')
        .next()
        .and_then(|number| number.parse().ok());
    if info.distribution != "opensearch" || major.is_none_or(|major| major < LOWEST) {
        let what = if info.distribution.is_empty() {
            "another product"
        } else {
            &info.distribution
        };
        let message = format!(
            "sink {name}: {what} {} answers; OpenSearch {LOWEST} or later is needed",
            info.version
        );
        report
            .findings
            .push(Diagnostic::error("E604", message).key(format!("sinks.{name}.url")));
        return Ok(());
    }
    if client.creates_by_writing().await? {
        let message =
            format!("sink {name}: a write to a missing index makes it, with a mapping of its own");
        report
            .findings
            .push(
            Diagnostic::warning("W607", message)
                .help("set action.auto_create_index to false, or to a pattern that leaves out our indexes")
                .key(format!("sinks.{name}.url")),
        );
    }
    let Some(sink) = config.deployment.sink(name) else {
        return Ok(());
    };
    let mut wants_icu = false;
    for index in config
        .indexes()
        .filter(|index| index.sinks.iter().any(|sink| sink == name))
    {
        let options = options_of(sink, index);
        wants_icu = wants_icu || options.text_analysis == TextAnalysis::Icu;
        pipeline(client, name, &index.name, &options, report).await?;
        aliases(config, client, &index.name, report).await?;
    }
    if wants_icu {
        icu(client, name, report).await?;
    }
    Ok(())
}

async fn pipeline(
    client: &Sink,
    sink: &str,
    index: &str,
    options: &IndexOptions,
    report: &mut Report,
) -> Result<(), Failure> {
    let Some(pipeline) = &options.pipeline else {
        return Ok(());
    };
    if !client.has_pipeline(pipeline).await? {
        let message = format!(
            "sink {sink}: index {index} wants the ingest pipeline {pipeline}, which is not there"
        );
        report.findings.push(
            Diagnostic::error("E605", message)
                .help("create the pipeline, or remove `pipeline`")
                .key(format!("index.{index}.pipeline")),
        );
    }
    Ok(())
}

async fn aliases(
    config: &Config,
    client: &Sink,
    index: &str,
    report: &mut Report,
) -> Result<(), Failure> {
    for alias in crate::service::aliases(&config.deployment, index) {
        if client.index(&alias).await?.is_some() {
            let message = format!("alias {alias} cannot be made: an index has that name");
            report.findings.push(
                Diagnostic::error("E601", message)
                    .help("rename or remove it, or change prefix")
                    .key(format!("index.{index}.name")),
            );
        }
    }
    Ok(())
}

async fn icu(client: &Sink, sink: &str, report: &mut Report) -> Result<(), Failure> {
    let Some(reason) = client.lacks_icu().await? else {
        return Ok(());
    };
    let message = format!(
        "sink {sink}: text_analysis = \"icu\" needs the plugin analysis-icu on every node: {reason}"
    );
    report.findings.push(
        Diagnostic::error("E606", message)
            .help("install it on every node, or use text_analysis = \"builtin\"")
            .key(format!("sinks.{sink}.text_analysis")),
    );
    Ok(())
}
