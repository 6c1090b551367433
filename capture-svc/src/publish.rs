//! Records to Kafka: accepted here, durable when the delivery report says so.
//! In: a key, a value, a partition and the position they stand for. Out: per partition, the
//! position up to which everything is acknowledged.
//! Must hold: C3, C4, so a partition never has a hole below its tail: the first failed report breaks the
//! publisher for good, and delivered offsets must rise.
//! Must not: decide what is published, or confirm anything.
//!
//! Bounded: what is accepted and not reported counts in records and bytes, and [`Ledger::has_room`]
//! is false beyond the bounds. The pump then stops reading, which is the back-pressure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{HEARTBEAT_KEY, Offset, Partition, Position};
use prometheus_client::metrics::counter::Counter;
use runtime::kafka::{Delivered, Deliveries, Error, Kafka, Producer, SendError, Token};
use tokio::sync::Notify;

use crate::error::{Failure, Transient};

/// A record that the producer has accepted.
#[derive(Debug)]
struct Accepted {
    partition: Partition,
    position: Position,
    bytes: usize,
    is_change: bool,
}

/// How much may be accepted and not yet acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Buffer {
    /// Records.
    pub records: usize,
    /// Bytes of keys and values.
    pub bytes: usize,
}

/// What stands between the stream and Kafka's acknowledgement.
#[derive(Debug)]
pub struct Ledger {
    buffer: Buffer,
    published: Counter,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: Open,
    bytes: usize,
    tails: BTreeMap<Partition, Position>,
    offsets: BTreeMap<Partition, Offset>,
    broken: Option<String>,
}

impl State {
    fn close(&mut self, token: Token) -> Option<Accepted> {
        let accepted = self.open.remove(token)?;
        self.bytes = self.bytes.saturating_sub(accepted.bytes);
        Some(accepted)
    }
}

/// Records without a report, in places that are used again.
#[derive(Debug, Default)]
struct Open {
    places: Vec<Option<Accepted>>,
    free: Vec<Token>,
    count: usize,
}

impl Open {
    fn insert(&mut self, accepted: Accepted) -> Token {
        self.count += 1;
        let token = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(token) {
            Some(place) => *place = Some(accepted),
            None => self.places.push(Some(accepted)),
        }
        token
    }

    fn remove(&mut self, token: Token) -> Option<Accepted> {
        let accepted = self.places.get_mut(token)?.take()?;
        self.count -= 1;
        self.free.push(token);
        Some(accepted)
    }
}

/// What is in flight and what was acknowledged, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InFlight {
    /// Records without a report.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Ledger {
    /// Starts from the tails that the partitions have. `published` counts acknowledged changes,
    /// heartbeats not among them.
    #[must_use]
    pub fn new(
        buffer: Buffer,
        tails: BTreeMap<Partition, Position>,
        published: Counter,
    ) -> Arc<Self> {
        let state = Mutex::new(State {
            tails,
            ..State::default()
        });
        Arc::new(Self {
            buffer,
            published,
            state,
            changed: Notify::new(),
        })
    }

    /// Whether more may be accepted.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        state.open.count < self.buffer.records && state.bytes < self.buffer.bytes
    }

    /// What is in flight.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        let state = self.lock();
        InFlight {
            records: state.open.count,
            bytes: state.bytes,
        }
    }

    /// The lowest position that every one of `partitions` holds; `None` while one is empty.
    #[must_use]
    pub fn lowest_tail(&self, partitions: u32) -> Option<Position> {
        let state = self.lock();
        let at = |number| {
            state
                .tails
                .get(&Partition::new(i32::try_from(number).ok()?))
                .copied()
        };
        (0..partitions).map(at).min().flatten()
    }

    /// The tail of every partition that has one.
    #[must_use]
    pub fn tails(&self) -> BTreeMap<Partition, Position> {
        self.lock().tails.clone()
    }

    /// Ends when a report has failed, with the reason. Cancel-safe.
    pub async fn broken(&self) -> Transient {
        loop {
            let changed = self.changed.notified();
            if let Some(reason) = self.lock().broken.clone() {
                return Transient::Publisher(reason);
            }
            changed.await;
        }
    }

    /// Ends when there is room, or the publisher is broken. Cancel-safe.
    pub async fn room(&self) {
        self.wait(|state| {
            state.open.count < self.buffer.records && state.bytes < self.buffer.bytes
        })
        .await;
    }

    /// Ends when everything accepted is acknowledged.
    ///
    /// # Errors
    /// When the publisher is broken.
    pub async fn drained(&self) -> Result<(), Transient> {
        self.wait(|state| state.open.count == 0).await;
        match self.lock().broken.clone() {
            Some(reason) => Err(Transient::Publisher(reason)),
            None => Ok(()),
        }
    }

    async fn wait(&self, until: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.lock();
                if state.broken.is_some() || until(&state) {
                    return;
                }
            }
            changed.await;
        }
    }

    fn accept(&self, accepted: Accepted) -> Token {
        let mut state = self.lock();
        state.bytes += accepted.bytes;
        state.open.insert(accepted)
    }

    fn withdraw(&self, token: Token) {
        self.lock().close(token);
    }

    fn acknowledged(&self, token: Token, offset: Offset) {
        let mut state = self.lock();
        let Some(accepted) = state.close(token) else {
            return;
        };
        if accepted.is_change {
            self.published.inc();
        }
        let last = state.offsets.insert(accepted.partition, offset);
        if state.broken.is_none()
            && let Some(last) = last.filter(|last| offset <= *last)
        {
            let partition = accepted.partition;
            state.broken = Some(format!(
                "partition {partition} went from offset {last} to {offset}: it was emptied or made anew"
            ));
        }
        if state.broken.is_none() {
            let tail = state
                .tails
                .entry(accepted.partition)
                .or_insert(accepted.position);
            *tail = (*tail).max(accepted.position);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn fail(&self, token: Option<Token>, reason: String) {
        let mut state = self.lock();
        if let Some(token) = token {
            state.close(token);
        }
        // A later acknowledgement must not move a tail over the hole.
        state.broken.get_or_insert(reason);
        drop(state);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves plain numbers behind, which are still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes delivery reports on the producer's own thread.
#[derive(Debug, Clone)]
struct Reports(Arc<Ledger>);

impl Deliveries for Reports {
    fn delivered(&self, token: Token, outcome: Result<Delivered, Error>) {
        match outcome {
            Ok(delivered) => self.0.acknowledged(token, delivered.offset),
            Err(error) => self.0.fail(Some(token), error.to_string()),
        }
    }

    fn broken(&self, error: Error) {
        self.0.fail(None, error.to_string());
    }
}

/// The producer of `{p}.changes` for one connection to the slot.
#[derive(Debug)]
pub struct Publisher {
    topic: String,
    producer: Producer<Reports>,
    ledger: Arc<Ledger>,
}

impl Publisher {
    /// A publisher to `topic`.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(kafka: &Kafka, topic: String, ledger: Arc<Ledger>) -> Result<Self, Failure> {
        let producer = kafka
            .producer(Reports(Arc::clone(&ledger)))
            .map_err(crate::control::failure)?;
        Ok(Self {
            topic,
            producer,
            ledger,
        })
    }

    /// What was accepted and acknowledged.
    #[must_use]
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Hands a record to the producer. It is durable only when the ledger's tail has passed it.
    ///
    /// # Errors
    /// When the producer does not take it: nothing after it may be published then.
    pub fn send(
        &self,
        partition: Partition,
        position: Position,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Transient> {
        let is_change = key != HEARTBEAT_KEY;
        let bytes = key.len() + value.len();
        // Registered first: the report may come before `send` returns.
        let token = self.ledger.accept(Accepted {
            partition,
            position,
            bytes,
            is_change,
        });
        self.producer
            .send(&self.topic, partition, Some(key), Some(value), None, token)
            .map_err(|error| {
                self.ledger.withdraw(token);
                Transient::Publisher(match error {
                    // Its queue is larger than our bounds, so this is not back-pressure.
                    SendError::Full => "the producer's queue is full".to_owned(),
                    SendError::Refused(error) => format!("a record of {bytes} bytes: {error}"),
                })
            })
    }

    /// Drops what was not sent and closes the client, so that no record of ours comes after a
    /// successor's.
    pub async fn close(self) {
        self.producer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Epoch, Lsn, Seq};

    const BUFFER: Buffer = Buffer {
        records: 2,
        bytes: 100,
    };

    fn at(lsn: u64) -> Position {
        Position::new(Epoch::FIRST, Lsn::new(lsn), Seq::new(0))
    }

    fn accepted(partition: i32, lsn: u64, bytes: usize) -> Accepted {
        Accepted {
            partition: Partition::new(partition),
            position: at(lsn),
            bytes,
            is_change: true,
        }
    }

    #[test]
    fn accepted_is_not_durable() {
        let ledger = Ledger::new(BUFFER, BTreeMap::new(), Counter::default());
        let token = ledger.accept(accepted(0, 5, 10));
        assert_eq!(ledger.lowest_tail(1), None);
        ledger.acknowledged(token, Offset::new(0));
        assert_eq!(ledger.lowest_tail(1), Some(at(5)));
        assert_eq!(
            ledger.lowest_tail(2),
            None,
            "an empty partition holds everything back"
        );
    }

    #[test]
    fn no_room_at_either_bound() {
        let ledger = Ledger::new(BUFFER, BTreeMap::new(), Counter::default());
        let token = ledger.accept(accepted(0, 1, 100));
        assert!(!ledger.has_room());
        ledger.withdraw(token);
        ledger.accept(accepted(0, 1, 1));
        assert!(ledger.has_room());
        ledger.accept(accepted(0, 2, 1));
        assert!(!ledger.has_room());
    }

    #[tokio::test]
    async fn c4_after_a_failed_report_no_tail_moves() {
        // GIVEN two records under way in one partition.
        let ledger = Ledger::new(
            BUFFER,
            BTreeMap::from([(Partition::new(0), at(1))]),
            Counter::default(),
        );
        let first = ledger.accept(accepted(0, 2, 10));
        let second = ledger.accept(accepted(0, 3, 10));
        // WHEN the first fails and the second is acknowledged.
        ledger.fail(Some(first), "refused".to_owned());
        ledger.acknowledged(second, Offset::new(9));
        // THEN the tail stays below the hole, and everybody is told.
        assert_eq!(ledger.lowest_tail(1), Some(at(1)));
        assert!(ledger.broken().await.to_string().contains("refused"));
        assert!(ledger.drained().await.is_err());
    }

    #[tokio::test]
    async fn r2_offsets_that_fall_mean_that_the_topic_is_another_one() {
        let ledger = Ledger::new(BUFFER, BTreeMap::new(), Counter::default());
        let first = ledger.accept(accepted(0, 1, 10));
        let second = ledger.accept(accepted(0, 2, 10));
        ledger.acknowledged(first, Offset::new(500));
        ledger.acknowledged(second, Offset::new(0));
        assert!(ledger.broken().await.to_string().contains("made anew"));
        assert_eq!(ledger.lowest_tail(1), Some(at(1)));
    }
}
