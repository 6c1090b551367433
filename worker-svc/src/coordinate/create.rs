//! Claims the next generation of an index.
//! Must hold: numbers are never reused, also when the registry was lost while indexes
//! stayed; of several who start at once exactly one generation comes out.
//! Why the record is written before the index's one: writing it is the claim (only one
//! writer can), and the index's record is mended by whoever comes next.

use model::{ColumnName, Generation, Needs, TableName};
use serde_json::{Map, Value, json};

use super::drive::definite;
use super::now_us;
use crate::error::{Definite, Transient};
use crate::registry::{Cause, Entry, FeedControl, GenerationRecord, IndexRecord, Registry, State};

type Done<T> = Result<Result<T, Definite>, Transient>;

/// Everything a generation is made of, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// The index's logical name.
    pub index: String,
    /// The deployment's topic prefix.
    pub topic_prefix: String,
    /// The cluster that its documents come from.
    pub system_identifier: u64,
    /// The definition as lossless JSON text.
    pub definition: String,
    /// Its hash.
    pub definition_hash: String,
    /// Settings and mapping while it is seeded. `_meta.flusso` is completed here.
    pub index_body: Value,
    /// Settings to restore when it is seeded.
    pub settings_when_seeded: Value,
    /// Its ingest pipeline.
    pub pipeline: Option<String>,
    /// What it was compiled against.
    pub source_fingerprint: String,
    /// Every table it reads.
    pub tables: Vec<TableName>,
    /// The root table.
    pub root: TableName,
    /// The document key.
    pub key: Vec<ColumnName>,
    /// What it needs of the stream.
    pub needs: Needs,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// A new generation.
    New(Generation),
    /// One is planned or being built already: one at a time.
    Underway(Generation),
}

/// The record of an index, made if it is missing.
///
/// # Errors
/// No answer; inside: a record that this version cannot read, or of another sink.
pub async fn index_record(registry: &Registry, index: &str) -> Done<Entry<IndexRecord>> {
    let id = IndexRecord::id_of(index);
    if let Some(entry) = definite!(registry.get::<IndexRecord>(&id).await?) {
        return Ok(same_sink(registry, entry));
    }
    let next = first_free(registry, index).await?;
    let record = IndexRecord::new(index, registry.sink_name(), next);
    if let Some(entry) = registry.create(record).await? {
        return Ok(Ok(entry));
    }
    match definite!(registry.get::<IndexRecord>(&id).await?) {
        Some(entry) => Ok(same_sink(registry, entry)),
        None => Err(Transient::Waiting(format!("registry entry {id}"))),
    }
}

fn same_sink(
    registry: &Registry,
    entry: Entry<IndexRecord>,
) -> Result<Entry<IndexRecord>, Definite> {
    if entry.record.sink == registry.sink_name() {
        return Ok(entry);
    }
    Err(Definite::Registry {
        id: IndexRecord::id_of(&entry.record.index),
        reason: format!(
            "it belongs to sink {:?}, which shares cluster and prefix with {:?}",
            entry.record.sink,
            registry.sink_name()
        ),
    })
}

/// The number after the highest one that an index or a record in the sink has.
async fn first_free(registry: &Registry, index: &str) -> Result<Generation, Transient> {
    let stem = format!("{}{index}-g", registry.index_prefix());
    let names = registry
        .sink()
        .index_names(&format!("{stem}*"))
        .await
        .map_err(|source| Transient::Sink {
            doing: "looking for earlier generations",
            source,
        })?;
    let highest = names
        .iter()
        .filter_map(|name| name.strip_prefix(&stem)?.parse::<u32>().ok())
        .max();
    let next = highest.map_or(Some(Generation::FIRST), |number| {
        Generation::new(number).next()
    });
    next.ok_or_else(|| Transient::Waiting(String::from("a free generation number")))
}

/// Claims the next generation in state *planned*.
///
/// # Errors
/// No answer; inside: a record that this version cannot read, or no numbers left.
pub async fn begin(registry: &Registry, blueprint: &Blueprint, cause: Cause) -> Done<Begun> {
    let made_by = format!("{:016x}", rand::random::<u64>());
    loop {
        let index = definite!(index_record(registry, &blueprint.index).await?).record;
        if let Some(number) = index.building {
            return Ok(Ok(Begun::Underway(number)));
        }
        let number = index.next;
        let record = record(registry, blueprint, cause, number, &made_by);
        let id = GenerationRecord::id_of(&blueprint.index, number);
        let ours = match registry.create(record).await? {
            Some(_) => true,
            // Somebody else was first, or our earlier try came through after all.
            None => definite!(registry.get::<GenerationRecord>(&id).await?)
                .is_some_and(|entry| entry.record.made_by == made_by),
        };
        definite!(note_building(registry, &blueprint.index, number).await?);
        if ours {
            return Ok(Ok(Begun::New(number)));
        }
    }
}

/// Notes a claimed generation in the index's record. Idempotent.
async fn note_building(registry: &Registry, index: &str, number: Generation) -> Done<()> {
    let next = number.next();
    let changed = registry
        .update(&IndexRecord::id_of(index), |record: &mut IndexRecord| {
            if record.next > number {
                return Ok(false);
            }
            record.next = next.ok_or(Definite::NumbersUsedUp("generations"))?;
            record.building = Some(number);
            Ok(true)
        })
        .await?;
    Ok(changed.map(drop))
}

fn record(
    registry: &Registry,
    blueprint: &Blueprint,
    cause: Cause,
    number: Generation,
    made_by: &str,
) -> GenerationRecord {
    let prefix = registry.index_prefix();
    let feed = model::FeedId::new(registry.sink_name(), blueprint.index.clone(), number);
    let created_at_us = now_us();
    let mut index_body = blueprint.index_body.clone();
    complete_meta(&mut index_body, blueprint, number, created_at_us);
    GenerationRecord {
        group: feed.group(&blueprint.topic_prefix, prefix),
        index_name: format!("{prefix}{}-g{number}", blueprint.index),
        index: feed.index,
        number,
        sink: feed.sink,
        topic_prefix: blueprint.topic_prefix.clone(),
        state: State::Planned,
        cause,
        made_by: made_by.to_owned(),
        definition: blueprint.definition.clone(),
        definition_hash: blueprint.definition_hash.clone(),
        index_body,
        settings_when_seeded: blueprint.settings_when_seeded.clone(),
        pipeline: blueprint.pipeline.clone(),
        source_fingerprint: blueprint.source_fingerprint.clone(),
        tables: blueprint.tables.clone(),
        scanning: vec![blueprint.root.clone()],
        root: blueprint.root.clone(),
        key: blueprint.key.clone(),
        needs: blueprint.needs.clone(),
        revision: 1,
        created_at_us,
        product_version: env!("CARGO_PKG_VERSION").to_owned(),
        served: None,
        birth: None,
        visible_from: None,
        plan: None,
        seeded_percent: 0.0,
        seeded_at_us: None,
        activated_at_us: None,
        retired_at_us: None,
        control: FeedControl::default(),
        repaired_through: None,
        repairs: Vec::new(),
        replay: None,
        more: Map::new(),
    }
}

/// What only the claim knows, in `_meta.flusso`: by it the index is known as ours.
fn complete_meta(body: &mut Value, blueprint: &Blueprint, number: Generation, created_at_us: i64) {
    let Some(body) = body.as_object_mut() else {
        return;
    };
    let mappings = body.entry("mappings").or_insert_with(|| json!({}));
    let Some(mappings) = mappings.as_object_mut() else {
        return;
    };
    let meta = mappings.entry("_meta").or_insert_with(|| json!({}));
    let Some(meta) = meta.as_object_mut() else {
        return;
    };
    let ours = meta.entry("flusso").or_insert_with(|| json!({}));
    let Some(ours) = ours.as_object_mut() else {
        return;
    };
    let created_at = jiff::Timestamp::from_microsecond(created_at_us)
        .map(|at| at.to_string())
        .unwrap_or_default();
    for (key, value) in [
        ("index", json!(blueprint.index)),
        ("generation", json!(number)),
        ("definition", json!(blueprint.definition_hash)),
        ("product_version", json!(env!("CARGO_PKG_VERSION"))),
        ("created_at", json!(created_at)),
        // As text: many JSON tools read numbers of this size inexactly.
        (
            "system_identifier",
            json!(blueprint.system_identifier.to_string()),
        ),
    ] {
        ours.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meta_keeps_what_the_mapping_said_and_gets_what_only_the_claim_knows() {
        let blueprint = Blueprint {
            index: "users".into(),
            topic_prefix: "p".into(),
            system_identifier: u64::MAX,
            definition: "{}".into(),
            definition_hash: "sha256:7".into(),
            index_body: json!({"mappings": {"dynamic": "strict", "_meta": {"flusso": {"never_null": ["id"]}}}}),
            settings_when_seeded: Value::Null,
            pipeline: None,
            source_fingerprint: "f".into(),
            tables: vec![],
            root: TableName::new("public", "users"),
            key: vec![],
            needs: Needs::new(),
        };
        let mut body = blueprint.index_body.clone();
        complete_meta(&mut body, &blueprint, Generation::new(4), 0);
        let ours = body.pointer("/mappings/_meta/flusso").unwrap();
        assert_eq!(ours["never_null"], json!(["id"]));
        assert_eq!(ours["generation"], json!(4));
        assert_eq!(ours["definition"], json!("sha256:7"));
        assert_eq!(ours["created_at"], json!("1970-01-01T00:00:00Z"));
        assert_eq!(ours["index"], json!("users"));
        assert_eq!(ours["product_version"], json!(env!("CARGO_PKG_VERSION")));
        assert_eq!(ours["system_identifier"], json!("18446744073709551615"));
        assert_eq!(body.pointer("/mappings/dynamic"), Some(&json!("strict")));
        // A body without mappings gets them.
        let mut empty = json!({});
        complete_meta(&mut empty, &blueprint, Generation::FIRST, 0);
        assert!(empty.pointer("/mappings/_meta/flusso/index").is_some());
    }
}
