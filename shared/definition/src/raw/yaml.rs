//! YAML to a tree: one document, YAML 1.2 core schema.
//! Must hold: duplicate keys, merge keys and tags are errors; aliases are
//! expanded within a bound, so that a small file cannot become a large tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput};

use super::{Entry, Node, Number, NumberValue, RawValue, SyntaxError};

/// Most nodes of one file, expanded aliases included: far above what a person
/// writes, far below what hurts.
const MOST_NODES: usize = 200_000;

/// Deepest nesting: OpenSearch itself takes 20 levels of objects.
const DEEPEST: usize = 128;

/// Reads the only document of `text`; the first thing that is wrong is the error.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let (root, mut errors) = parse_all(text);
    match root {
        Some(root) if errors.is_empty() => Ok(root),
        Some(_) | None => Err(errors.swap_remove(0)),
    }
}

/// Reads the only document of `text`, with all that the language lacks in it. Without a tree the
/// last error made reading on impossible; there is at least that one then.
pub(crate) fn parse_all(text: &str) -> (Option<Node>, Vec<SyntaxError>) {
    let mut builder = Builder {
        text,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
        nodes: 0,
        errors: Vec::new(),
    };
    let read = builder.read();
    let mut errors = builder.errors;
    match read {
        Ok(()) => {
            let root = builder.root.unwrap_or(Node {
                span: 0..0,
                value: RawValue::Null,
            });
            (Some(root), errors)
        }
        Err(fatal) => {
            errors.push(fatal);
            (None, errors)
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.block_nesting_limit = DEEPEST;
    options.flow_nesting_limit = DEEPEST;
    options
}

/// A collection whose end has not been seen.
struct Open {
    start: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// Keys of `entries`, so that a duplicate is found at once.
        seen: BTreeSet<String>,
        /// A key whose value has not been seen; without a text it cannot be used.
        key: Option<(Option<String>, Range<usize>)>,
    },
}

/// A finished node under an anchor, with what it costs to repeat it.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder<'t> {
    text: &'t str,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    root: Option<Node>,
    nodes: usize,
    /// What the language lacks: reading goes on, so that all mistakes come at once.
    errors: Vec<SyntaxError>,
}

impl Builder<'_> {
    /// Takes every event in.
    fn read(&mut self) -> Result<(), SyntaxError> {
        for event in Parser::<StrInput<'_>>::new_from_str_with_options(self.text, options()) {
            let (event, span) = event.map_err(|error| {
                let at = error
                    .marker()
                    .byte_offset()
                    .unwrap_or_default()
                    .min(self.text.len());
                SyntaxError {
                    code: "E100",
                    message: error.info(),
                    span: Some(at..at),
                }
            })?;
            self.event(event, &span)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), SyntaxError> {
        let range = self.range(span);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                if tag.is_some() {
                    self.errors
                        .push(refused("tags are not allowed", range.clone()));
                }
                let value = if style == ScalarStyle::Plain {
                    plain(&value)
                } else {
                    RawValue::Text(value.into_owned())
                };
                self.finish(Node { span: range, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.start(anchor, tag.is_some(), range, Items::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let items = Items::Map {
                    entries: Vec::new(),
                    seen: BTreeSet::new(),
                    key: None,
                };
                self.start(anchor, tag.is_some(), range, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&range),
            Event::Alias(anchor) => self.alias(anchor, range),
            Event::UnresolvedAlias(_) => {
                self.hole("this anchor is not defined", range);
                Ok(())
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(refused("a file holds one document", range))
            }
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::Comment(..)
            | _ => Ok(()),
        }
    }

    fn start(
        &mut self,
        anchor: usize,
        tagged: bool,
        range: Range<usize>,
        items: Items,
    ) -> Result<(), SyntaxError> {
        if tagged {
            self.errors
                .push(refused("tags are not allowed", range.clone()));
        }
        if self.open.len() >= DEEPEST {
            return Err(refused("nested too deeply", range));
        }
        self.open.push(Open {
            start: range.start,
            anchor,
            items,
        });
        Ok(())
    }

    fn end(&mut self, range: &Range<usize>) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.items {
            Items::List(items) => RawValue::List(items),
            Items::Map { entries, .. } => RawValue::Map(entries),
        };
        // A block collection ends where the next token starts: what stands
        // between is white space and comments.
        let end = range.end.max(open.start);
        let written = self.text.get(open.start..end).unwrap_or_default();
        let end = open.start.saturating_add(written.trim_end().len());
        self.finish(
            Node {
                span: open.start..end,
                value,
            },
            open.anchor,
        )
    }

    /// Notes an error about a node, and puts nothing in its place.
    fn hole(&mut self, message: &str, span: Range<usize>) {
        self.errors.push(refused(message, span.clone()));
        let value = RawValue::Null;
        self.place(Node { span, value });
    }

    fn alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), SyntaxError> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            self.hole("an anchor cannot hold itself", range);
            return Ok(());
        };
        let (nodes, depth) = (anchored.nodes, anchored.depth);
        if self.open.len().saturating_add(depth) > DEEPEST {
            return Err(refused("nested too deeply", range));
        }
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST_NODES {
            return Err(refused("aliases make this file too large", range));
        }
        let node = anchored.node.clone();
        self.place(node);
        Ok(())
    }

    /// Takes a finished node: remembers it under its anchor, puts it in its place.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MOST_NODES {
            return Err(refused("this file is too large", node.span));
        }
        if anchor != 0 {
            let (nodes, depth) = measure(&node);
            // The copy counts too, or anchors inside anchors would be free.
            self.nodes = self.nodes.saturating_add(nodes);
            self.anchors.insert(
                anchor,
                Anchored {
                    node: node.clone(),
                    nodes,
                    depth,
                },
            );
        }
        self.place(node);
        Ok(())
    }

    fn place(&mut self, node: Node) {
        let errors = &mut self.errors;
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { entries, seen, key }) => match key.take() {
                None => {
                    let span = node.span.clone();
                    *key = Some((
                        key_of(node, seen).map_err(|error| errors.push(error)).ok(),
                        span,
                    ));
                }
                // A key that cannot be used takes its value with it.
                Some((None, _)) => {}
                Some((Some(key), key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    value: node,
                }),
            },
        }
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or(0..0);
        let end = range.end.min(self.text.len());
        range.start.min(end)..end
    }
}

/// A node in the place of a key.
fn key_of(node: Node, seen: &mut BTreeSet<String>) -> Result<String, SyntaxError> {
    let key = match node.value {
        RawValue::Text(text) => text,
        RawValue::Null => "null".to_owned(),
        RawValue::Bool(yes) => yes.to_string(),
        RawValue::Number(number) => number.written,
        RawValue::DateTime(_) | RawValue::List(_) | RawValue::Map(_) => {
            return Err(refused("a key must be text", node.span));
        }
    };
    if key == "<<" {
        return Err(refused("merge keys are not allowed", node.span));
    }
    if !seen.insert(key.clone()) {
        return Err(refused(
            &format!("the key `{key}` stands here twice"),
            node.span,
        ));
    }
    Ok(key)
}

/// Number of nodes and depth of a tree. Depth is bounded by [`DEEPEST`].
fn measure(node: &Node) -> (usize, usize) {
    let inner: Vec<(usize, usize)> = match &node.value {
        RawValue::List(items) => items.iter().map(measure).collect(),
        RawValue::Map(entries) => entries.iter().map(|entry| measure(&entry.value)).collect(),
        RawValue::Null
        | RawValue::Bool(_)
        | RawValue::Number(_)
        | RawValue::Text(_)
        | RawValue::DateTime(_) => return (1, 0),
    };
    let nodes = inner.iter().map(|(nodes, _)| nodes).sum::<usize>();
    let depth = inner.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
    (nodes.saturating_add(1), depth.saturating_add(1))
}

/// A plain scalar by the core schema: `no` is text, only `true` and `false`
/// (also `True`, `TRUE`) are booleans.
fn plain(text: &str) -> RawValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return RawValue::Null,
        "true" | "True" | "TRUE" => return RawValue::Bool(true),
        "false" | "False" | "FALSE" => return RawValue::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => RawValue::Number(number),
        None => RawValue::Text(text.to_owned()),
    }
}

/// A plain scalar as a number; `None` when it is none.
pub(crate) fn number(text: &str) -> Option<Number> {
    let radix = |prefix: &str, radix| {
        let digits = text.strip_prefix(prefix)?;
        // from_str_radix would take a sign here.
        let first = digits.chars().next()?;
        first.is_digit(radix).then_some(())?;
        i128::from_str_radix(digits, radix).ok()
    };
    if let Some(value) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(Number {
            written: value.to_string(),
            value: NumberValue::Integer(value),
        });
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let float = |value| {
        Some(Number {
            written: text.to_owned(),
            value: NumberValue::Float(value),
        })
    };
    match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => return float(f64::NEG_INFINITY),
        ".inf" | ".Inf" | ".INF" => return float(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if unsigned == text => return float(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let fraction_text = fraction.unwrap_or_default();
    let exponent_right = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !digits(whole)
        || !digits(fraction_text)
        || (whole.is_empty() && fraction_text.is_empty())
        || !exponent_right
    {
        return None;
    }
    if fraction.is_none()
        && exponent.is_none()
        && let Ok(value) = text.parse::<i128>()
    {
        return Some(Number {
            written: text.to_owned(),
            value: NumberValue::Integer(value),
        });
    }
    float(text.parse().ok()?)
}

fn refused(message: &str, span: Range<usize>) -> SyntaxError {
    SyntaxError {
        code: "E111",
        message: message.to_owned(),
        span: Some(span),
    }
}

#[cfg(test)]
mod tests;
