//! Columns and tables as a schema file writes them.

use std::collections::BTreeSet;
use std::ops::Range;

use model::ColumnName;

use super::Walk;
use crate::check::names::{self, IdentifierProblem, spelled};
use crate::check::value;
use crate::raw::{Node, Table};

impl Walk<'_> {
    /// The exact name under `key`; `what` it names, for messages.
    pub(super) fn identifier(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        what: &str,
    ) -> Option<String> {
        let node = table.get(key)?;
        let text = value::as_text(&mut self.reader, node, &table.label(key))?;
        self.identifier_of(text, &node.span, what)
    }

    /// The exact name that `text` means.
    pub(super) fn identifier_of(
        &mut self,
        text: &str,
        span: &Range<usize>,
        what: &str,
    ) -> Option<String> {
        match names::identifier(text) {
            Ok(name) => Some(name),
            Err(problem) => {
                let help = identifier_help(what, &problem);
                self.reader.error_help(
                    "E209",
                    span,
                    format!("{text:?} is not a {what} name"),
                    help,
                );
                None
            }
        }
    }

    /// The column under `key`.
    pub(super) fn column(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<ColumnName> {
        self.identifier(table, key, "column").map(ColumnName::new)
    }

    /// The column or list of columns under `key`.
    pub(super) fn columns(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<Vec<ColumnName>> {
        let node = table.get(key)?;
        self.columns_of(node, &table.label(key))
    }

    fn columns_of(&mut self, node: &Node, label: &str) -> Option<Vec<ColumnName>> {
        let written = value::as_texts(&mut self.reader, node, label, true)?;
        if written.is_empty() {
            value::wrong(
                &mut self.reader,
                node,
                format!("{label} lists no column"),
                "give at least one, or leave the key out",
            );
            return None;
        }
        let count = written.len();
        let mut seen = BTreeSet::new();
        let mut columns = Vec::with_capacity(count);
        for (text, item) in written {
            let Some(name) = self.identifier_of(text, &item.span, "column") else {
                continue;
            };
            if seen.insert(name.clone()) {
                columns.push(ColumnName::new(name));
            } else {
                self.reader.error_help(
                    "E211",
                    &item.span,
                    format!("{label} lists {name} twice"),
                    "remove one",
                );
            }
        }
        (columns.len() == count).then_some(columns)
    }

    /// Checks that `columns` (under `key`) are as many as those of `table`
    /// which they name, when these are known from the file.
    pub(super) fn same_length(
        &mut self,
        joined: &Table<'_>,
        key: &str,
        columns: &[ColumnName],
        table: &str,
        referenced: Option<&[ColumnName]>,
    ) {
        let Some(referenced) = referenced else { return };
        if columns.len() == referenced.len() {
            return;
        }
        let span = joined
            .peek(key)
            .map_or_else(|| joined.span.clone(), |entry| entry.value.span.clone());
        let list: Vec<String> = referenced.iter().map(ToString::to_string).collect();
        let count = columns.len();
        let noun = if count == 1 { "column" } else { "columns" };
        self.reader.error_help(
            "E206",
            &span,
            format!(
                "`{key}` lists {count} {noun}, but {table} is referenced by {}: {}",
                referenced.len(),
                list.join(", ")
            ),
            "list as many, in the same order",
        );
    }

    /// JSON of a node, or an error about a number that JSON cannot hold.
    pub(super) fn json(&mut self, node: &Node) -> Option<serde_json::Value> {
        match node.to_json() {
            Ok(value) => Some(value),
            Err(span) => {
                self.reader.error_help(
                    "E106",
                    &span,
                    "this number is neither a 64-bit integer nor finite",
                    "write it as text",
                );
                None
            }
        }
    }

    /// A JSON object under `key`.
    pub(super) fn object(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
    ) -> Option<serde_json::Map<String, serde_json::Value>> {
        let node = table.get(key)?;
        if let serde_json::Value::Object(map) = self.json(node)? {
            return Some(map);
        }
        let message = format!(
            "{} must be a table, found {}",
            table.label(key),
            node.kind()
        );
        self.reader.error("E106", &node.span, message);
        None
    }
}

fn identifier_help(what: &str, problem: &IdentifierProblem) -> String {
    match (&problem.dotted, what) {
        (Some((schema, name)), "table") => {
            // Capital letters were meant: nobody writes them otherwise.
            format!(
                "write schema: {} and table: {}",
                spelled(schema),
                spelled(name)
            )
        }
        (Some((around, name)), _) => format!(
            "a name has no dot: a schema goes under `schema:`, a table under `table:`; \
             for {around} and {name} in one name write '\"{around}.{name}\"'"
        ),
        _ => problem.reason.clone(),
    }
}
