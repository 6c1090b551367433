//! A producer for few records, each of which is waited for.
//! In: a record. Out: where it landed, once the broker has acknowledged it.
//! Must hold: W1, so what waits here (chunks, dead letters, announcements) is durable when the
//! future ends well. Must not: be used for changes: a future per record costs too much there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::Partition;
use tokio::sync::oneshot;

use super::error::{Error, ErrorKind};
use super::producer::{Delivered, Deliveries, Producer, SendError, Token};
use super::{Kafka, TopicPartition};

type Waiter = oneshot::Sender<Result<Delivered, Error>>;

#[derive(Debug, Default)]
struct Waiting {
    next: Token,
    waiters: HashMap<Token, Waiter>,
    broken: Option<Error>,
}

#[derive(Debug, Default)]
struct Waiters(Mutex<Waiting>);

impl Waiters {
    fn with<T>(&self, body: impl FnOnce(&mut Waiting) -> T) -> T {
        // A panic elsewhere leaves a map behind that is still right.
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Deliveries for Waiters {
    fn delivered(&self, token: Token, outcome: Result<Delivered, Error>) {
        if let Some(waiter) = self.with(|waiting| waiting.waiters.remove(&token)) {
            // Whoever waited may have been dropped; then nobody wants to know.
            drop(waiter.send(outcome));
        }
    }

    fn broken(&self, error: Error) {
        self.with(|waiting| waiting.broken = Some(error));
    }
}

/// Sends records and waits for each. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    producer: Producer<Waiters>,
}

impl Acknowledged {
    pub(super) fn new(kafka: &Kafka) -> Result<Self, Error> {
        Ok(Self {
            producer: kafka.producer(Waiters::default())?,
        })
    }

    /// Writes one record and waits until it is durable in the broker. Ends as often as it is
    /// called; the order of calls that are awaited one after the other is kept.
    ///
    /// # Errors
    /// The record was refused, or the client is broken: make a new one.
    pub async fn send(
        &self,
        at: &TopicPartition,
        key: &[u8],
        payload: Option<&[u8]>,
    ) -> Result<Delivered, Error> {
        self.begin(at, key, payload)?.wait().await
    }

    /// Hands one record over; the answer is waited for later, so that several can be under way.
    ///
    /// # Errors
    /// The record was refused, or the client is broken.
    pub fn begin(
        &self,
        at: &TopicPartition,
        key: &[u8],
        payload: Option<&[u8]>,
    ) -> Result<Pending, Error> {
        let (sender, answer) = oneshot::channel();
        let waiters = self.producer.deliveries();
        let token = waiters.with(|waiting| {
            if let Some(error) = &waiting.broken {
                return Err(Error::new(
                    ErrorKind::Fatal,
                    format!("cannot write to {at}"),
                    error.to_string(),
                ));
            }
            waiting.next = waiting.next.wrapping_add(1);
            waiting.waiters.insert(waiting.next, sender);
            Ok(waiting.next)
        })?;
        let sent = self
            .producer
            .send(&at.topic, at.partition, Some(key), payload, None, token);
        match sent {
            Ok(()) => Ok(Pending {
                at: at.clone(),
                answer,
            }),
            Err(refused) => {
                waiters.with(|waiting| waiting.waiters.remove(&token));
                Err(match refused {
                    SendError::Full => Error::new(
                        ErrorKind::Other,
                        format!("cannot write to {at}"),
                        "the producer's queue is full",
                    ),
                    SendError::Refused(error) => error,
                })
            }
        }
    }
}

/// A record under way.
#[derive(Debug)]
#[must_use = "it is not durable before its end was waited for"]
pub struct Pending {
    at: TopicPartition,
    answer: oneshot::Receiver<Result<Delivered, Error>>,
}

impl Pending {
    /// Waits until it is durable in the broker.
    ///
    /// # Errors
    /// The record failed, or the client was dropped.
    pub async fn wait(self) -> Result<Delivered, Error> {
        match self.answer.await {
            Ok(outcome) => outcome,
            Err(_dropped) => Err(Error::new(
                ErrorKind::Fatal,
                format!("cannot write to {}", self.at),
                "the producer was dropped",
            )),
        }
    }
}

/// A record's place when its partition does not matter: the only one of a topic with one.
#[must_use]
pub fn only_partition(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, Partition::new(0))
}
