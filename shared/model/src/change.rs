//! A row change, as one record of `{p}.changes`.
//! Thin on purpose: the document is rebuilt from the database, so the record
//! says what to look at, not what the row holds.

use serde::{Deserialize, Serialize};

use crate::key::{HEARTBEAT_KEY, row_key};
use crate::lsn::Lsn;
use crate::position::{Epoch, Position, Seq};
use crate::snapshot::Xid;
use crate::table::{ColumnName, TableName};
use crate::wire::symbols_with_default;

/// A column and its value in Postgres' text form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnValue {
    /// The column.
    pub name: ColumnName,
    /// Its text; `None` is NULL.
    pub value: Option<String>,
}

impl ColumnValue {
    /// The column `name` holding `value`.
    #[must_use]
    pub fn new(name: impl Into<ColumnName>, value: Option<String>) -> Self {
        ColumnValue {
            name: name.into(),
            value,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
    /// A deleted row.
    Delete,
    /// All rows of one table gone, without a change for each.
    Truncate,
    /// Nothing: time and the log went on.
    Heartbeat,
}

/// What is known of the routing columns before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum OldValues {
    /// There are none: insert, truncate, heartbeat.
    Absent,
    /// The server sent no old row because none of its identity changed, and
    /// the identity covers all routing columns: they equal the new ones.
    Unchanged,
    /// `before` holds all of them.
    Sent,
    /// The identity in force did not suffice. What `before` lacks or holds as
    /// NULL says nothing about the row; a repair pass of the table follows.
    Unknown,
}

symbols_with_default!(OldValues, Unknown, [Absent, Unchanged, Sent, Unknown]);

/// One record of `{p}.changes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    /// The table (a partitioned table's root). Both names empty for a heartbeat.
    pub table: TableName,
    /// What happened.
    pub op: Operation,
    /// The primary key's columns in its order, new values (the last ones of a
    /// deleted row). Empty for truncate and heartbeat.
    pub key: Vec<ColumnValue>,
    /// The former key, when the change altered it.
    pub old_key: Option<Vec<ColumnValue>>,
    /// How far `before` can be trusted.
    pub old_values: OldValues,
    /// The routing columns before the change. `None` unless `old_values` is
    /// `Sent` (or `Unknown`, with what little was sent).
    pub before: Option<Vec<ColumnValue>>,
    /// The routing columns after the change. `None` for delete, truncate and
    /// heartbeat.
    pub after: Option<Vec<ColumnValue>>,
    /// The epoch that `commit_lsn` belongs to.
    pub epoch: Epoch,
    /// The commit record's LSN; a heartbeat's exclusive position.
    pub commit_lsn: Lsn,
    /// The row message inside its transaction.
    pub seq: Seq,
    /// The transaction, widened to 64 bits; [`Xid::INVALID`] for a heartbeat
    /// outside a transaction.
    pub xid: Xid,
    /// When it committed, microseconds since 1970; 0 for a heartbeat outside
    /// a transaction.
    pub commit_ts_us: i64,
    /// Present for heartbeats only.
    pub heartbeat: Option<Heartbeat>,
}

/// What a heartbeat carries besides its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Capture's clock, microseconds since 1970.
    pub clock_us: i64,
    /// The last transaction that capture published as a whole; `None` before
    /// the first of this epoch.
    pub last: Option<PublishedTransaction>,
}

/// A published transaction, as a reconnecting capture looks for it: if the
/// stream shows another one at this LSN, the log has forked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedTransaction {
    /// Its commit LSN, in the epoch of the heartbeat.
    pub lsn: Lsn,
    /// Its 64-bit id.
    pub xid: Xid,
    /// When it committed, microseconds since 1970.
    pub commit_ts_us: i64,
}

impl Change {
    /// A heartbeat at `position`: exclusive ([`Seq::BEFORE_ROWS`]) between
    /// transactions, the last row's own inside one.
    #[must_use]
    pub fn heartbeat(position: Position, heartbeat: Heartbeat) -> Self {
        Change {
            table: TableName::none(),
            op: Operation::Heartbeat,
            key: Vec::new(),
            old_key: None,
            old_values: OldValues::Absent,
            before: None,
            after: None,
            epoch: position.epoch,
            commit_lsn: position.lsn,
            seq: position.seq,
            xid: Xid::INVALID,
            commit_ts_us: 0,
            heartbeat: Some(heartbeat),
        }
    }

    /// Where it stands in the database's history.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.epoch, self.commit_lsn, self.seq)
    }

    /// The key its record is published under.
    #[must_use]
    pub fn record_key(&self) -> Vec<u8> {
        match self.op {
            Operation::Heartbeat => HEARTBEAT_KEY.to_vec(),
            Operation::Truncate => row_key(&self.table, &[]),
            Operation::Insert | Operation::Update | Operation::Delete => {
                row_key(&self.table, &self.key)
            }
        }
    }

    /// The key it is published under a second time, because the change
    /// altered the primary key (C3). One record suffices when both keys lie
    /// in one partition.
    #[must_use]
    pub fn old_record_key(&self) -> Option<Vec<u8>> {
        self.old_key.as_deref().map(|key| row_key(&self.table, key))
    }
}
