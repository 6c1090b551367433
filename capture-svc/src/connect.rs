//! One connection to the slot, from the first look at the server to the running pump.
//! In: the configuration. Out: a [`Pump`] and what runs beside it.
//! Must hold: the order. Topics and the control topic before anything; identities and publication
//! before the slot; the epoch announced before the slot is made; the tails read before the stream
//! starts; what the server confirmed compared after it has started.
//! Must not: publish or confirm.

mod begin;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use definition::Diagnostics;
use model::{Announcement, Change, Epoch, Lsn, Partition, Schemas};
use runtime::http::{Loop, Part};
use runtime::postgres::{Session as Sql, Stream};
use runtime::shutdown::Shutdown;
use runtime::task::Task;
use tokio::sync::{Notify, mpsc, watch};

use crate::config::Config;
use crate::confirm::Confirm;
use crate::control::{Control, failure};
use crate::error::{Definite, Failure, Transient};
use crate::gate::{self, Observed, Scope};
use crate::heartbeat::{Progress, Schedule};
use crate::metrics::Metrics;
use crate::needs::Union;
use crate::preflight::{Preflight, Preparer, Settings};
use crate::publish::{Buffer, Ledger, Publisher};
use crate::pump::{Beside, Ended, Pump, stream_failure};
use crate::relation::{CatalogError, Table};
use crate::replication::{LogicalStream, Login, Patience, Session};
use crate::route::Router;
use crate::serve::{Order, Serve};
use crate::slot::{self};
use crate::state::Shared;
use crate::tail::Tails;
use crate::{APPLICATION, own, topics};

/// Longest time for reading the last record of every partition.
const TAILS_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection is made with.
#[derive(Debug, Clone)]
pub struct Connector {
    /// The configuration.
    pub config: Arc<Config>,
    /// What the service counts.
    pub metrics: Metrics,
    /// What `/status` shows.
    pub shared: Arc<Shared>,
    /// Ready once the slot was reached, or is known to be another capture's.
    pub connected: Part,
}

/// The source as this connection found it.
struct Found {
    sql: Sql,
    tables: Vec<Table>,
    own: model::Needs,
    epoch: Epoch,
    confirmed: Lsn,
    tails: Tails,
    partitions: u32,
}

impl Connector {
    /// Connects and pumps until stop is asked for or something fails.
    ///
    /// # Errors
    /// See [`Failure`].
    pub async fn run(&self, turning: &Loop, shutdown: &Shutdown) -> Result<Ended, Failure> {
        let config = &self.config;
        self.shared.says("connecting");
        let plan = topics::plan(&config.kafka, &config.broker).await?;
        complain(&plan.findings)?;
        topics::create(&config.kafka, &plan.missing).await?;
        turning.turn();
        let mut control = Control::open(&config.kafka, &config.topics).await?;
        turning.turn();
        let found = self.find(&mut control, plan.changes_partitions).await?;
        turning.turn();
        let (stream, patience) = self.stream(&found).await?;
        self.metrics.connections.inc();
        self.shared.connected(found.epoch);
        self.connected.ready();
        self.pump(control, found, stream, patience, shutdown).await
    }

    async fn find(&self, control: &mut Control, partitions: Option<u32>) -> Result<Found, Failure> {
        let config = &self.config;
        let sql = config
            .postgres
            .connect(APPLICATION)
            .await
            .map_err(|error| sql_failure(&error))?;
        let own = own::read(&sql, &config.indexes).await?;
        if own.findings.has_errors() {
            return Err(refused(&own.findings).into());
        }
        let own = own.needs;
        let settings = Settings::new(&config.source, config.max_retained_wal());
        let union = Union::new(
            own.clone(),
            control.state().needs(),
            control.state().scanning(),
        );
        let preflight = Preflight::read(&sql, settings.clone(), union.clone())
            .await
            .map_err(catalog)?;
        let mut report = Diagnostics::new();
        for finding in preflight.report().findings() {
            // A slot that is lost or missing is judged with its epoch, below.
            if finding.code != "E403" {
                report.push(finding.clone());
            }
        }
        complain(&report)?;
        // Another program may take its keys from the identities as they are: FULL under flusso 0.15
        // would change the ids of its documents. So nothing is mended before it has gone.
        let slot = preflight.facts().slot.as_ref();
        if let Some(holder) = slot.and_then(|slot| slot.holder.as_ref())
            && !holder.is_capture()
        {
            return Err(self.held(holder).into());
        }
        let prepared = Preparer::new(settings)
            .prepare(&sql, &union)
            .await
            .map_err(catalog)?;
        for unmet in &prepared.unmet {
            tracing::warn!(code = unmet.finding.code, "{}", unmet.finding.message);
        }
        let partitions = self.partitions(partitions).await?;
        let records = self.last_records(control, partitions).await?;
        let (epoch, confirmed) = self.begin(control, &sql, &records, partitions).await?;
        let previous = control.state().partitions(&config.topics.changes());
        let mut tails = Tails::new(epoch, &records);
        if previous.is_some_and(|previous| previous != partitions) {
            tails = tails.lowest_for_all();
        }
        if previous != Some(partitions) {
            control
                .announce(partitioning(
                    &config.topics.changes(),
                    partitions,
                    previous,
                    epoch,
                    confirmed,
                ))
                .await?;
        }
        let words = own::announcements(control.state(), config.topics.prefix(), &own, epoch);
        for word in words {
            control.announce(word).await?;
        }
        Ok(Found {
            sql,
            tables: prepared.tables,
            own,
            epoch,
            confirmed,
            tails,
            partitions,
        })
    }

    async fn partitions(&self, known: Option<u32>) -> Result<u32, Failure> {
        if let Some(known) = known {
            return Ok(known);
        }
        let topic = self.config.topics.changes();
        let count = self
            .config
            .kafka
            .topics()
            .map_err(failure)?
            .partitions(&topic)
            .await
            .map_err(failure)?;
        count
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| {
                Transient::Kafka(format!(
                    "topic {topic} was made, but the brokers do not show it yet"
                ))
                .into()
            })
    }

    async fn last_records(
        &self,
        control: &Control,
        partitions: u32,
    ) -> Result<BTreeMap<Partition, Change>, Failure> {
        let topic = self.config.topics.changes();
        let all: Vec<Partition> = (0..partitions)
            .filter_map(|number| i32::try_from(number).ok())
            .map(Partition::new)
            .collect();
        let records = self
            .config
            .kafka
            .topics()
            .map_err(failure)?
            .last_records(&topic, &all, TAILS_TIMEOUT)
            .await
            .map_err(failure)?;
        let mut changes = BTreeMap::new();
        for record in records.into_iter().flatten() {
            let payload = record.payload.unwrap_or_default();
            let change = control.schemas().decode::<Change>(&payload).map_err(|error| {
                Definite::SetUp(format!("the last record of {topic}[{}] is not a change: {error}; is the topic used by something else?", record.partition))
            })?;
            changes.insert(record.partition, change);
        }
        Ok(changes)
    }

    async fn stream(&self, found: &Found) -> Result<(LogicalStream<Stream>, Patience), Failure> {
        let postgres = &self.config.postgres;
        let source = &self.config.source;
        let stream = postgres
            .open(found.sql.route())
            .await
            .map_err(|error| sql_failure(&error))?;
        let end_point = postgres
            .channel_binding(&stream)
            .map_err(|error| sql_failure(&error))?;
        let login = Login::to(postgres.target(), APPLICATION, end_point);
        let mut session = Session::start(stream, &login)
            .await
            .map_err(stream_failure)?;
        let patience =
            Patience::suited_to(session.wal_sender_timeout().await.map_err(stream_failure)?);
        let stream = session
            .start_replication(&source.slot, &source.publication, found.confirmed, patience)
            .await
            .map_err(stream_failure)?;
        if let Some(later) = slot::started_later(&found.sql, &source.slot, found.confirmed)
            .await
            .map_err(catalog)?
        {
            let asked = found.confirmed;
            return Err(Transient::Replication(format!(
                "the slot went from {asked} to {later} meanwhile: looking at it again"
            ))
            .into());
        }
        tracing::info!(slot = source.slot, epoch = %found.epoch, from = %found.confirmed, "streaming");
        Ok((stream, patience))
    }

    async fn pump(
        &self,
        mut control: Control,
        found: Found,
        stream: LogicalStream<Stream>,
        patience: Patience,
        shutdown: &Shutdown,
    ) -> Result<Ended, Failure> {
        let config = &self.config;
        let Found {
            sql,
            tables,
            own,
            epoch,
            confirmed,
            tails,
            partitions,
        } = found;
        let near = slot::log_end(&sql).await.map_err(catalog)?.xmax;
        drop(sql);
        let buffer = Buffer {
            records: usize::try_from(config.capture.buffer_records).unwrap_or(usize::MAX),
            bytes: usize::try_from(config.capture.buffer_bytes.get()).unwrap_or(usize::MAX),
        };
        let ledger = Ledger::new(buffer, tails.all(), self.metrics.published.clone());
        let publisher = Publisher::new(&config.kafka, config.topics.changes(), ledger)?;
        let mut router = Router::new(epoch, tables, near);
        // What was promised before holds from the first row; what is new switches on when it is
        // in place.
        let (needs, scanning) = control.state().served_needs(epoch);
        router.set_needs(needs, scanning);
        let expected = tails.expected(confirmed);
        let reload = Arc::new(Notify::new());
        let pump = Pump {
            stream,
            epoch,
            router,
            publisher,
            expected,
            progress: Progress::new(epoch, confirmed, expected),
            tails,
            schedule: Schedule::new(config.capture.heartbeat_interval),
            pending: None,
            distrusted: BTreeSet::new(),
            reload: Arc::clone(&reload),
            confirm: Confirm::new(confirmed, config.slot_ack(), config.max_retained_wal()),
            partitions,
            schemas: Arc::new(Schemas::new().map_err(|error| Definite::SetUp(error.to_string()))?),
            report_every: patience.report_every,
            metrics: self.metrics.clone(),
            status: Arc::clone(self.shared.pump()),
            turning: self.shared.turning("pump"),
        };
        let beside = shutdown.child();
        let (observed_in, observed) = watch::channel(Observed::default());
        let (gating, groups) = watch::channel(Vec::new());
        let (orders, orders_out) = watch::channel(Order::default());
        let (switches_in, switches) = mpsc::channel(1);
        let scope = Scope {
            topic: config.topics.changes(),
            partitions,
            epoch,
        };
        let mut gate = runtime::task::spawn(
            "gate",
            gate::watch(
                config.kafka.clone(),
                config.postgres.clone(),
                scope,
                groups,
                observed_in,
                beside.clone(),
            ),
        );
        let preparer = Preparer::new(Settings::new(&config.source, config.max_retained_wal()));
        let serve = Serve {
            epoch,
            reload,
            own,
            preparer,
            postgres: config.postgres.clone(),
            orders: orders_out,
            switches: switches_in,
            shutdown: beside.clone(),
        };
        let serve = runtime::task::spawn("serve", serve.run());
        let running = pump.run(Beside {
            control: &mut control,
            observed,
            gating,
            orders,
            switches,
            shutdown: shutdown.clone(),
        });
        let ended = tokio::select! {
            ended = running => ended,
            failure = broken(&mut gate) => Err(failure),
        };
        beside.trigger();
        drop(serve);
        if let Err(Failure::Transient(Transient::Forked { expected, found })) = &ended {
            self.fork(&mut control, epoch, *expected, *found).await?;
        }
        ended
    }
}

/// Ends when the gate has failed. One that ended because stop was asked for leaves the last word
/// to the pump, which drains.
async fn broken(gate: &mut Task<Result<(), Failure>>) -> Failure {
    match gate.join().await {
        Ok(Ok(())) => std::future::pending().await,
        Ok(Err(failure)) => failure,
        Err(error) => Transient::Kafka(error.to_string()).into(),
    }
}

fn partitioning(
    topic: &str,
    partitions: u32,
    previous: Option<u32>,
    epoch: Epoch,
    since_lsn: Lsn,
) -> Announcement {
    Announcement::Partitioning {
        topic: topic.to_owned(),
        partitions,
        previous,
        epoch,
        since_lsn,
        at_us: jiff::Timestamp::now().as_microsecond(),
    }
}

/// What `run` mends by itself: topics, publication, identities.
const MENDED: [&str; 3] = ["W401", "W402", "W502"];

/// Warnings are logged once per connection, but for what is mended right away; errors end it.
fn complain(findings: &Diagnostics) -> Result<(), Definite> {
    for finding in findings.findings() {
        if finding.severity == definition::Severity::Warning && !MENDED.contains(&finding.code) {
            tracing::warn!(
                code = finding.code,
                help = finding.help.as_deref().unwrap_or_default(),
                "{}",
                finding.message
            );
        }
    }
    if findings.has_errors() {
        Err(refused(findings))
    } else {
        Ok(())
    }
}

/// The report of what must be mended first.
fn refused(findings: &Diagnostics) -> Definite {
    Definite::Preflight {
        errors: findings.errors(),
        report: findings.render_human(false),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn catalog(error: CatalogError) -> Failure {
    Transient::Postgres(error.to_string()).into()
}

/// Errors of the set-up stop; the others pass.
fn sql_failure(error: &runtime::postgres::Error) -> Failure {
    let help = error
        .help()
        .map(|help| format!(": {help}"))
        .unwrap_or_default();
    let text = format!("{error}{help}");
    if error.is_transient() {
        Transient::Postgres(text).into()
    } else {
        Definite::SetUp(text).into()
    }
}
