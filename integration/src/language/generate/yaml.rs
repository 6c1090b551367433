//! A YAML file as a tree, and its text. Scalars keep the spelling that was chosen for them.

use std::fmt::Write as _;

/// A node of a file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::language) enum Yaml {
    /// Written as it stands: a number, a boolean, a plain word.
    Plain(String),
    /// A text, quoted.
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "numbers, words and references alike"
    )]
    pub(super) fn plain(text: impl ToString) -> Self {
        Self::Plain(text.to_string())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().collect())
    }

    /// A map of a few entries.
    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    }

    /// The text of a file: lists of `fields` in block style, all else in flow style.
    pub(super) fn to_file(&self) -> String {
        let mut text = String::new();
        if let Self::Map(entries) = self {
            block(entries, 0, &mut text);
        }
        text
    }

    fn flow(&self, text: &mut String) {
        match self {
            Self::Plain(word) => text.push_str(word),
            Self::Text(value) => text.push_str(&quoted(value)),
            Self::List(items) => {
                text.push('[');
                for (at, item) in items.iter().enumerate() {
                    text.push_str(if at == 0 { "" } else { ", " });
                    item.flow(text);
                }
                text.push(']');
            }
            Self::Map(entries) => {
                text.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    text.push_str(if at == 0 { " " } else { ", " });
                    write!(text, "{key}: ").ok();
                    value.flow(text);
                }
                text.push_str(" }");
            }
        }
    }
}

fn block(entries: &[(String, Yaml)], indent: usize, text: &mut String) {
    for (at, (key, value)) in entries.iter().enumerate() {
        // The first entry of a list item stands behind its dash.
        if at > 0 || indent == 0 {
            text.push_str(&" ".repeat(indent));
        }
        match value {
            Yaml::List(items) if key == "fields" && !items.is_empty() => {
                writeln!(text, "{key}:").ok();
                for item in items {
                    write!(text, "{}- ", " ".repeat(indent + 2)).ok();
                    match item {
                        Yaml::Map(inner) if inner.iter().any(|(key, _)| key == "fields") => {
                            block(inner, indent + 4, text);
                        }
                        Yaml::Map(_) | Yaml::List(_) | Yaml::Plain(_) | Yaml::Text(_) => {
                            item.flow(text);
                            text.push('\n');
                        }
                    }
                }
            }
            Yaml::List(_) | Yaml::Map(_) | Yaml::Plain(_) | Yaml::Text(_) => {
                write!(text, "{key}: ").ok();
                value.flow(text);
                text.push('\n');
            }
        }
    }
}

/// A double-quoted scalar, or a single-quoted one where nothing needs an escape but is full of
/// quotes.
fn quoted(value: &str) -> String {
    let printable = value.chars().all(|c| !c.is_control());
    if printable && value.contains('"') {
        return format!("'{}'", value.replace('\'', "''"));
    }
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {
                write!(text, "\\u{:04x}", u32::from(c)).ok();
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
