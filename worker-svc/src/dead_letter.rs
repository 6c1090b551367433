//! Documents that cannot be written, recorded before anything counts as done.
//! In: a document, its error, its cause. Out: a record of `{p}.dlq`, acknowledged.
//! Must hold: W1: the offset may move only after [`DeadLetters::record`] has ended well.
//! Must not: decide that a document is given up; `on_error` does.

use std::sync::Arc;

use model::{
    Change, DeadLetter, FeedId, Framing, RecordPosition, Schemas, Stage, Topics, partition_of,
};
use runtime::kafka::TopicPartition;
use serde_json::{Value, json};

use crate::build::now_us;
use crate::feed::Broker;
use crate::outcome::Refusal;
use crate::{Definite, Transient};

/// What a document failed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Where.
    pub stage: Stage,
    /// The HTTP status of the item, if there was one.
    pub status: Option<u16>,
    /// OpenSearch's error type, or the SQLSTATE.
    pub error_type: String,
    /// The server's words, row values included.
    pub reason: String,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure {
            stage: Stage::Write,
            status: refusal.status,
            error_type: refusal.error_type,
            reason: refusal.reason,
        }
    }
}

/// One document to be recorded.
#[derive(Debug)]
pub struct Letter<'a> {
    /// Its id; for one that could not be built, its key's parts joined as far as known.
    pub id: &'a str,
    /// Its key.
    pub key: &'a [String],
    /// Its body, if it was built.
    pub document: Option<&'a [u8]>,
    /// What it failed with.
    pub failure: Failure,
    /// The record that caused the build, if that is known.
    pub source: Option<RecordPosition>,
    /// That record's change.
    pub change: Option<&'a Change>,
}

/// Writes the dead letters of one feed.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    /// The edge to Kafka.
    pub broker: Arc<dyn Broker>,
    /// The deployment's topics.
    pub topics: Topics,
    /// How records are written.
    pub schemas: Arc<Schemas>,
    /// The framing in use.
    pub framing: Framing,
    /// The feed.
    pub feed: FeedId,
    /// Its group.
    pub group: String,
}

impl DeadLetters {
    /// Records one document. It is durable when this ends well.
    ///
    /// # Errors
    /// Kafka did not take it: try again; inside: it cannot be encoded.
    pub async fn record(&self, letter: &Letter<'_>) -> Result<Result<(), Definite>, Transient> {
        let record = self.dead_letter(letter);
        let topic = self.topics.dlq();
        let bytes = match self.schemas.encode(&record, self.framing) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(Definite::Setup(format!("a dead letter: {error}")))),
        };
        let partitions = self.broker.partitions(&topic).await?;
        let key = letter.id.as_bytes();
        let at = TopicPartition::new(topic, partition_of(key, partitions));
        self.broker.publish(&at, key, &bytes).await?;
        Ok(Ok(()))
    }

    fn dead_letter(&self, letter: &Letter<'_>) -> DeadLetter {
        DeadLetter {
            feed: self.feed.clone(),
            group: self.group.clone(),
            id: letter.id.to_owned(),
            key: Some(letter.key.to_vec()),
            document: letter
                .document
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
            stage: letter.failure.stage,
            status: letter.failure.status,
            error_type: letter.failure.error_type.clone(),
            error_reason: letter.failure.reason.clone(),
            source: letter.source.clone(),
            change: letter.change.map(|change| change_json(change).to_string()),
            at_us: now_us(),
            settles: None,
            settlement: None,
        }
    }
}

/// A change as people read it.
fn change_json(change: &Change) -> Value {
    let columns = |columns: &[model::ColumnValue]| -> Value {
        columns
            .iter()
            .map(|column| (column.name.as_str().to_owned(), json!(column.value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "table": change.table.to_string(),
        "op": format!("{:?}", change.op).to_lowercase(),
        "key": columns(&change.key),
        "old_key": change.old_key.as_deref().map(columns),
        "before": change.before.as_deref().map(columns),
        "after": change.after.as_deref().map(columns),
        "position": change.position().to_string(),
        "xid": change.xid.to_string(),
    })
}
