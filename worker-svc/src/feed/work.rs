//! One batch or chunk, from its changes to durable documents.
//! In: a [`Job`]. Out: [`Finish`]: its tickets may be finished; or why the feed ends.
//! Must hold: W1 (it ends well only when every document is durable in the sink or in the
//! dead-letter topic, or stands in `{p}.fanout`), W3, W4 as `build` says.
//! Must not: give up. What fails passingly is tried again until it works or the feed is
//! asked to stop; an outage of hours is waited out.

mod bisect;
mod cause;
mod replan;
mod share;
mod sizes;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use definition::deployment::OnError;
use model::{Change, Chunk, ChunkCause, RecordPosition, Stage, Violation, Work as ChunkWork};
use runtime::retry::{Backoff, Policy, Waited};
use runtime::shutdown::Shutdown;

use super::nulled::Nulled;
use super::refusals::Refusals;
use super::status::{Hindrance, Line};
use super::write::{Writer, Written};
use crate::assignment::Fence;
use crate::batch::Batch;
use crate::build::{Attempt, Blocks, Builder, Built, Gate, Request, Unseen, VisibleFrom};
use crate::dead_letter::{DeadLetters, Failure, Letter};
use crate::error::chain;
use crate::fanout::{Ends, Fanout};
use crate::metrics::FeedMetrics;
use crate::offsets::Ticket;
use crate::registry::Registry;
use crate::resolve::DocumentKey;
use crate::{Definite, Transient};
use bisect::{Bisected, Step};
use cause::cause_of;

/// Why a job did not end well.
#[derive(Debug)]
pub enum Halt {
    /// The feed was asked to stop. Its offsets stay; the records come again.
    Stopping,
    /// The feed stops with this reason.
    Definite(Definite),
}

impl From<Definite> for Halt {
    fn from(definite: Definite) -> Self {
        Halt::Definite(definite)
    }
}

impl From<Violation> for Halt {
    fn from(violation: Violation) -> Self {
        Halt::Definite(violation.into())
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Job {
    /// Changes.
    Live(Batch),
    /// A chunk.
    Chunk {
        /// It.
        chunk: Box<Chunk>,
        /// Its record.
        source: RecordPosition,
        /// Moves its offset.
        ticket: Ticket,
    },
}

/// A job that ended well.
#[derive(Debug)]
pub struct Finish {
    /// To be finished, or shared.
    pub tickets: Vec<Ticket>,
    /// Its documents stand in `{p}.fanout` up to here; the group builds them.
    pub shared: Option<Ends>,
    /// Rows of a seeding chunk, for the pace.
    pub seeded: u64,
}

/// What jobs work with; one per feed.
#[derive(Debug)]
pub struct Worker {
    /// Builds.
    pub builder: Builder,
    /// Writes.
    pub writer: Writer,
    /// Shares.
    pub fanout: Fanout,
    /// Records what cannot be written.
    pub letters: DeadLetters,
    /// What is done with a document that cannot be written.
    pub on_error: OnError,
    /// Counts refusals in a row.
    pub refusals: Refusals,
    /// Whose tickets still count.
    pub fence: Fence,
    /// Where a rewrite of the root table is noted.
    pub registry: Registry,
    /// The feed's metrics.
    pub metrics: FeedMetrics,
    /// The feed's stop.
    pub shutdown: Shutdown,
    /// Says that values became null.
    pub nulled: Nulled,
    /// Bytes of documents per block of the root table, as learned; 0 before the first.
    pub block_bytes: AtomicUsize,
}

/// A commit becomes visible within milliseconds, but for the few that wait for a standby.
const VISIBLE: Policy = Policy {
    first: Duration::from_millis(2),
    cap: Duration::from_secs(1),
};

/// One job under way.
struct Doing<'a> {
    worker: &'a Worker,
    job: &'a Job,
    gate: Gate,
    line: Line,
    backoff: Backoff,
    unseen: Backoff,
    shared: Option<Ends>,
    seeded: u64,
}

impl Worker {
    /// Does the job.
    ///
    /// # Errors
    /// The feed stops, or was asked to.
    pub async fn run(self: Arc<Self>, job: Job, line: Line) -> Result<Finish, Halt> {
        let mut doing = Doing {
            worker: &self,
            gate: gate(&job),
            job: &job,
            line,
            backoff: Backoff::default(),
            unseen: Backoff::new(VISIBLE),
            shared: None,
            seeded: 0,
        };
        doing.all(Step::of(&job)).await?;
        if doing.is_revoked() {
            // A reply after a revoke is not trusted: a delete may have been forgotten
            // before a late write came. Built once more, it is right again (design 6.7).
            self.metrics.dropped("revoked");
            doing.all(Step::of(&job)).await?;
        }
        let (shared, seeded) = (doing.shared.take(), doing.seeded);
        drop(doing);
        let tickets = match job {
            Job::Live(batch) => batch.tickets,
            Job::Chunk { ticket, .. } => vec![ticket],
        };
        Ok(Finish {
            tickets,
            shared,
            seeded,
        })
    }
}

/// What the job's snapshot has to see.
fn gate(job: &Job) -> Gate {
    match job {
        Job::Live(batch) => Gate {
            transactions: batch.transactions(),
            ..Gate::default()
        },
        Job::Chunk { chunk, .. } => {
            let meant = |xid| VisibleFrom {
                incarnation: chunk.incarnation,
                xid,
            };
            Gate {
                transactions: Vec::new(),
                cause: chunk.xid.map(meant),
                visible_from: chunk.visible_from.map(meant),
            }
        }
    }
}

impl Doing<'_> {
    fn is_revoked(&self) -> bool {
        let tickets = match self.job {
            Job::Live(batch) => batch.tickets.as_slice(),
            Job::Chunk { ticket, .. } => std::slice::from_ref(ticket),
        };
        let fence = self.worker.fence.lock();
        tickets.iter().any(|ticket| !ticket.counts(&fence))
    }

    /// Does steps until none is left. A step may be replaced by smaller ones.
    async fn all(&mut self, first: Vec<Step>) -> Result<(), Halt> {
        let mut steps = first;
        while let Some(step) = steps.pop() {
            let step = match self.worker.presplit(step) {
                Ok(step) => step,
                Err(smaller) => {
                    steps.extend(smaller);
                    continue;
                }
            };
            self.step(step, &mut steps).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: Step, steps: &mut Vec<Step>) -> Result<(), Halt> {
        let started = Instant::now();
        let attempt = match self.attempt(&step).await {
            Ok(attempt) => attempt?,
            Err(transient) => {
                self.trouble(&transient).await?;
                steps.push(step);
                return Ok(());
            }
        };
        match attempt {
            Attempt::Built { built, left } => {
                self.worker.metrics.built(started.elapsed());
                self.backoff.reset();
                self.unseen.reset();
                self.worker.learn_blocks(&step, built.bytes());
                if !left.is_empty() {
                    steps.push(step.rest(left));
                }
                let built = if step.is_check() {
                    built.deletes_only()
                } else {
                    built
                };
                self.written(&built, steps).await
            }
            Attempt::Unseen(unseen) => {
                self.not_seen(&unseen).await?;
                steps.push(step);
                Ok(())
            }
            Attempt::RunChanged => {
                self.worker.metrics.dropped("run_changed");
                self.pause().await?;
                steps.push(step);
                Ok(())
            }
            Attempt::TooMany => self.share(step, steps).await,
            Attempt::RowFault {
                sqlstate,
                message,
                keys,
            } => {
                if let Bisected::Found(unbuildable) = step.bisect(keys, steps) {
                    let failure = Failure {
                        stage: Stage::Build,
                        status: None,
                        error_type: sqlstate,
                        reason: message,
                    };
                    self.unbuildable(unbuildable, failure).await?;
                }
                Ok(())
            }
            Attempt::TooSlow { keys } => {
                self.worker.metrics.dropped("too_slow");
                step.halve(keys, steps, self.worker.builder.limits().statement_timeout)?;
                Ok(())
            }
            Attempt::TooLarge => {
                self.worker.learn_too_large(&step);
                step.halve_blocks(steps);
                Ok(())
            }
            Attempt::Replan { found } => self.replan(found).await,
        }
    }

    async fn attempt(&self, step: &Step) -> Result<Result<Attempt, Definite>, Transient> {
        let builder = &self.worker.builder;
        match (step, self.job) {
            (Step::Changes(range), Job::Live(batch)) => {
                let changes = changes(batch, range.clone());
                builder
                    .attempt(&Request::Changes(&changes), &self.gate)
                    .await
            }
            (Step::Keys { keys, .. }, _) => builder.attempt(&Request::Keys(keys), &self.gate).await,
            (
                Step::Blocks {
                    from,
                    to,
                    only_keys,
                },
                Job::Chunk { chunk, .. },
            ) => {
                let ChunkWork::Blocks {
                    table,
                    oid,
                    file_node,
                    ..
                } = &chunk.work
                else {
                    return Ok(Err(impossible()));
                };
                let deletes = chunk.cause != ChunkCause::Seed;
                let blocks = Blocks {
                    table,
                    oid: *oid,
                    file_node: *file_node,
                    from: *from,
                    to: *to,
                    deletes,
                };
                let request = if *only_keys {
                    Request::KeysOf(blocks)
                } else {
                    Request::Blocks(blocks)
                };
                builder.attempt(&request, &self.gate).await
            }
            (Step::Changes(_), Job::Chunk { .. }) | (Step::Blocks { .. }, Job::Live(_)) => {
                Ok(Err(impossible()))
            }
        }
    }

    /// Writes what was built; what has to be built again becomes a step.
    async fn written(&mut self, built: &Built, steps: &mut Vec<Step>) -> Result<(), Halt> {
        self.worker.metrics.nulled(built.nulled());
        self.worker.nulled.note(&self.worker.letters.group, built);
        let written = self
            .worker
            .writer
            .write(built, &self.line, &self.worker.shutdown)
            .await?;
        if let Job::Chunk { chunk, .. } = self.job
            && chunk.cause == ChunkCause::Seed
        {
            self.seeded = self
                .seeded
                .saturating_add(u64::try_from(built.documents.len()).unwrap_or(0));
        }
        let Written {
            refused,
            mut again,
            check,
            higher,
            whole_request_refused,
        } = written;
        if let Some(reason) = whole_request_refused {
            return Err(Definite::RefusalRun {
                count: refused.len(),
                reason,
            }
            .into());
        }
        if refused.len() + again.len() + check.len() < built.documents.len() {
            self.worker.refusals.interrupted();
        }
        if let Some(incarnation) = higher {
            self.worker.builder.register_above(incarnation).await?;
        }
        for (place, refusal) in refused {
            let Some(document) = built.documents.get(place) else {
                continue;
            };
            let reason = refusal.without_values();
            self.worker.refusals.refused(&reason)?;
            if self.worker.on_error == OnError::Stop {
                return Err(Definite::Refused { reason }.into());
            }
            let (source, change) = cause_of(self.job, &document.key);
            let letter = Letter {
                id: &document.id,
                key: &document.key,
                document: built.body(document),
                failure: refusal.into(),
                source,
                change,
            };
            self.bury(&letter).await?;
        }
        if !check.is_empty() {
            steps.push(Step::check(check));
        }
        if !again.is_empty() {
            again.sort_unstable();
            again.dedup();
            steps.push(Step::keys(again));
            self.pause().await?;
        }
        Ok(())
    }

    /// A single row that fails in a transaction of its own, again and again.
    async fn unbuildable(
        &mut self,
        key: Option<DocumentKey>,
        failure: Failure,
    ) -> Result<(), Halt> {
        self.worker.metrics.documents("refused", 1);
        let Some(key) = key.filter(|_| self.worker.on_error != OnError::Stop) else {
            return Err(Definite::Unbuildable {
                sqlstate: failure.error_type,
            }
            .into());
        };
        self.worker.refusals.refused(&failure.error_type)?;
        let (source, change) = cause_of(self.job, &key.0);
        // The id is made in SQL from typed values, and there is no row to make it from.
        let id = key.0.join(":");
        let letter = Letter {
            id: &id,
            key: &key.0,
            document: None,
            failure,
            source,
            change,
        };
        self.bury(&letter).await
    }

    async fn bury(&mut self, letter: &Letter<'_>) -> Result<(), Halt> {
        loop {
            match self.worker.letters.record(letter).await {
                Ok(recorded) => {
                    recorded?;
                    self.worker.metrics.dead_letter();
                    return Ok(());
                }
                Err(transient) => self.trouble(&transient).await?,
            }
        }
    }

    /// Something failed that may work the next time.
    async fn trouble(&mut self, transient: &Transient) -> Result<(), Halt> {
        let hindrance = match transient {
            Transient::Waiting(_) | Transient::OldPrimary { .. } => {
                Hindrance::Waiting(transient.to_string())
            }
            Transient::Postgres { .. }
            | Transient::Kafka { .. }
            | Transient::Sink { .. }
            | Transient::Task(_) => Hindrance::Retrying(chain(transient)),
        };
        self.line.set(hindrance);
        self.worker.metrics.retried(match transient {
            Transient::Kafka { .. } => "kafka",
            Transient::Sink { .. } => "opensearch",
            Transient::Postgres { .. }
            | Transient::OldPrimary { .. }
            | Transient::Waiting(_)
            | Transient::Task(_) => "postgres",
        });
        self.pause().await
    }

    async fn not_seen(&mut self, unseen: &Unseen) -> Result<(), Halt> {
        self.worker.metrics.dropped("not_visible");
        self.line.set(Hindrance::Waiting(unseen.to_string()));
        match self.unseen.wait(&self.worker.shutdown, None).await {
            Waited::Elapsed => Ok(()),
            Waited::Stopping => Err(Halt::Stopping),
        }
    }

    async fn pause(&mut self) -> Result<(), Halt> {
        match self.backoff.wait(&self.worker.shutdown, None).await {
            Waited::Elapsed => Ok(()),
            Waited::Stopping => Err(Halt::Stopping),
        }
    }
}

fn changes(batch: &Batch, range: std::ops::Range<usize>) -> Vec<&Change> {
    batch
        .changes
        .get(range)
        .unwrap_or_default()
        .iter()
        .map(|sourced| &sourced.change)
        .collect()
}

fn impossible() -> Definite {
    Definite::Malformed(String::from("a step that its job does not have"))
}
