//! The catalog's view of the tables that are streamed.
//! In: names. Out: keys, columns, leaves with their identities and file nodes.
//! Why a statement of its own beside `definition`'s: this one asks for what a
//! publication and an identity need, of every leaf; that one for what a
//! document needs.

use std::collections::BTreeSet;

use model::{ColumnName, TableName};
use serde::Deserialize;
use tokio_postgres::Client;

use super::identity::Identity;

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary table.
    Plain,
    /// The root of a partitioned table.
    Partitioned,
    /// A partition of another table.
    Partition,
    /// A view, a foreign table, …: its changes are not in the log.
    Other,
}

/// A table in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Its oid.
    pub oid: u32,
    /// What it is.
    pub kind: TableKind,
    /// `false` for unlogged and temporary tables: not in the log.
    pub permanent: bool,
    /// Its columns.
    pub columns: Vec<ColumnName>,
    /// Those of them that are generated: not in the stream before Postgres 18.
    pub generated: BTreeSet<ColumnName>,
    /// Its primary key, in key order; empty when it has none.
    pub primary_key: Vec<ColumnName>,
    /// The role may alter it.
    pub owned: bool,
    /// Its leaves by oid; for a plain table, itself.
    pub leaves: Vec<LeafTable>,
}

impl Table {
    /// `true` when its changes are in the log under its own name, so that it
    /// can be published.
    #[must_use]
    pub fn is_streamable(&self) -> bool {
        self.permanent && matches!(self.kind, TableKind::Plain | TableKind::Partitioned)
    }
}

/// A table that holds rows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafTable {
    /// Its name.
    pub name: TableName,
    /// Its oid.
    pub oid: u32,
    /// Its file node: changes with a truncate and a rewrite. 0 for a leaf
    /// without a file.
    pub file_node: u32,
    /// Its replica identity.
    pub identity: Identity,
    /// The role may alter it.
    pub owned: bool,
    /// It, or a parent below the root, was attached, so it may have brought
    /// rows; `false` when all were made as partitions.
    pub attached: bool,
    /// Its file is not empty.
    pub has_pages: bool,
}

/// The catalog could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The statement failed.
    #[error("cannot read the catalog: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// Its answer is not what the statement asks for.
    #[error("the catalog's answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Its answer lacks something that it always has.
    #[error("the server did not answer with {0}")]
    Unexpected(&'static str),
}

impl CatalogError {
    pub(crate) fn unexpected(what: &'static str) -> Self {
        CatalogError::Unexpected(what)
    }

    /// The server's error code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&tokio_postgres::error::SqlState> {
        match self {
            CatalogError::Postgres(error) => error.code(),
            CatalogError::Unreadable(_) | CatalogError::Unexpected(_) => None,
        }
    }
}

/// Reads what exists of `names`, in the order of names. One statement, one
/// snapshot.
///
/// # Errors
/// When the statement fails.
pub async fn read_tables<'a>(
    client: &Client,
    names: impl IntoIterator<Item = &'a TableName>,
) -> Result<Vec<Table>, CatalogError> {
    let (schemas, tables): (Vec<_>, Vec<_>) = names
        .into_iter()
        .map(|name| (name.schema.as_str(), name.name.as_str()))
        .unzip();
    let rows = client.query(TABLES, &[&schemas, &tables]).await?;
    let read = |row: &tokio_postgres::Row| {
        let text: &str = row.try_get(0)?;
        Ok(serde_json::from_str::<RawTable>(text)?.into())
    };
    let mut tables = rows
        .iter()
        .map(read)
        .collect::<Result<Vec<Table>, CatalogError>>()?;
    tables.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tables)
}

/// `$1` schemas, `$2` names. A leaf counts as attached when its row in
/// `pg_inherits`, or that of a parent below the root, was not written by the
/// transaction that made the table (seen at a column no statement alters).
const TABLES: &str = r"
WITH wanted AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relispartition, c.relowner
    FROM unnest($1::text[], $2::text[]) AS w (schema_name, table_name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.table_name
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), leaf AS (
    SELECT w.oid AS root, t.relid::oid AS oid
    FROM wanted w, pg_catalog.pg_partition_tree(w.oid::regclass) t
    WHERE w.relkind = 'p' AND t.isleaf AND t.relid <> w.oid
    UNION ALL
    SELECT oid, oid FROM wanted WHERE relkind <> 'p'
), index_column AS (
    SELECT i.indrelid, i.indisprimary, i.indisreplident, k.ord, a.attname
    FROM pg_catalog.pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, ord)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE k.ord <= i.indnkeyatts AND (i.indisprimary OR i.indisreplident)
)
SELECT pg_catalog.json_build_object(
    'schema', w.nspname,
    'name', w.relname,
    'oid', w.oid::int8,
    'kind', w.relkind::text,
    'partition', w.relispartition,
    'permanent', w.relpersistence = 'p',
    'owned', pg_catalog.pg_has_role(w.relowner, 'USAGE'),
    'columns', (
        SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'generated', (
        SELECT coalesce(pg_catalog.json_agg(a.attname), '[]')
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> ''),
    'primary_key', (
        SELECT coalesce(pg_catalog.json_agg(k.attname ORDER BY k.ord), '[]')
        FROM index_column k WHERE k.indrelid = w.oid AND k.indisprimary),
    'leaves', (
        SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'schema', n.nspname,
            'name', c.relname,
            'oid', c.oid::int8,
            'file_node', coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::int8,
            'identity', c.relreplident::text,
            'identity_columns', (
                SELECT coalesce(pg_catalog.json_agg(k.attname), '[]')
                FROM index_column k
                WHERE k.indrelid = c.oid
                  AND CASE c.relreplident WHEN 'd' THEN k.indisprimary
                                          WHEN 'i' THEN k.indisreplident
                                          ELSE false END),
            'owned', pg_catalog.pg_has_role(c.relowner, 'USAGE'),
            'attached', l.root <> l.oid AND EXISTS (
                SELECT FROM pg_catalog.pg_partition_ancestors(l.oid::regclass) p
                JOIN pg_catalog.pg_inherits i ON i.inhrelid = p.relid
                JOIN pg_catalog.pg_attribute a ON a.attrelid = p.relid AND a.attnum = -6
                WHERE p.relid <> l.root AND i.xmin <> a.xmin
                  AND i.inhparent IN (
                      SELECT relid FROM pg_catalog.pg_partition_tree(l.root::regclass))),
            'has_pages', c.relkind = 'r' AND coalesce(pg_catalog.pg_relation_size(c.oid), 0) > 0
        ) ORDER BY c.oid), '[]')
        FROM leaf l
        JOIN pg_catalog.pg_class c ON c.oid = l.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE l.root = w.oid)
)::text
FROM wanted w";

#[derive(Deserialize)]
struct RawTable {
    schema: String,
    name: String,
    oid: u32,
    kind: String,
    partition: bool,
    permanent: bool,
    owned: bool,
    columns: Vec<String>,
    generated: Vec<String>,
    primary_key: Vec<String>,
    leaves: Vec<RawLeaf>,
}

#[derive(Deserialize)]
struct RawLeaf {
    schema: String,
    name: String,
    oid: u32,
    file_node: u32,
    identity: String,
    identity_columns: Vec<String>,
    owned: bool,
    attached: bool,
    has_pages: bool,
}

impl From<RawTable> for Table {
    fn from(raw: RawTable) -> Self {
        let kind = match raw.kind.as_str() {
            "r" | "p" if raw.partition => TableKind::Partition,
            "r" => TableKind::Plain,
            "p" => TableKind::Partitioned,
            _ => TableKind::Other,
        };
        Table {
            name: TableName::new(raw.schema, raw.name),
            oid: raw.oid,
            kind,
            permanent: raw.permanent,
            columns: raw.columns.into_iter().map(ColumnName::new).collect(),
            generated: raw.generated.into_iter().map(ColumnName::new).collect(),
            primary_key: raw.primary_key.into_iter().map(ColumnName::new).collect(),
            owned: raw.owned,
            leaves: raw.leaves.into_iter().map(LeafTable::from).collect(),
        }
    }
}

impl From<RawLeaf> for LeafTable {
    fn from(raw: RawLeaf) -> Self {
        let columns = raw
            .identity_columns
            .into_iter()
            .map(ColumnName::new)
            .collect();
        let identity = match raw.identity.as_str() {
            "d" => Identity::Default(columns),
            "i" => Identity::Index(columns),
            "f" => Identity::Full,
            _ => Identity::Nothing,
        };
        LeafTable {
            name: TableName::new(raw.schema, raw.name),
            oid: raw.oid,
            file_node: raw.file_node,
            identity,
            owned: raw.owned,
            attached: raw.attached,
            has_pages: raw.has_pages,
        }
    }
}
