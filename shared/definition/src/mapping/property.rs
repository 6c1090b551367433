//! The mapping of one value: by its tag, with subfields, with the field's own parameters.

use serde_json::{Map, Value, json};

use super::analysis::enum_normalizer;
use crate::index::{Custom, Tag};

/// A longer keyword stays in `_source`, unindexed: four bytes a character stay under Lucene's
/// 32766.
const LONGEST_KEYWORD: u64 = 8191;

/// The same for subfields, which serve sorting and grouping.
const LONGEST_SUBFIELD: u64 = 256;

/// Whether text and keyword properties get subfields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subfields {
    Added,
    None,
}

/// A property under construction.
pub(super) struct OfTag<'a> {
    tag: Tag,
    subfields: Subfields,
    variants: Option<&'a [String]>,
    custom: Option<&'a Custom>,
    options: Option<&'a Map<String, Value>>,
}

impl<'a> OfTag<'a> {
    pub(super) fn new(tag: Tag, subfields: Subfields) -> Self {
        OfTag {
            tag,
            subfields,
            variants: None,
            custom: None,
            options: None,
        }
    }

    pub(super) fn with(mut self, options: &'a Map<String, Value>) -> Self {
        self.options = Some(options);
        self
    }

    pub(super) fn variants(mut self, variants: Option<&'a [String]>) -> Self {
        self.variants = variants;
        self
    }

    pub(super) fn custom(mut self, custom: Option<&'a Custom>) -> Self {
        self.custom = custom;
        self
    }

    pub(super) fn property(&self) -> Map<String, Value> {
        let mut property = self.derived();
        let sort = self.variants.map(|variants| {
            subfield(
                "keyword",
                [("normalizer", json!(enum_normalizer(variants)))],
            )
        });
        // Whoever names subfields gets exactly these; the order of an enum stays.
        if let Some(sort) = sort {
            let entry = property.entry("fields").or_insert_with(|| json!({}));
            if let Some(fields) = entry.as_object_mut() {
                fields.entry("sort").or_insert(sort);
            }
        }
        property
    }

    /// All but the order of an enum.
    fn derived(&self) -> Map<String, Value> {
        let derived = match self.custom {
            Some(custom) => custom.opensearch.clone(),
            None => plain(self.tag),
        };
        let empty = Map::new();
        let mut property = laid_over(derived, self.options.unwrap_or(&empty));
        let kind = property.get("type").and_then(Value::as_str);
        let (is_text, is_keyword) = (kind == Some("text"), kind == Some("keyword"));
        if is_keyword {
            property
                .entry("ignore_above")
                .or_insert(json!(LONGEST_KEYWORD));
        }
        let wants = self.subfields == Subfields::Added && self.tag != Tag::Time;
        if !wants || !(is_text || is_keyword) {
            return property;
        }
        if is_text {
            property.entry("analyzer").or_insert(json!("flusso_text"));
        }
        let own = if is_text {
            ("keyword", subfield("keyword", []))
        } else {
            ("text", json!({ "type": "text", "analyzer": "flusso_code" }))
        };
        let lowercase = subfield("keyword", [("normalizer", json!("flusso_lowercase"))]);
        let mut fields = Map::new();
        fields.insert(own.0.to_owned(), own.1);
        fields.insert("keyword_lowercase".to_owned(), lowercase);
        property.entry("fields").or_insert(Value::Object(fields));
        property
    }
}

/// A subfield with its limit last, as the page shows it.
fn subfield<const N: usize>(kind: &str, parameters: [(&str, Value); N]) -> Value {
    let mut field = of(kind, parameters);
    field.insert("ignore_above".to_owned(), json!(LONGEST_SUBFIELD));
    Value::Object(field)
}

/// The mapping of a tag, without subfields.
fn plain(tag: Tag) -> Map<String, Value> {
    match tag {
        Tag::Text => of("text", []),
        Tag::Identifier => of("text", [("analyzer", json!("flusso_code"))]),
        Tag::Keyword | Tag::Enum | Tag::Uuid | Tag::Time => of("keyword", []),
        Tag::Boolean => of("boolean", []),
        Tag::Short => of("short", []),
        Tag::Integer => of("integer", []),
        Tag::Long => of("long", []),
        Tag::Float => of("float", []),
        Tag::Double | Tag::Decimal => of("double", []),
        Tag::Binary => of("binary", []),
        Tag::Date | Tag::Timestamp => of("date", []),
        Tag::Json => of("object", [("enabled", json!(false))]),
        // Always comes with its own mapping.
        Tag::Custom => Map::new(),
    }
}

/// A property of a type with some parameters.
pub(super) fn of<const N: usize>(kind: &str, parameters: [(&str, Value); N]) -> Map<String, Value> {
    let mut property = Map::new();
    property.insert("type".to_owned(), json!(kind));
    for (name, value) in parameters {
        property.insert(name.to_owned(), value);
    }
    property
}

/// A field's own parameters over the derived ones. Another type than `object` cannot have the
/// parameters that were derived for `object`.
pub(super) fn laid_over(
    mut property: Map<String, Value>,
    options: &Map<String, Value>,
) -> Map<String, Value> {
    if options.get("type").is_some_and(|kind| kind != "object") {
        property.shift_remove("enabled");
    }
    for (name, value) in options {
        property.insert(name.clone(), value.clone());
    }
    property
}

/// A constant's property, by its value.
pub(super) fn constant(
    value: &Value,
    subfields: Subfields,
    options: &Map<String, Value>,
) -> Map<String, Value> {
    OfTag::new(tag_of(value), subfields)
        .with(options)
        .property()
}

/// The tag whose values look like this one; of a list, the widest of its elements'.
fn tag_of(value: &Value) -> Tag {
    match value {
        Value::Bool(_) => Tag::Boolean,
        Value::Number(number) if number.is_i64() || number.is_u64() => Tag::Long,
        Value::Number(_) => Tag::Double,
        Value::String(_) | Value::Null => Tag::Keyword,
        Value::Object(_) => Tag::Json,
        Value::Array(elements) => {
            let mut tags = elements
                .iter()
                .filter(|element| !element.is_null())
                .map(tag_of);
            let first = tags.next().unwrap_or(Tag::Keyword);
            if first == Tag::Long && tags.any(|tag| tag == Tag::Double) {
                Tag::Double
            } else {
                first
            }
        }
    }
}
