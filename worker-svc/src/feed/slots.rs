//! How many jobs may be under way, and of which kind.
//! In: what waits. Out: whether one more may start. Pure, but for the process's slots.
//! Must hold: while chunks wait, one slot serves them, or steady load would starve them;
//! splits that wait for the group take no slot, but are bounded.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds of a feed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Changes in one batch.
    pub batch_max_changes: usize,
    /// Jobs under way; at least one.
    pub in_flight: usize,
    /// Records of a partition that may be finished or under way behind one that is not.
    pub max_uncommitted: u64,
    /// A feed whose delay is at most this has caught up.
    pub freshness: Duration,
}

/// The kind of a job.
#[derive(Debug)]
pub(super) enum Kind {
    /// A batch of changes.
    Live,
    /// A chunk; seeding chunks hold a slot of the process.
    Chunk(
        #[expect(dead_code, reason = "held, and given back by its drop")]
        Option<OwnedSemaphorePermit>,
    ),
}

/// Splits of one feed that may wait for the group: their ends ride in the offset
/// metadata, where 4096 bytes hold about this many.
const MOST_SPLITS: usize = 12;

#[derive(Debug)]
pub(super) struct Slots {
    all: usize,
    live: usize,
    chunks: usize,
}

impl Slots {
    pub(super) fn new(all: usize) -> Self {
        Slots {
            all: all.max(1),
            live: 0,
            chunks: 0,
        }
    }

    /// Whether a batch of changes may start. With a single slot, one of each kind may run.
    pub(super) fn takes_live(&self, chunks_wait: bool) -> bool {
        let reserved = usize::from(chunks_wait || self.chunks > 0).max(self.chunks);
        self.live < self.all.saturating_sub(reserved).max(1)
    }

    /// Whether a chunk may start: in a slot that no batch has, and always in one.
    pub(super) fn takes_chunk(&self) -> bool {
        self.chunks == 0 || self.live.saturating_add(self.chunks) < self.all
    }

    pub(super) fn splits_allow(splits: usize) -> bool {
        splits < MOST_SPLITS
    }

    pub(super) fn entered(&mut self, kind: &Kind) {
        match kind {
            Kind::Live => self.live = self.live.saturating_add(1),
            Kind::Chunk(_) => self.chunks = self.chunks.saturating_add(1),
        }
    }

    pub(super) fn left(&mut self, kind: &Kind) {
        match kind {
            Kind::Live => self.live = self.live.saturating_sub(1),
            Kind::Chunk(_) => self.chunks = self.chunks.saturating_sub(1),
        }
    }
}

/// Seeding chunks of all feeds of the process: so many at a time, so many rows a second.
#[derive(Debug, Clone)]
pub struct ChunkSlots {
    slots: Arc<Semaphore>,
    rate: Option<NonZeroU64>,
    /// Before it, no seeding chunk starts.
    next: Arc<Mutex<Option<Instant>>>,
}

impl ChunkSlots {
    /// `at_a_time` chunks (0 counts as 1), and at most `rate` rows per second.
    #[must_use]
    pub fn new(at_a_time: usize, rate: Option<NonZeroU64>) -> Self {
        ChunkSlots {
            slots: Arc::new(Semaphore::new(at_a_time.max(1))),
            rate,
            next: Arc::default(),
        }
    }

    /// A slot for a seeding chunk, if there is one and the rate allows it now.
    pub(super) fn take(&self, now: Instant) -> Option<OwnedSemaphorePermit> {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_some_and(|next| now < next) {
            return None;
        }
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// So many rows were seeded.
    pub(super) fn seeded(&self, rows: u64) {
        let Some(rate) = self.rate.filter(|_| rows > 0) else {
            return;
        };
        let micros = rows.saturating_mul(1_000_000) / rate.get();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let from = next.map_or_else(Instant::now, |next| next.max(Instant::now()));
        *next = from.checked_add(Duration::from_micros(micros));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_chunks_wait_one_slot_serves_them() {
        // GIVEN a busy feed
        let mut slots = Slots::new(3);
        for _ in 0..2 {
            assert!(slots.takes_live(true));
            slots.entered(&Kind::Live);
        }
        // THEN the last slot is theirs
        assert!(!slots.takes_live(true));
        assert!(slots.takes_live(false));
        assert!(slots.takes_chunk());
        slots.entered(&Kind::Chunk(None));
        assert!(!slots.takes_chunk());
        assert!(!slots.takes_live(false));
    }

    #[test]
    fn an_idle_feed_gives_all_slots_to_chunks_but_changes_come_in_between() {
        let mut slots = Slots::new(3);
        while slots.takes_chunk() {
            slots.entered(&Kind::Chunk(None));
        }
        assert_eq!(slots.chunks, 3);
        assert!(
            slots.takes_live(true),
            "a change must not wait for a chunk to end"
        );
    }

    #[test]
    fn with_a_single_slot_neither_kind_starves() {
        let mut slots = Slots::new(1);
        slots.entered(&Kind::Live);
        assert!(slots.takes_chunk());
        assert!(!slots.takes_live(true));
    }

    #[test]
    fn the_rate_holds_back_the_next_chunk() {
        let chunks = ChunkSlots::new(1, NonZeroU64::new(10));
        let now = Instant::now();
        let slot = chunks.take(now);
        assert!(slot.is_some() && chunks.take(now).is_none());
        drop(slot);
        chunks.seeded(100);
        assert!(chunks.take(now + Duration::from_secs(5)).is_none());
        assert!(chunks.take(now + Duration::from_secs(11)).is_some());
    }
}
