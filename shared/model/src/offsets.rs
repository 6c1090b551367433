//! The metadata of a committed offset of `{p}.changes`.
//! It says: every change of this partition at a position below (epoch, lsn)
//! is durable in my sink. Capture confirms the slot by it (C1), so it is
//! written with every commit; a commit without it would erase the last one.
//! Splits that are not finished ride along, so that a rebalance does not
//! repeat them.

use std::fmt;
use std::str::FromStr;

use crate::lsn::Lsn;
use crate::position::{Epoch, Offset, Partition};

/// The text of a committed offset. `Display` and `FromStr` are its form:
/// `epoch=3 lsn=0/16B3748 split=17@0:40,1:38`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OffsetMetadata {
    /// The epoch of `lsn`.
    pub epoch: Epoch,
    /// Everything below it is durable; nothing is said about what is at it.
    pub lsn: Lsn,
    /// The changes whose fan-out is still being built, in offset order.
    pub splits: Vec<PendingSplit>,
}

/// A change that was handed to `{p}.fanout` and waits for its chunks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PendingSplit {
    /// The offset of the change.
    pub offset: Offset,
    /// Per partition of `{p}.fanout` that got chunks, the offset after the
    /// last of them. Finished when the group's committed offsets reach all.
    pub ends: Vec<(Partition, Offset)>,
}

/// The metadata is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OffsetMetadataError {
    /// Longer than brokers accept by default.
    #[error(
        "offset metadata of {length} bytes; brokers take {}",
        OffsetMetadata::MAX_BYTES
    )]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Not text of this form.
    #[error("offset metadata is not readable: {0}")]
    Malformed(&'static str),
}

impl OffsetMetadata {
    /// `offset.metadata.max.bytes` of a broker, as it comes.
    pub const MAX_BYTES: usize = 4096;

    /// Metadata without pending splits.
    #[must_use]
    pub const fn new(epoch: Epoch, lsn: Lsn) -> Self {
        OffsetMetadata {
            epoch,
            lsn,
            splits: Vec::new(),
        }
    }

    /// The text to commit.
    ///
    /// # Errors
    /// When it is longer than [`Self::MAX_BYTES`]: too many splits pending.
    pub fn to_text(&self) -> Result<String, OffsetMetadataError> {
        let text = self.to_string();
        if text.len() > Self::MAX_BYTES {
            return Err(OffsetMetadataError::TooLong { length: text.len() });
        }
        Ok(text)
    }
}

impl fmt::Display for OffsetMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch={} lsn={}", self.epoch, self.lsn)?;
        for split in &self.splits {
            write!(f, " split={}@", split.offset)?;
            for (n, (partition, end)) in split.ends.iter().enumerate() {
                let comma = if n == 0 { "" } else { "," };
                write!(f, "{comma}{partition}:{end}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for OffsetMetadata {
    type Err = OffsetMetadataError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}
