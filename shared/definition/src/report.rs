//! The report of `check`, the same for both services.
//! In: findings, what each index will be, the rows of `--explain-differences`. Out: text for
//! people, JSON for tools.
//! Must hold: people see findings by file first, then every index as it will be, counts last, so
//! that the last screen says whether all is well.
//! Must not: look anything up; whoever makes a report has done so.

mod identity;
mod probe;
mod tree;

use std::fmt::Write as _;

use model::Needs;
use serde_json::{Map, Value, json};

use crate::canonical::definition_hash;
use crate::catalog::Catalog;
use crate::deployment::{Deployment, Index, IndexOptions};
use crate::diagnostic::Diagnostics;
use crate::differences::{self, Difference};
use crate::mapping::mappings;

pub use identity::{IDENTITIES_SQL, Identities};
pub use probe::{Ask, Probe, probes};

/// Everything that a `check` has to say.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong or doubtful.
    pub findings: Diagnostics,
    /// The indexes, in the order of the file.
    pub indexes: Vec<IndexReport>,
    /// Lines for people, before the counts.
    pub information: Vec<String>,
    /// What the files mean otherwise than in flusso 0.15, and whether the database was asked;
    /// `None` when nobody wanted to know.
    pub differences: Option<(Vec<Difference>, bool)>,
    /// A server that is needed did not answer.
    pub is_unreachable: bool,
}

/// An index as it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexReport {
    /// Its name.
    pub name: String,
    /// What readers query.
    pub alias: String,
    /// Where it goes.
    pub sinks: Vec<String>,
    /// It is fed.
    pub enabled: bool,
    /// The hash of its definition, for its first sink.
    pub definition: String,
    /// Its mappings, for its first sink.
    pub mappings: Value,
    /// What it needs of the stream; `None` without the database, or when it does not fit it.
    pub needs: Option<Vec<NeedReport>>,
}

/// What is needed of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedReport {
    /// The table.
    pub table: String,
    /// Columns whose old and new values a change carries.
    pub routing: Vec<String>,
    /// Columns a change of which rebuilds documents.
    pub used: Vec<String>,
    /// The replica identity that is enough: `default` or `full`.
    pub identity: &'static str,
    /// Those in force, of the table or its leaves.
    pub current: Vec<String>,
    /// Those in force are enough.
    pub suffices: bool,
}

impl IndexReport {
    /// What the files alone tell; with a catalog also which keys are never null.
    #[must_use]
    pub fn new(deployment: &Deployment, index: &Index, catalog: &Catalog) -> Self {
        let options = options(deployment, index);
        IndexReport {
            name: index.name.clone(),
            alias: format!("{}{}", deployment.prefix, index.name),
            sinks: index.sinks.clone(),
            enabled: index.enabled,
            definition: definition_hash(&index.definition, &options),
            mappings: mappings(&index.definition, catalog, &options),
            needs: None,
        }
    }

    /// Adds what it needs of the stream.
    #[must_use]
    pub fn needs(mut self, needs: &Needs, catalog: &Catalog, identities: &Identities) -> Self {
        self.needs = Some(identity::needs(needs, catalog, identities));
        self
    }

    fn to_json(&self) -> Value {
        let need = |need: &NeedReport| {
            json!({
                "table": need.table, "routing": need.routing, "used": need.used,
                "identity": need.identity, "current": need.current.join(", "),
            })
        };
        let needs: Vec<Value> = self.needs.iter().flatten().map(need).collect();
        json!({"definition": self.definition, "mappings": self.mappings, "needs": needs})
    }
}

/// The options of an index in its first sink.
fn options(deployment: &Deployment, index: &Index) -> IndexOptions {
    let sink = index.sinks.first().and_then(|name| deployment.sink(name));
    sink.map_or_else(IndexOptions::default, |sink| {
        sink.index_options(&index.overrides)
    })
}

impl Report {
    /// The report as JSON: `ok errors warnings findings indexes`, and `differences` when asked for.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = self.findings.to_json();
        if let Some(members) = json.as_object_mut() {
            let indexes: Map<String, Value> = self
                .indexes
                .iter()
                .map(|index| (index.name.clone(), index.to_json()))
                .collect();
            members.insert("indexes".to_owned(), Value::Object(indexes));
            if let Some((differences, _)) = &self.differences {
                members.insert("differences".to_owned(), differences::to_json(differences));
            }
        }
        json
    }

    /// The report for people.
    #[must_use]
    pub fn render_human(&self, colour: bool) -> String {
        let mut out = self.findings.render_human(colour);
        for index in &self.indexes {
            tree::index(index, &mut out);
        }
        if let Some((differences, is_live)) = &self.differences {
            out.push_str(&differences::render_human(differences, *is_live));
            out.push('\n');
        }
        for line in &self.information {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{}\n", line.trim_end());
        }
        let count = |count: usize, word: &str| match count {
            1 => format!("1 {word}"),
            count => format!("{count} {word}s"),
        };
        let _ = writeln!(
            out,
            "{}, {}",
            count(self.findings.errors(), "error"),
            count(self.findings.warnings(), "warning")
        );
        out
    }
}

#[cfg(test)]
mod tests;
