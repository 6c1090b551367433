//! A refused document, as one record of `{p}.dlq`; or the note that an
//! earlier one was settled.

use serde::{Deserialize, Serialize};

use crate::chunk::RecordPosition;
use crate::feed::FeedId;
use crate::wire::symbols_with_default;

/// One record of `{p}.dlq`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The feed it was refused in.
    pub feed: FeedId,
    /// That feed's consumer group, which also names topic and index prefix.
    pub group: String,
    /// The document's id in OpenSearch; also the record key.
    pub id: String,
    /// The document key's texts, for trying it again; `None` when the id did
    /// not come from a key.
    pub key: Option<Vec<String>>,
    /// The refused document, JSON; `None` when none could be built, or for a
    /// settlement.
    pub document: Option<String>,
    /// Where it failed.
    pub stage: Stage,
    /// The HTTP status of the item; `None` when Postgres refused it.
    pub status: Option<u16>,
    /// OpenSearch's error type, or the SQLSTATE.
    pub error_type: String,
    /// The reason in words, as the server gave it.
    pub error_reason: String,
    /// The record that caused the build: a change or a chunk.
    pub source: Option<RecordPosition>,
    /// That change as JSON; `None` when the cause was a chunk.
    pub change: Option<String>,
    /// When it was refused or settled, microseconds since 1970.
    pub at_us: i64,
    /// The dead letter that this record settles; `None` for a new one.
    pub settles: Option<RecordPosition>,
    /// How it was settled; present exactly when `settles` is.
    pub settlement: Option<Settlement>,
}

/// Where a document failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Stage {
    /// Postgres could not build it.
    Build,
    /// OpenSearch refused it.
    Write,
}

symbols_with_default!(Stage, Write, [Build, Write]);

/// How a dead letter was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Settlement {
    /// It was built again and is durable in the index.
    Redriven,
    /// A person gave it up.
    Dropped,
}
