//! What each partition already holds, so that a restart publishes nothing twice (C4).
//! In: the last record of every partition. Out: whether a record is to be skipped, and the
//! transaction that the stream has to show again before skipping can be trusted.
//! Must hold: C4. Must not: read Kafka; `publish` hands the records over.
//!
//! Why the topic can be its own offset store: a producer without holes appends in order, so a
//! partition that holds a position holds everything of it below. Records of the stream come in
//! the order of positions, the same in every run.
//! Why that is checked: after a volume snapshot was restored the log has another future under the
//! same identity and LSNs. If the stream does not show the last published transaction again, with
//! its id and time, nothing that was skipped can be believed: the log has forked.

use std::collections::BTreeMap;

use model::{Change, Epoch, Lsn, Operation, Partition, Position, PublishedTransaction};

/// The tails of a topic at the start of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tails {
    epoch: Epoch,
    /// The highest position that each partition holds of this epoch.
    of: BTreeMap<Partition, Position>,
    /// After an unclean stop under another partition count, the lowest rules everywhere.
    lowest_rules: bool,
    expected: Option<PublishedTransaction>,
}

/// What the stream shows about the history that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Nothing yet: what is skipped must not be confirmed.
    Unproven,
    /// The same: skipping was right.
    Same,
    /// Another one: nothing skipped can be believed.
    Forked {
        /// The transaction that should have come.
        expected: PublishedTransaction,
        /// The commit LSN that came instead.
        found: Lsn,
    },
}

impl Tails {
    /// From the last record of every partition that has one. Records of earlier epochs count for
    /// nothing: their LSNs do not compare.
    #[must_use]
    pub fn new(epoch: Epoch, records: &BTreeMap<Partition, Change>) -> Self {
        let of_epoch = |change: &&Change| change.epoch == epoch;
        let of = records
            .iter()
            .filter(|(_, change)| of_epoch(change))
            .map(|(partition, change)| (*partition, change.position()))
            .collect();
        let expected = records
            .values()
            .filter(of_epoch)
            .filter_map(published)
            .max_by_key(|last| last.lsn);
        Self {
            epoch,
            of,
            lowest_rules: false,
            expected,
        }
    }

    /// Applies the lowest tail to all partitions: after a stop under another partition count it is
    /// not known which key is held where. `partitions` is the count now.
    #[must_use]
    pub fn lowest_for_all(mut self) -> Self {
        self.lowest_rules = true;
        self
    }

    /// Whether `partition` holds a record at `position` already.
    #[must_use]
    pub fn holds(&self, partition: Partition, position: Position) -> bool {
        let tail = if self.lowest_rules {
            self.lowest()
        } else {
            self.of.get(&partition).copied()
        };
        tail.is_some_and(|tail| position <= tail)
    }

    /// Whether `partition` is further than `position`: a heartbeat there would pull its tail back.
    #[must_use]
    pub fn is_beyond(&self, partition: Partition, position: Position) -> bool {
        self.of(partition).is_some_and(|tail| tail > position)
    }

    /// The lowest tail, or nothing when no partition has one.
    #[must_use]
    pub fn lowest(&self) -> Option<Position> {
        self.of.values().min().copied()
    }

    /// The highest tail.
    #[must_use]
    pub fn highest(&self) -> Option<Position> {
        self.of.values().max().copied()
    }

    /// How many partitions have a tail.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.of.len()).unwrap_or(u32::MAX)
    }

    /// The tails of all partitions that have one.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Partition, Position> {
        self.of.clone()
    }

    /// The tail of one partition.
    #[must_use]
    pub fn of(&self, partition: Partition) -> Option<Position> {
        self.of.get(&partition).copied()
    }

    /// The transaction that the stream has to show again, if it starts at `start`. Below the
    /// slot's own start the server has nothing to show.
    #[must_use]
    pub fn expected(&self, start: Lsn) -> Option<PublishedTransaction> {
        self.expected.filter(|last| last.lsn >= start)
    }

    /// What a transaction of the stream says about `expected`.
    #[must_use]
    pub fn judge(expected: Option<PublishedTransaction>, begun: PublishedTransaction) -> History {
        match expected {
            None => History::Same,
            Some(expected) if begun == expected => History::Same,
            Some(expected) if begun.lsn < expected.lsn => History::Unproven,
            Some(expected) => History::Forked {
                expected,
                found: begun.lsn,
            },
        }
    }
}

/// The transaction that a record proves to have been published.
fn published(change: &Change) -> Option<PublishedTransaction> {
    match change.op {
        Operation::Heartbeat => change.heartbeat.and_then(|heartbeat| heartbeat.last),
        Operation::Insert | Operation::Update | Operation::Delete | Operation::Truncate => {
            Some(PublishedTransaction {
                lsn: change.commit_lsn,
                xid: change.xid,
                commit_ts_us: change.commit_ts_us,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Heartbeat, OldValues, Seq, TableName, Xid};

    const EPOCH: Epoch = Epoch::new(2);

    fn row(epoch: Epoch, lsn: u64, seq: i64) -> Change {
        Change {
            table: TableName::new("public", "t"),
            op: Operation::Insert,
            key: Vec::new(),
            old_key: None,
            old_values: OldValues::Absent,
            before: None,
            after: None,
            epoch,
            commit_lsn: Lsn::new(lsn),
            seq: Seq::new(seq),
            xid: Xid::new(lsn * 10),
            commit_ts_us: 5,
            heartbeat: None,
        }
    }

    fn transaction(lsn: u64) -> PublishedTransaction {
        PublishedTransaction {
            lsn: Lsn::new(lsn),
            xid: Xid::new(lsn * 10),
            commit_ts_us: 5,
        }
    }

    fn heartbeat(lsn: u64, last: Option<u64>) -> Change {
        let heartbeat = Heartbeat {
            clock_us: 1,
            last: last.map(transaction),
        };
        Change::heartbeat(Position::before(EPOCH, Lsn::new(lsn)), heartbeat)
    }

    fn tails(records: Vec<(i32, Change)>) -> Tails {
        Tails::new(
            EPOCH,
            &records
                .into_iter()
                .map(|(at, change)| (Partition::new(at), change))
                .collect(),
        )
    }

    fn at(lsn: u64, seq: i64) -> Position {
        Position::new(EPOCH, Lsn::new(lsn), Seq::new(seq))
    }

    #[test]
    fn c4_a_record_at_or_below_its_own_partitions_tail_is_skipped() {
        let tails = tails(vec![(0, row(EPOCH, 100, 4)), (1, heartbeat(90, None))]);
        assert!(tails.holds(Partition::new(0), at(100, 4)));
        assert!(!tails.holds(Partition::new(0), at(100, 5)));
        assert!(tails.holds(Partition::new(1), at(89, 7)));
        assert!(
            !tails.holds(Partition::new(1), at(90, 0)),
            "a heartbeat is exclusive"
        );
        assert!(
            !tails.holds(Partition::new(2), at(1, 0)),
            "an empty partition holds nothing"
        );
    }

    #[test]
    fn c4_tails_of_an_earlier_epoch_hold_nothing() {
        let tails = tails(vec![(0, row(Epoch::new(1), 900, 0))]);
        assert!(!tails.holds(Partition::new(0), at(100, 0)));
        assert_eq!(tails.expected(Lsn::new(0)), None);
    }

    #[test]
    fn c4_under_another_partition_count_the_lowest_tail_rules() {
        let tails = tails(vec![(0, row(EPOCH, 100, 4)), (1, row(EPOCH, 50, 0))]).lowest_for_all();
        assert!(!tails.holds(Partition::new(0), at(60, 0)));
        assert!(tails.holds(Partition::new(3), at(50, 0)));
    }

    #[test]
    fn a_stream_that_does_not_show_the_last_transaction_again_has_forked() {
        let tails = tails(vec![
            (0, heartbeat(200, Some(150))),
            (1, row(EPOCH, 120, 0)),
        ]);
        let expected = tails.expected(Lsn::new(100));
        assert_eq!(expected, Some(transaction(150)));
        assert_eq!(Tails::judge(expected, transaction(120)), History::Unproven);
        assert_eq!(Tails::judge(expected, transaction(150)), History::Same);
        let other = PublishedTransaction {
            commit_ts_us: 6,
            ..transaction(150)
        };
        assert!(matches!(
            Tails::judge(expected, other),
            History::Forked { .. }
        ));
        assert!(matches!(
            Tails::judge(expected, transaction(151)),
            History::Forked { .. }
        ));
        // The slot stands behind it: the server cannot show it any more, and need not.
        assert_eq!(tails.expected(Lsn::new(151)), None);
    }
}
