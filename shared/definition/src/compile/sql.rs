//! The statements of an index: its documents by key, and by range of blocks.

mod document;
mod group;

use model::ColumnName;

use super::resolved::Level;
use super::{KeyColumn, cast_of, condition, key, operand};

/// The highest block number there is; it bounds an open-ended range.
const LAST_BLOCK: u32 = u32::MAX - 1;

/// Statement texts of an index.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) build: String,
    pub(super) chunk_head: String,
    pub(super) chunk_tail: String,
}

impl Statements {
    pub(super) fn new(root: &Level<'_>) -> Self {
        let keys = root.key_columns();
        let mut aliases = document::Aliases::default();
        let alias = aliases.row();
        let document = document::object(&root.members, &alias, &mut aliases);
        let row_id = key::id(root.table, &root.key, |name| {
            format!("{alias}.{}", name.sql())
        });
        let requested_id = key::id(root.table, &root.key, |name| {
            format!(
                "r.{}::{}",
                requested(&keys, name),
                cast_of(root.table, name)
            )
        });
        let arrays: Vec<String> = (1..=keys.len()).map(|n| format!("${n}::text[]")).collect();
        let names: Vec<String> = (1..=keys.len()).map(|n| format!("k{n}")).collect();
        let matches: Vec<String> = keys
            .iter()
            .map(|key| {
                let column = format!("{alias}.{}", key.name.sql());
                format!(
                    "{} = r.{}::{}",
                    operand(root.table, &key.name, &column),
                    requested(&keys, &key.name),
                    key.cast
                )
            })
            .collect();
        let visible = visible(root, &alias);
        let table = root.table.name.sql();
        let and_visible = visible
            .as_ref()
            .map(|visible| format!(" AND {visible}"))
            .unwrap_or_default();
        let build = format!(
            "SELECT r.n::int8 AS n, {requested_id} AS requested_id, d.row_id, d.document \
             FROM unnest({}) WITH ORDINALITY AS r({}, n) \
             LEFT JOIN LATERAL (SELECT {row_id} AS row_id, ({document})::text AS document FROM {table} AS {alias} WHERE {}{and_visible}) AS d ON true",
            arrays.join(", "),
            names.join(", "),
            matches.join(" AND "),
        );
        let shown = match &visible {
            None => format!("({document})::text"),
            Some(visible) => format!("CASE WHEN {visible} THEN ({document})::text END"),
        };
        let key_texts: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(n, key)| {
                format!(
                    "{} AS k{}",
                    key::key_text(&format!("{alias}.{}", key.name.sql()), &key.cast),
                    n + 1
                )
            })
            .collect();
        Self {
            build,
            chunk_head: format!(
                "SELECT {row_id} AS row_id, {shown} AS document, {} FROM ONLY ",
                key_texts.join(", ")
            ),
            chunk_tail: format!(
                " AS {alias} WHERE {alias}.ctid >= format('(%s,0)', $1::int8)::tid \
                 AND {alias}.ctid < format('(%s,0)', coalesce($2::int8, {LAST_BLOCK}))::tid"
            ),
        }
    }
}

/// The column of the parameters that holds a key column.
fn requested(keys: &[KeyColumn], name: &ColumnName) -> String {
    let at = keys
        .iter()
        .position(|key| key.name == *name)
        .unwrap_or_default();
    format!("k{}", at + 1)
}

/// Soft delete and filters of the root.
fn visible(root: &Level<'_>, alias: &str) -> Option<String> {
    let filters = condition::filters(&root.filters, root.table, alias);
    let deleted = root
        .soft_delete
        .as_ref()
        .map(|delete| format!("NOT {}", condition::deleted(delete, root.table, alias)));
    match (deleted, filters) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(deleted), Some(filters)) => Some(format!("{deleted} AND {filters}")),
    }
}
