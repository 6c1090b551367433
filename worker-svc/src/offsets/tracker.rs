//! The offset of one partition: a complete prefix over ranges that finish in any order.
//! In: arrivals, ranges, what finished. Out: the offset, and the metadata to commit.
//! Must hold: W1. Ranges join up; the offset moves over done ranges only.
//! Why neighbours that are done are merged: behind one range that takes long the others
//! go on for a long time, and memory must not grow with their number.

use std::collections::BTreeMap;

use model::{Offset, OffsetMetadata, OffsetRange, Partition, PendingSplit, Violation, invariant};

use super::{Reached, metadata_text};

/// What an arriving record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// The next one, or the next ones.
    Next,
    /// It belongs to a split that a former owner shared: nothing is left to do.
    Covered,
    /// It was here before: Kafka delivered it again after a pause.
    Repeated,
    /// Records between the last one and this one never came (R2).
    Gap {
        /// The offset that should have come.
        expected: Offset,
    },
}

/// One partition's progress.
#[derive(Debug)]
pub struct Tracker {
    /// All before it is done.
    offset: Offset,
    /// The end of the last registered range.
    registered: Offset,
    /// The record that has to arrive next.
    expected: Offset,
    /// Highest position below `offset`.
    reached: Option<Reached>,
    /// By start, from `offset` to `registered`, without gaps.
    ranges: BTreeMap<Offset, Range>,
    /// Records below it belong to splits named by the metadata found at assignment.
    covered: Offset,
    /// What was last given out to be committed.
    given: Option<(Offset, String)>,
}

#[derive(Debug)]
struct Range {
    end: Offset,
    top: Option<Reached>,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// Own part durable; the rest is built by the group up to these ends.
    Shared(Vec<(Partition, Offset)>),
    Done,
}

impl Tracker {
    /// Stands at `committed`.
    pub(super) fn new(committed: Offset, metadata: Option<&OffsetMetadata>) -> Self {
        let mut tracker = Tracker {
            offset: committed,
            registered: committed,
            expected: committed,
            reached: metadata.map(|m| Reached {
                epoch: m.epoch,
                lsn: m.lsn,
            }),
            ranges: BTreeMap::new(),
            covered: committed,
            given: None,
        };
        for split in metadata.map_or(&[][..], |m| m.splits.as_slice()) {
            tracker.take_over(split);
        }
        tracker
    }

    /// The splits of the metadata cover everything from the committed offset up to the
    /// last of them: only such splits are written ([`Self::pending_splits`]).
    fn take_over(&mut self, split: &PendingSplit) {
        let Some(end) = split.offset.next() else {
            return;
        };
        if end <= self.registered {
            return;
        }
        let range = Range {
            end,
            top: None,
            state: State::Shared(split.ends.clone()),
        };
        self.ranges.insert(self.registered, range);
        self.registered = end;
        self.covered = end;
    }

    pub(super) fn arrive(&mut self, records: OffsetRange) -> Arrived {
        if records.end() <= self.expected {
            return Arrived::Repeated;
        }
        if records.start() > self.expected {
            return Arrived::Gap {
                expected: self.expected,
            };
        }
        self.expected = records.end();
        if records.end() <= self.covered {
            Arrived::Covered
        } else {
            Arrived::Next
        }
    }

    /// Returns the range's start, which names it.
    pub(super) fn register(
        &mut self,
        end: Offset,
        top: Option<Reached>,
    ) -> Result<Offset, Violation> {
        invariant!(
            W1,
            end > self.registered,
            "a range to {end} was registered although {} is registered",
            self.registered
        );
        let start = self.registered;
        self.ranges.insert(
            start,
            Range {
                end,
                top,
                state: State::Open,
            },
        );
        self.registered = end;
        Ok(start)
    }

    pub(super) fn finish(&mut self, start: Offset) -> Result<(), Violation> {
        self.change(start, State::Done)?;
        self.merge(start);
        self.advance();
        Ok(())
    }

    pub(super) fn share(
        &mut self,
        start: Offset,
        ends: Vec<(Partition, Offset)>,
    ) -> Result<(), Violation> {
        self.change(start, State::Shared(ends))
    }

    fn change(&mut self, start: Offset, to: State) -> Result<(), Violation> {
        let range = self
            .ranges
            .get_mut(&start)
            .filter(|range| range.state == State::Open);
        invariant!(W1, range.is_some(), "the range at {start} is not open");
        if let Some(range) = range {
            range.state = to;
        }
        Ok(())
    }

    pub(super) fn group_passed(&mut self, committed: &BTreeMap<Partition, Offset>) {
        let passed = |ends: &[(Partition, Offset)]| {
            ends.iter()
                .all(|(partition, end)| committed.get(partition).is_some_and(|at| at >= end))
        };
        let done: Vec<Offset> = self
            .ranges
            .iter()
            .filter(|(_, range)| matches!(&range.state, State::Shared(ends) if passed(ends)))
            .map(|(start, _)| *start)
            .collect();
        for start in done {
            if let Some(range) = self.ranges.get_mut(&start) {
                range.state = State::Done;
            }
            self.merge(start);
        }
        self.advance();
    }

    /// Joins the done range that holds `start` with done neighbours.
    fn merge(&mut self, start: Offset) {
        let before = self.ranges.range(..start).next_back();
        let start = match before {
            Some((before, range)) if range.state == State::Done => *before,
            Some(_) | None => start,
        };
        while let Some(end) = self.ranges.get(&start).map(|range| range.end) {
            match self.ranges.get(&end) {
                Some(next) if next.state == State::Done => {}
                Some(_) | None => break,
            }
            let Some(next) = self.ranges.remove(&end) else {
                break;
            };
            if let Some(range) = self.ranges.get_mut(&start) {
                range.end = next.end;
                range.top = range.top.max(next.top);
            }
        }
    }

    fn advance(&mut self) {
        while let Some(first) = self.ranges.first_entry() {
            if first.get().state != State::Done {
                return;
            }
            let range = first.remove();
            self.offset = range.end;
            self.reached = self.reached.max(range.top);
        }
    }

    /// Splits from the offset on with nothing open between: a next owner may skip all
    /// records up to the last of them.
    fn pending_splits(&self) -> Vec<PendingSplit> {
        let mut splits = Vec::new();
        for range in self.ranges.values() {
            match &range.state {
                State::Open => break,
                State::Done => {}
                State::Shared(ends) => splits.push(PendingSplit {
                    offset: Offset::new(range.end.get().saturating_sub(1)),
                    ends: ends.clone(),
                }),
            }
        }
        splits
    }

    pub(super) fn take_commit(&mut self, with_metadata: bool) -> Option<(Offset, String)> {
        let metadata = if with_metadata {
            metadata_text(self.reached, self.pending_splits())
        } else {
            String::new()
        };
        let now = (self.offset, metadata);
        if self.given.as_ref() == Some(&now) {
            return None;
        }
        self.given = Some(now.clone());
        Some(now)
    }

    pub(super) fn forget_commit(&mut self) {
        self.given = None;
    }

    pub(super) fn offset(&self) -> Offset {
        self.offset
    }

    pub(super) fn reached(&self) -> Option<Reached> {
        self.reached
    }

    pub(super) fn uncommitted(&self) -> u64 {
        self.registered.get().abs_diff(self.offset.get())
    }

    pub(super) fn splits(&self) -> usize {
        self.ranges
            .values()
            .filter(|range| matches!(range.state, State::Shared(_)))
            .count()
    }
}
