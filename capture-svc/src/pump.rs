//! The loop of one connection to the slot.
//! In: frames of the stream, news of `{p}.control`, what the gate has seen. Out: records to the
//! publisher, status messages to the server.
//! Must hold: C1–C4, each kept by the module that owns it; here they are only connected.
//! Must not: decide anything that one of them decides, or do SQL: `serve` and `gate` run beside it.

mod ack;
mod repair;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{
    Change, Epoch, Framing, Heartbeat, Lsn, Needs, OldValues, Partition, Position,
    PublishedTransaction, Schemas, TableName, partition_of,
};
use runtime::http::Loop;
use runtime::shutdown::Shutdown;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

pub use status::{Holding, Snapshot, Status};

use crate::confirm::Confirm;
use crate::control::Control;
use crate::error::{Definite, Failure, Transient};
use crate::gate::Observed;
use crate::heartbeat::{Progress, Schedule};
use crate::metrics::Metrics;
use crate::pgoutput::decode;
use crate::publish::Publisher;
use crate::relation::Table;
use crate::replication::{Frame, ReplicationStream};
use crate::route::{Router, Skipped, Step, Transaction};
use crate::serve::{Order, Switch};
use crate::tail::{History, Tails};

/// Frames taken without looking at anything else, while they are there and the publisher has room:
/// the other branches are timers of tens of milliseconds at least.
const BURST: usize = 256;

/// How long an orderly end may wait for Kafka and for the server.
const DRAIN: Duration = Duration::from_secs(10);

/// What one connection works with.
#[derive(Debug)]
pub struct Pump<S> {
    /// The stream.
    pub stream: S,
    /// The epoch of what is published.
    pub epoch: Epoch,
    /// Messages to records.
    pub router: Router,
    /// Records to Kafka.
    pub publisher: Publisher,
    /// What the partitions hold already.
    pub tails: Tails,
    /// The transaction that the stream has to show again.
    pub expected: Option<PublishedTransaction>,
    /// What the stream has shown.
    pub progress: Progress,
    /// When heartbeats are due.
    pub schedule: Schedule,
    /// Needs that are not in force yet.
    pub pending: Option<Pending>,
    /// Tables whose old values were not sent, and that were not announced for it yet.
    pub distrusted: BTreeSet<TableName>,
    /// Asks `serve` to look at the catalog again.
    pub reload: Arc<Notify>,
    /// The confirmed LSN.
    pub confirm: Confirm,
    /// Partitions of `{p}.changes`.
    pub partitions: u32,
    /// Schemas to write with.
    pub schemas: Arc<Schemas>,
    /// How often the server is told where we are.
    pub report_every: Duration,
    /// What this service counts.
    pub metrics: Metrics,
    /// Where `/status` reads.
    pub status: Arc<Status>,
    /// Turned once per round.
    pub turning: Loop,
}

/// Needs that wait until the stream has come to where they are in place.
#[derive(Debug)]
pub struct Pending {
    needs: Needs,
    scanning: BTreeSet<TableName>,
    tables: Vec<Table>,
    from: Lsn,
    done: oneshot::Sender<()>,
}

/// What runs beside the pump.
#[derive(Debug)]
pub struct Beside<'c> {
    /// The control topic.
    pub control: &'c mut Control,
    /// What the gate has seen.
    pub observed: watch::Receiver<Observed>,
    /// The groups that gate, for the gate.
    pub gating: watch::Sender<Vec<String>>,
    /// Orders to `serve`: what is to be served.
    pub orders: watch::Sender<Order>,
    /// Its answers.
    pub switches: mpsc::Receiver<Switch>,
    /// Stop.
    pub shutdown: Shutdown,
}

/// How a connection ended without a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Stop was asked for.
    Stopped,
}

impl<S: ReplicationStream> Pump<S> {
    /// Runs until stop is asked for or something fails.
    ///
    /// # Errors
    /// See [`Failure`]. The publisher is closed then, so that no record of it comes after a
    /// successor's.
    pub async fn run(mut self, mut beside: Beside<'_>) -> Result<Ended, Failure> {
        let ended = self.turn(&mut beside).await;
        match ended {
            Ok(Ended::Stopped) => self.drain().await,
            Err(failure) => {
                self.publisher.close().await;
                Err(failure)
            }
        }
    }

    /// 1 stop              nothing new starts after it
    /// 2 broken publisher  a hole must not be confirmed over
    /// 3 status due        the server hangs up after `wal_sender_timeout`, however busy we are
    /// 4 gate moved        frees WAL; cheap
    /// 5 heartbeat due     idle partitions hold everything back
    /// 6 new needs         what is served from here on
    /// 7 control           feeds come and go
    /// 8 next frame        only while the publisher has room: this is the back-pressure
    async fn turn(&mut self, beside: &mut Beside<'_>) -> Result<Ended, Failure> {
        let ledger = Arc::clone(self.publisher.ledger());
        let mut report = ticks(self.report_every);
        let mut beat = ticks(self.schedule.granularity());
        self.order(beside);
        loop {
            self.turning.turn();
            tokio::select! { biased;
                () = beside.shutdown.requested() => return Ok(Ended::Stopped),
                broken = ledger.broken() => return Err(broken.into()),
                _ = report.tick() => self.report().await?,
                Ok(()) = beside.observed.changed() => {
                    let observed = beside.observed.borrow_and_update().clone();
                    self.gate_moved(&observed).await?;
                }
                _ = beat.tick() => self.beat()?,
                Some(switch) = beside.switches.recv() => self.switch(switch, beside).await?,
                changed = beside.control.changed() => { changed?; self.order(beside); }
                frame = self.stream.next(), if ledger.has_room() => {
                    self.burst(frame.map_err(stream_failure)?).await?;
                    self.distrust(beside).await?;
                }
                () = ledger.room(), if !ledger.has_room() => {}
            }
        }
    }

    /// Takes a frame, and those that are there already.
    async fn burst(&mut self, first: Frame) -> Result<(), Failure> {
        self.take(first)?;
        for _ in 1..BURST {
            if !self.publisher.ledger().has_room() {
                break;
            }
            match futures_util::FutureExt::now_or_never(self.stream.next()) {
                Some(frame) => self.take(frame.map_err(stream_failure)?)?,
                None => break,
            }
        }
        // Other tasks of the process run, too, while a large transaction pours in.
        tokio::task::yield_now().await;
        Ok(())
    }

    fn take(&mut self, frame: Frame) -> Result<(), Failure> {
        match frame {
            Frame::Keepalive { wal_end, .. } => {
                // Everything below it was sent; what should have come by then will not come.
                if let Some(expected) = self.expected.filter(|expected| {
                    wal_end > expected.lsn && !self.router.is_inside_transaction()
                }) {
                    return Err(Transient::Forked {
                        expected: expected.lsn,
                        found: wal_end,
                    }
                    .into());
                }
                self.progress.keepalive(wal_end);
                self.switch_when_due();
                Ok(())
            }
            Frame::Data { payload, .. } => {
                let message =
                    decode(payload).map_err(|error| Transient::Replication(error.to_string()))?;
                let step = self
                    .router
                    .take(message)
                    .map_err(|error| Transient::Replication(error.to_string()))?;
                self.step(step)
            }
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Begun(transaction) => self.begun(transaction)?,
            Step::Committed {
                transaction,
                end_lsn,
            } => {
                let published = self
                    .status
                    .take_published()
                    .then_some(published(transaction));
                self.progress.commit(end_lsn, published);
                self.switch_when_due();
                self.metrics.delay(transaction.commit_ts_us);
            }
            Step::Publish(change) => self.publish(&change)?,
            Step::PublishAll(changes) => {
                for change in &changes {
                    self.publish(change)?;
                }
            }

            Step::Skip(Skipped::NoUsedColumn) => self.metrics.row("suppressed"),
            Step::Skip(Skipped::UnneededTable) => self.metrics.row("unneeded"),
            Step::Noticed(noticed) => {
                if noticed.reload {
                    tracing::info!(table = %noticed.table, "the definition of a table has changed");
                    self.reload.notify_one();
                }
            }
            Step::Nothing => {}
        }
        if let Some(row) = self.router.last_row() {
            self.progress.row(row.seq);
        }
        Ok(())
    }

    fn begun(&mut self, transaction: Transaction) -> Result<(), Failure> {
        match Tails::judge(self.expected, published(transaction)) {
            History::Same => self.expected = None,
            History::Unproven => {}
            History::Forked { expected, found } => {
                return Err(Transient::Forked {
                    expected: expected.lsn,
                    found,
                }
                .into());
            }
        }
        self.progress.begin(transaction.commit_lsn);
        Ok(())
    }

    /// One record, or two when the primary key changed and its old value lives elsewhere (C3).
    fn publish(&mut self, change: &Change) -> Result<(), Failure> {
        let key = change.record_key();
        let home = partition_of(&key, self.partitions);
        let former = change
            .old_record_key()
            .map(|key| (partition_of(&key, self.partitions), key));
        let value = self.encode(change)?;
        let position = change.position();
        if let Some((partition, old_key)) = former.filter(|(partition, _)| *partition != home) {
            self.send(partition, position, &old_key, &value)?;
        }
        self.send(home, position, &key, &value)?;
        self.metrics.row("published");
        self.status.published(position.lsn);
        if change.old_values == OldValues::Unknown {
            self.metrics.row("old_values_unknown");
            self.distrusted.insert(change.table.clone());
        }
        Ok(())
    }

    fn send(
        &mut self,
        partition: Partition,
        position: Position,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Failure> {
        if self.tails.holds(partition, position) {
            self.metrics.skipped.inc();
            return Ok(());
        }
        self.publisher.send(partition, position, key, value)?;
        Ok(())
    }

    fn encode(&self, change: &Change) -> Result<Vec<u8>, Failure> {
        let encoded = self.schemas.encode(change, Framing::SingleObject);
        encoded.map_err(|error| {
            Definite::Unpublishable(format!("a change of {}: {error}", change.table)).into()
        })
    }

    /// A heartbeat to every partition, when one is due.
    fn beat(&mut self) -> Result<(), Failure> {
        let position = self.progress.position();
        let now = Instant::now();
        // Until the stream has proven the history, a position would only claim what is not known.
        if self.expected.is_some()
            || !self.schedule.is_due(now, position)
            || !self.publisher.ledger().has_room()
        {
            return Ok(());
        }
        let clock_us = jiff::Timestamp::now().as_microsecond();
        let heartbeat = Change::heartbeat(
            position,
            Heartbeat {
                clock_us,
                last: self.progress.last(),
            },
        );
        let (key, value) = (heartbeat.record_key(), self.encode(&heartbeat)?);
        for number in 0..self.partitions {
            let partition = Partition::new(i32::try_from(number).unwrap_or(i32::MAX));
            if !self.tails.is_beyond(partition, position) {
                self.publisher.send(partition, position, &key, &value)?;
                self.metrics.heartbeats.inc();
            }
        }
        self.schedule.sent(now, position);
        Ok(())
    }

    /// Tells the gate which groups count, and `serve` what is needed.
    fn order(&self, beside: &mut Beside<'_>) {
        let state = beside.control.state();
        let gating: Vec<String> = state.gating().map(ToOwned::to_owned).collect();
        beside.gating.send_if_modified(|groups| {
            let changed = *groups != gating;
            *groups = gating;
            changed
        });
        let order = Order::new(state, self.epoch);
        beside.orders.send_if_modified(|current| {
            let changed = *current != order;
            *current = order;
            changed
        });
    }

    /// What `serve` has prepared.
    async fn switch(&mut self, switch: Switch, beside: &mut Beside<'_>) -> Result<(), Failure> {
        match switch {
            Switch::Prepared {
                needs,
                scanning,
                tables,
                from,
                done,
            } => {
                self.compare_leaves(beside, &tables, from).await?;
                self.pending = Some(Pending {
                    needs,
                    scanning,
                    tables,
                    from,
                    done,
                });
                self.switch_when_due();
            }
            Switch::Served { answers, done } => {
                for answer in answers {
                    beside.control.announce(answer).await?;
                }
                self.order(beside);
                let _told = done.send(());
            }
            Switch::Failed(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Routes by new needs once the stream has come to where they are in place, and says so: from
    /// then on every row is routed by them, so any LSN that is read afterwards will do.
    fn switch_when_due(&mut self) {
        let is_due = |pending: &mut Pending| {
            pending.from <= self.progress.received() && !self.router.is_inside_transaction()
        };
        if let Some(pending) = self.pending.take_if(is_due) {
            self.router.load(pending.tables);
            self.router.set_needs(pending.needs, pending.scanning);
            let _told = pending.done.send(());
        }
    }

    /// Everything accepted is acknowledged, the last position reported.
    async fn drain(self) -> Result<Ended, Failure> {
        let ledger = Arc::clone(self.publisher.ledger());
        match tokio::time::timeout(DRAIN, ledger.drained()).await {
            Ok(drained) => drained?,
            Err(_elapsed) => tracing::warn!(
                "Kafka did not acknowledge everything in time; the rest is read again at the next start"
            ),
        }
        let report = self.position();
        self.stream
            .finish(report, DRAIN)
            .await
            .map_err(stream_failure)?;
        self.publisher.close().await;
        tracing::info!(confirmed = %report.flushed, received = %report.written, "stopped");
        Ok(Ended::Stopped)
    }
}

fn published(transaction: Transaction) -> PublishedTransaction {
    let Transaction {
        commit_lsn,
        xid,
        commit_ts_us,
    } = transaction;
    PublishedTransaction {
        lsn: commit_lsn,
        xid,
        commit_ts_us,
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What the replication session says, in our two kinds.
pub(crate) fn stream_failure(error: crate::replication::Error) -> Failure {
    match error {
        crate::replication::Error::Definite(error) => Definite::SetUp(error.to_string()).into(),
        crate::replication::Error::Transient(error) => {
            Transient::Replication(error.to_string()).into()
        }
    }
}
