//! What a feed makes of one change before it looks at rows.
//! In: a change. Out: build for it, only move the position, or stop with a reason.
//! Must hold: R2, W4. Must not: decide how a stopped feed is healed.
//! Why a newer epoch stops the feed: what lies between the epochs may be missing, and
//! LSNs of two epochs are not comparable; the generation was filled in its own.

use std::collections::BTreeSet;

use model::{Change, Epoch, OldValues, Operation, SourceCause, TableName};

use crate::Definite;

/// What to do with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Resolve it and build what it affects.
    Build,
    /// It only moves the position: a heartbeat, or a table that the index does not read.
    Position,
}

/// What the feed follows.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The tables that the index reads.
    pub tables: BTreeSet<TableName>,
    /// The epoch in which the generation was filled.
    pub epoch: Epoch,
    /// `allow_stale_parents`: changes whose old values are unknown are built for by
    /// their new values alone.
    pub allow_stale_parents: bool,
}

impl Scope {
    /// Judges a change.
    ///
    /// # Errors
    /// It cannot be followed: the feed stops.
    pub fn judge(&self, change: &Change) -> Result<Judged, Definite> {
        if change.epoch > self.epoch {
            return Err(Definite::NewEpoch {
                was: self.epoch,
                is: change.epoch,
                cause: SourceCause::Gap,
                reason: String::from("changes of a newer epoch arrived"),
            });
        }
        if change.op == Operation::Heartbeat || !self.tables.contains(&change.table) {
            return Ok(Judged::Position);
        }
        if change.op == Operation::Truncate {
            return Err(Definite::Truncated {
                table: change.table.clone(),
            });
        }
        if change.old_values == OldValues::Unknown && !self.allow_stale_parents {
            return Err(Definite::RepairNeeded {
                table: change.table.to_string(),
                detail: String::from(
                    "its replica identity did not carry the old values of all routing columns",
                ),
            });
        }
        Ok(Judged::Build)
    }

    /// The tables' texts as they stand in record keys: other tables' records are dropped
    /// by them without decoding.
    #[must_use]
    pub fn key_texts(&self) -> BTreeSet<String> {
        self.tables.iter().map(ToString::to_string).collect()
    }
}
