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

    /// Words `key=value` in any order. Unknown keys are passed over: a later
    /// version may say more, and what is known keeps its meaning.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = OffsetMetadataError::Malformed;
        let (mut epoch, mut lsn, mut splits) = (None, None, Vec::new());
        for word in text.split_ascii_whitespace() {
            let (key, value) = word.split_once('=').ok_or(wrong("a word without ="))?;
            match key {
                "epoch" if epoch.is_some() => return Err(wrong("two epochs")),
                "epoch" => epoch = Some(Epoch::new(number(value)?)),
                "lsn" if lsn.is_some() => return Err(wrong("two LSNs")),
                "lsn" => lsn = Some(value.parse().map_err(|_| wrong("lsn is no LSN"))?),
                "split" => splits.push(value.parse()?),
                _ => {}
            }
        }
        Ok(OffsetMetadata {
            epoch: epoch.ok_or(wrong("no epoch"))?,
            lsn: lsn.ok_or(wrong("no lsn"))?,
            splits,
        })
    }
}

impl FromStr for PendingSplit {
    type Err = OffsetMetadataError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = OffsetMetadataError::Malformed;
        let (offset, list) = text.split_once('@').ok_or(wrong("a split without @"))?;
        let mut ends = Vec::new();
        for end in list.split(',').filter(|end| !end.is_empty()) {
            let (partition, end) = end.split_once(':').ok_or(wrong("a split end without :"))?;
            ends.push((
                Partition::new(number(partition)?),
                Offset::new(number(end)?),
            ));
        }
        Ok(PendingSplit {
            offset: Offset::new(number(offset)?),
            ends,
        })
    }
}

/// Decimal digits and nothing else: no sign, so never below zero.
fn number<N: FromStr>(text: &str) -> Result<N, OffsetMetadataError> {
    let wrong = OffsetMetadataError::Malformed("a number is not plain digits, or too large");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong);
    }
    text.parse().map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn example() -> OffsetMetadata {
        let ends = vec![
            (Partition::new(0), Offset::new(40)),
            (Partition::new(1), Offset::new(38)),
        ];
        OffsetMetadata {
            epoch: Epoch::new(3),
            lsn: Lsn::new(0x016B_3748),
            splits: vec![PendingSplit {
                offset: Offset::new(17),
                ends,
            }],
        }
    }

    #[test]
    fn the_text_form_is_fixed() {
        let text = "epoch=3 lsn=0/16B3748 split=17@0:40,1:38";
        assert_eq!(example().to_text().as_deref(), Ok(text));
        assert_eq!(text.parse(), Ok(example()));
    }

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = "v=2 lsn=0/16B3748 epoch=3 seq=9 split=17@0:40,1:38 why=a=b";
        assert_eq!(text.parse(), Ok(example()));
    }

    #[test]
    fn a_split_without_chunks_is_kept() {
        let metadata: OffsetMetadata = "epoch=1 lsn=0/1 split=5@".parse().unwrap();
        let split = PendingSplit {
            offset: Offset::new(5),
            ends: Vec::new(),
        };
        assert_eq!(metadata.splits, [split]);
    }

    #[test]
    fn c1_unreadable_metadata_is_an_error_and_never_a_position() {
        for text in [
            "",
            "epoch=3",
            "lsn=0/1",
            "epoch=3 lsn=0/1 epoch=4",
            "epoch=3 lsn=0/1 lsn=0/2",
            "epoch=-3 lsn=0/1",
            "epoch=3 lsn=1",
            "epoch=3 lsn=0/1 junk",
            "epoch=3 lsn=0/1 split=1",
            "epoch=3 lsn=0/1 split=1@2",
            "epoch=3 lsn=0/1 split=1@2:-1",
            "epoch=99999999999 lsn=0/1",
        ] {
            assert!(text.parse::<OffsetMetadata>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn more_than_a_broker_takes_is_refused() {
        let mut metadata = example();
        while metadata.to_string().len() <= OffsetMetadata::MAX_BYTES {
            metadata.splits.push(metadata.splits[0].clone());
        }
        let length = metadata.to_string().len();
        assert_eq!(
            metadata.to_text(),
            Err(OffsetMetadataError::TooLong { length })
        );
        metadata.splits.pop();
        assert!(metadata.to_text().is_ok());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in ".*") {
            let _: Result<OffsetMetadata, _> = text.parse();
        }

        #[test]
        fn round_trip(
            epoch: u32,
            lsn: u64,
            splits in vec((0..i64::MAX, vec((0..i32::MAX, 0..i64::MAX), 0..4)), 0..4),
        ) {
            let splits = splits.into_iter().map(|(offset, ends)| PendingSplit {
                offset: Offset::new(offset),
                ends: ends
                    .into_iter()
                    .map(|(partition, end)| (Partition::new(partition), Offset::new(end)))
                    .collect(),
            });
            let metadata = OffsetMetadata {
                epoch: Epoch::new(epoch),
                lsn: Lsn::new(lsn),
                splits: splits.collect(),
            };
            prop_assert_eq!(metadata.to_text().unwrap().parse(), Ok(metadata));
        }
    }
}
