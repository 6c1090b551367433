//! The statements of an index. Postgres assembles the JSON: `row_to_json` over a sub-select keeps
//! the order of members and has no limit of arguments, unlike `json_build_object`.

use model::ColumnName;

use super::place::{Level, Meets, Member, MemberValue};
use super::{KeyColumn, cast_of, condition, key, value};
use crate::catalog::Table;
use crate::index::{AggregateFunction, Filter, Order, Tag};

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
        let mut aliases = Aliases::default();
        let alias = aliases.next();
        let document = object(&root.members, &alias, &mut aliases);
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
                format!(
                    "{alias}.{} = r.{}::{}",
                    key.name.sql(),
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

#[derive(Debug, Default)]
struct Aliases(usize);

impl Aliases {
    fn next(&mut self) -> String {
        let alias = format!("t{}", self.0);
        self.0 += 1;
        alias
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

/// A JSON object over the row `alias`.
fn object(members: &[Member<'_>], alias: &str, aliases: &mut Aliases) -> String {
    if members.is_empty() {
        return "'{}'::json".to_owned();
    }
    let columns: Vec<String> = members
        .iter()
        .map(|one| {
            format!(
                "{} AS {}",
                member(&one.value, alias, aliases),
                model::table::quote(&one.name)
            )
        })
        .collect();
    format!(
        "(SELECT row_to_json(o) FROM (SELECT {}) AS o)",
        columns.join(", ")
    )
}

fn member(value: &MemberValue<'_>, alias: &str, aliases: &mut Aliases) -> String {
    match value {
        MemberValue::Column { column, field } => {
            value::render(field, column, &format!("{alias}.{}", column.name.sql()))
        }
        MemberValue::Geo { lat, lon } => {
            let sql = |name: &ColumnName| format!("{alias}.{}", name.sql());
            value::point(lat, lon, &sql(&lat.name), &sql(&lon.name))
        }
        MemberValue::Constant(value) => format!(
            "{}::json",
            condition::literal(&serde_json::Value::String(value.to_string()))
        ),
        MemberValue::Object(members) => object(members, alias, aliases),
        MemberValue::One {
            meets,
            level,
            order,
        } => {
            let (from, inner) = from(meets, level.table, &level.filters, alias, aliases);
            let document = object(&level.members, &inner, aliases);
            let order = order_by(order, &level.key, &inner);
            format!("(SELECT {document} {from}{order} LIMIT 1)")
        }
        MemberValue::Many {
            meets,
            level,
            order,
            limit,
        } => {
            let (from, inner) = from(meets, level.table, &level.filters, alias, aliases);
            let document = object(&level.members, &inner, aliases);
            let order = order_by(order, &level.key, &inner);
            let limit = limit
                .map(|limit| format!(" LIMIT {limit}"))
                .unwrap_or_default();
            format!(
                "(SELECT coalesce(json_agg(j), '[]'::json) FROM (SELECT {document} AS j {from}{order}{limit}) AS rows)"
            )
        }
        MemberValue::Figure {
            meets,
            table,
            key,
            filters,
            function,
        } => {
            let (from, inner) = from(meets, table, filters, alias, aliases);
            figure(function, table, key, &from, &inner)
        }
    }
}

fn figure(
    function: &AggregateFunction,
    table: &Table,
    key: &[ColumnName],
    from: &str,
    inner: &str,
) -> String {
    let column = match function {
        AggregateFunction::Avg(name)
        | AggregateFunction::Sum(name, _)
        | AggregateFunction::Min(name, _)
        | AggregateFunction::Max(name, _) => table.column(name),
        AggregateFunction::Count => None,
        AggregateFunction::Ids { element, .. } => return ids(*element, table, key, from, inner),
    };
    let sql = column
        .map(|column| format!("{inner}.{}", column.name.sql()))
        .unwrap_or_default();
    format!("(SELECT {} {from})", value::figure(function, column, &sql))
}

fn ids(element: Tag, table: &Table, key: &[ColumnName], from: &str, inner: &str) -> String {
    let order: Vec<String> = key
        .iter()
        .map(|column| format!("{inner}.{}", column.sql()))
        .collect();
    let value = match key {
        [only] => table
            .column(only)
            .map(|column| value::id_element(element, column, &format!("{inner}.{}", only.sql())))
            .unwrap_or_default(),
        several => key::id(table, several, |column| format!("{inner}.{}", column.sql())),
    };
    format!(
        "(SELECT coalesce(json_agg({value} ORDER BY {}), '[]'::json) {from})",
        order.join(", ")
    )
}

/// `FROM … WHERE …` over the rows of T that meet the row `outer`, and T's alias.
fn from(
    meets: &Meets<'_>,
    table: &Table,
    filters: &[Filter],
    outer: &str,
    aliases: &mut Aliases,
) -> (String, String) {
    let inner = aliases.next();
    let mut conditions = match meets {
        Meets::Columns { own, theirs } => equal(&inner, theirs, outer, own),
        Meets::Through {
            junction,
            own,
            left,
            right,
            theirs,
        } => {
            let link = aliases.next();
            let mut conditions = equal(&link, left, outer, own);
            conditions.extend(equal(&link, right, &inner, theirs));
            vec![format!(
                "EXISTS (SELECT FROM {} AS {link} WHERE {})",
                junction.name.sql(),
                conditions.join(" AND ")
            )]
        }
    };
    conditions.extend(condition::filters(filters, table, &inner));
    (
        format!(
            "FROM {} AS {inner} WHERE {}",
            table.name.sql(),
            conditions.join(" AND ")
        ),
        inner,
    )
}

fn equal(
    left_alias: &str,
    left: &[ColumnName],
    right_alias: &str,
    right: &[ColumnName],
) -> Vec<String> {
    left.iter()
        .enumerate()
        .filter_map(|(at, column)| {
            Some(format!(
                "{left_alias}.{} = {right_alias}.{}",
                column.sql(),
                right.get(at)?.sql()
            ))
        })
        .collect()
}

/// The key of T is always appended, so that the order is total.
fn order_by(order: &[Order], key: &[ColumnName], alias: &str) -> String {
    let written = order.iter().map(|one| {
        let direction = if one.descending { " DESC" } else { "" };
        let nulls = if one.nulls_first {
            " NULLS FIRST"
        } else {
            " NULLS LAST"
        };
        format!("{alias}.{}{direction}{nulls}", one.column.sql())
    });
    let terms: Vec<String> = written
        .chain(key.iter().map(|column| format!("{alias}.{}", column.sql())))
        .collect();
    if terms.is_empty() {
        String::new()
    } else {
        format!(" ORDER BY {}", terms.join(", "))
    }
}
