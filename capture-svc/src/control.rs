//! What `{p}.control` says: announcements of the workers in, our own out.
//! In: the records of the topic, from its beginning. Out: the last word on everything.
//! Must hold: R2, so nothing is streamed or confirmed before the topic was read to its end.
//! Must not: act; `lib` and `pump` do.

mod topic;

use std::collections::{BTreeMap, BTreeSet};

pub use topic::Control;
pub(crate) use topic::failure;

use model::{Announcement, Epoch, FeedState, Leaf, Lsn, Needs, TableName};

/// The source as the newest epoch's announcement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The epoch.
    pub epoch: Epoch,
    /// The cluster.
    pub system_identifier: u64,
    /// The database in it.
    pub database_oid: u32,
    /// The timeline at that time.
    pub timeline: u32,
    /// The slot's name.
    pub slot: String,
    /// The lowest LSN the epoch may carry.
    pub start_lsn: Lsn,
}

/// A feed as it announced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feed {
    /// Whether it holds the slot back.
    pub state: FeedState,
    /// What it needs.
    pub needs: Needs,
    /// The tables under a plan or a verify.
    pub scanning: BTreeSet<TableName>,
    /// Which announcement of its this is.
    pub revision: u64,
}

/// An answer that we gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The feed's revision.
    pub revision: u64,
    /// The hash of the needs.
    pub needs_hash: String,
    /// The epoch of `since`.
    pub epoch: Epoch,
    /// Since when; `None` while they are not served.
    pub since: Option<Lsn>,
    /// The tables nothing of which is suppressed.
    pub scanning: BTreeSet<TableName>,
}

/// The last word on everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlState {
    source: Option<Source>,
    partitions: BTreeMap<String, u32>,
    feeds: BTreeMap<String, Feed>,
    served: BTreeMap<String, Served>,
    accepted: BTreeSet<(u64, u32)>,
    tables: BTreeMap<TableName, TableState>,
}

/// A table's tree as it was announced last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// Its oid.
    pub oid: u32,
    /// Its leaves.
    pub leaves: Vec<Leaf>,
}

impl ControlState {
    /// Takes an announcement in. Whether something changed that capture acts on.
    pub fn apply(&mut self, announcement: Announcement) -> bool {
        let before = self.clone();
        match announcement {
            Announcement::Source {
                epoch,
                system_identifier,
                database_oid,
                timeline,
                slot,
                start_lsn,
                ..
            } => {
                // The highest epoch wins, in whatever order compaction left them.
                if self
                    .source
                    .as_ref()
                    .is_none_or(|source| source.epoch <= epoch)
                {
                    self.source = Some(Source {
                        epoch,
                        system_identifier,
                        database_oid,
                        timeline,
                        slot,
                        start_lsn,
                    });
                }
            }
            Announcement::Partitioning {
                topic, partitions, ..
            } => {
                self.partitions.insert(topic, partitions);
            }
            Announcement::Feed {
                group,
                state,
                needs,
                scanning,
                revision,
                ..
            } => {
                let scanning = scanning.into_iter().collect();
                self.feeds.insert(
                    group,
                    Feed {
                        state,
                        needs,
                        scanning,
                        revision,
                    },
                );
            }
            Announcement::Served {
                group,
                revision,
                needs_hash,
                epoch,
                since_lsn,
                scanning,
                ..
            } => {
                let scanning = scanning.into_iter().collect();
                self.served.insert(
                    group,
                    Served {
                        revision,
                        needs_hash,
                        epoch,
                        since: since_lsn,
                        scanning,
                    },
                );
            }
            Announcement::AcceptSource {
                system_identifier,
                database_oid,
                ..
            } => {
                self.accepted.insert((system_identifier, database_oid));
            }
            Announcement::TableState {
                table, oid, leaves, ..
            } => {
                self.tables.insert(table, TableState { oid, leaves });
            }
            // The workers' own, and what is for them alone.
            Announcement::Incarnation { .. } | Announcement::Repair { .. } => {}
        }
        *self != before
    }

    /// The newest epoch's source.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The partition count that a topic's keys are placed by.
    #[must_use]
    pub fn partitions(&self, topic: &str) -> Option<u32> {
        self.partitions.get(topic).copied()
    }

    /// Whether a person accepted this cluster and database.
    #[must_use]
    pub fn is_accepted(&self, system_identifier: u64, database_oid: u32) -> bool {
        self.accepted.contains(&(system_identifier, database_oid))
    }

    /// The groups that hold the slot back.
    pub fn gating(&self) -> impl Iterator<Item = &str> {
        self.feeds
            .iter()
            .filter(|(_, feed)| feed.state == FeedState::Gating)
            .map(|(group, _)| group.as_str())
    }

    /// What all feeds need that are not retired: disabled ones stay served.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.living().fold(Needs::new(), |needs, (_, feed)| {
            needs.union(feed.needs.clone())
        })
    }

    /// The tables of which every column counts as used now.
    #[must_use]
    pub fn scanning(&self) -> BTreeSet<TableName> {
        self.living()
            .flat_map(|(_, feed)| feed.scanning.iter().cloned())
            .collect()
    }

    /// What was promised in this epoch: the needs of the feeds that were answered, and the tables
    /// nothing of which is suppressed for them.
    #[must_use]
    pub fn served_needs(&self, epoch: Epoch) -> (Needs, BTreeSet<TableName>) {
        let promised = |group: &str| {
            self.served
                .get(group)
                .is_some_and(|served| served.epoch == epoch && served.since.is_some())
        };
        let feeds = self.living().filter(|(group, _)| promised(group));
        feeds.fold(
            (Needs::new(), BTreeSet::new()),
            |(needs, mut scanning), (_, feed)| {
                scanning.extend(feed.scanning.iter().cloned());
                (needs.union(feed.needs.clone()), scanning)
            },
        )
    }

    /// The feeds whose last announcement has no answer in this epoch, or a negative one.
    pub fn unanswered(&self, epoch: Epoch) -> impl Iterator<Item = (&str, &Feed)> {
        self.living().filter(move |(group, feed)| {
            !self.served.get(*group).is_some_and(|answer| {
                answer.revision == feed.revision
                    && answer.epoch == epoch
                    && answer.since.is_some()
                    && answer.scanning.is_superset(&feed.scanning)
            })
        })
    }

    /// A table's tree as it was announced last.
    #[must_use]
    pub fn table(&self, table: &TableName) -> Option<&TableState> {
        self.tables.get(table)
    }

    /// The answer that a group has.
    #[must_use]
    pub fn served(&self, group: &str) -> Option<&Served> {
        self.served.get(group)
    }

    /// The feeds that are not retired, by group.
    pub fn living(&self) -> impl Iterator<Item = (&str, &Feed)> {
        self.feeds
            .iter()
            .filter(|(_, feed)| feed.state != FeedState::Retired)
            .map(|(group, feed)| (group.as_str(), feed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FeedId, Generation, SourceCause, TableNeeds};

    fn source(epoch: u32, system_identifier: u64) -> Announcement {
        Announcement::Source {
            epoch: Epoch::new(epoch),
            system_identifier,
            database_oid: 5,
            database: "shop".to_owned(),
            timeline: 1,
            slot: "flusso".to_owned(),
            start_lsn: Lsn::new(1),
            cause: SourceCause::First,
            reason: String::new(),
            at_us: 0,
        }
    }

    fn feed(
        group: &str,
        state: FeedState,
        table: &str,
        revision: u64,
        scanning: &[&str],
    ) -> Announcement {
        let needs = [(TableName::new("public", table), TableNeeds::default())]
            .into_iter()
            .collect();
        Announcement::Feed {
            feed: FeedId::new("search", group, Generation::FIRST),
            group: group.to_owned(),
            state,
            definition: String::new(),
            needs,
            scanning: scanning
                .iter()
                .map(|name| TableName::new("public", *name))
                .collect(),
            revision,
            at_us: 0,
        }
    }

    fn served(
        group: &str,
        revision: u64,
        epoch: u32,
        since: Option<u64>,
        scanning: &[&str],
    ) -> Announcement {
        Announcement::Served {
            group: group.to_owned(),
            revision,
            needs_hash: String::new(),
            tables: Vec::new(),
            scanning: scanning
                .iter()
                .map(|name| TableName::new("public", *name))
                .collect(),
            epoch: Epoch::new(epoch),
            since_lsn: since.map(Lsn::new),
            waiting_for: Vec::new(),
            at_us: 0,
        }
    }

    #[test]
    fn r2_the_highest_epoch_wins_in_whatever_order() {
        let mut state = ControlState::default();
        assert!(state.apply(source(2, 20)));
        assert!(!state.apply(source(1, 10)));
        assert_eq!(
            state.source().map(|source| source.system_identifier),
            Some(20)
        );
    }

    #[test]
    fn c1_paused_and_stopped_feeds_gate_disabled_and_retired_ones_do_not() {
        let mut state = ControlState::default();
        for (group, kind) in [
            ("a", FeedState::Gating),
            ("b", FeedState::Disabled),
            ("c", FeedState::Retired),
        ] {
            state.apply(feed(group, kind, group, 1, &[]));
        }
        assert_eq!(state.gating().collect::<Vec<_>>(), ["a"]);
        // A disabled feed's needs stay served, a retired one's do not.
        let needs = state.needs();
        let tables: Vec<_> = needs.tables().keys().map(ToString::to_string).collect();
        assert_eq!(tables, ["public.a", "public.b"]);
    }

    #[test]
    fn an_answer_of_another_revision_epoch_or_with_less_scanning_is_none() {
        let mut state = ControlState::default();
        state.apply(feed("a", FeedState::Gating, "t", 7, &["t"]));
        let unanswered = |state: &ControlState| state.unanswered(Epoch::new(2)).count();
        for (answer, left) in [
            (served("a", 6, 2, Some(9), &["t"]), 1),
            (served("a", 7, 1, Some(9), &["t"]), 1),
            (served("a", 7, 2, None, &["t"]), 1),
            (served("a", 7, 2, Some(9), &[]), 1),
            (served("a", 7, 2, Some(9), &["t"]), 0),
        ] {
            state.apply(answer.clone());
            assert_eq!(unanswered(&state), left, "{answer:?}");
        }
    }
}
