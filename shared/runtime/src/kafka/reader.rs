//! A reader of chosen partitions, outside any group.
//! In: partitions of one topic and where to start in each. Out: records, and the news
//! that the end of a partition was reached.
//! Must not: commit anything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Offset, Partition};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use super::Kafka;
use super::context::Plain;
use super::error::{Error, ErrorKind};
use super::record::{Message, Record};

/// Where to begin in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The oldest record still there.
    Earliest,
    /// This record.
    At(Offset),
    /// Only what comes from now on.
    End,
}

/// What a reader met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A record.
    Record(Record),
    /// For now there is nothing more in this partition. Said once each time the end is
    /// reached.
    CaughtUp(Partition),
}

/// Reads partitions of one topic.
pub struct Reader {
    // Only `None` while being dropped.
    inner: Option<Arc<StreamConsumer<Plain>>>,
    topic: String,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({})", self.topic)
    }
}

impl Reader {
    pub(super) fn new(
        kafka: &Kafka,
        topic: &str,
        from: &[(Partition, Start)],
    ) -> Result<Self, Error> {
        let doing = format!("cannot read {topic}");
        let mut config = kafka.base();
        config.remove("group.instance.id").remove("group.protocol");
        config
            // librdkafka wants a name even where there is no group; nothing joins it.
            .set("group.id", format!("{}.reader", kafka.settings().client_id))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_uncommitted")
            .set("fetch.queue.backoff.ms", "10")
            .set("queued.max.messages.kbytes", "8192")
            .set("allow.auto.create.topics", "false");
        let inner: StreamConsumer<Plain> = config
            .create_with_context(Plain::default())
            .map_err(|error| Error::from_kafka(doing.clone(), &error))?;
        {
            let mut list = TopicPartitionList::with_capacity(from.len());
            for (partition, start) in from {
                let offset = match start {
                    Start::Earliest => NativeOffset::Beginning,
                    Start::At(offset) => NativeOffset::Offset(offset.get()),
                    Start::End => NativeOffset::End,
                };
                list.add_partition_offset(topic, partition.get(), offset)
                    .map_err(|error| Error::from_kafka(doing.clone(), &error))?;
            }
            inner
                .assign(&list)
                .map_err(|error| Error::from_kafka(doing, &error))?;
        }
        Ok(Self {
            inner: Some(Arc::new(inner)),
            topic: topic.to_owned(),
        })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The next record or end. Cancel-safe. Waits for ever while brokers are down.
    ///
    /// # Errors
    /// [`ErrorKind::OffsetOutOfRange`]: a start is not there any more. Transient errors
    /// may be passed over: the reader goes on by itself.
    pub async fn next(&self) -> Result<Read, Error> {
        let Some(inner) = &self.inner else {
            return Err(Error::new(
                ErrorKind::Fatal,
                "cannot read",
                "the reader is closed",
            ));
        };
        match inner.recv().await {
            Ok(message) => Ok(Read::Record(Message(message).to_record())),
            Err(KafkaError::PartitionEOF(partition)) => {
                Ok(Read::CaughtUp(Partition::new(partition)))
            }
            Err(error) => Err(
                Error::from_kafka(format!("cannot read {}", self.topic), &error)
                    .with_last_seen(inner.context().voice.last()),
            ),
        }
    }

    /// Reads until the end of all `partitions` was met, as it stood then.
    ///
    /// # Errors
    /// As [`Reader::next`] for errors that do not pass, or the time is over.
    pub async fn read_to_end(
        &self,
        partitions: &[Partition],
        timeout: Duration,
    ) -> Result<Vec<Record>, Error> {
        let mut open: Vec<Partition> = partitions.to_vec();
        let mut records = Vec::new();
        let mut last_error = None;
        let all = async {
            while !open.is_empty() {
                match self.next().await {
                    Ok(Read::Record(record)) => records.push(record),
                    Ok(Read::CaughtUp(partition)) => open.retain(|other| *other != partition),
                    Err(error) if error.is_transient() => last_error = Some(error),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        match tokio::time::timeout(timeout, all).await {
            Ok(Ok(())) => Ok(records),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(last_error.unwrap_or_else(|| {
                Error::new(
                    ErrorKind::Timeout,
                    format!("cannot read {} to its end", self.topic),
                    format!("not within {timeout:?}"),
                )
            })),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The drop of a consumer waits for its threads: not on an async thread.
        if let Some(inner) = self.inner.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(inner));
        }
    }
}
