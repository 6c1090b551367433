//! The only maker of Kafka clients.
//! In: where the brokers are and the user's librdkafka properties. Out: clients whose
//! fences are set and cannot be unset: an idempotent producer without gaps, a group
//! member that commits only what it stored, readers, offsets from outside, topics.
//! Must hold: C4 needs a producer that leaves no hole below a tail; W1 needs commits
//! that a member can make only for partitions it owns. The settings for both are in
//! `settings`, and the user's properties cannot override them.
//! Must not: know what a record means.
//!
//! Two traps live here and nowhere else. A `TopicPartitionList` that outlives its
//! consumer hangs the consumer's drop for ever: no list leaves this module, every call
//! takes and gives plain values. And almost every call of librdkafka blocks: the
//! `async` functions here run it on a blocking thread, with a time limit.

pub mod settings;
pub mod error;
mod context;
pub mod record;
pub mod producer;
pub mod acknowledged;
pub mod group;
pub mod group_offsets;
pub mod reader;
pub mod topics;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;

pub use acknowledged::{Acknowledged, Pending, only_partition};
pub use error::{Error, ErrorKind};
pub use group::{GroupConsumer, GroupEvents};
pub use group_offsets::GroupOffsets;
pub use producer::{Delivered, Deliveries, Producer, SendError, Token};
pub use reader::{Read, Reader, Start};
pub use record::{Committed, Message, Record, StoredPosition, TopicPartition, Watermarks};
pub use settings::{Compression, PropertyError, Settings};
pub use topics::{NewTopic, TopicDescription, TopicPart, Topics};

/// How long a request to the brokers may take, unless the settings say otherwise. Long enough for a broker that fails over, short enough for a readable report.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Makes clients. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kafka {
    settings: Arc<Settings>,
}

impl Kafka {
    /// Checks the settings. Nothing is connected yet.
    ///
    /// # Errors
    /// A property that the product sets itself, or that librdkafka does not take.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        if let Some(refused) = settings.verify().into_iter().next() {
            return Err(Error::refused(refused.to_string(), refused.help()));
        }
        Ok(Self {
            settings: Arc::new(settings),
        })
    }

    /// The brokers' addresses as configured, for messages.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.settings.bootstrap
    }

    /// How long the group waits for a silent member before it gives its partitions
    /// away. A drain must take less.
    #[must_use]
    pub fn session_timeout(&self) -> Duration {
        self.settings.session_timeout()
    }

    /// The version of librdkafka in this binary.
    #[must_use]
    pub fn library_version() -> String {
        rdkafka::util::get_rdkafka_version().1
    }

    /// A producer that leaves no gap: idempotent, never expiring, failing for good
    /// rather than going on past a failed record. `deliveries` hears of every record.
    ///
    /// # Errors
    /// librdkafka refuses the settings (a certificate that cannot be read).
    pub fn producer<D: Deliveries>(&self, deliveries: D) -> Result<Producer<D>, Error> {
        Producer::new(self, deliveries)
    }

    /// A producer for few records, each of which is waited for.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn acknowledged(&self) -> Result<Acknowledged, Error> {
        Acknowledged::new(self)
    }

    /// A member of a consumer group, to be polled by a thread of its own.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn group_consumer<E: GroupEvents>(
        &self,
        group: &str,
        events: E,
    ) -> Result<GroupConsumer<E>, Error> {
        GroupConsumer::new(self, group, events)
    }

    /// A group's committed offsets, seen and (while it has no members) set from outside.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn group_offsets(&self, group: &str) -> Result<GroupOffsets, Error> {
        GroupOffsets::new(self, group)
    }

    /// A reader of chosen partitions of one topic, outside any group.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn reader(&self, topic: &str, from: &[(model::Partition, Start)]) -> Result<Reader, Error> {
        Reader::new(self, topic, from)
    }

    /// Topics: description, creation, watermarks, last records.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub fn topics(&self) -> Result<Topics, Error> {
        Topics::new(self)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.settings.request_timeout
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn base(&self) -> ClientConfig {
        self.settings.base()
    }
}

#[cfg(test)]
mod tests;
