//! How a table is met from the row that it hangs on.
//! In: a link of the file, both tables. Out: the condition, and the hops from the table to the root;
//! needs and findings on the way.

use std::collections::BTreeSet;

use model::ColumnName;

use super::{Around, Walk};
use crate::catalog::Table;
use crate::compile::advice;
use crate::compile::resolved::{Hop, Meets, Place};
use crate::diagnostic::Diagnostic;
use crate::index::{Link, Through};

impl<'c> Walk<'c> {
    /// How T is met, and T's way to the root.
    pub(super) fn link(
        &mut self,
        link: &Link,
        table: &'c Table,
        key: &[ColumnName],
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<(Meets<'c>, Vec<Hop<'c>>)> {
        let (own, theirs, is_reference) = match link {
            Link::Column { column, references } => (
                column.clone(),
                references.clone().unwrap_or_else(|| key.to_vec()),
                true,
            ),
            Link::ForeignKey {
                foreign_key,
                references,
            } => (
                references.clone().unwrap_or_else(|| around.key.to_vec()),
                foreign_key.clone(),
                false,
            ),
            Link::Through(through) => return self.through(through, table, key, path, around),
        };
        self.sides(around.table, &own, table, &theirs, path)?;
        if is_reference && !table.is_unique(&theirs) {
            self.not_unique(table, &theirs, path, "references");
        }
        let routing = if is_reference && is_primary_key(table, &theirs) {
            &[][..]
        } else {
            &theirs[..]
        };
        self.need(table, routing, &theirs, path);
        self.need(around.table, &[], &own, path);
        let mut hops = vec![Hop {
            child: table,
            columns: theirs.clone(),
            parent: around.table,
            parent_columns: own.clone(),
        }];
        hops.extend_from_slice(around.hops);
        let meets = Meets::Columns {
            is_one: is_one(around.table, &own, table, &theirs),
            own,
            theirs,
        };
        Some((meets, hops))
    }

    fn through(
        &mut self,
        through: &Through,
        table: &'c Table,
        key: &[ColumnName],
        path: &str,
        around: &Around<'_, 'c>,
    ) -> Option<(Meets<'c>, Vec<Hop<'c>>)> {
        let junction = self.table(&through.table, path)?;
        let own = through
            .left_references
            .clone()
            .unwrap_or_else(|| around.key.to_vec());
        let theirs = through
            .right_references
            .clone()
            .unwrap_or_else(|| key.to_vec());
        let (left, right) = (through.left_key.clone(), through.right_key.clone());
        self.sides(around.table, &own, junction, &left, path)?;
        self.sides(junction, &right, table, &theirs, path)?;
        // The key of T was checked where it is written.
        if through.right_references.is_some() && !table.is_unique(&theirs) {
            self.not_unique(table, &theirs, path, "through.right_references");
        }
        self.need(around.table, &[], &own, path);
        self.need(junction, &left, &left, path);
        self.need(junction, &[], &right, path);
        let routing = if is_primary_key(table, &theirs) {
            &[][..]
        } else {
            &theirs[..]
        };
        self.need(table, routing, &theirs, path);
        let mut from_junction = vec![Hop {
            child: junction,
            columns: left.clone(),
            parent: around.table,
            parent_columns: own.clone(),
        }];
        from_junction.extend_from_slice(around.hops);
        let junction_key = junction.primary_key().unwrap_or_default().to_vec();
        self.places.push(Place {
            table: junction,
            key: junction_key,
            hops: from_junction.clone(),
            path: format!("{path} (junction)"),
        });
        let mut hops = vec![Hop {
            child: table,
            columns: theirs.clone(),
            parent: junction,
            parent_columns: right.clone(),
        }];
        hops.extend(from_junction);
        Some((
            Meets::Through {
                junction,
                own,
                left,
                right,
                theirs,
            },
            hops,
        ))
    }

    /// Both sides of a condition exist and pair.
    fn sides(
        &mut self,
        own_table: &'c Table,
        own: &[ColumnName],
        their_table: &'c Table,
        theirs: &[ColumnName],
        path: &str,
    ) -> Option<()> {
        if own.len() != theirs.len() {
            let names: Vec<&str> = theirs.iter().map(ColumnName::as_str).collect();
            self.findings.push(
                Diagnostic::error(
                    "E206",
                    format!(
                        "{} lists {}, but {} is met by {}: {}",
                        own_table.name.name,
                        count_columns(own.len()),
                        their_table.name.name,
                        theirs.len(),
                        names.join(", ")
                    ),
                )
                .help("list as many, in the same order")
                .at(path, None),
            );
            return None;
        }
        let mut found = Some(());
        for (at, column) in own.iter().enumerate() {
            let other = theirs.get(at);
            let own = self.used(own_table, column, path);
            let other = other.and_then(|column| self.used(their_table, column, path));
            let (Some(own), Some(other)) = (own, other) else {
                found = None;
                continue;
            };
            advice::sides(
                (own_table, own),
                (their_table, other),
                path,
                &mut self.findings,
            );
        }
        found
    }
}

/// Whether T's side is unique, and values that are equal are equal in T's own type (two numerics
/// can equal one double).
fn is_one(parent: &Table, own: &[ColumnName], table: &Table, theirs: &[ColumnName]) -> bool {
    let cast = |table: &Table, name| Some(table.column(name)?.cast.clone());
    let one: Vec<_> = own.iter().map(|name| cast(parent, name)).collect();
    let other: Vec<_> = theirs.iter().map(|name| cast(table, name)).collect();
    table.is_unique(theirs) && one == other
}

/// Whether these are the columns of the primary key, in any order: every change carries those.
pub(super) fn is_primary_key(table: &Table, columns: &[ColumnName]) -> bool {
    let set = |columns: &[ColumnName]| columns.iter().cloned().collect::<BTreeSet<_>>();
    table
        .primary_key()
        .is_some_and(|key| set(key) == set(columns))
}

fn count_columns(count: usize) -> String {
    if count == 1 {
        "1 column".to_owned()
    } else {
        format!("{count} columns")
    }
}
