//! One run of one Postgres server.
//! Transaction ids go back when a server crashes, so snapshots are compared
//! only inside a run; the registry maps runs to
//! [`Incarnation`](crate::Incarnation) numbers.

use serde::{Deserialize, Serialize};

/// What names one run of one server. Two equal values mean that no crash lay
/// between the two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerRun {
    /// `system_identifier` of the cluster.
    #[serde(with = "crate::wire::bits")]
    pub system_identifier: u64,
    /// The timeline that WAL is being written on (from `pg_walfile_name`).
    pub timeline: u32,
    /// `pg_postmaster_start_time()`, microseconds since 1970.
    pub started_at_us: i64,
    /// `stats_reset` of `pg_stat_wal`, microseconds since 1970. Changes when
    /// a crashed backend makes the postmaster reinitialise, which the start
    /// time does not show.
    pub stats_reset_us: i64,
}

impl ServerRun {
    /// `true` when this run belongs to the same cluster as `known` but to an
    /// earlier timeline: an old primary that came back.
    #[must_use]
    pub fn is_older_timeline_than(&self, known: &ServerRun) -> bool {
        self.system_identifier == known.system_identifier && self.timeline < known.timeline
    }
}
