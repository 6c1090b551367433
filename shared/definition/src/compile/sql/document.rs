//! The JSON of a row: its own values, the rows it is joined with, figures over them.
//! Why `row_to_json` over a sub-select: it keeps the order of members, has no limit of arguments
//! and costs less than `json_build_object`. Why lists are made of such objects and not of rows:
//! `json_agg` puts line breaks between rows, and a document is one line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::ColumnName;

use super::super::resolved::{Level, Meets, Member, MemberValue};
use super::super::{condition, operand, value};
use super::group;
use crate::catalog::Table;
use crate::index::{Filter, Order};

/// Names for tables and sub-selects of one statement. No sub-select sees two of one name.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    rows: usize,
    groups: usize,
}

impl Aliases {
    /// For a table.
    pub(super) fn row(&mut self) -> String {
        let alias = format!("t{}", self.rows);
        self.rows += 1;
        alias
    }

    /// For what is read of one set of rows.
    pub(super) fn group(&mut self) -> String {
        self.groups += 1;
        format!("g{}", self.groups)
    }
}

/// What an object is selected from: its members, and the groups some of them come from.
pub(super) struct Selected {
    /// `… AS "name", …`
    pub(super) columns: String,
    /// `(SELECT …) AS g1`: one row each.
    pub(super) groups: Vec<String>,
}

/// The members of an object over the row `alias`.
pub(super) fn select(members: &[Member<'_>], alias: &str, aliases: &mut Aliases) -> Selected {
    let mut groups = Vec::new();
    let mut grouped = BTreeMap::new();
    for group in group::of(members) {
        let (sql, values) = group.sql(alias, aliases);
        groups.push(sql);
        grouped.extend(values);
    }
    let columns: Vec<String> = members
        .iter()
        .map(|one| {
            let value = grouped
                .remove(one.name.as_str())
                .unwrap_or_else(|| member(&one.value, alias, aliases));
            format!("{value} AS {}", model::table::quote(&one.name))
        })
        .collect();
    Selected {
        columns: columns.join(", "),
        groups,
    }
}

/// A JSON object over the row `alias`, as one expression.
pub(super) fn object(members: &[Member<'_>], alias: &str, aliases: &mut Aliases) -> String {
    whole(&select(members, alias, aliases))
}

fn whole(Selected { columns, groups }: &Selected) -> String {
    if columns.is_empty() {
        return "'{}'::json".to_owned();
    }
    let from = if groups.is_empty() {
        String::new()
    } else {
        format!(" FROM {}", groups.join(", "))
    };
    format!("(SELECT row_to_json(o.*) FROM (SELECT {columns}{from}) AS o)")
}

/// A member's value as one expression.
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
            let rows = Rows::new(meets, level.table, &level.filters, alias, aliases);
            let end = if matches!(meets, Meets::Columns { is_one: true, .. }) {
                End::default()
            } else {
                End::new(order, &level.key, &rows.alias, Some(1))
            };
            let (value, objects) = objects(level, &rows, &end, aliases);
            format!("(SELECT {value} FROM ({objects}) AS o)")
        }
        MemberValue::Many {
            meets,
            level,
            order,
            limit,
        } => {
            let rows = Rows::new(meets, level.table, &level.filters, alias, aliases);
            let end = End::new(order, &level.key, &rows.alias, *limit);
            let (value, objects) = objects(level, &rows, &end, aliases);
            format!("(SELECT coalesce(json_agg({value}), '[]'::json) FROM ({objects}) AS o)")
        }
        // Figures come from groups.
        MemberValue::Figure { .. } => "NULL".to_owned(),
    }
}

/// The objects of the rows of a level: the object of one row `o`, and the sub-select of the rows.
fn objects(
    level: &Level<'_>,
    rows: &Rows,
    end: &End,
    aliases: &mut Aliases,
) -> (&'static str, String) {
    let selected = select(&level.members, &rows.alias, aliases);
    // Figures are computed for the rows that are left, not before the others are cut off.
    if selected.columns.is_empty() || (end.is_limited && !selected.groups.is_empty()) {
        let (object, from) = (whole(&selected), rows.from(&[]));
        return ("o.j", format!("SELECT {object} AS j {from}{}", end.sql));
    }
    let from = rows.from(&selected.groups);
    (
        "row_to_json(o.*)",
        format!("SELECT {} {from}{}", selected.columns, end.sql),
    )
}

/// The rows of T that meet the row of P.
pub(super) struct Rows {
    /// T's alias.
    pub(super) alias: String,
    /// `"public"."lines" AS t1`
    pub(super) table: String,
    /// What they meet.
    pub(super) condition: String,
}

impl Rows {
    pub(super) fn new(
        meets: &Meets<'_>,
        table: &Table,
        filters: &[Filter],
        outer: &str,
        aliases: &mut Aliases,
    ) -> Self {
        let alias = aliases.row();
        let mut conditions = match meets {
            Meets::Columns { own, theirs, .. } => equal((table, &alias), theirs, outer, own),
            Meets::Through {
                junction,
                own,
                left,
                right,
                theirs,
            } => {
                let link = aliases.row();
                let mut conditions = equal((junction, &link), left, outer, own);
                conditions.extend(equal((junction, &link), right, &alias, theirs));
                vec![format!(
                    "EXISTS (SELECT FROM {} AS {link} WHERE {})",
                    junction.name.sql(),
                    conditions.join(" AND ")
                )]
            }
        };
        conditions.extend(condition::filters(filters, table, &alias));
        Self {
            table: format!("{} AS {alias}", table.name.sql()),
            condition: conditions.join(" AND "),
            alias,
        }
    }

    /// `FROM … WHERE …`, each row beside what `joined` gives for it.
    pub(super) fn from(&self, joined: &[String]) -> String {
        let mut tables = vec![self.table.as_str()];
        tables.extend(joined.iter().map(String::as_str));
        format!(
            "FROM {} WHERE {}",
            tables.join(" CROSS JOIN LATERAL "),
            self.condition
        )
    }
}

/// Columns of the row `alias` of `table` equal those of the row `other`.
fn equal(
    (table, alias): (&Table, &str),
    own: &[ColumnName],
    other: &str,
    theirs: &[ColumnName],
) -> Vec<String> {
    own.iter()
        .enumerate()
        .filter_map(|(at, column)| {
            let left = format!("{alias}.{}", column.sql());
            let right = format!("{other}.{}", theirs.get(at)?.sql());
            Some(format!(
                "{} = {}",
                operand(table, column, &left),
                operand(table, column, &right)
            ))
        })
        .collect()
}

/// Which rows come, in which order.
#[derive(Debug, Default)]
pub(super) struct End {
    sql: String,
    is_limited: bool,
}

impl End {
    /// The key of T is always appended, so that the order is total.
    pub(super) fn new(
        order: &[Order],
        key: &[ColumnName],
        alias: &str,
        limit: Option<u64>,
    ) -> Self {
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
        let mut sql = String::new();
        if !terms.is_empty() {
            sql = format!(" ORDER BY {}", terms.join(", "));
        }
        if let Some(limit) = limit {
            let _infallible = write!(sql, " LIMIT {limit}");
        }
        Self {
            sql,
            is_limited: limit.is_some(),
        }
    }

    /// ` ORDER BY … LIMIT …`
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}
