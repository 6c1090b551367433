//! Which old values a replica identity carries, and whether that is enough.

use std::collections::BTreeSet;

use model::ColumnName;

/// The columns whose old values the log carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Every column.
    All,
    /// These.
    Columns(BTreeSet<ColumnName>),
}

impl Coverage {
    /// `true` when the old value of `column` is carried.
    #[must_use]
    pub fn covers(&self, column: &ColumnName) -> bool {
        match self {
            Coverage::All => true,
            Coverage::Columns(columns) => columns.contains(column),
        }
    }

    /// What both carry.
    #[must_use]
    pub fn intersect(&self, other: &Coverage) -> Coverage {
        match (self, other) {
            (Coverage::All, columns) | (columns, Coverage::All) => columns.clone(),
            (Coverage::Columns(one), Coverage::Columns(other)) => {
                Coverage::Columns(one.intersection(other).cloned().collect())
            }
        }
    }
}

/// A replica identity as the catalog states it, of one leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// `DEFAULT`, with the primary key of the leaf; empty when it has none.
    Default(BTreeSet<ColumnName>),
    /// `USING INDEX`, with the columns of the index; empty when the index has
    /// been dropped since.
    Index(BTreeSet<ColumnName>),
    /// `FULL`.
    Full,
    /// `NOTHING`.
    Nothing,
}

impl Identity {
    /// How SQL calls it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Identity::Default(_) => "DEFAULT",
            Identity::Index(_) => "USING INDEX",
            Identity::Full => "FULL",
            Identity::Nothing => "NOTHING",
        }
    }

    /// `true` when the application's own UPDATE and DELETE would fail as soon
    /// as the table is published: the server has nothing to name a row by.
    #[must_use]
    pub fn names_no_row(&self) -> bool {
        match self {
            Identity::Default(columns) | Identity::Index(columns) => columns.is_empty(),
            Identity::Full => false,
            Identity::Nothing => true,
        }
    }

    /// `true` when it carries what a table with this primary key and these
    /// routing columns needs, so that former parents can be found.
    #[must_use]
    pub fn suffices<'a>(
        &self,
        primary_key: &'a [ColumnName],
        routing: impl IntoIterator<Item = &'a ColumnName>,
    ) -> bool {
        match self {
            Identity::Full => true,
            Identity::Nothing => false,
            // Without a primary key rows are told apart by their routing
            // columns, which need not differ: only all columns name a row.
            Identity::Default(_) | Identity::Index(_) if primary_key.is_empty() => false,
            Identity::Default(columns) | Identity::Index(columns) => primary_key
                .iter()
                .chain(routing)
                .all(|column| columns.contains(column)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> BTreeSet<ColumnName> {
        names.iter().map(|name| ColumnName::new(*name)).collect()
    }

    fn list(names: &[&str]) -> Vec<ColumnName> {
        names.iter().map(|name| ColumnName::new(*name)).collect()
    }

    #[test]
    fn the_identity_that_is_enough_is_the_one_of_the_table_in_the_language() {
        let id = || columns(&["id"]);
        let index = || columns(&["id", "show_id"]);
        for (identity, key, routing, enough) in [
            // No routing columns, or all of them in the key.
            (Identity::Default(id()), &["id"][..], &[][..], true),
            (Identity::Full, &["id"], &[], true),
            (Identity::Index(index()), &["id"], &[], true),
            (Identity::Index(columns(&["email"])), &["id"], &[], false),
            (
                Identity::Default(columns(&["a", "b"])),
                &["a", "b"],
                &["a"],
                true,
            ),
            // Others.
            (Identity::Default(id()), &["id"], &["show_id"], false),
            (Identity::Full, &["id"], &["show_id"], true),
            (Identity::Index(index()), &["id"], &["show_id"], true),
            (
                Identity::Index(columns(&["show_id"])),
                &["id"],
                &["show_id"],
                false,
            ),
            // No primary key.
            (Identity::Default(columns(&[])), &[], &["show_id"], false),
            (
                Identity::Index(columns(&["show_id"])),
                &[],
                &["show_id"],
                false,
            ),
            (Identity::Full, &[], &["show_id"], true),
            // Never enough.
            (Identity::Nothing, &["id"], &[], false),
        ] {
            assert_eq!(
                identity.suffices(&list(key), &list(routing)),
                enough,
                "{identity:?} for key {key:?} and routing {routing:?}"
            );
        }
    }

    #[test]
    fn an_identity_without_columns_would_break_the_applications_updates() {
        assert!(Identity::Nothing.names_no_row());
        assert!(Identity::Default(columns(&[])).names_no_row());
        assert!(Identity::Index(columns(&[])).names_no_row());
        assert!(!Identity::Default(columns(&["id"])).names_no_row());
        assert!(!Identity::Full.names_no_row());
    }
}
