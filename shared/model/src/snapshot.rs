//! What a transaction could see.
//! In: the text of `pg_current_snapshot()`. Out: the [`Ordinal`] that orders
//! snapshots of one server run, and the visibility of a transaction (W3).
//! Why the ordinal orders: it counts the transaction ids that were finished
//! when the snapshot was taken; a finished id stays finished, so the set only
//! grows. Equal counts mean equal sets and so equal contents.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::version::Ordinal;

/// A 64-bit transaction id (Postgres' `xid8`): the epoch in the upper half.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Xid(#[serde(with = "crate::wire::bits")] u64);

impl Xid {
    /// Postgres' 0: no transaction.
    pub const INVALID: Xid = Xid(0);

    /// The transaction numbered `id`.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Xid(id)
    }

    /// Its number.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The 64-bit id with the lower half `low` that is nearest to `near`, a
    /// current xmax. The replication stream carries only the lower half.
    #[must_use]
    pub fn widen(low: u32, near: Xid) -> Self {
        const WRAP: u64 = 1 << 32;
        let same = (near.0 & !(WRAP - 1)) | u64::from(low);
        [same.checked_sub(WRAP), Some(same), same.checked_add(WRAP)]
            .into_iter()
            .flatten()
            .min_by_key(|candidate| candidate.abs_diff(near.0))
            .map_or(Xid(same), Xid)
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A `pg_snapshot`: which transactions were finished.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Snapshot {
    xmin: Xid,
    xmax: Xid,
    /// Strictly rising, each within `xmin..xmax`.
    xip: Vec<Xid>,
}

/// The text is no `pg_snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pg_snapshot (xmin:xmax:xip,…): {reason}")]
pub struct ParseSnapshotError {
    reason: &'static str,
}

impl Snapshot {
    /// A snapshot of these parts.
    ///
    /// # Errors
    /// When `xmax` lies before `xmin`, or `xip` does not rise strictly within
    /// them.
    pub fn new(xmin: Xid, xmax: Xid, xip: Vec<Xid>) -> Result<Self, ParseSnapshotError> {
        let wrong = |reason| Err(ParseSnapshotError { reason });
        if xmax < xmin {
            return wrong("xmax lies before xmin");
        }
        if !xip.is_sorted_by(|one, next| one < next) {
            return wrong("the ids in progress do not rise");
        }
        if xip.iter().any(|id| *id < xmin || *id >= xmax) {
            return wrong("an id in progress lies outside xmin and xmax");
        }
        Ok(Snapshot { xmin, xmax, xip })
    }

    /// Every transaction below it was finished.
    #[must_use]
    pub const fn xmin(&self) -> Xid {
        self.xmin
    }

    /// No transaction at or above it was finished.
    #[must_use]
    pub const fn xmax(&self) -> Xid {
        self.xmax
    }

    /// The transactions between the two that were in progress.
    #[must_use]
    pub fn in_progress(&self) -> &[Xid] {
        &self.xip
    }

    /// How many transaction ids were finished: xmax − |xip|.
    #[must_use]
    pub fn ordinal(&self) -> Ordinal {
        let running = u64::try_from(self.xip.len()).unwrap_or(u64::MAX);
        Ordinal::new(self.xmax.0.saturating_sub(running))
    }

    /// `true` when the transaction `xid` was finished, so that its rows are
    /// visible if it committed.
    #[must_use]
    pub fn sees(&self, xid: Xid) -> bool {
        xid < self.xmin || (xid < self.xmax && self.xip.binary_search(&xid).is_err())
    }

    /// `true` when every transaction up to and including `xid` was finished:
    /// xmin > xid. This is what a chunk's `visible_from` asks for.
    #[must_use]
    pub fn sees_all_through(&self, xid: Xid) -> bool {
        self.xmin > xid
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin, self.xmax)?;
        for (n, id) in self.xip.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}

impl FromStr for Snapshot {
    type Err = ParseSnapshotError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':');
        let (Some(xmin), Some(xmax), Some(list)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseSnapshotError {
                reason: "three parts expected",
            });
        };
        let xip = if list.is_empty() {
            Vec::new()
        } else {
            list.split(',').map(id).collect::<Result<_, _>>()?
        };
        Snapshot::new(id(xmin)?, id(xmax)?, xip)
    }
}

/// One transaction id: decimal digits and nothing else.
fn id(text: &str) -> Result<Xid, ParseSnapshotError> {
    let wrong = ParseSnapshotError {
        reason: "a transaction id is not a 64-bit number",
    };
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong);
    }
    text.parse().map(Xid).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        text.parse().unwrap()
    }

    #[test]
    fn w2_the_ordinal_counts_the_finished_ids() {
        assert_eq!(snapshot("10:10:").ordinal(), Ordinal::new(10));
        assert_eq!(snapshot("10:20:10,14,15").ordinal(), Ordinal::new(17));
    }

    #[test]
    fn w3_a_running_or_later_transaction_is_not_seen() {
        let snapshot = snapshot("10:20:10,14");
        for seen in [1, 9, 11, 13, 15, 19] {
            assert!(snapshot.sees(Xid::new(seen)), "{seen}");
        }
        for unseen in [10, 14, 20, 21] {
            assert!(!snapshot.sees(Xid::new(unseen)), "{unseen}");
        }
    }

    #[test]
    fn w3_all_through_asks_for_an_xmin_above() {
        let snapshot = snapshot("10:20:10,14");
        assert!(snapshot.sees_all_through(Xid::new(9)));
        assert!(!snapshot.sees_all_through(Xid::new(10)));
        // Seen by itself, but an older one still runs.
        assert!(!snapshot.sees_all_through(Xid::new(13)));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for text in [
            "",
            "1",
            "1:2",
            "2:1:",
            "1:5:5",
            "3:5:2",
            "1:5:3,2",
            "1:5:2,2",
            "1:5:2,",
            "a:5:",
            "1:5:x",
            "-1:5:",
            "+1:5:",
            "1:5: 2",
            "1:2::",
            "18446744073709551616:5:",
            ":5:",
        ] {
            assert!(text.parse::<Snapshot>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_id_is_widened_to_the_nearest() {
        const EPOCH: u64 = 1 << 32;
        let widen = |low, near| Xid::widen(low, Xid::new(near)).as_u64();
        assert_eq!(widen(5, 10), 5);
        assert_eq!(widen(5, 3 * EPOCH + 10), 3 * EPOCH + 5);
        // Just before a wrap, seen from just behind it; and the other way.
        assert_eq!(widen(u32::MAX, EPOCH + 2), EPOCH - 1);
        assert_eq!(widen(2, EPOCH - 1), EPOCH + 2);
        // There is nothing below zero and nothing above the last id.
        assert_eq!(widen(u32::MAX, 3), u64::from(u32::MAX));
        assert_eq!(widen(0, u64::MAX), u64::MAX - u64::from(u32::MAX));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "[0-9:,a +-]{0,30}") {
            let _: Result<Snapshot, _> = text.parse();
        }

        #[test]
        fn round_trip(xmin in 3..1_000_u64, running in btree_set(0..100_u64, 0..10)) {
            let xip: Vec<_> = running.iter().map(|id| Xid::new(xmin + id)).collect();
            let snapshot = Snapshot::new(Xid::new(xmin), Xid::new(xmin + 100), xip).unwrap();
            prop_assert_eq!(snapshot.to_string().parse(), Ok(snapshot));
        }

        #[test]
        fn an_id_near_xmax_is_widened_to_itself(near: u64, back in 0..(1_u64 << 31)) {
            let id = near.saturating_sub(back);
            let low = u32::try_from(id & 0xFFFF_FFFF).unwrap();
            prop_assert_eq!(Xid::widen(low, Xid::new(near)), Xid::new(id));
        }

        /// Ids finish one by one, in any order: the ordinal never falls, and
        /// equal ordinals mean that the same ids are seen.
        #[test]
        fn w2_the_ordinal_orders_the_snapshots_of_one_run(
            order in Just((0..20_u64).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut earlier: Option<Snapshot> = None;
            for finished in 0..=order.len() {
                let running: std::collections::BTreeSet<_> = order[finished..].iter().collect();
                let xmin = running.first().map_or(20, |id| **id);
                let xip = running.into_iter().map(|id| Xid::new(*id)).collect();
                let snapshot = Snapshot::new(Xid::new(xmin), Xid::new(20), xip).unwrap();
                if let Some(earlier) = earlier {
                    prop_assert!(snapshot.ordinal() > earlier.ordinal());
                    for id in (0..25).map(Xid::new) {
                        prop_assert!(snapshot.sees(id) || !earlier.sees(id));
                    }
                }
                earlier = Some(snapshot);
            }
        }
    }
}
