//! The producer that leaves no gap.
//! In: records with their partition already chosen. Out: a call for each, durable or failed.
//! Must hold: C4. Idempotent, acknowledged by all in-sync replicas, records never expire,
//! and after one failed record nothing behind it is delivered. Expiry would drop a record
//! while later ones go through: a hole below the tail, which a restart from the tail skips.
//! Must not: choose partitions, or wait when the queue is full; that is the caller's
//! backpressure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Offset, Partition};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientConfig, ClientContext};

use super::Kafka;
use super::context::Voice;
use super::error::{Error, ErrorKind};
use crate::task;

/// The caller's number for a record; comes back with its delivery.
pub type Token = usize;

/// Where a record is now durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition that was asked for.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
}

/// Hears of every record's end. Called on the producer's own thread: must not block.
pub trait Deliveries: Send + Sync + 'static {
    /// A record is durable, or will never be (then the producer is broken: a later
    /// record must not be counted as delivered either).
    fn delivered(&self, token: Token, outcome: Result<Delivered, Error>);

    /// The client as a whole cannot go on. May come more than once.
    fn broken(&self, error: Error);
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The queue is full: wait for deliveries, then send it again. Nothing was taken.
    #[error("the producer's queue is full")]
    Full,
    /// The record cannot be sent.
    #[error(transparent)]
    Refused(#[from] Error),
}

struct Context<D> {
    deliveries: D,
    voice: Voice,
}

impl<D: Deliveries> ClientContext for Context<D> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        Voice::line(level, facility, line);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let fatal = error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
        let error = self.voice.error(&error, reason);
        if fatal {
            self.deliveries.broken(error);
        }
    }
}

impl<D: Deliveries> ProducerContext for Context<D> {
    type DeliveryOpaque = Token;

    fn delivery(&self, result: &DeliveryResult<'_>, token: Token) {
        let outcome = match result {
            Ok(message) => Ok(Delivered {
                partition: Partition::new(message.partition()),
                offset: Offset::new(message.offset()),
            }),
            Err((error, message)) => Err(Error::from_kafka(
                format!(
                    "cannot write to {}[{}]",
                    message.topic(),
                    message.partition()
                ),
                error,
            )),
        };
        self.deliveries.delivered(token, outcome);
    }
}

/// A producer with a thread of its own that calls [`Deliveries`].
pub struct Producer<D: Deliveries> {
    inner: Arc<ThreadedProducer<Context<D>, NoCustomPartitioner>>,
}

impl<D: Deliveries> Clone for Producer<D> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<D: Deliveries> fmt::Debug for Producer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("in_flight", &self.in_flight())
            .finish()
    }
}

fn config(kafka: &Kafka) -> ClientConfig {
    let mut config = kafka.base();
    config
        .set("enable.idempotence", "true")
        .set("enable.gapless.guarantee", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("compression.type", kafka.settings().compression.name())
        // A topic that is missing is an error with a name, not one with the broker's
        // default partition count.
        .set("allow.auto.create.topics", "false");
    config
}

impl<D: Deliveries> Producer<D> {
    pub(super) fn new(kafka: &Kafka, deliveries: D) -> Result<Self, Error> {
        let context = Context {
            deliveries,
            voice: Voice::default(),
        };
        let inner = config(kafka)
            .create_with_context(context)
            .map_err(|error| Error::from_kafka("cannot make a Kafka producer", &error))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What hears of the deliveries.
    #[must_use]
    pub fn deliveries(&self) -> &D {
        &self.inner.client().context().deliveries
    }

    /// Queues a record. Never blocks. `timestamp_ms` is unix time; `None` means now.
    ///
    /// # Errors
    /// The queue is full, or the record cannot be sent (too large, producer broken).
    pub fn send(
        &self,
        topic: &str,
        partition: Partition,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        timestamp_ms: Option<i64>,
        token: Token,
    ) -> Result<(), SendError> {
        let mut record = BaseRecord::<[u8], [u8], Token>::with_opaque_to(topic, token)
            .partition(partition.get());
        record.key = key;
        record.payload = payload;
        record.timestamp = timestamp_ms;
        self.inner.send(record).map_err(|(error, _)| {
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                return SendError::Full;
            }
            let doing = format!("cannot write to {topic}[{}]", partition.get());
            SendError::Refused(Error::from_kafka(doing, &error))
        })
    }

    /// Records taken whose end is not known yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.inner.in_flight_count()).unwrap_or(0)
    }

    /// Waits until every record taken so far has its end.
    ///
    /// # Errors
    /// The time is over. Records stay queued.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let inner = Arc::clone(&self.inner);
        let flushed = task::blocking("kafka flush", move || inner.flush(timeout)).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::from_kafka("cannot write all records", &error)
                .with_last_seen(self.inner.client().context().voice.last())),
            Err(error) => Err(Error::new(
                ErrorKind::Other,
                "cannot write all records",
                error.to_string(),
            )),
        }
    }

    /// Withdraws what is queued or in flight; each record's delivery fails with
    /// [`ErrorKind::Purged`]. A record in flight may be durable all the same.
    pub fn purge(&self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }

    /// Withdraws everything and ends the client. When this returns, and no clone is
    /// left, nothing of it reaches the broker any more.
    pub async fn close(self) {
        self.purge();
        // Dropping waits for the client's threads.
        drop(task::blocking("kafka producer close", move || drop(self)).await);
    }
}
