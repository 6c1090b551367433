//! A file as a tree in which every key and value knows where it stands.
//! In: the text of a TOML, YAML or JSON file. Out: one [`Node`] for all formats, or
//! the place of the first syntax error.
//! Must hold: any text ends in a tree or an error, never in a panic; a tree is
//! bounded in depth and size, aliases included. Must not: know any key.

mod json;
mod table;
mod toml;
mod yaml;

use std::ops::Range;

pub(crate) use self::json::{number as json_number, parse as parse_json};
pub(crate) use self::table::{Reader, Table};
pub(crate) use self::toml::parse as parse_toml;
pub(crate) use self::yaml::{
    number as yaml_number, parse as parse_yaml, parse_all as parse_yaml_all,
};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// Byte range in the text.
    pub(crate) span: Range<usize>,
    /// The value.
    pub(crate) value: RawValue,
}

/// A value as the format reads it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RawValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// TOML's dates and times; no key takes one.
    DateTime(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A number with its spelling, which a conversion could lose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Number {
    /// As it stands in the file, without digit separators.
    pub(crate) written: String,
    /// What it means.
    pub(crate) value: NumberValue,
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum NumberValue {
    Integer(i128),
    Float(f64),
}

/// A member of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

/// Why a text is not of its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// `E100` for a syntax error, `E111` for what YAML has and the language has not.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) span: Option<Range<usize>>,
}

impl Node {
    /// What the value is, for messages: "a number", "a list".
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            RawValue::Null => "null",
            RawValue::Bool(_) => "a boolean",
            RawValue::Number(_) => "a number",
            RawValue::Text(_) => "text",
            RawValue::DateTime(_) => "a date",
            RawValue::List(_) => "a list",
            RawValue::Map(_) => "a table",
        }
    }

    /// The text, when it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let RawValue::Text(text) = &self.value {
            Some(text)
        } else {
            None
        }
    }

    /// The number, when it is one.
    pub(crate) fn number(&self) -> Option<&Number> {
        if let RawValue::Number(number) = &self.value {
            Some(number)
        } else {
            None
        }
    }

    /// The items, when it is a list.
    pub(crate) fn list(&self) -> Option<&[Node]> {
        if let RawValue::List(items) = &self.value {
            Some(items)
        } else {
            None
        }
    }

    /// The members, when it is a table.
    pub(crate) fn map(&self) -> Option<&[Entry]> {
        if let RawValue::Map(entries) = &self.value {
            Some(entries)
        } else {
            None
        }
    }

    /// The value as JSON. Numbers that are neither a 64-bit integer nor finite
    /// have none: the place of the first such is the error.
    pub(crate) fn to_json(&self) -> Result<serde_json::Value, Range<usize>> {
        use serde_json::Value;
        Ok(match &self.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(yes) => Value::Bool(*yes),
            RawValue::Number(number) => {
                Value::Number(number.to_json().ok_or_else(|| self.span.clone())?)
            }
            RawValue::Text(text) | RawValue::DateTime(text) => Value::String(text.clone()),
            RawValue::List(items) => {
                Value::Array(items.iter().map(Node::to_json).collect::<Result<_, _>>()?)
            }
            RawValue::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| {
                        entry
                            .value
                            .to_json()
                            .map(|value| (entry.key.clone(), value))
                    })
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl Number {
    /// As a JSON number; `None` when it is no 64-bit integer and not finite.
    pub(crate) fn to_json(&self) -> Option<serde_json::Number> {
        match self.value {
            NumberValue::Integer(value) => i64::try_from(value)
                .map(serde_json::Number::from)
                .or_else(|_| u64::try_from(value).map(serde_json::Number::from))
                .ok(),
            NumberValue::Float(value) => serde_json::Number::from_f64(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_without_end_is_an_error_and_no_overflow() {
        for open in ["[", "{a: ", "- ", "? "] {
            assert!(parse_yaml(&open.repeat(100_000)).is_err(), "{open}");
        }
        for open in ["[", "{a = "] {
            let text = format!("a = {}", open.repeat(100_000));
            assert!(parse_toml(&text).is_err(), "{open}");
        }
        // Dotted keys nest without brackets.
        let _ = parse_toml(&format!("a{} = 1", ".a".repeat(20_000)));
        let _ = parse_toml(&format!("[a{}]\nb = 1", ".a".repeat(20_000)));
    }
}
