//! librdkafka's callbacks, which run on the thread that polls.
//! In: rebalances, commit results. Out: the fence, news in the inbox.
//! Must hold: W1: when `revoked` returns, what is revoked counts no more.
//! Must not: block. A callback that waits keeps the whole group waiting.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Topics;
use runtime::kafka::{Committed, Error, GroupEvents, TopicPartition};

use super::inbox::{Inbox, Trouble};
use crate::assignment::{Fence, Part};

/// The callbacks of one feed's consumer.
#[derive(Debug)]
pub struct Callbacks {
    inbox: Arc<Inbox>,
    fence: Fence,
    topics: Topics,
    /// Assigned; the thread reads their committed offsets before it lets them flow.
    fresh: Mutex<BTreeSet<Part>>,
}

impl Callbacks {
    pub(super) fn new(inbox: Arc<Inbox>, fence: Fence, topics: Topics) -> Self {
        Callbacks {
            inbox,
            fence,
            topics,
            fresh: Mutex::default(),
        }
    }

    pub(super) fn fresh(&self) -> BTreeSet<Part> {
        self.lock().clone()
    }

    pub(super) fn no_longer_fresh(&self, part: Part) {
        self.lock().remove(&part);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Part>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts<'a>(&'a self, partitions: &'a [TopicPartition]) -> impl Iterator<Item = Part> + 'a {
        partitions
            .iter()
            .filter_map(|at| Part::of(at, &self.topics))
    }
}

impl GroupEvents for Callbacks {
    fn assigned(&self, partitions: &[TopicPartition]) {
        self.lock().extend(self.parts(partitions));
    }

    fn revoked(&self, partitions: &[TopicPartition], lost: bool) {
        for part in self.parts(partitions) {
            self.fence.lock().revoke(part);
            self.no_longer_fresh(part);
            self.inbox.revoked(part);
        }
        tracing::info!(partitions = partitions.len(), lost, "partitions revoked");
    }

    fn committed(&self, result: Result<(), Error>, _: &[Committed]) {
        if let Err(error) = result {
            self.inbox.commit_failed(error.to_string());
        }
    }

    fn trouble(&self, error: Error) {
        self.inbox.trouble(Trouble::Waiting(error.to_string()));
    }
}
