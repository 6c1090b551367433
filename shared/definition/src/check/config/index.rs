//! `[[index]]`.

use super::{IndexEntry, ON_ERROR, Walk};
use crate::check::{names, value};
use crate::deployment::{IndexOverrides, OnError, Sink};
use crate::diagnostic::{Diagnostic, nearest};
use crate::raw::{Node, RawValue, Table};

/// The registry's name: no index may take it.
const REGISTRY: &str = "flusso_meta";

impl Walk<'_> {
    pub(super) fn indexes(
        &mut self,
        node: Option<&Node>,
        on_error: OnError,
        prefix: &str,
        sinks: &[Sink],
    ) -> Vec<IndexEntry> {
        let Some(node) = node else { return Vec::new() };
        let RawValue::List(items) = &node.value else {
            let message = format!("index must be a list of tables, found {}", node.kind());
            self.reader
                .error_help("E106", &node.span, message, "write [[index]]");
            return Vec::new();
        };
        let mut indexes: Vec<IndexEntry> = Vec::with_capacity(items.len());
        for item in items {
            let Some((index, span)) = self.index(item, on_error, sinks) else {
                continue;
            };
            if index.name.is_empty() {
                // Told of already.
            } else if indexes.iter().any(|other| other.name == index.name) {
                let message = format!("the index `{}` is defined twice", index.name);
                self.reader.error_help("E211", &span, message, "rename one");
            } else if index.name == REGISTRY {
                let message = format!("`{REGISTRY}` is the registry's name");
                self.reader
                    .error_help("E212", &span, message, "rename the index");
            } else if format!("{prefix}{}", index.name).starts_with('_') {
                let message = format!("the index name {prefix}{} starts with _", index.name);
                self.reader.error_help(
                    "E212",
                    &span,
                    message,
                    "OpenSearch refuses it: rename the index, or set a prefix",
                );
            }
            indexes.push(index);
        }
        self.alias_clashes(items, prefix, &indexes);
        indexes
    }

    /// An index's own alias moves by itself: no list of aliases may hold one.
    fn alias_clashes(&mut self, items: &[Node], prefix: &str, indexes: &[IndexEntry]) {
        let main: Vec<String> = indexes
            .iter()
            .filter(|index| !index.name.is_empty())
            .map(|index| format!("{prefix}{}", index.name))
            .collect();
        let aliases = items
            .iter()
            .flat_map(|item| item.map().unwrap_or_default())
            .filter(|entry| entry.key == "aliases")
            .flat_map(|entry| entry.value.list().unwrap_or_default());
        for alias in aliases {
            let Some(text) = alias.text() else { continue };
            if main.iter().any(|main| main == text) {
                let message = format!("`{text}` is the alias of an index already");
                self.reader
                    .error_help("E211", &alias.span, message, "remove it");
            }
        }
    }

    fn index(
        &mut self,
        node: &Node,
        on_error: OnError,
        sinks: &[Sink],
    ) -> Option<(IndexEntry, std::ops::Range<usize>)> {
        let mut table = self
            .reader
            .table(node, "an index", "in [[index]]", "index.")?;
        let table_head = table.head();
        let name = self.index_name(&mut table);
        let schema_node = table.required(&mut self.reader, "schema");
        let schema = value::text(&mut self.reader, &mut table, "schema");
        let enabled = self.flag(&mut table, "enabled", true);
        let on_error =
            value::word(&mut self.reader, &mut table, "on_error", &ON_ERROR).unwrap_or(on_error);
        let sinks = self.index_sinks(&mut table, sinks);
        let aliases = self.aliases(&mut table);
        let overrides = IndexOverrides {
            number_of_shards: self.shards(&mut table),
            number_of_replicas: self.replicas(&mut table),
            refresh_interval: self.refresh_interval(&mut table),
            pipeline: self.pipeline(&mut table),
            index_settings: self.index_settings(&mut table),
        };
        table.finish(&mut self.reader);
        let (schema, schema_span) = (schema?, schema_node?.span.clone());
        let extension = std::path::Path::new(&schema).extension();
        if !extension.is_some_and(|extension| extension == "yml" || extension == "yaml") {
            self.reader.warning(
                "W223",
                &schema_span,
                format!("{schema} ends neither in .yml nor in .yaml"),
                "it is read as YAML all the same",
            );
        }
        // Without a name its schema file is read all the same, for the mistakes in it.
        let (name, span) = name.unwrap_or_else(|| (String::new(), table_head));
        let entry = IndexEntry {
            name,
            schema: self.directory.join(&schema),
            schema_written: schema,
            schema_span,
            enabled,
            on_error,
            sinks,
            aliases,
            overrides,
        };
        Some((entry, span))
    }

    fn index_name(&mut self, table: &mut Table<'_>) -> Option<(String, std::ops::Range<usize>)> {
        let node = table.required(&mut self.reader, "name")?;
        let written = value::as_text(&mut self.reader, node, "index.name")?;
        let name = names::name(written);
        if name.is_none() {
            self.reader.error_help(
                "E212",
                &node.span,
                format!("{written:?} is not an index name"),
                "letters, digits and _, not first a digit, at most 63",
            );
        }
        name.map(|name| (name, node.span.clone()))
    }

    fn index_sinks(&mut self, table: &mut Table<'_>, sinks: &[Sink]) -> Vec<String> {
        let all = || sinks.iter().map(|sink| sink.name.clone()).collect();
        let Some(node) = table.get("sinks") else {
            return all();
        };
        let Some(written) = value::as_texts(&mut self.reader, node, "index.sinks", false) else {
            return all();
        };
        if written.is_empty() {
            value::wrong(
                &mut self.reader,
                node,
                "index.sinks lists no sink",
                "leave it out for all sinks, or set enabled = false",
            );
        }
        let mut found: Vec<String> = Vec::with_capacity(written.len());
        for (text, item) in written {
            let name = names::name(text).unwrap_or_default();
            if !sinks.iter().any(|sink| sink.name == name) {
                let known = || sinks.iter().map(|sink| sink.name.as_str());
                let mut finding = Diagnostic::error("E211", format!("there is no sink `{text}`"))
                    .allowed(known());
                finding.label =
                    nearest(text, known()).map(|near| format!("did you mean `{near}`?"));
                self.reader.push(finding, &item.span);
            } else if !found.contains(&name) {
                found.push(name);
            }
        }
        found
    }

    fn aliases(&mut self, table: &mut Table<'_>) -> Vec<String> {
        let Some(node) = table.get("aliases") else {
            return Vec::new();
        };
        let mut aliases = Vec::new();
        for (text, item) in
            value::as_texts(&mut self.reader, node, "index.aliases", false).unwrap_or_default()
        {
            if is_alias(text) {
                if !aliases.iter().any(|alias| alias == text) {
                    aliases.push(text.to_owned());
                }
            } else {
                value::wrong(
                    &mut self.reader,
                    item,
                    format!("{text:?} is not an alias name"),
                    "lowercase, not first _ - or +, at most 255 bytes, \
                     no space and none of , : \" * / \\ | ? # < >",
                );
            }
        }
        aliases
    }
}

/// OpenSearch's rule for names of indexes and aliases.
fn is_alias(text: &str) -> bool {
    let forbidden = |c: char| {
        c.is_whitespace() || c.is_control() || c.is_uppercase() || ",:\"*/\\|?#<>".contains(c)
    };
    (1..=255).contains(&text.len())
        && text != "."
        && text != ".."
        && !text.starts_with(['_', '-', '+'])
        && !text.contains(forbidden)
}
