//! Which partitions this process holds, and whether what comes back for one still counts.
//! In: what the consumer's callbacks say. Out: for each assignment of a partition a
//! number, and a yes or no to everything that carries that number.
//! Must hold: W1. A partition that was revoked is gone before the revoke is answered;
//! a completion of an earlier assignment never moves a later one.
//! Must not: talk to Kafka; `consume` calls it from the callbacks.
//! Why numbers and not names: a partition can leave and come back while a batch of the
//! first time is still being written; by then others may have gone on from its offsets.
//!
//! ```text
//!  assign ─▶ Consuming ── begin_drain ─▶ Draining ──┐
//!                │ revoke                           │ revoke
//!                └────────────▶ Gone ◀──────────────┘
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Partition, Topics};
use runtime::kafka::TopicPartition;

/// The three topics a feed consumes, in the order in which they are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// `{p}.changes`.
    Changes,
    /// `{p}.fanout`: chunks of large fan-outs and repairs.
    Fanout,
    /// `{p}.backfill`: chunks of seeding plans.
    Backfill,
}

impl Lane {
    /// All of them, first served first.
    pub const ALL: [Lane; 3] = [Lane::Changes, Lane::Fanout, Lane::Backfill];

    /// The topic it reads.
    #[must_use]
    pub fn topic(self, topics: &Topics) -> String {
        match self {
            Lane::Changes => topics.changes(),
            Lane::Fanout => topics.fanout(),
            Lane::Backfill => topics.backfill(),
        }
    }

    /// The lane that reads `topic`; `None` for any other topic.
    #[must_use]
    pub fn of_topic(topic: &str, topics: &Topics) -> Option<Lane> {
        Lane::ALL
            .into_iter()
            .find(|lane| lane.topic(topics) == topic)
    }

    /// Its name in logs and metric labels.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Lane::Changes => "changes",
            Lane::Fanout => "fanout",
            Lane::Backfill => "backfill",
        }
    }
}

/// One partition of one of the three topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part {
    /// The topic.
    pub lane: Lane,
    /// The partition.
    pub partition: Partition,
}

impl Part {
    /// That partition of that topic.
    #[must_use]
    pub const fn new(lane: Lane, partition: Partition) -> Self {
        Part { lane, partition }
    }

    /// What Kafka calls `at`; `None` for another topic.
    #[must_use]
    pub fn of(at: &TopicPartition, topics: &Topics) -> Option<Self> {
        Lane::of_topic(&at.topic, topics).map(|lane| Part::new(lane, at.partition))
    }

    /// How Kafka calls it.
    #[must_use]
    pub fn at(self, topics: &Topics) -> TopicPartition {
        TopicPartition::new(self.lane.topic(topics), self.partition)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.lane.name(), self.partition)
    }
}

/// Numbers the assignments of one consumer; later ones are higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssignmentNumber(u64);

/// Where an assignment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Records come in, completions count.
    Consuming,
    /// No record comes in any more; completions still count.
    Draining,
    /// Revoked, or replaced by a later assignment: nothing counts.
    Gone,
}

/// The partitions held now.
#[derive(Debug, Default)]
pub struct Assignments {
    held: BTreeMap<Part, Held>,
    last: u64,
    draining: bool,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    number: AssignmentNumber,
    standing: Standing,
}

impl Assignments {
    /// Nothing held yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `part` was assigned. An assignment that it still had is over with that.
    pub fn assign(&mut self, part: Part) -> AssignmentNumber {
        self.last = self.last.saturating_add(1);
        let number = AssignmentNumber(self.last);
        let standing = if self.draining {
            Standing::Draining
        } else {
            Standing::Consuming
        };
        self.held.insert(part, Held { number, standing });
        number
    }

    /// `part` was revoked or lost: the fence.
    pub fn revoke(&mut self, part: Part) {
        self.held.remove(&part);
    }

    /// No more records are taken in, of those held and of those still to come.
    pub fn begin_drain(&mut self) {
        self.draining = true;
        for held in self.held.values_mut() {
            held.standing = Standing::Draining;
        }
    }

    /// Where assignment `number` of `part` stands.
    #[must_use]
    pub fn standing(&self, part: Part, number: AssignmentNumber) -> Standing {
        match self.held.get(&part) {
            Some(held) if held.number == number => held.standing,
            Some(_) | None => Standing::Gone,
        }
    }

    /// Whether a completion of assignment `number` of `part` still counts.
    #[must_use]
    pub fn counts(&self, part: Part, number: AssignmentNumber) -> bool {
        self.standing(part, number) != Standing::Gone
    }

    /// The assignment of `part` that records belong to now; `None` while none are
    /// taken in.
    #[must_use]
    pub fn intake(&self, part: Part) -> Option<AssignmentNumber> {
        let held = self.held.get(&part)?;
        (held.standing == Standing::Consuming).then_some(held.number)
    }

    /// What is held, with its number.
    pub fn held(&self) -> impl Iterator<Item = (Part, AssignmentNumber)> + '_ {
        self.held.iter().map(|(part, held)| (*part, held.number))
    }
}

/// The assignments, shared between the consumer's thread and its feed.
#[derive(Debug, Clone, Default)]
pub struct Fence {
    assignments: Arc<Mutex<Assignments>>,
}

impl Fence {
    /// Nothing held yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The assignments. Held for a few map operations only, never across an await or a
    /// call into Kafka that could block: the revoke callback waits for it.
    pub fn lock(&self) -> MutexGuard<'_, Assignments> {
        // Every operation leaves the maps whole, so a panic elsewhere spoils nothing.
        self.assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
