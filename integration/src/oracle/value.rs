//! The value table of the reference: a type, a tag and Postgres' text become JSON.
//! In: the text of a value. Out: [`Json`]. Must hold: every row of that table, nothing more.

mod moment;

use std::fmt::Write as _;
use std::rc::Rc;

use anyhow::{Context, Result};

use super::Json;
use super::catalog::{Kind, Type};
use super::file::Node;
use super::literal;
use super::tables::Slot;

/// The largest number that the reference writes.
const LARGEST: f64 = 1.797e308;

/// What a tag makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As the table says for the type.
    Plain,
    /// The text of a key, dates and times as the table says.
    Keyword,
    /// A time as a moment of the first day of 1970.
    OnFirstDay,
    /// An object or null.
    Map,
    /// An address without its mask.
    Address,
    /// A range as an object of its bounds.
    Bounds,
}

impl Form {
    /// The form of a column of type `kind` under `tag`; `node` is asked for what `custom` says.
    pub(super) fn of(tag: &str, kind: &Rc<Type>, node: &Node) -> Self {
        let kind = kind.of_one();
        match tag {
            "keyword" => Self::Keyword,
            "timestamp" if matches!(kind.known(), Some("time" | "timetz")) => Self::OnFirstDay,
            "map" => Self::Map,
            "custom" => {
                let opensearch = node.get("opensearch");
                let mapped = opensearch
                    .and_then(Node::scalar)
                    .or_else(|| opensearch?.text("type"))
                    .unwrap_or_default();
                let is_range = matches!(kind.kind, Kind::Range(_) | Kind::Multirange(_));
                if mapped.ends_with("_range") && is_range {
                    Self::Bounds
                } else if mapped == "ip" {
                    Self::Address
                } else {
                    Self::Plain
                }
            }
            _ => Self::Plain,
        }
    }
}

/// How a field reads a row.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) slot: Slot,
    pub(super) kind: Rc<Type>,
    pub(super) form: Form,
    pub(super) is_trimmed: bool,
    /// Where its default stands, and of which type it is.
    pub(super) default: Option<(Slot, Rc<Type>)>,
}

impl Reading {
    pub(super) fn new(slot: Slot, kind: Rc<Type>, form: Form) -> Self {
        Self {
            slot,
            kind,
            form,
            is_trimmed: false,
            default: None,
        }
    }

    /// The value in one row.
    pub(super) fn of(&self, row: &[Option<String>]) -> Result<Json> {
        let text = |slot: Slot| row.get(slot).and_then(|value| value.as_deref());
        let mut value = written(&self.kind, self.form, text(self.slot))?;
        if self.is_trimmed {
            value = trimmed(value);
        }
        match &self.default {
            Some((slot, kind)) if value == Json::Null => written(kind, self.form, text(*slot)),
            _ => Ok(value),
        }
    }
}

fn trimmed(value: Json) -> Json {
    /// White space of ASCII, the vertical tab too.
    const BLANK: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    match value {
        Json::String(text) => Json::String(text.trim_matches(BLANK).to_owned()),
        Json::Array(elements) => Json::Array(elements.into_iter().map(trimmed).collect()),
        other => other,
    }
}

/// A value of any type, arrays flattened.
pub(super) fn written(kind: &Type, form: Form, text: Option<&str>) -> Result<Json> {
    let Some(text) = text else {
        return Ok(Json::Null);
    };
    if let Kind::Array(element) = &kind.kind {
        return Ok(Json::Array(
            literal::elements(text)?
                .iter()
                .map(|text| written(element, form, text.as_deref()))
                .collect::<Result<_>>()?,
        ));
    }
    Ok(match form {
        Form::Plain => plain(kind, text)?,
        Form::Keyword => keyword(kind, text)?,
        Form::OnFirstDay => match plain(kind, text)? {
            // Midnight at the end of the day is that of the next: the mapping knows no hour 24.
            Json::String(time) if time == "24:00:00" => {
                Json::String("1970-01-02T00:00:00".to_owned())
            }
            // The end of the first day is the start of the second.
            Json::String(time) if time == "24:00:00" => {
                Json::String("1970-01-02T00:00:00".to_owned())
            }
            Json::String(time) => Json::String(format!("1970-01-01T{time}")),
            other => other,
        },
        Form::Map => match Json::parse(text)? {
            object @ Json::Object(_) => object,
            _ => Json::Null,
        },
        Form::Address => match (kind.known(), text.split_once('/')) {
            (Some("inet"), Some((address, _))) => Json::String(address.to_owned()),
            _ => plain(kind, text)?,
        },
        Form::Bounds => bounds(kind, text)?,
    })
}

/// The text of a key column.
pub(super) fn key_text(kind: &Type, text: &str) -> String {
    match (kind.known(), text) {
        (Some("bool"), "t") => "true".to_owned(),
        (Some("bool"), "f") => "false".to_owned(),
        _ => text.to_owned(),
    }
}

fn keyword(kind: &Type, text: &str) -> Result<Json> {
    let is_date_or_time = matches!(
        kind.known(),
        Some("date" | "time" | "timetz" | "timestamp" | "timestamptz")
    );
    if is_date_or_time {
        return Ok(match plain(kind, text)? {
            // Infinity, which only other tags cannot write.
            Json::Null => Json::String(text.to_owned()),
            value => value,
        });
    }
    Ok(Json::String(key_text(kind, text)))
}

fn plain(kind: &Type, text: &str) -> Result<Json> {
    let string = |text: String| Json::String(text);
    Ok(match kind.known() {
        Some("bool") => Json::Bool(text == "t"),
        Some("int2" | "int4" | "int8" | "oid") => Json::Number(text.to_owned()),
        Some("float4" | "float8" | "numeric") => match text.parse::<f64>()? {
            number if number.abs() <= LARGEST => Json::Number(text.to_owned()),
            // A double is never beyond its own largest value.
            number if number.is_finite() && kind.known() != Some("numeric") => {
                Json::Number(text.to_owned())
            }
            _ => Json::Null,
        },
        Some("date" | "timestamp" | "timestamptz") => {
            moment::written(text).map_or(Json::Null, string)
        }
        Some("timetz") => string(moment::in_utc(text)?),
        Some("bytea") => string(base64(text)?),
        Some("json" | "jsonb") => Json::parse(text)?,
        _ => string(text.to_owned()),
    })
}

fn bounds(kind: &Type, text: &str) -> Result<Json> {
    match &kind.kind {
        Kind::Range(subtype) => match literal::range(text)? {
            Some(range) => object_of(subtype, range),
            None => Ok(Json::Null),
        },
        Kind::Multirange(range) => {
            let Kind::Range(subtype) = &range.kind else {
                return plain(kind, text);
            };
            Ok(Json::Array(
                literal::ranges(text)?
                    .into_iter()
                    .map(|range| object_of(subtype, range))
                    .collect::<Result<_>>()?,
            ))
        }
        _ => plain(kind, text),
    }
}

/// A side whose bound is infinite is as good as unbounded.
fn object_of(subtype: &Type, (low, high): literal::Range) -> Result<Json> {
    let mut members = Vec::new();
    for (bound, included, excluded) in [(low, "gte", "gt"), (high, "lte", "lt")] {
        let Some(bound) = bound else { continue };
        let value = plain(subtype, &bound.text)?;
        if value != Json::Null {
            let name = if bound.is_included {
                included
            } else {
                excluded
            };
            members.push((name.to_owned(), value));
        }
    }
    Ok(Json::Object(members))
}

/// `\x` and hexadecimal digits, in base 64: padded, one line.
fn base64(text: &str) -> Result<String> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.strip_prefix("\\x").context("bytes without \\x")?;
    let mut bits = String::new();
    for digit in digits.chars() {
        let value = digit.to_digit(16).context("a byte that is no digit")?;
        write!(bits, "{value:04b}")?;
    }
    let mut written = String::new();
    for start in (0..bits.len()).step_by(6) {
        let six = bits
            .get(start..bits.len().min(start + 6))
            .context("no bits")?;
        let at = usize::from_str_radix(&format!("{six:0<6}"), 2)?;
        written.push(char::from(*ALPHABET.get(at).context("seven bits")?));
    }
    while !written.len().is_multiple_of(4) {
        written.push('=');
    }
    Ok(written)
}
