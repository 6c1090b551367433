//! Clock and LSN to every partition, so that idle ones hold nothing back and delay is measurable.
//! In: what the stream has shown. Out: the position of the next heartbeat, and when it is due.
//! Must hold: C4, so a heartbeat never claims a row that was not handed to the producer before it.
//! Must not: publish; `pump` does.
//!
//! Why a keepalive's end of WAL may be trusted: it comes in the same byte stream as the rows, and
//! the server sends a transaction before it reports an end of WAL behind its commit. It often
//! *equals* the commit LSN of the next transaction, so the position is exclusive.

use std::time::Duration;

use model::{Epoch, Lsn, Position, PublishedTransaction, Seq};
use tokio::time::Instant;

/// How long a standing LSN is not repeated.
const STANDING_STILL: Duration = Duration::from_secs(10);

/// What the stream has shown so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    epoch: Epoch,
    /// Everything below was received, and handed on where it concerns us.
    end: Lsn,
    /// The last row handed on of the transaction that is open.
    open: Option<(Lsn, Seq)>,
    last: Option<PublishedTransaction>,
}

impl Progress {
    /// At the start of a connection: nothing of it was received yet.
    #[must_use]
    pub fn new(epoch: Epoch, start: Lsn, last: Option<PublishedTransaction>) -> Self {
        Self {
            epoch,
            end: start,
            open: None,
            last,
        }
    }

    /// A transaction that commits at `lsn` begins.
    pub fn begin(&mut self, lsn: Lsn) {
        self.end = self.end.max(lsn);
        self.open = Some((lsn, Seq::BEFORE_ROWS));
    }

    /// A row of the open transaction was handed to the producer, or concerns nobody.
    pub fn row(&mut self, seq: Seq) {
        if let Some((_, last)) = &mut self.open {
            *last = seq;
        }
    }

    /// The open transaction has ended; its end LSN, and itself when a row of it was published.
    pub fn commit(&mut self, end: Lsn, published: Option<PublishedTransaction>) {
        self.open = None;
        self.end = self.end.max(end);
        self.last = published.or(self.last);
    }

    /// A keepalive. Inside a transaction it says nothing about its rows.
    pub fn keepalive(&mut self, end: Lsn) {
        if self.open.is_none() {
            self.end = self.end.max(end);
        }
    }

    /// The end of what was received completely.
    #[must_use]
    pub fn received(&self) -> Lsn {
        self.end
    }

    /// The position that a heartbeat may claim now.
    #[must_use]
    pub fn position(&self) -> Position {
        let (lsn, seq) = self.open.unwrap_or((self.end, Seq::BEFORE_ROWS));
        Position::new(self.epoch, lsn, seq)
    }

    /// The last transaction that was handed on as a whole.
    #[must_use]
    pub fn last(&self) -> Option<PublishedTransaction> {
        self.last
    }
}

/// When the next heartbeat is due.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    sent: Option<(Instant, Position)>,
}

impl Schedule {
    /// The first one is due at once: a partition needs one to have a tail.
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            sent: None,
        }
    }

    /// How often to ask: often enough that the interval is kept well.
    #[must_use]
    pub fn granularity(&self) -> Duration {
        self.interval / 4
    }

    /// Whether one is due at `now`: after the interval when the position has moved, else less often.
    #[must_use]
    pub fn is_due(&self, now: Instant, position: Position) -> bool {
        let Some((at, sent)) = self.sent else {
            return true;
        };
        let since = now.saturating_duration_since(at);
        since >= self.interval && (position != sent || since >= STANDING_STILL.max(self.interval))
    }

    /// One was sent to every partition.
    pub fn sent(&mut self, now: Instant, position: Position) {
        self.sent = Some((now, position));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress::new(Epoch::FIRST, Lsn::new(100), None)
    }

    fn at(lsn: u64, seq: i64) -> Position {
        Position::new(Epoch::FIRST, Lsn::new(lsn), Seq::new(seq))
    }

    #[test]
    fn c4_a_keepalive_that_equals_the_next_commit_claims_none_of_its_rows() {
        // GIVEN an idle stream whose keepalive names LSN 200.
        let mut progress = progress();
        progress.keepalive(Lsn::new(200));
        let heartbeat = progress.position();
        // WHEN a transaction commits at exactly that LSN, THEN its first row lies above.
        assert_eq!(heartbeat, at(200, -1));
        assert!(at(200, 0) > heartbeat);
    }

    #[test]
    fn c4_inside_a_transaction_it_repeats_the_last_row() {
        let mut progress = progress();
        progress.begin(Lsn::new(300));
        assert_eq!(progress.position(), at(300, -1));
        progress.row(Seq::new(0));
        progress.row(Seq::new(1));
        // A keepalive in the middle is about WAL that the server has read, not about rows sent.
        progress.keepalive(Lsn::new(900));
        assert_eq!(progress.position(), at(300, 1));
        progress.commit(Lsn::new(310), None);
        assert_eq!(progress.position(), at(310, -1));
    }

    #[test]
    fn a_standing_lsn_is_repeated_less_often() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(1));
        assert!(schedule.is_due(start, at(1, -1)));
        schedule.sent(start, at(1, -1));
        let after = |ms| start + Duration::from_millis(ms);
        assert!(!schedule.is_due(after(999), at(2, -1)));
        assert!(schedule.is_due(after(1000), at(2, -1)));
        assert!(!schedule.is_due(after(9_999), at(1, -1)));
        assert!(schedule.is_due(after(10_000), at(1, -1)));
    }
}
