//! Keeps one generation as its record says: fed or not, and driven on.
//! In: the record, again and again. Out: a running feed, steps of the coordinator, a line
//! of `/status`; a stop in the registry when something definite came up.
//! Must hold: R2 (nothing is fed that does not fit the record), and that a feed which
//! stops takes no other with it.

mod start;

use std::time::{Duration, Instant};

use definition::deployment::OnError;
use model::Partition;
use runtime::http::Loop;
use runtime::postgres::Pool;
use runtime::retry::Backoff;
use runtime::shutdown::Shutdown;
use runtime::task::Task;
use tokio::sync::watch;

use crate::assignment::{Lane, Part};
use crate::build;
use crate::bulk::Bounds;
use crate::coordinate::{Context, Coordinator, now_us};
use crate::error::{Definite, Transient, chain};
use crate::feed::{self, ChunkSlots, FeedEnd, Limits, Report};
use crate::generation::Step;
use crate::http::{Board, FeedLine};
use crate::metrics::Metrics;
use crate::registry::{GenerationRecord, State, Stop};

/// Between two looks while nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// Between two steps while the generation goes on: what was announced takes that long to
/// come back through Kafka.
const STEP: Duration = Duration::from_millis(50);

/// How often the source fingerprint of a running feed is compared: DDL emits no changes.
const FINGERPRINT: Duration = Duration::from_secs(30);

/// What every keeper of a sink works with.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) context: Context,
    pub(super) pool: Pool,
    pub(super) board: Board,
    pub(super) metrics: Metrics,
    pub(super) chunks: ChunkSlots,
    pub(super) limits: Limits,
    pub(super) build_limits: build::Limits,
    pub(super) bounds: Bounds,
    pub(super) most_requests: usize,
    pub(super) on_error: OnError,
    pub(super) allow_stale_parents: bool,
    /// Full names, the main one first.
    pub(super) aliases: Vec<String>,
}

pub(super) struct Keeper {
    kept: Kept,
    record: watch::Receiver<GenerationRecord>,
    coordinator: Coordinator,
    running: Option<Running>,
    backoff: Backoff,
    retry_at: Instant,
    /// What hinders, while no feed runs that says so itself.
    /// The state that it means, and why.
    hindrance: Option<(&'static str, String)>,
    checked_at: Instant,
    /// The reason to stop that is not in the registry yet, and the resumes it rests on.
    unnoted: Option<(Stop, u64)>,
    /// Halted here, until it was resumed more often than this.
    halted_at: Option<u64>,
    /// The generation went on just now: the next step may be due at once.
    goes_on: bool,
    turning: Loop,
}

struct Running {
    task: Task<FeedEnd>,
    shutdown: Shutdown,
    report: watch::Receiver<Report>,
    seeding: watch::Sender<bool>,
    resumes: u64,
}

type Done<T> = Result<Result<T, Definite>, Transient>;

impl Keeper {
    pub(super) fn new(
        kept: Kept,
        record: watch::Receiver<GenerationRecord>,
        turning: Loop,
    ) -> Self {
        let (index, number) = {
            let record = record.borrow();
            (record.index.clone(), record.number)
        };
        let coordinator =
            Coordinator::new(kept.context.clone(), index, number, kept.aliases.clone());
        let now = Instant::now();
        Keeper {
            kept,
            record,
            coordinator,
            running: None,
            backoff: Backoff::default(),
            retry_at: now,
            hindrance: None,
            checked_at: now,
            unnoted: None,
            halted_at: None,
            goes_on: false,
            turning,
        }
    }

    /// Runs until stop is asked for.
    ///
    /// 1 stop          the feed drains
    /// 2 the feed ends its reason is noted
    /// 3 a new record, or time
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        loop {
            self.turning.turn();
            self.turn().await;
            let pause = if self.goes_on { STEP } else { LOOK };
            tokio::select! { biased;
                () = shutdown.requested() => break,
                end = ended(&mut self.running) => self.feed_ended(end).await,
                _changed = self.record.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.stop_feed().await;
        let feed = self.record.borrow().feed();
        self.kept.board.forget(&feed);
    }

    async fn turn(&mut self) {
        let record = self.newest().await;
        let result = self.keep(&record).await;
        match result {
            Ok(Ok(())) => {
                self.hindrance = None;
                self.backoff.reset();
            }
            Ok(Err(definite)) => self.halt(&record, &definite).await,
            Err(transient) => self.hindered(&transient),
        }
        self.show(&record);
    }

    /// The supervisor's copy of the record, or, right after a step, the registry's.
    async fn newest(&mut self) -> GenerationRecord {
        let record = self.record.borrow_and_update().clone();
        if !std::mem::take(&mut self.goes_on) {
            return record;
        }
        let id = GenerationRecord::id_of(&record.index, record.number);
        match self
            .kept
            .context
            .registry
            .get::<GenerationRecord>(&id)
            .await
        {
            Ok(Ok(Some(entry))) => entry.record,
            // The supervisor meets the same trouble, and says so.
            Ok(Ok(None) | Err(_)) | Err(_) => record,
        }
    }

    fn hindered(&mut self, error: &Transient) {
        let reason = chain(error);
        let feed = self.record.borrow().feed();
        let state = match error {
            Transient::Waiting(_) | Transient::OldPrimary { .. } => "waiting",
            Transient::Postgres { .. }
            | Transient::Kafka { .. }
            | Transient::Sink { .. }
            | Transient::Task(_) => "retrying",
        };
        if self.hindrance.as_ref().map(|(_, known)| known) != Some(&reason) {
            tracing::warn!(%feed, reason, "the generation waits");
        }
        self.hindrance = Some((state, reason));
        self.retry_at = Instant::now() + self.backoff.next_delay(None);
    }

    async fn keep(&mut self, record: &GenerationRecord) -> Done<()> {
        if let Some((stop, resumes)) = self.unnoted.clone() {
            self.write_stop(&stop, resumes).await?;
        }
        // What was halted here does not start again on a record from before the stop.
        let was_halted = self
            .halted_at
            .is_some_and(|resumes| resumes >= record.control.resumes);
        let is_halted = record.control.paused || record.control.stop.is_some() || was_halted;
        let has_positions = record.birth.as_ref().is_some_and(|birth| birth.committed);
        let is_wanted = record.state.is_fed() && has_positions && !is_halted;
        if !is_wanted {
            self.stop_feed().await;
        }
        if Instant::now() < self.retry_at {
            return Ok(Ok(()));
        }
        if is_wanted && self.running.is_none() {
            match self.start_feed(record).await? {
                Ok(running) => self.running = Some(running),
                Err(definite) => return Ok(Err(definite)),
            }
        }
        if let Some(running) = &self.running {
            running.seeding.send_if_modified(|seeding| {
                let now = record.state == State::Building && record.seeded_at_us.is_none();
                std::mem::replace(seeding, now) != now
            });
        }
        if !was_halted && self.drives(record) {
            return self.drive(record).await;
        }
        Ok(Ok(()))
    }

    /// The owner of partition 0 of `changes`; anybody while nobody consumes.
    fn drives(&self, record: &GenerationRecord) -> bool {
        let first = Part::new(Lane::Changes, Partition::new(0));
        match &self.running {
            Some(running) => running.report.borrow().held.contains(&first),
            None => record.state == State::Planned,
        }
    }

    async fn drive(&mut self, record: &GenerationRecord) -> Done<()> {
        if record.state.is_fed() && self.checked_at.elapsed() > FINGERPRINT {
            self.checked_at = Instant::now();
            if let Err(definite) = self.compile(record).await? {
                return Ok(Err(definite));
            }
        }
        match self.coordinator.step().await? {
            Ok(step) => self.stepped(&step),
            Err(definite) => return Ok(Err(definite)),
        }
        Ok(Ok(()))
    }

    fn stepped(&mut self, step: &Step) {
        match step {
            Step::AwaitCapture(what) => {
                let what = if what.is_empty() {
                    String::from("its answer")
                } else {
                    what.join("; ")
                };
                self.hindrance = Some(("waiting", format!("waiting for capture-svc: {what}")));
            }
            Step::IndexMissing => {
                self.hindrance = Some(("waiting", String::from("the index is missing")));
            }
            Step::Watch { .. } | Step::Halted | Step::Rest => {}
            Step::MakeIndex
            | Step::IndexTaken
            | Step::Announce
            | Step::TakePositions(_)
            | Step::CommitPositions
            | Step::BeginBuilding
            | Step::TakeVisibleFrom
            | Step::MakePlan
            | Step::WritePlan
            | Step::Finish
            | Step::EndScan => {
                self.goes_on = true;
                let feed = self.record.borrow().feed();
                tracing::info!(%feed, ?step, "the generation went on");
            }
        }
    }

    async fn stop_feed(&mut self) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        running.shutdown.trigger();
        match running.task.join().await {
            Ok(FeedEnd::Stopped(definite)) => self.note(&definite, running.resumes).await,
            Ok(FeedEnd::Drained | FeedEnd::Broken(_)) => {}
            Err(error) => tracing::error!(error = %chain(&error), "a feed ended by a bug"),
        }
    }

    async fn feed_ended(&mut self, end: Result<FeedEnd, runtime::task::TaskError>) {
        let Some(running) = self.running.take() else {
            return;
        };
        match end {
            Ok(FeedEnd::Drained) => {}
            Ok(FeedEnd::Stopped(definite)) => self.note(&definite, running.resumes).await,
            Ok(FeedEnd::Broken(transient)) => self.hindered(&transient),
            Err(error) => self.hindered(&error.into()),
        }
    }

    async fn halt(&mut self, record: &GenerationRecord, definite: &Definite) {
        if self.halted_at != Some(record.control.resumes) {
            let rule = definite.rule();
            tracing::error!(feed = %record.feed(), code = rule.code, reason = %definite, advice = rule.advice, "the generation stops");
        }
        self.note(definite, record.control.resumes).await;
        self.stop_feed().await;
    }

    /// The reason goes to the registry, where everybody sees it; tried again until it
    /// is there. Whoever found it has logged it.
    async fn note(&mut self, definite: &Definite, resumes: u64) {
        if self.halted_at == Some(resumes) {
            return;
        }
        self.halted_at = Some(resumes);
        let stop = Stop::new(definite, now_us());
        self.unnoted = Some((stop.clone(), resumes));
        if let Err(error) = self.write_stop(&stop, resumes).await {
            self.hindered(&error);
        }
    }

    async fn write_stop(&mut self, stop: &Stop, resumes: u64) -> Result<(), Transient> {
        let (index, number) = {
            let record = self.record.borrow();
            (record.index.clone(), record.number)
        };
        let written = self
            .kept
            .context
            .registry
            .stop(&index, number, resumes, stop)
            .await?;
        self.unnoted = None;
        if let Err(error) = written {
            tracing::error!(index, %number, %error, "the reason cannot be noted");
        }
        Ok(())
    }

    fn show(&self, record: &GenerationRecord) {
        let metrics = self.kept.metrics.feed(&record.feed());
        metrics.seeded(record.seeded_percent);
        let mut line = FeedLine {
            seeded_percent: record.seeded_percent,
            dead_letters: metrics.dead_letters_so_far(),
            ..FeedLine::default()
        };
        (line.state, line.reason) = self.state(record);
        if let Some(running) = &self.running {
            let report = running.report.borrow();
            line.lag_records = report.lag.records;
            line.lag_bytes = report.lag.bytes;
            line.delay_seconds = report.lag.delay.map(|delay| delay.as_secs_f64());
            line.watermark_lsn = report.lag.watermark.map(|lsn| lsn.to_string());
        }
        self.kept.board.feed(&record.feed(), line);
    }

    fn state(&self, record: &GenerationRecord) -> (&'static str, Option<String>) {
        if let Some(stop) = &record.control.stop {
            return ("stopped", Some(stop.reason.clone()));
        }
        if record.control.paused {
            return ("paused", None);
        }
        if let Some((stop, _)) = &self.unnoted {
            return ("stopped", Some(stop.reason.clone()));
        }
        if let Some((state, reason)) = &self.hindrance {
            return (state, Some(reason.clone()));
        }
        match &self.running {
            None => (
                "waiting",
                Some(format!("the generation is {}", record.state.word())),
            ),
            Some(running) => {
                let report = running.report.borrow();
                (
                    report.state.map_or("catching_up", feed::FeedState::word),
                    report.reason.clone(),
                )
            }
        }
    }
}

/// Ends when the running feed does; never without one. Cancel-safe.
async fn ended(running: &mut Option<Running>) -> Result<FeedEnd, runtime::task::TaskError> {
    match running {
        Some(running) => running.task.join().await,
        None => std::future::pending().await,
    }
}
