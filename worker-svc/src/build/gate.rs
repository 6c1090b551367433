//! Whether a snapshot sees what caused the build.
//! In: the transactions of a batch, the conditions of a chunk, a snapshot. Out: the first
//! thing it does not see. Must hold: W3. Must not: wait.
//! Why it is needed: a commit is streamed when its record is flushed, and leaves the
//! running set only later; with synchronous replication that can take minutes. Building
//! in between reads the old row, and nothing would ever correct it.

use std::fmt;

use model::{Epoch, Incarnation, Snapshot, Xid};

/// What the snapshot has to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// The transactions that caused the build, with their epochs.
    pub transactions: Vec<(Epoch, Xid)>,
    /// A chunk's largest cause: the snapshot must see it.
    pub cause: Option<VisibleFrom>,
    /// Build only from a snapshot that sees all transactions up to this one.
    pub visible_from: Option<VisibleFrom>,
}

/// A chunk's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisibleFrom {
    /// The run in which `xid` is meant; in a later one it counts as visible.
    pub incarnation: Incarnation,
    /// The transaction.
    pub xid: Xid,
}

/// What a snapshot does not see yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// A transaction that caused the build is still running for others.
    Transaction(Xid),
    /// A transaction at or below the chunk's is still running; the oldest is this one.
    OlderThan {
        /// The chunk's.
        visible_from: Xid,
        /// The oldest that runs.
        oldest: Xid,
    },
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unseen::Transaction(xid) => {
                write!(
                    f,
                    "transaction {xid} to become visible (its commit waits, e.g. for a standby)"
                )
            }
            Unseen::OlderThan {
                visible_from,
                oldest,
            } => write!(
                f,
                "transaction {oldest} to end (seeding needs all up to {visible_from}; \
                 see pg_stat_activity and pg_prepared_xacts)"
            ),
        }
    }
}

impl Gate {
    /// The first thing that `snapshot`, taken in the run numbered `incarnation`, does not
    /// see. Transactions of an epoch before `newest` are exempt: they are long visible,
    /// or lost for good.
    #[must_use]
    pub fn unseen(
        &self,
        snapshot: &Snapshot,
        newest: Epoch,
        incarnation: Incarnation,
    ) -> Option<Unseen> {
        let running = self
            .transactions
            .iter()
            .filter(|(epoch, _)| *epoch >= newest)
            .map(|(_, xid)| *xid)
            .chain(
                self.cause
                    .filter(|cause| cause.incarnation >= incarnation)
                    .map(|cause| cause.xid),
            )
            .find(|xid| !snapshot.sees(*xid));
        if let Some(xid) = running {
            return Some(Unseen::Transaction(xid));
        }
        let from = self
            .visible_from
            .filter(|from| from.incarnation >= incarnation)?;
        (!snapshot.sees_all_through(from.xid)).then(|| Unseen::OlderThan {
            visible_from: from.xid,
            oldest: snapshot.xmin(),
        })
    }
}
