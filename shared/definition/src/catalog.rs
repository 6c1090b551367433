//! What the checks and the compiler need of a database, as data.
//! In: the rows of [`CATALOG_SQL`], which the caller executes. Out: [`Catalog`].
//! Must not: connect.

use std::collections::BTreeMap;

use model::{ColumnName, TableName};
use serde::Deserialize;

/// Reads the tables named by `$1 text[]` (schemas) and `$2 text[]` (names): one JSON text each.
/// What does not exist gives no row.
pub const CATALOG_SQL: &str = r"
SELECT json_build_object(
  'schema', ns.nspname, 'name', c.relname, 'oid', c.oid::int8, 'kind', c.relkind::text,
  'persistence', c.relpersistence::text, 'is_partition', c.relispartition, 'row_security', row_security_active(c.oid), 'select', has_table_privilege(c.oid, 'SELECT'),
  'has_children', c.relkind <> 'p' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid),
  'columns', (
    SELECT coalesce(json_agg(json_build_object(
        'name', a.attname, 'attnum', a.attnum, 'xmin', a.xmin::text, 'not_null', a.attnotnull,
        'generated', a.attgenerated <> '',
        'type_name', format_type(a.atttypid, NULL), 'cast', format('%I.%I', wn.nspname, w.typname),
        'is_array', b.is_array, 'base_schema', bn.nspname, 'base_name', b.typname, 'base_kind', b.typtype::text,
        'labels', CASE WHEN b.typtype = 'e' THEN (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = b.oid) END
      ) ORDER BY a.attnum), '[]')
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    CROSS JOIN LATERAL (
      WITH RECURSIVE whole AS (
        SELECT t.oid, t.typtype, t.typbasetype
        UNION ALL SELECT n.oid, n.typtype, n.typbasetype FROM whole w JOIN pg_type n ON n.oid = w.typbasetype WHERE w.typtype = 'd'
      ), one AS (
        SELECT n.oid AS whole, n.typcategory = 'A' AND n.typelem <> 0 AS is_array, CASE WHEN n.typcategory = 'A' AND n.typelem <> 0 THEN n.typelem ELSE n.oid END AS element
        FROM whole w JOIN pg_type n ON n.oid = w.oid WHERE w.typtype <> 'd'
      ), element AS (
        SELECT n.oid, n.typtype, n.typbasetype, o.is_array, o.whole FROM one o JOIN pg_type n ON n.oid = o.element
        UNION ALL SELECT n.oid, n.typtype, n.typbasetype, e.is_array, e.whole FROM element e JOIN pg_type n ON n.oid = e.typbasetype WHERE e.typtype = 'd'
      )
      SELECT n.oid, n.typname, n.typnamespace, n.typtype, e.is_array, e.whole FROM element e JOIN pg_type n ON n.oid = e.oid WHERE e.typtype <> 'd'
    ) b
    JOIN pg_namespace bn ON bn.oid = b.typnamespace
    JOIN pg_type w ON w.oid = b.whole
    JOIN pg_namespace wn ON wn.oid = w.typnamespace
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'indexes', (
    SELECT coalesce(json_agg(json_build_object(
        'primary', i.indisprimary,
        'unique', i.indisunique AND i.indimmediate,
        'columns', (SELECT json_agg(a.attname ORDER BY k.n)
                    FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                    WHERE k.n <= i.indnkeyatts)
      ) ORDER BY i.indexrelid), '[]')
    FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL),
  'foreign_keys', (
    SELECT coalesce(json_agg(json_build_object(
        'columns', (SELECT json_agg(a.attname ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY k(attnum, n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
        'table_schema', rn.nspname, 'table_name', r.relname
      ) ORDER BY f.oid), '[]')
    FROM pg_constraint f JOIN pg_class r ON r.oid = f.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
    WHERE f.conrelid = c.oid AND f.contype = 'f')
)::text
FROM (SELECT DISTINCT s, n FROM unnest($1::text[], $2::text[]) AS wanted(s, n)) wanted
JOIN pg_namespace ns ON ns.nspname = wanted.s
JOIN pg_class c ON c.relnamespace = ns.oid AND c.relname = wanted.n
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
";

/// The tables that a definition names, as the database has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    tables: BTreeMap<TableName, Table>,
}

/// The catalog's own answer cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the catalog's answer cannot be read: {0}")]
pub struct CatalogError(#[from] serde_json::Error);

impl Catalog {
    /// From the texts that [`CATALOG_SQL`] gives.
    ///
    /// # Errors
    /// A text is not of that form.
    pub fn from_rows<'r>(rows: impl IntoIterator<Item = &'r str>) -> Result<Self, CatalogError> {
        let mut tables = BTreeMap::new();
        for row in rows {
            let raw: RawTable = serde_json::from_str(row)?;
            let table = Table::from(raw);
            tables.insert(table.name.clone(), table);
        }
        Ok(Self { tables })
    }

    /// A table; `None` when the database has none of this name.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.get(name)
    }
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table.
    Plain,
    /// The root of a partitioned table.
    Partitioned,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    Foreign,
}

/// A table as the database has it.
#[expect(clippy::struct_excessive_bools, reason = "one per fact of the catalog")]
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its exact name.
    pub name: TableName,
    /// Its oid.
    pub oid: u32,
    /// What it is.
    pub kind: RelationKind,
    /// Its changes are in the WAL.
    pub permanent: bool,
    /// It is a partition of another table.
    pub is_partition: bool,
    /// It has inheritance children.
    pub has_children: bool,
    /// Row security hides rows of it from the current role.
    pub row_security: bool,
    /// The current role may read it.
    pub select: bool,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Valid indexes without predicate and expressions.
    pub indexes: Vec<Index>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its exact name.
    pub name: ColumnName,
    /// Its number.
    pub attnum: i16,
    /// The transaction that made its catalog row: another one after a retype.
    pub xmin: String,
    /// It is never NULL.
    pub not_null: bool,
    /// It is generated.
    pub generated: bool,
    /// Its type, for people.
    pub type_name: String,
    /// Its type under all domains, without modifier, qualified: text cast to it is neither cut
    /// nor rounded.
    pub cast: String,
    /// What it is under domains (and of arrays, the element).
    pub base: BaseType,
    /// It is an array of `base`.
    pub is_array: bool,
}

/// A type under all domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseType {
    /// Its schema.
    pub schema: String,
    /// Its name in `pg_type`: `int8`, not `bigint`.
    pub name: String,
    /// Base, enum, composite, range, multirange.
    pub kind: TypeKind,
    /// Labels of an enum, in order.
    pub labels: Vec<String>,
}

/// Kinds of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of pg_type.typtype")]
pub enum TypeKind {
    Base,
    Enum,
    Composite,
    Range,
    Multirange,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Of the primary key.
    pub primary: bool,
    /// Unique at once, not deferrable.
    pub unique: bool,
    /// Its key columns.
    pub columns: Vec<ColumnName>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Its columns.
    pub columns: Vec<ColumnName>,
    /// The table it points to.
    pub table: TableName,
}

impl Column {
    /// `value`, of this column's type or of one over the same base, as an operand. Postgres has the
    /// operators of enums, ranges and arrays once for all such types, and finds none for a domain
    /// over one. Where there is no domain the cast is nothing, and an index serves either way.
    #[must_use]
    pub fn operand(&self, value: &str) -> String {
        if self.is_array || self.base.kind != TypeKind::Base {
            format!("({value})::{}", self.cast)
        } else {
            value.to_owned()
        }
    }
}

impl Table {
    /// A column by its exact name.
    #[must_use]
    pub fn column(&self, name: &ColumnName) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == *name)
    }

    /// The primary key's columns in their order; `None` when it has none.
    #[must_use]
    pub fn primary_key(&self) -> Option<&[ColumnName]> {
        self.indexes
            .iter()
            .find(|index| index.primary)
            .map(|index| index.columns.as_slice())
    }

    /// Whether these columns, in any order, name a row.
    #[must_use]
    pub fn is_unique(&self, columns: &[ColumnName]) -> bool {
        let same = |index: &&Index| {
            index.columns.len() == columns.len()
                && index.columns.iter().all(|column| columns.contains(column))
        };
        self.indexes
            .iter()
            .filter(|index| index.unique)
            .any(|index| same(&index))
    }

    /// Whether an index begins with these columns, in any order.
    #[must_use]
    pub fn has_index_on(&self, columns: &[ColumnName]) -> bool {
        self.indexes.iter().any(|index| {
            index
                .columns
                .get(..columns.len())
                .is_some_and(|first| first.iter().all(|column| columns.contains(column)))
        })
    }
}

#[expect(clippy::struct_excessive_bools, reason = "one per fact of the catalog")]
#[derive(Deserialize)]
struct RawTable {
    schema: String,
    name: String,
    oid: u32,
    kind: String,
    persistence: String,
    is_partition: bool,
    has_children: bool,
    row_security: bool,
    select: bool,
    columns: Vec<RawColumn>,
    indexes: Vec<RawIndex>,
    foreign_keys: Vec<RawForeignKey>,
}

#[derive(Deserialize)]
struct RawColumn {
    name: String,
    attnum: i16,
    xmin: String,
    not_null: bool,
    generated: bool,
    type_name: String,
    cast: String,
    is_array: bool,
    base_schema: String,
    base_name: String,
    base_kind: String,
    labels: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawIndex {
    primary: bool,
    unique: bool,
    columns: Vec<String>,
}

#[derive(Deserialize)]
struct RawForeignKey {
    columns: Vec<String>,
    table_schema: String,
    table_name: String,
}

fn columns(names: Vec<String>) -> Vec<ColumnName> {
    names.into_iter().map(ColumnName::new).collect()
}

impl From<RawTable> for Table {
    fn from(raw: RawTable) -> Self {
        Self {
            name: TableName::new(raw.schema, raw.name),
            oid: raw.oid,
            kind: match raw.kind.as_str() {
                "p" => RelationKind::Partitioned,
                "v" => RelationKind::View,
                "m" => RelationKind::MaterializedView,
                "f" => RelationKind::Foreign,
                _ => RelationKind::Plain,
            },
            permanent: raw.persistence == "p",
            is_partition: raw.is_partition,
            has_children: raw.has_children,
            row_security: raw.row_security,
            select: raw.select,
            columns: raw.columns.into_iter().map(Column::from).collect(),
            indexes: raw
                .indexes
                .into_iter()
                .map(|index| Index {
                    primary: index.primary,
                    unique: index.unique,
                    columns: columns(index.columns),
                })
                .collect(),
            foreign_keys: raw
                .foreign_keys
                .into_iter()
                .map(|key| ForeignKey {
                    columns: columns(key.columns),
                    table: TableName::new(key.table_schema, key.table_name),
                })
                .collect(),
        }
    }
}

impl From<RawColumn> for Column {
    fn from(raw: RawColumn) -> Self {
        Self {
            name: ColumnName::new(raw.name),
            attnum: raw.attnum,
            xmin: raw.xmin,
            not_null: raw.not_null,
            generated: raw.generated,
            type_name: raw.type_name,
            cast: raw.cast,
            is_array: raw.is_array,
            base: BaseType {
                schema: raw.base_schema,
                name: raw.base_name,
                kind: match raw.base_kind.as_str() {
                    "e" => TypeKind::Enum,
                    "c" => TypeKind::Composite,
                    "r" => TypeKind::Range,
                    "m" => TypeKind::Multirange,
                    _ => TypeKind::Base,
                },
                labels: raw.labels.unwrap_or_default(),
            },
        }
    }
}
