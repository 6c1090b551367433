//! A definition against a database: each member with the table and columns that it reads.
//! Made by `place`; read by `route` and `sql`.

use model::ColumnName;

use super::{KeyColumn, cast_of};
use crate::catalog::{Column, Table};
use crate::index::{AggregateFunction, FieldKind, Filter, Order, SoftDelete};

/// One step from a row towards the root: rows of `parent` whose `parent_columns` equal the row's
/// `columns`.
#[derive(Debug, Clone)]
pub(super) struct Hop<'c> {
    pub(super) child: &'c Table,
    pub(super) columns: Vec<ColumnName>,
    pub(super) parent: &'c Table,
    pub(super) parent_columns: Vec<ColumnName>,
}

/// One occurrence of a table.
#[derive(Debug, Clone)]
pub(super) struct Place<'c> {
    pub(super) table: &'c Table,
    /// The key that its rows go by; empty for a junction without one.
    pub(super) key: Vec<ColumnName>,
    /// The way to the root; empty for the root itself.
    pub(super) hops: Vec<Hop<'c>>,
    /// Where in the document: `hall.venue`.
    pub(super) path: String,
}

/// A row that fields are read from, resolved.
#[derive(Debug)]
pub(super) struct Level<'c> {
    pub(super) table: &'c Table,
    pub(super) key: Vec<ColumnName>,
    pub(super) members: Vec<Member<'c>>,
    pub(super) filters: Vec<Filter>,
    pub(super) soft_delete: Option<SoftDelete>,
}

/// A member of a document, resolved.
#[derive(Debug)]
pub(super) struct Member<'c> {
    pub(super) name: String,
    pub(super) value: MemberValue<'c>,
}

/// What is written there.
#[derive(Debug)]
pub(super) enum MemberValue<'c> {
    Column {
        column: &'c Column,
        field: FieldKind,
    },
    Geo {
        lat: &'c Column,
        lon: &'c Column,
    },
    Constant(serde_json::Value),
    Object(Vec<Member<'c>>),
    One {
        meets: Meets<'c>,
        level: Level<'c>,
        order: Vec<Order>,
    },
    Many {
        meets: Meets<'c>,
        level: Level<'c>,
        order: Vec<Order>,
        limit: Option<u64>,
    },
    Figure {
        meets: Meets<'c>,
        table: &'c Table,
        key: Vec<ColumnName>,
        filters: Vec<Filter>,
        function: AggregateFunction,
    },
}

/// How the rows of T are found from P.
#[derive(Debug)]
pub(super) enum Meets<'c> {
    /// T.`theirs` = P.`own`.
    Columns {
        own: Vec<ColumnName>,
        theirs: Vec<ColumnName>,
        /// At most one row of T meets a row of P.
        is_one: bool,
    },
    /// Over a junction.
    Through {
        junction: &'c Table,
        own: Vec<ColumnName>,
        left: Vec<ColumnName>,
        right: Vec<ColumnName>,
        theirs: Vec<ColumnName>,
    },
}

impl Level<'_> {
    pub(super) fn key_columns(&self) -> Vec<KeyColumn> {
        self.key
            .iter()
            .map(|name| KeyColumn {
                name: name.clone(),
                cast: cast_of(self.table, name),
            })
            .collect()
    }
}
