//! The text of a `*.schema.yml` as a tree whose scalars keep their characters.
//! In: YAML. Out: [`Node`]. Must not: know any key; that is `shape`.
//! Why not a value of serde: a default of `29.50` and a constant of `9007199254740993` are meant as
//! they are written.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use granit_parser::{Event, Parser, ScalarStyle};

use super::Json;

/// A node of the file.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Scalar { text: String, plain: bool },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut events = Vec::new();
        for next in Parser::new_from_str(text) {
            let (event, _) = next.context("the oracle cannot read the schema file")?;
            events.push(event);
        }
        let mut reader = Reader {
            events: events.into_iter(),
            anchors: HashMap::new(),
        };
        loop {
            let event = reader.events.next();
            if let Event::DocumentStart(..) = event.context("the schema file has no document")? {
                return reader.node();
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(members) => members
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// The characters of a scalar, as written.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.scalar()
    }

    /// A scalar as a value of Postgres: as written, but for the infinities of YAML.
    pub(crate) fn value(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, plain: true } => Some(match text.as_str() {
                ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => "Infinity",
                "-.inf" | "-.Inf" | "-.INF" => "-Infinity",
                ".nan" | ".NaN" | ".NAN" => "NaN",
                written => written,
            }),
            _ => self.scalar(),
        }
    }

    pub(crate) fn needed(&self, key: &str) -> Result<&str> {
        self.text(key)
            .with_context(|| format!("`{key}` is missing"))
    }

    /// The elements of a list, none when it is not there.
    pub(crate) fn list(&self, key: &str) -> &[Node] {
        match self.get(key) {
            Some(Self::List(elements)) => elements,
            _ => &[],
        }
    }

    /// An identifier of SQL under `key`.
    pub(crate) fn identifier(&self, key: &str) -> Option<String> {
        self.text(key).map(identifier)
    }

    /// A column or a list of them.
    pub(crate) fn columns(&self, key: &str) -> Option<Vec<String>> {
        match self.get(key)? {
            Self::List(elements) => Some(
                elements
                    .iter()
                    .filter_map(Self::scalar)
                    .map(identifier)
                    .collect(),
            ),
            one => Some(vec![identifier(one.scalar()?)]),
        }
    }

    /// The value with the type that the core schema of YAML 1.2 gives it.
    pub(crate) fn json(&self) -> Result<Json> {
        Ok(match self {
            Self::List(elements) => {
                Json::Array(elements.iter().map(Self::json).collect::<Result<_>>()?)
            }
            Self::Map(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, node)| Ok((name.clone(), node.json()?)))
                    .collect::<Result<_>>()?,
            ),
            Self::Scalar { text, plain: false } => Json::String(text.clone()),
            Self::Scalar { text, plain: true } => match text.as_str() {
                "" | "~" | "null" | "Null" | "NULL" => Json::Null,
                "true" | "True" | "TRUE" => Json::Bool(true),
                "false" | "False" | "FALSE" => Json::Bool(false),
                _ => number(text)?.unwrap_or_else(|| Json::String(text.clone())),
            },
        })
    }
}

/// A plain scalar that is a number: integers in their digits, others by their value.
fn number(text: &str) -> Result<Option<Json>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return Ok(Some(Json::Number(
                i64::from_str_radix(digits, radix)?.to_string(),
            )));
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(Json::Number(text.parse::<i64>()?.to_string())));
    }
    let first = unsigned.trim_start_matches('.').bytes().next();
    let is_number = first.is_some_and(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match text.parse::<f64>() {
        Ok(value) if is_number => Ok(Some(Json::Near { value, within: 0.0 })),
        _ => Ok(None),
    }
}

/// An identifier of the file: quoted means exact, plain is folded to lower case.
pub(crate) fn identifier(written: &str) -> String {
    let written = written.trim();
    match written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(exact) => exact.replace("\"\"", "\""),
        None => written.to_ascii_lowercase(),
    }
}

struct Reader<'f> {
    events: std::vec::IntoIter<Event<'f>>,
    anchors: HashMap<usize, Node>,
}

impl<'f> Reader<'f> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<Event<'f>> {
        loop {
            match self.events.next().context("the schema file ends early")? {
                Event::Comment(..) => {}
                event => return Ok(event),
            }
        }
    }

    fn node(&mut self) -> Result<Node> {
        let event = self.next()?;
        self.node_from(event)
    }

    fn node_from(&mut self, event: Event<'f>) -> Result<Node> {
        let (anchor, node) = match event {
            Event::Alias(anchor) => {
                return self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .context("an alias before its anchor");
            }
            Event::Scalar(text, style, anchor, _) => (
                anchor,
                Node::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                },
            ),
            Event::SequenceStart(_, anchor, _) => {
                let mut elements = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break (anchor, Node::List(elements)),
                        event => elements.push(self.node_from(event)?),
                    }
                }
            }
            Event::MappingStart(_, anchor, _) => {
                let mut members = Vec::new();
                loop {
                    match self.next()? {
                        Event::MappingEnd => break (anchor, Node::Map(members)),
                        event => {
                            let name = self.node_from(event)?;
                            let name = name.scalar().context("a key that is no scalar")?.to_owned();
                            members.push((name, self.node()?));
                        }
                    }
                }
            }
            event => bail!("unexpected in the schema file: {event:?}"),
        };
        self.anchors.insert(anchor, node.clone());
        Ok(node)
    }
}
