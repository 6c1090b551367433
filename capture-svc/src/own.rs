//! What the indexes of the own file need.
//! In: the enabled indexes, the database's catalog. Out: their needs, or findings.

use definition::catalog::CATALOG_SQL;
use definition::{Catalog, Diagnostics, Index, compile};
use model::Needs;
use tokio_postgres::Client;

use crate::error::Transient;

/// The needs of all indexes together.
///
/// # Errors
/// The database does not answer. Inside: where definitions and database do not fit.
pub async fn needs(
    client: &Client,
    indexes: &[Index],
) -> Result<Result<Needs, Diagnostics>, Transient> {
    let mut all = Needs::new();
    let mut findings = Diagnostics::new();
    for index in indexes {
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
        let catalog =
            Catalog::from_rows(texts.iter().map(String::as_str)).map_err(|error| failed(&error))?;
        match compile(&index.definition, &catalog) {
            Ok(compiled) => all = all.union(compiled.needs),
            Err(found) => {
                findings.extend(found.locate(&index.name, &index.spans));
            }
        }
    }
    Ok(if findings.has_errors() {
        Err(findings)
    } else {
        Ok(all)
    })
}
