//! Plain values that go in and out of the clients. No native list among them.

use std::fmt;

use bytes::Bytes;
use model::{Offset, Partition};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use super::error::Error;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's full name.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
}

impl TopicPartition {
    /// A partition by name and number.
    pub fn new(topic: impl Into<String>, partition: Partition) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition.get())
    }
}

/// A position to be stored or committed: the offset of the next record to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPosition {
    /// Where.
    pub at: TopicPartition,
    /// The next record to read.
    pub offset: Offset,
    /// Text that travels with the offset, at most 4096 bytes. It must be given with
    /// every commit: one without it erases what was there.
    pub metadata: String,
}

/// What a group has committed for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where.
    pub at: TopicPartition,
    /// The next record to read; `None` when nothing was ever committed, or it expired.
    pub offset: Option<Offset>,
    /// The text of that commit; empty when there is none.
    pub metadata: String,
}

/// The records a partition holds: `low` up to but without `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The partition.
    pub partition: Partition,
    /// The oldest record still there.
    pub low: Offset,
    /// The offset the next record will get.
    pub high: Offset,
}

impl Watermarks {
    /// Whether there is nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.low >= self.high
    }
}

/// A record that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it came from.
    pub topic: String,
    /// Where it came from.
    pub partition: Partition,
    /// Its place there.
    pub offset: Offset,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub payload: Option<Bytes>,
    /// When it was written, unix milliseconds; `None` when the broker does not say.
    pub timestamp_ms: Option<i64>,
}

/// A record that still lies in librdkafka's buffer. Keep it short: it holds the whole
/// fetched batch. Must be gone before its consumer is.
pub struct Message<'a>(pub(crate) BorrowedMessage<'a>);

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}[{}]@{}",
            self.topic(),
            self.partition().get(),
            self.offset().get()
        )
    }
}

impl Message<'_> {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.0.topic()
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition::new(self.0.partition())
    }

    /// The offset.
    #[must_use]
    pub fn offset(&self) -> Offset {
        Offset::new(self.0.offset())
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// The value; `None` is a tombstone.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// When it was written, unix milliseconds.
    #[must_use]
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }

    /// A copy that may be kept.
    #[must_use]
    pub fn to_record(&self) -> Record {
        Record {
            topic: self.topic().to_owned(),
            partition: self.partition(),
            offset: self.offset(),
            key: self.key().map(Bytes::copy_from_slice),
            payload: self.payload().map(Bytes::copy_from_slice),
            timestamp_ms: self.timestamp_ms(),
        }
    }
}

/// A native list of partitions without offsets, for the shortest possible life.
pub(crate) fn list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        list.add_partition(&at.topic, at.partition.get());
    }
    list
}

/// A native list of positions, for the shortest possible life.
pub(crate) fn positions(
    doing: &str,
    positions: &[StoredPosition],
) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        let mut element = list.add_partition(&position.at.topic, position.at.partition.get());
        element
            .set_offset(NativeOffset::Offset(position.offset.get()))
            .map_err(|error| Error::from_kafka(format!("{doing} {}", position.at), &error))?;
        element.set_metadata(&position.metadata);
    }
    Ok(list)
}

/// The partitions of a native list.
pub(crate) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), Partition::new(element.partition())))
        .collect()
}

/// The committed positions of a native list; the first partition that could not be
/// read makes the whole an error.
pub(crate) fn committed(doing: &str, list: &TopicPartitionList) -> Result<Vec<Committed>, Error> {
    list.elements()
        .iter()
        .map(|element| {
            let at = TopicPartition::new(element.topic(), Partition::new(element.partition()));
            element
                .error()
                .map_err(|error| Error::from_kafka(format!("{doing} {at}"), &error))?;
            let offset = match element.offset() {
                NativeOffset::Offset(offset) => Some(Offset::new(offset)),
                NativeOffset::Beginning
                | NativeOffset::End
                | NativeOffset::Stored
                | NativeOffset::Invalid
                | NativeOffset::OffsetTail(_) => None,
            };
            Ok(Committed {
                at,
                offset,
                metadata: element.metadata().to_owned(),
            })
        })
        .collect()
}
