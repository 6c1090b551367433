//! Where the pump stands, for `/status`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Lsn;
use serde::Serialize;

use crate::gate::Durable;

/// A group that holds the slot back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holding {
    /// The consumer group.
    pub group: String,
    /// Its lowest partition.
    pub partition: i32,
    /// How far it is behind what was received; `None` while it has said nothing in this epoch.
    pub bytes: Option<u64>,
}

/// Positions of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Told to the slot.
    pub confirmed: Lsn,
    /// The end of what was received.
    pub received: Lsn,
    /// WAL that the slot makes the server keep.
    pub retained_bytes: u64,
    /// `max_retained_wal` makes the broker's position count.
    pub relieved: bool,
    /// Who is behind, the last first.
    pub held_back_by: Vec<Holding>,
}

#[derive(Debug, Default)]
struct Inner {
    snapshot: Snapshot,
    published: Lsn,
    in_transaction: bool,
}

/// Shared between the pump and `/status`.
#[derive(Debug, Default)]
pub struct Status(Mutex<Inner>);

impl Status {
    /// The positions as last seen by the gate, and the commit LSN published last.
    #[must_use]
    pub fn get(&self) -> (Snapshot, Lsn) {
        let inner = self.lock();
        (inner.snapshot.clone(), inner.published)
    }

    /// New positions.
    pub fn set(&self, snapshot: Snapshot) {
        self.lock().snapshot = snapshot;
    }

    /// A record of the transaction that commits at `lsn` was handed to the producer.
    pub fn published(&self, lsn: Lsn) {
        let mut inner = self.lock();
        inner.published = lsn;
        inner.in_transaction = true;
    }

    /// Whether a record was published since this was asked last.
    #[must_use]
    pub fn take_published(&self) -> bool {
        std::mem::take(&mut self.lock().in_transaction)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Plain numbers stay right when another thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The groups that are behind, as `/status` shows them.
pub(super) fn holding(durable: &Durable, received: Lsn) -> Vec<Holding> {
    let show = |holder: &crate::gate::Holder| Holding {
        group: holder.group.clone(),
        partition: holder.partition.get(),
        bytes: holder.durable.map(|durable| received.bytes_since(durable)),
    };
    durable.held_back_by.iter().map(show).collect()
}
