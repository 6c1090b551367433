//! Scalar fields.

use std::collections::BTreeSet;

use model::ColumnName;
use serde_json::Value;

use super::Walk;
use super::field::Draft;
use super::filter::as_written;
use crate::check::value;
use crate::index::{Custom, Scalar, Tag, Transform};
use crate::raw::RawValue;

/// Most variants of an enum: each is a char filter of a normalizer.
const MOST_VARIANTS: usize = 1000;

impl Walk<'_> {
    pub(super) fn scalar(&mut self, draft: &mut Draft<'_>, tag: Tag) -> Option<Scalar> {
        let column = self.own_column(draft);
        let required =
            value::boolean(&mut self.reader, &mut draft.table, "required").unwrap_or(false);
        let default = self.default(draft, tag);
        let takes_transforms =
            matches!(tag, Tag::Text | Tag::Identifier | Tag::Keyword | Tag::Enum);
        let transforms = if takes_transforms {
            self.transforms(draft)
        } else {
            Vec::new()
        };
        let variants = if tag == Tag::Enum {
            self.variants(draft)
        } else {
            None
        };
        let custom = if tag == Tag::Custom {
            Some(self.custom(draft)?)
        } else {
            None
        };
        Some(Scalar {
            tag,
            column: column?,
            required,
            transforms,
            default,
            variants,
            custom,
        })
    }

    /// The column of a field: `column`, else the field's own name as a plain
    /// identifier.
    pub(super) fn own_column(&mut self, draft: &mut Draft<'_>) -> Option<ColumnName> {
        if draft.table.get("column").is_some() {
            return self.column(&mut draft.table, "column");
        }
        // A document key is always a plain identifier.
        Some(ColumnName::new(draft.name.to_ascii_lowercase()))
    }

    fn default(&mut self, draft: &mut Draft<'_>, tag: Tag) -> Option<Value> {
        let node = draft.table.get("default")?;
        if node.value == RawValue::Null {
            value::wrong(
                &mut self.reader,
                node,
                "default replaces null, and cannot be null",
                "remove it",
            );
            return None;
        }
        if tag == Tag::Json && matches!(node.value, RawValue::List(_) | RawValue::Map(_)) {
            return self.json(node);
        }
        let found = as_written(node);
        if found.is_none() {
            value::wrong(
                &mut self.reader,
                node,
                format!("default must be one value, found {}", node.kind()),
                "text, a number, or true or false",
            );
        }
        found
    }

    fn transforms(&mut self, draft: &mut Draft<'_>) -> Vec<Transform> {
        let Some(node) = draft.table.get("transforms") else {
            return Vec::new();
        };
        let words = [
            ("lowercase", Transform::Lowercase),
            ("trim", Transform::Trim),
        ];
        value::as_texts(&mut self.reader, node, "transforms", false)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(_, item)| value::as_word(&mut self.reader, item, "transforms", &words))
            .collect()
    }

    fn variants(&mut self, draft: &mut Draft<'_>) -> Option<Vec<String>> {
        let node = draft.table.get("variants")?;
        let written = value::as_texts(&mut self.reader, node, "variants", false)?;
        if written.is_empty() {
            // No order is stated.
            return None;
        }
        if written.len() > MOST_VARIANTS {
            value::wrong(
                &mut self.reader,
                node,
                format!("variants lists {} values", written.len()),
                format!("at most {MOST_VARIANTS}"),
            );
            return None;
        }
        let mut seen = BTreeSet::new();
        for (text, item) in &written {
            let problem = if text.trim().is_empty() {
                Some("a variant is blank".to_owned())
            } else if text.chars().any(char::is_control) {
                Some(format!("the variant {text:?} holds a control character"))
            } else if !seen.insert(*text) {
                Some(format!("the variant {text:?} stands here twice"))
            } else {
                None
            };
            if let Some(problem) = problem {
                self.reader
                    .error_help("E211", &item.span, problem, "remove it");
            }
        }
        Some(written.iter().map(|(text, _)| (*text).to_owned()).collect())
    }

    fn custom(&mut self, draft: &mut Draft<'_>) -> Option<Custom> {
        let postgres = match draft.table.required(&mut self.reader, "postgres") {
            Some(node) => value::as_texts(&mut self.reader, node, "postgres", true)
                .map(|texts| {
                    texts
                        .into_iter()
                        .map(|(text, _)| text.trim().to_owned())
                        .collect::<Vec<String>>()
                })
                .filter(|types| {
                    let right = !types.is_empty() && types.iter().all(|one| !one.is_empty());
                    let modified = types.iter().find(|one| one.contains('('));
                    if !right {
                        value::wrong(
                            &mut self.reader,
                            node,
                            "postgres must name at least one type",
                            "the type of the column, e.g. inet",
                        );
                    } else if let Some(one) = modified {
                        value::wrong(
                            &mut self.reader,
                            node,
                            format!("{one:?} has a modifier"),
                            "name the type alone: every length and precision of it is accepted",
                        );
                    }
                    right && modified.is_none()
                }),
            None => None,
        };
        let opensearch = match draft.table.required(&mut self.reader, "opensearch") {
            Some(node) => {
                // A bare word is the type alone.
                let mapping = if let RawValue::Text(word) = &node.value {
                    let mut mapping = serde_json::Map::new();
                    mapping.insert("type".to_owned(), Value::String(word.clone()));
                    Some(mapping)
                } else {
                    self.object(&mut draft.table, "opensearch")
                };
                mapping.filter(|mapping| {
                    let right = mapping.get("type").is_some_and(Value::is_string);
                    if !right {
                        self.reader.error_help(
                            "E110",
                            &node.span,
                            "opensearch needs a `type`",
                            "{ type: ip }",
                        );
                    }
                    right
                })
            }
            None => None,
        };
        Some(Custom {
            postgres: postgres?,
            opensearch: opensearch?,
        })
    }
}
