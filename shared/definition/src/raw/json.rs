//! JSON to a tree, each key and value with its place.
//! Must hold: what JSON does not allow is an error; nesting is bounded; a key that stands twice
//! in an object is an error, for one of the two would be lost.
//! Why not `serde_json` alone: it keeps neither places nor the spelling of numbers.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Entry, Node, Number, RawValue, SyntaxError, yaml};

/// Deepest nesting: that of a YAML file, and what a lock puts around it.
const DEEPEST: usize = 160;

/// Reads the only value of `text`.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let node = parser.value()?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.wrong("nothing may follow the value"));
    }
    Ok(node)
}

struct Parser<'t> {
    text: &'t str,
    /// Offset of the next byte.
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let space = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at = self.at.saturating_add(space);
    }

    /// Takes `byte`, when it is next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at = self.at.saturating_add(1);
        }
        found
    }

    fn wrong(&self, message: &str) -> SyntaxError {
        let at = self.at.min(self.text.len());
        error(message, at..at)
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        self.skip_space();
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => RawValue::Text(self.string()?.0),
            Some(b'-' | b'0'..=b'9') => RawValue::Number(self.number()?),
            Some(_) => self.word()?,
            None => return Err(self.wrong("the text ends before its value does")),
        };
        Ok(Node {
            span: start..self.at,
            value,
        })
    }

    fn nested(
        &mut self,
        read: fn(&mut Self) -> Result<RawValue, SyntaxError>,
    ) -> Result<RawValue, SyntaxError> {
        if self.depth >= DEEPEST {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth = self.depth.saturating_add(1);
        self.at = self.at.saturating_add(1);
        let value = read(self)?;
        self.depth = self.depth.saturating_sub(1);
        Ok(value)
    }

    fn array(&mut self) -> Result<RawValue, SyntaxError> {
        let mut items = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Ok(RawValue::List(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.take(b']') {
                return Ok(RawValue::List(items));
            }
            if !self.take(b',') {
                return Err(self.unfinished("`,` or `]`"));
            }
        }
    }

    fn object(&mut self) -> Result<RawValue, SyntaxError> {
        let mut entries = Vec::new();
        let mut seen = BTreeSet::new();
        self.skip_space();
        if self.take(b'}') {
            return Ok(RawValue::Map(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.unfinished("a key in double quotes"));
            }
            let (key, key_span) = self.string()?;
            if !seen.insert(key.clone()) {
                return Err(error(
                    &format!("the key `{key}` stands here twice"),
                    key_span,
                ));
            }
            self.skip_space();
            if !self.take(b':') {
                return Err(self.unfinished("`:`"));
            }
            let value = self.value()?;
            entries.push(Entry {
                key,
                key_span,
                value,
            });
            self.skip_space();
            if self.take(b'}') {
                return Ok(RawValue::Map(entries));
            }
            if !self.take(b',') {
                return Err(self.unfinished("`,` or `}`"));
            }
        }
    }

    fn unfinished(&self, wanted: &str) -> SyntaxError {
        match self.peek() {
            None => self.wrong("the text ends before its value does"),
            Some(_) => self.wrong(&format!("{wanted} should stand here")),
        }
    }

    fn string(&mut self) -> Result<(String, Range<usize>), SyntaxError> {
        let start = self.at;
        let mut escaped = false;
        let closing = self.rest().bytes().skip(1).position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let Some(inside) = closing else {
            self.at = self.text.len();
            return Err(self.wrong("the text ends before its value does"));
        };
        // Both quotes stand around what is inside.
        self.at = start.saturating_add(inside).saturating_add(2);
        let written = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(written)
            .map(|text| (text, start..self.at))
            .map_err(|_| error("this is no JSON text", start..self.at))
    }

    fn number(&mut self) -> Result<Number, SyntaxError> {
        let start = self.at;
        let rest = self.rest();
        let length = rest
            .find(|character: char| !matches!(character, '0'..='9' | '.' | '-' | '+' | 'e' | 'E'))
            .unwrap_or(rest.len());
        self.at = start.saturating_add(length);
        let written = rest.get(..length).unwrap_or_default();
        number(written).ok_or_else(|| error("this is no JSON number", start..self.at))
    }

    fn word(&mut self) -> Result<RawValue, SyntaxError> {
        for (word, value) in [
            ("null", RawValue::Null),
            ("true", RawValue::Bool(true)),
            ("false", RawValue::Bool(false)),
        ] {
            if self.rest().starts_with(word) {
                self.at = self.at.saturating_add(word.len());
                return Ok(value);
            }
        }
        Err(self.wrong("a JSON value should stand here"))
    }
}

/// A number as JSON writes it; `None` when JSON has no such spelling.
pub(crate) fn number(written: &str) -> Option<Number> {
    let digits = written.strip_prefix('-').unwrap_or(written);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    let fraction = digits
        .split_once('.')
        .map(|(_, rest)| rest.split(['e', 'E']).next().unwrap_or_default());
    let leads_with_zero = whole.len() > 1 && whole.starts_with('0');
    let is_digits = whole.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits || leads_with_zero || fraction.is_some_and(str::is_empty) {
        return None;
    }
    // What is left to check, YAML's core schema asks for too.
    let number = yaml::number(written)?;
    Some(Number {
        written: written.to_owned(),
        ..number
    })
}

fn error(message: &str, span: Range<usize>) -> SyntaxError {
    SyntaxError {
        code: "E100",
        message: message.to_owned(),
        span: Some(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_read_with_its_places_and_its_spelling() {
        let text = r#"{"a": [1.50, -2, true, null], "ü\n": {"b": "\u0041\"\\"}}"#;
        let root = parse(text).unwrap();
        let entries = root.map().unwrap();
        let first = entries.first().unwrap();
        assert_eq!(text.get(first.key_span.clone()), Some("\"a\""));
        assert_eq!(
            text.get(first.value.span.clone()),
            Some("[1.50, -2, true, null]")
        );
        let numbers: Vec<&str> = first
            .value
            .list()
            .unwrap()
            .iter()
            .filter_map(|item| item.number().map(|number| number.written.as_str()))
            .collect();
        assert_eq!(numbers, ["1.50", "-2"]);
        let second = entries.get(1).unwrap();
        assert_eq!(second.key, "ü\n");
        assert_eq!(
            second.value.map().unwrap().first().unwrap().value.text(),
            Some("A\"\\")
        );
    }

    #[test]
    fn what_is_no_json_is_refused_at_its_place() {
        for (text, at, part) in [
            ("", 0, "ends before"),
            ("{\"a\": 1", 7, "ends before"),
            ("{\"a\": \"b", 8, "ends before"),
            ("{\"a\" 1}", 5, "`:` should stand here"),
            ("{a: 1}", 1, "a key in double quotes"),
            ("{\"a\": 1,}", 8, "a key in double quotes"),
            ("[1 2]", 3, "`,` or `]`"),
            ("{\"a\": 1, \"a\": 2}", 9, "twice"),
            ("[01]", 1, "no JSON number"),
            ("[1.]", 1, "no JSON number"),
            ("[+1]", 1, "a JSON value"),
            ("[.5]", 1, "a JSON value"),
            ("[0x1]", 2, "`,` or `]`"),
            ("\"\\x\"", 0, "no JSON text"),
            ("\"a\nb\"", 0, "no JSON text"),
            ("{} {}", 3, "nothing may follow"),
            ("nul", 0, "a JSON value"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(part), "{text}: {}", error.message);
            assert_eq!(error.span.unwrap().start, at, "{text}: {}", error.message);
        }
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).unwrap_err().message.contains("too deeply"));
    }

    proptest! {
        #[test]
        fn whatever_serde_json_reads_is_read_and_nothing_else(text in r#"[\[\]{}:,"\\au0-9.eE +\-tn]{0,12}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            let ours = parse(&text);
            match &theirs {
                // They allow duplicate keys.
                Ok(_) => {
                    let known = ours.as_ref().err().is_some_and(|error| error.message.contains("twice"));
                    prop_assert!(ours.is_ok() || known, "{text}: {ours:?}");
                }
                Err(error) => {
                    let known = error.to_string().contains("out of range");
                    prop_assert!(ours.is_err() || known, "{text}: {error}");
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
