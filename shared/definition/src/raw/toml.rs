//! TOML to a tree.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::{Entry, Node, Number, NumberValue, RawValue, SyntaxError};

/// Reads a TOML document, as the crate `toml` reads it. All syntax errors are
/// given, in the order of the text.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let value = table_value(table.get_ref());
        return Ok(Node {
            span: 0..text.len(),
            value,
        });
    }
    Err(errors
        .into_iter()
        .map(|error| SyntaxError {
            code: "E100",
            message: error.message().replace('\n', ", "),
            span: error.span(),
        })
        .collect())
}

fn node(value: &Spanned<DeValue<'_>>) -> Node {
    Node {
        span: value.span(),
        value: match value.get_ref() {
            DeValue::String(text) => RawValue::Text(text.to_string()),
            DeValue::Integer(integer) => {
                RawValue::Number(number(integer.as_str(), integer.radix()))
            }
            DeValue::Float(float) => RawValue::Number(Number {
                written: float.as_str().to_owned(),
                value: NumberValue::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            }),
            DeValue::Boolean(yes) => RawValue::Bool(*yes),
            DeValue::Datetime(moment) => RawValue::DateTime(moment.to_string()),
            DeValue::Array(items) => RawValue::List(items.iter().map(node).collect()),
            DeValue::Table(table) => table_value(table),
        },
    }
}

fn number(digits: &str, radix: u32) -> Number {
    match i128::from_str_radix(digits, radix) {
        Ok(value) => Number {
            written: if radix == 10 {
                digits.trim_start_matches('+').to_owned()
            } else {
                value.to_string()
            },
            value: NumberValue::Integer(value),
        },
        Err(_) => Number {
            written: digits.to_owned(),
            value: NumberValue::Float(digits.parse().unwrap_or(f64::NAN)),
        },
    }
}

/// A table, its members in the order of the file.
fn table_value(table: &DeTable<'_>) -> RawValue {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            value: node(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    RawValue::Map(entries)
}
