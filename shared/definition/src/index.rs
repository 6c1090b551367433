//! What a `*.schema.yml` says, after every rule that needs no database was checked.
//! In: built by `check` from the raw file, or read back from its canonical JSON (`canonical`).
//! Out: the input of `compile` and `mapping`.
//! Must hold: identifiers are exact (as Postgres stores them), defaults that need no catalog are filled in.
//! Must not: know positions in a file; `check` keeps them beside the definition in a [`crate::Spans`].

use model::{ColumnName, TableName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A search document: its root table, its filters and its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexDefinition {
    /// The root table: one document per row.
    pub root: TableName,
    /// The document key as written; `None` means the root's primary key.
    pub primary_key: Option<Vec<ColumnName>>,
    /// When a root row counts as deleted.
    pub soft_delete: Option<SoftDelete>,
    /// Conditions a root row must meet to have a document.
    pub filters: Vec<Filter>,
    /// Members of the document, in the order of the file.
    pub fields: Vec<Field>,
}

/// A root row counts as deleted when its marker is set and every `when` is true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftDelete {
    /// The marker: boolean means *is true*, any other type *is not null*.
    pub column: ColumnName,
    /// Further conditions; one that is NULL is not true, so the row stays.
    pub when: Vec<Filter>,
}

/// One member of a JSON object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The document key, case kept.
    pub name: String,
    /// What is written there.
    pub kind: FieldKind,
    /// Mapping parameters laid over the derived ones.
    pub options: serde_json::Map<String, Value>,
}

/// The tag of a field with its siblings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FieldKind {
    /// A value of one column.
    Scalar(Scalar),
    /// A json(b) column whose keys are mapped like fields of one tag.
    Map {
        /// The json or jsonb column.
        column: ColumnName,
        /// Tag of each value.
        values: Tag,
        /// The value is never null.
        required: bool,
    },
    /// A point, from two numeric columns or one text-like column.
    Geo {
        /// Where it is read.
        source: GeoSource,
        /// The value is never null.
        required: bool,
    },
    /// Nested members over the same row.
    Object(Vec<Field>),
    /// A fixed value, written with its own JSON type.
    Constant(Value),
    /// T.`references` = P.`column`: an object or null.
    BelongsTo(Join),
    /// T.`foreign_key` = P.`references`, the first row in order: an object or null.
    HasOne(Join),
    /// T.`foreign_key` = P.`references`: an array.
    HasMany(Join),
    /// Over a junction: an array, each T row once.
    ManyToMany(Join),
    /// A figure over related rows.
    Aggregate(Aggregate),
}

/// A scalar field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scalar {
    /// Its type tag.
    pub tag: Tag,
    /// The column it reads.
    pub column: ColumnName,
    /// The value is never null (metadata and `check` only).
    pub required: bool,
    /// Text transforms, in order.
    pub transforms: Vec<Transform>,
    /// Replaces null.
    pub default: Option<Value>,
    /// `enum` only: the sort order.
    pub variants: Option<Vec<String>>,
    /// `custom` only: (accepted Postgres types, OpenSearch mapping).
    pub custom: Option<Custom>,
}

/// Types and mapping of a `custom` field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custom {
    /// Accepted column types, without modifiers.
    pub postgres: Vec<String>,
    /// The mapping, with its `type`.
    pub opensearch: serde_json::Map<String, Value>,
}

/// Where a geo field reads its point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GeoSource {
    /// Two numeric columns.
    LatLon {
        /// Latitude.
        lat: ColumnName,
        /// Longitude.
        lon: ColumnName,
    },
    /// One json(b) or text column.
    Column(ColumnName),
}

/// Scalar type tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the variants are the words of the language")]
pub enum Tag {
    Text,
    Identifier,
    Keyword,
    Enum,
    Uuid,
    Time,
    Boolean,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Binary,
    Decimal,
    Date,
    Timestamp,
    Json,
    Custom,
}

/// A text transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Transform {
    /// SQL `lower`.
    Lowercase,
    /// ASCII white space off both ends.
    Trim,
}

/// A join: T hangs on the row P around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// T.
    pub table: TableName,
    /// The key of T as written; `None` means its primary key.
    pub primary_key: Option<Vec<ColumnName>>,
    /// How T and P meet.
    pub link: Link,
    /// Conditions on T.
    pub filters: Vec<Filter>,
    /// Order of T rows; the key of T ascending is always appended.
    pub order_by: Vec<Order>,
    /// At most so many rows, after filters and order.
    pub limit: Option<u64>,
    /// `belongs_to` and `has_one`: the value is never null.
    pub required: bool,
    /// Members of the joined object, at least one.
    pub fields: Vec<Field>,
}

/// Columns through which two tables meet. `None` stands for a key that the catalog resolves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Link {
    /// `belongs_to`: T.`references` = P.`column`.
    Column {
        /// Columns of P.
        column: Vec<ColumnName>,
        /// Columns of T; default: the key of T.
        references: Option<Vec<ColumnName>>,
    },
    /// `has_one`, `has_many`, aggregates: T.`foreign_key` = P.`references`.
    ForeignKey {
        /// Columns of T.
        foreign_key: Vec<ColumnName>,
        /// Columns of P; default: the key of P.
        references: Option<Vec<ColumnName>>,
    },
    /// `many_to_many`, aggregates: over a junction row J.
    Through(Through),
}

/// J.`left_key` = P.`left_references`, J.`right_key` = T.`right_references`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Through {
    /// J.
    pub table: TableName,
    /// Columns of J that name P.
    pub left_key: Vec<ColumnName>,
    /// Columns of J that name T.
    pub right_key: Vec<ColumnName>,
    /// Columns of P; default: the key of P.
    pub left_references: Option<Vec<ColumnName>>,
    /// Columns of T; default: the key of T.
    pub right_references: Option<Vec<ColumnName>>,
}

/// A figure over related rows: T rows count once each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// Which figure.
    pub function: AggregateFunction,
    /// T.
    pub table: TableName,
    /// `ForeignKey` or `Through`, never `Column`.
    pub link: Link,
    /// Conditions on T.
    pub filters: Vec<Filter>,
}

/// Which figure, with what it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AggregateFunction {
    /// Number of rows.
    Count,
    /// Mean of a column, a double.
    Avg(ColumnName),
    /// Sum of a column, of a scalar tag.
    Sum(ColumnName, Tag),
    /// Least value, of a scalar tag.
    Min(ColumnName, Tag),
    /// Greatest value, of a scalar tag.
    Max(ColumnName, Tag),
    /// Keys of T, ascending.
    Ids {
        /// The key of T as written; `None` means its primary key.
        primary_key: Option<Vec<ColumnName>>,
        /// Tag of each element.
        element: Tag,
    },
}

/// One order term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Column of T.
    pub column: ColumnName,
    /// Descending.
    pub descending: bool,
    /// NULLs first (default: last ascending, first descending).
    pub nulls_first: bool,
}

/// A condition on one table; NULL is not true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Filter {
    /// A column against values.
    Column {
        /// The column.
        column: ColumnName,
        /// The operator with its values as written.
        op: FilterOp,
    },
    /// An SQL condition over the filtered table alone.
    Raw(String),
}

/// An operator with its values: scalars as written (text, number, boolean).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the variants are the words of the language")]
pub enum FilterOp {
    IsNull,
    IsNotNull,
    Eq(Value),
    Neq(Value),
    Lt(Value),
    Lte(Value),
    Gt(Value),
    Gte(Value),
    Like(String),
    Ilike(String),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Between(Value, Value),
}
