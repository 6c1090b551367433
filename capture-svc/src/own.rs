//! What the indexes of the own file need.
//! In: the enabled indexes, the database's catalog. Out: their needs, and every finding.
//! Must not: judge rights; only workers read the rows.

use definition::catalog::CATALOG_SQL;
use definition::{Catalog, Diagnostics, Index, compile};
use model::Needs;
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
    let mut own = Own::default();
    for index in indexes {
        let catalog = catalog(client, index).await?;
        let found = definition::compile::check(&index.definition, &catalog);
        own.findings.extend(found.locate(&index.name, &index.spans));
        // Its errors are among the findings already.
        if let Ok(compiled) = compile(&index.definition, &catalog) {
            own.needs = std::mem::take(&mut own.needs).union(compiled.needs);
        }
    }
    Ok(own)
}

async fn catalog(client: &Client, index: &Index) -> Result<Catalog, Transient> {
    let names = definition::compile::tables(&index.definition);
    let (schemas, tables): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(|table| (table.schema.as_str(), table.name.as_str()))
        .unzip();
    let failed = |error: &dyn std::fmt::Display| {
        Transient::Postgres(format!("cannot read the catalog: {error}"))
    };
    let rows = client
        .query(CATALOG_SQL, &[&schemas, &tables])
        .await
        .map_err(|error| failed(&error))?;
    let texts: Vec<String> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(|error| failed(&error))?;
    Catalog::from_rows(texts.iter().map(String::as_str)).map_err(|error| failed(&error))
}
