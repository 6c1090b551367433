//! Group B: the database against the definitions.

use definition::Diagnostic;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Found;
use crate::compiled::{self, Compiled};
use crate::config::Config;
use crate::error::{Transient, chain};
use crate::service::options_of;

/// Statements of this many index sinks are the same; the first sink's options will do.
pub(super) async fn check(config: &Config, found: &mut Found) {
    let postgres =
        match runtime::configured::postgres(&config.deployment.source, &config.environment) {
            Ok((postgres, ignored)) => {
                for parameter in ignored {
                    found.findings.push(Diagnostic::warning(
                        "W306",
                        format!("parameter {parameter} of the connection URL is not read"),
                    ));
                }
                postgres
            }
            Err(error) => {
                return found
                    .findings
                    .push(Diagnostic::error("E307", error.to_string()));
            }
        };
    let session = match postgres.connect("worker-svc check").await {
        Ok(session) => session,
        Err(error) => {
            let mut finding = Diagnostic::error(
                "E307",
                format!(
                    "Postgres at {} cannot be used: {error}",
                    postgres.target().describe()
                ),
            );
            if let Some(help) = error.help() {
                finding = finding.help(help);
            }
            return found.unreachable(finding);
        }
    };
    if let Err(error) = server(&session, found).await {
        return found.unreachable(Diagnostic::error("E307", chain(&error)));
    }
    if let Err(error) = definitions(config, &session, found).await {
        found.unreachable(Diagnostic::error("E307", chain(&error)));
    }
}

/// Version and encoding. Being a primary was checked by connecting.
async fn server(client: &Client, found: &mut Found) -> Result<(), Transient> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int4, current_setting('server_version'), pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()", &[])
        .await
        .map_err(postgres("reading version and encoding"))?;
    let version: i32 = row
        .try_get(0)
        .map_err(postgres("reading version and encoding"))?;
    let name: String = row
        .try_get(1)
        .map_err(postgres("reading version and encoding"))?;
    let encoding: String = row
        .try_get(2)
        .map_err(postgres("reading version and encoding"))?;
    if version < 150_000 {
        found.findings.push(Diagnostic::error(
            "E310",
            format!("PostgreSQL {name} answers; 15 or later is needed"),
        ));
    }
    if encoding == "SQL_ASCII" {
        let finding = Diagnostic::error(
            "E312",
            "the database has the encoding SQL_ASCII: its texts may be no text at all",
        );
        found.findings.push(finding.help("use a database in UTF8"));
    }
    Ok(())
}

async fn definitions(config: &Config, client: &Client, found: &mut Found) -> Result<(), Transient> {
    for index in config.indexes() {
        let catalog = compiled::catalog(client, &[&index.definition]).await?;
        let findings = definition::compile::check(&index.definition, &catalog);
        found
            .findings
            .extend(findings.locate(&index.name, &index.spans));
        // Its errors are among the findings already.
        let Ok(compiled) = compiled::compile(&index.definition, catalog) else {
            continue;
        };
        let role = role(client).await?;
        let rights = compiled.rights(&role);
        let may_read = !rights.has_errors();
        found
            .findings
            .extend(rights.locate(&index.name, &index.spans));
        if may_read {
            statements(client, &index.name, &compiled, found).await;
        }
        let Some(sink) = index
            .sinks
            .first()
            .and_then(|name| config.deployment.sink(name))
        else {
            continue;
        };
        let options = options_of(sink, index);
        let body = compiled.index_body(&index.definition, &options);
        found.indexes.insert(
            index.name.clone(),
            json!({
                "definition": definition::definition_hash(&index.definition, &options),
                "mappings": body.get("mappings"),
                "needs": needs(&compiled),
            }),
        );
    }
    Ok(())
}

/// The name of the role, quoted where it has to be.
async fn role(client: &Client) -> Result<String, Transient> {
    let row = client
        .query_one("SELECT quote_ident(current_user)", &[])
        .await
        .map_err(postgres("asking for the role"))?;
    row.try_get(0).map_err(postgres("asking for the role"))
}

fn needs(compiled: &Compiled) -> Vec<Value> {
    compiled
        .index
        .needs
        .tables()
        .iter()
        .map(|(table, needs)| json!({"table": table, "routing": needs.routing, "used": needs.used}))
        .collect()
}

/// Every statement must prepare for the role that will run it.
async fn statements(client: &Client, index: &str, compiled: &Compiled, found: &mut Found) {
    let statements = compiled.statements();
    let chunk = (statements.chunk)(&statements.root);
    for sql in [&statements.build, &chunk] {
        if let Err(error) = client.prepare(sql).await {
            // The server's words name tables, columns and rights, no values.
            let reason = error
                .as_db_error()
                .map_or_else(|| error.to_string(), |error| error.message().to_owned());
            let mut finding = Diagnostic::error(
                "E313",
                format!("the statements of {index} do not work for this role: {reason}"),
            )
            .help("grant SELECT on every table of the index");
            finding.index = Some(index.to_owned());
            return found.findings.push(finding);
        }
    }
}

fn postgres(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Transient {
    move |error| Transient::Postgres {
        doing,
        source: Box::new(error),
    }
}
