//! A `*.schema.yml` to an [`IndexDefinition`].
//! In: the file's text. Out: the definition, the places of its elements, and
//! everything that is wrong; no definition when something is.

mod columns;
mod field;
mod filter;
mod join;
mod limits;
mod scalar;

use std::ops::Range;
use std::sync::Arc;

use model::{ColumnName, TableName};

use super::value;
use crate::diagnostic::{Diagnostic, Spans};
use crate::index::{Field, FieldKind, IndexDefinition, SoftDelete};
use crate::raw::{Node, Reader, Table, parse_yaml_all};

/// A schema file after reading.
pub(crate) struct Schema {
    /// The definition; `None` when there is an error among the findings.
    pub(crate) definition: Option<IndexDefinition>,
    /// Where its elements stand.
    pub(crate) spans: Spans,
    /// What is wrong or doubtful.
    pub(crate) findings: Vec<Diagnostic>,
}

/// Reads the schema file `file`, whose text is `text`.
pub(crate) fn read(file: &str, text: &str) -> Schema {
    let (root, errors) = parse_yaml_all(text);
    let mut schema = match root {
        Some(root) => read_tree(file, &Arc::from(text), &root),
        None => Schema {
            definition: None,
            spans: Spans::new(file, text),
            findings: Vec::new(),
        },
    };
    let mut reader = Reader::new(file, text);
    for error in errors {
        reader.error(error.code, &error.span.unwrap_or(0..0), error.message);
        schema.definition = None;
    }
    schema.findings.append(&mut reader.findings);
    schema
}

/// Reads a schema file from its tree, which stands in `text`.
pub(crate) fn read_tree(file: &str, text: &Arc<str>, root: &Node) -> Schema {
    let mut walk = Walk {
        reader: Reader::new(file, text),
        spans: Spans::new(file, Arc::clone(text)),
    };
    let definition = walk.document(root);
    let has_error = walk
        .reader
        .findings
        .iter()
        .any(|finding| finding.severity == crate::diagnostic::Severity::Error);
    Schema {
        definition: definition.filter(|_| !has_error),
        spans: walk.spans,
        findings: walk.reader.findings,
    }
}

/// A schema file being read.
struct Walk<'a> {
    reader: Reader<'a>,
    spans: Spans,
}

/// The row that fields and joins hang on (P).
#[derive(Clone)]
struct Parent {
    /// Its table; when that could not be read, a stand-in: nothing is built then.
    table: TableName,
    /// Its key as written.
    key: Option<Vec<ColumnName>>,
}

impl Walk<'_> {
    fn document(&mut self, root: &Node) -> Option<IndexDefinition> {
        let mut table = self
            .reader
            .table(root, "a schema file", "at top level", "")?;
        self.note("", root);
        self.version(&mut table);
        self.refuse_doc_id(&mut table);
        let schema = self
            .identifier(&mut table, "schema", "schema")
            .unwrap_or_else(|| "public".to_owned());
        let name = match table.required(&mut self.reader, "table") {
            Some(_) => self.identifier(&mut table, "table", "table"),
            None => None,
        };
        let primary_key = self.columns(&mut table, "primary_key");
        let parent = Parent {
            table: TableName::new(schema, name.clone().unwrap_or_default()),
            key: primary_key.clone(),
        };
        let filters = self.filters(&mut table, "filters");
        let fields = match table.required(&mut self.reader, "fields") {
            Some(node) => self.fields(node, "", &parent),
            None => Vec::new(),
        };
        let declared = table.peek("fields").map(|entry| &entry.value);
        let soft_delete = self.soft_delete(&mut table, declared, &fields);
        table.finish(&mut self.reader);
        self.limits(&fields);
        name?;
        Some(IndexDefinition {
            root: parent.table,
            primary_key,
            soft_delete,
            filters,
            fields,
        })
    }

    fn version(&mut self, table: &mut Table<'_>) {
        let Some(node) = table.required(&mut self.reader, "version") else {
            return;
        };
        if node.number().is_none_or(|number| number.written != "1") {
            value::wrong(
                &mut self.reader,
                node,
                "version must be 1",
                "this is the only version of the format",
            );
        }
    }

    fn refuse_doc_id(&mut self, table: &mut Table<'_>) {
        if let Some(entry) = table.peek("doc_id") {
            table.hide("doc_id");
            self.reader.error_help(
                "E214",
                &entry.key_span,
                "doc_id cannot be set: ids come from the document key",
                "set primary_key to the columns that make the id",
            );
        }
    }

    fn soft_delete(
        &mut self,
        table: &mut Table<'_>,
        declared: Option<&Node>,
        fields: &[Field],
    ) -> Option<SoftDelete> {
        let node = table.get("soft_delete")?;
        let mut inner = self
            .reader
            .table(node, "soft_delete", "in soft_delete", "soft_delete.")?;
        let column = self.column(&mut inner, "column");
        let field = match inner.get("field") {
            Some(node) => {
                value::as_text(&mut self.reader, node, "soft_delete.field").map(|name| (name, node))
            }
            None => None,
        };
        let when = self.filters(&mut inner, "when");
        let stated = (
            inner.peek("column").is_some(),
            inner.peek("field").is_some(),
        );
        inner.finish(&mut self.reader);
        let column = match stated {
            (true, true) => {
                self.reader.error_help(
                    "E210",
                    &node.span,
                    "soft_delete takes `column` or `field`, found both",
                    "remove one of them",
                );
                None
            }
            (false, false) => {
                self.reader.error_help(
                    "E110",
                    &node.span,
                    "soft_delete needs a `column` or a `field`",
                    "{ column: deleted_at }",
                );
                None
            }
            (true, false) => column,
            (false, true) => field.and_then(|(name, node)| {
                // A field that is itself wrong has been told of already.
                let is_wrong = !has_scalar(fields, name.trim())
                    && declared.is_some_and(|declared| field::declares(declared, name.trim()));
                if is_wrong {
                    return None;
                }
                self.marker(name, &node.span, fields)
            }),
        };
        Some(SoftDelete {
            column: column?,
            when,
        })
    }

    /// The column of the one scalar field of the root row called `name`.
    fn marker(&mut self, name: &str, span: &Range<usize>, fields: &[Field]) -> Option<ColumnName> {
        let mut scalars = Vec::new();
        scalar_fields(fields, &mut scalars);
        let found: Vec<&ColumnName> = scalars
            .iter()
            .filter(|(scalar, _)| *scalar == name.trim())
            .map(|(_, column)| *column)
            .collect();
        match found.as_slice() {
            [column] => Some((*column).clone()),
            [] => {
                let names: Vec<&str> = scalars.iter().map(|(name, _)| *name).collect();
                self.reader.error_help(
                    "E205",
                    span,
                    format!("soft_delete.field: the root row has no scalar field `{name}`"),
                    if names.is_empty() {
                        "use `column`".to_owned()
                    } else {
                        format!("scalar fields: {}; or use `column`", names.join(", "))
                    },
                );
                None
            }
            [_, _, ..] => {
                self.reader.error_help(
                    "E205",
                    span,
                    format!("soft_delete.field: the root row has two scalar fields `{name}`"),
                    "use `column`",
                );
                None
            }
        }
    }

    /// Notes where the keys of `node` stand: those of the field `path`.
    fn note(&mut self, path: &str, node: &Node) {
        self.note_keys(path, "", node);
    }

    /// Notes the identifier that a text can be.
    fn note_name(&mut self, path: &str, node: &Node) {
        if let Some(name) = node
            .text()
            .and_then(|text| super::names::identifier(text).ok())
        {
            self.spans.note_name(path, name, node.span.clone());
        }
    }

    fn note_keys(&mut self, path: &str, prefix: &str, node: &Node) {
        let dotted = |key: &str| match prefix {
            "" => key.to_owned(),
            prefix => format!("{prefix}.{key}"),
        };
        for entry in node.map().unwrap_or_default() {
            let key = dotted(&entry.key);
            self.spans.note(path, &key, entry.value.span.clone());
            self.note_name(path, &entry.value);
            // Fields have paths of their own.
            if entry.key != "fields" {
                self.note_keys(path, &key, &entry.value);
            }
        }
        for (index, item) in node.list().unwrap_or_default().iter().enumerate() {
            let key = dotted(&index.to_string());
            self.spans.note(path, &key, item.span.clone());
            self.note_name(path, item);
            self.note_keys(path, &key, item);
        }
    }
}

/// Whether a row has a scalar field of this name.
fn has_scalar(fields: &[Field], name: &str) -> bool {
    let mut scalars = Vec::new();
    scalar_fields(fields, &mut scalars);
    scalars.iter().any(|(scalar, _)| *scalar == name)
}

/// Names and columns of the scalar fields of a row, those in objects included.
fn scalar_fields<'f>(fields: &'f [Field], found: &mut Vec<(&'f str, &'f ColumnName)>) {
    for field in fields {
        if let FieldKind::Scalar(scalar) = &field.kind {
            found.push((&field.name, &scalar.column));
        }
        if let FieldKind::Object(inner) = &field.kind {
            scalar_fields(inner, found);
        }
    }
}

#[cfg(test)]
mod tests;
