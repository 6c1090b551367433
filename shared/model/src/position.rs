//! Where a change stands: in the log of one epoch, and in a topic.
//! Must hold: C2 and W1 rest on these orders. A [`Position`] is compared
//! epoch first, because LSNs of different epochs are not comparable; offset
//! ranges are half-open and must join up, a gap is an error.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lsn::Lsn;

/// The number of an uninterrupted stretch of one LSN space. Rises whenever
/// the log may have forked or a gap may have opened. The first is 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch of a deployment's first slot.
    pub const FIRST: Epoch = Epoch(1);

    /// The epoch numbered `number`.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Epoch(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The epoch after this one; `None` when the numbers are used up.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Epoch)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a row message inside its transaction, counted as received:
/// the same in every run of capture. The first row is 0.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Seq(i64);

impl Seq {
    /// Sorts before every row of the same LSN: the place of a heartbeat,
    /// whose position is exclusive.
    pub const BEFORE_ROWS: Seq = Seq(-1);

    /// The row message numbered `number`.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Seq(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a change stands in the database's history. Ordered by epoch, then
/// commit LSN, then row; the order of the fields is that order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Position {
    /// The epoch the LSN belongs to.
    pub epoch: Epoch,
    /// The LSN of the transaction's commit record.
    pub lsn: Lsn,
    /// The row inside the transaction.
    pub seq: Seq,
}

impl Position {
    /// The position of row `seq` of the transaction committed at `lsn`.
    #[must_use]
    pub const fn new(epoch: Epoch, lsn: Lsn, seq: Seq) -> Self {
        Position { epoch, lsn, seq }
    }

    /// The position just before every row at `lsn`.
    #[must_use]
    pub const fn before(epoch: Epoch, lsn: Lsn) -> Self {
        Position::new(epoch, lsn, Seq::BEFORE_ROWS)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.epoch, self.lsn, self.seq)
    }
}

/// The number of a partition of a topic.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Partition(i32);

impl Partition {
    /// The partition numbered `number`.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Partition(number)
    }

    /// Its number, as the Kafka clients take it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The offset of a record in its partition, or, as a committed position, the
/// offset of the next record to read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(i64);

impl Offset {
    /// The offset numbered `number`.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Offset(number)
    }

    /// Its number, as the Kafka clients take it.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The offset after this one; `None` when the numbers are used up.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Offset)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Consecutive records of one partition: `start` included, `end` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OffsetRange {
    start: Offset,
    end: Offset,
}

/// Two ranges leave a gap, overlap, or a range ends before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset ranges do not join: one ends at {end}, the other starts at {start}")]
pub struct RangesDoNotJoin {
    /// Where the first range ends.
    pub end: Offset,
    /// Where the second one starts.
    pub start: Offset,
}

impl OffsetRange {
    /// The records from `start` up to, not including, `end`.
    ///
    /// # Errors
    /// When `end` lies before `start`.
    pub fn new(start: Offset, end: Offset) -> Result<Self, RangesDoNotJoin> {
        if end < start {
            return Err(RangesDoNotJoin { end, start });
        }
        Ok(OffsetRange { start, end })
    }

    /// The range that holds no record and stands at `at`.
    #[must_use]
    pub const fn empty(at: Offset) -> Self {
        OffsetRange { start: at, end: at }
    }

    /// The first record.
    #[must_use]
    pub const fn start(self) -> Offset {
        self.start
    }

    /// The record after the last one.
    #[must_use]
    pub const fn end(self) -> Offset {
        self.end
    }

    /// `true` when it holds no record.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// How many offsets it spans.
    #[must_use]
    pub fn len(self) -> u64 {
        self.start.0.abs_diff(self.end.0)
    }

    /// `true` when `offset` lies in it.
    #[must_use]
    pub fn contains(self, offset: Offset) -> bool {
        self.start <= offset && offset < self.end
    }

    /// This range followed by `next`.
    ///
    /// # Errors
    /// When `next` does not start exactly where this one ends.
    pub fn join(self, next: OffsetRange) -> Result<Self, RangesDoNotJoin> {
        if self.end != next.start {
            return Err(RangesDoNotJoin {
                end: self.end,
                start: next.start,
            });
        }
        Ok(OffsetRange {
            start: self.start,
            end: next.end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_positions_are_ordered_by_epoch_then_lsn_then_row() {
        let at = |epoch, lsn, seq| Position::new(Epoch::new(epoch), Lsn::new(lsn), Seq::new(seq));
        let order = [
            at(1, 9, 9),
            at(2, 1, -1),
            at(2, 1, 0),
            at(2, 1, 1),
            at(2, 2, -1),
        ];
        assert!(order.is_sorted_by(|one, next| one < next));
        assert_eq!(Position::before(Epoch::new(2), Lsn::new(1)), order[1]);
    }

    #[test]
    fn w1_ranges_join_only_without_gap_or_overlap() {
        let range = |start, end| OffsetRange::new(Offset::new(start), Offset::new(end)).unwrap();
        assert_eq!(range(1, 3).join(range(3, 5)), Ok(range(1, 5)));
        for (end, start) in [(3, 4), (3, 2)] {
            let refused = RangesDoNotJoin {
                end: Offset::new(end),
                start: Offset::new(start),
            };
            assert_eq!(range(1, end).join(range(start, 9)), Err(refused));
        }
        assert!(OffsetRange::new(Offset::new(3), Offset::new(2)).is_err());
        let empty = OffsetRange::empty(Offset::new(3));
        assert!(empty.is_empty() && range(1, 3).join(empty) == Ok(range(1, 3)));
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        let range = OffsetRange::new(Offset::new(1), Offset::new(3)).unwrap();
        let held = [0, 1, 2, 3].map(|offset| range.contains(Offset::new(offset)));
        assert_eq!((held, range.len()), ([false, true, true, false], 2));
    }
}
