//! The independent truth: builds every document of an index from whole tables, in memory.
//! In: a `*.schema.yml` and a connection. Out: id → document, to compare with an index.
//! Must not: share code with the product, or be clever: it reads everything in one snapshot, joins
//! with hash maps, and renders values from Postgres' own text output.
//! Why it can be trusted: what it does is so plain that a fault of the product and a fault here
//! would have to be the same by chance.

pub mod compare;
mod document;
pub mod json;
mod tables;

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

pub use compare::{Comparison, Found, compare, compare_documents};
pub use json::Json;

/// Documents by id.
pub type Documents = BTreeMap<String, Json>;

/// Builds every document that `schema` (the text of a `*.schema.yml`) describes, from one snapshot
/// of the database.
///
/// # Errors
/// When the file uses something that the oracle does not know, or the database cannot be read.
pub async fn documents(schema: &str, database: &mut tokio_postgres::Client) -> Result<Documents> {
    // The core schema of YAML 1.2: `no` is a text.
    let strict = serde_saphyr::options! { strict_booleans: true };
    let file: Value = serde_saphyr::from_str_with_options(schema, strict)
        .context("the oracle cannot read the schema file")?;
    let mut tables = tables::Tables::load(&file, database).await?;
    Ok(document::build_all(&file, &mut tables)?
        .into_iter()
        .map(|(id, document)| (id, from_value(document)))
        .collect())
}

fn from_value(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(value),
        Value::Number(number) => {
            let value = number.as_f64().unwrap_or(f64::NAN);
            let within = 1e-9 * value.abs();
            Json::Near { value, within }
        }
        Value::String(text) => Json::String(text),
        Value::Array(elements) => Json::Array(elements.into_iter().map(from_value).collect()),
        Value::Object(members) => Json::Object(
            members
                .into_iter()
                .map(|(name, value)| (name, from_value(value)))
                .collect(),
        ),
    }
}
