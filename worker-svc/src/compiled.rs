//! A definition and the live catalog → everything a feed and a generation are made of.
//! In: a definition (from a file, or from the registry), a connection, index options. Out:
//! [`Compiled`]. Must hold: W4 rests on compiling against the catalog as it is now; the
//! fingerprint tells when it is not what the generation was made for (R2).
//! Must not: write anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use definition::compile::{self, CompiledIndex};
use definition::deployment::IndexOptions;
use definition::{Catalog, Diagnostic, Diagnostics, IndexDefinition, definition_hash, mapping};
use model::{ColumnName, TableName};
use runtime::configured;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::build::Statements;
use crate::coordinate::create::Blueprint;
use crate::error::{Definite, Transient};
use crate::resolve::{How, Path, Paths};

/// A definition that fits the database.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// As the definition crate made it.
    pub index: CompiledIndex,
    /// What it was compiled against.
    pub catalog: Catalog,
}

impl Compiled {
    /// Whether `role`, the current one, may read every table of the index, and all of its rows.
    #[must_use]
    pub fn rights(&self, role: &str) -> Diagnostics {
        let mut findings = Diagnostics::new();
        for table in self
            .index
            .tables
            .iter()
            .filter_map(|name| self.catalog.table(name))
        {
            let name = &table.name;
            if !table.select {
                let sql = format!("GRANT SELECT ON {name} TO {role};");
                let finding = Diagnostic::error("E308", format!("role {role} may not read {name}"));
                findings.push(finding.help(sql.clone()).sql(sql));
            }
            if table.row_security {
                let message = format!("row security hides rows of {name} from role {role}");
                let sql = format!("ALTER ROLE {role} BYPASSRLS;");
                findings.push(
                    Diagnostic::error("E309", message)
                        .help(sql.clone())
                        .sql(sql),
                );
            }
        }
        findings
    }
}

/// The catalog of every table that these definitions name.
///
/// # Errors
/// Postgres does not answer.
pub async fn catalog(
    client: &Client,
    definitions: &[&IndexDefinition],
) -> Result<Catalog, Transient> {
    configured::catalog(client, definitions.iter().copied())
        .await
        .map_err(|error| Transient::Postgres {
            doing: "compiling the definitions",
            source: Box::new(error),
        })
}

/// Compiles a definition against a catalog.
///
/// # Errors
/// Everything in which the two do not fit.
pub fn compile(definition: &IndexDefinition, catalog: Catalog) -> Result<Compiled, Diagnostics> {
    Ok(Compiled {
        index: compile::compile(definition, &catalog)?,
        catalog,
    })
}

/// Compiles a definition against the database as it is now.
///
/// # Errors
/// Postgres does not answer; inside: the definition does not fit.
pub async fn read(
    client: &Client,
    definition: &IndexDefinition,
) -> Result<Result<Compiled, Definite>, Transient> {
    let catalog = catalog(client, &[definition]).await?;
    Ok(compile(definition, catalog)
        .map_err(|findings| Definite::Definition(in_one_line(&findings))))
}

/// The first error, and how many there are.
#[must_use]
pub fn in_one_line(findings: &Diagnostics) -> String {
    let mut errors = findings
        .findings()
        .iter()
        .filter(|finding| finding.severity == definition::Severity::Error);
    let Some(first) = errors.next() else {
        return String::from("no finding");
    };
    match errors.count() {
        0 => first.message.clone(),
        more => format!("{} (and {more} more; see check)", first.message),
    }
}

impl Compiled {
    /// The SQL of the index.
    #[must_use]
    pub fn statements(&self) -> Statements {
        let compiled = Arc::new(self.index.clone());
        Statements {
            root: self.index.root.clone(),
            lock: self.index.lock_sql.clone(),
            build: self.index.build_sql.clone(),
            key: self.key(),
            chunk: Arc::new(move |leaf| compiled.chunk_sql(leaf)),
        }
    }

    /// The document key.
    #[must_use]
    pub fn key(&self) -> Vec<ColumnName> {
        self.index
            .key
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    /// How rows lead to documents.
    #[must_use]
    pub fn paths(&self) -> Paths {
        let by_table: BTreeMap<TableName, Vec<Path>> = self
            .index
            .routes
            .iter()
            .map(|(table, routes)| (table.clone(), routes.iter().map(path).collect()))
            .collect();
        Paths::new(by_table)
    }

    /// Everything a generation's record holds.
    #[must_use]
    pub fn blueprint(
        &self,
        index: &str,
        topic_prefix: &str,
        definition: &IndexDefinition,
        options: &IndexOptions,
        system_identifier: u64,
    ) -> Blueprint {
        Blueprint {
            index: index.to_owned(),
            topic_prefix: topic_prefix.to_owned(),
            system_identifier,
            definition: definition.to_json().to_string(),
            definition_hash: definition_hash(definition, options),
            index_body: self.index_body(definition, options),
            settings_when_seeded: settings_when_seeded(options),
            pipeline: options.pipeline.clone(),
            source_fingerprint: self.index.source_fingerprint.clone(),
            tables: self.index.tables.iter().cloned().collect(),
            root: self.index.root.clone(),
            key: self.key(),
            needs: self.index.needs.clone(),
        }
    }

    /// What the index is made with, to be seeded.
    #[must_use]
    pub fn index_body(&self, definition: &IndexDefinition, options: &IndexOptions) -> Value {
        json!({
            "settings": mapping::settings(definition, &self.catalog, options),
            "mappings": mapping::mappings(definition, &self.catalog, options),
        })
    }
}

fn path(route: &compile::Route) -> Path {
    Path {
        columns: route.columns.clone(),
        how: match &route.how {
            compile::How::Direct => How::Direct,
            compile::How::Query(sql) => How::Query(sql.clone()),
        },
    }
}

/// What is restored before the alias moves.
#[must_use]
pub fn settings_when_seeded(options: &IndexOptions) -> Value {
    json!({"index": {
        "refresh_interval": options.refresh_interval.to_string(),
        "number_of_replicas": options.number_of_replicas,
    }})
}

/// The definition of a generation, read back from its record.
///
/// # Errors
/// It was written by a newer version, or is damaged.
pub fn of_record(id: &str, text: &str) -> Result<IndexDefinition, Definite> {
    let damaged = |reason: String| Definite::Registry {
        id: id.to_owned(),
        reason,
    };
    let json: Value = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    IndexDefinition::from_json(&json).map_err(|error| damaged(error.to_string()))
}
