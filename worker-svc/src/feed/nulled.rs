//! Says that values became null because JSON or the index cannot hold them.
//! In: what was built. Out: at most one line a minute and feed; the counter has all of them.
//! Must not: name a document above debug level, where row keys belong.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::build::Built;

/// A table full of such values must not fill the log.
const EVERY: Duration = Duration::from_mins(1);

/// When it was said last. Shared by the batches of a feed.
#[derive(Debug, Default)]
pub struct Nulled {
    said: Mutex<Option<Instant>>,
}

impl Nulled {
    /// Nothing said yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says it, if there is something to say and it is time.
    pub(super) fn note(&self, group: &str, built: &Built) {
        let Some(example) = built.nulled_in() else {
            return;
        };
        if self.is_due(Instant::now()) {
            let values = built.nulled();
            tracing::warn!(
                group,
                values,
                "values that JSON or the index cannot hold are written as null; an id is logged at debug level"
            );
            tracing::debug!(group, id = example, "a document with such a value");
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = said.is_none_or(|last| now.saturating_duration_since(last) >= EVERY);
        if is_due {
            *said = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let nulled = Nulled::new();
        let start = Instant::now();
        let due: Vec<bool> = [0, 1, 59, 60, 61, 120]
            .map(|second| nulled.is_due(start + Duration::from_secs(second)))
            .to_vec();
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
