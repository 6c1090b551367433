//! The loop of one feed.
//! In: its consumer, what its jobs work with. Out: documents in the index, offsets in the
//! group, a report; and at the end, why it ended.
//! Must hold: W1 (a ticket is finished only when its job ended well), and that one broken
//! feed never affects another: every feed has its own loop, consumer and limits.
//! Must not: write to the registry or decide about generations; whoever runs it does.
//!
//! ```text
//!  inbox ─▶ batch ─┐                          ┌─▶ finished ─▶ offsets ─▶ orders ─▶ commit
//!  inbox ─▶ chunk ─┴─▶ [in_flight jobs] work ─┤
//!                                             └─▶ shared ─▶ waits for the group's offsets
//! ```

mod broker;
mod nulled;
mod refusals;
mod report;
mod room;
mod slots;
mod status;
mod take;
mod work;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use model::{FeedId, Offset, Partition, Schemas, Topics};
use runtime::shutdown::Shutdown;
use tokio::sync::watch;

pub use broker::{Broker, KafkaBroker};
pub use nulled::Nulled;
pub use refusals::Refusals;
pub use report::Report;
pub use slots::{ChunkSlots, Limits};
pub use status::{FeedState, Hindrance, Line, Status};
pub use work::{Finish, Halt, Job, Worker};
pub use write::{Writer, Written};

use crate::assignment::{Lane, Part};
use crate::batch::Scope;
use crate::consume::{Consuming, Trouble};
use crate::freshness::Freshness;
use crate::metrics::FeedMetrics;
use crate::offsets::Progress;
use crate::{Definite, Transient};
use slots::{Kind, Slots};

/// What a feed is made of.
#[derive(Debug)]
pub struct Parts {
    /// Its name.
    pub id: FeedId,
    /// The deployment's topics.
    pub topics: Topics,
    /// What it follows.
    pub scope: Scope,
    /// What its jobs work with.
    pub worker: Arc<Worker>,
    /// The edge to Kafka.
    pub broker: Arc<dyn Broker>,
    /// How records are read.
    pub schemas: Arc<Schemas>,
    /// Its bounds.
    pub limits: Limits,
    /// The process's chunk slots.
    pub chunks: ChunkSlots,
    /// Whether its generation is still being seeded, as its coordinator says.
    pub seeding: watch::Receiver<bool>,
    /// Where it reports.
    pub report: watch::Sender<Report>,
    /// Its metrics.
    pub metrics: FeedMetrics,
    /// Its stop.
    pub shutdown: Shutdown,
}

/// How a feed ended.
#[derive(Debug)]
pub enum FeedEnd {
    /// It was asked to stop, and all that was done is committed.
    Drained,
    /// It cannot go on: the reason goes to the registry.
    Stopped(Definite),
    /// Its consumer is of no use any more: make a new one.
    Broken(Transient),
}

/// Work in flight is finished within this time when the feed is asked to stop; below
/// Kafka's session time-out, so that the group does not lose it first.
const DRAIN: Duration = Duration::from_secs(20);
/// For the last commit and for leaving the group; with [`DRAIN`] below 30 s.
const LEAVE: Duration = Duration::from_secs(8);
/// How often the loop looks after offsets and report.
const TICK: Duration = Duration::from_millis(100);
/// Positions that only heartbeats moved are committed this often.
const IDLE_COMMIT: Duration = Duration::from_secs(1);
/// How often Kafka is asked for the group's offsets (while splits wait) or topic ends.
const ASK: Duration = Duration::from_secs(1);

type Running = FuturesUnordered<BoxFuture<'static, (Kind, Result<Finish, Halt>)>>;
type Asked = (Question, Result<BTreeMap<Partition, Offset>, Transient>);

/// What Kafka is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// The group's offsets of `{p}.fanout`.
    Passed,
    /// The ends of `{p}.changes`.
    Ends,
}

/// A running feed.
pub struct Feed {
    parts: Parts,
    consuming: Consuming,
    status: Status,
    progress: Progress,
    freshness: Freshness,
    slots: Slots,
    running: Running,
    asking: Option<BoxFuture<'static, Asked>>,
    asked_at: Instant,
    next_question: Question,
    committed_at: Instant,
    /// Jobs ended since the last commit.
    finished: u64,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed")
            .field("id", &self.parts.id)
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// A feed that consumes through `consuming`.
    #[must_use]
    pub fn new(parts: Parts, consuming: Consuming) -> Self {
        let now = Instant::now();
        Feed {
            slots: Slots::new(parts.limits.in_flight),
            parts,
            consuming,
            status: Status::new(),
            progress: Progress::new(),
            freshness: Freshness::new(),
            running: FuturesUnordered::new(),
            asking: None,
            asked_at: now,
            next_question: Question::Ends,
            committed_at: now,
            finished: 0,
        }
    }

    /// Runs until it is asked to stop, or cannot go on.
    ///
    /// 1 stop           nothing new starts after it
    /// 2 a job ended    frees a slot and moves offsets
    /// 3 an answer      frees splits; cheap
    /// 4 time           commits, holds back, reports
    /// 5 arrivals       only looked at when there is a slot: this is the backpressure
    pub async fn run(mut self) -> FeedEnd {
        let shutdown = self.parts.shutdown.clone();
        let inbox = Arc::clone(self.consuming.inbox());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Each branch future is cancel-safe: streams, a kept future, notifications.
        loop {
            let turn = tokio::select! { biased;
                () = shutdown.requested() => return self.drain().await,
                Some((kind, ended)) = self.running.next() => self.job_ended(kind, ended),
                answer = answer(&mut self.asking) => { self.answered(answer); Ok(()) }
                _ = tick.tick() => { self.look_after(); Ok(()) }
                () = inbox.changed() => Ok(()),
            };
            let turn = match turn {
                Ok(()) => self.news().and_then(|()| self.start_jobs()),
                Err(end) => Err(end),
            };
            if let Err(end) = turn {
                return self.end(end).await;
            }
        }
    }

    fn job_ended(&mut self, kind: Kind, ended: Result<Finish, Halt>) -> Result<(), FeedEnd> {
        self.slots.left(&kind);
        drop(kind);
        self.finished = self.finished.saturating_add(1);
        let finish = match ended {
            Ok(finish) => finish,
            Err(Halt::Definite(definite)) => return Err(FeedEnd::Stopped(definite)),
            // Only after stop was asked for, which comes first in the loop.
            Err(Halt::Stopping) => return Ok(()),
        };
        self.parts.chunks.seeded(finish.seeded);
        for ticket in finish.tickets {
            let counted = match &finish.shared {
                Some(ends) => self.progress.share(ticket, ends.clone()),
                None => self.progress.finish(ticket),
            };
            counted.map_err(|violation| self.violated(violation))?;
        }
        Ok(())
    }

    fn violated(&self, violation: model::Violation) -> FeedEnd {
        self.parts.metrics.violated(&violation);
        tracing::error!(feed = %self.parts.id, %violation, "a guarantee would have been broken");
        FeedEnd::Stopped(violation.into())
    }

    fn news(&mut self) -> Result<(), FeedEnd> {
        let news = self.consuming.inbox().news();
        for part in news.revoked {
            self.progress.revoked(part);
        }
        for (part, assigned) in news.assigned {
            let Some(committed) = assigned.committed else {
                let (topic, partition) = (part.lane.topic(&self.parts.topics), part.partition);
                return Err(FeedEnd::Stopped(Definite::PositionLost {
                    topic,
                    partition,
                }));
            };
            self.progress
                .assigned(part, assigned.number, committed, assigned.metadata.as_ref());
            tracing::info!(feed = %self.parts.id, %part, %committed, "partition assigned");
        }
        if let Some(reason) = news.commit_failed {
            tracing::warn!(feed = %self.parts.id, reason, "a commit failed; it is repeated");
            self.progress.commit_failed();
        }
        match news.trouble {
            None => Ok(()),
            Some(Trouble::Waiting(reason)) => {
                self.status.consumer(Hindrance::Retrying(reason));
                Ok(())
            }
            Some(Trouble::Broken(reason)) => Err(FeedEnd::Broken(Transient::Waiting(reason))),
            Some(Trouble::OutOfRange {
                part,
                committed,
                low,
                high,
            }) => {
                let (topic, partition) = (part.lane.topic(&self.parts.topics), part.partition);
                let gone = Definite::OffsetsGone {
                    topic,
                    partition,
                    committed,
                    low,
                    high,
                };
                Err(FeedEnd::Stopped(gone))
            }
        }
    }

    /// Starts as many jobs as there are slots for.
    fn start_jobs(&mut self) -> Result<(), FeedEnd> {
        loop {
            let inbox = self.consuming.inbox();
            let chunks_wait = inbox.has(Lane::Fanout) || inbox.has(Lane::Backfill);
            let has_room = Slots::splits_allow(self.progress.splits());
            if has_room && self.slots.takes_live(chunks_wait) && inbox.has(Lane::Changes) {
                if self.start_batch()? {
                    continue;
                }
                // Only positions moved, or a record waits for its schema.
                if !self.consuming.inbox().has(Lane::Changes) {
                    continue;
                }
            }
            if chunks_wait && self.slots.takes_chunk() && self.start_chunk()? {
                continue;
            }
            return Ok(());
        }
    }

    fn run_job(&mut self, kind: Kind, job: Job) {
        self.slots.entered(&kind);
        let work = Arc::clone(&self.parts.worker).run(job, self.status.line());
        self.running
            .push(work.map(move |ended| (kind, ended)).boxed());
    }

    fn look_after(&mut self) {
        let now = Instant::now();
        let is_due = self.finished > 0 || now.duration_since(self.committed_at) >= IDLE_COMMIT;
        if is_due {
            self.commit();
        }
        let most = self.parts.limits.max_uncommitted;
        let over: BTreeSet<Part> = self
            .progress
            .parts()
            .filter(|part| self.progress.uncommitted(*part) >= most)
            .collect();
        self.consuming.inbox().order_hold_back(over);
        if self.asking.is_none() && now.duration_since(self.asked_at) >= ASK {
            self.ask();
        }
        self.report(now);
    }

    fn commit(&mut self) {
        self.finished = 0;
        self.committed_at = Instant::now();
        let commits = self.progress.take_commits();
        if !commits.is_empty() {
            self.consuming.inbox().order_commits(commits);
        }
    }

    fn ask(&mut self) {
        self.asked_at = Instant::now();
        let question = self.next_question;
        self.next_question = match question {
            Question::Ends if self.progress.splits() > 0 => Question::Passed,
            Question::Ends | Question::Passed => Question::Ends,
        };
        let broker = Arc::clone(&self.parts.broker);
        let topics = self.parts.topics.clone();
        let held: Vec<Partition> = self
            .progress
            .parts()
            .filter(|part| part.lane == Lane::Changes)
            .map(|part| part.partition)
            .collect();
        self.asking = Some(
            async move {
                let answer = match question {
                    Question::Passed => broker.group_committed(&topics.fanout()).await,
                    Question::Ends => broker.ends(&topics.changes(), &held).await,
                };
                (question, answer)
            }
            .boxed(),
        );
    }

    fn answered(&mut self, (question, answer): Asked) {
        match (question, answer) {
            (Question::Passed, Ok(committed)) => {
                self.progress.group_passed(&committed);
                self.finished = self.finished.saturating_add(1);
            }
            (Question::Ends, Ok(ends)) => {
                let stands: BTreeMap<_, _> = self
                    .progress
                    .parts()
                    .filter(|part| part.lane == Lane::Changes)
                    .filter_map(|part| Some((part.partition, self.progress.offset(part)?)))
                    .collect();
                // Without partitions there is nothing to say.
                if !stands.is_empty() {
                    self.freshness.ends(&ends, &stands);
                }
            }
            (_, Err(error)) => {
                tracing::debug!(feed = %self.parts.id, error = %crate::error::chain(&error), "Kafka did not answer");
            }
        }
    }

    /// Stop was asked for: intake off, work in flight finished, offsets committed.
    async fn drain(mut self) -> FeedEnd {
        self.consuming.begin_drain();
        let deadline = tokio::time::sleep(DRAIN);
        tokio::pin!(deadline);
        while !self.running.is_empty() {
            tokio::select! { biased;
                () = &mut deadline => {
                    tracing::warn!(feed = %self.parts.id, jobs = self.running.len(), "jobs were dropped at the deadline");
                    break;
                }
                Some((kind, ended)) = self.running.next() => {
                    if let Err(end) = self.job_ended(kind, ended) {
                        return self.end(end).await;
                    }
                }
            }
        }
        self.end(FeedEnd::Drained).await
    }

    /// Commits what is done and leaves the group. Jobs still under way are dropped: their
    /// records come again.
    async fn end(mut self, end: FeedEnd) -> FeedEnd {
        self.commit();
        if let FeedEnd::Stopped(reason) = &end {
            let rule = reason.rule();
            tracing::error!(feed = %self.parts.id, code = rule.code, %reason, advice = rule.advice, "the feed stops");
        }
        match tokio::time::timeout(LEAVE, self.consuming.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(feed = %self.parts.id, error = %crate::error::chain(&error), "the consumer's thread did not end well");
            }
            Err(_) => {
                tracing::warn!(feed = %self.parts.id, "Kafka did not answer; the group gives the partitions away by itself");
            }
        }
        end
    }
}

/// Never, while nothing is being asked. Cancel-safe: the question stays.
async fn answer(asking: &mut Option<BoxFuture<'static, Asked>>) -> Asked {
    let answer = match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    };
    *asking = None;
    answer
}
