//! Walks a tree strictly: a key that nobody asked for is an error.
//! In: a [`Node`]. Out: values by key, and a finding for each key left over.
//! Must hold: the keys that were asked for *are* the allowed keys, so no list
//! of them can go stale.

use std::ops::Range;

use super::{Entry, Node, RawValue};
use crate::diagnostic::{Diagnostic, nearest, place_of};

/// One file being read, with what was found wrong in it.
pub(crate) struct Reader<'a> {
    /// The file as shown to people.
    pub(crate) file: &'a str,
    /// Its text.
    pub(crate) text: &'a str,
    /// Findings so far.
    pub(crate) findings: Vec<Diagnostic>,
    /// Where secrets stand (or may stand): never shown when a line is quoted.
    pub(crate) secrets: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Reader {
            file,
            text,
            findings: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Never shows the values at and below `node`; keys stay readable.
    pub(crate) fn conceal(&mut self, node: &Node) {
        match &node.value {
            RawValue::Map(entries) => entries.iter().for_each(|entry| self.conceal(&entry.value)),
            RawValue::List(items) => items.iter().for_each(|item| self.conceal(item)),
            RawValue::Null
            | RawValue::Bool(_)
            | RawValue::Number(_)
            | RawValue::Text(_)
            | RawValue::DateTime(_) => self.secrets.push(node.span.clone()),
        }
    }

    /// Notes an error at `span`.
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) {
        let finding = Diagnostic::error(code, message);
        self.push(finding, span);
    }

    /// Notes an error at `span` with the way to mend it.
    pub(crate) fn error_help(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let finding = Diagnostic::error(code, message).help(help);
        self.push(finding, span);
    }

    /// Notes a warning at `span` with the way to mend it.
    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let finding = Diagnostic::warning(code, message).help(help);
        self.push(finding, span);
    }

    /// Notes a finding at `span`.
    pub(crate) fn push(&mut self, finding: Diagnostic, span: &Range<usize>) {
        let place = place_of(self.text, span.clone());
        self.findings.push(finding.in_file(self.file, Some(place)));
    }

    /// Line and column of an offset, as `14:5`.
    pub(crate) fn position(&self, offset: usize) -> String {
        let place = place_of(self.text, offset..offset);
        format!("{}:{}", place.line, place.column)
    }

    /// The node as a table. `label` names it for messages (`source`), `place`
    /// says where its keys are (`in [source]`, `for the field x`), `prefix`
    /// stands before a key in messages (`source.`).
    pub(crate) fn table<'n>(
        &mut self,
        node: &'n Node,
        label: &str,
        place: impl Into<String>,
        prefix: impl Into<String>,
    ) -> Option<Table<'n>> {
        let RawValue::Map(entries) = &node.value else {
            // It can be what belongs into a table of secrets.
            self.secrets.push(node.span.clone());
            self.error(
                "E106",
                &node.span,
                format!("{label} must be a table, found {}", node.kind()),
            );
            return None;
        };
        Some(Table {
            entries,
            span: node.span.clone(),
            place: place.into(),
            prefix: prefix.into(),
            asked: Vec::new(),
            hidden: Vec::new(),
        })
    }
}

/// A table being read.
pub(crate) struct Table<'n> {
    entries: &'n [Entry],
    /// Where it stands.
    pub(crate) span: Range<usize>,
    place: String,
    prefix: String,
    asked: Vec<&'static str>,
    /// Keys that are right here but not listed as allowed.
    hidden: Vec<&'static str>,
}

impl<'n> Table<'n> {
    /// The value of `key`, which thereby is allowed.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The member `key`, which thereby is allowed.
    pub(crate) fn entry(&mut self, key: &'static str) -> Option<&'n Entry> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.peek(key)
    }

    /// The member `key`, without allowing it.
    pub(crate) fn peek(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Allows `key` without listing it.
    pub(crate) fn hide(&mut self, key: &'static str) {
        self.hidden.push(key);
    }

    /// All members, in the order of the file.
    pub(crate) fn entries(&self) -> &'n [Entry] {
        self.entries
    }

    /// Where the table begins: it can be too long to be marked as a whole.
    pub(crate) fn head(&self) -> Range<usize> {
        self.entries
            .first()
            .map_or(self.span.start..self.span.start, |entry| {
                if self.span.contains(&entry.key_span.start)
                    && self.span.start < entry.key_span.start
                {
                    self.span.start..self.span.start.saturating_add(1)
                } else {
                    entry.key_span.clone()
                }
            })
    }

    /// How messages name `key`.
    pub(crate) fn label(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The value of `key`, or an error that it is missing.
    pub(crate) fn required(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("`{key}` is missing {}", self.place);
            reader.error("E110", &self.head(), message);
        }
        found
    }

    /// Ends the table: every key that nobody asked for is an error.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        let mut allowed = self.asked.clone();
        allowed.sort_unstable();
        let code = if self.place == "at top level" {
            "E101"
        } else {
            "E102"
        };
        for entry in self.entries {
            let key = entry.key.as_str();
            if self.asked.contains(&key) || self.hidden.contains(&key) {
                continue;
            }
            let mut finding =
                Diagnostic::error(code, format!("unknown key `{key}` {}", self.place))
                    .allowed(allowed.iter().copied());
            finding.label =
                nearest(key, allowed.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            reader.push(finding, &entry.key_span);
            // It can be a misspelled key of a secret, or of a table with secrets.
            reader.conceal(&entry.value);
        }
    }
}
