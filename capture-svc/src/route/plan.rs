//! What is looked at in the rows of one table. Made once per Relation message
//! and change of needs.

use std::collections::BTreeSet;

use model::{Change, ColumnName, OldValues, Operation, TableName, TableNeeds};

use super::Place;
use crate::relation::StreamTable;

/// A column that goes into records.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) name: ColumnName,
    /// Its place in the tuples; `None` when the rows do not carry it (the
    /// table was altered since they were written).
    pub(super) column: Option<usize>,
}

/// How rows of one table become records.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) table: TableName,
    /// How many columns a tuple has.
    pub(super) width: usize,
    /// The primary key, or all routing columns of a table without one.
    pub(super) key: Vec<Slot>,
    pub(super) routing: Vec<Slot>,
    /// The columns that must all be unchanged for an update to be suppressed:
    /// used, routing and key. `None`: nothing is suppressed. While a table is
    /// scanned even an update that changes no value counts: it moves the row,
    /// perhaps from a block that is still to be read to one that has been.
    pub(super) watched: Option<Vec<usize>>,
    /// By column: an old value is carried by the identity in force.
    pub(super) covered: Vec<bool>,
    /// The identity carries all of key and routing.
    pub(super) suffices: bool,
}

impl Plan {
    pub(super) fn new(table: &StreamTable, needs: &TableNeeds, is_scanned: bool) -> Self {
        let place = |name: &ColumnName| table.columns.iter().position(|column| column == name);
        let slot = |name: &ColumnName| Slot {
            name: name.clone(),
            column: place(name),
        };
        let routing: Vec<Slot> = needs.routing.iter().map(slot).collect();
        let key = if table.primary_key.is_empty() {
            routing.clone()
        } else {
            table.primary_key.iter().map(slot).collect()
        };
        let covered: Vec<bool> = table
            .columns
            .iter()
            .map(|column| table.coverage.covers(column))
            .collect();
        let mut plan = Plan {
            table: table.name.clone(),
            width: table.columns.len(),
            key,
            routing,
            watched: None,
            covered,
            suffices: false,
        };
        plan.suffices = plan.uncovered().is_empty();
        plan.watched = (!is_scanned).then(|| plan.watched(needs, place));
        plan
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.key.iter().chain(&self.routing)
    }

    /// `true` when the old value of this column is carried.
    pub(super) fn covers(&self, slot: &Slot) -> bool {
        slot.column.is_some_and(|column| self.is_covered(column))
    }

    pub(super) fn is_covered(&self, column: usize) -> bool {
        self.covered.get(column).copied().unwrap_or(false)
    }

    /// The columns of key and routing whose old values are not carried.
    pub(super) fn uncovered(&self) -> Vec<ColumnName> {
        let lacking: BTreeSet<_> = self
            .slots()
            .filter(|slot| !self.covers(slot))
            .map(|slot| slot.name.clone())
            .collect();
        lacking.into_iter().collect()
    }

    fn watched(
        &self,
        needs: &TableNeeds,
        place: impl Fn(&ColumnName) -> Option<usize>,
    ) -> Vec<usize> {
        let used: Option<Vec<usize>> = needs.used.iter().map(place).collect();
        let columns: BTreeSet<usize> = match used {
            Some(used) if !needs.all_used => used
                .into_iter()
                .chain(self.slots().filter_map(|slot| slot.column))
                .collect(),
            // A used column that the rows do not carry may be computed from
            // any of those that they do.
            Some(_) | None => (0..self.width).collect(),
        };
        columns.into_iter().collect()
    }

    /// A record of this table without any values.
    pub(super) fn bare(&self, op: Operation, at: Place) -> Change {
        Change {
            table: self.table.clone(),
            op,
            key: Vec::new(),
            old_key: None,
            old_values: OldValues::Absent,
            before: None,
            after: None,
            epoch: at.position.epoch,
            commit_lsn: at.position.lsn,
            seq: at.position.seq,
            xid: at.transaction.xid,
            commit_ts_us: at.transaction.commit_ts_us,
            heartbeat: None,
        }
    }
}
