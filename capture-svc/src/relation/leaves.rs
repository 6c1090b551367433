//! What happened to the leaves of a table behind the stream's back.
//! In: the leaves as last announced, and as they are. Out: what of it changed
//! rows without a row change.

use std::collections::BTreeMap;

use model::{Leaf, RepairCause};

use super::catalog::{LeafTable, Table};

/// Rows came or went with a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafChange {
    /// What happened.
    pub cause: RepairCause,
    /// To which leaf, for people.
    pub leaf: String,
}

/// Compares. A leaf that was made as a partition brought no rows, and neither
/// did an attached one that is empty. A changed file node may be a harmless
/// rewrite (`VACUUM FULL`); it cannot be told from a TRUNCATE, so it counts.
/// A table that is its own only leaf is compared too: its TRUNCATE comes in
/// the stream, so only a leaf of a partitioned table is reported for it.
#[must_use]
pub fn changed_leaves(before: &[Leaf], now: &[LeafTable], is_partitioned: bool) -> Vec<LeafChange> {
    if !is_partitioned {
        return Vec::new();
    }
    let change = |cause, leaf: &model::TableName| LeafChange {
        cause,
        leaf: leaf.to_string(),
    };
    let former: BTreeMap<u32, &Leaf> = before.iter().map(|leaf| (leaf.oid, leaf)).collect();
    let present: BTreeMap<u32, &LeafTable> = now.iter().map(|leaf| (leaf.oid, leaf)).collect();
    let mut changes = Vec::new();
    for (oid, leaf) in &present {
        match former.get(oid) {
            None if leaf.attached && leaf.has_pages => {
                changes.push(change(RepairCause::LeafAttached, &leaf.name));
            }
            Some(was) if was.file_node != leaf.file_node => {
                changes.push(change(RepairCause::LeafTruncated, &leaf.name));
            }
            None | Some(_) => {}
        }
    }
    for (oid, leaf) in &former {
        if !present.contains_key(oid) {
            changes.push(change(RepairCause::LeafDetached, &leaf.table));
        }
    }
    changes
}

/// The leaves of a table as they are announced in `{p}.control`.
#[must_use]
pub fn leaves_of(table: &Table) -> Vec<Leaf> {
    let leaf = |leaf: &LeafTable| Leaf {
        table: leaf.name.clone(),
        oid: leaf.oid,
        file_node: leaf.file_node,
    };
    table.leaves.iter().map(leaf).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::TableName;

    use super::super::Identity;
    use super::*;

    fn was(oid: u32, file_node: u32) -> Leaf {
        Leaf {
            table: TableName::new("public", format!("p{oid}")),
            oid,
            file_node,
        }
    }

    fn is(oid: u32, file_node: u32) -> LeafTable {
        LeafTable {
            name: TableName::new("public", format!("p{oid}")),
            oid,
            file_node,
            identity: Identity::Default(BTreeSet::new()),
            owned: true,
            attached: false,
            has_pages: true,
        }
    }

    #[test]
    fn r2_every_way_in_which_a_leaf_changes_rows_silently_is_noticed() {
        // GIVEN leaves 1 to 3
        let before = [was(1, 10), was(2, 20), was(3, 30)];
        // WHEN 1 stays, 2 is truncated, 3 goes, 4 is attached with rows
        let attached = LeafTable {
            attached: true,
            ..is(4, 40)
        };
        let changes = changed_leaves(&before, &[is(1, 10), is(2, 21), attached], true);
        // THEN
        let expected = [
            (RepairCause::LeafTruncated, "public.p2"),
            (RepairCause::LeafAttached, "public.p4"),
            (RepairCause::LeafDetached, "public.p3"),
        ]
        .map(|(cause, leaf)| LeafChange {
            cause,
            leaf: leaf.to_owned(),
        });
        assert_eq!(changes, expected);
    }

    #[test]
    fn a_leaf_that_brought_no_rows_is_nothing_to_repair() {
        let born = is(4, 40);
        let empty = LeafTable {
            attached: true,
            has_pages: false,
            ..is(5, 50)
        };
        assert_eq!(changed_leaves(&[], &[born, empty], true), []);
    }

    #[test]
    fn a_plain_table_tells_everything_in_the_stream() {
        assert_eq!(changed_leaves(&[was(1, 10)], &[is(1, 11)], false), []);
    }
}
