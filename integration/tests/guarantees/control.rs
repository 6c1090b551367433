//! `{p}.control` as two versions of the services leave it behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use integration::stack::Stack;
use model::wire::{RecordKind, schema_key};
use model::{Announcement, Epoch, Framing, Lsn, Schemas, SourceCause, Topics};
use runtime::kafka::{Kafka, NewTopic, Settings, only_partition};
use serde_json::{Value, json};
use testkit::unique;

/// Two services of a newer version may write its schema at once, and compaction keeps the later of
/// two equal records: behind the first announcement that needs it.
#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_that_stands_before_its_schema_is_read_by_both_services() -> Result<()> {
    // GIVEN an announcement of a newer version, and its schema behind it.
    let kafka = Kafka::new(Settings::new(&Stack::from_env()?.kafka, "test"))?;
    let topics = Topics::new(unique("control"));
    let at = only_partition(&topics.control());
    let new = NewTopic {
        name: topics.control(),
        partitions: 1,
        replication: None,
        settings: BTreeMap::new(),
    };
    for created in kafka.topics()?.create(&[new]).await? {
        created?;
    }
    let announcement = Announcement::Source {
        epoch: Epoch::new(3),
        system_identifier: 7,
        database_oid: 5,
        database: "shop".to_owned(),
        timeline: 1,
        slot: "flusso".to_owned(),
        start_lsn: Lsn::new(1),
        cause: SourceCause::First,
        reason: String::new(),
        at_us: 0,
    };
    let mut newer: Value = serde_json::from_str(RecordKind::Announcement.schema_json())?;
    newer
        .get_mut("fields")
        .and_then(Value::as_array_mut)
        .context("no fields")?
        .push(json!({"name": "later", "type": ["null", "string"], "default": null}));
    let newer = newer.to_string();
    let fingerprint = Schemas::new()?.add(&newer)?;
    let mut bytes = Schemas::new()?.encode(&announcement, Framing::SingleObject)?;
    bytes
        .get_mut(2..10)
        .context("no fingerprint")?
        .copy_from_slice(&fingerprint.get().to_le_bytes());
    // The added field: the first branch of its union, null.
    bytes.push(0);
    let writer = kafka.acknowledged()?;
    let key = announcement.record_key();
    writer.send(&at, key.as_bytes(), Some(&bytes)).await?;
    let key = schema_key(fingerprint);
    writer
        .send(&at, key.as_bytes(), Some(newer.as_bytes()))
        .await?;
    // WHEN either service starts THEN it knows what was announced.
    let control = capture_svc::control::Control::open(&kafka, &topics).await?;
    let source = control.state().source().context("capture: no source")?;
    assert_eq!(source.epoch, Epoch::new(3));
    let schemas = Arc::new(Schemas::new()?);
    let (control, _reader) =
        worker_svc::coordinate::Control::open(&kafka, &topics, schemas).await??;
    let word = control.view().epoch().context("worker: no source")?;
    assert_eq!(word.epoch, Epoch::new(3));
    kafka.topics()?.delete(&[topics.control().as_str()]).await?;
    Ok(())
}
