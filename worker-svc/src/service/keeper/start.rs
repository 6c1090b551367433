//! A feed put together from what a generation's record says.
//! In: the record, the database's catalog. Out: a running feed, or why it may not start.
//! Must hold: R2, so nothing starts that was not served from where it stands on, and nothing whose
//! tables are no longer those that the record was made for.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use model::Framing;
use runtime::shutdown::Shutdown;
use runtime::task::spawn;
use tokio::sync::watch;

use super::{Done, Keeper, Running};
use crate::batch::Scope;
use crate::build::{self, Announcer, Builder};
use crate::compiled;
use crate::consume::{Consuming, Interest};
use crate::coordinate::positions::{Places, lowest};
use crate::dead_letter::DeadLetters;
use crate::error::{Definite, Transient};
use crate::fanout::Fanout;
use crate::feed::{self, Feed, KafkaBroker, Nulled, Refusals, Report, Worker, Writer};
use crate::generation::may_resume;
use crate::registry::{GenerationRecord, State};

impl Keeper {
    pub(super) async fn compile(&self, record: &GenerationRecord) -> Done<compiled::Compiled> {
        let definition = match compiled::of_record(
            &GenerationRecord::id_of(&record.index, record.number),
            &record.definition,
        ) {
            Ok(definition) => definition,
            Err(definite) => return Ok(Err(definite)),
        };
        let session = self
            .kept
            .pool
            .get()
            .await
            .map_err(|error| Transient::Postgres {
                doing: "connecting",
                source: Box::new(error),
            })?;
        let compiled = match compiled::read(&session, &definition).await? {
            Ok(compiled) => compiled,
            Err(definite) => return Ok(Err(definite)),
        };
        let is = &compiled.index.source_fingerprint;
        if *is != record.source_fingerprint {
            return Ok(Err(Definite::FingerprintChanged {
                was: record.source_fingerprint.clone(),
                is: is.clone(),
            }));
        }
        Ok(Ok(compiled))
    }

    pub(super) async fn start_feed(&mut self, record: &GenerationRecord) -> Done<Running> {
        let compiled = match self.compile(record).await? {
            Ok(compiled) => compiled,
            Err(definite) => return Ok(Err(definite)),
        };
        if let Err(definite) = self.may_resume(record).await? {
            return Ok(Err(definite));
        }
        let Some(birth) = &record.birth else {
            return Err(Transient::Waiting(String::from("the first positions")));
        };
        let context = &self.kept.context;
        let scope = Scope {
            tables: compiled.index.tables.clone(),
            epoch: birth.epoch,
            allow_stale_parents: self.kept.allow_stale_parents,
        };
        let interest = Interest {
            group: record.group.clone(),
            tables: scope.key_texts(),
        };
        let consuming = Consuming::start(&context.kafka, &context.topics, interest)?;
        let broker: Arc<dyn feed::Broker> =
            Arc::new(KafkaBroker::new(&context.kafka, &record.group)?);
        let shutdown = Shutdown::new();
        let (report_to, report) = watch::channel(Report::default());
        let (seeding, is_seeding) = watch::channel(record.state == State::Building);
        let worker = self.worker(
            record,
            &compiled,
            &consuming,
            Arc::clone(&broker),
            &shutdown,
        );
        let parts = feed::Parts {
            id: record.feed(),
            topics: context.topics.clone(),
            scope,
            worker: Arc::new(worker),
            broker,
            schemas: Arc::clone(context.control.schemas()),
            limits: self.kept.limits,
            chunks: self.kept.chunks.clone(),
            seeding: is_seeding,
            report: report_to,
            metrics: self.kept.metrics.feed(&record.feed()),
            shutdown: shutdown.clone(),
        };
        let name = format!("feed {}", record.feed());
        let task = spawn(name, Feed::new(parts, consuming).run());
        tracing::info!(feed = %record.feed(), group = record.group, "the feed starts");
        Ok(Ok(Running {
            task,
            shutdown,
            report,
            seeding,
            resumes: record.control.resumes,
        }))
    }

    fn worker(
        &self,
        record: &GenerationRecord,
        compiled: &compiled::Compiled,
        consuming: &Consuming,
        broker: Arc<dyn feed::Broker>,
        shutdown: &Shutdown,
    ) -> Worker {
        let context = &self.kept.context;
        let metrics = self.kept.metrics.feed(&record.feed());
        let schemas = context.control.schemas();
        Worker {
            builder: Builder::new(build::Parts {
                pool: self.kept.pool.clone(),
                paths: compiled.paths(),
                statements: compiled.statements(),
                limits: self.kept.build_limits,
                incarnations: Arc::clone(&context.incarnations),
                announce: Arc::new(Announcer {
                    control: context.control.clone(),
                    sink: context.registry.sink_name().to_owned(),
                    index_prefix: context.registry.index_prefix().to_owned(),
                }),
                control: context.control.watch(),
            }),
            writer: Writer::new(
                context.registry.sink().clone(),
                record.index_name.clone(),
                record.pipeline.clone(),
                self.kept.bounds,
                self.kept.most_requests,
                metrics.clone(),
            ),
            fanout: Fanout {
                broker: Arc::clone(&broker),
                topics: context.topics.clone(),
                schemas: Arc::clone(schemas),
                framing: Framing::SingleObject,
                feed: record.feed(),
                group: record.group.clone(),
            },
            letters: DeadLetters {
                broker,
                topics: context.topics.clone(),
                schemas: Arc::clone(schemas),
                framing: Framing::SingleObject,
                feed: record.feed(),
                group: record.group.clone(),
            },
            on_error: self.kept.on_error,
            refusals: Refusals::new(),
            fence: consuming.fence().clone(),
            registry: context.registry.clone(),
            metrics,
            shutdown: shutdown.clone(),
            nulled: Nulled::new(),
            block_bytes: AtomicUsize::new(0),
        }
    }

    /// Capture must have served the feed from where it stands on (R2).
    async fn may_resume(&self, record: &GenerationRecord) -> Done<()> {
        let context = &self.kept.context;
        let Some(served) = context.control.view().served_since(&record.group) else {
            return Err(Transient::Waiting(String::from(
                "capture-svc to serve the feed",
            )));
        };
        let places = Places::new(&context.kafka, &record.group)?;
        let committed = places.committed(&context.topics.changes()).await?;
        // Lost or expired positions are the consumer's to notice.
        let Some(stands) = lowest(&committed) else {
            return Ok(Ok(()));
        };
        if may_resume(stands, served) {
            return Ok(Ok(()));
        }
        Ok(Err(Definite::NotServed {
            stands: stands.1,
            since: served.1,
        }))
    }
}
