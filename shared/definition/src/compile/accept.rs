//! Which types a field accepts: the value table of the language reference, read from the tag's side.

use model::ColumnName;

use crate::catalog::{BaseType, Column, Table, TypeKind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::index::{AggregateFunction, FieldKind, Scalar, Tag};

/// Types that figures are made of.
const NUMBERS: [&str; 7] = [
    "int2", "int4", "int8", "float4", "float8", "numeric", "money",
];

/// Tags of numbers.
const NUMBER_TAGS: [Tag; 6] = [
    Tag::Short,
    Tag::Integer,
    Tag::Long,
    Tag::Float,
    Tag::Double,
    Tag::Decimal,
];

/// Checks that a field accepts its column's type.
pub(super) fn accepts(
    table: &Table,
    column: &Column,
    field: &FieldKind,
    path: &str,
    findings: &mut Diagnostics,
) {
    let (word, fits, use_instead) = match field {
        FieldKind::Scalar(Scalar {
            tag: Tag::Custom,
            custom: Some(custom),
            ..
        }) => {
            let named = custom.postgres.iter().any(|name| same_type(name, column));
            let advice = if has_no_form(&column.base) {
                "expose what is to be found as columns of other types".to_owned()
            } else {
                format!("list {} under postgres", column.type_name)
            };
            ("custom", named && !has_no_form(&column.base), advice)
        }
        FieldKind::Scalar(Scalar { tag, .. }) => (
            word(*tag),
            tag_accepts(*tag, &column.base),
            advice(&column.base),
        ),
        FieldKind::Map { .. } => (
            "map",
            !column.is_array && is(&column.base, &["json", "jsonb"]),
            "use a json or jsonb column".to_owned(),
        ),
        FieldKind::Geo { .. } => (
            "geo",
            !column.is_array && (is(&column.base, &["json", "jsonb"]) || is_text(&column.base)),
            "use two numeric columns, or expose a generated column".to_owned(),
        ),
        FieldKind::Object(_)
        | FieldKind::Constant(_)
        | FieldKind::BelongsTo(_)
        | FieldKind::HasOne(_)
        | FieldKind::HasMany(_)
        | FieldKind::ManyToMany(_)
        | FieldKind::Aggregate(_) => return,
    };
    if !fits {
        findings.push(refusal(table, column, word, use_instead).at(path, None));
    }
}

/// Checks that a figure can be computed over a column, and that its result has the tag's type.
pub(super) fn figure(
    table: &Table,
    column: &Column,
    function: &AggregateFunction,
    path: &str,
    findings: &mut Diagnostics,
) {
    let takes_numbers = !column.is_array && is(&column.base, &NUMBERS);
    let (word, fits, tag) = match function {
        AggregateFunction::Count | AggregateFunction::Ids { .. } => return,
        AggregateFunction::Avg(_) => ("avg", takes_numbers, None),
        AggregateFunction::Sum(_, tag) => ("sum", takes_numbers, Some(*tag)),
        AggregateFunction::Min(_, tag) => ("min", has_order(column), Some(*tag)),
        AggregateFunction::Max(_, tag) => ("max", has_order(column), Some(*tag)),
    };
    if !fits {
        let help = "use a column of a type that it is defined for";
        findings.push(refusal(table, column, word, help.to_owned()).at(path, Some("column")));
        return;
    }
    let Some(tag) = tag else { return };
    let result = match function {
        AggregateFunction::Sum(..) => sum_of(&column.base),
        AggregateFunction::Count
        | AggregateFunction::Avg(_)
        | AggregateFunction::Min(..)
        | AggregateFunction::Max(..)
        | AggregateFunction::Ids { .. } => column.base.clone(),
    };
    if tag_accepts(tag, &result) {
        return;
    }
    let message = format!(
        "{word} of {}.{} is {}, which `{}` does not accept",
        table.name,
        column.name.as_str(),
        result.name,
        self::word(tag)
    );
    // A number tag that is too narrow: OpenSearch refuses what does not fit.
    if is(&result, &NUMBERS) && NUMBER_TAGS.contains(&tag) {
        let message = message.replace("does not accept", "may not hold");
        findings.push(Diagnostic::warning("W332", message).at(path, Some("value_type")));
    } else {
        let finding = Diagnostic::error("E301", message).help(advice(&result));
        findings.push(finding.at(path, Some("value_type")));
    }
}

/// Checks that `ids` can write the key of T.
pub(super) fn ids(
    table: &Table,
    key: &[ColumnName],
    element: Tag,
    path: &str,
    findings: &mut Diagnostics,
) {
    let finding = match key {
        [only] => match table.column(only) {
            Some(column) if !tag_accepts(element, &column.base) => {
                refusal(table, column, word(element), advice(&column.base))
            }
            Some(_) | None => return,
        },
        [] => return,
        _ if element == Tag::Keyword => return,
        _ => Diagnostic::error(
            "E301",
            format!(
                "the key of {} has several columns, which `{}` does not accept",
                table.name,
                word(element)
            ),
        )
        .help("use keyword"),
    };
    findings.push(finding.at(path, Some("element_type")));
}

/// Checks that two numbers make a point.
pub(super) fn point(table: &Table, columns: [&Column; 2], path: &str, findings: &mut Diagnostics) {
    for column in columns {
        let is_number = is(&column.base, &NUMBERS) && column.base.name != "money";
        if column.is_array || !is_number {
            let help = "use two numeric columns, or expose a generated column";
            findings.push(refusal(table, column, "geo", help.to_owned()).at(path, None));
        }
    }
}

fn refusal(table: &Table, column: &Column, word: &str, help: String) -> Diagnostic {
    Diagnostic::error(
        "E301",
        format!(
            "{}.{} is {}, which `{word}` does not accept",
            table.name,
            column.name.as_str(),
            column.type_name
        ),
    )
    .help(help)
    .naming(column.name.as_str())
}

/// The type of a sum.
pub(super) fn sum_of(base: &BaseType) -> BaseType {
    let name = match base.name.as_str() {
        "int2" | "int4" => "int8",
        "int8" => "numeric",
        other => other,
    };
    BaseType {
        name: name.to_owned(),
        ..base.clone()
    }
}

/// Whether values have an order, and one value is one value.
fn has_order(column: &Column) -> bool {
    const WITHOUT: [&str; 11] = [
        "json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "xid", "cid",
    ];
    !column.is_array && !has_no_form(&column.base) && !is(&column.base, &WITHOUT)
}

/// Whether values of two columns can be compared with `=`.
pub(super) fn comparable(one: &Column, other: &Column) -> bool {
    const GROUPS: [&[&str]; 5] = [
        &["int2", "int4", "int8", "oid"],
        &["int2", "int4", "int8", "numeric", "float4", "float8"],
        &["text", "varchar", "bpchar", "name"],
        &["date", "timestamp", "timestamptz"],
        &["inet", "cidr"],
    ];
    if one.is_array || other.is_array {
        return one.cast == other.cast;
    }
    let (one, other) = (&one.base, &other.base);
    (one.schema == other.schema && one.name == other.name)
        || (is_text(one) && is_text(other))
        || GROUPS
            .iter()
            .any(|names| is(one, names) && is(other, names))
}

fn same_type(name: &str, column: &Column) -> bool {
    let plain = |text: &str| {
        text.trim()
            .to_lowercase()
            .split('(')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let base = &column.base;
    let written = plain(name);
    // A type is taken for arrays of it, too.
    let name = match written.strip_suffix("[]") {
        Some(element) if column.is_array => element.trim(),
        Some(_) | None => written.as_str(),
    };
    [
        plain(&column.type_name),
        base.name.to_lowercase(),
        format!("{}.{}", base.schema, base.name).to_lowercase(),
        column.cast.to_lowercase(),
    ]
    .iter()
    .any(|known| known == name || *known == written)
        || aliases(&base.name).contains(&name)
}

/// Spellings of a built-in type besides its name in the catalog.
fn aliases(name: &str) -> &'static [&'static str] {
    match name {
        "int2" => &["smallint"],
        "int4" => &["integer", "int"],
        "int8" => &["bigint"],
        "float4" => &["real"],
        "float8" => &["double precision", "float"],
        "bool" => &["boolean"],
        "varchar" => &["character varying"],
        "bpchar" => &["character", "char"],
        "timestamptz" => &["timestamp with time zone"],
        "timestamp" => &["timestamp without time zone"],
        "timetz" => &["time with time zone"],
        "time" => &["time without time zone"],
        "numeric" => &["decimal"],
        _ => &[],
    }
}

/// The word of a tag.
fn word(tag: Tag) -> &'static str {
    match tag {
        Tag::Text => "text",
        Tag::Identifier => "identifier",
        Tag::Keyword => "keyword",
        Tag::Enum => "enum",
        Tag::Uuid => "uuid",
        Tag::Time => "time",
        Tag::Boolean => "boolean",
        Tag::Short => "short",
        Tag::Integer => "integer",
        Tag::Long => "long",
        Tag::Float => "float",
        Tag::Double => "double",
        Tag::Binary => "binary",
        Tag::Decimal => "decimal",
        Tag::Date => "date",
        Tag::Timestamp => "timestamp",
        Tag::Json => "json",
        Tag::Custom => "custom",
    }
}

pub(super) fn is(base: &BaseType, names: &[&str]) -> bool {
    base.schema == "pg_catalog" && names.contains(&base.name.as_str())
}

fn is_text(base: &BaseType) -> bool {
    is(base, &["text", "varchar", "name", "bpchar"])
        || (base.kind == TypeKind::Base && base.name == "citext")
}

/// The value table of the language reference.
fn tag_accepts(tag: Tag, base: &BaseType) -> bool {
    match tag {
        Tag::Text | Tag::Identifier | Tag::Enum => is_text(base) || base.kind == TypeKind::Enum,
        Tag::Keyword => !has_no_form(base) && !is(base, &["json", "jsonb", "bytea"]),
        Tag::Uuid => is(base, &["uuid"]),
        Tag::Boolean => is(base, &["bool"]),
        Tag::Short => is(base, &["int2"]),
        Tag::Integer => is(base, &["int2", "int4"]),
        Tag::Long => is(base, &["int2", "int4", "int8", "oid"]),
        Tag::Float => is(base, &["float4"]),
        Tag::Double => is(base, &["int2", "int4", "float4", "float8"]),
        Tag::Decimal => is(base, &["int2", "int4", "int8", "oid", "numeric", "money"]),
        Tag::Date => is(base, &["date"]),
        Tag::Timestamp => is(base, &["timestamp", "timestamptz", "time", "timetz"]),
        Tag::Time => is(base, &["time", "timetz"]),
        Tag::Binary => is(base, &["bytea"]),
        Tag::Json => is(base, &["json", "jsonb"]),
        Tag::Custom => true,
    }
}

/// Composite types, and those of `PostGIS`: no tag writes them.
fn has_no_form(base: &BaseType) -> bool {
    let is_spatial = matches!(
        base.name.as_str(),
        "geometry" | "geography" | "box2d" | "box3d" | "raster"
    );
    base.kind == TypeKind::Composite || (base.kind == TypeKind::Base && is_spatial)
}

/// Which tags would do.
fn advice(base: &BaseType) -> String {
    let all = [
        Tag::Text,
        Tag::Boolean,
        Tag::Short,
        Tag::Integer,
        Tag::Long,
        Tag::Float,
        Tag::Double,
        Tag::Decimal,
        Tag::Date,
        Tag::Timestamp,
        Tag::Time,
        Tag::Uuid,
        Tag::Binary,
        Tag::Json,
        Tag::Keyword,
    ];
    let mut fitting: Vec<&str> = all
        .into_iter()
        .filter(|tag| tag_accepts(*tag, base))
        .map(word)
        .collect();
    fitting.push("custom");
    match fitting.as_slice() {
        [] => String::new(),
        [only] => format!("use {only}"),
        [first @ .., last] => format!("use {} or {last}", first.join(", ")),
    }
}
