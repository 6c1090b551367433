//! Rows to documents, field by field, straight after the words of the language reference.
#![expect(
    clippy::indexing_slicing,
    reason = "row numbers come from the same table's own index"
)]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::tables::{Row, Table, Tables, identifier};

/// Tags whose value is one column.
const SCALARS: [&str; 17] = [
    "text",
    "identifier",
    "keyword",
    "enum",
    "uuid",
    "time",
    "boolean",
    "short",
    "integer",
    "long",
    "float",
    "double",
    "binary",
    "decimal",
    "date",
    "timestamp",
    "json",
];

/// The row that fields are read from.
struct Parent<'p> {
    schema: &'p str,
    table: &'p Table,
    row: &'p Row,
    /// Its key, as the file or the catalog says.
    key: &'p [String],
}

pub(super) fn build_all(file: &Value, tables: &mut Tables) -> Result<BTreeMap<String, Value>> {
    let schema = file
        .get("schema")
        .and_then(Value::as_str)
        .map_or_else(|| "public".to_owned(), identifier);
    let name = identifier(text(file, "table")?);
    let table = tables.table(&schema, &name)?;
    let key = columns(file, "primary_key").unwrap_or_else(|| table.primary_key.clone());
    let mut documents = BTreeMap::new();
    for row in &table.rows {
        let parent = Parent {
            schema: &schema,
            table: &table,
            row,
            key: &key,
        };
        let values = table
            .key(row, &key)?
            .context("a NULL in the document key")?;
        let document = object(file, &parent, tables)?;
        documents.insert(document_id(&values), document);
    }
    Ok(documents)
}

/// One column: its text. Several: escaped and joined by colons.
fn document_id(values: &[String]) -> String {
    if values.len() == 1 {
        return values.concat();
    }
    let parts: Vec<String> = values
        .iter()
        .map(|value| value.replace('\\', "\\\\").replace(':', "\\:"))
        .collect();
    parts.join(":")
}

fn object(node: &Value, parent: &Parent<'_>, tables: &mut Tables) -> Result<Value> {
    let mut members = Map::new();
    for field in node
        .get("fields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let (name, value) =
            member(field, parent, tables).with_context(|| format!("field {field}"))?;
        members.insert(name, value);
    }
    Ok(Value::Object(members))
}

fn member(field: &Value, parent: &Parent<'_>, tables: &mut Tables) -> Result<(String, Value)> {
    for tag in SCALARS {
        if let Some(name) = field.get(tag).and_then(Value::as_str) {
            let column = field
                .get("column")
                .and_then(Value::as_str)
                .map_or_else(|| identifier(name), identifier);
            return Ok((name.to_owned(), scalar(parent.table, parent.row, &column)?));
        }
    }
    for tag in [
        "belongs_to",
        "has_one",
        "has_many",
        "many_to_many",
        "count",
        "sum",
    ] {
        if let Some(name) = field.get(tag).and_then(Value::as_str) {
            return Ok((name.to_owned(), related(tag, field, parent, tables)?));
        }
    }
    bail!("the oracle does not know this field")
}

fn related(tag: &str, field: &Value, parent: &Parent<'_>, tables: &mut Tables) -> Result<Value> {
    let schema = field
        .get("schema")
        .and_then(Value::as_str)
        .map_or_else(|| parent.schema.to_owned(), identifier);
    let name = identifier(text(field, "table")?);
    let table = tables.table(&schema, &name)?;
    let key = columns(field, "primary_key").unwrap_or_else(|| table.primary_key.clone());
    let mut rows = find_related(tag, field, parent, (&schema, &name, &key), tables)?;
    match tag {
        "count" => return Ok(Value::from(rows.len())),
        "sum" => return sum(&table, &rows, &identifier(text(field, "column")?)),
        _ => {}
    }
    rows.sort_by(|left, right| by_key(&table, &key, &table.rows[*left], &table.rows[*right]));
    let mut documents = Vec::new();
    for row in rows {
        let child = Parent {
            schema: &schema,
            table: &table,
            row: &table.rows[row],
            key: &key,
        };
        documents.push(object(field, &child, tables)?);
    }
    Ok(match tag {
        "belongs_to" | "has_one" => documents.into_iter().next().unwrap_or(Value::Null),
        _ => Value::Array(documents),
    })
}

fn find_related(
    tag: &str,
    field: &Value,
    parent: &Parent<'_>,
    (schema, name, key): (&str, &str, &[String]),
    tables: &mut Tables,
) -> Result<Vec<usize>> {
    if let Some(through) = field.get("through") {
        let junction_schema = through
            .get("schema")
            .and_then(Value::as_str)
            .map_or_else(|| schema.to_owned(), identifier);
        let junction_name = identifier(text(through, "table")?);
        let junction = tables.table(&junction_schema, &junction_name)?;
        let left = columns(through, "left_key").context("left_key")?;
        let right = columns(through, "right_key").context("right_key")?;
        let left_references =
            columns(through, "left_references").unwrap_or_else(|| parent.key.to_vec());
        let right_references = columns(through, "right_references").unwrap_or_else(|| key.to_vec());
        let Some(of_parent) = parent.table.key(parent.row, &left_references)? else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for link in tables.find(&junction_schema, &junction_name, &left, &of_parent)? {
            if let Some(of_far) = junction.key(&junction.rows[link], &right)? {
                found.extend(tables.find(schema, name, &right_references, &of_far)?);
            }
        }
        // Each row once, however often it is linked.
        found.sort_unstable();
        found.dedup();
        return Ok(found);
    }
    let (own, theirs) = if tag == "belongs_to" {
        (
            columns(field, "column").context("column")?,
            columns(field, "references").unwrap_or_else(|| key.to_vec()),
        )
    } else {
        let references = columns(field, "references").unwrap_or_else(|| parent.key.to_vec());
        (
            references,
            columns(field, "foreign_key").context("foreign_key")?,
        )
    };
    let Some(value) = parent.table.key(parent.row, &own)? else {
        return Ok(Vec::new());
    };
    tables.find(schema, name, &theirs, &value)
}

fn by_key(table: &Rc<Table>, key: &[String], left: &Row, right: &Row) -> Ordering {
    for column in key {
        let value = |row| table.value(row, column).ok().flatten().unwrap_or_default();
        let order = table.order(column, value(left), value(right));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// In whole units of the column's last decimal: exact for integers and `numeric`.
fn sum(table: &Table, rows: &[usize], column: &str) -> Result<Value> {
    let mut total = 0_f64;
    let mut any = false;
    for row in rows {
        if let Some(value) = table.value(&table.rows[*row], column)? {
            total += value
                .parse::<f64>()
                .with_context(|| format!("{value} is no number"))?;
            any = true;
        }
    }
    Ok(if any { Value::from(total) } else { Value::Null })
}

fn scalar(table: &Table, row: &Row, column: &str) -> Result<Value> {
    let Some(value) = table.value(row, column)? else {
        return Ok(Value::Null);
    };
    let kind = table.types.get(column).map_or("", String::as_str);
    Ok(match kind {
        "smallint" | "integer" | "bigint" | "oid" => Value::from(value.parse::<i64>()?),
        "numeric" | "real" | "double precision" => match value.parse::<f64>()? {
            number if number.is_finite() => Value::from(number),
            _ => Value::Null,
        },
        "boolean" => Value::Bool(value == "true"),
        "json" | "jsonb" => serde_json::from_str(value)?,
        "timestamp without time zone" => Value::from(value.replacen(' ', "T", 1)),
        // The session is in UTC, so the offset is always +00.
        "timestamp with time zone" => Value::from(format!("{}:00", value.replacen(' ', "T", 1))),
        "text"
        | "character varying"
        | "character"
        | "uuid"
        | "date"
        | "time without time zone"
        | "interval" => Value::from(value),
        other => bail!("the oracle does not know the type {other}"),
    })
}

fn text<'v>(node: &'v Value, key: &str) -> Result<&'v str> {
    node.get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("`{key}` is missing"))
}

/// A column or a list of them.
fn columns(node: &Value, key: &str) -> Option<Vec<String>> {
    let value = node.get(key)?;
    if let Some(one) = value.as_str() {
        return Some(vec![identifier(one)]);
    }
    Some(
        value
            .as_array()?
            .iter()
            .filter_map(Value::as_str)
            .map(identifier)
            .collect(),
    )
}
