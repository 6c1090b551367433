//! What the consumer's thread and its feed hand each other, under one lock.
//! In: arrivals and news from the thread, orders from the feed. Out: the other way round.
//! Must hold: every queue has a bound; maps are bounded by the number of partitions.
//! Must not: know Kafka. Why no channel: a revoke takes its partition's records out again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Offset, OffsetMetadata, OffsetRange};
use tokio::sync::Notify;

use crate::assignment::{AssignmentNumber, Lane, Part};
use crate::offsets::Commit;

/// Something that arrived in a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its partition.
    pub part: Part,
    /// The assignment it came in.
    pub number: AssignmentNumber,
    /// What it is.
    pub body: Body,
}

/// What an arrival holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A record to be decoded.
    Record {
        /// Its offset.
        offset: Offset,
        /// Its value.
        bytes: Vec<u8>,
    },
    /// Records that concern other feeds or tables.
    Passed(OffsetRange),
}

impl Arrival {
    fn bytes(&self) -> usize {
        match &self.body {
            Body::Record { bytes, .. } => bytes.len(),
            Body::Passed(_) => 0,
        }
    }
}

/// Where a lane is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneBound {
    /// Entries.
    pub entries: usize,
    /// Bytes of their records.
    pub bytes: usize,
}

impl LaneBound {
    /// The bound of a lane.
    #[must_use]
    pub fn of(lane: Lane) -> Self {
        match lane {
            // Some batches' worth, so that the next one is there when a slot becomes free.
            Lane::Changes => LaneBound {
                entries: 10_000,
                bytes: 4 << 20,
            },
            // A chunk is seconds of work: more than a few in the inbox help nobody, but
            // pausing throws away what was fetched, so not too few either.
            Lane::Fanout | Lane::Backfill => LaneBound {
                entries: 1_000,
                bytes: 1 << 20,
            },
        }
    }
}

/// A partition that was assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Its assignment.
    pub number: AssignmentNumber,
    /// The committed offset; `None`: the group has none (R2).
    pub committed: Option<Offset>,
    /// The committed metadata; `None` when there is none that can be read.
    pub metadata: Option<OffsetMetadata>,
}

/// What the consumer cannot go on from, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The position lies outside what the topic holds (R2).
    OutOfRange {
        /// The partition.
        part: Part,
        /// Where the feed stood.
        committed: Offset,
        /// The first offset there is.
        low: Offset,
        /// The offset after the last.
        high: Offset,
    },
    /// This client is of no use any more; a new one may be.
    Broken(String),
    /// Kafka says no just now: an unknown topic, missing rights, no broker.
    Waiting(String),
}

/// What happened besides arrivals, since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Revoked; to be taken before `assigned`.
    pub revoked: BTreeSet<Part>,
    /// Assigned.
    pub assigned: BTreeMap<Part, Assigned>,
    /// Why the last commit failed.
    pub commit_failed: Option<String>,
    /// The latest trouble.
    pub trouble: Option<Trouble>,
}

impl News {
    fn is_empty(&self) -> bool {
        *self == News::default()
    }
}

/// What the feed wants of the thread.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) commits: BTreeMap<Part, Commit>,
    pub(super) stop: bool,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<Lane, Queue>,
    news: News,
    orders: Orders,
    /// Partitions that the feed wants no more of for now.
    held_back: BTreeSet<Part>,
    /// Turns of the thread's loop, for liveness.
    turns: u64,
}

#[derive(Debug, Default)]
struct Queue {
    arrivals: VecDeque<Arrival>,
    bytes: usize,
    /// Became full and has not been half-emptied since.
    is_full: bool,
}

/// The exchange between a consumer's thread and its feed.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
    changed: Notify,
}

impl Inbox {
    /// Empty.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No operation leaves the state half-done, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when something arrived or happened since the last call. Cancel-safe: a
    /// change that nobody waited for ends the next call at once.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The next arrival of a lane.
    pub fn take(&self, lane: Lane) -> Option<Arrival> {
        let mut state = self.lock();
        let queue = state.lanes.get_mut(&lane)?;
        let arrival = queue.arrivals.pop_front()?;
        queue.took(lane, &arrival);
        Some(arrival)
    }

    /// Up to `most` arrivals of a lane, in order.
    pub fn take_many(&self, lane: Lane, most: usize) -> Vec<Arrival> {
        let mut state = self.lock();
        let Some(queue) = state.lanes.get_mut(&lane) else {
            return Vec::new();
        };
        let count = most.min(queue.arrivals.len());
        let taken: Vec<Arrival> = queue.arrivals.drain(..count).collect();
        for arrival in &taken {
            queue.took(lane, arrival);
        }
        taken
    }

    /// Puts arrivals back to the front, in their order: the batch closed before them.
    pub fn put_back(&self, lane: Lane, arrivals: Vec<Arrival>) {
        if arrivals.is_empty() {
            return;
        }
        let mut state = self.lock();
        let queue = state.lanes.entry(lane).or_default();
        for arrival in arrivals.into_iter().rev() {
            queue.bytes = queue.bytes.saturating_add(arrival.bytes());
            queue.arrivals.push_front(arrival);
        }
        self.changed.notify_one();
    }

    /// Whether something waits in a lane.
    #[must_use]
    pub fn has(&self, lane: Lane) -> bool {
        self.lock()
            .lanes
            .get(&lane)
            .is_some_and(|queue| !queue.arrivals.is_empty())
    }

    /// Entries that wait in a lane.
    #[must_use]
    pub fn len(&self, lane: Lane) -> usize {
        self.lock()
            .lanes
            .get(&lane)
            .map_or(0, |queue| queue.arrivals.len())
    }

    /// Drops everything that waits: the feed takes nothing more.
    pub fn clear(&self) {
        self.lock().lanes.clear();
    }

    /// What happened since the last call.
    #[must_use]
    pub fn news(&self) -> News {
        std::mem::take(&mut self.lock().news)
    }

    /// Turns of the thread's loop so far; it turns several times a second.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.lock().turns
    }

    /// Orders commits. A later one for the same partition replaces an earlier one that
    /// was not carried out yet.
    pub fn order_commits(&self, commits: Vec<Commit>) {
        let mut state = self.lock();
        for commit in commits {
            state.orders.commits.insert(commit.part, commit);
        }
    }

    /// Names the partitions that no more records are wanted of for now.
    pub fn order_hold_back(&self, parts: BTreeSet<Part>) {
        self.lock().held_back = parts;
    }

    /// Orders the thread to commit what was ordered, leave the group and end.
    pub fn order_stop(&self) {
        self.lock().orders.stop = true;
    }

    // The thread's side.

    pub(super) fn push(&self, arrivals: Vec<Arrival>) {
        if arrivals.is_empty() {
            return;
        }
        let mut state = self.lock();
        for arrival in arrivals {
            let lane = arrival.part.lane;
            state.lanes.entry(lane).or_default().push(lane, arrival);
        }
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn turn(&self) -> Orders {
        let mut state = self.lock();
        state.turns = state.turns.wrapping_add(1);
        std::mem::take(&mut state.orders)
    }

    /// The partitions among `held` that have to be paused.
    pub(super) fn to_pause(&self, held: impl Iterator<Item = Part>) -> BTreeSet<Part> {
        let state = self.lock();
        held.filter(|part| {
            state.held_back.contains(part)
                || state
                    .lanes
                    .get(&part.lane)
                    .is_some_and(|queue| queue.is_full)
        })
        .collect()
    }

    pub(super) fn revoked(&self, part: Part) {
        let mut state = self.lock();
        if let Some(queue) = state.lanes.get_mut(&part.lane) {
            queue.arrivals.retain(|arrival| arrival.part != part);
            queue.bytes = queue.arrivals.iter().map(Arrival::bytes).sum();
            queue.note_room(part.lane);
        }
        state.news.assigned.remove(&part);
        state.news.revoked.insert(part);
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn assigned(&self, part: Part, assigned: Assigned) {
        self.lock().news.assigned.insert(part, assigned);
        self.changed.notify_one();
    }

    pub(super) fn commit_failed(&self, reason: String) {
        self.lock().news.commit_failed = Some(reason);
        self.changed.notify_one();
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        let mut state = self.lock();
        // What stops the feed is not hidden by what only delays it.
        let keep = matches!(
            state.news.trouble,
            Some(Trouble::OutOfRange { .. } | Trouble::Broken(_))
        ) && matches!(trouble, Trouble::Waiting(_));
        if !keep {
            state.news.trouble = Some(trouble);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Whether the feed has news to look at.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.lock().news.is_empty()
    }
}

impl Queue {
    fn push(&mut self, lane: Lane, arrival: Arrival) {
        if let (Body::Passed(next), Some(last)) = (&arrival.body, self.arrivals.back_mut())
            && let Body::Passed(range) = &mut last.body
            && (last.part, last.number) == (arrival.part, arrival.number)
            && let Ok(joined) = range.join(*next)
        {
            *range = joined;
            return;
        }
        self.bytes = self.bytes.saturating_add(arrival.bytes());
        self.arrivals.push_back(arrival);
        let bound = LaneBound::of(lane);
        if self.arrivals.len() >= bound.entries || self.bytes >= bound.bytes {
            self.is_full = true;
        }
    }

    fn took(&mut self, lane: Lane, arrival: &Arrival) {
        self.bytes = self.bytes.saturating_sub(arrival.bytes());
        self.note_room(lane);
    }

    /// Half and not a little room: each pause throws fetched records away.
    fn note_room(&mut self, lane: Lane) {
        let bound = LaneBound::of(lane);
        if self.arrivals.len() <= bound.entries / 2 && self.bytes <= bound.bytes / 2 {
            self.is_full = false;
        }
    }
}
