//! What a feed needs of the stream: tables, routing columns, used columns.
//! Capture publishes the union of all needs and answers each by its hash.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::table::{ColumnName, TableName};

/// What is needed of each table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Needs(BTreeMap<TableName, TableNeeds>);

/// What is needed of one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct TableNeeds {
    /// The columns whose old and new values a change must carry.
    pub routing: BTreeSet<ColumnName>,
    /// The columns that a document depends on: an update of others may be
    /// suppressed. Includes the routing columns.
    pub used: BTreeSet<ColumnName>,
    /// Every column counts as used, whatever `used` lists.
    #[serde(default)]
    pub all_used: bool,
}

impl Needs {
    /// Nothing is needed yet.
    #[must_use]
    pub fn new() -> Self {
        Needs::default()
    }

    /// The tables and what is needed of them.
    #[must_use]
    pub fn tables(&self) -> &BTreeMap<TableName, TableNeeds> {
        &self.0
    }

    /// What is needed of `table`; `None` when no change of it is.
    #[must_use]
    pub fn table(&self, table: &TableName) -> Option<&TableNeeds> {
        self.0.get(table)
    }

    /// `true` when nothing is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is needed of one table to what is there.
    pub fn add(&mut self, table: TableName, more: TableNeeds) {
        match self.0.entry(table) {
            Entry::Vacant(place) => {
                place.insert(more);
            }
            Entry::Occupied(mut place) => place.get_mut().add(more),
        }
    }

    /// What both need together.
    #[must_use]
    pub fn union(mut self, other: Needs) -> Needs {
        for (table, more) in other.0 {
            self.add(table, more);
        }
        self
    }

    /// `true` when whoever serves these needs serves `other` too.
    #[must_use]
    pub fn covers(&self, other: &Needs) -> bool {
        other
            .0
            .iter()
            .all(|(table, less)| self.0.get(table).is_some_and(|t| t.covers(less)))
    }

    /// A short text that is equal for equal needs, and differs for different
    /// ones: 32 hexadecimal digits. The same in every build of the program.
    #[must_use]
    pub fn hash(&self) -> String {
        todo!()
    }
}

impl TableNeeds {
    fn add(&mut self, more: TableNeeds) {
        self.routing.extend(more.routing);
        self.used.extend(more.used);
        self.all_used |= more.all_used;
    }

    fn covers(&self, less: &TableNeeds) -> bool {
        self.routing.is_superset(&less.routing)
            && (self.all_used || (!less.all_used && self.used.is_superset(&less.used)))
    }
}

impl FromIterator<(TableName, TableNeeds)> for Needs {
    fn from_iter<I: IntoIterator<Item = (TableName, TableNeeds)>>(tables: I) -> Self {
        let mut needs = Needs::new();
        for (table, more) in tables {
            needs.add(table, more);
        }
        needs
    }
}
