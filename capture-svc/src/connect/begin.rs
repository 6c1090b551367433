//! The epoch of a connection, and its slot.
//! In: the server, the slot, the tails, the control topic. Out: the epoch and what the slot has
//! confirmed. Must hold: R2, so a new epoch is announced before its slot is made, and before
//! anything is streamed. What to do is decided by [`crate::epoch`].

use std::collections::BTreeMap;

use model::{Announcement, Change, Epoch, Lsn, Partition, SourceCause};
use runtime::postgres::{Identity, Session as Sql};

use super::{Connector, catalog, sql_failure};
use crate::APPLICATION;
use crate::control::Control;
use crate::epoch::{self, Decision, SlotFound, TailBounds};
use crate::error::{Definite, Failure, Transient};
use crate::slot::{self, Fitness, Holder};
use crate::tail::Tails;

impl Connector {
    /// The epoch of this connection and what the slot has confirmed. A new epoch is announced, and
    /// its slot made.
    pub(super) async fn begin(
        &self,
        control: &mut Control,
        sql: &Sql,
        records: &BTreeMap<Partition, Change>,
        partitions: u32,
    ) -> Result<(Epoch, Lsn), Failure> {
        let source = &self.config.source;
        let identity = Identity::read(&**sql)
            .await
            .map_err(|error| sql_failure(&error))?;
        let end = slot::log_end(sql).await.map_err(catalog)?;
        let found = slot::read(sql, &source.slot).await.map_err(catalog)?;
        let (slot_found, exists) = self.slot_found(found.as_ref(), &identity.database)?;
        let who = epoch::Identity {
            system_identifier: identity.system_identifier,
            database_oid: identity.database_oid,
            timeline: identity.timeline.unwrap_or_default(),
            flushed: end.flushed,
        };
        let known = control.state().source().cloned();
        let tails = Tails::new(
            known.as_ref().map_or(Epoch::FIRST, |known| known.epoch),
            records,
        );
        let bounds = TailBounds {
            lowest: (tails.count() == partitions)
                .then(|| tails.lowest())
                .flatten()
                .map(|position| position.lsn),
            highest: tails.highest().map(|position| position.lsn),
        };
        let is_accepted = control
            .state()
            .is_accepted(who.system_identifier, who.database_oid);
        let decision = epoch::decide(
            known.as_ref(),
            who,
            is_accepted,
            &slot_found,
            &source.slot,
            bounds,
            source.on_slot_loss,
        )?;
        match decision {
            Decision::Continue(epoch) => match slot_found {
                SlotFound::Ready { confirmed } => Ok((epoch, confirmed)),
                SlotFound::Missing | SlotFound::Lost(_) => {
                    Err(Transient::Postgres(format!("slot {} vanished", source.slot)).into())
                }
            },
            Decision::Begin {
                epoch,
                cause,
                reason,
                new_slot,
            } => {
                let announced = Announced {
                    epoch,
                    cause,
                    reason,
                };
                self.announce(control, &identity, who, end.flushed, announced)
                    .await?;
                if new_slot {
                    if exists {
                        slot::drop(sql, &source.slot).await.map_err(catalog)?;
                    }
                    let confirmed = slot::create(sql, &source.slot, source.slot_failover)
                        .await
                        .map_err(catalog)?;
                    tracing::info!(slot = source.slot, %confirmed, "made the slot");
                    return Ok((epoch, confirmed));
                }
                match slot_found {
                    SlotFound::Ready { confirmed } => Ok((epoch, confirmed)),
                    SlotFound::Missing | SlotFound::Lost(_) => {
                        Err(Transient::Postgres(format!("slot {} vanished", source.slot)).into())
                    }
                }
            }
        }
    }

    fn slot_found(
        &self,
        found: Option<&slot::Slot>,
        database: &str,
    ) -> Result<(SlotFound, bool), Failure> {
        let name = &self.config.source.slot;
        let Some(found) = found else {
            return Ok((SlotFound::Missing, false));
        };
        if let Some(holder) = &found.holder {
            return Err(self.held(holder).into());
        }
        Ok(match found.fitness(database) {
            Fitness::Fit => (
                SlotFound::Ready {
                    confirmed: found.confirmed.unwrap_or(Lsn::INVALID),
                },
                true,
            ),
            Fitness::Lost { reason } => (SlotFound::Lost(reason), true),
            Fitness::Foreign { reason } => {
                return Err(Definite::Slot {
                    slot: name.clone(),
                    reason,
                    help: "set source.slot to a name of its own".to_owned(),
                }
                .into());
            }
        })
    }

    /// Somebody else holds the slot: another capture, for which this one waits as standby, or a
    /// program that a person has to stop.
    pub(super) fn held(&self, holder: &Holder) -> Transient {
        let slot = self.config.source.slot.clone();
        if !holder.is_capture() {
            return Transient::SlotTaken {
                slot,
                holder: holder.to_string(),
            };
        }
        // A standby is ready: it reached everything, and waits for its turn.
        self.connected.ready();
        Transient::SlotBusy {
            slot,
            holder: holder.to_string(),
        }
    }

    async fn announce(
        &self,
        control: &mut Control,
        identity: &Identity,
        who: epoch::Identity,
        start_lsn: Lsn,
        what: Announced,
    ) -> Result<(), Failure> {
        match what.cause {
            SourceCause::First => tracing::info!(epoch = %what.epoch, "the first epoch begins"),
            SourceCause::Gap | SourceCause::Fork | SourceCause::Accepted => {
                tracing::warn!(epoch = %what.epoch, cause = ?what.cause, reason = what.reason, "a new epoch begins");
            }
        }
        let announcement = Announcement::Source {
            epoch: what.epoch,
            system_identifier: who.system_identifier,
            database_oid: who.database_oid,
            database: identity.database.clone(),
            timeline: who.timeline,
            slot: self.config.source.slot.clone(),
            start_lsn,
            cause: what.cause,
            reason: what.reason,
            at_us: jiff::Timestamp::now().as_microsecond(),
        };
        control.announce(announcement).await
    }

    /// The log has another history than was published: the next connection reads all of it again.
    pub(super) async fn fork(
        &self,
        control: &mut Control,
        epoch: Epoch,
        expected: Lsn,
        found: Lsn,
    ) -> Result<(), Failure> {
        let sql = self
            .config
            .postgres
            .connect(APPLICATION)
            .await
            .map_err(|error| sql_failure(&error))?;
        let identity = Identity::read(&*sql)
            .await
            .map_err(|error| sql_failure(&error))?;
        let next = epoch
            .next()
            .ok_or_else(|| Definite::SetUp("the epochs are used up".to_owned()))?;
        let reason =
            format!("the transaction published at {expected} was not shown again before {found}");
        let who = epoch::Identity {
            system_identifier: identity.system_identifier,
            database_oid: identity.database_oid,
            timeline: identity.timeline.unwrap_or_default(),
            flushed: found,
        };
        let start = control
            .state()
            .source()
            .map_or(Lsn::INVALID, |source| source.start_lsn);
        self.announce(
            control,
            &identity,
            who,
            start,
            Announced {
                epoch: next,
                cause: SourceCause::Fork,
                reason,
            },
        )
        .await
    }
}

struct Announced {
    epoch: Epoch,
    cause: SourceCause,
    reason: String,
}
