//! Group B: the database against the definitions.

use definition::compile::How;
use definition::report::{Report, probes};
use definition::{Catalog, Diagnostic, Diagnostics, Index};
use runtime::configured;
use runtime::postgres::Error;
use tokio_postgres::Client;

use super::{located, unreachable};
use crate::compiled::{self, Compiled};
use crate::config::Config;
use crate::error::{Transient, chain};

/// The tables of the files, if the database answered.
pub(super) async fn check(config: &Config, report: &mut Report) -> Option<Catalog> {
    let source = &config.deployment.source;
    let postgres = match configured::postgres(source, &config.environment) {
        Ok((postgres, ignored)) => {
            for parameter in ignored {
                let message = format!("parameter {parameter} of the connection URL is not read");
                report.findings.push(Diagnostic::warning("W306", message));
            }
            postgres
        }
        Err(error) => {
            report
                .findings
                .push(Diagnostic::error("E307", error.to_string()));
            return None;
        }
    };
    let session = match postgres.connect("worker-svc check").await {
        Ok(session) => session,
        Err(error) => {
            let place = postgres.target().describe();
            let message = format!("Postgres at {place} cannot be used: {error}");
            let finding = Diagnostic::error("E307", message);
            let finding = match error.help() {
                Some(help) => finding.help(help),
                None => finding,
            };
            unreachable(report, finding);
            return None;
        }
    };
    match ask(config, &session, report).await {
        Ok(catalog) => Some(catalog),
        Err(text) => {
            unreachable(report, Diagnostic::error("E307", text));
            None
        }
    }
}

async fn ask(config: &Config, client: &Client, report: &mut Report) -> Result<Catalog, String> {
    report
        .findings
        .extend(configured::server(client).await.map_err(silent)?);
    let indexes: Vec<&Index> = config.indexes().collect();
    let definitions: Vec<_> = indexes.iter().map(|index| &*index.definition).collect();
    let catalog = compiled::catalog(client, &definitions)
        .await
        .map_err(chain_of)?;
    for index in indexes {
        definition(config, client, index, &catalog, report)
            .await
            .map_err(silent)?;
    }
    Ok(catalog)
}

async fn definition(
    config: &Config,
    client: &Client,
    index: &Index,
    catalog: &Catalog,
    report: &mut Report,
) -> Result<(), Error> {
    let mut findings = definition::compile::check(&index.definition, catalog);
    findings.extend(configured::probed(client, &probes(&index.definition, catalog)).await?);
    let fits = !findings.has_errors();
    report.findings.extend(located(findings, index));
    // Its errors are among the findings already.
    let Ok(compiled) = compiled::compile(&index.definition, catalog.clone()) else {
        return Ok(());
    };
    let rights = compiled.rights(&role(client).await?);
    report.findings.extend(located(rights, index));
    if fits {
        let statements = prepared(client, &compiled).await?;
        report.findings.extend(located(statements, index));
    }
    let identities = configured::identities(client, &compiled.index.tables).await?;
    for shown in report.indexes.iter_mut().filter(|it| it.name == index.name) {
        *shown = definition::report::IndexReport::new(&config.deployment, index, catalog).needs(
            &compiled.index.needs,
            catalog,
            &identities,
        );
    }
    Ok(())
}

/// The name of the role, quoted where it has to be.
async fn role(client: &Client) -> Result<String, Error> {
    let failed = |error: tokio_postgres::Error| Error::from_sql("asking for the role", &error);
    let row = client
        .query_one("SELECT quote_ident(current_user)", &[])
        .await
        .map_err(failed)?;
    row.try_get(0).map_err(failed)
}

/// Every statement that feeds will run must prepare.
async fn prepared(client: &Client, compiled: &Compiled) -> Result<Diagnostics, Error> {
    let index = &compiled.index;
    let chunk = index.chunk_sql(&index.root);
    let routes = index.routes.values().flatten();
    let resolving = routes.filter_map(|route| match &route.how {
        How::Query(sql) => Some((sql.as_str(), route.path.as_str())),
        How::Direct => None,
    });
    let statements = [
        (index.lock_sql.as_str(), ""),
        (index.build_sql.as_str(), ""),
        (chunk.as_str(), ""),
    ];
    let mut findings = Diagnostics::new();
    for (sql, path) in statements.into_iter().chain(resolving) {
        let Err(error) = client.prepare(sql).await else {
            continue;
        };
        let Some(refusal) = error.as_db_error() else {
            return Err(Error::from_sql("preparing a statement", &error));
        };
        // The server's words name tables, columns and functions, no values of rows.
        let message = format!(
            "a statement of the index does not work: {}",
            refusal.message()
        );
        findings.push(
            Diagnostic::error("E313", message)
                .help("a function or operator is missing, or not to be used by this role")
                .at(path.trim_end_matches(" (junction)"), None),
        );
    }
    Ok(findings)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn silent(error: Error) -> String {
    match error.help() {
        Some(help) => format!("{error}: {help}"),
        None => error.to_string(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn chain_of(error: Transient) -> String {
    chain(&error)
}
