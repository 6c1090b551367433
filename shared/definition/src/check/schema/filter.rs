//! Filters: conditions on one table, and the order of its rows.

use serde_json::Value;

use super::Walk;
use crate::check::value;
use crate::index::{Filter, FilterOp, Order};
use crate::raw::{Node, NumberValue, RawValue, Table};

/// What an operator takes.
#[derive(Clone, Copy)]
enum Takes {
    Nothing(fn() -> FilterOp),
    One(fn(Value) -> FilterOp),
    Text(fn(String) -> FilterOp),
    List(fn(Vec<Value>) -> FilterOp),
    Two(fn(Value, Value) -> FilterOp),
}

/// The operators, in the order of the language's table.
const OPERATORS: [(&str, Takes); 13] = [
    ("is_null", Takes::Nothing(|| FilterOp::IsNull)),
    ("is_not_null", Takes::Nothing(|| FilterOp::IsNotNull)),
    ("eq", Takes::One(FilterOp::Eq)),
    ("neq", Takes::One(FilterOp::Neq)),
    ("lt", Takes::One(FilterOp::Lt)),
    ("lte", Takes::One(FilterOp::Lte)),
    ("gt", Takes::One(FilterOp::Gt)),
    ("gte", Takes::One(FilterOp::Gte)),
    ("like", Takes::Text(FilterOp::Like)),
    ("ilike", Takes::Text(FilterOp::Ilike)),
    ("in", Takes::List(FilterOp::In)),
    ("not_in", Takes::List(FilterOp::NotIn)),
    ("between", Takes::Two(FilterOp::Between)),
];

impl Walk<'_> {
    /// The filters under `key`; wrong ones are left out, with a finding.
    pub(super) fn filters(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<Filter> {
        let Some(node) = table.get(key) else {
            return Vec::new();
        };
        let RawValue::List(items) = &node.value else {
            let message = format!("{} must be a list, found {}", table.label(key), node.kind());
            self.reader.error("E106", &node.span, message);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.filter(item)).collect()
    }

    fn filter(&mut self, node: &Node) -> Option<Filter> {
        let mut table = self.reader.table(node, "a filter", "in a filter", "")?;
        if table.peek("raw").is_some() {
            let raw = value::text(&mut self.reader, &mut table, "raw");
            table.finish(&mut self.reader);
            let raw = raw?;
            if raw.trim().is_empty() {
                value::wrong(&mut self.reader, node, "raw is empty", "remove the filter");
                return None;
            }
            return Some(Filter::Raw(raw));
        }
        let column = match table.required(&mut self.reader, "column") {
            Some(_) => self.column(&mut table, "column"),
            None => None,
        };
        let operator = match table.required(&mut self.reader, "op") {
            Some(node) => value::as_word(&mut self.reader, node, "op", &OPERATORS)
                .map(|takes| (node.text().unwrap_or_default(), takes)),
            None => None,
        };
        let value = table.get("value");
        // `raw` is the other form: named here so that a typo finds it.
        table.get("raw");
        table.finish(&mut self.reader);
        let (name, takes) = operator?;
        let op = self.operands(node, name, takes, value)?;
        Some(Filter::Column {
            column: column?,
            op,
        })
    }

    fn operands(
        &mut self,
        filter: &Node,
        name: &str,
        takes: Takes,
        value: Option<&Node>,
    ) -> Option<FilterOp> {
        if let Takes::Nothing(make) = takes {
            let Some(node) = value else {
                return Some(make());
            };
            self.reader.error_help(
                "E204",
                &node.span,
                format!("`{name}` takes no value, found {}", node.kind()),
                "remove `value`",
            );
            return None;
        }
        let Some(node) = value else {
            let message = format!("`{name}` needs a `value`");
            self.reader.error("E110", &filter.span, message);
            return None;
        };
        match takes {
            Takes::Nothing(make) => Some(make()),
            Takes::One(make) => self.one(node, name).map(make),
            Takes::Text(make) => {
                if let RawValue::Text(text) = &node.value {
                    return Some(make(text.clone()));
                }
                let message = format!("`{name}` takes one text, found {}", node.kind());
                self.reader
                    .error_help("E204", &node.span, message, "a pattern in quotes: 'a%'");
                None
            }
            Takes::List(make) => match node.list() {
                Some([]) => {
                    self.reader.error_help(
                        "E203",
                        &node.span,
                        format!("`{name}` needs a list with at least one value"),
                        "add values, or remove the filter",
                    );
                    None
                }
                Some(items) => self.many(items, name).map(make),
                None => {
                    let one = if name == "in" { "eq" } else { "neq" };
                    self.reader.error_help(
                        "E204",
                        &node.span,
                        format!("`{name}` takes a list, found {}", node.kind()),
                        format!("use `{one}`"),
                    );
                    None
                }
            },
            Takes::Two(make) => {
                let Some([low, high]) = node.list() else {
                    let found = node
                        .list()
                        .map_or_else(|| node.kind().to_owned(), |items| items.len().to_string());
                    self.reader.error_help(
                        "E204",
                        &node.span,
                        format!("`{name}` takes a list of two values, found {found}"),
                        "[lowest, highest], both included",
                    );
                    return None;
                };
                let low = self.element(low, name);
                let high = self.element(high, name);
                Some(make(low?, high?))
            }
        }
    }

    fn many(&mut self, items: &[Node], name: &str) -> Option<Vec<Value>> {
        let values: Vec<Value> = items
            .iter()
            .filter_map(|item| self.element(item, name))
            .collect();
        (values.len() == items.len()).then_some(values)
    }

    /// One of several values: a scalar that is not null.
    fn element(&mut self, node: &Node, name: &str) -> Option<Value> {
        let value = as_written(node);
        if value.is_none() {
            self.reader.error_help(
                "E204",
                &node.span,
                format!("`{name}` takes values, found {} among them", node.kind()),
                "text, a number, or true or false",
            );
        }
        value
    }

    /// One scalar that is not null.
    fn one(&mut self, node: &Node, name: &str) -> Option<Value> {
        if let Some(value) = as_written(node) {
            return Some(value);
        }
        let help = match node.value {
            RawValue::List(_) => "use `in`",
            RawValue::Null => "use `is_null` or `is_not_null`",
            RawValue::Bool(_)
            | RawValue::Number(_)
            | RawValue::Text(_)
            | RawValue::DateTime(_)
            | RawValue::Map(_) => "text, a number, or true or false",
        };
        self.reader.error_help(
            "E204",
            &node.span,
            format!("`{name}` takes one value, found {}", node.kind()),
            help,
        );
        None
    }

    /// The order terms under `order_by`.
    pub(super) fn order_by(&mut self, table: &mut Table<'_>) -> Vec<Order> {
        let Some(node) = table.get("order_by") else {
            return Vec::new();
        };
        let RawValue::List(items) = &node.value else {
            let message = format!("order_by must be a list, found {}", node.kind());
            self.reader.error("E106", &node.span, message);
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| self.order_term(item))
            .collect()
    }

    fn order_term(&mut self, node: &Node) -> Option<Order> {
        let mut table = self.reader.table(node, "an order", "in order_by", "")?;
        let column = match table.required(&mut self.reader, "column") {
            Some(_) => self.column(&mut table, "column"),
            None => None,
        };
        let words = [("asc", false), ("desc", true)];
        let descending =
            value::word(&mut self.reader, &mut table, "direction", &words).unwrap_or(false);
        let words = [("first", true), ("last", false)];
        let nulls_first =
            value::word(&mut self.reader, &mut table, "nulls", &words).unwrap_or(descending);
        table.finish(&mut self.reader);
        Some(Order {
            column: column?,
            descending,
            nulls_first,
        })
    }
}

/// A scalar as it was written: a number whose JSON would be spelled otherwise
/// (`10.50`) becomes text, since it is cast from text to the column's type anyway.
pub(super) fn as_written(node: &Node) -> Option<Value> {
    match &node.value {
        RawValue::Text(text) => Some(Value::String(text.clone())),
        RawValue::Bool(yes) => Some(Value::Bool(*yes)),
        RawValue::Number(number) => {
            if let NumberValue::Float(value) = number.value
                && !value.is_finite()
            {
                let text = match (value.is_nan(), value.is_sign_negative()) {
                    (true, _) => "NaN",
                    (false, true) => "-Infinity",
                    (false, false) => "Infinity",
                };
                // A finite spelling that overflows a double stays as written.
                let named = number.written.to_ascii_lowercase();
                let text = if named.contains("inf") || named.contains("nan") {
                    text
                } else {
                    number.written.as_str()
                };
                return Some(Value::String(text.to_owned()));
            }
            Some(match number.to_json() {
                Some(json) if json.to_string() == number.written => Value::Number(json),
                _ => Value::String(number.written.clone()),
            })
        }
        RawValue::Null | RawValue::DateTime(_) | RawValue::List(_) | RawValue::Map(_) => None,
    }
}
