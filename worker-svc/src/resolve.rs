//! Changes → the keys of the documents they affect.
//! In: the changes of a batch, the paths of the index. Out: keys that the changes name
//! themselves, and for every (table, path) one [`Hop`]: a statement with its arrays.
//! Must hold: W4. Old and new values are followed, on every path of the table.
//! Must not: run SQL; `build` does, in the snapshot that it builds from.
//! Why values stay text: they came from Postgres as text, and SQL casts them back. A
//! typed value in between would turn dates, domains and enums into misses.

use std::collections::{BTreeMap, BTreeSet};

use model::{Change, ColumnName, ColumnValue, OldValues, Operation, TableName};

use crate::Definite;

/// The key of a document: the texts of its key columns, in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey(pub Vec<String>);

impl DocumentKey {
    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(String::len).sum()
    }
}

/// How the rows of each table lead to documents.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    by_table: BTreeMap<TableName, Vec<Path>>,
}

/// One way from a table to the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The columns of the changed row that it starts from.
    pub columns: Vec<ColumnName>,
    /// What follows.
    pub how: How,
}

/// How a path goes on from its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Their values are the document's key.
    Direct,
    /// A statement: `$1…$n` are `text[]`, one array per column, and each row of the
    /// answer is a document key.
    Query(String),
}

/// One statement with its parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct Hop<'a> {
    /// The statement.
    pub sql: &'a str,
    /// One array per parameter, all equally long; one element per distinct tuple.
    pub arrays: Vec<Vec<String>>,
}

/// The distinct tuples of each path, by table and place of the path.
type Tuples<'t, 'a> = BTreeMap<(&'t TableName, usize), (&'a Path, BTreeSet<Vec<String>>)>;

/// What a batch asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolution<'a> {
    /// Keys that the changes name.
    pub keys: BTreeSet<DocumentKey>,
    /// Statements that find the others.
    pub hops: Vec<Hop<'a>>,
}

impl Paths {
    /// The paths of each table.
    #[must_use]
    pub fn new(by_table: BTreeMap<TableName, Vec<Path>>) -> Self {
        Paths { by_table }
    }

    /// Follows the changes as far as it goes without SQL.
    ///
    /// # Errors
    /// A change lacks a routing column: it was published for other needs.
    pub fn resolve<'a, 'c>(
        &'a self,
        changes: impl IntoIterator<Item = &'c Change>,
    ) -> Result<Resolution<'a>, Definite> {
        let mut keys = BTreeSet::new();
        let mut tuples: Tuples<'_, 'a> = BTreeMap::new();
        for change in changes {
            let Some((table, paths)) = self.by_table.get_key_value(&change.table) else {
                continue;
            };
            for (n, path) in paths.iter().enumerate() {
                for tuple in tuples_of(change, &path.columns)? {
                    match path.how {
                        How::Direct => {
                            keys.insert(DocumentKey(tuple));
                        }
                        How::Query(_) => {
                            tuples
                                .entry((table, n))
                                .or_insert((path, BTreeSet::new()))
                                .1
                                .insert(tuple);
                        }
                    }
                }
            }
        }
        let hops = tuples
            .into_values()
            .filter_map(|(path, tuples)| match &path.how {
                How::Direct => None,
                How::Query(sql) => Some(Hop {
                    sql,
                    arrays: columns_of(path.columns.len(), tuples),
                }),
            })
            .collect();
        Ok(Resolution { keys, hops })
    }
}

/// The tuples that a change starts a path from: the new one and the old one, if there
/// is one and it differs. A NULL leads nowhere.
fn tuples_of(change: &Change, columns: &[ColumnName]) -> Result<Vec<Vec<String>>, Definite> {
    let mut tuples = Vec::with_capacity(2);
    for side in [Side::New, Side::Old] {
        if !side.exists(change) {
            continue;
        }
        let mut tuple = Vec::with_capacity(columns.len());
        for column in columns {
            let held = side
                .held(change, column)
                .ok_or_else(|| missing(change, column))?;
            tuple.extend(held.value.clone());
        }
        if tuple.len() == columns.len() && !tuples.contains(&tuple) {
            tuples.push(tuple);
        }
    }
    Ok(tuples)
}

#[derive(Clone, Copy)]
enum Side {
    New,
    Old,
}

impl Side {
    fn exists(self, change: &Change) -> bool {
        match self {
            Side::New => matches!(change.op, Operation::Insert | Operation::Update),
            Side::Old => match change.op {
                Operation::Delete => true,
                Operation::Update => {
                    change.old_key.is_some()
                        || matches!(change.old_values, OldValues::Sent | OldValues::Unknown)
                }
                Operation::Insert | Operation::Truncate | Operation::Heartbeat => false,
            },
        }
    }

    /// The column on this side; `None` when the record does not hold it.
    fn held<'c>(self, change: &'c Change, column: &ColumnName) -> Option<&'c ColumnValue> {
        let places: [Option<&'c [ColumnValue]>; 4] = match self {
            Side::New => [change.after.as_deref(), Some(&change.key), None, None],
            // What did not change is held by the new side only.
            Side::Old => [
                change.before.as_deref(),
                change.old_key.as_deref(),
                Some(&change.key),
                change
                    .after
                    .as_deref()
                    .filter(|_| change.old_values != OldValues::Sent),
            ],
        };
        places
            .into_iter()
            .flatten()
            .flatten()
            .find(|held| held.name == *column)
    }
}

fn missing(change: &Change, column: &ColumnName) -> Definite {
    Definite::RepairNeeded {
        table: change.table.to_string(),
        detail: format!(
            "a change was published without its column {}",
            column.as_str()
        ),
    }
}

fn columns_of(width: usize, tuples: BTreeSet<Vec<String>>) -> Vec<Vec<String>> {
    let mut arrays: Vec<Vec<String>> = std::iter::repeat_with(|| Vec::with_capacity(tuples.len()))
        .take(width)
        .collect();
    for tuple in tuples {
        for (n, value) in tuple.into_iter().enumerate() {
            if let Some(array) = arrays.get_mut(n) {
                array.push(value);
            }
        }
    }
    arrays
}

#[cfg(test)]
mod tests;
