//! A database with a slot, on which one case after the other is played.
//! In: addresses of servers. Out: connections, an emptied database, and the stream of its changes.
//! Must hold: what is read belongs to the case that is played; what is left of a case before it is
//! read away first. Must not: know documents.
//! Why one database serves many cases: making one takes longer than playing a case, and a slot is
//! only made when every older transaction of the whole server has ended.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use capture_svc::needs::Union;
use capture_svc::pgoutput::{Message, decode};
use capture_svc::preflight::{Prepared, Preparer, Settings};
use capture_svc::replication::{
    Frame, LogicalStream, Patience, ReplicationStream as _, Session as Replication, Status,
};
use capture_svc::{APPLICATION, slot};
use definition::Deployment;
use model::{
    Announcement, ColumnName, Epoch, Lsn, Needs, Offset, Schemas, SourceCause, TableName,
    TableNeeds,
};
use runtime::postgres::{Identity, Postgres, Session, Stream};
use tokio::sync::watch;
use tokio_postgres::{Client, NoTls};
use worker_svc::build::Announce;
use worker_svc::coordinate::View;
use worker_svc::registry::{Incarnations, Registry};
use worker_svc::sink::{Options, Sink};

use super::files;
use crate::stack::{Stack, connect};

/// Longest wait for anything of a local server on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// The schema that no case touches.
const OWN_SCHEMA: &str = "harness";
/// Its only table. A row of it that changes marks a place in the stream.
const MARK: &str = "mark";

/// The product's side of one database, and the test's own.
pub struct Stage {
    /// Names everything: database, slot, publication, prefix.
    pub(super) name: String,
    stack: Stack,
    /// The URL of the database.
    pub(super) url: String,
    /// Changes rows.
    pub(super) rows: Client,
    /// Reads rows for the oracle.
    pub(super) truth: Client,
    /// The product's maker of connections.
    pub(super) postgres: Postgres,
    /// The product's SQL session.
    pub(super) session: Session,
    stream: LogicalStream<Stream>,
    received: Lsn,
    /// How the stream announced the marks: a new router has to hear it again.
    mark_relation: Option<Message>,
    settings: Settings,
    registry: Registry,
    /// Numbers of server runs, as every feed needs them.
    pub(super) incarnations: Arc<Incarnations>,
    /// What `{p}.control` would say.
    pub(super) view: watch::Receiver<View>,
    /// Records to bytes.
    pub(super) schemas: Arc<Schemas>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Nobody listens: there is no `{p}.control` here.
pub(super) struct Silent;

impl Announce for Silent {
    fn incarnation(
        &self,
        _run: model::ServerRun,
        _number: model::Incarnation,
    ) -> futures_util::future::BoxFuture<'_, Result<(), worker_svc::Transient>> {
        Box::pin(async { Ok(()) })
    }
}

impl Stage {
    /// Makes the database, the publication and the slot, and starts the stream.
    ///
    /// # Errors
    /// The servers refuse.
    pub async fn open(stack: &Stack) -> Result<Self> {
        let name = format!("lang{:08x}", rand::random::<u32>());
        let admin = connect(&stack.postgres, NoTls).await?;
        admin
            .batch_execute(&format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
            ))
            .await?;
        let (base, _) = stack
            .postgres
            .rsplit_once('/')
            .context("the URL names no database")?;
        let url = format!("{base}/{name}");
        let rows = connect(&url, NoTls).await?;
        rows.batch_execute(&format!(
            "CREATE SCHEMA {OWN_SCHEMA}; CREATE TABLE {OWN_SCHEMA}.{MARK} (id int PRIMARY KEY, n int8 NOT NULL);
             INSERT INTO {OWN_SCHEMA}.{MARK} VALUES (1, 0)"
        ))
        .await?;
        let truth = connect(&url, NoTls).await?;
        let deployment = files::load(&name, &url, &[]).map_err(anyhow::Error::msg)?;
        let postgres = runtime::configured::postgres(&deployment.source, &files::environment())?.0;
        let session = postgres.connect(APPLICATION).await?;
        let settings = settings(&deployment);
        prepare(&session, &settings, Needs::new()).await?;
        slot::create(&session, &name, false).await?;
        let stream = start(&postgres, &session, &settings, Lsn::INVALID).await?;
        let sink = Sink::new(&Options::for_url(stack.opensearch.clone()))?;
        let registry = Registry::new(sink, "main", format!("{name}_"));
        registry.open().await?;
        Ok(Self {
            stack: stack.clone(),
            rows,
            truth,
            view: view(&session).await?,
            postgres,
            session,
            stream,
            received: Lsn::INVALID,
            mark_relation: None,
            settings,
            incarnations: Arc::new(Incarnations::new(registry.clone())),
            registry,
            schemas: Arc::new(Schemas::new()?),
            url,
            name,
        })
    }

    /// Reads away what the stream still has of a case before, whatever state that left.
    ///
    /// # Errors
    /// The servers refuse.
    pub(super) async fn renew(&mut self) -> Result<()> {
        // A statement that failed inside a transaction leaves it open.
        self.rows.batch_execute("ROLLBACK").await?;
        if let Err(error) = self.read_away().await {
            tracing::debug!(%error, "the stream is opened again");
            self.stream =
                start(&self.postgres, &self.session, &self.settings, self.received).await?;
            self.mark_relation = None;
            self.read_away().await?;
        }
        let status = Status {
            written: self.received,
            flushed: self.received,
            applied: self.received,
        };
        self.stream.report(status).await?;
        Ok(())
    }

    async fn read_away(&mut self) -> Result<()> {
        let end = self.mark().await?;
        self.read_to(end, |_message| Ok(())).await
    }

    /// Publication and identities for `needs`, as capture brings them about.
    ///
    /// # Errors
    /// They cannot be had.
    pub(super) async fn prepare(&mut self, needs: Needs) -> Result<Prepared> {
        let prepared = prepare(&self.session, &self.settings, needs).await?;
        // What was sent before belongs to no needs.
        self.read_away().await?;
        Ok(prepared)
    }

    /// How the stream announced the marks, for a new router.
    pub(super) fn mark_relation(&self) -> Option<Message> {
        self.mark_relation.clone()
    }

    /// Commits a mark; the stream has shown everything before it once it shows a commit at or
    /// behind the answer.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub(super) async fn mark(&self) -> Result<Lsn> {
        let end: String = self
            .rows
            .query_one("SELECT pg_current_wal_insert_lsn()::text", &[])
            .await?
            .get(0);
        self.rows
            .batch_execute(&format!("UPDATE {OWN_SCHEMA}.{MARK} SET n = n + 1"))
            .await?;
        Ok(end.parse()?)
    }

    /// Hands every message to `take`, up to the end of the first transaction that committed at or
    /// behind `end`.
    ///
    /// # Errors
    /// `take` fails, the stream ends, or it does not come that far in time.
    pub(super) async fn read_to(
        &mut self,
        end: Lsn,
        mut take: impl FnMut(Message) -> Result<()>,
    ) -> Result<()> {
        let reading = async {
            loop {
                let Frame::Data { payload, .. } = self.stream.next().await? else {
                    continue;
                };
                let message = decode(payload)?;
                if let Message::Relation(relation) = &message
                    && relation.schema == OWN_SCHEMA
                {
                    self.mark_relation = Some(message.clone());
                }
                let ended = if let Message::Commit(commit) = &message {
                    Some((commit.commit_lsn, commit.end_lsn))
                } else {
                    None
                };
                take(message)?;
                if let Some((commit, end_lsn)) = ended {
                    self.received = self.received.max(end_lsn);
                    if commit >= end {
                        return Ok(());
                    }
                }
            }
        };
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(read) => read,
            Err(_) => bail!("the stream is not at {end} after {PATIENCE:?}"),
        }
    }

    /// Removes everything it made.
    ///
    /// # Errors
    /// The servers refuse.
    pub async fn close(self) -> Result<()> {
        let (name, stack, registry) = (self.name, self.stack, self.registry);
        drop((self.rows, self.truth, self.session, self.stream));
        registry.sink().delete_index(registry.index()).await?;
        let admin = connect(&stack.postgres, NoTls).await?;
        let of_ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        admin.execute(of_ours, &[&name]).await?;
        testkit::eventually(PATIENCE, "the slot is dropped", || async {
            let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1";
            admin.execute(sql, &[&name]).await.map_err(|error| error.to_string())
        })
        .await;
        admin
            .batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
            .await?;
        Ok(())
    }
}

fn settings(deployment: &Deployment) -> Settings {
    Settings::new(&deployment.source, None)
}

/// The marks are part of all needs, so that they are streamed.
fn with_marks(needs: Needs) -> Union {
    let mark = TableName::new(OWN_SCHEMA, MARK);
    let used = TableNeeds {
        used: [ColumnName::new("n")].into(),
        ..TableNeeds::default()
    };
    let marks: Needs = [(mark, used)].into_iter().collect();
    Union::new(needs, marks, std::collections::BTreeSet::new())
}

async fn prepare(session: &Session, settings: &Settings, needs: Needs) -> Result<Prepared> {
    let prepared = Preparer::new(settings.clone())
        .prepare(session, &with_marks(needs))
        .await?;
    if let Some(unmet) = prepared.unmet.first() {
        bail!("capture cannot serve the tables: {:?}", unmet.finding);
    }
    Ok(prepared)
}

async fn start(
    postgres: &Postgres,
    session: &Session,
    settings: &Settings,
    from: Lsn,
) -> Result<LogicalStream<Stream>> {
    let route = session.route().clone();
    let replication = Replication::open(postgres, &route, APPLICATION).await?;
    Ok(replication
        .start_replication(
            &settings.slot,
            &settings.publication,
            from,
            Patience::default(),
        )
        .await?)
}

/// What a worker would have read in `{p}.control`.
async fn view(session: &Session) -> Result<watch::Receiver<View>> {
    let identity = Identity::read(&**session).await?;
    let mut view = View::default();
    view.apply(
        Offset::new(0),
        Announcement::Source {
            epoch: Epoch::FIRST,
            system_identifier: identity.system_identifier,
            database_oid: identity.database_oid,
            database: identity.database,
            timeline: identity.timeline.context("the server is no primary")?,
            slot: String::new(),
            start_lsn: Lsn::INVALID,
            cause: SourceCause::First,
            reason: String::new(),
            at_us: 0,
        },
    );
    Ok(watch::channel(view).1)
}
