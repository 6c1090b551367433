//! A checked definition and a catalog become what the services run: needs, routes, statements.
//! In: [`IndexDefinition`], [`Catalog`]. Out: [`CompiledIndex`], or findings.
//! Must hold: W4, so every place in which a table occurs gets a route, over old and new values.
//! Must not: connect; the SQL is text.
//!
//! ```text
//!  definition ─┐
//!              ├─▶ walk: each place of a table ─▶ needs, routes (hops to the root)
//!  catalog ────┘                                └▶ sql: the document's expression
//! ```

mod resolved;
mod place;
mod named;
mod accept;
mod advice;
mod route;
mod key;
mod condition;
mod value;
mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use model::{ColumnName, Needs, TableName};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::catalog::{Catalog, Table};
use crate::diagnostic::Diagnostics;
use crate::index::IndexDefinition;

/// An index as the services run it.
#[derive(Debug, Clone, PartialEq)]
pub struct CompiledIndex {
    /// The root table.
    pub root: TableName,
    /// The document key, in its order.
    pub key: Vec<KeyColumn>,
    /// Every table that a document is read from.
    pub tables: BTreeSet<TableName>,
    /// What is needed of the stream.
    pub needs: Needs,
    /// From each table to the documents.
    pub routes: BTreeMap<TableName, Vec<Route>>,
    /// Locks all tables against rewrites; the first statement of a build.
    pub lock_sql: String,
    /// `$1…$k text[]`, one array per key column → rows (`n int8` from 1, `requested_id text`,
    /// `row_id text`, `document text`). Without a document the requested id is to be deleted.
    pub build_sql: String,
    /// Changes when rows may have changed without row changes: a table made anew, a column
    /// retyped, an enum value renamed.
    pub source_fingerprint: String,
    chunk_head: String,
    chunk_tail: String,
}

/// A column of the document key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: ColumnName,
    /// Its type, qualified, for casts.
    pub cast: String,
}

/// A way from a changed row to documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Columns of the changed row, old and new; one that is NULL leads nowhere.
    pub columns: Vec<ColumnName>,
    /// What follows.
    pub how: How,
    /// The place in the document, for people: `hall.venue`.
    pub path: String,
}

/// How a route goes on from its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Their values are the document key.
    Direct,
    /// `$1…$n text[]`, parallel arrays, one per column → distinct document keys, a text column
    /// per key column.
    Query(String),
}

impl CompiledIndex {
    /// The documents of a range of blocks of one leaf: `$1 int8` first block, `$2 int8` block after
    /// the last or NULL → rows (`row_id text`, `document text`, a text column per key column). A
    /// row outside the filters has no document.
    #[must_use]
    pub fn chunk_sql(&self, leaf: &TableName) -> String {
        format!("{}{}{}", self.chunk_head, leaf.sql(), self.chunk_tail)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.columns.iter().map(ColumnName::as_str).collect();
        let how = match self.how {
            How::Direct => "names the document",
            How::Query(_) => "found by SQL",
        };
        write!(f, "{} ({}): {how}", self.path, columns.join(", "))
    }
}

/// Compiles a definition.
///
/// # Errors
/// Everything in which definition and database do not fit.
pub fn compile(
    definition: &IndexDefinition,
    catalog: &Catalog,
) -> Result<CompiledIndex, Diagnostics> {
    let mut walk = place::Walk::new(catalog);
    let root = walk.root(definition);
    let (Some(root), false) = (root, walk.findings.has_errors()) else {
        return Err(walk.findings);
    };
    let routes = route::routes(&walk.places, &root.key_columns());
    let statements = sql::Statements::new(&root);
    let tables: BTreeSet<TableName> = walk.needs.tables().keys().cloned().collect();
    let lock_sql = {
        let names: Vec<String> = tables.iter().map(TableName::sql).collect();
        format!("LOCK TABLE {} IN ACCESS SHARE MODE", names.join(", "))
    };
    Ok(CompiledIndex {
        root: root.table.name.clone(),
        key: root.key_columns(),
        source_fingerprint: fingerprint(&walk.needs, &walk.places, catalog),
        tables,
        needs: walk.needs,
        routes,
        lock_sql,
        build_sql: statements.build,
        chunk_head: statements.chunk_head,
        chunk_tail: statements.chunk_tail,
    })
}

/// Everything that group B of `check` finds in definition and catalog, warnings included; but for
/// what the current role may read, because only workers read tables.
#[must_use]
pub fn check(definition: &IndexDefinition, catalog: &Catalog) -> Diagnostics {
    let mut walk = place::Walk::new(catalog);
    walk.root(definition);
    if !walk.findings.has_errors() {
        advice::advise(&walk.places, &mut walk.findings);
    }
    walk.findings
}

/// What is needed of the stream.
///
/// # Errors
/// Everything in which definition and database do not fit.
pub fn needs(definition: &IndexDefinition, catalog: &Catalog) -> Result<Needs, Diagnostics> {
    compile(definition, catalog).map(|compiled| compiled.needs)
}

/// Of every used table its oid and key; of every used column its type, number, catalog row and
/// the labels of an enum.
fn fingerprint(needs: &Needs, places: &[resolved::Place<'_>], catalog: &Catalog) -> String {
    let mut tables = BTreeMap::new();
    for (name, needed) in needs.tables() {
        let Some(table) = catalog.table(name) else {
            continue;
        };
        let keys: BTreeSet<Vec<&str>> = places
            .iter()
            .filter(|place| place.table.name == *name)
            .map(|place| place.key.iter().map(ColumnName::as_str).collect())
            .collect();
        let column = |name: &ColumnName| {
            let column = table.column(name)?;
            Some(json!([
                column.name.as_str(),
                column.attnum,
                column.cast,
                column.xmin,
                column.base.labels
            ]))
        };
        let columns: Vec<_> = needed
            .used
            .union(&needed.routing)
            .filter_map(column)
            .collect();
        tables.insert(
            name.to_string(),
            json!({ "oid": table.oid, "keys": keys, "columns": columns }),
        );
    }
    let mut hash = String::from("sha256:");
    for byte in Sha256::digest(json!(tables).to_string().as_bytes()) {
        let _infallible = write!(hash, "{byte:02x}");
    }
    hash
}

/// Every table that a definition names.
#[must_use]
pub fn tables(definition: &IndexDefinition) -> BTreeSet<TableName> {
    let mut names = BTreeSet::from([definition.root.clone()]);
    place::name_tables(&definition.fields, &mut names);
    names
}

/// A column's type, qualified, for casts; `text` for one that is not there (which is a finding).
fn cast_of(table: &Table, column: &ColumnName) -> String {
    table.column(column).map_or_else(
        || "pg_catalog.text".to_owned(),
        |column| column.cast.clone(),
    )
}

/// `value` as an operand beside values of a column: see [`crate::catalog::Column::operand`].
fn operand(table: &Table, column: &ColumnName, value: &str) -> String {
    table
        .column(column)
        .map_or_else(|| value.to_owned(), |column| column.operand(value))
}
