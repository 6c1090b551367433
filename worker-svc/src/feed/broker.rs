//! The edge to Kafka, apart from consuming.
//! In: records that must be durable before something counts as done. Out: where they
//! landed; what the group has committed; where topics end.
//! Must hold: W1: a place is named only once the broker has acknowledged the record.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use model::{Offset, Partition};
use runtime::kafka::{Acknowledged, Error, ErrorKind, GroupOffsets, Kafka, TopicPartition, Topics};

use crate::Transient;

/// What a feed needs of Kafka; a test scripts it.
pub trait Broker: Send + Sync + fmt::Debug {
    /// Writes a record and waits until it is durable.
    fn publish<'a>(
        &'a self,
        at: &'a TopicPartition,
        key: &'a [u8],
        value: &'a [u8],
    ) -> BoxFuture<'a, Result<Offset, Transient>>;

    /// How many partitions a topic has.
    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, Transient>>;

    /// What the feed's group has committed in a topic.
    fn group_committed<'a>(
        &'a self,
        topic: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<Partition, Offset>, Transient>>;

    /// The ends of these partitions of a topic.
    fn ends<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
    ) -> BoxFuture<'a, Result<BTreeMap<Partition, Offset>, Transient>>;
}

/// The real one, for one group.
pub struct KafkaBroker {
    kafka: Kafka,
    topics: Topics,
    group: GroupOffsets,
    /// Made at the first record, and anew after it broke.
    producer: Mutex<Option<Acknowledged>>,
}

impl fmt::Debug for KafkaBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaBroker({})", self.group.group())
    }
}

impl KafkaBroker {
    /// Clients for `group`.
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn new(kafka: &Kafka, group: &str) -> Result<Self, Transient> {
        let doing = failed("making a client");
        Ok(KafkaBroker {
            kafka: kafka.clone(),
            topics: kafka.topics().map_err(&doing)?,
            group: kafka.group_offsets(group).map_err(&doing)?,
            producer: Mutex::new(None),
        })
    }

    fn producer(&self) -> Result<Acknowledged, Error> {
        let mut kept = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = kept.as_ref() {
            return Ok(producer.clone());
        }
        let made = self.kafka.acknowledged()?;
        *kept = Some(made.clone());
        Ok(made)
    }

    async fn all_partitions(&self, topic: &str) -> Result<Vec<Partition>, Transient> {
        let count = self.count(topic).await?;
        Ok((0..i32::try_from(count).unwrap_or(i32::MAX))
            .map(Partition::new)
            .collect())
    }

    async fn count(&self, topic: &str) -> Result<u32, Transient> {
        let found = self
            .topics
            .partitions(topic)
            .await
            .map_err(failed("describing a topic"))?;
        found
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count > 0)
            .ok_or_else(|| {
                Transient::Waiting(format!("the topic {topic} (capture-svc topics creates it)"))
            })
    }
}

impl Broker for KafkaBroker {
    fn publish<'a>(
        &'a self,
        at: &'a TopicPartition,
        key: &'a [u8],
        value: &'a [u8],
    ) -> BoxFuture<'a, Result<Offset, Transient>> {
        Box::pin(async move {
            let doing = failed("writing a record");
            let producer = self.producer().map_err(&doing)?;
            match producer.send(at, key, Some(value)).await {
                Ok(delivered) => Ok(delivered.offset),
                Err(error) => {
                    if matches!(error.kind(), ErrorKind::Fatal) {
                        *self.producer.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    }
                    Err(doing(error))
                }
            }
        })
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, Transient>> {
        Box::pin(self.count(topic))
    }

    fn group_committed<'a>(
        &'a self,
        topic: &'a str,
    ) -> BoxFuture<'a, Result<BTreeMap<Partition, Offset>, Transient>> {
        Box::pin(async move {
            let all: Vec<TopicPartition> = self
                .all_partitions(topic)
                .await?
                .into_iter()
                .map(|partition| TopicPartition::new(topic, partition))
                .collect();
            let committed = self
                .group
                .committed(&all)
                .await
                .map_err(failed("reading the group's offsets"))?;
            Ok(committed
                .into_iter()
                .filter_map(|committed| Some((committed.at.partition, committed.offset?)))
                .collect())
        })
    }

    fn ends<'a>(
        &'a self,
        topic: &'a str,
        partitions: &'a [Partition],
    ) -> BoxFuture<'a, Result<BTreeMap<Partition, Offset>, Transient>> {
        Box::pin(async move {
            let marks = self
                .topics
                .watermarks(topic, partitions)
                .await
                .map_err(failed("reading a topic's end"))?;
            Ok(marks
                .into_iter()
                .map(|marks| (marks.partition, marks.high))
                .collect())
        })
    }
}

fn failed(doing: &'static str) -> impl Fn(Error) -> Transient {
    move |error| Transient::Kafka {
        doing,
        source: Box::new(error),
    }
}
