//! Names of tables and columns, exactly as the catalog spells them.
//! Out: two spellings. `Display` quotes only where SQL would fold or refuse
//! the name (`public.orders`, `crm."Reviews"`), for people and record keys,
//! and reads back; `sql()` always quotes, for SQL text, so that reserved
//! words need no list.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A table, with its schema. Exact: `Orders` and `orders` are two tables.
/// Serialised as text, in the form of `Display`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema it lives in.
    pub schema: String,
    /// Its name within the schema.
    pub name: String,
}

/// The name of a column. Exact. Serialised as that name, without quotes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnName(String);

/// The text is not `schema.name` in the quoting of `Display`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a table name: expected schema.name, each part plain or in double quotes")]
pub struct ParseNameError;

impl TableName {
    /// The table `name` of `schema`, both exact.
    #[must_use]
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        TableName {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// No table: what a heartbeat names. Serialised as the empty text.
    #[must_use]
    pub const fn none() -> Self {
        TableName {
            schema: String::new(),
            name: String::new(),
        }
    }

    /// `true` for [`TableName::none`].
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.schema.is_empty() && self.name.is_empty()
    }

    /// The name as SQL text, both parts quoted: `"public"."orders"`.
    #[must_use]
    pub fn sql(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

impl ColumnName {
    /// The column called `name`, exact.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        ColumnName(name.into())
    }

    /// The exact name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as SQL text, quoted: `"id"`.
    #[must_use]
    pub fn sql(&self) -> String {
        quote(&self.0)
    }
}

/// `name` as a quoted SQL identifier, whatever it holds.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `true` when SQL reads the bare name as exactly this name (reserved words
/// aside): lower-case ASCII, not starting with a digit.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'$')
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_plain(name) {
        f.write_str(name)
    } else {
        f.write_str(&quote(name))
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.schema)?;
        f.write_str(".")?;
        write_name(f, &self.name)
    }
}

impl fmt::Display for ColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.0)
    }
}

impl FromStr for TableName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (schema, rest) = part(text)?;
        let (name, rest) = part(rest.strip_prefix('.').ok_or(ParseNameError)?)?;
        if !rest.is_empty() {
            return Err(ParseNameError);
        }
        Ok(TableName { schema, name })
    }
}

/// Reads one part off the front: the name, and what follows it.
fn part(text: &str) -> Result<(String, &str), ParseNameError> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let (name, rest) = match text.find('.') {
            Some(dot) => text.split_at_checked(dot).ok_or(ParseNameError)?,
            None => (text, ""),
        };
        return if is_plain(name) {
            Ok((name.to_owned(), rest))
        } else {
            Err(ParseNameError)
        };
    };
    let mut name = String::new();
    loop {
        let (before, after) = rest.split_once('"').ok_or(ParseNameError)?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(inner) => {
                name.push('"');
                rest = inner;
            }
            None if name.is_empty() => return Err(ParseNameError),
            None => return Ok((name, after)),
        }
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_none() {
            serializer.serialize_str("")
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(TableName::none());
        }
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl From<&str> for ColumnName {
    fn from(name: &str) -> Self {
        ColumnName(name.to_owned())
    }
}

impl From<String> for ColumnName {
    fn from(name: String) -> Self {
        ColumnName(name)
    }
}

impl From<ColumnName> for String {
    fn from(name: ColumnName) -> Self {
        name.0
    }
}

impl Borrow<str> for ColumnName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ColumnName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_quoted_only_where_needed() {
        for (schema, name, text) in [
            ("public", "orders", "public.orders"),
            ("crm", "Reviews", r#"crm."Reviews""#),
            ("a.b", r#"say "hi""#, r#""a.b"."say ""hi""""#),
            ("_x", "t$1", "_x.t$1"),
            ("1st", "größe", r#""1st"."größe""#),
            ("public", "order", "public.order"),
        ] {
            let table = TableName::new(schema, name);
            assert_eq!(table.to_string(), text);
            assert_eq!(text.parse(), Ok(table));
        }
    }

    #[test]
    fn sql_text_is_always_quoted() {
        assert_eq!(
            TableName::new("public", "order").sql(),
            r#""public"."order""#
        );
        assert_eq!(ColumnName::new(r#"a"b"#).sql(), r#""a""b""#);
    }

    #[test]
    fn what_is_no_table_name_is_refused() {
        for text in [
            "",
            ".",
            "orders",
            "public.",
            ".orders",
            "public.Orders",
            "a.b.c",
            "\"a.b",
            "\"a\"b",
            "\"\".a",
            "a.\"\"",
            "a.\"b\"c",
            " a.b",
            "a.b ",
        ] {
            assert!(text.parse::<TableName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_table_is_the_empty_text() {
        let json = serde_json::to_string(&TableName::none()).unwrap();
        assert_eq!(json, "\"\"");
        assert!(serde_json::from_str::<TableName>(&json).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn any_name_round_trips(schema in "\\PC{1,10}", name in "[\"A-z.]{1,10}") {
            let table = TableName::new(schema, name);
            prop_assert_eq!(table.to_string().parse(), Ok(table));
        }

        #[test]
        fn any_text_parses_or_fails(text in "[\"a-z.]{0,10}") {
            let _: Result<TableName, _> = text.parse();
        }
    }
}
