//! How far a feed is behind: in records, in bytes of WAL, in seconds.
//! In: heartbeats as they arrive, the watermark, the ends of `{p}.changes`. Out: [`Lag`].
//! Must not: read a clock; the caller passes it.
//! Why heartbeats tell the delay: one says that at its clock everything below its
//! position was published; when the watermark has reached that position, everything
//! older than that clock is in the index, also when nothing at all changes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::{Change, Lsn, Offset, Partition};

use crate::offsets::Reached;

/// Heartbeats kept: at one a second, what a feed may be behind and still be told its
/// delay to the second; beyond, the oldest one kept answers.
const BEATS: usize = 600;

/// How far a feed is behind, as far as this process can tell from its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// Records of `changes`; `None` before the topic's end was read.
    pub records: Option<u64>,
    /// WAL between the watermark and the newest position seen.
    pub bytes: Option<u64>,
    /// Everything committed longer ago is durable in the index.
    pub delay: Option<Duration>,
    /// Everything below it is.
    pub watermark: Option<Lsn>,
}

impl Lag {
    /// Whether the feed has caught up.
    #[must_use]
    pub fn is_fresh(&self, freshness: Duration) -> bool {
        self.records == Some(0) || self.delay.is_some_and(|delay| delay <= freshness)
    }
}

/// Watches one feed.
#[derive(Debug, Default)]
pub struct Freshness {
    /// Positions with the clock at which they were published, both rising.
    beats: VecDeque<(Reached, i64)>,
    newest: Option<Reached>,
    records: Option<u64>,
}

impl Freshness {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A change or heartbeat arrived.
    pub fn saw(&mut self, change: &Change) {
        let reached = Reached::from(change.position());
        self.newest = self.newest.max(Some(reached));
        let Some(heartbeat) = &change.heartbeat else {
            return;
        };
        // Each partition gets the same beats; only rising ones say something new.
        let is_new = self
            .beats
            .back()
            .is_none_or(|(last, clock)| reached >= *last && heartbeat.clock_us > *clock);
        if is_new {
            self.beats.push_back((reached, heartbeat.clock_us));
            if self.beats.len() > BEATS {
                self.beats.pop_front();
            }
        }
    }

    /// The ends of `changes` were read; `offsets` is where the feed stands.
    pub fn ends(
        &mut self,
        ends: &BTreeMap<Partition, Offset>,
        offsets: &BTreeMap<Partition, Offset>,
    ) {
        let behind = |(partition, end): (&Partition, &Offset)| {
            let stands = offsets.get(partition)?;
            u64::try_from(end.get().saturating_sub(stands.get())).ok()
        };
        self.records = Some(ends.iter().filter_map(behind).sum());
    }

    /// How far behind it is at `now_us` (µs since 1970) with this watermark.
    #[must_use]
    pub fn lag(&mut self, watermark: Option<Reached>, now_us: i64) -> Lag {
        let passed = watermark.and_then(|watermark| {
            let passed = self
                .beats
                .partition_point(|(reached, _)| *reached <= watermark);
            // Those before the last one passed have said all they can.
            self.beats.drain(..passed.saturating_sub(1));
            self.beats.front().filter(|_| passed > 0).copied()
        });
        let micros = passed.map(|(_, clock)| now_us.saturating_sub(clock).max(0));
        let bytes = self.newest.zip(watermark).map(|(newest, watermark)| {
            if newest.epoch == watermark.epoch {
                newest.lsn.bytes_since(watermark.lsn)
            } else {
                0
            }
        });
        Lag {
            records: self.records,
            bytes,
            delay: micros
                .and_then(|micros| u64::try_from(micros).ok())
                .map(Duration::from_micros),
            watermark: watermark.map(|watermark| watermark.lsn),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Epoch, Heartbeat, Position};

    use super::*;

    fn beat(lsn: u64, clock_s: i64) -> Change {
        let position = Position::before(Epoch::new(1), Lsn::new(lsn));
        Change::heartbeat(
            position,
            Heartbeat {
                clock_us: clock_s * 1_000_000,
                last: None,
            },
        )
    }

    #[expect(clippy::unnecessary_wraps, reason = "as the watermark comes")]
    fn at(lsn: u64) -> Option<Reached> {
        Some(Reached {
            epoch: Epoch::new(1),
            lsn: Lsn::new(lsn),
        })
    }

    #[test]
    fn the_delay_is_that_of_the_last_heartbeat_passed() {
        let mut freshness = Freshness::new();
        for change in [beat(100, 10), beat(100, 10), beat(200, 11), beat(300, 12)] {
            freshness.saw(&change);
        }
        let lag = freshness.lag(at(250), 15_000_000);
        assert_eq!(lag.delay, Some(Duration::from_secs(4)));
        assert_eq!(lag.bytes, Some(50));
        assert_eq!(
            freshness.lag(at(300), 15_000_000).delay,
            Some(Duration::from_secs(3))
        );
    }

    #[test]
    fn nothing_is_claimed_before_a_heartbeat_was_passed() {
        let mut freshness = Freshness::new();
        freshness.saw(&beat(100, 10));
        assert_eq!(freshness.lag(at(99), 15_000_000).delay, None);
        assert_eq!(freshness.lag(None, 15_000_000), Lag::default());
    }

    #[test]
    fn a_feed_at_the_end_of_the_topic_is_fresh_whatever_the_clocks_say() {
        let mut freshness = Freshness::new();
        let partition = Partition::new(0);
        let offsets = |offset| BTreeMap::from([(partition, Offset::new(offset))]);
        freshness.ends(&offsets(7), &offsets(5));
        assert_eq!(freshness.lag(None, 0).records, Some(2));
        assert!(!freshness.lag(None, 0).is_fresh(Duration::from_secs(10)));
        freshness.ends(&offsets(7), &offsets(7));
        assert!(freshness.lag(None, 0).is_fresh(Duration::from_secs(10)));
    }
}
