//! Registry and files, looked at every second: a keeper for each generation, first
//! generations for new indexes.
//! Must hold: R2: while another source answers than the accepted one, every generation is
//! stopped with that reason. Must not: drive a generation itself.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::time::Duration;

use definition::Deployment;
use definition::deployment::OnError;
use model::{Epoch, FeedId, Incarnation};
use runtime::http::Liveness;
use runtime::shutdown::Shutdown;
use runtime::task::Tasks;
use tokio::sync::watch;

use super::RunError;
use super::connect::{Connected, Connections, usize_of};
use super::ensure::{self, Change};
use super::keeper::{Keeper, Kept};
use super::settings::adjust;
use crate::build;
use crate::bulk::Bounds;
use crate::config;
use crate::coordinate::{Context, announce_enabled, now_us};
use crate::error::{Definite, Transient, chain};
use crate::feed::{ChunkSlots, Limits};
use crate::http::Board;
use crate::metrics::Metrics;
use crate::registry::{GenerationRecord, State, Stop};

/// Between two looks. A registry holds some dozens of records.
const LOOK: Duration = Duration::from_secs(1);

/// Feeds drain within 20 s; then they are left behind, which is as safe as a crash.
const DRAIN: Duration = Duration::from_secs(28);

/// How long a build waits for a table that is being altered, before it tries again.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Supervisor<'a> {
    connections: &'a Connections,
    connected: Connected,
    board: Board,
    metrics: Metrics,
    liveness: &'a Liveness,
    chunks: ChunkSlots,
    keepers: BTreeMap<FeedId, watch::Sender<GenerationRecord>>,
    tasks: Tasks,
    /// The epoch whose source was found to be the accepted one, per sink.
    accepted: BTreeMap<String, Epoch>,
    /// The floor that each sink's incarnations were given.
    floors: BTreeMap<String, Incarnation>,
    /// Seeded generations whose settings were compared with the files, once per process.
    adjusted: BTreeSet<FeedId>,
    /// Said once each.
    told: BTreeMap<String, String>,
}

type Done<T> = Result<Result<T, Definite>, Transient>;

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        connections: &'a Connections,
        connected: Connected,
        board: Board,
        metrics: Metrics,
        liveness: &'a Liveness,
    ) -> Self {
        let worker = &connections.config.deployment.worker;
        let chunks = ChunkSlots::new(
            usize_of(worker.seed_concurrency),
            worker.seed_rate.and_then(NonZeroU64::new),
        );
        Supervisor {
            connections,
            connected,
            board,
            metrics,
            liveness,
            chunks,
            keepers: BTreeMap::new(),
            tasks: Tasks::new(),
            accepted: BTreeMap::new(),
            floors: BTreeMap::new(),
            adjusted: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self, shutdown: &Shutdown) -> Result<(), RunError> {
        let turning = self.liveness.register("supervise");
        while !shutdown.is_requested() {
            turning.turn();
            for at in 0..self.connected.contexts.len() {
                let Some(context) = self.connected.contexts.get(at).cloned() else {
                    continue;
                };
                // Cancel-safe: every change is a compare-and-set.
                let Some(looked) = shutdown
                    .or_stop(Box::pin(self.look(&context, shutdown)))
                    .await
                else {
                    break;
                };
                self.tell(context.registry.sink_name(), looked);
            }
            if shutdown.or_stop(tokio::time::sleep(LOOK)).await.is_none() {
                break;
            }
        }
        for failure in self.tasks.join_all(DRAIN).await {
            tracing::error!(error = %chain(&failure), "a keeper did not end well");
        }
        Ok(())
    }

    fn tell(&mut self, sink: &str, looked: Done<()>) {
        let reason = match looked {
            Ok(Ok(())) => {
                self.told.remove(sink);
                return self.board.mended(sink);
            }
            Ok(Err(definite)) => format!("{definite}; {}", definite.rule().advice),
            Err(transient) => {
                self.metrics.retried(sink);
                chain(&transient)
            }
        };
        if self.told.get(sink) != Some(&reason) {
            tracing::warn!(sink, reason, "the registry cannot be looked after");
        }
        self.board.trouble(sink, reason.clone());
        self.told.insert(sink.to_owned(), reason);
    }

    async fn look(&mut self, context: &Context, shutdown: &Shutdown) -> Done<()> {
        self.raise_floor(context).await;
        let entries = match context.registry.list::<GenerationRecord>().await? {
            Ok(entries) => entries,
            Err(definite) => return Ok(Err(definite)),
        };
        let records: Vec<GenerationRecord> =
            entries.into_iter().map(|entry| entry.record).collect();
        if let Err(definite) = self.check_source(context).await? {
            stop_all(context, &records, &definite).await?;
            return Ok(Err(definite));
        }
        self.let_go(context, &records).await?;
        let is_mine = |record: &GenerationRecord| self.takes(record, context);
        let mine: Vec<GenerationRecord> = records.into_iter().filter(is_mine).collect();
        let seeded: Vec<GenerationRecord> = mine
            .iter()
            .filter(|record| matches!(record.state, State::Active | State::Standby))
            .cloned()
            .collect();
        for record in mine {
            self.keep(context, record, shutdown);
        }
        self.adjust(context, &seeded).await?;
        self.ensure(context).await
    }

    /// Generations of this sink, of the indexes that were asked for. What the files do not
    /// name any more is fed too; what they switch off is not.
    fn takes(&self, record: &GenerationRecord, context: &Context) -> bool {
        let config = &self.connections.config;
        let is_asked = config.only.is_empty() || config.only.contains(&record.index);
        record.sink == context.registry.sink_name() && is_asked && self.is_enabled(record)
    }

    fn is_enabled(&self, record: &GenerationRecord) -> bool {
        self.connections
            .config
            .deployment
            .index(&record.index)
            .is_none_or(|index| index.enabled)
    }

    /// What the files switch off does not hold the slot back; what they switch on again does,
    /// before it is fed.
    async fn let_go(
        &self,
        context: &Context,
        records: &[GenerationRecord],
    ) -> Result<(), Transient> {
        let sink = context.registry.sink_name();
        for record in records.iter().filter(|record| record.sink == sink) {
            let is_enabled = self.is_enabled(record);
            if announce_enabled(context, record, is_enabled).await? {
                tracing::info!(feed = %record.feed(), is_enabled, "whether the feed holds the slot back was announced");
            }
        }
        Ok(())
    }

    fn keep(&mut self, context: &Context, record: GenerationRecord, shutdown: &Shutdown) {
        let feed = record.feed();
        if let Some(keeper) = self.keepers.get(&feed) {
            keeper.send_if_modified(|known| {
                let is_news = *known != record;
                if is_news {
                    known.clone_from(&record);
                }
                is_news
            });
            return;
        }
        if record.state == State::Retired {
            return;
        }
        let kept = self.kept(context, &record);
        let (sender, receiver) = watch::channel(record);
        let turning = self.liveness.register(format!("keeper {feed}"));
        let keeper = Keeper::new(kept, receiver, turning);
        self.tasks
            .spawn(format!("keeper {feed}"), keeper.run(shutdown.clone()));
        self.keepers.insert(feed, sender);
    }

    fn kept(&self, context: &Context, record: &GenerationRecord) -> Kept {
        let deployment = &self.connections.config.deployment;
        let worker = &deployment.worker;
        let open_search = deployment
            .sink(&record.sink)
            .and_then(|sink| config::open_search(sink).ok());
        let index = deployment.index(&record.index);
        Kept {
            context: context.clone(),
            pool: self.connected.pool.clone(),
            board: self.board.clone(),
            metrics: self.metrics.clone(),
            chunks: self.chunks.clone(),
            limits: Limits {
                batch_max_changes: usize_of(worker.batch_max_changes),
                in_flight: usize_of(worker.in_flight),
                max_uncommitted: worker.max_uncommitted,
                freshness: worker.freshness,
            },
            build_limits: build::Limits {
                batch_bytes: usize_of(worker.batch_max_bytes.get()),
                fanout_threshold: usize_of(worker.fanout_threshold),
                statement_timeout: statement_timeout(worker.statement_timeout),
                lock_timeout: LOCK_TIMEOUT,
            },
            bounds: open_search.map_or(
                Bounds {
                    actions: 1000,
                    bytes: 10 << 20,
                },
                |sink| Bounds {
                    actions: usize_of(sink.batch_size),
                    bytes: usize_of(sink.max_bytes.get()),
                },
            ),
            most_requests: open_search.map_or(4, |sink| usize_of(sink.max_concurrent_requests)),
            on_error: index.map_or(OnError::Stop, |index| index.on_error),
            allow_stale_parents: deployment.source.allow_stale_parents,
            aliases: aliases(deployment, &record.index),
        }
    }

    /// The source that capture announced must be the accepted one.
    async fn check_source(&mut self, context: &Context) -> Done<()> {
        let Some(word) = context.control.view().epoch() else {
            return Ok(Ok(()));
        };
        let sink = context.registry.sink_name();
        if self.accepted.get(sink) == Some(&word.epoch) {
            return Ok(Ok(()));
        }
        let topic_prefix = context.topics.prefix();
        if let Err(definite) = context
            .registry
            .check_source(topic_prefix, word.source, now_us())
            .await?
        {
            return Ok(Err(definite));
        }
        self.accepted.insert(sink.to_owned(), word.epoch);
        Ok(Ok(()))
    }

    /// A lost or restored registry continues above the numbers in `{p}.control`.
    async fn raise_floor(&mut self, context: &Context) {
        let registry = &context.registry;
        let seen = context
            .control
            .view()
            .incarnation(registry.sink_name(), registry.index_prefix());
        let Some(seen) = seen else { return };
        if self
            .floors
            .get(registry.sink_name())
            .is_none_or(|floor| *floor < seen)
        {
            context.incarnations.raise_floor(seen).await;
            self.floors.insert(registry.sink_name().to_owned(), seen);
        }
    }

    /// Settings that the files changed since an index was made; each seeded generation once.
    async fn adjust(
        &mut self,
        context: &Context,
        seeded: &[GenerationRecord],
    ) -> Result<(), Transient> {
        let deployment = &self.connections.config.deployment;
        for record in seeded {
            let feed = record.feed();
            let (Some(index), Some(sink)) = (
                deployment.index(&record.index),
                deployment.sink(&record.sink),
            ) else {
                continue;
            };
            if self.adjusted.contains(&feed) {
                continue;
            }
            match adjust(context.registry.sink(), sink, index, record).await {
                Ok(changed) if changed.is_empty() => {}
                Ok(changed) => {
                    tracing::info!(%feed, changed = changed.join(", "), "index settings were changed in place");
                }
                Err(source) if source.is_transient() => {
                    return Err(Transient::Sink {
                        doing: "comparing the index settings",
                        source,
                    });
                }
                // Documents are right without them, so nothing stops.
                Err(refused) => {
                    tracing::warn!(%feed, reason = chain(&refused), "index settings are refused");
                }
            }
            self.adjusted.insert(feed);
        }
        Ok(())
    }

    /// First generations; changed definitions only when that was asked for.
    async fn ensure(&mut self, context: &Context) -> Done<()> {
        let config = &self.connections.config;
        let survey = match ensure::survey(config, std::slice::from_ref(&context.registry)).await? {
            Ok(survey) => survey,
            Err(definite) => return Ok(Err(definite)),
        };
        for planned in survey.planned {
            let name = format!("{}/{}", planned.sink, planned.index);
            let is_due = match &planned.change {
                Change::First => true,
                Change::Definition { of, .. } => {
                    if !config.auto_apply
                        && self
                            .told
                            .insert(name.clone(), planned.definition.clone())
                            .as_ref()
                            != Some(&planned.definition)
                    {
                        tracing::warn!(index = planned.index, sink = planned.sink, generation = %of, "the definition has changed: worker-svc apply makes a new generation");
                    }
                    config.auto_apply
                }
                Change::Underway(_) | Change::None(_) => false,
            };
            if !is_due {
                continue;
            }
            let session = self
                .connected
                .pool
                .get()
                .await
                .map_err(|error| Transient::Postgres {
                    doing: "connecting",
                    source: Box::new(error),
                })?;
            match ensure::begin(config, &context.registry, &session, &planned).await? {
                Ok(begun) => {
                    self.board.mended(&name);
                    tracing::info!(
                        index = planned.index,
                        sink = planned.sink,
                        ?begun,
                        "a generation begins"
                    );
                }
                // One index that does not fit must not keep the others waiting.
                Err(definite) => {
                    if self
                        .told
                        .insert(name.clone(), definite.to_string())
                        .as_ref()
                        != Some(&definite.to_string())
                    {
                        tracing::error!(index = planned.index, sink = planned.sink, reason = %definite, advice = definite.rule().advice, "no generation can be made");
                    }
                    self.board.trouble(&name, definite.to_string());
                }
            }
        }
        Ok(Ok(()))
    }
}

async fn stop_all(
    context: &Context,
    records: &[GenerationRecord],
    definite: &Definite,
) -> Result<(), Transient> {
    let stop = Stop::new(definite, now_us());
    for record in records {
        if record.state == State::Retired || record.control.stop.is_some() {
            continue;
        }
        let noted = context
            .registry
            .stop(&record.index, record.number, record.control.resumes, &stop)
            .await?;
        if let Err(error) = noted {
            tracing::error!(feed = %record.feed(), %error, "the reason cannot be noted");
        }
    }
    Ok(())
}

/// The age rule bounds how long a statement may take, whatever is configured.
fn statement_timeout(configured: Duration) -> Duration {
    let most = build::OLDEST_WRITE / 2;
    if configured.is_zero() {
        most
    } else {
        configured.min(most)
    }
}

/// Full names, the main one first.
pub(crate) fn aliases(deployment: &Deployment, index: &str) -> Vec<String> {
    let main = format!("{}{index}", deployment.prefix);
    let further = deployment
        .index(index)
        .map(|index| index.aliases.clone())
        .unwrap_or_default();
    std::iter::once(main).chain(further).collect()
}
