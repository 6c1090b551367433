//! Types of columns: their names, the tags that accept them (after the value table of the language
//! reference, written down anew here), what they can do.

/// A base type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::language) enum Base {
    Text,
    Varchar,
    Char,
    Name,
    Citext,
    Enum,
    Uuid,
    Boolean,
    Int2,
    Int4,
    Int8,
    Oid,
    Real,
    Double,
    Numeric,
    Money,
    Date,
    Timestamp,
    Timestamptz,
    Time,
    Timetz,
    Bytea,
    Json,
    Jsonb,
    Interval,
    Inet,
    Cidr,
    Macaddr,
    Bit,
    Varbit,
    Int4range,
    Int8range,
    Numrange,
    Daterange,
    Tsrange,
    Tstzrange,
    Int4multirange,
    Datemultirange,
    Xml,
    PgLsn,
    Tsvector,
    Geometric,
}

/// Every base type.
pub(in crate::language) const BASES: [Base; 42] = [
    Base::Text,
    Base::Varchar,
    Base::Char,
    Base::Name,
    Base::Citext,
    Base::Enum,
    Base::Uuid,
    Base::Boolean,
    Base::Int2,
    Base::Int4,
    Base::Int8,
    Base::Oid,
    Base::Real,
    Base::Double,
    Base::Numeric,
    Base::Money,
    Base::Date,
    Base::Timestamp,
    Base::Timestamptz,
    Base::Time,
    Base::Timetz,
    Base::Bytea,
    Base::Json,
    Base::Jsonb,
    Base::Interval,
    Base::Inet,
    Base::Cidr,
    Base::Macaddr,
    Base::Bit,
    Base::Varbit,
    Base::Int4range,
    Base::Int8range,
    Base::Numrange,
    Base::Daterange,
    Base::Tsrange,
    Base::Tstzrange,
    Base::Int4multirange,
    Base::Datemultirange,
    Base::Xml,
    Base::PgLsn,
    Base::Tsvector,
    Base::Geometric,
];

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::language) struct Type {
    pub(in crate::language) base: Base,
    /// `(10,2)`, or nothing.
    pub(in crate::language) modifier: &'static str,
    /// Which enum, for [`Base::Enum`].
    pub(in crate::language) enumeration: usize,
    /// Which domain; all else says what is behind it.
    pub(in crate::language) domain: Option<usize>,
    pub(in crate::language) is_array: bool,
}

impl Type {
    pub(in crate::language) const fn of(base: Base) -> Self {
        Self {
            base,
            modifier: "",
            enumeration: 0,
            domain: None,
            is_array: false,
        }
    }

    pub(super) const fn with(base: Base, modifier: &'static str) -> Self {
        Self {
            modifier,
            ..Self::of(base)
        }
    }

    pub(super) fn is_text_like(self) -> bool {
        !self.is_array && self.base.is_text()
    }

    /// `=` and `<` are defined.
    pub(super) fn has_order(self) -> bool {
        !matches!(self.base, Base::Json | Base::Xml | Base::Geometric)
    }
}

impl Base {
    /// As in the statement that makes a column, without modifier. An enum's name comes from the case.
    pub(in crate::language) const fn sql(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Varchar => "varchar",
            Self::Char => "char",
            Self::Name => "name",
            Self::Citext => "citext",
            Self::Enum => "",
            Self::Uuid => "uuid",
            Self::Boolean => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "int",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Real => "real",
            Self::Double => "double precision",
            Self::Numeric => "numeric",
            Self::Money => "money",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Timestamptz => "timestamptz",
            Self::Time => "time",
            Self::Timetz => "timetz",
            Self::Bytea => "bytea",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Interval => "interval",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::Macaddr => "macaddr",
            Self::Bit => "bit",
            Self::Varbit => "varbit",
            Self::Int4range => "int4range",
            Self::Int8range => "int8range",
            Self::Numrange => "numrange",
            Self::Daterange => "daterange",
            Self::Tsrange => "tsrange",
            Self::Tstzrange => "tstzrange",
            Self::Int4multirange => "int4multirange",
            Self::Datemultirange => "datemultirange",
            Self::Xml => "xml",
            Self::PgLsn => "pg_lsn",
            Self::Tsvector => "tsvector",
            Self::Geometric => "point",
        }
    }

    /// The tags that accept it.
    pub(in crate::language) const fn tags(self) -> &'static [&'static str] {
        match self {
            Self::Text | Self::Varchar | Self::Char | Self::Name | Self::Citext | Self::Enum => {
                &["text", "identifier", "keyword", "enum"]
            }
            Self::Uuid => &["uuid", "keyword"],
            Self::Boolean => &["boolean", "keyword"],
            Self::Int2 => &["short", "integer", "long", "double", "decimal", "keyword"],
            Self::Int4 => &["integer", "long", "double", "decimal", "keyword"],
            Self::Int8 | Self::Oid => &["long", "decimal", "keyword"],
            Self::Real => &["float", "double", "keyword"],
            Self::Double => &["double", "keyword"],
            Self::Numeric | Self::Money => &["decimal", "keyword"],
            Self::Date => &["date", "keyword"],
            Self::Timestamp | Self::Timestamptz => &["timestamp", "keyword"],
            Self::Time | Self::Timetz => &["time", "keyword", "timestamp"],
            Self::Bytea => &["binary"],
            Self::Json | Self::Jsonb => &["json"],
            Self::Interval
            | Self::Inet
            | Self::Cidr
            | Self::Macaddr
            | Self::Bit
            | Self::Varbit
            | Self::Int4range
            | Self::Int8range
            | Self::Numrange
            | Self::Daterange
            | Self::Tsrange
            | Self::Tstzrange
            | Self::Int4multirange
            | Self::Datemultirange
            | Self::Xml
            | Self::PgLsn
            | Self::Tsvector
            | Self::Geometric => &["keyword"],
        }
    }

    pub(in crate::language) const fn is_text(self) -> bool {
        matches!(
            self,
            Self::Text | Self::Varchar | Self::Char | Self::Name | Self::Citext
        )
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(
            self,
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Real | Self::Double | Self::Numeric
        )
    }

    /// The type of its sum; `None` when there is none that a tag accepts.
    pub(super) const fn sum(self) -> Option<Self> {
        match self {
            Self::Int2 | Self::Int4 => Some(Self::Int8),
            Self::Int8 | Self::Numeric => Some(Self::Numeric),
            Self::Money => Some(Self::Money),
            Self::Real => Some(Self::Real),
            Self::Double => Some(Self::Double),
            _ => None,
        }
    }

    /// `custom`: spellings of the type, and mappings that hold its values.
    pub(super) const fn custom(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Text => (&["text", "TEXT", "pg_catalog.text"], &["keyword", "text"]),
            Self::Varchar => (&["varchar", "character varying"], &["keyword", "text"]),
            Self::Boolean => (&["bool", "boolean"], &["boolean", "keyword"]),
            Self::Int4 => (&["int4", "integer", "int"], &["integer", "long"]),
            Self::Int8 => (&["bigint", "int8"], &["long"]),
            Self::Double => (&["float8", "double precision"], &["double"]),
            Self::Numeric => (&["numeric", "decimal"], &["double", "keyword"]),
            Self::Date => (&["date"], &["date"]),
            Self::Timestamptz => (&["timestamptz", "timestamp with time zone"], &["date"]),
            Self::Inet => (&["inet"], &["ip", "keyword"]),
            Self::Int4range => (&["int4range"], &["integer_range"]),
            Self::Int8range => (&["int8range"], &["long_range"]),
            Self::Numrange => (&["numrange"], &["double_range"]),
            Self::Daterange => (&["daterange"], &["date_range"]),
            Self::Tsrange => (&["tsrange"], &["date_range"]),
            Self::Tstzrange => (&["tstzrange"], &["date_range"]),
            Self::Int4multirange => (&["int4multirange"], &["integer_range"]),
            Self::Datemultirange => (&["datemultirange"], &["date_range"]),
            Self::Uuid => (&["uuid"], &["keyword"]),
            Self::Bytea => (&["bytea"], &["binary"]),
            _ => (&[], &[]),
        }
    }
}
