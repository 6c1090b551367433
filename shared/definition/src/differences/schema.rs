//! The rows about a `*.schema.yml`, as it is written: whether or not it is right in all else.

use model::{ColumnName, TableName};

use super::config::IndexFile;
use super::{File, Found, Input, entry, text, types};
use crate::catalog::{Catalog, Column, Table};
use crate::raw::{Entry, Node, Number, parse_yaml};

const SCALARS: [&str; 18] = [
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
];
const TEXT_LIKE: [&str; 4] = ["text", "identifier", "keyword", "enum"];
const JOINS: [&str; 4] = ["belongs_to", "has_one", "has_many", "many_to_many"];
const FIGURES: [&str; 6] = ["count", "avg", "sum", "min", "max", "ids"];
const OTHERS: [&str; 4] = ["geo", "map", "object", "constant"];

/// The rows of a table that fields hang on.
#[derive(Clone)]
struct Around {
    table: Option<TableName>,
    path: String,
}

struct Walk<'a, 'f> {
    file: File<'a>,
    catalog: Option<&'a Catalog>,
    is_searched: bool,
    found: &'f mut Found,
}

/// One field.
struct Field<'n> {
    node: &'n Node,
    tag: &'n Entry,
    path: String,
}

pub(super) fn explain(input: &Input<'_>, index: &IndexFile, found: &mut Found) {
    let shown = index.schema.display().to_string();
    let Ok(text) = input.files.read(&index.schema) else {
        return;
    };
    let Ok(root) = parse_yaml(&text) else { return };
    let mut walk = Walk {
        file: File {
            shown: &shown,
            text: &text,
            index: Some(&index.name),
        },
        catalog: input.catalog,
        is_searched: index.is_searched,
        found,
    };
    walk.document(&root);
}

impl<'a> Walk<'a, '_> {
    fn document(&mut self, root: &Node) {
        let around = Around {
            table: table_of(root, "public"),
            path: String::new(),
        };
        let table = self.table(around.table.as_ref());
        self.key(root, table, "");
        let key = entry(root, "primary_key");
        let several = match (key, table) {
            (Some(key), _) => key.value.list().map_or(1, <[Node]>::len) > 1,
            (None, Some(table)) => table.primary_key().is_some_and(|key| key.len() > 1),
            (None, None) => false,
        };
        if several {
            self.note("D16", key.or_else(|| entry(root, "table")), "", "");
        }
        self.filters(entry(root, "filters"), table, "");
        if let Some(delete) = entry(root, "soft_delete") {
            let when = entry(&delete.value, "when");
            let conditions = when.and_then(|when| when.value.list()).unwrap_or_default();
            if conditions.iter().any(|filter| may_be_null(filter, table)) {
                self.note("D18", when, "", "");
            }
            self.filters(when, table, "");
        }
        self.fields(root, &around);
    }

    fn table(&self, name: Option<&TableName>) -> Option<&'a Table> {
        self.catalog?.table(name?)
    }

    fn note(&mut self, id: &'static str, entry: Option<&Entry>, path: &str, what: &str) {
        self.found
            .extend(id, entry.map(|entry| self.file.at(entry, Some(path), what)));
    }

    /// A key that is written must be one: 0.15 took any column.
    fn key(&mut self, node: &Node, table: Option<&Table>, path: &str) {
        let written = entry(node, "primary_key");
        if let (Some(entry), Some(table)) = (written, table) {
            let columns = columns(&entry.value);
            let all_there = columns
                .iter()
                .all(|name| table.column(name).is_some_and(|column| column.not_null));
            if !(all_there && table.is_unique(&columns)) {
                self.note("D15", written, path, "");
            }
        }
    }

    fn fields(&mut self, node: &Node, around: &Around) {
        let Some(list) = entry(node, "fields") else {
            return;
        };
        let mut names: Vec<&str> = Vec::new();
        for item in list.value.list().unwrap_or_default() {
            let Some(tag) = tag_of(item) else { continue };
            let name = tag.value.text().unwrap_or_default().trim();
            names.push(name);
            let path = match around.path.as_str() {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            let field = Field {
                node: item,
                tag,
                path,
            };
            self.field(&field, around);
        }
        if !names.is_sorted() {
            self.note("D39", Some(list), &around.path, "");
        }
    }

    fn field(&mut self, field: &Field<'_>, around: &Around) {
        let tag = field.tag.key.as_str();
        if SCALARS.contains(&tag) || tag == "geo" || tag == "map" {
            if entry(field.node, "required").is_none() {
                self.note("D1", Some(field.tag), &field.path, "without `required`");
            }
            self.scalar(field, self.column_of(field, around));
        } else if JOINS.contains(&tag) {
            self.join(field, around);
        } else if FIGURES.contains(&tag) {
            self.figure(field, around);
        } else if tag == "object" {
            let inner = Around {
                path: field.path.clone(),
                ..around.clone()
            };
            self.fields(field.node, &inner);
        } else if tag == "constant" {
            let value = entry(field.node, "value");
            if value.is_some_and(|value| value.value.text().is_none()) {
                self.note("D28", value, &field.path, "");
            }
        }
    }

    fn column_of(&self, field: &Field<'_>, around: &Around) -> Option<&'a Column> {
        let name = text(field.node, "column").or_else(|| field.tag.value.text())?;
        self.table(around.table.as_ref())?
            .column(&ColumnName::new(identifier(name)))
    }

    /// A value of a column. Without its type, what the tag says counts.
    fn scalar(&mut self, field: &Field<'_>, column: Option<&Column>) {
        let tag = field.tag.key.as_str();
        let custom: Vec<&str> = entry(field.node, "postgres")
            .and_then(|entry| entry.value.list())
            .unwrap_or_default()
            .iter()
            .filter_map(Node::text)
            .collect();
        let transforms = entry(field.node, "transforms");
        if has_item(transforms, "trim") {
            self.note("D23", transforms, &field.path, "");
        }
        if !TEXT_LIKE.contains(&tag) {
            self.note("D17", transforms, &field.path, "transforms");
        }
        if let Some(column) = column {
            if !types::was_taken(tag, column, &custom) {
                self.note("D38", Some(field.tag), &field.path, &column.type_name);
            }
            if types::is_enum(column) {
                self.note("D36", Some(field.tag), &field.path, &column.type_name);
            }
            if types::is_one_of(column, &["interval"]) {
                self.note("D35", Some(field.tag), &field.path, "");
            }
        }
        let options = entry(field.node, "options").map(|entry| &entry.value);
        let option = |key: &str| options.and_then(|options| entry(options, key));
        match tag {
            "enum" if has_variants(field.node) => {
                self.note("D25", entry(field.node, "variants"), &field.path, "");
                if let Some(fields) = option("fields")
                    && entry(&fields.value, "sort").is_none()
                {
                    self.note("D24", Some(fields), &field.path, "");
                }
            }
            "map" => self.note("D26", Some(field.tag), &field.path, ""),
            "json" if option("type").is_none() && option("enabled").is_none() => {
                self.note("D27", Some(field.tag), &field.path, "");
            }
            "binary" => self.note("D34", Some(field.tag), &field.path, ""),
            _ => {}
        }
        self.value(tag, field.tag, &field.path, column);
        if matches!(tag, "keyword" | "enum")
            && self.is_searched
            && option("ignore_above").is_none()
            && column.is_none_or(types::may_be_long)
        {
            self.note("D37", Some(field.tag), &field.path, "");
        }
    }

    /// How a value of `tag` is written.
    fn value(&mut self, tag: &str, at: &Entry, path: &str, column: Option<&Column>) {
        let is = |names: &[&str]| column.is_none_or(|column| types::is_one_of(column, names));
        let is_known =
            |names: &[&str]| column.is_some_and(|column| types::is_one_of(column, names));
        if tag == "time" || (tag == "timestamp" && is_known(&["time", "timetz"])) {
            self.note("D30", Some(at), path, "");
        } else if tag == "timestamp" {
            self.note("D29", Some(at), path, "");
        }
        if matches!(tag, "float" | "double") && is(&["float4", "float8"]) {
            self.note("D31", Some(at), path, "");
        }
        if tag == "decimal" && is(&["numeric", "money"]) {
            self.note("D32", Some(at), path, "");
        }
        if matches!(tag, "float" | "double" | "decimal") && is(&["float4", "float8", "numeric"]) {
            self.note("D33", Some(at), path, "");
        }
    }

    fn join(&mut self, field: &Field<'_>, around: &Around) {
        let Field { node, tag, path } = field;
        let schema = around
            .table
            .as_ref()
            .map_or("public", |table| &table.schema);
        let inner = Around {
            table: table_of(node, schema),
            path: path.clone(),
        };
        let table = self.table(inner.table.as_ref());
        if entry(node, "primary_key").is_none() {
            self.note("D1", Some(tag), path, "without `primary_key`");
        }
        self.key(node, table, path);
        self.through(node, &inner, path);
        let meets_one = table.is_some_and(|table| {
            entry(node, "foreign_key").is_some_and(|key| table.is_unique(&columns(&key.value)))
        });
        if tag.key != "belongs_to" && entry(node, "order_by").is_none() && !meets_one {
            self.note("D22", Some(tag), path, "without `order_by`");
        }
        self.filters(entry(node, "filters"), table, path);
        self.fields(node, &inner);
    }

    fn figure(&mut self, field: &Field<'_>, around: &Around) {
        let Field { node, tag, path } = field;
        let schema = around
            .table
            .as_ref()
            .map_or("public", |table| &table.schema);
        let inner = Around {
            table: table_of(node, schema),
            path: path.clone(),
        };
        let table = self.table(inner.table.as_ref());
        let filters = entry(node, "filters");
        self.through(node, &inner, path);
        self.filters(filters, table, path);
        if tag.key == "ids" {
            self.note("D22", Some(tag), path, "keys ascend");
            if entry(node, "through").is_some() {
                self.note("D20", filters, path, "");
            }
        }
        let column =
            text(node, "column").and_then(|name| table?.column(&ColumnName::new(identifier(name))));
        if tag.key == "avg" {
            self.note("D31", Some(tag), path, "a mean");
        }
        if matches!(tag.key.as_str(), "sum" | "min" | "max")
            && let Some(kind) = text(node, "value_type")
        {
            // The sum of real or money has another type, written by the same rules.
            self.value(kind, tag, path, column.filter(|_| tag.key != "sum"));
        }
    }

    /// A row that is linked twice counted twice, where the junction lets it be.
    fn through(&mut self, node: &Node, around: &Around, path: &str) {
        let Some(through) = entry(node, "through") else {
            return;
        };
        let schema = around
            .table
            .as_ref()
            .map_or("public", |table| &table.schema);
        let junction = table_of(&through.value, schema);
        let once = self.table(junction.as_ref()).is_some_and(|junction| {
            let mut pair = Vec::new();
            for key in ["left_key", "right_key"] {
                if let Some(key) = entry(&through.value, key) {
                    pair.extend(columns(&key.value));
                }
            }
            junction
                .indexes
                .iter()
                .filter(|index| index.unique)
                .any(|index| index.columns.iter().all(|column| pair.contains(column)))
        });
        if !once {
            self.note("D21", Some(through), path, "");
        }
    }

    /// Values that a modifier could have cut.
    fn filters(&mut self, filters: Option<&Entry>, table: Option<&Table>, path: &str) {
        let list = filters.and_then(|filters| filters.value.list());
        for filter in list.unwrap_or_default() {
            let Some(value) = entry(filter, "value") else {
                continue;
            };
            let may_be_cut = match value.value.list() {
                Some(items) => items.iter().any(may_be_cut),
                None => may_be_cut(&value.value),
            };
            let column = text(filter, "column")
                .and_then(|name| table?.column(&ColumnName::new(identifier(name))));
            if may_be_cut && column.is_none_or(types::may_have_modifier) {
                self.note("D19", Some(value), path, "");
            }
        }
    }
}

fn tag_of(node: &Node) -> Option<&Entry> {
    node.map()?.iter().find(|entry| {
        let key = entry.key.as_str();
        [&SCALARS[..], &JOINS, &FIGURES, &OTHERS]
            .iter()
            .any(|tags| tags.contains(&key))
    })
}

fn has_item(list: Option<&Entry>, item: &str) -> bool {
    list.and_then(|list| list.value.list())
        .is_some_and(|items| items.iter().any(|node| node.text() == Some(item)))
}

fn has_variants(node: &Node) -> bool {
    entry(node, "variants").is_some_and(|entry| entry.value.list().is_some_and(|l| !l.is_empty()))
}

/// Text, or a number with a fraction: a whole number fits, or is refused.
fn may_be_cut(node: &Node) -> bool {
    let is_fraction = |number: &Number| number.written.contains(['.', 'e', 'E']);
    node.text().is_some() || node.number().is_some_and(is_fraction)
}

/// Whether a condition can be neither true nor false.
fn may_be_null(filter: &Node, table: Option<&Table>) -> bool {
    let never = matches!(text(filter, "op"), Some("is_null" | "is_not_null"));
    let column =
        text(filter, "column").and_then(|name| table?.column(&ColumnName::new(identifier(name))));
    !never && column.is_none_or(|column| !column.not_null)
}

fn table_of(node: &Node, schema: &str) -> Option<TableName> {
    let name = identifier(text(node, "table")?);
    let schema = text(node, "schema").map_or_else(|| schema.to_owned(), identifier);
    Some(TableName::new(schema, name))
}

fn columns(node: &Node) -> Vec<ColumnName> {
    let one = node.text().into_iter();
    let several = node
        .list()
        .unwrap_or_default()
        .iter()
        .filter_map(Node::text);
    one.chain(several)
        .map(|name| ColumnName::new(identifier(name)))
        .collect()
}

/// The exact name. What is no name finds nothing in a catalog, and is an error elsewhere.
fn identifier(written: &str) -> String {
    let written = written.trim();
    let quoted = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(exact) => exact.replace("\"\"", "\""),
        None => written.to_ascii_lowercase(),
    }
}
