//! Whether the LSNs of this connection continue those published so far.
//! In: what `{p}.control` knows, what the server says of itself, the slot, the tails. Out: go on,
//! begin a new epoch, or stop.
//! Must hold: R2, so a gap, a fork or another cluster is never taken for the same history. Pure.
//!
//! A gap: changes may be missing, and every index is seeded anew. A fork: nothing is missing, but
//! what was published may not be what the database holds. Both make LSNs incomparable with those
//! before, so both begin an epoch.

use definition::deployment::OnSlotLoss;
use model::{Epoch, Lsn, SourceCause};

use crate::control::Source;
use crate::error::Definite;

/// Who answers at the source's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub system_identifier: u64,
    /// The database in it.
    pub database_oid: u32,
    /// Its timeline.
    pub timeline: u32,
    /// Where its WAL is flushed.
    pub flushed: Lsn,
}

/// The slot as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotFound {
    /// There is none.
    Missing,
    /// It is invalidated; why.
    Lost(String),
    /// It can be streamed from.
    Ready {
        /// What it has confirmed.
        confirmed: Lsn,
    },
}

/// What the partitions hold of the epoch so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TailBounds {
    /// The lowest tail; `None` while a partition holds nothing of this epoch.
    pub lowest: Option<Lsn>,
    /// The highest tail.
    pub highest: Option<Lsn>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The same history: go on in this epoch.
    Continue(Epoch),
    /// Announce this epoch before anything is streamed.
    Begin {
        /// The new epoch.
        epoch: Epoch,
        /// Why, for the workers.
        cause: SourceCause,
        /// Why, for people.
        reason: String,
        /// The slot is to be dropped (if there is one) and made again.
        new_slot: bool,
    },
}

/// Judges a connection.
///
/// # Errors
/// When a person has to decide.
pub fn decide(
    known: Option<&Source>,
    found: Identity,
    is_accepted: bool,
    slot: &SlotFound,
    slot_name: &str,
    tails: TailBounds,
    on_slot_loss: OnSlotLoss,
) -> Result<Decision, Definite> {
    let Some(known) = known else {
        let new_slot = !matches!(slot, SlotFound::Ready { .. });
        let reason = "the first of this deployment".to_owned();
        return Ok(Decision::Begin {
            epoch: Epoch::FIRST,
            cause: SourceCause::First,
            reason,
            new_slot,
        });
    };
    let epoch = known
        .epoch
        .next()
        .ok_or_else(|| Definite::SetUp("the epochs are used up".to_owned()))?;
    let same = (known.system_identifier, known.database_oid)
        == (found.system_identifier, found.database_oid);
    if !same && !is_accepted {
        return Err(another_source(known, found));
    }
    if same && found.timeline < known.timeline {
        return Err(Definite::SourceChanged {
            known: format!("timeline {}", known.timeline),
            found: format!("timeline {}", found.timeline),
            help: "an old primary answers at source.connection_url; point it to the current one"
                .to_owned(),
        });
    }
    let begin = |cause, reason: String, new_slot| {
        Ok(Decision::Begin {
            epoch,
            cause,
            reason,
            new_slot,
        })
    };
    if !same {
        let reason = format!(
            "system {} database {} was accepted by a person",
            found.system_identifier, found.database_oid
        );
        return begin(
            SourceCause::Accepted,
            reason,
            !matches!(slot, SlotFound::Ready { .. }),
        );
    }
    let confirmed = match slot {
        SlotFound::Ready { confirmed } => *confirmed,
        SlotFound::Missing => {
            return lost(slot_name, "is missing", on_slot_loss)
                .and_then(|reason| begin(SourceCause::Gap, reason, true));
        }
        SlotFound::Lost(why) => {
            let why = format!("was invalidated ({why})");
            return lost(slot_name, &why, on_slot_loss)
                .and_then(|reason| begin(SourceCause::Gap, reason, true));
        }
    };
    if slot_name != known.slot {
        return begin(
            SourceCause::Gap,
            format!("slot {slot_name} was not the slot of epoch {}", known.epoch),
            false,
        );
    }
    if let Some(lowest) = tails.lowest.filter(|lowest| confirmed > *lowest) {
        return begin(
            SourceCause::Gap,
            format!("slot {slot_name} stands at {confirmed}, above what was published ({lowest})"),
            false,
        );
    }
    if found.timeline > known.timeline {
        let reason = format!(
            "the server went from timeline {} to {}",
            known.timeline, found.timeline
        );
        return begin(SourceCause::Fork, reason, false);
    }
    if let Some(highest) = tails.highest.filter(|highest| found.flushed < *highest) {
        return begin(
            SourceCause::Fork,
            format!(
                "the server's WAL ends at {}, below what was published ({highest})",
                found.flushed
            ),
            false,
        );
    }
    Ok(Decision::Continue(known.epoch))
}

fn another_source(known: &Source, found: Identity) -> Definite {
    let show = |system, database| format!("system {system} database {database}");
    Definite::SourceChanged {
        known: show(known.system_identifier, known.database_oid),
        found: show(found.system_identifier, found.database_oid),
        help: format!(
            "if that is right: worker-svc apply --accept-source {}, else mend source.connection_url",
            found.system_identifier
        ),
    }
}

fn lost(slot: &str, why: &str, on_slot_loss: OnSlotLoss) -> Result<String, Definite> {
    match on_slot_loss {
        OnSlotLoss::Reseed => Ok(format!("slot {slot} {why}")),
        OnSlotLoss::Stop => Err(Definite::Slot {
            slot: slot.to_owned(),
            reason: why.to_owned(),
            help: format!(
                "SELECT pg_drop_replication_slot('{slot}') if it still exists, and start with [source] on_slot_loss = \"reseed\": \
                 every index is seeded anew"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUND: Identity = Identity {
        system_identifier: 7,
        database_oid: 5,
        timeline: 2,
        flushed: Lsn::new(1000),
    };

    fn known() -> Source {
        Source {
            epoch: Epoch::new(3),
            system_identifier: 7,
            database_oid: 5,
            timeline: 2,
            slot: "flusso".to_owned(),
            start_lsn: Lsn::new(1),
        }
    }

    fn ready(confirmed: u64) -> SlotFound {
        SlotFound::Ready {
            confirmed: Lsn::new(confirmed),
        }
    }

    fn tails(lowest: u64, highest: u64) -> TailBounds {
        TailBounds {
            lowest: Some(Lsn::new(lowest)),
            highest: Some(Lsn::new(highest)),
        }
    }

    fn decided(
        known: Option<&Source>,
        found: Identity,
        slot: &SlotFound,
        tails: TailBounds,
    ) -> Result<Decision, Definite> {
        decide(
            known,
            found,
            false,
            slot,
            "flusso",
            tails,
            OnSlotLoss::Reseed,
        )
    }

    fn begins(decision: &Decision) -> (u32, SourceCause, bool) {
        match decision {
            Decision::Begin {
                epoch,
                cause,
                new_slot,
                ..
            } => (epoch.get(), *cause, *new_slot),
            Decision::Continue(epoch) => panic!("went on in epoch {epoch}"),
        }
    }

    #[test]
    fn the_same_history_goes_on() {
        let decision = decided(Some(&known()), FOUND, &ready(500), tails(500, 900)).unwrap();
        assert_eq!(decision, Decision::Continue(Epoch::new(3)));
    }

    #[test]
    fn the_first_start_begins_the_first_epoch_and_makes_the_slot() {
        let decision = decided(None, FOUND, &SlotFound::Missing, TailBounds::default()).unwrap();
        assert_eq!(begins(&decision), (1, SourceCause::First, true));
    }

    #[test]
    fn r2_a_lost_slot_is_a_gap_or_a_stop_as_configured() {
        for slot in [
            SlotFound::Missing,
            SlotFound::Lost("wal_removed".to_owned()),
        ] {
            let decision = decided(Some(&known()), FOUND, &slot, tails(1, 1)).unwrap();
            assert_eq!(begins(&decision), (4, SourceCause::Gap, true));
            let stop = decide(
                Some(&known()),
                FOUND,
                false,
                &slot,
                "flusso",
                tails(1, 1),
                OnSlotLoss::Stop,
            );
            assert!(
                stop.unwrap_err()
                    .to_string()
                    .contains("pg_drop_replication_slot('flusso')")
            );
        }
    }

    #[test]
    fn r2_another_cluster_is_never_taken_for_the_source() {
        for found in [
            Identity {
                system_identifier: 8,
                ..FOUND
            },
            Identity {
                database_oid: 6,
                ..FOUND
            },
        ] {
            let error = decided(Some(&known()), found, &ready(500), tails(500, 900)).unwrap_err();
            assert!(error.to_string().contains("--accept-source"), "{error}");
            let decision = decide(
                Some(&known()),
                found,
                true,
                &ready(500),
                "flusso",
                tails(500, 900),
                OnSlotLoss::Reseed,
            );
            assert_eq!(
                begins(&decision.unwrap()),
                (4, SourceCause::Accepted, false)
            );
        }
    }

    #[test]
    fn r2_a_slot_above_the_lowest_tail_is_a_gap() {
        let decision = decided(Some(&known()), FOUND, &ready(501), tails(500, 900)).unwrap();
        assert_eq!(begins(&decision), (4, SourceCause::Gap, false));
    }

    #[test]
    fn r3_a_new_timeline_or_a_shorter_wal_is_a_fork() {
        let promoted = Identity {
            timeline: 3,
            ..FOUND
        };
        let shorter = Identity {
            flushed: Lsn::new(899),
            ..FOUND
        };
        for found in [promoted, shorter] {
            let decision = decided(Some(&known()), found, &ready(500), tails(500, 900)).unwrap();
            assert_eq!(begins(&decision), (4, SourceCause::Fork, false));
        }
    }

    #[test]
    fn an_old_primary_that_came_back_is_refused() {
        let old = Identity {
            timeline: 1,
            ..FOUND
        };
        let error = decided(Some(&known()), old, &ready(500), tails(500, 900)).unwrap_err();
        assert!(error.to_string().contains("old primary"), "{error}");
    }
}
