//! Which columns the files of a case name, straight from their text.
//! In: schema files, the catalog's primary keys. Out: what an update must touch to be published,
//! and what a record may carry (reference 4.1).
//! Must not: ask the product. Coarse where that is safe: a column that is named counts as used by
//! every place of its table, and every key of a join may route.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use definition::Catalog;
use model::{ColumnName, TableName};

use crate::oracle::file::{Node, identifier};

/// Tags whose value is one column of the row, named like the field unless `column` says otherwise.
const OF_ONE_COLUMN: [&str; 20] = [
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
    "custom",
    "map",
    "geo",
];
/// Tags with rows of another table.
const OF_ROWS: [&str; 10] = [
    "belongs_to",
    "has_one",
    "has_many",
    "many_to_many",
    "count",
    "avg",
    "sum",
    "min",
    "max",
    "ids",
];

/// What is mentioned of each table.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    tables: BTreeMap<TableName, Mentioned>,
}

#[derive(Debug, Default)]
struct Mentioned {
    used: BTreeSet<ColumnName>,
    routing: BTreeSet<ColumnName>,
    /// A raw filter may name any column, a generated one depends on any.
    all: bool,
    primary_key: Vec<ColumnName>,
}

impl Mentions {
    /// Adds what one file names.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn add(&mut self, yaml: &str) -> Result<()> {
        let file = Node::parse(yaml)?;
        let root = table(&file, "public")?;
        let key = columns(&file, "primary_key");
        self.uses(&root, &key);
        self.routes_by(&root, &key);
        if let Some(delete) = file.get("soft_delete") {
            self.uses(&root, &columns(delete, "column"));
            if let Some(field) = delete.text("field") {
                self.uses(&root, &field_column(&file, field));
            }
            self.filters(&root, delete, "when");
        }
        self.filters(&root, &file, "filters");
        self.fields(&root, &file)
    }

    /// Adds primary keys, and which tables have a used generated column.
    pub(super) fn complete(&mut self, catalog: &Catalog) {
        for (name, mentioned) in &mut self.tables {
            let Some(table) = catalog.table(name) else {
                continue;
            };
            mentioned.primary_key = table.primary_key().unwrap_or_default().to_vec();
            mentioned.used.extend(mentioned.primary_key.iter().cloned());
            mentioned
                .routing
                .extend(mentioned.primary_key.iter().cloned());
            mentioned.all |= table
                .columns
                .iter()
                .any(|column| column.generated && mentioned.used.contains(&column.name));
        }
    }

    /// Whether a change of these columns can matter to a document.
    pub(super) fn touches(&self, table: &TableName, changed: &BTreeSet<ColumnName>) -> bool {
        self.tables.get(table).is_some_and(|mentioned| {
            if mentioned.all {
                !changed.is_empty()
            } else {
                !mentioned.used.is_disjoint(changed)
            }
        })
    }

    /// Whether a record of this table may carry the column.
    pub(super) fn routes(&self, table: &TableName, column: &str) -> bool {
        self.tables
            .get(table)
            .is_some_and(|mentioned| mentioned.routing.contains(column))
    }

    /// The key that records of this table must have; `None` for a table without a primary key.
    pub(super) fn primary_key(&self, table: &TableName) -> Option<Vec<&str>> {
        let key = &self.tables.get(table)?.primary_key;
        (!key.is_empty()).then(|| key.iter().map(ColumnName::as_str).collect())
    }

    fn of(&mut self, table: &TableName) -> &mut Mentioned {
        self.tables.entry(table.clone()).or_default()
    }

    fn uses(&mut self, table: &TableName, columns: &[ColumnName]) {
        self.of(table).used.extend(columns.iter().cloned());
    }

    fn routes_by(&mut self, table: &TableName, columns: &[ColumnName]) {
        self.uses(table, columns);
        self.of(table).routing.extend(columns.iter().cloned());
    }

    fn filters(&mut self, table: &TableName, node: &Node, key: &str) {
        for filter in node.list(key) {
            if filter.get("raw").is_some() {
                self.of(table).all = true;
            }
            self.uses(table, &columns(filter, "column"));
        }
    }

    fn fields(&mut self, row: &TableName, node: &Node) -> Result<()> {
        for field in node.list("fields") {
            if field.get("object").is_some() {
                self.fields(row, field)?;
                continue;
            }
            if let Some(tag) = OF_ROWS.iter().find(|tag| field.get(tag).is_some()) {
                self.rows(tag, row, field)
                    .with_context(|| format!("field {field:?}"))?;
                continue;
            }
            if field.get("lat").is_some() {
                self.uses(row, &columns(field, "lat"));
                self.uses(row, &columns(field, "lon"));
                continue;
            }
            for tag in OF_ONE_COLUMN {
                self.uses(row, &column_of(field, tag));
            }
        }
        Ok(())
    }

    fn rows(&mut self, tag: &str, row: &TableName, field: &Node) -> Result<()> {
        let of = table(field, &row.schema)?;
        let key = columns(field, "primary_key");
        self.routes_by(&of, &key);
        let own = columns(field, "column");
        let references = columns(field, "references");
        if tag == "belongs_to" {
            self.uses(row, &column_of(field, tag));
            self.routes_by(&of, &references);
        } else {
            self.uses(row, &references);
            self.routes_by(&of, &columns(field, "foreign_key"));
            if tag != "count" {
                self.uses(&of, &own);
            }
        }
        if let Some(through) = field.get("through") {
            let junction = table(through, &of.schema)?;
            self.routes_by(&junction, &columns(through, "left_key"));
            self.uses(&junction, &columns(through, "right_key"));
            self.uses(row, &columns(through, "left_references"));
            self.routes_by(&of, &columns(through, "right_references"));
        }
        self.filters(&of, field, "filters");
        for order in field.list("order_by") {
            self.uses(&of, &columns(order, "column"));
        }
        self.fields(&of, field)
    }
}

/// The column of a field of this tag; empty for another tag.
fn column_of(field: &Node, tag: &str) -> Vec<ColumnName> {
    let Some(name) = field.text(tag) else {
        return Vec::new();
    };
    let written = columns(field, "column");
    if written.is_empty() {
        vec![ColumnName::new(identifier(name))]
    } else {
        written
    }
}

/// The column of the scalar field of the root row with this name.
fn field_column(node: &Node, name: &str) -> Vec<ColumnName> {
    for field in node.list("fields") {
        if field.get("object").is_some() {
            let found = field_column(field, name);
            if !found.is_empty() {
                return found;
            }
        }
        for tag in OF_ONE_COLUMN {
            if field.text(tag) == Some(name) {
                return column_of(field, tag);
            }
        }
    }
    Vec::new()
}

fn table(node: &Node, around: &str) -> Result<TableName> {
    let schema = node.identifier("schema");
    let name = identifier(node.needed("table")?);
    Ok(TableName::new(
        schema.unwrap_or_else(|| around.to_owned()),
        name,
    ))
}

/// A column or a list of them; empty when there is none.
fn columns(node: &Node, key: &str) -> Vec<ColumnName> {
    node.columns(key)
        .unwrap_or_default()
        .into_iter()
        .map(ColumnName::new)
        .collect()
}
