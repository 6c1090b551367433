//! JSON with its numbers as they are written: `_source` is exact, so the comparison is too.
//! In: the bytes of a document. Out: a tree that compares digit by digit.
//! Why not `serde_json::Value`: it turns `10.50` and `9007199254740993` into doubles.

use std::fmt::{self, Write as _};

use anyhow::{Context, Result, bail, ensure};

/// A JSON value.
///
/// Numbers are equal when their *texts* are: `10.50` is not `10.5`, since the reference fixes the
/// digits of every stored number. Only a value that Postgres computes in an order of its own (a sum
/// or mean of floats) and a number that the file itself holds are [`Json::Near`], compared as
/// doubles. Members of objects count in their order: it is that of the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number, as written.
    Number(String),
    /// Only in the truth: any number that differs from `value` by at most `within`.
    Near {
        /// What the oracle computed.
        value: f64,
        /// How far another order of computing may lead away from it.
        within: f64,
    },
    /// A text, unescaped. Half of a surrogate pair stands in it as its escape (`\ud800`).
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object, in order, repeated names included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one JSON text.
    ///
    /// # Errors
    /// When it is not JSON, with the byte at which it stops to be.
    pub fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value()?;
        reader.blanks();
        ensure!(
            reader.at == text.len(),
            "byte {} follows the JSON value",
            reader.at
        );
        Ok(value)
    }

    /// The first member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find(|(member, _)| member == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Where `found` is not what this, the truth, says: (path, truth, found), outermost places
    /// that differ as a whole. Empty when it [`Json::fits`].
    #[must_use]
    pub fn differences(&self, found: &Self) -> Vec<(String, Self, Self)> {
        let mut differences = Vec::new();
        self.differ("", found, &mut differences);
        differences
    }

    fn differ(&self, path: &str, found: &Self, differences: &mut Vec<(String, Self, Self)>) {
        match (self, found) {
            (Self::Object(left), Self::Object(right)) if same_names(left, right) => {
                for (at, (name, value)) in left.iter().enumerate() {
                    if let Some((_, other)) = right.get(at) {
                        value.differ(&format!("{path}.{name}"), other, differences);
                    }
                }
            }
            (Self::Array(left), Self::Array(right)) if left.len() == right.len() => {
                for (at, value) in left.iter().enumerate() {
                    if let Some(other) = right.get(at) {
                        value.differ(&format!("{path}[{at}]"), other, differences);
                    }
                }
            }
            _ if self.fits(found) => {}
            _ => differences.push((path.to_owned(), self.clone(), found.clone())),
        }
    }

    /// Whether `found` is what this, the truth, says.
    #[must_use]
    pub fn fits(&self, found: &Self) -> bool {
        match (self, found) {
            (Self::Near { value, within }, Self::Number(text)) => text
                .parse::<f64>()
                .is_ok_and(|number| (number - value).abs() <= *within),
            (Self::Array(left), Self::Array(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .enumerate()
                        .all(|(at, left)| right.get(at).is_some_and(|right| left.fits(right)))
            }
            (Self::Object(left), Self::Object(right)) => {
                left.len() == right.len()
                    && left.iter().enumerate().all(|(at, (name, left))| {
                        let right = right.get(at);
                        right.is_some_and(|(other, right)| name == other && left.fits(right))
                    })
            }
            _ => self == found,
        }
    }
}

fn same_names(left: &[(String, Json)], right: &[(String, Json)]) -> bool {
    left.iter()
        .map(|(name, _)| name)
        .eq(right.iter().map(|(name, _)| name))
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::Near { value, .. } => write!(f, "{value}"),
            Self::String(text) => quoted(f, text),
            Self::Array(elements) => {
                f.write_char('[')?;
                for (at, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if at == 0 { "" } else { ", " })?;
                }
                f.write_char(']')
            }
            Self::Object(members) => {
                f.write_char('{')?;
                for (at, (name, value)) in members.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    quoted(f, name)?;
                    write!(f, ": {value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for char in text.chars() {
        match char {
            '"' | '\\' => write!(f, "\\{char}")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            '\0'..'\u{20}' => write!(f, "\\u{:04x}", u32::from(char))?,
            _ => f.write_char(char)?,
        }
    }
    f.write_char('"')
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, expected: &str) -> bool {
        let is_there = self.rest().starts_with(expected);
        if is_there {
            self.at += expected.len();
        }
        is_there
    }

    fn value(&mut self) -> Result<Json> {
        self.blanks();
        Ok(match self.peek() {
            Some('{') => Json::Object(self.members()?),
            Some('[') => Json::Array(self.elements()?),
            Some('"') => Json::String(self.string()?),
            Some('-' | '0'..='9') => self.number(),
            _ if self.eat("null") => Json::Null,
            _ if self.eat("true") => Json::Bool(true),
            _ if self.eat("false") => Json::Bool(false),
            _ => bail!("no JSON value at byte {}", self.at),
        })
    }

    fn number(&mut self) -> Json {
        let rest = self.rest();
        let length = rest
            .find(|char: char| !matches!(char, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
            .unwrap_or(rest.len());
        self.at += length;
        Json::Number(rest.get(..length).unwrap_or("").to_owned())
    }

    fn elements(&mut self) -> Result<Vec<Json>> {
        let mut elements = Vec::new();
        self.take();
        self.blanks();
        if self.eat("]") {
            return Ok(elements);
        }
        loop {
            elements.push(self.value()?);
            self.blanks();
            if self.eat("]") {
                return Ok(elements);
            }
            ensure!(self.eat(","), "no comma at byte {}", self.at);
        }
    }

    fn members(&mut self) -> Result<Vec<(String, Json)>> {
        let mut members = Vec::new();
        self.take();
        self.blanks();
        if self.eat("}") {
            return Ok(members);
        }
        loop {
            self.blanks();
            ensure!(self.peek() == Some('"'), "no name at byte {}", self.at);
            let name = self.string()?;
            self.blanks();
            ensure!(self.eat(":"), "no colon at byte {}", self.at);
            members.push((name, self.value()?));
            self.blanks();
            if self.eat("}") {
                return Ok(members);
            }
            ensure!(self.eat(","), "no comma at byte {}", self.at);
        }
    }

    fn string(&mut self) -> Result<String> {
        let mut text = String::new();
        self.take();
        loop {
            match self.take().context("a text without an end")? {
                '"' => return Ok(text),
                '\\' => self.escape(&mut text)?,
                char if char < ' ' => bail!("a bare control character before byte {}", self.at),
                char => text.push(char),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<()> {
        match self.take().context("a text without an end")? {
            char @ ('"' | '\\' | '/') => text.push(char),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => {
                let unit = self.four_digits()?;
                let after = self.at;
                let low = match unit {
                    0xd800..0xdc00 if self.eat("\\u") => self.four_digits().ok(),
                    _ => None,
                };
                let units = [unit, low.unwrap_or_default()];
                let units = if low.is_some() {
                    &units[..]
                } else {
                    &units[..1]
                };
                if let Ok(pair) = String::from_utf16(units) {
                    text.push_str(&pair);
                } else {
                    self.at = after;
                    write!(text, "\\u{unit:04x}")?;
                }
            }
            char => bail!("unknown escape \\{char} before byte {}", self.at),
        }
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u16> {
        let digits = self.rest().get(..4).context("a short escape")?;
        let unit = u16::from_str_radix(digits, 16)?;
        self.at += 4;
        Ok(unit)
    }
}
