//! What flusso 0.15 took for each tag (facts of its version 0.15.1), and what needs a type to tell.

use crate::catalog::{Column, TypeKind};

/// Types that 0.15 took for text.
const TEXTS: [&str; 8] = [
    "text",
    "character varying",
    "varchar",
    "character",
    "bpchar",
    "\"char\"",
    "citext",
    "name",
];

/// Whether 0.15 took a column of this type for `tag`. It compared the type's name without
/// modifier and `[]`; domains have names of their own.
pub(super) fn was_taken(tag: &str, column: &Column, custom: &[&str]) -> bool {
    let name = column.type_name.trim_end_matches("[]");
    let among = |types: &[&str]| types.contains(&name);
    match tag {
        "text" | "identifier" | "keyword" | "enum" => among(&TEXTS),
        "uuid" => among(&["uuid"]),
        "boolean" => among(&["boolean"]),
        "short" => among(&["smallint"]),
        "integer" => among(&["integer"]),
        "long" => among(&["bigint"]),
        "float" => among(&["real"]),
        "double" => among(&["double precision"]),
        "decimal" => among(&["numeric", "money"]),
        "date" => among(&["date"]),
        "timestamp" => name.starts_with("time"),
        "binary" => among(&["bytea"]),
        "json" | "map" => among(&["json", "jsonb"]),
        "geo" => among(&TEXTS) || among(&["json", "jsonb"]),
        "custom" => custom.iter().any(|taken| {
            let taken = taken.trim().trim_end_matches("[]");
            let taken = taken.split('(').next().unwrap_or(taken).trim();
            taken.eq_ignore_ascii_case(name) || taken.eq_ignore_ascii_case(&column.base.name)
        }),
        // Not a tag of 0.15.
        _ => true,
    }
}

/// Whether the column, under domains, is one of these types of the system.
pub(super) fn is_one_of(column: &Column, names: &[&str]) -> bool {
    column.base.schema == "pg_catalog" && names.contains(&column.base.name.as_str())
}

/// A type of the database's own whose values are labels.
pub(super) fn is_enum(column: &Column) -> bool {
    column.base.kind == TypeKind::Enum
}

/// Whether values can be longer than what Lucene indexes as one term.
pub(super) fn may_be_long(column: &Column) -> bool {
    column.base.name == "citext"
        || is_one_of(
            column,
            &["text", "varchar", "bpchar", "xml", "varbit", "bit"],
        )
}

/// Whether columns of this type can have a modifier, to which 0.15 cast the values of filters.
pub(super) fn may_have_modifier(column: &Column) -> bool {
    is_one_of(
        column,
        &[
            "varchar",
            "bpchar",
            "numeric",
            "bit",
            "varbit",
            "time",
            "timetz",
            "timestamp",
            "timestamptz",
            "interval",
        ],
    )
}
