//! Trees as JSON that loses nothing, and back.
//! In: a tree. Out: JSON with sorted keys, two blanks per level; where sorting or JSON's spelling
//! of numbers would lose something, a note beside it (`order`, `spelling`).
//! Must hold: [`restored`] of what [`write`] wrote is the same tree but for its places.

use std::fmt::Write as _;
use std::ops::Range;

use crate::raw::{
    Entry, Node, Number, NumberValue, RawValue, SyntaxError, json_number, parse_json,
};

/// Keys whose value holds members of the user's own naming, and in the user's order.
const FREE: [&str; 7] = [
    "headers",
    "index_settings",
    "kafka",
    "opensearch",
    "options",
    "otlp_headers",
    "value",
];

/// A table without a place.
pub(super) fn map(entries: Vec<Entry>) -> Node {
    Node {
        span: 0..0,
        value: RawValue::Map(entries),
    }
}

/// A member without a place.
pub(super) fn entry(key: &str, value: Node) -> Entry {
    Entry {
        key: key.to_owned(),
        key_span: 0..0,
        value,
    }
}

fn text(text: &str) -> Node {
    Node {
        span: 0..0,
        value: RawValue::Text(text.to_owned()),
    }
}

/// JSON as a tree without places.
pub(super) fn from_json(value: &serde_json::Value) -> Node {
    // serde_json writes nothing that its own grammar does not allow.
    parse_json(&value.to_string()).unwrap_or_else(|_| map(Vec::new()))
}

/// What JSON would lose, as members of the lock.
#[derive(Default)]
struct Notes {
    order: Vec<Entry>,
    spelling: Vec<Entry>,
}

/// The lock as JSON.
pub(super) fn write(root: &Node) -> String {
    let mut notes = Notes::default();
    collect(root, "", false, &mut notes);
    let mut members: Vec<Entry> = root.map().unwrap_or_default().to_vec();
    for (key, noted) in [("order", notes.order), ("spelling", notes.spelling)] {
        if !noted.is_empty() {
            members.push(entry(key, map(noted)));
        }
    }
    let mut json = String::new();
    value(&mut json, &map(members), 0);
    json.push('\n');
    json
}

/// Notes where the order of members and the spelling of numbers have to be kept.
fn collect(node: &Node, at: &str, is_free: bool, notes: &mut Notes) {
    match &node.value {
        RawValue::Map(entries) => {
            let is_sorted = entries.is_sorted_by(|a, b| a.key <= b.key);
            if !is_sorted && (is_free || at == "/config/sinks") {
                let keys = entries.iter().map(|entry| text(&entry.key)).collect();
                notes.order.push(entry(
                    at,
                    Node {
                        span: 0..0,
                        value: RawValue::List(keys),
                    },
                ));
            }
            for member in entries {
                let inside = is_free || FREE.contains(&member.key.as_str());
                let at = format!("{at}/{}", escaped(&member.key));
                collect(&member.value, &at, inside, notes);
            }
        }
        RawValue::List(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{at}/{index}"), is_free, notes);
            }
        }
        RawValue::Number(number) if !is_json(number) => {
            notes.spelling.push(entry(at, text(&number.written)));
        }
        RawValue::Null
        | RawValue::Bool(_)
        | RawValue::Number(_)
        | RawValue::Text(_)
        | RawValue::DateTime(_) => {}
    }
}

/// Whether JSON can write a number as it stands in the file, and any reader of JSON can hold it.
fn is_json(number: &Number) -> bool {
    json_number(&number.written).as_ref() == Some(number)
        && !matches!(number.value, NumberValue::Float(value) if !value.is_finite())
}

/// A key in a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn value(json: &mut String, node: &Node, depth: usize) {
    match &node.value {
        RawValue::Null => json.push_str("null"),
        RawValue::Bool(yes) => json.push_str(if *yes { "true" } else { "false" }),
        RawValue::Number(number) => {
            if is_json(number) {
                json.push_str(&number.written);
            } else {
                match number.to_json() {
                    Some(number) => json.push_str(&number.to_string()),
                    // Neither finite nor of 64 bits: its spelling is noted.
                    None => json.push_str("null"),
                }
            }
        }
        RawValue::Text(text) | RawValue::DateTime(text) => quoted(json, text),
        RawValue::List(items) => {
            members(json, depth, ('[', ']'), items, |json, item| {
                value(json, item, depth.saturating_add(1));
            });
        }
        RawValue::Map(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            members(json, depth, ('{', '}'), &sorted, |json, entry| {
                quoted(json, &entry.key);
                json.push_str(": ");
                value(json, &entry.value, depth.saturating_add(1));
            });
        }
    }
}

/// Members between brackets, each on its own line.
fn members<T>(
    json: &mut String,
    depth: usize,
    (open, close): (char, char),
    members: &[T],
    mut write: impl FnMut(&mut String, &T),
) {
    json.push(open);
    for (index, member) in members.iter().enumerate() {
        json.push_str(if index == 0 { "\n" } else { ",\n" });
        json.push_str(&"  ".repeat(depth.saturating_add(1)));
        write(json, member);
    }
    if !members.is_empty() {
        json.push('\n');
        json.push_str(&"  ".repeat(depth));
    }
    json.push(close);
}

fn quoted(json: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = write!(json, "{}", serde_json::Value::from(text));
}

/// What [`write`] wrote, as it was.
pub(super) fn read(json: &str) -> Result<Node, String> {
    let root = parse_json(json).map_err(|error: SyntaxError| error.message)?;
    let mut root = restored(root).map_err(|(message, _)| message)?;
    if let RawValue::Map(entries) = &mut root.value {
        entries.retain(|entry| entry.key != "order" && entry.key != "spelling");
    }
    Ok(root)
}

/// Why a note cannot be followed, and where it stands.
pub(super) type Misfit = (String, Range<usize>);

/// The tree with its notes followed: members in their order, numbers in their spelling.
pub(super) fn restored(mut root: Node) -> Result<Node, Misfit> {
    for note in noted(&root, "order")? {
        let keys = note.value.list().unwrap_or_default();
        let keys: Vec<&str> = keys.iter().filter_map(Node::text).collect();
        let misfit = || {
            let message = format!("order: {} does not hold these members", note.key);
            (message, note.value.span.clone())
        };
        let found = find(&mut root, &note.key);
        let Some(RawValue::Map(entries)) = found.map(|node| &mut node.value) else {
            return Err(misfit());
        };
        let place = |entry: &Entry| keys.iter().position(|key| *key == entry.key);
        if keys.len() != entries.len() || entries.iter().any(|entry| place(entry).is_none()) {
            return Err(misfit());
        }
        entries.sort_by_key(place);
    }
    for note in noted(&root, "spelling")? {
        let misfit = || {
            let message = format!("spelling: there is no number at {}", note.key);
            (message, note.value.span.clone())
        };
        let written = note.value.text().ok_or_else(misfit)?;
        let number = spelled(written).ok_or_else(misfit)?;
        let node = find(&mut root, &note.key).ok_or_else(misfit)?;
        if !matches!(node.value, RawValue::Number(_) | RawValue::Null) {
            return Err(misfit());
        }
        node.value = RawValue::Number(number);
    }
    Ok(root)
}

/// The notes of a kind.
fn noted(root: &Node, kind: &str) -> Result<Vec<Entry>, Misfit> {
    let entries = root.map().unwrap_or_default();
    let Some(found) = entries.iter().find(|entry| entry.key == kind) else {
        return Ok(Vec::new());
    };
    match found.value.map() {
        Some(notes) => Ok(notes.to_vec()),
        None => Err((
            format!("{kind} must be a table, found {}", found.value.kind()),
            found.value.span.clone(),
        )),
    }
}

/// The node at a JSON pointer.
fn find<'n>(root: &'n mut Node, pointer: &str) -> Option<&'n mut Node> {
    let mut node = root;
    for part in pointer.strip_prefix('/')?.split('/') {
        let key = part.replace("~1", "/").replace("~0", "~");
        node = match &mut node.value {
            RawValue::Map(entries) => &mut entries.iter_mut().find(|entry| entry.key == key)?.value,
            RawValue::List(items) => items.get_mut(key.parse::<usize>().ok()?)?,
            RawValue::Null
            | RawValue::Bool(_)
            | RawValue::Number(_)
            | RawValue::Text(_)
            | RawValue::DateTime(_) => return None,
        };
    }
    Some(node)
}

/// A number that JSON spells otherwise, as TOML and YAML spell it.
fn spelled(written: &str) -> Option<Number> {
    let value = match crate::raw::yaml_number(written) {
        Some(number) => number.value,
        None => NumberValue::Float(written.parse().ok()?),
    };
    Some(Number {
        written: written.to_owned(),
        value,
    })
}

/// Whether two trees say the same: their places do not count, nor the order of members that the
/// language gives no meaning (those of [`FREE`] are in order).
pub(super) fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (RawValue::Map(a), RawValue::Map(b)) => {
            a.len() == b.len()
                && a.iter().all(|one| {
                    b.iter()
                        .find(|other| other.key == one.key)
                        .is_some_and(|other| {
                            same(&one.value, &other.value)
                                && (!FREE.contains(&one.key.as_str()) || in_same_order(one, other))
                        })
                })
        }
        (RawValue::List(a), RawValue::List(b)) => {
            a.len() == b.len()
                && a.iter()
                    .enumerate()
                    .all(|(at, one)| b.get(at).is_some_and(|other| same(one, other)))
        }
        (RawValue::Number(a), RawValue::Number(b)) => {
            let value = match (a.value, b.value) {
                (NumberValue::Float(a), NumberValue::Float(b)) => {
                    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
                }
                (a, b) => a == b,
            };
            value && a.written == b.written
        }
        (a, b) => a == b,
    }
}

/// Whether the members of two free tables stand in the same order, those inside too.
fn in_same_order(a: &Entry, b: &Entry) -> bool {
    fn keys(node: &Node, found: &mut Vec<String>) {
        for entry in node.map().unwrap_or_default() {
            found.push(entry.key.clone());
            keys(&entry.value, found);
        }
        for item in node.list().unwrap_or_default() {
            keys(item, found);
        }
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    keys(&a.value, &mut left);
    keys(&b.value, &mut right);
    left == right
}
