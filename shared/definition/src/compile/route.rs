//! From a place of a table to the documents: the values of a row, or one statement.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::{ColumnName, TableName};

use super::resolved::{Hop, Place};
use super::{How, KeyColumn, Route, cast_of, operand};

/// The routes of every table; equal ones once.
pub(super) fn routes(places: &[Place<'_>], key: &[KeyColumn]) -> BTreeMap<TableName, Vec<Route>> {
    let mut routes: BTreeMap<TableName, Vec<Route>> = BTreeMap::new();
    for place in places {
        let route = route(place, key);
        let of_table = routes.entry(place.table.name.clone()).or_default();
        let is_there = |other: &Route| other.columns == route.columns && other.how == route.how;
        if !of_table.iter().any(is_there) {
            of_table.push(route);
        }
    }
    routes
}

fn route(place: &Place<'_>, key: &[KeyColumn]) -> Route {
    let Some(first) = place.hops.first() else {
        return Route {
            columns: place.key.clone(),
            how: How::Direct,
            path: "the document itself".to_owned(),
        };
    };
    let path = place.path.clone();
    if place.hops.len() == 1
        && let Some(columns) = names_the_key(first, key)
    {
        return Route {
            columns,
            how: How::Direct,
            path,
        };
    }
    Route {
        columns: first.columns.clone(),
        how: How::Query(query(place, first, key)),
        path,
    }
}

/// The columns of the row, in the order of the document key, when the parent's side is that key
/// and their texts read as its values (the text of a numeric is no integer, though the two compare).
fn names_the_key(hop: &Hop<'_>, key: &[KeyColumn]) -> Option<Vec<ColumnName>> {
    if hop.parent_columns.len() != key.len() {
        return None;
    }
    let of_key = |key: &KeyColumn| {
        let at = hop
            .parent_columns
            .iter()
            .position(|column| *column == key.name)?;
        let column = hop.columns.get(at)?;
        let (from, to) = (hop.child.column(column)?, hop.parent.column(&key.name)?);
        super::key::reads_as(from, to).then(|| column.clone())
    };
    key.iter().map(of_key).collect()
}

/// Joins the hops, from the values of the changed rows up to the key of the root.
fn query(place: &Place<'_>, first: &Hop<'_>, key: &[KeyColumn]) -> String {
    let arrays: Vec<String> = (1..=first.columns.len())
        .map(|n| format!("${n}::text[]"))
        .collect();
    let names: Vec<String> = (1..=first.columns.len()).map(|n| format!("c{n}")).collect();
    let mut sql = format!(
        " FROM unnest({}) AS v({})",
        arrays.join(", "),
        names.join(", ")
    );
    let mut child: Vec<String> = first
        .columns
        .iter()
        .enumerate()
        .map(|(n, column)| format!("v.c{}::{}", n + 1, cast_of(place.table, column)))
        .collect();
    let last = place.hops.len() - 1;
    let mut output = None;
    for (n, hop) in place.hops.iter().enumerate() {
        // The child's own values name the root: its row need not be looked at.
        if n == last
            && let Some(columns) = names_the_key(hop, key)
        {
            let at = |column: &ColumnName| {
                hop.columns
                    .iter()
                    .position(|other| other == column)
                    .and_then(|at| child.get(at).cloned())
            };
            output = columns.iter().map(at).collect::<Option<Vec<String>>>();
            break;
        }
        let conditions: Vec<String> = hop
            .parent_columns
            .iter()
            .enumerate()
            .filter_map(|(at, column)| {
                let of_parent = format!("p{n}.{}", column.sql());
                Some(format!(
                    "{} = {}",
                    operand(hop.parent, column, &of_parent),
                    operand(hop.parent, column, child.get(at)?)
                ))
            })
            .collect();
        let _infallible = write!(
            sql,
            " JOIN {} AS p{n} ON {}",
            hop.parent.name.sql(),
            conditions.join(" AND ")
        );
        let next = place
            .hops
            .get(n + 1)
            .map(|hop| hop.columns.as_slice())
            .unwrap_or_default();
        child = next
            .iter()
            .map(|column| format!("p{n}.{}", column.sql()))
            .collect();
    }
    let output = output.unwrap_or_else(|| {
        key.iter()
            .map(|key| format!("p{last}.{}", key.name.sql()))
            .collect()
    });
    let columns: Vec<String> = key
        .iter()
        .enumerate()
        .filter_map(|(at, key)| {
            Some(super::key::key_text(
                &format!("({})::{}", output.get(at)?, key.cast),
                &key.cast,
            ))
        })
        .collect();
    let not_null: Vec<String> = output
        .iter()
        .map(|value| format!("{value} IS NOT NULL"))
        .collect();
    format!(
        "SELECT DISTINCT {}{sql} WHERE {}",
        columns.join(", "),
        not_null.join(" AND ")
    )
}
