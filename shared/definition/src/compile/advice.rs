//! What works but probably not as meant, and what fits no row: the rest of group B, but for what
//! the role may do. Must not: touch needs or statements.

use std::collections::BTreeSet;

use model::ColumnName;

use super::accept::{comparable, is};
use super::resolved::Place;
use crate::catalog::{Column, Table, TypeKind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::index::{FieldKind, Join, Link, Scalar, Tag};

/// Words in a raw filter by which it depends on more than its row.
const BEYOND_THE_ROW: [&str; 10] = [
    "select",
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
];

/// A scalar whose column does not quite fit.
pub(super) fn scalar(
    table: &Table,
    column: &Column,
    scalar: &Scalar,
    path: &str,
    findings: &mut Diagnostics,
) {
    let name = format!("{}.{}", table.name, column.name.as_str());
    if scalar.required && !column.not_null && scalar.default.is_none() {
        findings.push(
            Diagnostic::warning(
                "W333",
                format!("{name} may be NULL, but the field is required"),
            )
            .help("declare the column NOT NULL, give a default, or drop required")
            .at(path, Some("required")),
        );
    }
    if scalar.tag == Tag::Timestamp && is(&column.base, &["time", "timetz"]) {
        findings.push(
            Diagnostic::warning(
                "W334",
                format!("{name} is a time of day: it is written as a moment of 1970-01-01"),
            )
            .help("use the tag time")
            .at(path, None),
        );
    }
    let labels: BTreeSet<&str> = column.base.labels.iter().map(String::as_str).collect();
    if let (Some(variants), TypeKind::Enum) = (&scalar.variants, column.base.kind) {
        let listed: BTreeSet<&str> = variants.iter().map(String::as_str).collect();
        let differ: Vec<&str> = labels.symmetric_difference(&listed).copied().collect();
        if !differ.is_empty() && scalar.transforms.is_empty() {
            findings.push(
                Diagnostic::warning(
                    "W335",
                    format!(
                        "variants and the labels of {name} differ in {}",
                        differ.join(", ")
                    ),
                )
                .help("labels that are not listed sort after the others")
                .at(path, Some("variants")),
            );
        }
    }
}

/// Both sides of a condition can be compared.
pub(super) fn sides(
    (own_table, own): (&Table, &Column),
    (their_table, theirs): (&Table, &Column),
    path: &str,
    findings: &mut Diagnostics,
) {
    let (one, other) = (named(own_table, own), named(their_table, theirs));
    if !comparable(own, theirs) {
        findings.push(
            Diagnostic::error("E322", format!("{one} and {other} cannot be compared"))
                .help("join columns of one type")
                .at(path, None),
        );
    } else if own.cast != theirs.cast {
        findings.push(
            Diagnostic::warning("W336", format!("{one} and {other} have different types"))
                .help("an index may go unused")
                .at(path, None),
        );
    }
}

fn named(table: &Table, column: &Column) -> String {
    format!(
        "{}.{} ({})",
        table.name,
        column.name.as_str(),
        column.type_name
    )
}

/// The marker of `soft_delete` tells rows apart.
pub(super) fn marker(table: &Table, column: &Column, alone: bool, findings: &mut Diagnostics) {
    let is_boolean = !column.is_array && is(&column.base, &["bool"]);
    if alone && !is_boolean && column.not_null {
        findings.push(
            Diagnostic::error(
                "E323",
                format!(
                    "{}.{} is never NULL: every row would count as deleted",
                    table.name,
                    column.name.as_str()
                ),
            )
            .help("use a boolean or nullable column, or give `when`")
            .at("", Some("soft_delete")),
        );
    }
}

/// A raw filter that depends on more than its row.
pub(super) fn raw(sql: &str, path: &str, findings: &mut Diagnostics) {
    let lower = sql.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
    if words.any(|word| BEYOND_THE_ROW.contains(&word)) {
        findings.push(
            Diagnostic::warning(
                "W337",
                "a raw filter reads other tables or the clock, whose changes rebuild nothing",
            )
            .help("use columns of the filtered table only")
            .at(path, Some("filters")),
        );
    }
}

/// `has_one` over a key that several rows may share, without an order.
pub(super) fn first_of_several(
    kind: &FieldKind,
    table: &Table,
    join: &Join,
    path: &str,
    findings: &mut Diagnostics,
) {
    if let (FieldKind::HasOne(_), Link::ForeignKey { foreign_key, .. }) = (kind, &join.link)
        && join.order_by.is_empty()
        && !table.is_unique(foreign_key)
    {
        findings.push(
            Diagnostic::warning(
                "W338",
                format!(
                    "several rows of {} may meet: the first by its key is taken",
                    table.name
                ),
            )
            .help("give order_by, or a unique index on the foreign key")
            .at(path, Some("foreign_key")),
        );
    }
}

/// What only shows once every place is known: lookups without an index, joins without a foreign key.
pub(super) fn advise(places: &[Place<'_>], findings: &mut Diagnostics) {
    for place in places {
        // The first hop is the link of this place; the others belong to the places above.
        let Some(hop) = place.hops.first() else {
            continue;
        };
        let path = place.path.trim_end_matches(" (junction)");
        let sides = [
            (hop.child, &hop.columns, hop.parent),
            (hop.parent, &hop.parent_columns, hop.child),
        ];
        for (table, columns, changed) in sides {
            if !table.has_index_on(columns) {
                no_index(table, columns, changed, path, findings);
            }
        }
        let points = |from: &Table, columns: &[ColumnName], to: &Table| {
            let mut keys = from.foreign_keys.iter();
            keys.any(|key| key.table == to.name && key.columns == columns)
        };
        if !points(hop.child, &hop.columns, hop.parent)
            && !points(hop.parent, &hop.parent_columns, hop.child)
        {
            findings.push(
                Diagnostic::warning(
                    "W331",
                    format!(
                        "no foreign key stands behind the join of {} and {}",
                        hop.parent.name, hop.child.name
                    ),
                )
                .help("rows that meet nothing are not found by the database")
                .at(path, None),
            );
        }
    }
}

fn no_index(
    table: &Table,
    columns: &[ColumnName],
    changed: &Table,
    path: &str,
    findings: &mut Diagnostics,
) {
    let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let names = names.join(", ");
    let sql = format!("CREATE INDEX CONCURRENTLY ON {} ({names});", table.name);
    findings.push(
        Diagnostic::warning(
            "W305",
            format!(
                "no index on {} ({names}): every change of {} reads the whole table",
                table.name, changed.name.name
            ),
        )
        .help(sql.clone())
        .sql(sql)
        .naming(columns.first().map(ColumnName::as_str).unwrap_or_default())
        .at(path, None),
    );
}
