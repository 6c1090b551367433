//! Questions that only the server can answer about single values and conditions of a definition.
//! In: a definition and the catalog. Out: statements, each with the place that it is about.
//! Why single statements: the whole build statement says only that something in it is wrong.

use model::TableName;
use serde_json::Value;

use crate::catalog::{Catalog, Column, Table};
use crate::diagnostic::Diagnostic;
use crate::index::{Field, FieldKind, Filter, FilterOp, IndexDefinition};

/// A statement that must work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The field; empty for the root.
    pub path: String,
    /// The key of it.
    pub key: String,
    /// What to ask.
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Whether `value` can be cast: run `sql` with it as `$1 text`.
    Cast {
        /// The statement.
        sql: String,
        /// The value as written.
        value: String,
        /// The column's type, for people.
        type_name: String,
    },
    /// Whether a raw condition prepares.
    Condition {
        /// The statement.
        sql: String,
        /// The filtered table.
        table: TableName,
    },
}

impl Probe {
    /// The finding when the server refused, for the reason that it gave.
    #[must_use]
    pub fn refused(&self, reason: &str) -> Diagnostic {
        let finding = match &self.ask {
            Ask::Cast {
                value, type_name, ..
            } => Diagnostic::error("E324", format!("{value:?} is no value of type {type_name}"))
                .help(format!("write it as Postgres reads a {type_name}")),
            Ask::Condition { table, .. } => {
                Diagnostic::error("E325", format!("the raw condition does not work: {reason}"))
                    .help(format!(
                        "it sees the columns of {table} only, bare or by its name"
                    ))
            }
        };
        finding.at(self.path.clone(), Some(&self.key))
    }
}

/// All values of filters and defaults, and all raw conditions, over columns that exist.
#[must_use]
pub fn probes(definition: &IndexDefinition, catalog: &Catalog) -> Vec<Probe> {
    let mut walk = Walk {
        catalog,
        probes: Vec::new(),
    };
    walk.filters(&definition.filters, &definition.root, "", "filters");
    if let Some(delete) = &definition.soft_delete {
        walk.filters(&delete.when, &definition.root, "", "soft_delete.when");
    }
    walk.fields(&definition.fields, &definition.root, "");
    walk.probes
}

struct Walk<'c> {
    catalog: &'c Catalog,
    probes: Vec<Probe>,
}

impl Walk<'_> {
    fn fields(&mut self, fields: &[Field], table: &TableName, path: &str) {
        for field in fields {
            let path = match path {
                "" => field.name.clone(),
                path => format!("{path}.{}", field.name),
            };
            match &field.kind {
                FieldKind::Scalar(scalar) => {
                    let column = self
                        .catalog
                        .table(table)
                        .and_then(|t| t.column(&scalar.column));
                    if let (Some(default), Some(column)) = (&scalar.default, column) {
                        self.cast(default, column, &path, "default".to_owned());
                    }
                }
                FieldKind::Object(fields) => self.fields(fields, table, &path),
                FieldKind::BelongsTo(join)
                | FieldKind::HasOne(join)
                | FieldKind::HasMany(join)
                | FieldKind::ManyToMany(join) => {
                    self.filters(&join.filters, &join.table, &path, "filters");
                    self.fields(&join.fields, &join.table, &path);
                }
                FieldKind::Aggregate(figure) => {
                    self.filters(&figure.filters, &figure.table, &path, "filters");
                }
                FieldKind::Map { .. } | FieldKind::Geo { .. } | FieldKind::Constant(_) => {}
            }
        }
    }

    fn filters(&mut self, filters: &[Filter], table: &TableName, path: &str, key: &str) {
        let Some(table) = self.catalog.table(table) else {
            return;
        };
        for (number, filter) in filters.iter().enumerate() {
            let key = format!("{key}.{number}");
            match filter {
                Filter::Raw(condition) => self.condition(condition, table, path, &key),
                Filter::Column { column, op } => {
                    if let Some(column) = table.column(column) {
                        for value in values(op) {
                            self.cast(value, column, path, format!("{key}.value"));
                        }
                    }
                }
            }
        }
    }

    fn cast(&mut self, value: &Value, column: &Column, path: &str, key: String) {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        self.probes.push(Probe {
            path: path.to_owned(),
            key,
            ask: Ask::Cast {
                sql: format!(
                    "SELECT CAST($1::pg_catalog.text AS {}) IS NULL",
                    column.cast
                ),
                value,
                type_name: column.type_name.clone(),
            },
        });
    }

    fn condition(&mut self, condition: &str, table: &Table, path: &str, key: &str) {
        self.probes.push(Probe {
            path: path.to_owned(),
            key: format!("{key}.raw"),
            ask: Ask::Condition {
                // In the form in which documents are built.
                sql: format!(
                    "SELECT ({condition}) IS TRUE FROM (SELECT t.* FROM {} t) AS {}",
                    table.name.sql(),
                    model::table::quote(&table.name.name)
                ),
                table: table.name.clone(),
            },
        });
    }
}

fn values(op: &FilterOp) -> Vec<&Value> {
    match op {
        FilterOp::Eq(value)
        | FilterOp::Neq(value)
        | FilterOp::Lt(value)
        | FilterOp::Lte(value)
        | FilterOp::Gt(value)
        | FilterOp::Gte(value) => vec![value],
        FilterOp::In(values) | FilterOp::NotIn(values) => values.iter().collect(),
        FilterOp::Between(low, high) => vec![low, high],
        // A pattern is text whatever the column.
        FilterOp::IsNull | FilterOp::IsNotNull | FilterOp::Like(_) | FilterOp::Ilike(_) => {
            Vec::new()
        }
    }
}
