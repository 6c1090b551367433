//! What both services ask the database about the definitions.
//! In: an SQL session. Out: facts and findings. Must not: change anything.

use std::collections::BTreeSet;

use definition::catalog::CATALOG_SQL;
use definition::report::{Ask, IDENTITIES_SQL, Identities, Probe};
use definition::{Catalog, Diagnostic, Diagnostics, IndexDefinition, compile};
use model::TableName;
use tokio_postgres::Client;

use crate::postgres::Error;

/// The oldest server whose publications, snapshots and statistics are as needed.
const OLDEST: i32 = 150_000;

/// Version and encoding of the server. That it is a primary was seen by connecting.
///
/// # Errors
/// The database does not answer.
pub async fn server(client: &Client) -> Result<Diagnostics, Error> {
    const SQL: &str = "
        SELECT current_setting('server_version_num')::int4, current_setting('server_version'),
               pg_encoding_to_char(encoding)::text, datname::text
        FROM pg_catalog.pg_database WHERE datname = current_database()";
    const DOING: &str = "reading version and encoding";
    let failed = |error: tokio_postgres::Error| Error::from_sql(DOING, &error);
    let row = client.query_one(SQL, &[]).await.map_err(failed)?;
    let number: i32 = row.try_get(0).map_err(failed)?;
    let version: String = row.try_get(1).map_err(failed)?;
    let encoding: String = row.try_get(2).map_err(failed)?;
    let database: String = row.try_get(3).map_err(failed)?;
    Ok(judge(number, &version, &encoding, &database))
}

fn judge(number: i32, version: &str, encoding: &str, database: &str) -> Diagnostics {
    let mut findings = Diagnostics::new();
    if number < OLDEST {
        let message = format!("the server is PostgreSQL {version}, and at least 15 is needed");
        findings.push(Diagnostic::error("E310", message).help("upgrade the server"));
    }
    if encoding == "SQL_ASCII" {
        let message = format!(
            "database {database} has the encoding SQL_ASCII: its text has no known meaning"
        );
        findings.push(
            Diagnostic::error("E312", message)
                .help("move the data to a database with encoding UTF8"),
        );
    }
    findings
}

/// The catalog of every table that these definitions name.
///
/// # Errors
/// The database does not answer.
pub async fn catalog<'d>(
    client: &Client,
    definitions: impl IntoIterator<Item = &'d IndexDefinition>,
) -> Result<Catalog, Error> {
    const DOING: &str = "cannot read the catalog";
    let tables = definitions.into_iter().flat_map(compile::tables).collect();
    let texts = described(client, DOING, CATALOG_SQL, &tables).await?;
    Catalog::from_rows(texts.iter().map(String::as_str))
        .map_err(|error| Error::unreadable(DOING, &error))
}

/// The replica identities of these tables.
///
/// # Errors
/// The database does not answer.
pub async fn identities(
    client: &Client,
    tables: &BTreeSet<TableName>,
) -> Result<Identities, Error> {
    const DOING: &str = "reading the replica identities";
    let texts = described(client, DOING, IDENTITIES_SQL, tables).await?;
    Identities::from_rows(texts.iter().map(String::as_str))
        .map_err(|error| Error::unreadable(DOING, &error))
}

/// The texts that `sql` gives for lists of schemas and names.
async fn described(
    client: &Client,
    doing: &str,
    sql: &str,
    tables: &BTreeSet<TableName>,
) -> Result<Vec<String>, Error> {
    let (schemas, names): (Vec<&str>, Vec<&str>) = tables
        .iter()
        .map(|table| (table.schema.as_str(), table.name.as_str()))
        .unzip();
    let rows = client.query(sql, &[&schemas, &names]).await;
    rows.and_then(|rows| rows.iter().map(|row| row.try_get(0)).collect())
        .map_err(|error| Error::from_sql(doing, &error))
}

/// Asks whether each value and condition works. A finding for each that does not, without a place
/// in a file yet.
///
/// # Errors
/// The database does not answer.
pub async fn probed(client: &Client, probes: &[Probe]) -> Result<Diagnostics, Error> {
    let mut findings = Diagnostics::new();
    for probe in probes {
        let asked = match &probe.ask {
            Ask::Cast { sql, value, .. } => client.query_one(sql, &[value]).await.map(drop),
            Ask::Condition { sql, .. } => client.prepare(sql).await.map(drop),
        };
        if let Err(error) = asked {
            let Some(refusal) = error.as_db_error() else {
                return Err(Error::from_sql("asking about a value of the files", &error));
            };
            findings.push(probe.refused(refusal.message()));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_and_a_text_without_encoding_are_errors() {
        let codes = |number, encoding| -> Vec<&'static str> {
            let findings = judge(number, "14.9", encoding, "shop");
            findings.findings().iter().map(|f| f.code).collect()
        };
        assert_eq!(codes(150_000, "UTF8"), [""; 0]);
        assert_eq!(codes(140_009, "LATIN1"), ["E310"]);
        assert_eq!(codes(170_002, "SQL_ASCII"), ["E312"]);
    }
}
