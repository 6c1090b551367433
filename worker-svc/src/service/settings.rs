//! Settings of an index that change in place: refresh interval, replicas, `gc_deletes` and the
//! dynamic ones of `index_settings`.
//! In: the options in the files, the settings that the index has. Out: what was changed.
//! Must not: touch an index that is being seeded; *finish* restores what it needs. Nor stop a
//! feed: documents are right under any of these.

use definition::Index;
use definition::deployment::{IndexOptions, RefreshInterval, Sink, is_static_setting};
use serde_json::{Map, Value, json};

use super::ensure::options_of;
use crate::registry::{GenerationRecord, State};
use crate::sink::{self, Failure};

/// Brings a seeded index to what the files say. The names of what was changed, none for an
/// index that is being seeded or is not there.
///
/// # Errors
/// No answer, or a setting is refused.
pub async fn adjust(
    client: &sink::Sink,
    sink: &Sink,
    index: &Index,
    record: &GenerationRecord,
) -> Result<Vec<String>, Failure> {
    if !matches!(record.state, State::Active | State::Standby) {
        return Ok(Vec::new());
    }
    let Some(found) = client.index(&record.index_name).await? else {
        return Ok(Vec::new());
    };
    let changes = differences(&wanted(&options_of(sink, index)), &found.settings);
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let names = changes.keys().cloned().collect();
    client
        .put_settings(&record.index_name, &Value::Object(changes))
        .await?;
    Ok(names)
}

/// The settings by their full names, as OpenSearch shows them; null for the server's default.
fn wanted(options: &IndexOptions) -> Map<String, Value> {
    let gc_deletes = RefreshInterval::Every(options.gc_deletes).to_string();
    let own = [
        (
            "refresh_interval",
            json!(options.refresh_interval.to_string()),
        ),
        ("number_of_replicas", json!(options.number_of_replicas)),
        ("gc_deletes", json!(gc_deletes)),
    ];
    let more = options.index_settings.iter();
    own.iter()
        .map(|(name, value)| (*name, value))
        .chain(more.map(|(name, value)| (name.as_str(), value)))
        .filter(|(name, _)| !is_static_setting(name))
        .map(|(name, value)| (format!("index.{name}"), shown(value)))
        .collect()
}

/// Every scalar is shown as text.
fn shown(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => Value::String(value.to_string()),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Null | Value::String(_) | Value::Object(_) => value.clone(),
    }
}

/// What is wanted and not so. A setting that the files do not name is left alone.
fn differences(wanted: &Map<String, Value>, found: &Map<String, Value>) -> Map<String, Value> {
    wanted
        .iter()
        .filter(|(name, value)| found.get(*name).unwrap_or(&Value::Null) != *value)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_as_wanted_is_left_alone_and_the_rest_is_changed() {
        // GIVEN
        let options = IndexOptions {
            number_of_replicas: 2,
            index_settings: map(&json!({
                "max_result_window": 20_000,
                "search.slowlog.threshold.query.warn": "5s",
                "default_pipeline": null,
                "query.default_field": ["a", "b"],
                "codec": "best_compression",
            })),
            ..IndexOptions::default()
        };
        let mut found = map(&json!({
            "index.refresh_interval": "10s",
            "index.number_of_replicas": "1",
            "index.gc_deletes": "600s",
            "index.max_result_window": "20000",
            "index.query.default_field": ["a", "b"],
            "index.codec": "default",
            "index.uuid": "x",
        }));
        // WHEN
        let changes = differences(&wanted(&options), &found);
        // THEN the static codec is not among them
        let expected = json!({
            "index.number_of_replicas": "2",
            "index.search.slowlog.threshold.query.warn": "5s",
        });
        assert_eq!(Value::Object(changes.clone()), expected);
        found.extend(changes);
        assert!(differences(&wanted(&options), &found).is_empty());
    }
}
