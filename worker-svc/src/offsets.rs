//! Watermark per partition → committed offset with its `lsn=` metadata.
//! In: ranges of records in order, the tickets that finished, the group's committed
//! offsets of `{p}.fanout`. Out: per partition an offset and its metadata; [`commit`]
//! hands them to Kafka, and nothing else in this service does.
//! Must hold: W1. An offset passes a range only when that range is done: its documents
//! durable in the sink, in the dead-letter topic, or built by everyone (a split whose
//! chunks the group has passed). Nothing is committed for an assignment that is gone.
//! Must not: decide what *done* means; `feed` says so by finishing a ticket.
//! Why the metadata names the highest position *passed in order* and not that of the
//! last record: a heartbeat's position is exclusive and may lie above the change after
//! it; and a change republished by a predecessor lies below what was passed already.

mod tracker;
pub mod commit;

use std::collections::BTreeMap;

use model::{
    Epoch, Lsn, Offset, OffsetMetadata, OffsetRange, Partition, PendingSplit, Position, Violation,
};

pub use tracker::{Arrived, Tracker};

use crate::assignment::{AssignmentNumber, Assignments, Lane, Part};

/// Everything below it, in one partition, is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// The epoch of `lsn`.
    pub epoch: Epoch,
    /// Exclusive: nothing is said of what lies at it.
    pub lsn: Lsn,
}

impl From<Position> for Reached {
    fn from(position: Position) -> Self {
        Reached {
            epoch: position.epoch,
            lsn: position.lsn,
        }
    }
}

/// Names a range of records of one assignment. Finishing it moves the offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[must_use = "the offset stands still until the ticket is finished"]
pub struct Ticket {
    part: Part,
    number: AssignmentNumber,
    start: Offset,
}

impl Ticket {
    /// Which partition it belongs to.
    #[must_use]
    pub fn part(self) -> Part {
        self.part
    }

    /// Whether its assignment still counts.
    #[must_use]
    pub fn counts(self, assignments: &Assignments) -> bool {
        assignments.counts(self.part, self.number)
    }
}

/// What is to be committed for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The partition.
    pub part: Part,
    /// The assignment it belongs to: `commit` looks at the fence once more.
    pub number: AssignmentNumber,
    /// The next record to read.
    pub offset: Offset,
    /// The text of [`OffsetMetadata`] for `changes`, empty for the other topics.
    pub metadata: String,
}

/// Progress of all partitions that the feed holds in this process.
#[derive(Debug, Default)]
pub struct Progress {
    parts: BTreeMap<Part, (AssignmentNumber, Tracker)>,
}

impl Progress {
    /// Nothing held yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `part` was assigned and stands at `committed`. Splits of a former owner that the
    /// metadata names are waited for, not repeated.
    pub fn assigned(
        &mut self,
        part: Part,
        number: AssignmentNumber,
        committed: Offset,
        metadata: Option<&OffsetMetadata>,
    ) {
        self.parts
            .insert(part, (number, Tracker::new(committed, metadata)));
    }

    /// `part` is gone; what comes back for it no longer counts.
    pub fn revoked(&mut self, part: Part) {
        self.parts.remove(&part);
    }

    /// Records of `part` arrived: one, or several that concern nobody here. `None` when
    /// that assignment is gone.
    pub fn arrive(
        &mut self,
        part: Part,
        number: AssignmentNumber,
        records: OffsetRange,
    ) -> Option<Arrived> {
        self.of(part, number).map(|tracker| tracker.arrive(records))
    }

    /// Registers the records from the last registered one up to `end` (not included) as
    /// one range to be finished; `top` is the highest position among them. `None` when
    /// that assignment is gone.
    ///
    /// # Errors
    /// The range does not follow the last one: W1 would be lost.
    pub fn register(
        &mut self,
        part: Part,
        number: AssignmentNumber,
        end: Offset,
        top: Option<Reached>,
    ) -> Result<Option<Ticket>, Violation> {
        let Some(tracker) = self.of(part, number) else {
            return Ok(None);
        };
        let start = tracker.register(end, top)?;
        Ok(Some(Ticket {
            part,
            number,
            start,
        }))
    }

    /// The ticket's records are done. `false` when its assignment is gone.
    ///
    /// # Errors
    /// It was finished before: a defect that could move an offset too far.
    pub fn finish(&mut self, ticket: Ticket) -> Result<bool, Violation> {
        match self.of(ticket.part, ticket.number) {
            None => Ok(false),
            Some(tracker) => tracker.finish(ticket.start).map(|()| true),
        }
    }

    /// The ticket's own documents are durable, and the rest of them stands in
    /// `{p}.fanout` up to these offsets, acknowledged. `false` when its assignment is gone.
    ///
    /// # Errors
    /// It was finished before.
    pub fn share(
        &mut self,
        ticket: Ticket,
        ends: Vec<(Partition, Offset)>,
    ) -> Result<bool, Violation> {
        match self.of(ticket.part, ticket.number) {
            None => Ok(false),
            Some(tracker) => tracker.share(ticket.start, ends).map(|()| true),
        }
    }

    /// The group's committed offsets of `{p}.fanout`: finishes the splits they passed.
    pub fn group_passed(&mut self, committed: &BTreeMap<Partition, Offset>) {
        for (_, tracker) in self.parts.values_mut() {
            tracker.group_passed(committed);
        }
    }

    /// How many splits wait for the group.
    #[must_use]
    pub fn splits(&self) -> usize {
        self.parts
            .values()
            .map(|(_, tracker)| tracker.splits())
            .sum()
    }

    /// What moved since the last call.
    pub fn take_commits(&mut self) -> Vec<Commit> {
        let mut commits = Vec::new();
        for (part, (number, tracker)) in &mut self.parts {
            let with_metadata = part.lane == Lane::Changes;
            if let Some((offset, metadata)) = tracker.take_commit(with_metadata) {
                commits.push(Commit {
                    part: *part,
                    number: *number,
                    offset,
                    metadata,
                });
            }
        }
        commits
    }

    /// A commit failed: its offsets are given out again by the next [`Self::take_commits`].
    pub fn commit_failed(&mut self) {
        for (_, tracker) in self.parts.values_mut() {
            tracker.forget_commit();
        }
    }

    /// Records of `part` that were registered and are not below its offset.
    #[must_use]
    pub fn uncommitted(&self, part: Part) -> u64 {
        self.parts
            .get(&part)
            .map_or(0, |(_, tracker)| tracker.uncommitted())
    }

    /// Where the offset of `part` stands. `None` when it is not held.
    #[must_use]
    pub fn offset(&self, part: Part) -> Option<Offset> {
        self.parts.get(&part).map(|(_, tracker)| tracker.offset())
    }

    /// The partitions held.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        self.parts.keys().copied()
    }

    /// The lowest position reached by the partitions of `changes` held here; `None` when
    /// none is held or one has reached nothing yet.
    #[must_use]
    pub fn watermark(&self) -> Option<Reached> {
        let mut lowest = None;
        for (part, (_, tracker)) in &self.parts {
            if part.lane == Lane::Changes {
                let reached = tracker.reached()?;
                lowest = Some(lowest.map_or(reached, |low: Reached| low.min(reached)));
            }
        }
        lowest
    }

    fn of(&mut self, part: Part, number: AssignmentNumber) -> Option<&mut Tracker> {
        match self.parts.get_mut(&part) {
            Some((held, tracker)) if *held == number => Some(tracker),
            Some(_) | None => None,
        }
    }
}

/// The text that is committed: as many splits as fit. A split that does not fit is
/// repeated by a next owner, which is harmless.
fn metadata_text(reached: Option<Reached>, mut splits: Vec<PendingSplit>) -> String {
    // Epoch 0 comes before every epoch: it says that nothing is known to be durable.
    let Reached { epoch, lsn } = reached.unwrap_or(Reached {
        epoch: Epoch::new(0),
        lsn: Lsn::INVALID,
    });
    loop {
        let metadata = OffsetMetadata { epoch, lsn, splits };
        match metadata.to_text() {
            Ok(text) => return text,
            Err(_) if metadata.splits.is_empty() => return metadata.to_string(),
            Err(_) => {
                splits = metadata.splits;
                splits.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests;
