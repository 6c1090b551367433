//! Faults that are built into the product's side, so that a generator that finds none of them is
//! known to be blind.
//! In: what a case was compiled to. Out: the same, wrong in one place. Must hold: the oracle still
//! works from the case as it is; what was done is noted, so that a test can see that the fault
//! happened. Must not: need a hook in the product.

mod definitions;
mod compiled;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use definition::{Catalog, Index};
use model::{Change, ColumnName, Needs, OldValues, Operation, TableName, TableNeeds};
use worker_svc::compiled::Compiled;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A way from a table to the documents is missing.
    DroppedRoute,
    /// A way goes by another column of the parent.
    WrongParentColumn,
    /// A way starts from another column of the changed row.
    WrongRoutingColumn,
    /// Updates are followed by their new values only.
    OldValuesIgnored,
    /// Deletes lead nowhere.
    DeletesIgnored,
    /// A column counts as unused, so updates of it are suppressed.
    UsedColumnForgotten,
    /// The columns of a composite key pair crosswise.
    SwappedCompositeKey,
    /// `left_key` and `right_key` of a junction are exchanged.
    LeftForRight,
    /// A list of filters is lost.
    LostFilter,
    /// A `limit` is lost.
    LostLimit,
    /// An `order_by` is lost.
    LostOrder,
    /// The `when` of a soft delete is lost.
    LostWhen,
}

/// One fault, and what it did.
#[derive(Debug)]
pub struct Fault {
    /// Which.
    pub kind: FaultKind,
    done: Mutex<Vec<String>>,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::DroppedRoute,
        Self::WrongParentColumn,
        Self::WrongRoutingColumn,
        Self::OldValuesIgnored,
        Self::DeletesIgnored,
        Self::UsedColumnForgotten,
        Self::SwappedCompositeKey,
        Self::LeftForRight,
        Self::LostFilter,
        Self::LostLimit,
        Self::LostOrder,
        Self::LostWhen,
    ];
}

impl Fault {
    /// A fault that has done nothing yet.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            done: Mutex::new(Vec::new()),
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn done(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: String) {
        self.lock().push(what);
    }

    /// Works on definitions. `true`: one of them is another now.
    pub(super) fn in_definitions(&self, seed: u64, indexes: &mut [Index]) -> bool {
        let Some(what) = definitions::mutate(self.kind, seed, indexes) else {
            return false;
        };
        self.note(what);
        true
    }

    /// Works on routes. `true`: one of them is another now.
    pub(super) fn in_compiled(&self, seed: u64, compiled: &mut Compiled) -> bool {
        let Some(what) = compiled::mutate(self.kind, seed, compiled) else {
            return false;
        };
        self.note(what);
        true
    }

    /// Works on what capture is told. `true`: something else now.
    pub(super) fn in_needs<'c>(
        &self,
        seed: u64,
        needs: &mut Needs,
        catalogs: &(impl Iterator<Item = &'c Catalog> + Clone),
    ) -> bool {
        if self.kind != FaultKind::UsedColumnForgotten {
            return false;
        }
        let is_key = |table: &TableName, column: &ColumnName| {
            catalogs
                .clone()
                .filter_map(|catalog| catalog.table(table)?.primary_key())
                .any(|key| key.contains(column))
        };
        let forgettable: Vec<(TableName, ColumnName)> = needs
            .tables()
            .iter()
            .filter(|(_, needed)| !needed.all_used)
            .flat_map(|(table, needed)| {
                needed
                    .used
                    .difference(&needed.routing)
                    .map(|column| (table.clone(), column.clone()))
            })
            .filter(|(table, column)| !is_key(table, column))
            .collect();
        let Some((table, column)) = pick(seed, &forgettable) else {
            return false;
        };
        *needs = std::mem::take(needs)
            .tables()
            .iter()
            .map(|(name, needed)| {
                (
                    name.clone(),
                    forget(needed, (name == table).then_some(column)),
                )
            })
            .collect();
        self.note(format!("{table} {column} counts as unused"));
        true
    }

    /// Whether it works on records.
    pub(super) fn is_in_records(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::OldValuesIgnored | FaultKind::DeletesIgnored
        )
    }

    /// Works on the records of a step.
    pub(super) fn tamper(&self, records: &mut Vec<Change>) {
        match self.kind {
            FaultKind::OldValuesIgnored => {
                for record in records.iter_mut() {
                    let moved = record.before.is_some() && record.before != record.after;
                    if record.op == Operation::Update && (moved || record.old_key.is_some()) {
                        self.note(format!("{} followed by its new values", record.table));
                        record.before = None;
                        record.old_key = None;
                        record.old_values = OldValues::Unchanged;
                    }
                }
            }
            FaultKind::DeletesIgnored => {
                let deleted = records
                    .iter()
                    .filter(|record| record.op == Operation::Delete);
                for record in deleted {
                    self.note(format!("a deleted row of {} ignored", record.table));
                }
                records.retain(|record| record.op != Operation::Delete);
            }
            FaultKind::DroppedRoute
            | FaultKind::WrongParentColumn
            | FaultKind::WrongRoutingColumn
            | FaultKind::UsedColumnForgotten
            | FaultKind::SwappedCompositeKey
            | FaultKind::LeftForRight
            | FaultKind::LostFilter
            | FaultKind::LostLimit
            | FaultKind::LostOrder
            | FaultKind::LostWhen => {}
        }
    }
}

fn forget(needed: &TableNeeds, column: Option<&ColumnName>) -> TableNeeds {
    let used: BTreeSet<ColumnName> = needed
        .used
        .iter()
        .filter(|used| Some(*used) != column)
        .cloned()
        .collect();
    TableNeeds {
        used,
        ..needed.clone()
    }
}

/// One of several, by the seed.
fn pick<T>(seed: u64, of: &[T]) -> Option<&T> {
    let count = u64::try_from(of.len()).ok().filter(|count| *count > 0)?;
    of.get(usize::try_from(seed % count).ok()?)
}
