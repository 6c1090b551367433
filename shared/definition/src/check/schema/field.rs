//! Fields: one tag each, and what the tag allows beside it.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};

use super::{Parent, Walk};
use crate::check::names::{self, RESERVED_ROOT_KEYS};
use crate::check::value;
use crate::diagnostic::{Diagnostic, nearest};
use crate::index::{Field, FieldKind, GeoSource, Tag};
use crate::raw::{Entry, Node, RawValue, Table};

/// What a tag stands for.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Scalar(Tag),
    Geo,
    Map,
    Object,
    Constant,
    Join(Verb),
    Aggregate(Figure),
}

/// The four joins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    BelongsTo,
    HasOne,
    HasMany,
    ManyToMany,
}

/// The six aggregates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Count,
    Avg,
    Sum,
    Min,
    Max,
    Ids,
}

/// Every tag of the language.
const TAGS: [(&str, Shape); 32] = [
    ("text", Shape::Scalar(Tag::Text)),
    ("identifier", Shape::Scalar(Tag::Identifier)),
    ("keyword", Shape::Scalar(Tag::Keyword)),
    ("enum", Shape::Scalar(Tag::Enum)),
    ("uuid", Shape::Scalar(Tag::Uuid)),
    ("time", Shape::Scalar(Tag::Time)),
    ("boolean", Shape::Scalar(Tag::Boolean)),
    ("short", Shape::Scalar(Tag::Short)),
    ("integer", Shape::Scalar(Tag::Integer)),
    ("long", Shape::Scalar(Tag::Long)),
    ("float", Shape::Scalar(Tag::Float)),
    ("double", Shape::Scalar(Tag::Double)),
    ("binary", Shape::Scalar(Tag::Binary)),
    ("decimal", Shape::Scalar(Tag::Decimal)),
    ("date", Shape::Scalar(Tag::Date)),
    ("timestamp", Shape::Scalar(Tag::Timestamp)),
    ("json", Shape::Scalar(Tag::Json)),
    ("custom", Shape::Scalar(Tag::Custom)),
    ("geo", Shape::Geo),
    ("map", Shape::Map),
    ("object", Shape::Object),
    ("constant", Shape::Constant),
    ("belongs_to", Shape::Join(Verb::BelongsTo)),
    ("has_one", Shape::Join(Verb::HasOne)),
    ("has_many", Shape::Join(Verb::HasMany)),
    ("many_to_many", Shape::Join(Verb::ManyToMany)),
    ("count", Shape::Aggregate(Figure::Count)),
    ("avg", Shape::Aggregate(Figure::Avg)),
    ("sum", Shape::Aggregate(Figure::Sum)),
    ("min", Shape::Aggregate(Figure::Min)),
    ("max", Shape::Aggregate(Figure::Max)),
    ("ids", Shape::Aggregate(Figure::Ids)),
];

/// Longest keyword that OpenSearch can index, in characters.
const LONGEST_KEYWORD: u64 = 8191;

/// A field being read: its table, name and place.
pub(super) struct Draft<'n> {
    pub(super) table: Table<'n>,
    pub(super) tag: &'static str,
    /// Span of the tag's value.
    pub(super) span: Range<usize>,
    pub(super) name: String,
    pub(super) path: String,
}

impl Walk<'_> {
    /// The list of fields at `node`, members of the object at `path`.
    pub(super) fn fields(&mut self, node: &Node, path: &str, parent: &Parent) -> Vec<Field> {
        let RawValue::List(items) = &node.value else {
            let message = format!("fields must be a list, found {}", node.kind());
            self.reader.error("E106", &node.span, message);
            return Vec::new();
        };
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let mut fields = Vec::with_capacity(items.len());
        for item in items {
            let Some((tag, shape, entry)) = self.tag(item) else {
                continue;
            };
            let Some(name) = self.field_name(entry, tag, path.is_empty()) else {
                continue;
            };
            if let Some(before) = first.get(&name) {
                let message = format!(
                    "field `{name}` is defined twice, first at {}",
                    self.reader.position(*before)
                );
                self.reader
                    .error_help("E201", &entry.value.span, message, "rename one");
            } else {
                first.insert(name.clone(), entry.key_span.start);
            }
            fields.extend(self.field(item, (tag, shape, entry), name, path, parent));
        }
        fields
    }

    /// Like [`Walk::fields`], of an object or join: at least one.
    pub(super) fn inner_fields(
        &mut self,
        draft: &mut Draft<'_>,
        parent: &Parent,
    ) -> Option<Vec<Field>> {
        let node = draft.table.required(&mut self.reader, "fields")?;
        if matches!(&node.value, RawValue::List(items) if items.is_empty()) {
            value::wrong(
                &mut self.reader,
                node,
                format!("`{}` has no fields", draft.name),
                "give at least one",
            );
            return None;
        }
        Some(self.fields(node, &draft.path, parent))
    }

    /// The one tag of a field.
    fn tag<'n>(&mut self, node: &'n Node) -> Option<(&'static str, Shape, &'n Entry)> {
        let RawValue::Map(entries) = &node.value else {
            value::wrong(
                &mut self.reader,
                node,
                format!("a field must be a table, found {}", node.kind()),
                "- keyword: name",
            );
            return None;
        };
        let found: Vec<(&'static str, Shape, &Entry)> = entries
            .iter()
            .filter_map(|entry| {
                TAGS.iter()
                    .find(|(tag, _)| *tag == entry.key)
                    .map(|(tag, shape)| (*tag, *shape, entry))
            })
            .collect();
        match found.as_slice() {
            [one] => Some(*one),
            [] => {
                let tags = || TAGS.iter().map(|(tag, _)| *tag);
                let message = "a field needs exactly one type tag, found none";
                let mut finding = Diagnostic::error("E103", message).allowed(tags());
                let near = entries
                    .iter()
                    .find_map(|entry| nearest(&entry.key, tags()).map(|near| (entry, near)));
                let span = near
                    .map(|(entry, _)| entry)
                    .or_else(|| entries.first())
                    .map_or_else(|| node.span.clone(), |entry| entry.key_span.clone());
                finding.label = near.map(|(_, near)| format!("did you mean `{near}`?"));
                self.reader.push(finding, &span);
                None
            }
            [_, second, ..] => {
                let names: Vec<String> =
                    found.iter().map(|(tag, _, _)| format!("`{tag}`")).collect();
                self.reader.error_help(
                    "E103",
                    &second.2.key_span,
                    format!(
                        "a field needs exactly one type tag, found {}",
                        names.join(" and ")
                    ),
                    "make two fields, or remove one tag",
                );
                None
            }
        }
    }

    fn field_name(&mut self, entry: &Entry, tag: &str, at_root: bool) -> Option<String> {
        let written = value::as_text(&mut self.reader, &entry.value, &format!("`{tag}`"))?;
        let Some(name) = names::document_key(written) else {
            self.reader.error_help(
                "E212",
                &entry.value.span,
                format!("{written:?} is not a document key"),
                "letters, digits and _, not first a digit, at most 63; \
                 `column` can name the column",
            );
            return None;
        };
        if at_root && RESERVED_ROOT_KEYS.contains(&name.as_str()) {
            self.reader.error_help(
                "E212",
                &entry.value.span,
                format!("`{name}` is kept by OpenSearch for itself"),
                "rename the field; `column` can name the column",
            );
            return None;
        }
        Some(name)
    }

    fn field(
        &mut self,
        node: &Node,
        (tag, shape, entry): (&'static str, Shape, &Entry),
        name: String,
        path: &str,
        parent: &Parent,
    ) -> Option<Field> {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        self.spans.note(&path, "", entry.value.span.clone());
        self.note(&path, node);
        let mut table =
            self.reader
                .table(node, "a field", format!("for the field `{name}`"), "")?;
        table.hide(tag);
        let mut draft = Draft {
            table,
            tag,
            span: entry.value.span.clone(),
            name,
            path,
        };
        let kind = match shape {
            Shape::Scalar(tag) => self.scalar(&mut draft, tag).map(FieldKind::Scalar),
            Shape::Geo => self.geo(&mut draft),
            Shape::Map => self.map(&mut draft),
            Shape::Object => self.inner_fields(&mut draft, parent).map(FieldKind::Object),
            Shape::Constant => self.constant(&mut draft).map(FieldKind::Constant),
            Shape::Join(verb) => self.join(&mut draft, verb, parent),
            Shape::Aggregate(figure) => self
                .aggregate(&mut draft, figure, parent)
                .map(FieldKind::Aggregate),
        };
        let options = self.options(&mut draft, shape);
        draft.table.finish(&mut self.reader);
        Some(Field {
            name: draft.name,
            kind: kind?,
            options,
        })
    }

    fn options(&mut self, draft: &mut Draft<'_>, shape: Shape) -> Map<String, Value> {
        let options = self.object(&mut draft.table, "options").unwrap_or_default();
        let place = |key: &str| {
            let RawValue::Map(entries) = &draft.table.peek("options")?.value.value else {
                return None;
            };
            let entry = entries.iter().find(|entry| entry.key == key)?;
            Some((entry.key_span.clone(), &entry.value))
        };
        if let Some((span, _)) = place("properties") {
            self.reader.error_help(
                "E207",
                &span,
                "options.properties cannot be set",
                "list the members under `fields`",
            );
        }
        if let Some((span, node)) = place("type") {
            match shape {
                Shape::Scalar(Tag::Json) => {
                    value::as_text(&mut self.reader, node, "options.type");
                }
                Shape::Join(Verb::HasMany | Verb::ManyToMany) => {
                    let words = [("object", ()), ("nested", ())];
                    value::as_word(&mut self.reader, node, "options.type", &words);
                }
                Shape::Scalar(_)
                | Shape::Geo
                | Shape::Map
                | Shape::Object
                | Shape::Constant
                | Shape::Join(Verb::BelongsTo | Verb::HasOne)
                | Shape::Aggregate(_) => self.reader.error_help(
                    "E207",
                    &span,
                    format!("options.type cannot change an `{}`", draft.tag)
                        .replace("an `", article(draft.tag)),
                    "use `custom` with `opensearch: …`",
                ),
            }
        }
        if let Some((span, _)) = place("ignore_above")
            && let Some(above) = options.get("ignore_above").and_then(Value::as_u64)
            && above > LONGEST_KEYWORD
        {
            self.reader.warning(
                "W216",
                &span,
                format!("ignore_above of {above} is over {LONGEST_KEYWORD}"),
                "OpenSearch refuses keywords over 32766 bytes, and the document with them",
            );
        }
        options
    }

    fn geo(&mut self, draft: &mut Draft<'_>) -> Option<FieldKind> {
        let lat = self.column(&mut draft.table, "lat");
        let lon = self.column(&mut draft.table, "lon");
        let column = self.column(&mut draft.table, "column");
        let required =
            value::boolean(&mut self.reader, &mut draft.table, "required").unwrap_or(false);
        let stated = ["lat", "lon", "column"].map(|key| draft.table.peek(key).is_some());
        let source = match stated {
            [true, true, false] => GeoSource::LatLon {
                lat: lat?,
                lon: lon?,
            },
            [false, false, true] => GeoSource::Column(column?),
            [false, false, false] => {
                let message = "`lat` and `lon` are missing".to_owned();
                self.reader
                    .error_help("E110", &draft.span, message, "or give `column`");
                return None;
            }
            _ => {
                self.reader.error_help(
                    "E210",
                    &draft.span,
                    "geo takes `lat` and `lon`, or `column`",
                    "keep one of the two forms",
                );
                return None;
            }
        };
        Some(FieldKind::Geo { source, required })
    }

    fn map(&mut self, draft: &mut Draft<'_>) -> Option<FieldKind> {
        let words = words(|tag| {
            !matches!(
                tag,
                Tag::Time | Tag::Boolean | Tag::Binary | Tag::Json | Tag::Custom
            )
        });
        let values = match draft.table.required(&mut self.reader, "values") {
            Some(node) => value::as_word(&mut self.reader, node, "values", &words),
            None => None,
        };
        let column = self.own_column(draft);
        let required =
            value::boolean(&mut self.reader, &mut draft.table, "required").unwrap_or(false);
        Some(FieldKind::Map {
            column: column?,
            values: values?,
            required,
        })
    }

    fn constant(&mut self, draft: &mut Draft<'_>) -> Option<Value> {
        let node = draft.table.required(&mut self.reader, "value")?;
        if let RawValue::List(items) = &node.value {
            let kind = |item: &Node| match &item.value {
                RawValue::Number(_) | RawValue::Bool(_) | RawValue::Text(_) | RawValue::Map(_) => {
                    Some(item.kind())
                }
                RawValue::Null | RawValue::DateTime(_) | RawValue::List(_) => None,
            };
            let first = items.first().map(kind);
            let mixed = items
                .iter()
                .any(|item| kind(item).is_none() || Some(kind(item)) != first);
            if mixed {
                value::wrong(
                    &mut self.reader,
                    node,
                    "a constant list holds values of one kind: text, numbers, booleans or tables",
                    "make them all text",
                );
                return None;
            }
        }
        let value = self.json(node)?;
        let is_too_large = |value: &Value| value.is_u64() && !value.is_i64();
        let items = value.as_array();
        if is_too_large(&value) || items.is_some_and(|items| items.iter().any(is_too_large)) {
            value::wrong(
                &mut self.reader,
                node,
                "this integer needs more than 64 bits",
                "write it as text",
            );
            return None;
        }
        Some(value)
    }
}

/// Whether the list of fields at `node` names a scalar field `name`, right or wrong, in
/// objects too.
pub(super) fn declares(node: &Node, name: &str) -> bool {
    node.list().unwrap_or_default().iter().any(|field| {
        field.map().unwrap_or_default().iter().any(|entry| {
            let shape = TAGS.iter().find(|(tag, _)| *tag == entry.key);
            match shape {
                Some((_, Shape::Scalar(_))) => {
                    entry.value.text().is_some_and(|text| text.trim() == name)
                }
                Some((_, Shape::Object)) => field
                    .map()
                    .unwrap_or_default()
                    .iter()
                    .any(|entry| entry.key == "fields" && declares(&entry.value, name)),
                Some(_) | None => false,
            }
        })
    })
}

/// "a `" or "an `", by the word that follows.
fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) {
        "an `"
    } else {
        "a `"
    }
}

/// The scalar tags that are right somewhere.
pub(super) fn words(right: impl Fn(Tag) -> bool) -> Vec<(&'static str, Tag)> {
    TAGS.iter()
        .filter_map(|(word, shape)| {
            if let Shape::Scalar(tag) = shape
                && right(*tag)
            {
                Some((*word, *tag))
            } else {
                None
            }
        })
        .collect()
}
