//! The definition as JSON: lossless for the registry, canonical for hashing.
//! In: an [`IndexDefinition`]. Out: JSON, and the hash that names a definition.
//! Must hold: [`IndexDefinition::from_json`] of [`IndexDefinition::to_json`] is
//! the same definition; two definitions that build the same documents and
//! mapping but for the order of members have the same hash. Must not: depend on
//! names, addresses or batch settings, for a new hash costs a new generation.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::deployment::{IndexOptions, is_static_setting};
use crate::index::{Field, FieldKind, Filter, FilterOp, IndexDefinition};

/// Raised when the product's own rendering or mapping changes, so that every
/// index gets a new generation.
pub const RENDERING: u32 = 1;

/// The form of [`IndexDefinition::to_json`].
const FORMAT: u32 = 1;

/// A stored definition cannot be read: about the set-up, trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Another version of the product wrote it.
    #[error("the stored definition has format {0}, this version reads {FORMAT}")]
    Format(String),
    /// It is not of the form it claims.
    #[error("the stored definition cannot be read: {0}")]
    Content(String),
}

/// `sha256:` and 64 hexadecimal digits over everything that changes a document
/// or its mapping: the rendering, the definition, and the options of its index
/// that cannot be changed in place.
#[must_use]
pub fn definition_hash(definition: &IndexDefinition, options: &IndexOptions) -> String {
    let settings: Map<String, Value> = options
        .index_settings
        .iter()
        .filter(|(name, _)| is_static_setting(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let hashed = sorted(json!({
        "rendering": RENDERING,
        "definition": definition.canonical(),
        "index": {
            "number_of_shards": options.number_of_shards,
            "text_analysis": options.text_analysis.as_str(),
            "auto_subfields": options.auto_subfields,
            "pipeline": options.pipeline,
            "index_settings": settings,
        },
    }));
    let digest = Sha256::digest(hashed.to_string().as_bytes());
    let mut hash = String::from("sha256:");
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

impl IndexDefinition {
    /// Lossless JSON, the order of fields kept: what the registry stores.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "format": FORMAT, "definition": self.plain_json() })
    }

    /// Reads [`IndexDefinition::to_json`] back.
    ///
    /// # Errors
    /// Another version wrote it, or it is damaged.
    pub fn from_json(json: &Value) -> Result<Self, ReadError> {
        let format = json.get("format").unwrap_or(&Value::Null);
        if format.as_u64() != Some(u64::from(FORMAT)) {
            return Err(ReadError::Format(format.to_string()));
        }
        let definition = json.get("definition").unwrap_or(&Value::Null);
        serde::Deserialize::deserialize(definition)
            .map_err(|error: serde_json::Error| ReadError::Content(error.to_string()))
    }

    /// Canonical JSON: keys sorted, defaults filled in, order removed where it
    /// does not count (fields, filters, `in` lists).
    #[must_use]
    pub fn canonical(&self) -> Value {
        let mut definition = self.clone();
        sort_filters(&mut definition.filters);
        if let Some(soft_delete) = &mut definition.soft_delete {
            sort_filters(&mut soft_delete.when);
        }
        sort_fields(&mut definition.fields);
        sorted(definition.plain_json())
    }

    fn plain_json(&self) -> Value {
        // Every type here has text keys and finite numbers: it cannot fail, and
        // a null would be refused by `from_json`.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

fn sort_fields(fields: &mut [Field]) {
    for field in &mut *fields {
        match &mut field.kind {
            FieldKind::Object(inner) => sort_fields(inner),
            FieldKind::BelongsTo(join)
            | FieldKind::HasOne(join)
            | FieldKind::HasMany(join)
            | FieldKind::ManyToMany(join) => {
                sort_filters(&mut join.filters);
                sort_fields(&mut join.fields);
            }
            FieldKind::Aggregate(aggregate) => sort_filters(&mut aggregate.filters),
            FieldKind::Scalar(_)
            | FieldKind::Map { .. }
            | FieldKind::Geo { .. }
            | FieldKind::Constant(_) => {}
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
}

fn sort_filters(filters: &mut [Filter]) {
    for filter in &mut *filters {
        if let Filter::Column {
            op: FilterOp::In(values) | FilterOp::NotIn(values),
            ..
        } = filter
        {
            values.sort_by_key(ToString::to_string);
        }
    }
    filters.sort_by_key(|filter| {
        serde_json::to_value(filter)
            .map(sorted)
            .unwrap_or_default()
            .to_string()
    });
}

/// The same JSON with the keys of all objects in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => scalar,
    }
}

#[cfg(test)]
mod tests;
