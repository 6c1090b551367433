//! What the stream's relations are: tables, keys, and which old values can be
//! trusted.
//!
//! ```text
//!  catalog ── names, primary keys, leaves ──▶ Relations ──▶ StreamTable ──▶ route
//!  Relation messages ── shape, identity ───▶     │
//!                                                └──▶ Noticed: reload, identity too small ──▶ pump
//! ```
//!
//! Must hold: a key comes from the catalog's primary key, never from the
//! identity's flags (`FULL` flags every column); an old value counts as known
//! only if the identity *of the leaf* that the row stands in carries it.
//! Must not: ask the database; `catalog` does, when the pump says so.
//! Why the leaves decide: under `publish_via_partition_root` a row names the
//! root and its tag follows the root's identity, but what was written to the
//! log follows the leaf's. The row does not say which leaf it was, so a root
//! can be trusted as far as the least of the leaves seen in this session.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{ColumnName, TableName};

use crate::pgoutput::{Relation, RelationColumn, RelationOid, ReplicaIdentity};

mod catalog;
mod identity;
mod leaves;

pub use catalog::{CatalogError, LeafTable, Table, TableKind, read_tables};
pub use identity::{Coverage, Identity};
pub use leaves::{LeafChange, changed_leaves, leaves_of};

/// A table as its rows arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTable {
    /// Its name; a partitioned table's root.
    pub name: TableName,
    /// The columns of its tuples, in order.
    pub columns: Vec<ColumnName>,
    /// Its primary key in key order; empty when it has none.
    pub primary_key: Vec<ColumnName>,
    /// Whose old values can be trusted.
    pub coverage: Coverage,
}

/// What a Relation message told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// The table it concerns: the root, for a leaf.
    pub table: TableName,
    /// The identity it states is the identity in force here: of the table, or
    /// of this leaf.
    pub leaf: Option<TableName>,
    /// The shape differs from what was known, or the table or leaf is new: the
    /// catalog should be read again.
    pub reload: bool,
}

/// The relations of one replication session, and the catalog behind them.
#[derive(Debug, Default)]
pub struct Relations {
    catalog: BTreeMap<TableName, Table>,
    /// Leaf oid to root, from the catalog.
    roots: HashMap<RelationOid, TableName>,
    /// The same, by the order of messages alone, for leaves that the catalog
    /// did not know.
    guessed: HashMap<RelationOid, TableName>,
    tables: HashMap<RelationOid, StreamTable>,
    /// What each leaf seen in this session covers.
    leaves: BTreeMap<TableName, BTreeMap<RelationOid, Coverage>>,
    /// The partitioned table whose message came last, no row since: the
    /// server sends a root's message right before that of its leaf.
    announced_root: Option<TableName>,
}

impl Relations {
    /// Nothing but a catalog: a new session.
    #[must_use]
    pub fn new(tables: Vec<Table>) -> Self {
        let mut relations = Relations::default();
        relations.load(tables);
        relations
    }

    /// Takes a newly read catalog. What the stream has told stays.
    pub fn load(&mut self, tables: Vec<Table>) {
        for table in &tables {
            for leaf in &table.leaves {
                if leaf.oid != table.oid {
                    let leaf = RelationOid::new(leaf.oid);
                    self.roots.insert(leaf, table.name.clone());
                }
            }
        }
        self.catalog = tables
            .into_iter()
            .map(|table| (table.name.clone(), table))
            .collect();
        for table in self.tables.values_mut() {
            let known = self.catalog.get(&table.name);
            if let Some(key) = known.and_then(|known| key_within(known, &table.columns)) {
                table.primary_key = key;
            }
        }
    }

    /// Starts a new session: relations are announced anew, the catalog stays.
    pub fn reset(&mut self) {
        self.tables.clear();
        self.leaves.clear();
        self.guessed.clear();
        self.announced_root = None;
    }

    /// The table that rows with this oid belong to; `None` when the stream has
    /// not announced it.
    #[must_use]
    pub fn table(&self, oid: RelationOid) -> Option<&StreamTable> {
        self.tables.get(&oid)
    }

    /// The tables that the stream has announced, in no particular order.
    pub fn tables(&self) -> impl Iterator<Item = &StreamTable> {
        self.tables.values()
    }

    /// `true` for a leaf of a streamed table: its rows must come under the
    /// root's oid.
    #[must_use]
    pub fn is_leaf(&self, oid: RelationOid) -> bool {
        self.roots.contains_key(&oid)
    }

    /// The table of this name in the catalog.
    #[must_use]
    pub fn catalog_table(&self, name: &TableName) -> Option<&Table> {
        self.catalog.get(name)
    }

    /// A row or TRUNCATE of this relation came: the next Relation message
    /// starts a new pair. What has rows under its own oid is no leaf.
    pub fn row_passed(&mut self, oid: RelationOid) {
        self.announced_root = None;
        if self.guessed.is_empty() {
            return;
        }
        if let Some(root) = self.guessed.remove(&oid) {
            if let Some(leaves) = self.leaves.get_mut(&root) {
                leaves.remove(&oid);
            }
            self.weigh(&root);
        }
    }

    /// Takes a Relation message.
    pub fn note(&mut self, relation: &Relation) -> Noticed {
        let name = TableName::new(relation.schema.as_str(), relation.name.as_str());
        if let Some(root) = self.roots.get(&relation.oid).cloned() {
            return self.note_leaf(root, name, relation);
        }
        let is_in_catalog = self.catalog.contains_key(&name);
        let root = self
            .guessed
            .get(&relation.oid)
            .cloned()
            .or_else(|| self.announced_root.take());
        match root {
            Some(root) if !is_in_catalog => {
                // A TRUNCATE announces a root without a leaf, so this may yet
                // be another table: its rows must find it.
                self.note_table(name.clone(), relation);
                let is_new = self.guessed.insert(relation.oid, root.clone()).is_none();
                let noticed = self.note_leaf(root, name, relation);
                Noticed {
                    reload: noticed.reload || is_new,
                    ..noticed
                }
            }
            Some(_) | None => self.note_table(name, relation),
        }
    }

    fn note_leaf(&mut self, root: TableName, leaf: TableName, relation: &Relation) -> Noticed {
        self.announced_root = None;
        let coverage = coverage_of(relation);
        let leaves = self.leaves.entry(root.clone()).or_default();
        let before = leaves.insert(relation.oid, coverage.clone());
        self.weigh(&root);
        Noticed {
            table: root,
            leaf: Some(leaf),
            reload: before.is_some_and(|before| before != coverage),
        }
    }

    /// Trusts a root as far as the least of its leaves.
    fn weigh(&mut self, root: &TableName) {
        let least = least(self.leaves.get(root).into_iter().flat_map(BTreeMap::values));
        for table in self.tables.values_mut().filter(|table| table.name == *root) {
            table.coverage = least.clone();
        }
    }

    fn note_table(&mut self, name: TableName, relation: &Relation) -> Noticed {
        let known = self.catalog.get(&name);
        let is_partitioned = known.is_some_and(|table| table.kind == TableKind::Partitioned);
        let coverage = if is_partitioned {
            least(self.leaves.entry(name.clone()).or_default().values())
        } else {
            coverage_of(relation)
        };
        self.announced_root = is_partitioned.then(|| name.clone());
        let oid = relation.oid;
        let columns: Vec<_> = relation
            .columns
            .iter()
            .map(|column| ColumnName::new(column.name.as_str()))
            .collect();
        let primary_key = known
            .and_then(|known| key_within(known, &columns))
            .unwrap_or_else(|| key_of_identity(relation));
        let table = StreamTable {
            name: name.clone(),
            columns,
            primary_key,
            coverage,
        };
        let is_known = known.is_some_and(|known| known.oid == oid.get());
        // The first message of a session only repeats what the catalog says.
        let changed = match self.tables.insert(oid, table) {
            Some(before) => self.tables.get(&oid) != Some(&before),
            None => false,
        };
        Noticed {
            table: name,
            leaf: None,
            reload: changed || !is_known,
        }
    }
}

/// The catalog's primary key, if the rows carry all of it. They do not when
/// the table was altered or made anew since they were written.
fn key_within(known: &Table, columns: &[ColumnName]) -> Option<Vec<ColumnName>> {
    let key = &known.primary_key;
    key.iter()
        .all(|column| columns.contains(column))
        .then(|| key.clone())
}

/// The primary key by the flags of a `DEFAULT` identity, where they do mean
/// it. For rows of a table that the catalog no longer shows as it was.
fn key_of_identity(relation: &Relation) -> Vec<ColumnName> {
    match relation.identity {
        ReplicaIdentity::Default => flagged(relation).map(ColumnName::new).collect(),
        ReplicaIdentity::Nothing | ReplicaIdentity::Full | ReplicaIdentity::Index => Vec::new(),
    }
}

fn flagged(relation: &Relation) -> impl Iterator<Item = &str> {
    let in_identity = |column: &&RelationColumn| column.in_identity;
    relation
        .columns
        .iter()
        .filter(in_identity)
        .map(|column| column.name.as_str())
}

fn coverage_of(relation: &Relation) -> Coverage {
    match relation.identity {
        ReplicaIdentity::Full => Coverage::All,
        ReplicaIdentity::Nothing => Coverage::Columns(BTreeSet::new()),
        ReplicaIdentity::Default | ReplicaIdentity::Index => {
            Coverage::Columns(flagged(relation).map(ColumnName::new).collect())
        }
    }
}

/// What all of them cover. Of no leaves, everything: rows come only after
/// their leaf's message.
fn least<'a>(coverages: impl Iterator<Item = &'a Coverage>) -> Coverage {
    coverages.fold(Coverage::All, |least, coverage| least.intersect(coverage))
}

#[cfg(test)]
mod tests;
