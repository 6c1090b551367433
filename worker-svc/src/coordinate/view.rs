//! The last word on everything in `{p}.control`.
//! In: announcements with their offsets. Out: what coordinators and feeds ask of them.
//! Must hold: R2, so the highest epoch wins in whatever order compaction left them.
//! Pure.

use std::collections::BTreeMap;

use model::{
    Announcement, Epoch, FeedState, Incarnation, Lsn, Needs, Offset, SourceCause, TableName,
};

use crate::error::SourceIdentity;
use crate::generation::ServedFact;
use crate::registry::ServedRecord;

/// What the topic says. Compaction keeps the last record of each key, and so does this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    last: BTreeMap<String, (Offset, Announcement)>,
    end: Offset,
}

/// An epoch as capture announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochWord {
    /// The epoch.
    pub epoch: Epoch,
    /// The cluster and database that is read.
    pub source: SourceIdentity,
    /// The timeline then.
    pub timeline: u32,
    /// The lowest LSN the epoch may carry.
    pub start_lsn: Lsn,
    /// Why it began.
    pub cause: SourceCause,
    /// The same in words.
    pub reason: String,
}

/// Rows that may have changed unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairWord {
    /// The announcement's key.
    pub id: String,
    /// Where it stands in `{p}.control`.
    pub offset: Offset,
    /// The table; `None`: every table.
    pub table: Option<TableName>,
    /// Capture's words.
    pub detail: String,
    /// The epoch of `lsn`.
    pub epoch: Epoch,
    /// What a build sees behind it is right.
    pub lsn: Lsn,
}

/// A feed's own announcement.
#[derive(Debug, Clone, Copy)]
pub struct FeedWord<'a> {
    /// Whether it holds the slot back.
    pub state: FeedState,
    /// What it needs.
    pub needs: &'a Needs,
    /// Tables under a plan or verify.
    pub scanning: &'a [TableName],
    /// Which announcement of its this is.
    pub revision: u64,
}

impl View {
    /// Takes in the record at `offset`.
    pub fn apply(&mut self, offset: Offset, announcement: Announcement) {
        self.last
            .insert(announcement.record_key(), (offset, announcement));
        self.passed(offset);
    }

    /// A record at `offset` was read, of whatever kind.
    pub fn passed(&mut self, offset: Offset) {
        if let Some(next) = offset.next() {
            self.end = self.end.max(next);
        }
    }

    /// The offset after the last record read.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    fn words(&self) -> impl Iterator<Item = (Offset, &Announcement)> {
        self.last.values().map(|(offset, word)| (*offset, word))
    }

    /// The newest epoch; `None` before capture ran for the first time.
    #[must_use]
    pub fn epoch(&self) -> Option<EpochWord> {
        self.epochs().max_by_key(|word| word.epoch)
    }

    /// Every epoch, oldest first is not promised.
    pub fn epochs(&self) -> impl Iterator<Item = EpochWord> {
        self.words().filter_map(|(_, word)| epoch_word(word))
    }

    /// What the feed of `group` announced last.
    #[must_use]
    pub fn feed(&self, group: &str) -> Option<FeedWord<'_>> {
        match self.last.get(&format!("feed/{group}")) {
            Some((
                _,
                Announcement::Feed {
                    state,
                    needs,
                    scanning,
                    revision,
                    ..
                },
            )) => Some(FeedWord {
                state: *state,
                needs,
                scanning,
                revision: *revision,
            }),
            _ => None,
        }
    }

    /// Capture's answer to `revision` of the feed of `group`, for exactly these needs and
    /// in the newest epoch.
    #[must_use]
    pub fn served(
        &self,
        group: &str,
        revision: u64,
        needs: &Needs,
        scanning: &[TableName],
    ) -> ServedFact {
        let Some((
            _,
            Announcement::Served {
                revision: answered,
                needs_hash,
                epoch,
                since_lsn,
                scanning: unsuppressed,
                waiting_for,
                ..
            },
        )) = self.last.get(&format!("served/{group}"))
        else {
            return ServedFact::None;
        };
        if *answered != revision
            || *needs_hash != needs.hash()
            || Some(*epoch) != self.epoch().map(|word| word.epoch)
        {
            return ServedFact::None;
        }
        let Some(since_lsn) = since_lsn else {
            return ServedFact::Waiting(waiting_for.clone());
        };
        let suppressed = scanning.iter().find(|table| !unsuppressed.contains(table));
        if let Some(table) = suppressed {
            return ServedFact::Waiting(vec![format!("every change of {table}")]);
        }
        ServedFact::Since(ServedRecord {
            revision,
            needs_hash: needs_hash.clone(),
            epoch: *epoch,
            since_lsn: *since_lsn,
        })
    }

    /// The last positive answer to the feed of `group`, whatever it asked.
    #[must_use]
    pub fn served_since(&self, group: &str) -> Option<(Epoch, Lsn)> {
        match self.last.get(&format!("served/{group}")) {
            Some((
                _,
                Announcement::Served {
                    epoch,
                    since_lsn: Some(since),
                    ..
                },
            )) => Some((*epoch, *since)),
            _ => None,
        }
    }

    /// Repairs announced at or above `from` in this topic.
    pub fn repairs(&self, from: Offset) -> impl Iterator<Item = RepairWord> {
        self.words()
            .filter(move |(offset, _)| *offset >= from)
            .filter_map(|(offset, word)| repair_word(offset, word))
    }

    /// The highest incarnation repeated here for a registry.
    #[must_use]
    pub fn incarnation(&self, sink: &str, index_prefix: &str) -> Option<Incarnation> {
        let numbers = self.words().filter_map(|(_, word)| {
            let Announcement::Incarnation {
                sink: of,
                index_prefix: prefix,
                number,
                ..
            } = word
            else {
                return None;
            };
            (of == sink && prefix == index_prefix).then_some(*number)
        });
        numbers.max()
    }
}

fn repair_word(offset: Offset, word: &Announcement) -> Option<RepairWord> {
    let Announcement::Repair {
        table,
        detail,
        epoch,
        lsn,
        ..
    } = word
    else {
        return None;
    };
    Some(RepairWord {
        id: word.record_key(),
        offset,
        table: table.clone(),
        detail: detail.clone(),
        epoch: *epoch,
        lsn: *lsn,
    })
}

fn epoch_word(word: &Announcement) -> Option<EpochWord> {
    let Announcement::Source {
        epoch,
        system_identifier,
        database_oid,
        timeline,
        start_lsn,
        cause,
        reason,
        ..
    } = word
    else {
        return None;
    };
    Some(EpochWord {
        epoch: *epoch,
        source: SourceIdentity {
            system_identifier: *system_identifier,
            database_oid: *database_oid,
        },
        timeline: *timeline,
        start_lsn: *start_lsn,
        cause: *cause,
        reason: reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{FeedId, Generation, RepairCause, TableNeeds};

    fn users() -> TableName {
        TableName::new("public", "users")
    }

    fn needs() -> Needs {
        [(users(), TableNeeds::default())].into_iter().collect()
    }

    fn source(epoch: u32) -> Announcement {
        Announcement::Source {
            epoch: Epoch::new(epoch),
            system_identifier: 1,
            database_oid: 5,
            database: "shop".into(),
            timeline: epoch,
            slot: "s".into(),
            start_lsn: Lsn::new(1),
            cause: SourceCause::First,
            reason: String::new(),
            at_us: 0,
        }
    }

    fn answer(
        revision: u64,
        epoch: u32,
        since: Option<u64>,
        scanning: Vec<TableName>,
        needs: &Needs,
    ) -> Announcement {
        Announcement::Served {
            group: "g".into(),
            revision,
            needs_hash: needs.hash(),
            tables: vec![],
            scanning,
            epoch: Epoch::new(epoch),
            since_lsn: since.map(Lsn::new),
            waiting_for: since
                .is_none()
                .then(|| "an identity".to_owned())
                .into_iter()
                .collect(),
            at_us: 0,
        }
    }

    fn view(words: impl IntoIterator<Item = Announcement>) -> View {
        let mut view = View::default();
        for word in words {
            let offset = view.end();
            view.apply(offset, word);
        }
        view
    }

    #[test]
    fn r2_the_highest_epoch_wins_in_whatever_order() {
        let view = view([source(3), source(2)]);
        assert_eq!(view.epoch().unwrap().epoch, Epoch::new(3));
        assert_eq!(view.end(), Offset::new(2));
    }

    #[test]
    fn only_an_answer_to_exactly_this_question_counts() {
        let scanning = [users()];
        let ask = |word: Announcement| view([source(2), word]).served("g", 7, &needs(), &scanning);
        assert!(
            matches!(ask(answer(7, 2, Some(9), vec![users()], &needs())), ServedFact::Since(served) if served.since_lsn == Lsn::new(9))
        );
        assert_eq!(
            ask(answer(6, 2, Some(9), vec![users()], &needs())),
            ServedFact::None
        );
        assert_eq!(
            ask(answer(7, 1, Some(9), vec![users()], &needs())),
            ServedFact::None
        );
        assert_eq!(
            ask(answer(7, 2, Some(9), vec![users()], &Needs::new())),
            ServedFact::None
        );
        assert_eq!(
            ask(answer(7, 2, None, vec![users()], &needs())),
            ServedFact::Waiting(vec!["an identity".into()])
        );
        assert!(matches!(
            ask(answer(7, 2, Some(9), vec![], &needs())),
            ServedFact::Waiting(_)
        ));
    }

    #[test]
    fn repairs_below_the_birth_position_do_not_concern_a_generation() {
        let repair = Announcement::Repair {
            table: Some(users()),
            cause: RepairCause::LeafDropped,
            detail: "leaf users_1".into(),
            epoch: Epoch::FIRST,
            lsn: Lsn::new(4),
            at_us: 0,
        };
        let view = view([source(1), repair]);
        assert_eq!(view.repairs(Offset::new(1)).count(), 1);
        assert_eq!(view.repairs(Offset::new(2)).count(), 0);
    }

    #[test]
    fn incarnations_belong_to_one_registry() {
        let word = |sink: &str, number| Announcement::Incarnation {
            sink: sink.into(),
            index_prefix: String::new(),
            run: model::ServerRun {
                system_identifier: 1,
                timeline: 1,
                started_at_us: 0,
                stats_reset_us: 0,
            },
            number: Incarnation::new(number),
            at_us: 0,
        };
        let view = view([word("a", 10), word("a", 9), word("b", 40)]);
        assert_eq!(view.incarnation("a", ""), Some(Incarnation::new(10)));
        assert_eq!(view.incarnation("a", "x_"), None);
    }

    #[test]
    fn a_feeds_last_announcement_is_found_by_its_group() {
        let word = Announcement::Feed {
            feed: FeedId::new("main", "users", Generation::FIRST),
            group: "g".into(),
            state: FeedState::Gating,
            definition: String::new(),
            needs: needs(),
            scanning: vec![users()],
            revision: 4,
            at_us: 0,
        };
        let view = view([word]);
        let word = view.feed("g").unwrap();
        assert_eq!(
            (word.revision, word.state, word.scanning),
            (4, FeedState::Gating, &[users()][..])
        );
        assert!(view.feed("h").is_none());
    }
}
