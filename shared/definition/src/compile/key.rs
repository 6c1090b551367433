//! Texts of key columns, and the document id made of them.
//! Must hold: the id is computed from typed values, so that one row has one id whatever text asked
//! for it; parts of a composite key cannot run into each other.

use model::ColumnName;

use super::accept::is;
use crate::catalog::{BaseType, Column, Table, TypeKind};

/// Types whose cast to text gives their output text (booleans spelled out).
const CAST_IS_OUTPUT: [&str; 19] = [
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "bool",
    "text",
    "varchar",
    "name",
    "uuid",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "timetz",
    "bytea",
    "interval",
];

/// The text of a key column as ids and parameters use it: Postgres' output text, with its padding,
/// and booleans spelled out. The value is not NULL.
pub(super) fn key_text(expression: &str, cast: &str) -> String {
    let builtin = cast.strip_prefix("pg_catalog.");
    if builtin.is_some_and(|name| CAST_IS_OUTPUT.contains(&name.trim_matches('"'))) {
        format!("({expression})::text")
    } else {
        // A cast may be something else: it drops the padding of char(n), and gives inet a mask.
        format!("format('%s', {expression})")
    }
}

/// The output text of a value that may be NULL.
pub(super) fn output_text(base: &BaseType, value: &str) -> String {
    let builtin = base.schema == "pg_catalog" && CAST_IS_OUTPUT.contains(&base.name.as_str());
    if builtin || base.kind == TypeKind::Enum {
        format!("{value}::text")
    } else {
        format!("CASE WHEN {value} IS NULL THEN NULL ELSE format('%s', {value}) END")
    }
}

/// Whether the text of every value of one column reads as the value of the other that equals it.
pub(super) fn reads_as(from: &Column, to: &Column) -> bool {
    const INTEGERS: [&str; 3] = ["int2", "int4", "int8"];
    const TEXTS: [&str; 2] = ["text", "varchar"];
    let (from, to) = match (from.is_array, to.is_array) {
        (false, false) => (&from.base, &to.base),
        _ => return from.cast == to.cast,
    };
    let both_in = |names: &[&str]| is(from, names) && is(to, names);
    let width = |base: &BaseType| INTEGERS.iter().position(|name| *name == base.name);
    (from.schema == to.schema && from.name == to.name)
        || both_in(&TEXTS)
        || (both_in(&INTEGERS) && width(from) <= width(to))
}

/// Whether the texts of a type are always short, not empty, and never of the form of a digest.
fn has_plain_texts(column: &Column) -> bool {
    !column.is_array
        && column.base.schema == "pg_catalog"
        && matches!(
            column.base.name.as_str(),
            "int2"
                | "int4"
                | "int8"
                | "oid"
                | "uuid"
                | "bool"
                | "date"
                | "timestamp"
                | "timestamptz"
                | "time"
                | "float4"
                | "float8"
        )
}

/// The document id over key columns, `sql` giving the expression of a column.
pub(super) fn id(table: &Table, key: &[ColumnName], sql: impl Fn(&ColumnName) -> String) -> String {
    let text = |name: &ColumnName| key_text(&sql(name), &super::cast_of(table, name));
    let joined = match key {
        [only] => text(only),
        several => {
            let escaped: Vec<String> = several
                .iter()
                .map(|name| format!("replace(replace({}, '\\', '\\\\'), ':', '\\:')", text(name)))
                .collect();
            escaped.join(" || ':' || ")
        }
    };
    let is_plain = |name: &ColumnName| table.column(name).is_some_and(has_plain_texts);
    // Numbers and the like are short, and no digest: nothing to check per row. Colons in several
    // of them were escaped above.
    if key.iter().all(is_plain) {
        return joined;
    }
    format!(
        "(SELECT CASE WHEN octet_length(i) > 512 OR i = '' OR i ~ '^sha256:[0-9a-f]{{64}}$' \
         THEN 'sha256:' || encode(sha256(convert_to(i, 'UTF8')), 'hex') ELSE i END FROM (SELECT {joined}) AS whole(i))"
    )
}
