//! Filters and soft delete as SQL. NULL is not true.

use serde_json::Value;

use crate::catalog::Table;
use crate::index::{Filter, FilterOp, SoftDelete};

/// A scalar of the file as an SQL literal of unknown type.
pub(super) fn literal(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    };
    format!("'{}'", text.replace('\'', "''"))
}

/// All of them, or `None` when there are none.
pub(super) fn filters(filters: &[Filter], table: &Table, alias: &str) -> Option<String> {
    let all: Vec<String> = filters
        .iter()
        .map(|one| filter(one, table, alias))
        .collect();
    (!all.is_empty()).then(|| all.join(" AND "))
}

fn filter(filter: &Filter, table: &Table, alias: &str) -> String {
    let (column, op) = match filter {
        // Only the filtered table is in scope, bare or by its name. The line break ends a comment.
        Filter::Raw(sql) => {
            return format!(
                "(SELECT ({sql}\n) IS TRUE FROM (SELECT {alias}.*) AS {})",
                model::table::quote(&table.name.name)
            );
        }
        Filter::Column { column, op } => (column, op),
    };
    let described = table.column(column);
    let sql = format!("{alias}.{}", column.sql());
    let sql = described.map_or_else(|| sql.clone(), |column| column.operand(&sql));
    let cast = described.map_or("pg_catalog.text", |column| column.cast.as_str());
    let value = |value: &Value| format!("CAST({} AS {cast})", literal(value));
    let list = |values: &[Value]| values.iter().map(value).collect::<Vec<_>>().join(", ");
    let text = |text: &str| literal(&Value::String(text.to_owned()));
    match op {
        FilterOp::IsNull => format!("{sql} IS NULL"),
        FilterOp::IsNotNull => format!("{sql} IS NOT NULL"),
        FilterOp::Eq(one) => format!("{sql} = {}", value(one)),
        FilterOp::Neq(one) => format!("{sql} <> {}", value(one)),
        FilterOp::Lt(one) => format!("{sql} < {}", value(one)),
        FilterOp::Lte(one) => format!("{sql} <= {}", value(one)),
        FilterOp::Gt(one) => format!("{sql} > {}", value(one)),
        FilterOp::Gte(one) => format!("{sql} >= {}", value(one)),
        FilterOp::Like(pattern) => format!("{sql} LIKE {}", text(pattern)),
        FilterOp::Ilike(pattern) => format!("{sql} ILIKE {}", text(pattern)),
        FilterOp::In(values) => format!("{sql} IN ({})", list(values)),
        FilterOp::NotIn(values) => format!("{sql} NOT IN ({})", list(values)),
        FilterOp::Between(low, high) => format!("{sql} BETWEEN {} AND {}", value(low), value(high)),
    }
}

/// Whether a root row counts as deleted.
pub(super) fn deleted(soft_delete: &SoftDelete, table: &Table, alias: &str) -> String {
    let column = format!("{alias}.{}", soft_delete.column.sql());
    let is_boolean = table
        .column(&soft_delete.column)
        .is_some_and(|column| column.base.name == "bool" && !column.is_array);
    let marker = if is_boolean {
        format!("{column} IS TRUE")
    } else {
        format!("{column} IS NOT NULL")
    };
    match filters(&soft_delete.when, table, alias) {
        None => marker,
        Some(when) => format!("({marker} AND ({when}) IS TRUE)"),
    }
}
