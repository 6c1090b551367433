//! Whole tables in memory, every value as Postgres' text, and hash look-ups over them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio_postgres::{Client, IsolationLevel};

/// A row: the text of each column, in the order of [`Table::columns`].
pub(super) type Row = Vec<Option<String>>;

/// The row numbers that hold a key.
type Index = HashMap<Vec<String>, Vec<usize>>;

pub(super) struct Table {
    pub(super) columns: HashMap<String, usize>,
    /// Type names as `format_type` writes them, without modifier.
    pub(super) types: HashMap<String, String>,
    pub(super) primary_key: Vec<String>,
    pub(super) rows: Vec<Row>,
}

impl Table {
    pub(super) fn value<'r>(&self, row: &'r Row, column: &str) -> Result<Option<&'r str>> {
        let at = *self
            .columns
            .get(column)
            .with_context(|| format!("no column {column}"))?;
        Ok(row.get(at).context("a short row")?.as_deref())
    }

    /// The values of `columns`, or nothing when one of them is NULL: NULL meets nothing.
    pub(super) fn key(&self, row: &Row, columns: &[String]) -> Result<Option<Vec<String>>> {
        let mut key = Vec::with_capacity(columns.len());
        for column in columns {
            match self.value(row, column)? {
                Some(value) => key.push(value.to_owned()),
                None => return Ok(None),
            }
        }
        Ok(Some(key))
    }

    /// Compares two values of one column as Postgres orders its type (text in byte order: the
    /// test databases have the collation C).
    pub(super) fn order(&self, column: &str, left: &str, right: &str) -> Ordering {
        match self.types.get(column).map(String::as_str) {
            Some("smallint" | "integer" | "bigint") => {
                left.parse::<i64>().ok().cmp(&right.parse::<i64>().ok())
            }
            Some("numeric" | "real" | "double precision") => {
                let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
                number(left).total_cmp(&number(right))
            }
            _ => left.cmp(right),
        }
    }
}

pub(super) struct Tables {
    tables: BTreeMap<(String, String), Rc<Table>>,
    indexes: HashMap<(String, String, Vec<String>), Rc<Index>>,
}

impl Tables {
    /// Reads every table that the file names anywhere, in one snapshot.
    pub(super) async fn load(file: &Value, database: &mut Client) -> Result<Self> {
        let mut names = BTreeSet::new();
        name_tables(file, "public", &mut names);
        database.batch_execute("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1; SET bytea_output = 'hex'").await?;
        let snapshot = database
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let mut tables = BTreeMap::new();
        for (schema, name) in names {
            let table = read(&snapshot, &schema, &name)
                .await
                .with_context(|| format!("table {schema}.{name}"))?;
            tables.insert((schema, name), Rc::new(table));
        }
        snapshot.commit().await?;
        Ok(Self {
            tables,
            indexes: HashMap::new(),
        })
    }

    pub(super) fn table(&self, schema: &str, name: &str) -> Result<Rc<Table>> {
        let key = (schema.to_owned(), name.to_owned());
        Ok(Rc::clone(self.tables.get(&key).with_context(|| {
            format!("table {schema}.{name} was not read")
        })?))
    }

    /// The rows of a table whose `columns` hold `key`.
    pub(super) fn find(
        &mut self,
        schema: &str,
        name: &str,
        columns: &[String],
        key: &[String],
    ) -> Result<Vec<usize>> {
        let table = self.table(schema, name)?;
        let id = (schema.to_owned(), name.to_owned(), columns.to_vec());
        if !self.indexes.contains_key(&id) {
            let mut index = Index::new();
            for (at, row) in table.rows.iter().enumerate() {
                if let Some(key) = table.key(row, columns)? {
                    index.entry(key).or_default().push(at);
                }
            }
            self.indexes.insert(id.clone(), Rc::new(index));
        }
        Ok(self
            .indexes
            .get(&id)
            .and_then(|index| index.get(key))
            .cloned()
            .unwrap_or_default())
    }
}

/// An identifier of the file: quoted means exact, plain is folded to lower case.
pub(super) fn identifier(written: &str) -> String {
    let written = written.trim();
    match written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(exact) => exact.replace("\"\"", "\""),
        None => written.to_ascii_lowercase(),
    }
}

/// A table's schema defaults to the schema of the table around it, a junction's to that of its far table.
fn name_tables(node: &Value, around: &str, names: &mut BTreeSet<(String, String)>) {
    let schema = node
        .get("schema")
        .and_then(Value::as_str)
        .map_or_else(|| around.to_owned(), identifier);
    if let Some(table) = node.get("table").and_then(Value::as_str) {
        names.insert((schema.clone(), identifier(table)));
    }
    if let Some(through) = node.get("through") {
        name_tables(through, &schema, names);
    }
    for field in node
        .get("fields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        name_tables(field, &schema, names);
    }
}

async fn read(
    database: &tokio_postgres::Transaction<'_>,
    schema: &str,
    name: &str,
) -> Result<Table> {
    let quoted = format!(
        "\"{}\".\"{}\"",
        schema.replace('"', "\"\""),
        name.replace('"', "\"\"")
    );
    let described = database
        .query(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
             WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            &[&quoted],
        )
        .await?;
    ensure!(!described.is_empty(), "there is no such table");
    let primary_key = database
        .query(
            "SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(attnum, n), pg_attribute a
             WHERE i.indrelid = $1::text::regclass AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum ORDER BY k.n",
            &[&quoted],
        )
        .await?;
    let columns: Vec<String> = described.iter().map(|row| row.get(0)).collect();
    let select: Vec<String> = columns
        .iter()
        .map(|column| format!("\"{}\"::text", column.replace('"', "\"\"")))
        .collect();
    let rows = database
        .query(&format!("SELECT {} FROM {quoted}", select.join(", ")), &[])
        .await?;
    Ok(Table {
        types: described
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect(),
        primary_key: primary_key.iter().map(|row| row.get(0)).collect(),
        rows: rows
            .iter()
            .map(|row| (0..columns.len()).map(|at| row.get(at)).collect())
            .collect(),
        columns: columns
            .into_iter()
            .enumerate()
            .map(|(at, column)| (column, at))
            .collect(),
    })
}
