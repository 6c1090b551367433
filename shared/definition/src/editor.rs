//! JSON Schemas of both file formats, for editors.
//! In: nothing. Out: draft 2020-12, one for `flusso.toml`, one for `*.schema.yml`.
//! Must hold: what `check` takes, the schema takes, so that no editor marks what is right. What a
//! schema can say (keys, types, words, required keys, defaults) it says as `check` does: the
//! tests put every key with values of every kind through both, and take the lists of keys and
//! words from what `check` says is allowed. Must not: be the judge of a file; that is `check`.

mod config;
mod index;

pub use config::config_schema;
pub use index::index_schema;

use serde_json::{Map, Value, json};

/// The dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A key of a table.
struct Key {
    name: &'static str,
    schema: Value,
    is_required: bool,
}

/// A key whose values are described by `schema`.
fn key(name: &'static str, about: &str, schema: Value) -> Key {
    let mut schema = schema;
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), about.into());
    }
    Key {
        name,
        schema,
        is_required: false,
    }
}

impl Key {
    /// Must be there.
    fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// What holds when it is not there.
    fn default(mut self, value: impl Into<Value>) -> Self {
        if let Some(schema) = self.schema.as_object_mut() {
            schema.insert("default".to_owned(), value.into());
        }
        self
    }

    /// Taken, and without any effect.
    fn ignored(mut self) -> Self {
        if let Some(schema) = self.schema.as_object_mut() {
            schema.insert("deprecated".to_owned(), true.into());
        }
        self
    }
}

/// A table with these keys and no other.
fn table(keys: Vec<Key>) -> Value {
    let required: Vec<Value> = keys
        .iter()
        .filter(|key| key.is_required)
        .map(|key| key.name.into())
        .collect();
    let properties: Map<String, Value> = keys
        .into_iter()
        .map(|key| (key.name.to_owned(), key.schema))
        .collect();
    let mut table = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        with(&mut table, "required", required.into());
    }
    table
}

/// Adds a keyword to a schema.
fn with(schema: &mut Value, keyword: &str, value: Value) {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(keyword.to_owned(), value);
    }
}

/// A schema of `$defs`.
fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn text() -> Value {
    json!({ "type": "string" })
}

/// Text of a form.
fn pattern(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn words(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn integer(least: i64) -> Value {
    json!({ "type": "integer", "minimum": least })
}

fn integer_to(least: i64, most: i64) -> Value {
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// A list that is not empty.
fn some(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}

fn any_of(schemas: &[Value]) -> Value {
    json!({ "anyOf": schemas })
}

fn object() -> Value {
    json!({ "type": "object" })
}

#[cfg(test)]
mod tests;
