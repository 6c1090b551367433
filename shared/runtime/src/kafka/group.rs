//! A member of a consumer group.
//! In: polls, by one thread that does nothing else. Out: records; calls about partitions.
//! Must hold: W1. Offsets are stored, then the stored ones are committed: only storing
//! is fenced by the client, the broker takes a commit for any partition. Positions that
//! are missing or out of range are an error, never a jump (R2).
//! Must not: block in a callback; all of them run inside `poll` (or the drop).

use std::fmt;
use std::time::Duration;

use model::{Offset, Partition};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, ClientContext};

use super::Kafka;
use super::context::Voice;
use super::error::Error;
use super::record::{self, Committed, Message, StoredPosition, TopicPartition, Watermarks};

/// Hears what happens to the member's partitions, inside `poll`: must not block.
pub trait GroupEvents: Send + Sync + 'static {
    /// These partitions are now this member's too. No record of them was handed out yet.
    fn assigned(&self, partitions: &[TopicPartition]);

    /// These partitions are about to go. With `lost` they are already somebody else's.
    /// Nothing can be stored for them once this returns.
    fn revoked(&self, partitions: &[TopicPartition], lost: bool);

    /// An asynchronous commit ended.
    fn committed(&self, result: Result<(), Error>, positions: &[Committed]) {
        let (_, _) = (result, positions);
    }

    /// The client as a whole said something is wrong (brokers down). For status only.
    fn trouble(&self, error: Error) {
        let _ = error;
    }
}

struct Context<E> {
    events: E,
    voice: Voice,
}

impl<E: GroupEvents> ClientContext for Context<E> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        Voice::line(level, facility, line);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let error = self.voice.error(&error, reason);
        self.events.trouble(error);
    }
}

impl<E: GroupEvents> ConsumerContext for Context<E> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            self.events
                .revoked(&record::partitions(list), consumer.assignment_lost());
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.events.assigned(&record::partitions(list)),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                self.events
                    .trouble(Error::from_kafka("the group cannot rebalance", error));
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let result = result.map_err(|error| Error::from_kafka("cannot commit offsets", &error));
        // With a failed commit the list may carry errors of its own; they say no more.
        let positions = record::committed("commit", offsets).unwrap_or_default();
        self.events.committed(result, &positions);
    }

    fn main_queue_min_poll_interval(&self) -> Timeout {
        Timeout::After(Duration::from_millis(200))
    }
}

/// A member of a group. Poll it from one thread, and drop it there: the drop leaves the
/// group, takes a tenth of a second, and runs the revoke callback.
pub struct GroupConsumer<E: GroupEvents> {
    inner: BaseConsumer<Context<E>>,
    group: String,
}

impl<E: GroupEvents> fmt::Debug for GroupConsumer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupConsumer({})", self.group)
    }
}

fn config(kafka: &Kafka, group: &str) -> ClientConfig {
    let mut config = kafka.base();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "false")
        // The topics hold no transactions; reading must not stop at foreign ones.
        .set("isolation.level", "read_uncommitted")
        .set("allow.auto.create.topics", "false");
    // Bounds, unless the user set others.
    for (name, value) in [
        // The default of a second stalls a busy feed whenever the queue was full.
        ("fetch.queue.backoff.ms", "10"),
        // Per client; the default of 64 MiB would be most of the process.
        ("queued.max.messages.kbytes", "8192"),
    ] {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    if !kafka.settings().broker_side_groups() {
        config.set("partition.assignment.strategy", "cooperative-sticky");
    }
    config
}

impl<E: GroupEvents> GroupConsumer<E> {
    pub(super) fn new(kafka: &Kafka, group: &str, events: E) -> Result<Self, Error> {
        let context = Context {
            events,
            voice: Voice::default(),
        };
        let inner = config(kafka, group)
            .create_with_context(context)
            .map_err(|error| Error::from_kafka("cannot make a Kafka consumer", &error))?;
        Ok(Self {
            inner,
            group: group.to_owned(),
        })
    }

    /// What hears of the partitions.
    #[must_use]
    pub fn events(&self) -> &E {
        &self.inner.context().events
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Joins the group for these topics; partitions come through [`GroupEvents`].
    ///
    /// # Errors
    /// librdkafka refuses a name.
    pub fn subscribe(&self, topics: &[&str]) -> Result<(), Error> {
        self.inner
            .subscribe(topics)
            .map_err(|error| self.error("cannot subscribe", &error))
    }

    /// The next record, if one comes within the time. Runs the callbacks. `None` also
    /// when only a callback ran.
    ///
    /// # Errors
    /// [`super::ErrorKind::OffsetOutOfRange`]: a partition's position is missing or gone, and it
    /// delivers nothing until it is sought (which one: compare watermarks and commits).
    /// [`super::ErrorKind::Fatal`]: make a new consumer. Others heal by themselves.
    #[must_use = "it may be a record, which is then lost to this member until it is sought"]
    pub fn poll(&self, timeout: Duration) -> Option<Result<Message<'_>, Error>> {
        self.inner.poll(timeout).map(|polled| {
            polled
                .map(Message)
                .map_err(|error| self.error("cannot read", &error))
        })
    }

    /// Remembers positions as the next to be committed. All or nothing is not promised:
    /// on an error none must be taken as stored.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotOwned`]: a partition is not this member's. That is the fence.
    pub fn store(&self, positions: &[StoredPosition]) -> Result<(), Error> {
        let list = record::positions("cannot store the offset of", positions)?;
        self.inner
            .store_offsets(&list)
            .map_err(|error| self.error("cannot store offsets", &error))
    }

    /// Commits what was stored since the last commit and waits for the broker.
    /// `false`: nothing was stored.
    ///
    /// # Errors
    /// The commit failed; the positions stay stored.
    pub fn commit(&self) -> Result<bool, Error> {
        self.commit_stored(CommitMode::Sync)
    }

    /// Begins to commit what was stored; its end comes as [`GroupEvents::committed`].
    /// `false`: nothing was stored.
    ///
    /// # Errors
    /// It could not be begun.
    pub fn begin_commit(&self) -> Result<bool, Error> {
        self.commit_stored(CommitMode::Async)
    }

    fn commit_stored(&self, mode: CommitMode) -> Result<bool, Error> {
        match self.inner.commit_consumer_state(mode) {
            Ok(()) => Ok(true),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset) => {
                Ok(false)
            }
            Err(error) => Err(self.error("cannot commit offsets", &error)),
        }
    }

    /// Holds these partitions back; records already fetched are dropped and come again.
    ///
    /// # Errors
    /// One of them is not this member's.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let list = record::list(partitions);
        self.inner
            .pause(&list)
            .map_err(|error| self.error("cannot pause", &error))
    }

    /// Lets them flow again.
    ///
    /// # Errors
    /// One of them is not this member's.
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        let list = record::list(partitions);
        self.inner
            .resume(&list)
            .map_err(|error| self.error("cannot resume", &error))
    }

    /// Goes on reading a partition from there. Blocks up to `timeout`.
    ///
    /// # Errors
    /// It is not this member's, or the time is over.
    pub fn seek(
        &self,
        at: &TopicPartition,
        offset: Offset,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.inner
            .seek(
                &at.topic,
                at.partition.get(),
                NativeOffset::Offset(offset.get()),
                timeout,
            )
            .map_err(|error| self.error("cannot seek", &error))
    }

    /// The partitions that are this member's.
    ///
    /// # Errors
    /// librdkafka cannot say.
    pub fn assignment(&self) -> Result<Vec<TopicPartition>, Error> {
        let list = self
            .inner
            .assignment()
            .map_err(|error| self.error("assignment", &error))?;
        Ok(record::partitions(&list))
    }

    /// What the group has committed for these partitions. Blocks up to `timeout`.
    ///
    /// # Errors
    /// The broker does not answer, or refuses.
    pub fn committed(
        &self,
        partitions: &[TopicPartition],
        timeout: Duration,
    ) -> Result<Vec<Committed>, Error> {
        let doing = "cannot read the offsets of the group";
        let list = self
            .inner
            .committed_offsets(record::list(partitions), timeout)
            .map_err(|error| self.error(doing, &error))?;
        record::committed(doing, &list)
    }

    /// The records a partition holds. Blocks up to `timeout`.
    ///
    /// # Errors
    /// The broker does not answer, or refuses.
    pub fn watermarks(&self, at: &TopicPartition, timeout: Duration) -> Result<Watermarks, Error> {
        let (low, high) = self
            .inner
            .fetch_watermarks(&at.topic, at.partition.get(), timeout)
            .map_err(|error| self.error("cannot read watermarks", &error))?;
        Ok(Watermarks {
            partition: Partition::new(at.partition.get()),
            low: Offset::new(low),
            high: Offset::new(high),
        })
    }

    fn error(&self, doing: &str, error: &KafkaError) -> Error {
        Error::from_kafka(format!("{doing} ({})", self.group), error)
            .with_last_seen(self.inner.context().voice.last())
    }
}
