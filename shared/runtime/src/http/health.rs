//! Is the process alive, and is it ready?
//! Must hold: alive means that every registered loop turned within a minute, nothing else.
//! A loop that waits for a dependency still turns, because its waits are bounded.
//! Ready means that every part said so once, and stop was not asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::shutdown::Shutdown;

/// A loop that has not turned for this long is stuck.
pub const STUCK_AFTER: Duration = Duration::from_mins(1);

/// The loops of a process. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<BTreeMap<u64, (String, Instant)>>>);

/// One loop. It is watched until this is dropped.
pub struct Loop {
    liveness: Liveness,
    id: u64,
}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loop({})", self.id)
    }
}

impl Liveness {
    /// No loop yet: healthy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a loop from now on. Several may have the same name.
    #[must_use = "the loop is watched until this is dropped"]
    pub fn register(&self, name: impl Into<String>) -> Loop {
        let mut loops = self.lock();
        let id = loops.keys().next_back().map_or(0, |last| last + 1);
        loops.insert(id, (name.into(), Instant::now()));
        Loop {
            liveness: self.clone(),
            id,
        }
    }

    /// The loops that have not turned for [`STUCK_AFTER`], and for how long.
    #[must_use]
    pub fn stuck(&self) -> Vec<(String, Duration)> {
        self.stuck_at(Instant::now())
    }

    pub(super) fn stuck_at(&self, now: Instant) -> Vec<(String, Duration)> {
        self.lock()
            .values()
            .map(|(name, turned)| (name.clone(), now.saturating_duration_since(*turned)))
            .filter(|(_, silent)| *silent >= STUCK_AFTER)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Loop {
    /// Says that the loop went round once more.
    pub fn turn(&self) {
        if let Some((_, turned)) = self.liveness.lock().get_mut(&self.id) {
            *turned = Instant::now();
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.liveness.lock().remove(&self.id);
    }
}

/// The parts that have to start. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Readiness {
    parts: Arc<Mutex<Vec<(String, bool)>>>,
    shutdown: Shutdown,
}

/// One part that has to start, or a dependency that has to be reached once.
#[derive(Clone, Debug)]
pub struct Part {
    readiness: Readiness,
    index: usize,
}

impl Readiness {
    /// No part yet. Not ready any more once `shutdown` is asked for.
    #[must_use]
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            parts: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    /// Waits for one more part, e.g. `postgres`. Register all before serving: a process
    /// without parts counts as ready.
    #[must_use = "the process is not ready until the part says so"]
    pub fn register(&self, name: impl Into<String>) -> Part {
        let mut parts = self.lock();
        parts.push((name.into(), false));
        Part {
            readiness: self.clone(),
            index: parts.len() - 1,
        }
    }

    /// The parts that have not started.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.lock()
            .iter()
            .filter(|(_, ready)| !ready)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether everything has started and nothing stops.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_stopping() && self.waiting().is_empty()
    }

    /// Whether stop was asked for.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_requested()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, bool)>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// The part has started, the dependency was reached. Stays so.
    pub fn ready(&self) {
        if let Some((_, ready)) = self.readiness.lock().get_mut(self.index) {
            *ready = true;
        }
    }
}
