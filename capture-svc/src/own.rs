//! What the indexes of the own file need.
//! In: the enabled indexes, the database's catalog. Out: their needs, and every finding.
//! Must not: judge rights; only workers read the rows.

mod promise;

pub use promise::announcements;

use definition::{Diagnostics, Index, compile};
use model::Needs;
use runtime::configured;
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
    let definitions = indexes.iter().map(|index| &*index.definition);
    let catalog = configured::catalog(client, definitions)
        .await
        .map_err(|error| Transient::Postgres(error.to_string()))?;
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
