//! A part of a plan: what one record of `{p}.backfill` or `{p}.fanout` asks
//! the workers of one feed to build.

use serde::{Deserialize, Serialize};

use crate::feed::FeedId;
use crate::position::{Epoch, Offset, Partition};
use crate::snapshot::Xid;
use crate::table::TableName;
use crate::version::Incarnation;
use crate::wire::symbols_with_default;

/// The place of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordPosition {
    /// The topic's full name.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
    /// The record's offset.
    pub offset: Offset,
}

/// One record of `{p}.backfill` or `{p}.fanout`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// The feed that builds it.
    pub feed: FeedId,
    /// That feed's consumer group, which also names topic and index prefix.
    pub group: String,
    /// The plan it belongs to; unique within the feed.
    pub plan: String,
    /// Its number in the plan, from 0.
    pub number: u32,
    /// The epoch it was written in: `xid` is looked for only while that epoch
    /// is the newest one.
    pub epoch: Epoch,
    /// The server run in which `visible_from` and `xid` are meant. In a later
    /// one both count as visible.
    pub incarnation: Incarnation,
    /// Build only from a snapshot whose xmin lies above this transaction.
    /// `None`: any snapshot will do.
    pub visible_from: Option<Xid>,
    /// The highest transaction among the changes that caused it; the snapshot
    /// must see it. `None` when no change did.
    pub xid: Option<Xid>,
    /// Why it was planned.
    pub cause: ChunkCause,
    /// What is to be built.
    pub work: Work,
    /// The record that caused it: the change of a fan-out. `None` otherwise.
    pub source: Option<RecordPosition>,
    /// The dead letters that building it settles. Empty unless re-driven.
    #[serde(default)]
    pub settles: Vec<RecordPosition>,
}

/// Why a chunk was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum ChunkCause {
    /// The generation is filled from the existing rows.
    Seed,
    /// A change affects more documents than one batch builds.
    Fanout,
    /// A verify suspects these documents, or a repair pass covers them.
    Repair,
    /// Dead letters are tried again.
    Redrive,
}

symbols_with_default!(ChunkCause, Repair, [Seed, Fanout, Repair, Redrive]);

/// The documents of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Work {
    /// The root rows in a range of blocks of one table.
    Blocks {
        /// The table, or the leaf of a partitioned one.
        table: TableName,
        /// Its oid, to notice a table that was created anew.
        oid: u32,
        /// Its file node when the plan was made, to notice a rewrite.
        file_node: u32,
        /// The first block.
        from: u32,
        /// The block after the last; `None` is open-ended.
        to: Option<u32>,
    },
    /// The documents with these keys: per document the key columns' texts, in
    /// the order of the document key.
    Keys(Vec<Vec<String>>),
}

impl Chunk {
    /// The key its record is published under: `{group}/{plan}/{number}`.
    #[must_use]
    pub fn record_key(&self) -> String {
        format!("{}/{}/{}", self.group, self.plan, self.number)
    }

    /// `true` when a chunk's record key belongs to the feed of `group`, told
    /// without decoding the record.
    #[must_use]
    pub fn key_is_of(key: &[u8], group: &str) -> bool {
        key.strip_prefix(group.as_bytes())
            .is_some_and(|rest| rest.first() == Some(&b'/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_one_group_only() {
        assert!(Chunk::key_is_of(
            b"shop.main.shows.g1/seed-1/17",
            "shop.main.shows.g1"
        ));
        assert!(!Chunk::key_is_of(
            b"shop.main.shows.g10/seed-1/17",
            "shop.main.shows.g1"
        ));
        assert!(!Chunk::key_is_of(
            b"shop.main.shows.g1",
            "shop.main.shows.g1"
        ));
        assert!(!Chunk::key_is_of(b"", "shop.main.shows.g1"));
    }
}
