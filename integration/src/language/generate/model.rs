//! The typed form of a case. Tables and columns are named by their place in their lists; what
//! shrinking removes stays in its list, marked.

use super::types::Type;
use super::yaml::Yaml;
use crate::language::case::Size;

/// A case before its texts.
#[derive(Clone, Debug)]
pub(in crate::language) struct Plan {
    pub(in crate::language) seed: u64,
    pub(in crate::language) size: Size,
    pub(in crate::language) has_citext: bool,
    pub(in crate::language) enums: Vec<EnumType>,
    pub(in crate::language) domains: Vec<Domain>,
    pub(in crate::language) tables: Vec<Table>,
    pub(in crate::language) rows: Vec<Op>,
    pub(in crate::language) indexes: Vec<Index>,
    pub(in crate::language) steps: Vec<Transaction>,
    /// How many ways to make it smaller were tried on the larger case that it was cut from.
    pub(in crate::language) cuts_tried: usize,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct EnumType {
    pub(in crate::language) schema: &'static str,
    pub(in crate::language) name: String,
    pub(in crate::language) labels: Vec<String>,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Domain {
    pub(in crate::language) schema: &'static str,
    pub(in crate::language) name: String,
    /// May be an array, or another domain.
    pub(in crate::language) of: Type,
    pub(in crate::language) has_check: bool,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Table {
    pub(in crate::language) schema: &'static str,
    pub(in crate::language) name: String,
    pub(in crate::language) columns: Vec<Column>,
    /// In the order of the constraint; empty when there is none.
    pub(in crate::language) key: Vec<usize>,
    pub(in crate::language) uniques: Vec<Unique>,
    pub(in crate::language) relations: Vec<Relation>,
    pub(in crate::language) partition: Option<Partition>,
    pub(in crate::language) identity: Identity,
    /// A column was there once: column numbers have a gap.
    pub(in crate::language) has_dropped_column: bool,
    pub(in crate::language) is_removed: bool,
}

/// A unique constraint or index.
#[derive(Clone, Debug)]
pub(in crate::language) struct Unique {
    pub(in crate::language) columns: Vec<usize>,
    pub(in crate::language) is_index: bool,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Column {
    pub(in crate::language) name: String,
    pub(in crate::language) ty: Type,
    pub(in crate::language) not_null: bool,
    pub(in crate::language) generated: Option<Generated>,
    pub(in crate::language) role: Role,
    /// Values are stored outside the row when they are long, uncompressed.
    pub(in crate::language) is_external: bool,
    /// What rows and filters draw from, most of the time.
    pub(in crate::language) palette: Vec<Literal>,
    pub(in crate::language) is_removed: bool,
}

/// A generated column: `before` column `after`.
#[derive(Clone, Debug)]
pub(in crate::language) struct Generated {
    pub(in crate::language) of: usize,
    pub(in crate::language) before: &'static str,
    pub(in crate::language) after: &'static str,
}

/// What values of a column look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::language) enum Role {
    Data,
    /// Part of a key, unique constraint or relation.
    Key,
    Latitude,
    Longitude,
    /// A point in a form that OpenSearch reads.
    Point,
    /// A JSON object whose values fit this tag.
    Map(&'static str),
}

/// Rows of this table name rows of another.
#[derive(Clone, Debug)]
pub(in crate::language) struct Relation {
    pub(in crate::language) columns: Vec<usize>,
    pub(in crate::language) table: usize,
    pub(in crate::language) references: Vec<usize>,
    /// Its actions, when there is a constraint.
    pub(in crate::language) declared: Option<Actions>,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::language) struct Actions {
    pub(in crate::language) on_delete: &'static str,
    pub(in crate::language) on_update: &'static str,
    pub(in crate::language) is_deferred: bool,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Partition {
    pub(in crate::language) column: usize,
    pub(in crate::language) kind: PartitionKind,
}

#[derive(Clone, Debug)]
pub(in crate::language) enum PartitionKind {
    /// So many leaves.
    Hash(usize),
    /// One leaf with these values, one with the rest.
    List(Vec<String>),
    /// A leaf below, a partitioned leaf from there on.
    Range(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::language) enum Identity {
    Default,
    Full,
    /// By the index of this unique constraint.
    Index(usize),
}

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::language) enum Literal {
    Null,
    Text(String),
    /// About 2400 bytes: as long as an index allows.
    LongKey(usize),
    /// About 10 kB that do not compress, as an SQL expression around it.
    Toasted(usize, &'static str),
}

/// What a column is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::language) enum Set {
    To(Literal),
    /// Itself, or another column of the row.
    Column(usize),
    /// `before` the column itself `after`.
    From(&'static str, &'static str),
}

/// Which rows a statement touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::language) enum Matching {
    All,
    /// Those whose columns hold these values.
    Values(Vec<(usize, Literal)>),
    /// Any one row.
    AnyOne,
}

#[derive(Clone, Debug)]
pub(in crate::language) enum Op {
    Insert {
        table: usize,
        columns: Vec<usize>,
        rows: Vec<Vec<Literal>>,
        conflict: Conflict,
    },
    Update {
        table: usize,
        set: Vec<(usize, Set)>,
        matching: Matching,
    },
    Delete {
        table: usize,
        matching: Matching,
    },
    Savepoint(usize),
    RollbackTo(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::language) enum Conflict {
    Fails,
    DoNothing,
    /// On these columns, these take the new values.
    Update(Vec<usize>, Vec<usize>),
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Transaction {
    pub(in crate::language) ops: Vec<Op>,
    pub(in crate::language) commit: bool,
}

/// One file.
#[derive(Clone, Debug)]
pub(in crate::language) struct Index {
    pub(in crate::language) name: String,
    pub(in crate::language) root: usize,
    /// As written; else the primary key.
    pub(in crate::language) primary_key: Option<Vec<usize>>,
    pub(in crate::language) soft_delete: Option<SoftDelete>,
    pub(in crate::language) filters: Vec<Filter>,
    pub(in crate::language) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct SoftDelete {
    pub(in crate::language) column: usize,
    /// Written as the name of this field.
    pub(in crate::language) field: Option<String>,
    pub(in crate::language) when: Vec<Filter>,
}

#[derive(Clone, Debug)]
pub(in crate::language) enum Filter {
    Column {
        column: usize,
        op: &'static str,
        value: Option<Yaml>,
    },
    Raw(Vec<Piece>),
}

/// A piece of a raw condition.
#[derive(Clone, Debug)]
pub(in crate::language) enum Piece {
    Sql(String),
    Column(usize),
    /// The column with its table's name before it.
    Qualified(usize),
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Field {
    pub(in crate::language) name: String,
    pub(in crate::language) kind: Kind,
    pub(in crate::language) options: Option<Yaml>,
}

#[derive(Clone, Debug)]
pub(in crate::language) enum Kind {
    Scalar(Scalar),
    /// Latitude and longitude.
    Point {
        lat: usize,
        lon: usize,
        required: Option<bool>,
    },
    PointColumn {
        column: usize,
        required: Option<bool>,
    },
    Map {
        column: usize,
        values: &'static str,
        required: Option<bool>,
    },
    Object(Vec<Field>),
    Constant(Yaml),
    Join(Join),
    Aggregate(Aggregate),
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Scalar {
    pub(in crate::language) tag: &'static str,
    pub(in crate::language) column: usize,
    pub(in crate::language) required: Option<bool>,
    pub(in crate::language) transforms: Vec<&'static str>,
    pub(in crate::language) default: Option<Yaml>,
    pub(in crate::language) variants: Option<Vec<String>>,
    /// `postgres` and `opensearch` of a custom field.
    pub(in crate::language) custom: Option<(Vec<&'static str>, Yaml)>,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Join {
    pub(in crate::language) verb: &'static str,
    pub(in crate::language) table: usize,
    /// As written; else the primary key.
    pub(in crate::language) primary_key: Option<Vec<usize>>,
    pub(in crate::language) link: Link,
    pub(in crate::language) filters: Vec<Filter>,
    pub(in crate::language) order_by: Vec<Order>,
    pub(in crate::language) limit: Option<usize>,
    pub(in crate::language) required: Option<bool>,
    pub(in crate::language) fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Order {
    pub(in crate::language) column: usize,
    pub(in crate::language) direction: Option<&'static str>,
    pub(in crate::language) nulls: Option<&'static str>,
}

/// How P and T meet.
#[derive(Clone, Debug)]
pub(in crate::language) enum Link {
    /// T's `theirs` = P's `own`; written as `column` and `references`.
    Column { own: Vec<usize>, theirs: Vec<usize> },
    /// T's `theirs` = P's `own`; written as `foreign_key` and `references`.
    ForeignKey { own: Vec<usize>, theirs: Vec<usize> },
    Through {
        junction: usize,
        own: Vec<usize>,
        left: Vec<usize>,
        right: Vec<usize>,
        theirs: Vec<usize>,
    },
}

#[derive(Clone, Debug)]
pub(in crate::language) struct Aggregate {
    pub(in crate::language) figure: &'static str,
    pub(in crate::language) table: usize,
    pub(in crate::language) link: Link,
    pub(in crate::language) column: Option<usize>,
    /// `value_type` or `element_type`.
    pub(in crate::language) result: Option<&'static str>,
    pub(in crate::language) primary_key: Option<Vec<usize>>,
    pub(in crate::language) filters: Vec<Filter>,
}

impl Plan {
    pub(in crate::language) fn table(&self, at: usize) -> &Table {
        #[expect(
            clippy::indexing_slicing,
            reason = "numbers of tables come from this list"
        )]
        &self.tables[at]
    }
}

impl Table {
    pub(in crate::language) fn column(&self, at: usize) -> &Column {
        #[expect(
            clippy::indexing_slicing,
            reason = "numbers of columns come from this list"
        )]
        &self.columns[at]
    }

    /// Columns that statements may set.
    pub(in crate::language) fn writable(&self) -> Vec<usize> {
        self.existing()
            .filter(|at| self.column(*at).generated.is_none())
            .collect()
    }

    /// Columns that were not removed.
    pub(in crate::language) fn existing(&self) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().enumerate();
        columns
            .filter(|(_, column)| !column.is_removed)
            .map(|(at, _)| at)
    }

    /// Keys that a file may give: the primary key, unique columns that are all NOT NULL.
    pub(in crate::language) fn keys(&self) -> Vec<Vec<usize>> {
        let uniques = self.uniques.iter().map(|unique| unique.columns.clone());
        std::iter::once(self.key.clone())
            .filter(|key| !key.is_empty())
            .chain(uniques.filter(|columns| columns.iter().all(|at| self.column(*at).not_null)))
            .collect()
    }

    /// Whether a unique index has exactly these columns.
    pub(in crate::language) fn is_unique(&self, columns: &[usize]) -> bool {
        let sorted = |columns: &[usize]| {
            let mut columns = columns.to_vec();
            columns.sort_unstable();
            columns
        };
        let wanted = sorted(columns);
        (!self.key.is_empty() && sorted(&self.key) == wanted)
            || self
                .uniques
                .iter()
                .any(|unique| sorted(&unique.columns) == wanted)
    }

    /// Whether a table may be T of a join.
    pub(in crate::language) fn has_key(&self) -> bool {
        !self.keys().is_empty()
    }
}
