//! What the indexes of the own file need.
//! In: the enabled indexes, the database's catalog. Out: their needs, and every finding.
//! Must not: judge rights; only workers read the rows.

mod promise;

pub use promise::announcements;

use std::collections::BTreeSet;

use definition::catalog::CATALOG_SQL;
use definition::{Catalog, Diagnostics, Index, compile};
use model::{Needs, TableName};
use runtime::postgres::Error;
use tokio_postgres::Client;

use crate::error::Transient;

/// The indexes of the own file against the database.
#[derive(Debug, Default)]
pub struct Own {
    /// The needs of all indexes that fit the database.
    pub needs: Needs,
    /// Where definitions and database do not fit, and what works but probably not as meant. Only
    /// errors may stop anything.
    pub findings: Diagnostics,
}

/// Compares the indexes with the database.
///
/// # Errors
/// The database does not answer.
pub async fn read(client: &Client, indexes: &[Index]) -> Result<Own, Transient> {
    let failed = |error: Error| Transient::Postgres(error.to_string());
    let catalog = catalog(client, indexes).await.map_err(failed)?;
    let mut own = Own::default();
    for index in indexes {
        let found = definition::compile::check(&index.definition, &catalog);
        own.findings.extend(found.locate(&index.name, &index.spans));
        // Its errors are among the findings already.
        if let Ok(compiled) = compile(&index.definition, &catalog) {
            own.needs = std::mem::take(&mut own.needs).union(compiled.needs);
        }
    }
    Ok(own)
}

/// Every table that these indexes name.
///
/// # Errors
/// The database does not answer.
pub async fn catalog(client: &Client, indexes: &[Index]) -> Result<Catalog, Error> {
    const DOING: &str = "cannot read the catalog";
    let failed = |error: tokio_postgres::Error| Error::from_sql(DOING, &error);
    let names: BTreeSet<TableName> = indexes
        .iter()
        .flat_map(|index| definition::compile::tables(&index.definition))
        .collect();
    let (schemas, tables): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(|table| (table.schema.as_str(), table.name.as_str()))
        .unzip();
    let rows = client
        .query(CATALOG_SQL, &[&schemas, &tables])
        .await
        .map_err(failed)?;
    let texts: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    Catalog::from_rows(texts.iter().map(String::as_str))
        .map_err(|error| Error::unreadable(DOING, &error))
}
