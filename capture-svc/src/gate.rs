//! What every gating feed has made durable, as one LSN.
//! In: the committed offsets of the gating groups with their metadata. Out: the minimum, and who
//! holds it.
//! Must hold: C1. Must not: move anything; that is `confirm`.
//!
//! Why the minimum is safe although groups come and go: a feed is announced as gating before its
//! positions are committed, and its first committed metadata says only what was durable when the
//! positions were taken. A group that was announced and has committed nothing for a partition has
//! said nothing, and then nothing is confirmed.

mod watch;

use std::collections::BTreeMap;

pub use watch::{Observed, Scope, watch};

use model::{Epoch, Lsn, Offset, OffsetMetadata, Partition};

/// What a group has committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Where it goes on reading.
    pub offset: Offset,
    /// The metadata as committed; `None` when it is empty or not readable.
    pub metadata: Option<OffsetMetadata>,
}

/// A group's committed offsets of `{p}.changes`.
pub type GroupOffsets = BTreeMap<Partition, Committed>;

/// Where one partition of one group stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The consumer group.
    pub group: String,
    /// Its partition.
    pub partition: Partition,
    /// Up to where it is durable; `None` when it has not said in this epoch.
    pub durable: Option<Lsn>,
}

/// What the gating groups have made durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durable {
    /// Everything below is durable in every gating sink. `None` when one has not said, and when
    /// no feed gates.
    pub lsn: Option<Lsn>,
    /// No feed gates: none was announced yet, or all are disabled or retired. One that is announced
    /// later starts from the topic's end or from positions that Kafka has.
    pub nobody_gates: bool,
    /// Per group, its lowest partition; those that have not said come first, then the lowest.
    pub held_back_by: Vec<Holder>,
}

impl Durable {
    /// What bounds the slot, where `broker` is what Kafka has in every partition: WAL is not kept
    /// for a sink that nobody feeds.
    #[must_use]
    pub fn in_sinks(&self, broker: Option<Lsn>) -> Option<Lsn> {
        if self.nobody_gates { broker } else { self.lsn }
    }
}

/// The minimum over groups and partitions. `groups` holds every gating group, also those that
/// have committed nothing.
#[must_use]
pub fn minimum(groups: &BTreeMap<String, GroupOffsets>, partitions: u32, epoch: Epoch) -> Durable {
    let mut held_back_by: Vec<Holder> = groups
        .iter()
        .filter_map(|(group, offsets)| lowest(group, offsets, partitions, epoch))
        .collect();
    // `None` sorts before every LSN.
    held_back_by.sort_by_key(|holder| holder.durable);
    let lsn = held_back_by.first().and_then(|holder| holder.durable);
    Durable {
        lsn,
        nobody_gates: groups.is_empty(),
        held_back_by,
    }
}

fn lowest(group: &str, offsets: &GroupOffsets, partitions: u32, epoch: Epoch) -> Option<Holder> {
    let at = |number: u32| {
        let partition = Partition::new(i32::try_from(number).ok()?);
        let metadata = offsets
            .get(&partition)
            .and_then(|committed| committed.metadata.as_ref());
        // An older epoch's LSN says nothing about this one's: LSNs of two epochs do not compare.
        let durable = metadata
            .filter(|metadata| metadata.epoch == epoch)
            .map(|metadata| metadata.lsn);
        Some(Holder {
            group: group.to_owned(),
            partition,
            durable,
        })
    };
    (0..partitions)
        .filter_map(at)
        .min_by_key(|holder| holder.durable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Epoch = Epoch::new(3);

    fn group(lsns: &[Option<(u32, u64)>]) -> GroupOffsets {
        let mut offsets = GroupOffsets::new();
        for (number, said) in lsns.iter().enumerate() {
            let metadata =
                said.map(|(epoch, lsn)| OffsetMetadata::new(Epoch::new(epoch), Lsn::new(lsn)));
            let partition = Partition::new(i32::try_from(number).unwrap());
            offsets.insert(
                partition,
                Committed {
                    offset: Offset::new(7),
                    metadata,
                },
            );
        }
        offsets
    }

    fn minimum_of(groups: &[(&str, GroupOffsets)]) -> Durable {
        let groups = groups
            .iter()
            .map(|(name, offsets)| ((*name).to_owned(), offsets.clone()))
            .collect();
        minimum(&groups, 2, EPOCH)
    }

    #[test]
    fn c1_the_lowest_partition_of_the_slowest_group_rules() {
        let durable = minimum_of(&[
            ("a", group(&[Some((3, 50)), Some((3, 40))])),
            ("b", group(&[Some((3, 30)), Some((3, 90))])),
        ]);
        assert_eq!(durable.lsn, Some(Lsn::new(30)));
        let holders: Vec<_> = durable
            .held_back_by
            .iter()
            .map(|holder| (holder.group.as_str(), holder.partition.get()))
            .collect();
        assert_eq!(holders, [("b", 0), ("a", 1)]);
    }

    #[test]
    fn c1_without_a_gating_feed_what_kafka_has_bounds_the_slot() {
        let kafka_has = Some(Lsn::new(70));
        assert_eq!(minimum_of(&[]).in_sinks(kafka_has), kafka_has);
        // One that gates and has said nothing holds everything, and before the first look
        // nobody knows.
        let silent = minimum_of(&[("a", GroupOffsets::new())]);
        assert_eq!(silent.in_sinks(kafka_has), None);
        assert_eq!(Durable::default().in_sinks(kafka_has), None);
    }

    #[test]
    fn c1_a_partition_without_commit_or_metadata_or_of_another_epoch_holds_everything() {
        let silent = [
            GroupOffsets::new(),
            group(&[Some((3, 50))]),
            group(&[Some((3, 50)), None]),
            group(&[Some((3, 50)), Some((2, 900))]),
            group(&[Some((3, 50)), Some((4, 900))]),
        ];
        for offsets in silent {
            let durable = minimum_of(&[
                ("a", group(&[Some((3, 50)), Some((3, 60))])),
                ("silent", offsets.clone()),
            ]);
            assert_eq!(durable.lsn, None, "{offsets:?}");
            assert_eq!(durable.held_back_by[0].group, "silent");
        }
    }
}
