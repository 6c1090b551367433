//! The record of one generation: everything needed to run it when its file is gone.

use model::{
    ColumnName, Epoch, FeedId, Generation, Incarnation, Lsn, Needs, Offset, Partition, TableName,
    Xid,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Record;
use crate::error::Definite;

/// Where a generation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Claimed: its index and positions are being made. Nobody consumes yet.
    Planned,
    /// Being seeded and caught up. Consumed.
    Building,
    /// The alias points to it.
    Active,
    /// Was active; still fed, for a roll back.
    Standby,
    /// Index and group are gone, or about to be.
    Retired,
}

impl State {
    /// The word in registry, status and commands.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Building => "building",
            State::Active => "active",
            State::Standby => "standby",
            State::Retired => "retired",
        }
    }

    /// Workers consume for it.
    #[must_use]
    pub fn is_fed(self) -> bool {
        matches!(self, State::Building | State::Active | State::Standby)
    }
}

/// Why a generation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The index did not exist.
    First,
    /// Its definition changed.
    Definition,
    /// Somebody asked for a reindex.
    Reindex,
    /// Changes may be missing: an epoch with a gap, or expired offsets.
    Gap,
    /// A used table was re-created or a used column changed.
    Fingerprint,
    /// Another source was accepted.
    Accepted,
}

/// One generation of one index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// The index's logical name.
    pub index: String,
    /// Its number.
    pub number: Generation,
    /// The sink's name.
    pub sink: String,
    /// The deployment's topic prefix: positions are meant in its topics.
    pub topic_prefix: String,
    /// Its consumer group.
    pub group: String,
    /// The concrete OpenSearch index.
    pub index_name: String,
    /// Where it stands.
    pub state: State,
    /// Why it was made.
    pub cause: Cause,
    /// A random text of whoever made the record, to know one's own after a lost reply.
    pub made_by: String,
    /// The definition as lossless JSON text, so that it is run when its file is gone.
    pub definition: String,
    /// `sha256:…` of the definition with the index options that belong to it.
    pub definition_hash: String,
    /// The body the index is made with: settings and mapping.
    pub index_body: Value,
    /// Settings that are restored when it is seeded, e.g. the refresh interval.
    #[serde(default)]
    pub settings_when_seeded: Value,
    /// The ingest pipeline of its writes.
    #[serde(default)]
    pub pipeline: Option<String>,
    /// Oids, keys and types of what it reads, as found when it was made.
    pub source_fingerprint: String,
    /// Every table it reads.
    pub tables: Vec<TableName>,
    /// The root table.
    pub root: TableName,
    /// The document key.
    pub key: Vec<ColumnName>,
    /// What it needs of the stream.
    pub needs: Needs,
    /// Tables under a plan or verify: nothing of them is suppressed.
    #[serde(default)]
    pub scanning: Vec<TableName>,
    /// The revision of the last announcement; rises with every other wish.
    #[serde(default)]
    pub revision: u64,
    /// Microseconds since 1970.
    pub created_at_us: i64,
    /// The product version that made it.
    pub product_version: String,
    /// Capture's answer that seeding relied on; `None` until it came.
    #[serde(default)]
    pub served: Option<ServedRecord>,
    /// Where it started; `None` until the positions were read.
    #[serde(default)]
    pub birth: Option<Birth>,
    /// From which snapshot on its chunks may be built; `None` until it was taken.
    #[serde(default)]
    pub visible_from: Option<VisibleFrom>,
    /// The newest chunk plan; `None` until there is one.
    #[serde(default)]
    pub plan: Option<PlanRecord>,
    /// 0 to 100, one decimal.
    #[serde(default)]
    pub seeded_percent: f64,
    /// When the last chunk was done.
    #[serde(default)]
    pub seeded_at_us: Option<i64>,
    /// When the alias moved to it, the last time.
    #[serde(default)]
    pub activated_at_us: Option<i64>,
    /// When it was retired.
    #[serde(default)]
    pub retired_at_us: Option<i64>,
    /// Paused, stopped, resumed.
    #[serde(default)]
    pub control: FeedControl,
    /// The highest incarnation and epoch whose lost transactions were repaired.
    #[serde(default)]
    pub repaired_through: Option<(Epoch, Incarnation)>,
    /// Repair passes asked for, newest last; done ones are dropped after a while.
    #[serde(default)]
    pub repairs: Vec<RepairRequest>,
    /// A window of changes that is being driven through again.
    #[serde(default)]
    pub replay: Option<Replay>,
    /// Members that a newer version wrote.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Capture's answer to the feed's needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedRecord {
    /// The revision that was answered.
    pub revision: u64,
    /// The needs that were answered.
    pub needs_hash: String,
    /// The epoch of `since_lsn`.
    pub epoch: Epoch,
    /// Since when they are served without interruption.
    pub since_lsn: Lsn,
}

/// Where a generation started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// The epoch then; announcements of earlier ones do not concern it.
    pub epoch: Epoch,
    /// The end of `{p}.control` then; repairs announced below do not concern it.
    pub control_end: Offset,
    /// The ends of the three topics.
    pub topics: Vec<TopicPositions>,
    /// When they were read, microseconds since 1970.
    pub at_us: i64,
    /// They stand in the consumer group.
    pub committed: bool,
}

/// The positions in one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPositions {
    /// The topic's full name.
    pub topic: String,
    /// One per partition, from 0.
    pub partitions: Vec<PartitionPosition>,
}

/// The position in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionPosition {
    /// The partition.
    pub partition: Partition,
    /// The next record to read.
    pub offset: Offset,
    /// The metadata it is committed with; empty for topics other than `changes`.
    #[serde(default)]
    pub metadata: String,
}

/// X0: a chunk is built only from a snapshot whose xmin lies above it, or in a later run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisibleFrom {
    /// `pg_current_xact_id()` of a transaction of its own, after the positions.
    pub xid: Xid,
    /// The run it was taken in.
    pub incarnation: Incarnation,
}

/// A chunk plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Its name, unique within the feed; in every chunk.
    pub id: String,
    /// How many plans there were before it.
    pub attempt: u32,
    /// Root rows per chunk that it was made for.
    pub chunk_rows: u64,
    /// The leaves with their blocks, in the order of the chunks.
    pub leaves: Vec<Blocks>,
    /// How many chunks it has.
    pub chunks: u32,
    /// The partitions it is spread over.
    pub partitions: u32,
    /// The ends of `{p}.backfill` before the first chunk was written.
    pub starts: Vec<(Partition, Offset)>,
    /// Per partition the offset after its last chunk; `None` until all are acknowledged.
    #[serde(default)]
    pub ends: Option<Vec<(Partition, Offset)>>,
    /// When it was made, microseconds since 1970.
    pub at_us: i64,
    /// Rewrites that chunks noticed. Any entry means: plan the whole table anew.
    #[serde(default)]
    pub replan: Vec<Replan>,
}

/// The blocks of one leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// The leaf, or the table itself.
    pub table: TableName,
    /// Its oid.
    pub oid: u32,
    /// Its file node when it was planned.
    pub file_node: u32,
    /// Its size in blocks then.
    pub blocks: u32,
    /// Blocks per chunk, at least 1.
    pub per_chunk: u32,
}

/// A chunk met a leaf that is not the one that was planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replan {
    /// The leaf.
    pub table: TableName,
    /// Its oid as planned.
    pub oid: u32,
    /// Its file node as planned.
    pub file_node: u32,
    /// The file node that was found; `None` when the leaf is gone or detached.
    pub found: Option<u32>,
    /// When, microseconds since 1970.
    pub at_us: i64,
}

/// Paused, stopped, resumed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedControl {
    /// A person halted it.
    #[serde(default)]
    pub paused: bool,
    /// It halted itself.
    #[serde(default)]
    pub stop: Option<Stop>,
    /// How often it was resumed. A worker that stopped it on account of an earlier
    /// count is out of date and writes nothing.
    #[serde(default)]
    pub resumes: u64,
}

/// Why a feed halted itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The code of the error table.
    pub code: String,
    /// The reason in words, without row values.
    pub reason: String,
    /// What a person can do.
    pub advice: String,
    /// When, microseconds since 1970.
    pub at_us: i64,
}

impl Stop {
    /// The stop for this error, now.
    #[must_use]
    pub fn new(error: &Definite, at_us: i64) -> Self {
        let rule = error.rule();
        Stop {
            code: rule.code.to_owned(),
            reason: error.to_string(),
            advice: rule.advice.to_owned(),
            at_us,
        }
    }
}

/// A repair pass that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRequest {
    /// What asked for it: the key of the announcement, or a command's name.
    pub id: String,
    /// The tables whose rows may be wrong; empty means all.
    pub tables: Vec<TableName>,
    /// When, microseconds since 1970.
    pub at_us: i64,
    /// Per partition of `{p}.fanout` the offset after its last chunk.
    #[serde(default)]
    pub ends: Option<Vec<(Partition, Offset)>>,
    /// When it was done.
    #[serde(default)]
    pub done_at_us: Option<i64>,
}

/// A window of `changes` that is driven through the feed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// Its name.
    pub id: String,
    /// Where each partition starts.
    pub from: Vec<(Partition, Offset)>,
    /// Where each partition ends, exclusive: where it stood when it was asked for.
    pub to: Vec<(Partition, Offset)>,
    /// Partitions that are through.
    #[serde(default)]
    pub done: Vec<Partition>,
    /// When it was asked for, microseconds since 1970.
    pub at_us: i64,
}

impl GenerationRecord {
    /// The id of the record of generation `number` of `index`.
    #[must_use]
    pub fn id_of(index: &str, number: Generation) -> String {
        format!("generation/{index}/{number}")
    }

    /// The feed that fills it.
    #[must_use]
    pub fn feed(&self) -> FeedId {
        FeedId::new(self.sink.clone(), self.index.clone(), self.number)
    }
}

impl Record for GenerationRecord {
    const KIND: &'static str = "generation";

    fn id(&self) -> String {
        Self::id_of(&self.index, self.number)
    }

    fn labels(&self) -> Map<String, Value> {
        Map::from_iter([
            (String::from("index"), json!(self.index)),
            (String::from("state"), json!(self.state)),
        ])
    }
}
