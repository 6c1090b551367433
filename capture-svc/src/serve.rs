//! Puts in place what feeds need, and answers them, beside the pump.
//! In: orders, each the needs as the control topic has them. Out: switches for the router, answers
//! for the control topic.
//! Must hold: R2, so an answer names an LSN only when everything from there on is published and
//! routed by exactly these needs (see [`crate::needs`] for why the barrier proves it).
//! Must not: touch the stream, or write to the control topic.
//!
//! ```text
//!  order ─▶ identities, publication ─▶ Prepared ─▶ (pump has switched) ─▶ barrier ─▶ Served
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Announcement, Epoch, Lsn, Needs, ServedTable, TableName};
use runtime::postgres::Postgres;
use runtime::shutdown::Shutdown;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::control::ControlState;
use crate::error::{Failure, Transient};
use crate::needs::{Barrier, Ended, Union};
use crate::preflight::{PREPARE_EVERY, Prepared, Preparer};
use crate::relation::{CatalogError, Table};
use crate::slot;

/// Between two looks at the transactions that are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// While an older transaction goes on, the answer that says so is repeated this often at most.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// A feed that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its group.
    pub group: String,
    /// The revision of its announcement.
    pub revision: u64,
    /// What it needs.
    pub needs: Needs,
    /// The tables that it scans.
    pub scanning: BTreeSet<TableName>,
    /// Since when exactly these needs were served before, in this epoch.
    pub before: Option<Lsn>,
}

/// What is to be served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// What all announced feeds need.
    pub needs: Needs,
    /// The tables of which every column counts as used.
    pub scanning: BTreeSet<TableName>,
    /// Who waits for an answer.
    pub asked: Vec<Asked>,
}

impl Order {
    /// What the control topic asks for in `epoch`.
    #[must_use]
    pub fn new(state: &ControlState, epoch: Epoch) -> Self {
        let ask = |(group, feed): (&str, &crate::control::Feed)| {
            let same = |served: &&crate::control::Served| {
                served.epoch == epoch
                    && served.needs_hash == feed.needs.hash()
                    && served.scanning.is_superset(&feed.scanning)
            };
            Asked {
                group: group.to_owned(),
                revision: feed.revision,
                needs: feed.needs.clone(),
                scanning: feed.scanning.clone(),
                before: state
                    .served(group)
                    .filter(same)
                    .and_then(|served| served.since),
            }
        };
        Self {
            needs: state.needs(),
            scanning: state.scanning(),
            asked: state.unanswered(epoch).map(ask).collect(),
        }
    }
}

/// News for the pump.
#[derive(Debug)]
pub enum Switch {
    /// Identities and publication are in place: route by these needs from now on, then say so.
    Prepared {
        /// What is needed.
        needs: Needs,
        /// Of which tables every column counts as used.
        scanning: BTreeSet<TableName>,
        /// The tables as they are now.
        tables: Vec<Table>,
        /// From this LSN on: rows below may have been written under an identity that lacks what
        /// the new needs want of old values.
        from: Lsn,
        /// Told when the router has switched.
        done: oneshot::Sender<()>,
    },
    /// Answers to announce.
    Served {
        /// One per feed.
        answers: Vec<Announcement>,
        /// Told when they are durable and the order was renewed: an answer given twice would
        /// name a later LSN.
        done: oneshot::Sender<()>,
    },
    /// It cannot go on.
    Failed(Failure),
}

/// Works on orders until stop is asked for.
#[derive(Debug)]
pub struct Serve {
    /// The epoch of the answers.
    pub epoch: Epoch,
    /// What the own file needs.
    pub own: Needs,
    /// Sets identities and extends the publication.
    pub preparer: Preparer,
    /// For sessions.
    pub postgres: Postgres,
    /// Asked to look at the catalog again.
    pub reload: Arc<Notify>,
    /// The order as it stands.
    pub orders: watch::Receiver<Order>,
    /// To the pump.
    pub switches: mpsc::Sender<Switch>,
    /// Stop.
    pub shutdown: Shutdown,
}

impl Serve {
    /// Runs until stop is asked for; a failure goes to the pump, which ends with it.
    pub async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        if let Some(Err(failure)) = shutdown.or_stop(self.serve()).await {
            // A pump that has ended wants to know nothing more.
            drop(self.switches.send(Switch::Failed(failure)).await);
        }
    }

    async fn serve(&mut self) -> Result<(), Failure> {
        let mut done: Option<Union> = None;
        loop {
            let order = self.orders.borrow_and_update().clone();
            self.carry_out(&order, &mut done).await?;
            // Partitions come and go without a word in the stream, and what is not in place yet
            // is tried again: both are looked at by and by.
            tokio::select! {
                changed = self.orders.changed() => {
                    // The pump has ended.
                    if changed.is_err() {
                        return Ok(());
                    }
                }
                () = self.reload.notified() => done = None,
                () = tokio::time::sleep(PREPARE_EVERY) => done = None,
            }
        }
    }

    async fn carry_out(&self, order: &Order, done: &mut Option<Union>) -> Result<(), Failure> {
        let union = Union::new(
            self.own.clone(),
            order.needs.clone(),
            order.scanning.clone(),
        );
        if done.as_ref() == Some(&union) && order.asked.is_empty() {
            return Ok(());
        }
        let session = self
            .postgres
            .connect(crate::APPLICATION)
            .await
            .map_err(|error| Transient::Postgres(error.to_string()))?;
        let prepared = self
            .preparer
            .prepare(&session, &union)
            .await
            .map_err(failed)?;
        let from = slot::log_end(&session).await.map_err(failed)?.flushed;
        if !self.switch(&union, prepared.tables.clone(), from).await {
            return Ok(());
        }
        *done = Some(union);
        if !order.asked.is_empty() {
            self.answer(&session, order, &prepared).await?;
        }
        Ok(())
    }

    /// Tells the pump, and waits until it has switched. `false` when it has ended.
    async fn switch(&self, union: &Union, tables: Vec<Table>, from: Lsn) -> bool {
        let (done, switched) = oneshot::channel();
        let (needs, scanning) = (union.needs.clone(), union.scanning.clone());
        let switch = Switch::Prepared {
            needs,
            scanning,
            tables,
            from,
            done,
        };
        self.switches.send(switch).await.is_ok() && switched.await.is_ok()
    }

    async fn answer(
        &self,
        session: &tokio_postgres::Client,
        order: &Order,
        prepared: &Prepared,
    ) -> Result<(), Failure> {
        let barrier = Barrier::raise(session).await.map_err(failed)?;
        let mut said = None;
        loop {
            match barrier.look(session).await.map_err(failed)? {
                Ended::Since(since) => {
                    let answer = |asked: &Asked| {
                        let unmet = prepared.waiting_for(&asked.needs);
                        let since = if unmet.is_empty() {
                            Ok(asked.before.unwrap_or(since))
                        } else {
                            Err(unmet)
                        };
                        self.served(asked, &prepared.tables, since)
                    };
                    self.give(order.asked.iter().map(answer).collect()).await;
                    return Ok(());
                }
                Ended::Waiting(running) => {
                    let now = tokio::time::Instant::now();
                    if said.is_none_or(|at| now.duration_since(at) >= SAY_EVERY) {
                        tracing::info!(
                            waiting_for = running.join("; "),
                            "feeds wait for older transactions to end"
                        );
                        let answer = |asked: &Asked| {
                            self.served(asked, &prepared.tables, Err(running.clone()))
                        };
                        self.give(order.asked.iter().map(answer).collect()).await;
                        said = Some(now);
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Waits until the answers are announced. A pump that has ended wants none.
    async fn give(&self, answers: Vec<Announcement>) {
        let (done, announced) = oneshot::channel();
        if self
            .switches
            .send(Switch::Served { answers, done })
            .await
            .is_ok()
        {
            drop(announced.await);
        }
    }

    fn served(
        &self,
        asked: &Asked,
        tables: &[Table],
        since: Result<Lsn, Vec<String>>,
    ) -> Announcement {
        let of_feed = |table: &&Table| asked.needs.table(&table.name).is_some();
        let (since_lsn, waiting_for) = match since {
            Ok(since) => (Some(since), Vec::new()),
            Err(waiting_for) => (None, waiting_for),
        };
        Announcement::Served {
            group: asked.group.clone(),
            revision: asked.revision,
            needs_hash: asked.needs.hash(),
            tables: tables
                .iter()
                .filter(of_feed)
                .map(|table| ServedTable {
                    table: table.name.clone(),
                    oid: table.oid,
                })
                .collect(),
            scanning: asked.scanning.iter().cloned().collect(),
            epoch: self.epoch,
            since_lsn,
            waiting_for,
            at_us: jiff::Timestamp::now().as_microsecond(),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn failed(error: CatalogError) -> Failure {
    Transient::Postgres(error.to_string()).into()
}
