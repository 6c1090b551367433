//! `preview`: one document as it would be written now, from its id.
//! In: an index, an id, the files. Out: the document on standard output, or `null` and the
//! reason on standard error. Must not: write to OpenSearch or Kafka.

use std::time::Instant;

use runtime::cli::{Exit, complain, print};
use tokio_postgres::types::ToSql;

use crate::cli::{Invocation, failed, refused, say};
use crate::compiled::{self, Compiled};
use crate::error::{Definite, Transient};

/// The command.
pub async fn command(invocation: &Invocation, index: &str, id: &str, show_sql: bool) -> Exit {
    let config = match invocation.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(found) = config.deployment.index(index) else {
        complain(&std::io::Error::other(format!(
            "no index {index} in {}",
            invocation.common.config.display()
        )));
        return Exit::Usage;
    };
    let postgres =
        match runtime::configured::postgres(&config.deployment.source, &config.environment) {
            Ok((postgres, _ignored)) => postgres,
            Err(error) => return refused(&Definite::Setup(error.to_string())),
        };
    let session = match postgres.connect("worker-svc preview").await {
        Ok(session) => session,
        Err(error) => {
            return failed(&Transient::Postgres {
                doing: "connecting",
                source: Box::new(error),
            });
        }
    };
    let compiled = match compiled::read(&session, &found.definition).await {
        Ok(Ok(compiled)) => compiled,
        Ok(Err(definite)) => return refused(&definite),
        Err(transient) => return failed(&transient),
    };
    match document(&session, &compiled, id, show_sql).await {
        Ok(Some(document)) => {
            print(&document);
            Exit::Done
        }
        Ok(None) => {
            print("null");
            complain(&std::io::Error::other(format!(
                "no row of {} has the key {id}, or it is filtered out",
                compiled.index.root
            )));
            Exit::Done
        }
        Err(transient) => failed(&transient),
    }
}

/// The document of one id.
///
/// # Errors
/// Postgres does not answer, or cannot build it.
pub async fn document(
    client: &tokio_postgres::Client,
    compiled: &Compiled,
    id: &str,
    show_sql: bool,
) -> Result<Option<String>, Transient> {
    const DOING: &str = "building the document";
    let sql = &compiled.index.build_sql;
    if show_sql {
        // Standard error, like everything that is not the document.
        say(&format!("statement: {sql}"));
    }
    let keys: Vec<Vec<String>> = key_of(id, compiled.index.key.len())
        .into_iter()
        .map(|part| vec![part])
        .collect();
    let parameters: Vec<&(dyn ToSql + Sync)> = keys
        .iter()
        .map(|key| -> &(dyn ToSql + Sync) { key })
        .collect();
    let started = Instant::now();
    let rows = client
        .query(sql, &parameters)
        .await
        .map_err(|error| Transient::Postgres {
            doing: DOING,
            source: Box::new(error),
        })?;
    if show_sql {
        say(&format!(
            "took {:.1} ms",
            started.elapsed().as_secs_f64() * 1000.0
        ));
    }
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    row.try_get("document")
        .map_err(|error| Transient::Postgres {
            doing: DOING,
            source: Box::new(error),
        })
}

/// The key's parts in an id; a composite id is joined by colons with `\` before `:` and `\`.
fn key_of(id: &str, parts: usize) -> Vec<String> {
    if parts <= 1 {
        return vec![id.to_owned()];
    }
    let mut key = vec![String::new()];
    let mut characters = id.chars();
    while let Some(character) = characters.next() {
        let Some(last) = key.last_mut() else { break };
        match character {
            '\\' => last.extend(characters.next()),
            ':' => key.push(String::new()),
            other => last.push(other),
        }
    }
    key.resize(parts, String::new());
    key
}
