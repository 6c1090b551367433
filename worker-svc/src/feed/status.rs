//! What a feed is doing, for people.
//! In: phases from the loop, hindrances from batches under way. Out: one state with its
//! reason. Must not: carry row values.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The states of `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedState {
    /// Chunks of its plan are being built.
    Seeding,
    /// Behind by more than `freshness`.
    CatchingUp,
    /// Not behind.
    Live,
    /// Something failed and is tried again.
    Retrying,
    /// It waits for an index that is missing, closed or blocked, for a commit to become
    /// visible, or for capture.
    Waiting,
    /// A person halted it.
    Paused,
    /// It halted itself.
    Stopped,
}

impl FeedState {
    /// All words, for the metric.
    pub const WORDS: [&'static str; 7] = [
        "seeding",
        "catching_up",
        "live",
        "retrying",
        "waiting",
        "paused",
        "stopped",
    ];

    /// Its word in status and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            FeedState::Seeding => "seeding",
            FeedState::CatchingUp => "catching_up",
            FeedState::Live => "live",
            FeedState::Retrying => "retrying",
            FeedState::Waiting => "waiting",
            FeedState::Paused => "paused",
            FeedState::Stopped => "stopped",
        }
    }
}

/// What hinders a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hindrance {
    /// A failure, tried again.
    Retrying(String),
    /// Something that has to come first.
    Waiting(String),
}

#[derive(Debug, Default)]
struct Inner {
    hindrances: BTreeMap<u64, (Hindrance, Instant)>,
    consumer: Option<(Hindrance, Instant)>,
    next: u64,
}

/// The hindrances of one feed's parts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Status {
    inner: Arc<Mutex<Inner>>,
}

/// A hindrance this short is no news: a commit becomes visible within milliseconds.
const NOTICED: Duration = Duration::from_secs(1);
/// What Kafka's client says about its connections counts for so long.
const CONSUMER: Duration = Duration::from_secs(10);

impl Status {
    /// Nothing hinders.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A batch's own line; it is gone when the batch is.
    #[must_use]
    pub fn line(&self) -> Line {
        let mut inner = self.lock();
        inner.next = inner.next.wrapping_add(1);
        Line {
            status: self.clone(),
            number: inner.next,
        }
    }

    /// What the consumer waits for.
    pub fn consumer(&self, hindrance: Hindrance) {
        self.lock().consumer = Some((hindrance, Instant::now()));
    }

    /// What hinders the feed, the longest first.
    #[must_use]
    pub fn hindrance(&self, now: Instant) -> Option<Hindrance> {
        let inner = self.lock();
        let noticed = inner
            .hindrances
            .values()
            .filter(|(_, since)| now.saturating_duration_since(*since) >= NOTICED)
            .min_by_key(|(_, since)| *since)
            .map(|(hindrance, _)| hindrance.clone());
        let consumer = inner
            .consumer
            .as_ref()
            .filter(|(_, at)| now.saturating_duration_since(*at) < CONSUMER)
            .map(|(hindrance, _)| hindrance.clone());
        noticed.or(consumer)
    }
}

/// One batch's line in the status.
#[derive(Debug)]
pub struct Line {
    status: Status,
    number: u64,
}

impl Line {
    /// Something hinders the batch. Logged when it is new.
    pub fn set(&self, hindrance: Hindrance) {
        let mut inner = self.status.lock();
        let since = inner
            .hindrances
            .get(&self.number)
            .map_or_else(Instant::now, |(_, since)| *since);
        let before = inner
            .hindrances
            .insert(self.number, (hindrance.clone(), since));
        drop(inner);
        if before.as_ref().map(|(hindrance, _)| hindrance) != Some(&hindrance) {
            match hindrance {
                Hindrance::Retrying(reason) => tracing::warn!(reason, "a batch is tried again"),
                Hindrance::Waiting(reason) => tracing::info!(reason, "a batch waits"),
            }
        }
    }

    /// It goes on.
    pub fn clear(&self) {
        self.status.lock().hindrances.remove(&self.number);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}
