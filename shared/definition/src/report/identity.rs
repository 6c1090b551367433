//! The replica identity that an index needs of each table, beside the one in force.

use std::collections::{BTreeMap, BTreeSet};

use model::{ColumnName, Needs, TableName, TableNeeds};
use serde::Deserialize;

use super::NeedReport;
use crate::catalog::{Catalog, CatalogError, Table};

/// The identities of the tables named by `$1 text[]` (schemas) and `$2 text[]` (names), one JSON
/// text per leaf; a plain table is its own.
pub const IDENTITIES_SQL: &str = "
SELECT json_build_object(
    'schema', n.nspname, 'name', c.relname,
    'identity', CASE l.relreplident WHEN 'd' THEN 'default' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' ELSE 'nothing' END,
    'columns', (
        SELECT coalesce(json_agg(a.attname), '[]')
        FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = l.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = l.oid
          AND CASE l.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)
)::text
FROM unnest($1::text[], $2::text[]) AS wanted(s, n)
JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.s
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.n AND c.relkind IN ('r', 'p')
CROSS JOIN LATERAL (
    SELECT c.oid WHERE c.relkind = 'r'
    UNION ALL
    SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t WHERE c.relkind = 'p' AND t.isleaf AND t.relid <> c.oid
) leaves(oid)
JOIN pg_catalog.pg_class l ON l.oid = leaves.oid
ORDER BY n.nspname, c.relname, l.relname";

/// The identities in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identities(BTreeMap<TableName, Vec<InForce>>);

/// The identity of one leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
struct InForce {
    word: String,
    /// What `default` and `index` carry.
    columns: BTreeSet<ColumnName>,
}

#[derive(Deserialize)]
struct Row {
    schema: String,
    name: String,
    identity: String,
    columns: Vec<String>,
}

impl Identities {
    /// From the texts that [`IDENTITIES_SQL`] gives.
    ///
    /// # Errors
    /// A text is not of that form.
    pub fn from_rows<'r>(rows: impl IntoIterator<Item = &'r str>) -> Result<Self, CatalogError> {
        let mut tables: BTreeMap<TableName, Vec<InForce>> = BTreeMap::new();
        for row in rows {
            let row: Row = serde_json::from_str(row)?;
            let in_force = InForce {
                word: row.identity,
                columns: row.columns.into_iter().map(ColumnName::new).collect(),
            };
            tables
                .entry(TableName::new(row.schema, row.name))
                .or_default()
                .push(in_force);
        }
        Ok(Self(tables))
    }
}

pub(super) fn needs(needs: &Needs, catalog: &Catalog, identities: &Identities) -> Vec<NeedReport> {
    needs
        .tables()
        .iter()
        .map(|(name, needed)| {
            let table = catalog.table(name);
            let leaves = identities
                .0
                .get(name)
                .map(Vec::as_slice)
                .unwrap_or_default();
            need(name, needed, table, leaves)
        })
        .collect()
}

fn need(
    name: &TableName,
    needed: &TableNeeds,
    table: Option<&Table>,
    leaves: &[InForce],
) -> NeedReport {
    let key = table.and_then(Table::primary_key).unwrap_or_default();
    // Without a primary key only all columns name a row.
    let is_key_enough = !key.is_empty() && needed.routing.iter().all(|column| key.contains(column));
    let suffices = |leaf: &InForce| match leaf.word.as_str() {
        "full" => true,
        "default" | "index" => {
            !key.is_empty()
                && key
                    .iter()
                    .chain(&needed.routing)
                    .all(|column| leaf.columns.contains(column))
        }
        _ => false,
    };
    let all = || {
        let columns = table
            .map(|table| table.columns.as_slice())
            .unwrap_or_default();
        columns
            .iter()
            .map(|column| column.name.to_string())
            .collect()
    };
    let words: BTreeSet<&str> = leaves.iter().map(|leaf| leaf.word.as_str()).collect();
    let names = |columns: &BTreeSet<ColumnName>| columns.iter().map(ToString::to_string).collect();
    NeedReport {
        table: name.to_string(),
        routing: names(&needed.routing),
        used: if needed.all_used {
            all()
        } else {
            names(&needed.used)
        },
        identity: if is_key_enough { "default" } else { "full" },
        current: words.into_iter().map(str::to_owned).collect(),
        suffices: leaves.iter().all(suffices),
    }
}
