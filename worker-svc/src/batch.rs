//! Takes what has arrived and closes one batch.
//! In: arrivals of `{p}.changes`, in order per partition. Out: a [`Batch`]: the changes
//! to be resolved, and the tickets that move the offsets once they are done.
//! Must hold: W1 (every record belongs to a range that is registered), R2 (what cannot
//! be followed change by change stops the feed; nothing passes silently).
//! Must not: wait. A feed with a free slot takes whatever is there: an idle feed flushes
//! at once, and a busy one finds larger batches by itself.

mod scope;

use std::collections::BTreeMap;

use model::{Change, Epoch, Offset, OffsetRange, Position, RecordPosition, Violation, Xid};

pub use scope::{Judged, Scope};

use crate::assignment::{AssignmentNumber, Part};
use crate::offsets::{Arrived, Progress, Reached, Ticket};
use crate::{Definite, assignment::Lane};

/// A change with the place of its record.
#[derive(Debug, Clone)]
pub struct SourcedChange {
    /// The change.
    pub change: Change,
    /// Its record, for the dead-letter topic.
    pub source: RecordPosition,
}

/// Changes that are resolved, built and written together.
#[derive(Debug, Default)]
pub struct Batch {
    /// What to look at.
    pub changes: Vec<SourcedChange>,
    /// One per partition: finished when all documents are durable.
    pub tickets: Vec<Ticket>,
}

impl Batch {
    /// The transactions that the snapshot must see (W3), each once.
    #[must_use]
    pub fn transactions(&self) -> Vec<(Epoch, Xid)> {
        let mut all: Vec<_> = self
            .changes
            .iter()
            .map(|sourced| (sourced.change.epoch, sourced.change.xid))
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// When the newest of its transactions committed, µs since 1970.
    #[must_use]
    pub fn newest_commit_us(&self) -> Option<i64> {
        self.changes
            .iter()
            .map(|sourced| sourced.change.commit_ts_us)
            .max()
    }
}

/// A batch being filled.
#[derive(Debug)]
pub struct Filling {
    most_changes: usize,
    records: usize,
    changes: Vec<SourcedChange>,
    parts: BTreeMap<Part, Stretch>,
}

/// The records of one partition in the batch.
#[derive(Debug)]
struct Stretch {
    number: AssignmentNumber,
    end: Offset,
    top: Option<Reached>,
    has_changes: bool,
}

impl Filling {
    /// An empty batch that takes at most `most_changes` changes (0 counts as 1).
    #[must_use]
    pub fn new(most_changes: usize) -> Self {
        Filling {
            most_changes: most_changes.max(1),
            records: 0,
            changes: Vec::new(),
            parts: BTreeMap::new(),
        }
    }

    /// Whether it takes no more. Records without a change count too, or a topic full of
    /// other tables' changes would hold the loop.
    #[must_use]
    pub fn is_full(&self) -> bool {
        /// Records looked at per change that fits: taking one that concerns nobody is
        /// cheap, but not free.
        const RECORDS_PER_CHANGE: usize = 16;
        self.changes.len() >= self.most_changes
            || self.records >= self.most_changes.saturating_mul(RECORDS_PER_CHANGE)
    }

    /// Takes records that concern nobody here: other tables' changes.
    ///
    /// # Errors
    /// Records are missing before them.
    pub fn pass(
        &mut self,
        progress: &mut Progress,
        part: Part,
        number: AssignmentNumber,
        records: OffsetRange,
    ) -> Result<(), Gap> {
        if is_new(progress, part, number, records)? {
            self.stretch(part, number, records.end(), None);
        }
        Ok(())
    }

    /// Takes one record of `changes`. `judged` says whether it is one to build for.
    ///
    /// # Errors
    /// Records are missing before it.
    pub fn take(
        &mut self,
        progress: &mut Progress,
        part: Part,
        number: AssignmentNumber,
        record: SourcedChange,
        judged: Judged,
    ) -> Result<(), Gap> {
        let records = single(record.source.offset);
        if !is_new(progress, part, number, records)? {
            return Ok(());
        }
        let reached = reached_by(&record.change);
        let stretch = self.stretch(part, number, records.end(), Some(reached));
        if judged == Judged::Build {
            stretch.has_changes = true;
            self.changes.push(record);
        }
        Ok(())
    }

    /// Closes it: registers every stretch; those without changes are done at once.
    /// `None` when no change is in it.
    ///
    /// # Errors
    /// A stretch does not follow the last one: W1 would be lost.
    pub fn close(self, progress: &mut Progress) -> Result<Option<Batch>, Violation> {
        let mut tickets = Vec::new();
        for (part, stretch) in self.parts {
            let registered = progress.register(part, stretch.number, stretch.end, stretch.top)?;
            match registered {
                None => {}
                Some(ticket) if stretch.has_changes => tickets.push(ticket),
                Some(ticket) => {
                    progress.finish(ticket)?;
                }
            }
        }
        let batch = Batch {
            changes: self.changes,
            tickets,
        };
        Ok((!batch.changes.is_empty()).then_some(batch))
    }

    fn stretch(
        &mut self,
        part: Part,
        number: AssignmentNumber,
        end: Offset,
        top: Option<Reached>,
    ) -> &mut Stretch {
        self.records = self.records.saturating_add(1);
        let stretch = self.parts.entry(part).or_insert(Stretch {
            number,
            end,
            top: None,
            has_changes: false,
        });
        // A later assignment begins anew; the earlier one's records come again with it.
        if stretch.number != number {
            *stretch = Stretch {
                number,
                end,
                top: None,
                has_changes: false,
            };
        }
        stretch.end = end;
        stretch.top = stretch.top.max(top);
        stretch
    }
}

/// Records that should have come did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The partition.
    pub part: Part,
    /// The first one missing.
    pub expected: Offset,
    /// The one that came.
    pub came: Offset,
}

impl Gap {
    /// The feed stops for it (R2).
    #[must_use]
    pub fn into_definite(self, topic: String) -> Definite {
        Definite::OffsetsGone {
            topic,
            partition: self.part.partition,
            committed: self.expected,
            low: self.came,
            high: self.came,
        }
    }
}

fn is_new(
    progress: &mut Progress,
    part: Part,
    number: AssignmentNumber,
    records: OffsetRange,
) -> Result<bool, Gap> {
    match progress.arrive(part, number, records) {
        Some(Arrived::Next) => Ok(true),
        // Gone, done by the group, or here before.
        None | Some(Arrived::Covered | Arrived::Repeated) => Ok(false),
        Some(Arrived::Gap { expected }) => Err(Gap {
            part,
            expected,
            came: records.start(),
        }),
    }
}

fn single(offset: Offset) -> OffsetRange {
    let end = offset.next().unwrap_or(offset);
    OffsetRange::new(offset, end).unwrap_or(OffsetRange::empty(offset))
}

/// A chunk's record is a range of its own.
///
/// # Errors
/// Records are missing before it, or its range does not follow the last one.
pub fn take_chunk(
    progress: &mut Progress,
    part: Part,
    number: AssignmentNumber,
    offset: Offset,
) -> Result<Result<Option<Ticket>, Violation>, Gap> {
    debug_assert!(part.lane != Lane::Changes, "changes are taken in batches");
    let records = single(offset);
    if !is_new(progress, part, number, records)? {
        return Ok(Ok(None));
    }
    Ok(progress.register(part, number, records.end(), None))
}

fn reached_by(change: &Change) -> Reached {
    let position: Position = change.position();
    position.into()
}

#[cfg(test)]
mod tests;
