//! What the services tell each other through `{p}.control`: one compacted
//! partition, so the last announcement of each key stays.

use serde::{Deserialize, Serialize};

use crate::feed::FeedId;
use crate::lsn::Lsn;
use crate::needs::Needs;
use crate::position::Epoch;
use crate::run::ServerRun;
use crate::table::TableName;
use crate::version::Incarnation;
use crate::wire::symbols_with_default;

/// One record of `{p}.control`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Announcement {
    /// Capture: a new epoch, announced before its slot is made. The highest
    /// epoch wins; earlier ones stay as history.
    Source {
        /// The epoch that begins.
        epoch: Epoch,
        /// The cluster that is read.
        #[serde(with = "crate::wire::bits")]
        system_identifier: u64,
        /// The database within it.
        database_oid: u32,
        /// That database's name.
        database: String,
        /// The timeline that is read.
        timeline: u32,
        /// The slot's name.
        slot: String,
        /// The lowest LSN the epoch may carry.
        start_lsn: Lsn,
        /// Why the epoch began, which tells the workers what to do.
        cause: SourceCause,
        /// The same in words, for people.
        reason: String,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// Capture: the partition count that keys of a topic are placed by.
    Partitioning {
        /// The topic's full name.
        topic: String,
        /// The count in force.
        partitions: u32,
        /// The count before; `None` for the first.
        previous: Option<u32>,
        /// The epoch of `since_lsn`.
        epoch: Epoch,
        /// Records at or above this LSN are placed by `partitions`; all below
        /// were acknowledged before this announcement.
        since_lsn: Lsn,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// Worker: a feed, whether it holds the slot back, and what it needs.
    Feed {
        /// The feed.
        feed: FeedId,
        /// Its consumer group.
        group: String,
        /// Whether it holds the slot back.
        state: FeedState,
        /// The hash of the generation's definition.
        definition: String,
        /// What it needs of the stream.
        needs: Needs,
        /// The tables under a chunk plan or a verify: all of their columns
        /// count as used meanwhile.
        #[serde(default)]
        scanning: Vec<TableName>,
        /// Rises with every announcement of this feed that asks for something
        /// else; the answer repeats it.
        #[serde(with = "crate::wire::bits")]
        revision: u64,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// Capture: the answer to a feed's needs.
    Served {
        /// The feed's consumer group.
        group: String,
        /// The revision that is answered.
        #[serde(with = "crate::wire::bits")]
        revision: u64,
        /// [`Needs::hash`] of the needs that are answered.
        needs_hash: String,
        /// The tables that are served, with their oids.
        #[serde(default)]
        tables: Vec<ServedTable>,
        /// The tables nothing of which is suppressed now.
        #[serde(default)]
        scanning: Vec<TableName>,
        /// The epoch of `since_lsn`.
        epoch: Epoch,
        /// Since when exactly these needs are served without interruption;
        /// `None` while they are not.
        since_lsn: Option<Lsn>,
        /// What is missing, in words; empty exactly when `since_lsn` is set.
        #[serde(default)]
        waiting_for: Vec<String>,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// Worker: a server run got its number in a registry. Repeated here so
    /// that a lost registry continues above it.
    Incarnation {
        /// The sink that keeps the registry.
        sink: String,
        /// The index prefix of the registry.
        index_prefix: String,
        /// The run.
        run: ServerRun,
        /// Its number.
        number: Incarnation,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// Capture: the partition tree and file nodes of a table as last seen.
    TableState {
        /// The table.
        table: TableName,
        /// Its oid.
        oid: u32,
        /// Its leaves; for a plain table, itself.
        leaves: Vec<Leaf>,
        /// The epoch of `lsn`.
        epoch: Epoch,
        /// The server's log position when it was read.
        lsn: Lsn,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// Capture: rows may have changed without changes in the stream; feeds
    /// that use the table run a repair pass.
    Repair {
        /// The table; `None` means every table.
        table: Option<TableName>,
        /// Why.
        cause: RepairCause,
        /// The same in words: the leaf, the identity found.
        detail: String,
        /// The epoch of `lsn`.
        epoch: Epoch,
        /// The log position at which it was noticed: what a build sees behind
        /// it is right.
        lsn: Lsn,
        /// When, microseconds since 1970.
        at_us: i64,
    },
    /// A person: another cluster behind the same address is the source from
    /// now on.
    AcceptSource {
        /// The cluster that is accepted.
        #[serde(with = "crate::wire::bits")]
        system_identifier: u64,
        /// The database within it.
        database_oid: u32,
        /// Who accepted it, as far as known.
        by: String,
        /// When, microseconds since 1970.
        at_us: i64,
    },
}

/// Why an epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum SourceCause {
    /// The first one of the deployment.
    First,
    /// Changes may be missing: new generations are seeded.
    Gap,
    /// The log may have forked with nothing missing: a repair pass.
    Fork,
    /// A person accepted another cluster or database: new generations.
    Accepted,
}

symbols_with_default!(SourceCause, Gap, [First, Gap, Fork, Accepted]);

/// Whether a feed holds the slot back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum FeedState {
    /// It does; paused and stopped feeds too.
    Gating,
    /// Switched off: it does not, but its needs stay served.
    Disabled,
    /// Gone for good: neither.
    Retired,
}

symbols_with_default!(FeedState, Gating, [Gating, Disabled, Retired]);

/// Why a repair pass is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum RepairCause {
    /// A leaf partition was attached with rows.
    LeafAttached,
    /// A leaf partition was detached.
    LeafDetached,
    /// A leaf partition was dropped.
    LeafDropped,
    /// A leaf partition was truncated by its own name.
    LeafTruncated,
    /// The replica identity in force did not carry the old routing values.
    OldValuesUnknown,
    /// The server may have lost transactions that were built from.
    LostTransactions,
    /// The partition count changed while keys were in flight.
    Repartitioned,
}

symbols_with_default!(
    RepairCause,
    LostTransactions,
    [
        LeafAttached,
        LeafDetached,
        LeafDropped,
        LeafTruncated,
        OldValuesUnknown,
        LostTransactions,
        Repartitioned
    ]
);

/// A table that is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ServedTable {
    /// The table.
    pub table: TableName,
    /// Its oid: a table created anew under this name is another one.
    pub oid: u32,
}

/// A leaf of a partitioned table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leaf {
    /// The leaf's own name.
    pub table: TableName,
    /// Its oid.
    pub oid: u32,
    /// Its file node: changes with a truncate and with a rewrite.
    pub file_node: u32,
}

impl Announcement {
    /// The key its record is published under: `kind/id`. A later record of
    /// the same key replaces this one.
    #[must_use]
    pub fn record_key(&self) -> String {
        match self {
            Announcement::Source { epoch, .. } => format!("source/{epoch}"),
            Announcement::Partitioning { topic, .. } => format!("partitioning/{topic}"),
            Announcement::Feed { group, .. } => format!("feed/{group}"),
            Announcement::Served { group, .. } => format!("served/{group}"),
            Announcement::Incarnation {
                sink,
                index_prefix,
                number,
                ..
            } => {
                format!("incarnation/{sink}/{index_prefix}/{number}")
            }
            Announcement::TableState { table, .. } => format!("table/{table}"),
            Announcement::Repair {
                table: Some(table),
                epoch,
                lsn,
                ..
            } => {
                format!("repair/{table}/{epoch}-{lsn}")
            }
            Announcement::Repair {
                table: None,
                epoch,
                lsn,
                ..
            } => {
                format!("repair/*/{epoch}-{lsn}")
            }
            Announcement::AcceptSource {
                system_identifier,
                database_oid,
                ..
            } => {
                format!("accept/{system_identifier}/{database_oid}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repair(table: Option<TableName>) -> Announcement {
        Announcement::Repair {
            table,
            cause: RepairCause::LeafDropped,
            detail: String::new(),
            epoch: Epoch::new(2),
            lsn: Lsn::new(0x1_0000_0002),
            at_us: 0,
        }
    }

    #[test]
    fn repairs_of_different_tables_and_times_are_kept_apart() {
        let shows = Some(TableName::new("public", "shows"));
        assert_eq!(repair(shows).record_key(), "repair/public.shows/2-1/2");
        assert_eq!(repair(None).record_key(), "repair/*/2-1/2");
    }

    #[test]
    fn epochs_are_kept_as_history() {
        let source = |epoch| Announcement::Source {
            epoch: Epoch::new(epoch),
            system_identifier: 1,
            database_oid: 5,
            database: String::new(),
            timeline: 1,
            slot: String::new(),
            start_lsn: Lsn::INVALID,
            cause: SourceCause::First,
            reason: String::new(),
            at_us: 0,
        };
        assert_eq!(source(1).record_key(), "source/1");
        assert_ne!(source(1).record_key(), source(2).record_key());
    }
}
