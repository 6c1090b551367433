//! Places in files.
//! In: byte ranges from the parsers. Out: lines and columns, both from 1,
//! columns in characters; and for each element of a definition its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Byte range in the file's text.
    pub span: Range<usize>,
    /// Line of its start, from 1.
    pub line: usize,
    /// Column of its start in characters, from 1.
    pub column: usize,
}

/// The place of a byte range of `text`; a range past the end counts as the end.
pub(crate) fn place_of(text: &str, span: Range<usize>) -> Place {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    Place {
        line: before.matches('\n').count().saturating_add(1),
        column: before
            .get(line_start..)
            .unwrap_or_default()
            .chars()
            .count()
            .saturating_add(1),
        span,
    }
}

/// `a.b` of `a.b.c`.
fn around(dotted: &str) -> &str {
    dotted.rsplit_once('.').map_or("", |(around, _)| around)
}

/// Where the elements of an index definition stand in its schema file, or the keys of
/// `flusso.toml` (dotted, under the empty path; an index by its name: `index.shows.schema`).
#[derive(Debug, Clone, Default)]
pub struct Spans {
    file: String,
    text: Arc<str>,
    places: BTreeMap<(String, String), Range<usize>>,
    /// Where a field names a column.
    columns: BTreeMap<(String, String), Range<usize>>,
}

impl Spans {
    /// No elements yet, of the schema file `file` with `text`.
    pub(crate) fn new(file: &str, text: impl Into<Arc<str>>) -> Self {
        Spans {
            file: file.to_owned(),
            text: text.into(),
            places: BTreeMap::new(),
            columns: BTreeMap::new(),
        }
    }

    /// Notes that the key `key` of the field `path` stands at `span`;
    /// an empty key stands for the field itself.
    pub(crate) fn note(&mut self, path: &str, key: &str, span: Range<usize>) {
        self.places
            .entry((path.to_owned(), key.to_owned()))
            .or_insert(span);
    }

    /// Notes that the field `path` writes the identifier `name` at `span`. The first place counts.
    pub(crate) fn note_name(&mut self, path: &str, name: String, span: Range<usize>) {
        self.columns.entry((path.to_owned(), name)).or_insert(span);
    }

    /// Where the field `path` writes the identifier `name`, if it does.
    pub(crate) fn naming(&self, path: &str, name: &str) -> Option<Place> {
        let span = self.columns.get(&(path.to_owned(), name.to_owned()))?;
        Some(place_of(&self.text, span.clone()))
    }

    /// The schema file, as shown to people.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the `key` of the field `path` stands (`hall.venue.name`; empty
    /// for the root; the key dotted for keys inside keys). Without such a key the field, without such a field the
    /// nearest one around it. `None` when nothing is known.
    #[must_use]
    pub fn find(&self, path: &str, key: Option<&str>) -> Option<Place> {
        let mut path = path;
        let mut key = key.unwrap_or_default();
        loop {
            if let Some(span) = self.places.get(&(path.to_owned(), key.to_owned())) {
                return Some(place_of(&self.text, span.clone()));
            }
            // Step out: of the key, then of the field.
            if !key.is_empty() {
                key = around(key);
            } else if !path.is_empty() {
                path = around(path);
            } else {
                return None;
            }
        }
    }
}
