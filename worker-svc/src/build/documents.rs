//! Documents of one snapshot, in one piece of memory.
//! In: rows of the build statement. Out: actions for the bulk body. Must not: parse.
//! Why one arena: a batch holds thousands of small documents that live and die together.

use std::ops::Range;
use std::time::Instant;

use model::DocumentVersion;

use crate::bulk::Action;

/// Documents that were read from one snapshot.
#[derive(Debug)]
pub struct Built {
    /// The version of all of them.
    pub version: DocumentVersion,
    /// Just before the snapshot was taken: the age rule counts from here.
    pub read_at: Instant,
    /// The documents, in no order.
    pub documents: Vec<Document>,
    arena: Vec<u8>,
    nulled: u64,
    nulled_in: Option<String>,
}

/// One document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// Its key: what it is built again by.
    pub key: Vec<String>,
    /// Where its bytes are; `None` deletes.
    body: Option<Range<usize>>,
}

impl Built {
    /// Nothing read yet.
    #[must_use]
    pub fn new(version: DocumentVersion, read_at: Instant) -> Self {
        Built {
            version,
            read_at,
            documents: Vec::new(),
            arena: Vec::new(),
            nulled: 0,
            nulled_in: None,
        }
    }

    /// Takes a document, or its deletion.
    pub fn push(&mut self, id: String, key: Vec<String>, body: Option<&[u8]>) {
        let body = body.map(|bytes| {
            let start = self.arena.len();
            self.arena.extend_from_slice(bytes);
            let nulled = marked_nulls(bytes);
            if nulled > 0 && self.nulled_in.is_none() {
                self.nulled_in = Some(id.clone());
            }
            self.nulled = self.nulled.saturating_add(nulled);
            start..self.arena.len()
        });
        self.documents.push(Document { id, key, body });
    }

    /// Only what is to be deleted.
    #[must_use]
    pub fn deletes_only(mut self) -> Self {
        self.documents.retain(|document| document.body.is_none());
        self
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Values that JSON cannot hold and that were written as null.
    #[must_use]
    pub fn nulled(&self) -> u64 {
        self.nulled
    }

    /// The id of a document with such a value.
    #[must_use]
    pub fn nulled_in(&self) -> Option<&str> {
        self.nulled_in.as_deref()
    }

    /// The bytes of a document; `None` for a deletion.
    #[must_use]
    pub fn body(&self, document: &Document) -> Option<&[u8]> {
        document
            .body
            .clone()
            .and_then(|range| self.arena.get(range))
    }

    /// What a bulk request does with it.
    #[must_use]
    pub fn action<'a>(&'a self, document: &'a Document) -> Action<'a> {
        Action {
            id: &document.id,
            version: self.version,
            document: self.body(document),
        }
    }
}

/// The build statement marks a value that had to become null by a TAB before it: before
/// `null`, or before the default that stands for it. A raw TAB cannot stand inside a JSON
/// string, and the statement writes no other: those of a `json` column's own text are blanks.
fn marked_nulls(bytes: &[u8]) -> u64 {
    let marks = memchr::memchr_iter(b'\t', bytes).count();
    u64::try_from(marks).unwrap_or(u64::MAX)
}
