//! What a feed reports to status, metrics and its coordinator.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Feed;
use super::status::{FeedState, Hindrance};
use crate::assignment::Part;
use crate::build::now_us;
use crate::freshness::Lag;
use crate::offsets::Reached;

/// A feed as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Its state; `None` before the first look.
    pub state: Option<FeedState>,
    /// What hinders it.
    pub reason: Option<String>,
    /// How far behind it is.
    pub lag: Lag,
    /// The lowest position reached by the partitions of `changes` held here.
    pub watermark: Option<Reached>,
    /// What it holds: the owner of partition 0 of `changes` coordinates.
    pub held: BTreeSet<Part>,
    /// Whether it has caught up.
    pub is_fresh: bool,
    /// Turns of the consumer's thread, for liveness.
    pub turns: u64,
}

impl Feed {
    pub(super) fn report(&mut self, now: Instant) {
        let watermark = self.progress.watermark();
        let lag = self.freshness.lag(watermark, now_us());
        let is_fresh = lag.is_fresh(self.parts.limits.freshness);
        let (state, reason) = match self.status.hindrance(now) {
            Some(Hindrance::Waiting(reason)) => (FeedState::Waiting, Some(reason)),
            Some(Hindrance::Retrying(reason)) => (FeedState::Retrying, Some(reason)),
            None if *self.parts.seeding.borrow() => (FeedState::Seeding, None),
            None if is_fresh => (FeedState::Live, None),
            None => (FeedState::CatchingUp, None),
        };
        let metrics = &self.parts.metrics;
        metrics.state(state.word(), &FeedState::WORDS);
        if let Some(records) = lag.records {
            metrics.lag(records);
        }
        if let Some(delay) = lag.delay {
            metrics.delay(delay);
        }
        if let Some(lsn) = lag.watermark {
            metrics.watermark(lsn);
        }
        let held: BTreeSet<Part> = self.progress.parts().collect();
        let uncommitted: u64 = held
            .iter()
            .map(|part| self.progress.uncommitted(*part))
            .sum();
        metrics.uncommitted(usize::try_from(uncommitted).unwrap_or(usize::MAX));
        let turns = self.consuming.inbox().turns();
        let report = Report {
            state: Some(state),
            reason,
            lag,
            watermark,
            held,
            is_fresh,
            turns,
        };
        self.parts.report.send_replace(report);
    }
}
