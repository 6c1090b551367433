//! A group's committed offsets, from outside the group.
//! In: a group's name. Out: what it has committed, metadata included; and, while the
//! group has no members, positions put there before the first one joins.
//! Must not: join the group.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;

use super::Kafka;
use super::context::{Plain, hear};
use super::error::{Error, ErrorKind};
use super::record::{self, Committed, StoredPosition, TopicPartition};
use crate::task;

/// Sees and sets the offsets of one group. Keep it for as long as they are watched: it
/// holds a connection.
#[derive(Clone)]
pub struct GroupOffsets {
    inner: Arc<BaseConsumer<Plain>>,
    group: Arc<str>,
    timeout: Duration,
}

impl fmt::Debug for GroupOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupOffsets({})", self.group)
    }
}

impl GroupOffsets {
    pub(super) fn new(kafka: &Kafka, group: &str) -> Result<Self, Error> {
        let mut config = kafka.base();
        // Membership settings of the user would make this client a member with a fixed
        // name; it never joins.
        config.remove("group.instance.id");
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("allow.auto.create.topics", "false");
        let inner = config
            .create_with_context(Plain::default())
            .map_err(|error| Error::from_kafka("cannot make a Kafka consumer", &error))?;
        Ok(Self {
            inner: Arc::new(inner),
            group: group.into(),
            timeout: kafka.request_timeout(),
        })
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What the group has committed for these partitions, in their order.
    ///
    /// # Errors
    /// The broker does not answer, or refuses.
    pub async fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<Committed>, Error> {
        let doing = format!("cannot read the offsets of group {}", self.group);
        let partitions = partitions.to_vec();
        let timeout = self.timeout;
        self.run(doing.clone(), move |inner| {
            let list = record::list(&partitions);
            let list = inner.committed_offsets(list, timeout)?;
            Ok(record::committed(&doing, &list))
        })
        .await?
    }

    /// Commits positions into the group while it has no members.
    ///
    /// # Errors
    /// [`ErrorKind::GroupHasMembers`]: only members may move a living group's offsets.
    pub async fn commit(&self, positions: &[StoredPosition]) -> Result<(), Error> {
        let doing = format!("cannot commit positions of group {}", self.group);
        let positions = positions.to_vec();
        self.run(doing.clone(), move |inner| {
            let list = match record::positions(&doing, &positions) {
                Ok(list) => list,
                Err(error) => return Ok(Err(error)),
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "the group has no members, so there is nothing to fence; the broker refuses it otherwise"
            )]
            inner.commit(&list, CommitMode::Sync).map(Ok)
        })
        .await?
    }

    async fn run<T, F>(&self, doing: String, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&BaseConsumer<Plain>) -> Result<T, KafkaError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let done = task::blocking("kafka group offsets", move || {
            let result = body(&inner);
            if result.is_err() {
                hear(&inner);
            }
            result
        })
        .await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(Error::from_kafka(doing, &error)
                    .with_last_seen(self.inner.context().voice.last()))
            }
            Err(error) => Err(Error::new(ErrorKind::Other, doing, error.to_string())),
        }
    }
}
