//! The body of a bulk request, and its reply.
//! In: actions with the document's bytes. Out: NDJSON within two bounds; then one
//! [`Item`] per action from the reply's bytes.
//! Must hold: W2, so every action carries its version; a reply is paired with its
//! request only when it has as many items. Must not: send, or judge items (`outcome`).
//! Why ids are checked here: one id over the limit makes OpenSearch refuse the whole
//! request with nothing applied, so no such id may get into a body.

use bytes::{BufMut, Bytes, BytesMut};
use model::DocumentVersion;
use serde::Deserialize;

/// The query string of every bulk request. Every item has a status, so this filter
/// keeps the items' positions; without `items.*.status` empty items would vanish.
pub const FILTER_PATH: &str = "errors,items.*.status,items.*.result,items.*.error";

/// Longest document id OpenSearch takes, in bytes.
pub const MAX_ID_BYTES: usize = 512;

/// What a bulk request does to one document.
#[derive(Debug, Clone, Copy)]
pub struct Action<'a> {
    /// The document's id.
    pub id: &'a str,
    /// The version of the snapshot it was built from.
    pub version: DocumentVersion,
    /// The document as Postgres wrote it, not parsed; `None` deletes.
    pub document: Option<&'a [u8]>,
}

/// The id cannot be sent: the document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a document id of {length} bytes; OpenSearch takes 1 to {MAX_ID_BYTES}")]
pub struct IdRefused {
    /// Its length in bytes.
    pub length: usize,
}

/// Says whether a bulk request can carry this id.
///
/// # Errors
/// It is empty or too long.
pub fn check_id(id: &str) -> Result<(), IdRefused> {
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(IdRefused { length: id.len() });
    }
    Ok(())
}

/// The most one request holds. One action alone may be larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Actions; 0 counts as 1.
    pub actions: usize,
    /// Bytes before compression; 0 counts as 1.
    pub bytes: usize,
}

impl Bounds {
    /// The bounds for sending a refused (413) request again in two halves.
    #[must_use]
    pub fn halved(self, body: &Body) -> Self {
        Bounds {
            actions: body.items.div_ceil(2).max(1),
            bytes: (body.bytes.len() / 2).max(1),
        }
    }
}

/// One request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// NDJSON, with its last line break.
    pub bytes: Bytes,
    /// How many actions it holds, and so how many items the reply must have.
    pub items: usize,
}

/// Cuts actions into bodies, in order. Each call of `next` writes one.
#[derive(Debug)]
pub struct Bodies<'a, I: Iterator<Item = Action<'a>>> {
    actions: std::iter::Peekable<I>,
    bounds: Bounds,
}

/// Cuts `actions` into bodies within `bounds`. The ids were checked before
/// ([`check_id`]); an action whose id was not is an error of the caller and ends the
/// iteration with that error.
pub fn bodies<'a, I>(actions: I, bounds: Bounds) -> Bodies<'a, I::IntoIter>
where
    I: IntoIterator<Item = Action<'a>>,
{
    Bodies {
        actions: actions.into_iter().peekable(),
        bounds,
    }
}

impl<'a, I: Iterator<Item = Action<'a>>> Iterator for Bodies<'a, I> {
    type Item = Result<Body, IdRefused>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = BytesMut::new();
        let mut items = 0_usize;
        while let Some(action) = self.actions.peek() {
            if let Err(refused) = check_id(action.id) {
                self.actions.next();
                return Some(Err(refused));
            }
            let grown = bytes.len().saturating_add(size(action));
            if items > 0 && (items >= self.bounds.actions.max(1) || grown > self.bounds.bytes) {
                break;
            }
            write(&mut bytes, action);
            items = items.saturating_add(1);
            self.actions.next();
        }
        (items > 0).then(|| {
            Ok(Body {
                bytes: bytes.freeze(),
                items,
            })
        })
    }
}

/// About as many bytes as [`write`] writes; never fewer, unless the id needs escapes.
fn size(action: &Action<'_>) -> usize {
    const LINE: usize =
        r#"{"delete":{"_id":"","version":9223372036854775807,"version_type":"external"}}"#.len()
            + 1;
    let document = action
        .document
        .map_or(0, |bytes| bytes.len().saturating_add(1));
    LINE.saturating_add(action.id.len())
        .saturating_add(document)
}

fn write(out: &mut BytesMut, action: &Action<'_>) {
    out.reserve(size(action));
    out.put_slice(if action.document.is_some() {
        br#"{"index":{"_id":"#
    } else {
        br#"{"delete":{"_id":"#
    });
    put_json_string(out, action.id);
    out.put_slice(br#","version":"#);
    out.put_slice(action.version.get().to_string().as_bytes());
    out.put_slice(br#","version_type":"external"}}"#);
    out.put_u8(b'\n');
    if let Some(document) = action.document {
        put_one_line(out, document);
        out.put_u8(b'\n');
    }
}

/// JSON forbids raw control characters inside strings, so a line break can only stand
/// between tokens, where a blank means the same.
fn put_one_line(out: &mut BytesMut, document: &[u8]) {
    let mut first = true;
    for line in document.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if !first {
            out.put_u8(b' ');
        }
        first = false;
        out.put_slice(line);
    }
}

fn put_json_string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            0..=0x1F => out.put_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.put_u8(byte),
        }
    }
    out.put_u8(b'"');
}

/// One item of a reply, as the server gave it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// The item's HTTP status.
    pub status: u16,
    /// `created`, `updated`, `deleted`, `not_found`; empty for an error.
    #[serde(default)]
    pub result: String,
    /// Present exactly when it failed.
    pub error: Option<ErrorBody>,
}

/// The error of an item or of a whole request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ErrorBody {
    /// OpenSearch's type, e.g. `mapper_parsing_exception`.
    #[serde(rename = "type", default)]
    pub error_type: String,
    /// The reason in words. May hold a row's values.
    #[serde(default)]
    pub reason: Option<String>,
    /// What was behind it.
    #[serde(default)]
    pub caused_by: Option<Box<ErrorBody>>,
}

impl ErrorBody {
    /// The reasons from outside in, joined. May hold a row's values: for the
    /// dead-letter topic, never for a log line.
    #[must_use]
    pub fn full_reason(&self) -> String {
        let mut text = self.reason.clone().unwrap_or_default();
        let mut cause = self.caused_by.as_deref();
        while let Some(inner) = cause {
            text.push_str("; caused by ");
            text.push_str(&inner.error_type);
            text.push_str(": ");
            text.push_str(inner.reason.as_deref().unwrap_or_default());
            cause = inner.caused_by.as_deref();
        }
        text
    }
}

/// A reply that cannot be paired with its request. What was applied is unknown.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// Not the JSON of a bulk reply.
    #[error("the reply is no bulk reply: {0}")]
    Unreadable(String),
    /// More or fewer items than actions were sent.
    #[error("the reply has {got} items for {sent} actions")]
    Count {
        /// Actions sent.
        sent: usize,
        /// Items received.
        got: usize,
    },
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    items: Vec<ReplyItem>,
}

/// Each item is an object with one member, named by its action.
#[derive(Deserialize)]
struct ReplyItem {
    #[serde(alias = "index", alias = "delete", alias = "create", alias = "update")]
    item: Item,
}

/// Reads the reply of a request that held `sent` actions, in their order.
///
/// # Errors
/// It is no bulk reply, or has another number of items: nothing is paired then.
pub fn parse_reply(bytes: &[u8], sent: usize) -> Result<Vec<Item>, ReplyError> {
    // serde's message names lines and types, and for a wrong type also the value; a
    // reply's values are the server's own words, but a reason may quote a row.
    let reply: Reply = serde_json::from_slice(bytes).map_err(|error| {
        ReplyError::Unreadable(format!("line {} column {}", error.line(), error.column()))
    })?;
    if reply.items.len() != sent {
        return Err(ReplyError::Count {
            sent,
            got: reply.items.len(),
        });
    }
    Ok(reply.items.into_iter().map(|entry| entry.item).collect())
}

#[cfg(test)]
mod tests;
