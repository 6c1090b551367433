//! The product's own code over the shop: what a feed does between a batch and its documents, on
//! one connection.
//! In: requests. Out: documents in memory, counted. Must hold: pool, transactions, statements and
//! bounds are those of a worker.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use definition::{Deployment, Files, Overrides};
use integration::stack::{Stack, connect};
use model::{Announcement, Change, Epoch, Lsn, Offset, SourceCause};
use runtime::postgres::{Identity, Pool, Postgres, Session};
use tokio::sync::watch;
use tokio_postgres::NoTls;
use worker_svc::build::{Announce, Attempt, Blocks, Builder, Built, Gate, Limits, Parts, Request};
use worker_svc::compiled;
use worker_svc::coordinate::View;
use worker_svc::coordinate::source::leaves;
use worker_svc::plan::LeafSize;
use worker_svc::registry::{Incarnations, Registry};
use worker_svc::resolve::DocumentKey;
use worker_svc::sink::{Options, Sink};

use super::shop;

/// The defaults of the configuration.
const LIMITS: Limits = Limits {
    batch_bytes: 4 << 20,
    fanout_threshold: 10_000,
    statement_timeout: Duration::from_mins(5),
    lock_timeout: Duration::from_secs(5),
};

/// The shop, a worker's connection to it, and one for hand-written SQL.
pub(crate) struct Product {
    /// A connection of its own, made like the worker's.
    pub(crate) by_hand: Session,
    /// The table of the orders.
    pub(crate) orders: LeafSize,
    builder: Builder,
    pool: Pool,
    registry: Registry,
    stack: Stack,
    name: String,
}

/// What came out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) documents: usize,
    pub(crate) bytes: usize,
}

impl Product {
    /// Makes a database with the shop in it.
    pub(crate) async fn open(stack: &Stack, orders: u32) -> Result<Self> {
        let name = format!("bench{:08x}", rand::random::<u32>());
        let admin = connect(&stack.postgres, NoTls).await?;
        admin
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"))
            .await?;
        let (base, _) = stack
            .postgres
            .rsplit_once('/')
            .context("the URL names no database")?;
        let url = format!("{base}/{name}");
        let began = Instant::now();
        let rows = connect(&url, NoTls).await?;
        rows.batch_execute(&shop::tables(orders)).await?;
        rows.batch_execute("VACUUM ANALYZE").await?;
        eprintln!(
            "a shop with {orders} orders, made in {:.0?}",
            began.elapsed()
        );
        let deployment = deployment(&url)?;
        let index = deployment.indexes.first().context("one index")?;
        let (postgres, _) = runtime::configured::postgres(&deployment.source, &BTreeMap::new())?;
        let by_hand = postgres.connect("bench").await?;
        // One connection is one server process, on both sides: the statements of the product are
        // not run by several either.
        by_hand
            .batch_execute("SET max_parallel_workers_per_gather = 0")
            .await?;
        let compiled = compiled::read(&by_hand, &index.definition).await??;
        let orders = leaves(&by_hand, &compiled.index.root).await??;
        let orders = orders.into_iter().next().context("a table")?;
        let sink = Sink::new(&Options::for_url(stack.opensearch.clone()))?;
        let registry = Registry::new(sink, "main", format!("{name}_"));
        registry.open().await?;
        let pool = postgres.pool("bench", 1);
        let builder = Builder::new(Parts {
            pool: pool.clone(),
            paths: compiled.paths(),
            statements: compiled.statements(),
            limits: LIMITS,
            incarnations: Arc::new(Incarnations::new(registry.clone())),
            announce: Arc::new(Silent),
            control: view(&postgres).await?,
        });
        Ok(Self {
            by_hand,
            orders,
            builder,
            pool,
            registry,
            stack: stack.clone(),
            name,
        })
    }

    /// Removes everything again.
    pub(crate) async fn remove(self) -> Result<()> {
        drop((self.by_hand, self.builder, self.pool));
        let index = self.registry.index();
        self.registry.sink().delete_index(index).await?;
        let admin = connect(&self.stack.postgres, NoTls).await?;
        admin
            .batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await?;
        Ok(())
    }

    /// The processes that serve the worker's connection and the other one.
    pub(crate) async fn backends(&self) -> Result<[i32; 2]> {
        const PID: &str = "SELECT pg_backend_pid()";
        let worker = self.pool.get().await?.query_one(PID, &[]).await?;
        let by_hand = self.by_hand.query_one(PID, &[]).await?;
        Ok([worker.try_get(0)?, by_hand.try_get(0)?])
    }

    /// Builds a range of blocks as a feed does: in pieces that fit into a batch, by what the last
    /// piece took.
    pub(crate) async fn build_blocks(&self, from: u32, to: u32, take: Take<'_>) -> Result<Counted> {
        let mut counted = Counted::default();
        let mut at = from;
        let mut step = 32;
        while at < to {
            let end = at.saturating_add(step).min(to);
            let request = Request::Blocks(Blocks {
                table: &self.orders.table,
                oid: self.orders.oid,
                file_node: self.orders.file_node,
                from: at,
                to: Some(end),
                deletes: false,
            });
            match self.attempt(&request).await? {
                Tried::Built(built, _) => {
                    let per_block = built.bytes() / usize::try_from(end - at)?.max(1);
                    step = u32::try_from(LIMITS.batch_bytes * 4 / 5 / per_block.max(1))?.max(1);
                    counted.take(&built, take);
                    at = end;
                }
                Tried::TooLarge => step = (step / 2).max(1),
            }
        }
        Ok(counted)
    }

    /// Builds documents by their keys.
    pub(crate) async fn build_keys(
        &self,
        keys: Vec<DocumentKey>,
        take: Take<'_>,
    ) -> Result<Counted> {
        let mut counted = Counted::default();
        let mut keys = keys;
        while !keys.is_empty() {
            match self.attempt(&Request::Keys(&keys)).await? {
                Tried::Built(built, left) => {
                    counted.take(&built, take);
                    keys = left;
                }
                Tried::TooLarge => bail!("keys are never too many"),
            }
        }
        Ok(counted)
    }

    /// Resolves changes and builds what they affect.
    pub(crate) async fn build_changes(
        &self,
        changes: &[&Change],
        take: Take<'_>,
    ) -> Result<Counted> {
        let mut counted = Counted::default();
        let Tried::Built(built, left) = self.attempt(&Request::Changes(changes)).await? else {
            bail!("changes are never too many blocks");
        };
        counted.take(&built, take);
        counted.add(self.build_keys(left, take).await?);
        Ok(counted)
    }

    async fn attempt(&self, request: &Request<'_>) -> Result<Tried> {
        loop {
            match Box::pin(self.builder.attempt(request, &Gate::default())).await?? {
                Attempt::Built { built, left } => return Ok(Tried::Built(built, left)),
                Attempt::TooLarge => return Ok(Tried::TooLarge),
                Attempt::RunChanged => {}
                other @ (Attempt::Unseen(_)
                | Attempt::TooMany
                | Attempt::RowFault { .. }
                | Attempt::TooSlow { .. }
                | Attempt::Replan { .. }) => bail!("cannot build: {other:?}"),
            }
        }
    }
}

enum Tried {
    Built(Built, Vec<DocumentKey>),
    TooLarge,
}

/// Looks at each document, if somebody wants to.
pub(crate) type Take<'a> = Option<&'a std::sync::Mutex<BTreeMap<String, String>>>;

impl Counted {
    /// And these.
    pub(crate) fn add(&mut self, more: Counted) {
        self.documents += more.documents;
        self.bytes += more.bytes;
    }

    fn take(&mut self, built: &Built, take: Take<'_>) {
        self.documents += built.documents.len();
        self.bytes += built.bytes();
        let Some(Ok(mut taken)) = take.map(std::sync::Mutex::lock) else {
            return;
        };
        for document in &built.documents {
            let body = built.body(document).unwrap_or_default();
            taken.insert(
                document.id.clone(),
                String::from_utf8_lossy(body).into_owned(),
            );
        }
    }
}

struct Silent;

impl Announce for Silent {
    fn incarnation(
        &self,
        _run: model::ServerRun,
        _number: model::Incarnation,
    ) -> futures_util::future::BoxFuture<'_, Result<(), worker_svc::Transient>> {
        Box::pin(async { Ok(()) })
    }
}

struct InMemory(String);

impl Files for InMemory {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(self.0.clone()),
            Some(_) | None => Ok(shop::SCHEMA.to_owned()),
        }
    }
}

fn deployment(url: &str) -> Result<Deployment> {
    let files = InMemory(format!(
        "[source]\ntype = \"postgres\"\nconnection_url = \"{url}\"\n\n[[index]]\nname = \"orders\"\nschema = \"orders.schema.yml\"\n"
    ));
    let (path, overrides) = (Path::new("flusso.toml"), Overrides::default());
    match definition::load(path, &files, &BTreeMap::new(), &overrides) {
        Ok((deployment, _)) => Ok(deployment),
        Err(findings) => Err(anyhow!(findings.render_human(false))),
    }
}

/// What capture would have announced.
async fn view(postgres: &Postgres) -> Result<watch::Receiver<View>> {
    let session = postgres.connect("bench").await?;
    let identity = Identity::read(&*session).await?;
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
