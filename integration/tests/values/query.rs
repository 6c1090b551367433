//! Short words for searches.
//!
//! | word | search |
//! |---|---|
//! | `= JSON` | term |
//! | `match JSON` | match |
//! | `range JSON` | range |
//! | `geo DISTANCE LAT,LON` | `geo_distance` |
//! | `exists`, `absent` | the field has a value, has none |
//! | `nested JSON` | a search inside a nested field, whose name is `_` |
//!
//! `.path` before the word: a subfield, or a key of an object.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The search that the words mean for a field; `None` for no words.
pub(crate) fn query(words: &str, field: &str) -> Result<Option<Value>> {
    let read = || -> Result<Option<Value>> {
        let (path, words) = match words.strip_prefix('.') {
            Some(rest) => {
                let (path, words) = rest.split_once(' ').context("a path and nothing else")?;
                (format!("{field}.{path}"), words)
            }
            None => (field.to_owned(), words),
        };
        let (word, argument) = words.split_once(' ').unwrap_or((words, ""));
        let json = || serde_json::from_str::<Value>(argument).context("the argument is no JSON");
        Ok(Some(match word {
            "" => return Ok(None),
            "=" => json!({ "term": { path: json()? } }),
            "match" => json!({ "match": { path: json()? } }),
            "range" => json!({ "range": { path: json()? } }),
            "exists" => json!({ "exists": { "field": path } }),
            "absent" => json!({ "bool": { "must_not": { "exists": { "field": path } } } }),
            "geo" => {
                let (distance, at) = argument.split_once(' ').context("a distance and a point")?;
                json!({ "geo_distance": { "distance": distance, path: at } })
            }
            "nested" => {
                let inside: Value =
                    serde_json::from_str(&argument.replace("_.", &format!("{path}.")))?;
                json!({ "nested": { "path": path, "query": inside } })
            }
            other => bail!("no such word: {other}"),
        }))
    };
    read().with_context(|| format!("search {words:?}"))
}

/// Whether any answer is there, in words for a person.
pub(crate) fn hits(response: &Value) -> Result<Vec<String>> {
    if let Some(error) = response.get("error") {
        bail!("{error}");
    }
    let hits = response
        .pointer("/hits/hits")
        .and_then(Value::as_array)
        .context("no hits in the answer")?;
    Ok(hits
        .iter()
        .filter_map(|hit| Some(hit.get("_id")?.as_str()?.to_owned()))
        .collect())
}
