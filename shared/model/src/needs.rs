//! What a feed needs of the stream: tables, routing columns, used columns.
//! Capture publishes the union of all needs and answers each by its hash.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    #[serde(default = "all")]
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
        let mut digest = Sha256::new();
        for (table, needs) in &self.0 {
            text(&mut digest, "table");
            text(&mut digest, &table.to_string());
            columns(&mut digest, "routing", &needs.routing);
            columns(&mut digest, "used", &needs.used);
            let scope = if needs.all_used {
                "all used"
            } else {
                "some used"
            };
            text(&mut digest, scope);
        }
        let half = digest
            .finalize()
            .first_chunk()
            .map_or(0, |half| u128::from_be_bytes(*half));
        format!("{half:032x}")
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

/// What needs say nothing about is not suppressed.
const fn all() -> bool {
    true
}

/// Feeds one text, length first: `ab` and `c` differ from `a` and `bc`.
fn text(digest: &mut Sha256, text: &str) {
    digest.update(text.len().to_string());
    digest.update(":");
    digest.update(text);
}

fn columns(digest: &mut Sha256, kind: &str, columns: &BTreeSet<ColumnName>) {
    text(digest, kind);
    text(digest, &columns.len().to_string());
    for column in columns {
        text(digest, column.as_str());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(table: &str, routing: &[&str], used: &[&str], all_used: bool) -> Needs {
        let set = |names: &[&str]| names.iter().map(|name| ColumnName::new(*name)).collect();
        let table_needs = TableNeeds {
            routing: set(routing),
            used: set(used),
            all_used,
        };
        [(TableName::new("public", table), table_needs)]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_union_covers_both_sides() {
        let left = needs("orders", &["show_id"], &["show_id", "state"], false);
        let right = needs("orders", &["user_id"], &["user_id"], false);
        let both = left.clone().union(right.clone());
        assert!(both.covers(&left) && both.covers(&right));
        assert!(!left.covers(&both) && !right.covers(&both));
    }

    #[test]
    fn a_scanned_table_is_covered_only_by_all_columns() {
        let some = needs("orders", &[], &["state"], false);
        let all = needs("orders", &[], &[], true);
        assert!(all.covers(&some));
        assert!(!some.covers(&all));
    }

    #[test]
    fn the_hash_tells_needs_apart_and_is_pinned() {
        let one = needs("orders", &["a"], &["a", "bc"], false);
        let other = needs("orders", &["a"], &["ab", "c"], false);
        assert_eq!(one.hash(), one.clone().hash());
        assert_ne!(one.hash(), other.hash());
        assert_ne!(
            one.hash(),
            needs("orders", &["a"], &["a", "bc"], true).hash()
        );
        // A change here lets every feed wait for a new answer after an upgrade.
        assert_eq!(one.hash(), "2e23d505747b2f53ee35157997c0a776");
    }

    #[test]
    fn json_keeps_the_names() {
        let needs = needs("Orders", &["showId"], &["showId"], true);
        let json = serde_json::to_string(&needs).unwrap();
        assert_eq!(
            json,
            r#"{"public.\"Orders\"":{"routing":["showId"],"used":["showId"],"all_used":true}}"#
        );
        assert_eq!(serde_json::from_str::<Needs>(&json).unwrap(), needs);
    }
}
