//! The start: each dependency is waited for, and says in `/status` what is missing.

use std::sync::Arc;

use model::Schemas;
use runtime::http::{Part, Readiness};
use runtime::kafka::Kafka;
use runtime::postgres::{Pool, Postgres};
use runtime::retry::{Backoff, Waited};
use runtime::shutdown::Shutdown;
use runtime::task::Tasks;

use super::RunError;
use crate::config::Config;
use crate::coordinate::{Context, Control};
use crate::error::{Definite, Transient, chain};
use crate::http::Board;
use crate::metrics::Metrics;
use crate::registry::{Incarnations, Registry};

/// Clients that are made, not yet connected.
#[derive(Debug, Clone)]
pub struct Connections {
    /// The configuration.
    pub config: Arc<Config>,
    /// Kafka.
    pub kafka: Kafka,
    /// Postgres.
    pub postgres: Postgres,
    /// One registry per sink.
    pub registries: Vec<Registry>,
}

/// What `/readyz` waits for.
pub(super) struct Parts {
    postgres: Part,
    kafka: Part,
    sinks: Part,
}

impl Parts {
    /// Registers them all, so that nothing counts as ready before it was asked.
    pub(super) fn new(readiness: &Readiness) -> Self {
        Parts {
            postgres: readiness.register("postgres"),
            kafka: readiness.register("kafka"),
            sinks: readiness.register("opensearch"),
        }
    }
}

/// Everything reached once.
#[derive(Debug, Clone)]
pub(super) struct Connected {
    pub(super) pool: Pool,
    /// One per registry, in the same order.
    pub(super) contexts: Vec<Context>,
}

/// Waits for every dependency; `None` when stop was asked for meanwhile.
pub(super) async fn connect(
    connections: &Connections,
    parts: Parts,
    board: &Board,
    metrics: &Metrics,
    tasks: &mut Tasks,
    shutdown: &Shutdown,
) -> Result<Option<Connected>, RunError> {
    let waiting = Waiting {
        board,
        metrics,
        shutdown,
    };
    let pool = connections.postgres.pool(
        "worker-svc",
        usize_of(connections.config.deployment.worker.pool_size),
    );
    let reached = waiting.until("postgres", || async {
        let session = pool.get().await.map_err(|error| Transient::Postgres {
            doing: "connecting",
            source: Box::new(error),
        })?;
        drop(session);
        Ok(Ok(()))
    });
    if reached.await?.is_none() {
        return Ok(None);
    }
    parts.postgres.ready();
    for registry in &connections.registries {
        let opened = waiting.until(registry.sink_name(), || async {
            registry.open().await.map(Ok)
        });
        if opened.await?.is_none() {
            return Ok(None);
        }
    }
    parts.sinks.ready();
    let schemas = Arc::new(Schemas::new().map_err(|error| Definite::Setup(error.to_string()))?);
    let topics = connections.config.topics();
    let opened = waiting.until("kafka", || {
        Control::open(&connections.kafka, &topics, Arc::clone(&schemas))
    });
    let Some((control, reader)) = opened.await? else {
        return Ok(None);
    };
    parts.kafka.ready();
    tasks.spawn("control", reader.run(shutdown.clone()));
    let contexts = connections
        .registries
        .iter()
        .map(|registry| context(connections, registry, &control))
        .collect();
    Ok(Some(Connected { pool, contexts }))
}

fn context(connections: &Connections, registry: &Registry, control: &Control) -> Context {
    let worker = &connections.config.deployment.worker;
    Context {
        registry: registry.clone(),
        incarnations: Arc::new(Incarnations::new(registry.clone())),
        control: control.clone(),
        kafka: connections.kafka.clone(),
        topics: connections.config.topics(),
        postgres: connections.postgres.clone(),
        seed_chunk_rows: worker.seed_chunk_rows,
        freshness: worker.freshness,
    }
}

/// A count of the configuration; none is near the limit of a machine word.
pub(super) fn usize_of(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Tries until it works, and says what is wrong meanwhile.
pub(super) struct Waiting<'a> {
    pub(super) board: &'a Board,
    pub(super) metrics: &'a Metrics,
    pub(super) shutdown: &'a Shutdown,
}

impl Waiting<'_> {
    /// `None` when stop was asked for.
    pub(super) async fn until<T, F, Try>(
        &self,
        of: &str,
        mut attempt: F,
    ) -> Result<Option<T>, Definite>
    where
        F: FnMut() -> Try,
        Try: Future<Output = Result<Result<T, Definite>, Transient>>,
    {
        let mut backoff = Backoff::default();
        loop {
            let Some(tried) = self.shutdown.or_stop(Box::pin(attempt())).await else {
                return Ok(None);
            };
            let error = match tried {
                Ok(result) => {
                    self.board.mended(of);
                    return result.map(Some);
                }
                Err(error) => error,
            };
            let reason = chain(&error);
            tracing::warn!(of, reason, "waiting for a dependency");
            self.board.trouble(of, reason);
            self.metrics.retried(of);
            if backoff.wait(self.shutdown, None).await == Waited::Stopping {
                return Ok(None);
            }
        }
    }
}
