//! Values as JSON: what each tag accepts, and the expression that renders it.
//! Must hold: numbers keep all digits, dates are ISO with `T`, what JSON or the index cannot hold
//! becomes null and is marked (a TAB before it, which JSON ignores and nothing else writes).

use crate::catalog::{BaseType, Column, Table, TypeKind};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::index::{AggregateFunction, FieldKind, Scalar, Tag, Transform};

/// A null that stands for a value that cannot be written.
const MARKED_NULL: &str = "E'\\tnull'::json";

/// The largest finite double: the mapping's `double` refuses more.
const LARGEST: &str = "1.797e308";

/// Types whose cast to text gives their output text (booleans spelled out).
const CAST_IS_OUTPUT: [&str; 19] = [
    "int2",
    "int4",
    "int8",
    "oid",
    "float4",
    "float8",
    "numeric",
    "bool",
    "text",
    "varchar",
    "name",
    "uuid",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "timetz",
    "bytea",
    "interval",
];

/// The text of a key column as ids and parameters use it: Postgres' output text, with its padding,
/// and booleans spelled out. The value is not NULL.
pub(super) fn key_text(expression: &str, cast: &str) -> String {
    let builtin = cast.strip_prefix("pg_catalog.");
    if builtin.is_some_and(|name| CAST_IS_OUTPUT.contains(&name.trim_matches('"'))) {
        format!("({expression})::text")
    } else {
        // A cast may be something else: it drops the padding of char(n), and gives inet a mask.
        format!("format('%s', {expression})")
    }
}

/// The output text of a value that may be NULL.
fn output_text(base: &BaseType, value: &str) -> String {
    let builtin = base.schema == "pg_catalog" && CAST_IS_OUTPUT.contains(&base.name.as_str());
    if builtin || base.kind == TypeKind::Enum {
        format!("{value}::text")
    } else {
        format!("CASE WHEN {value} IS NULL THEN NULL ELSE format('%s', {value}) END")
    }
}

/// Whether the text of every value of one column reads as the value of the other that equals it.
pub(super) fn reads_as(from: &Column, to: &Column) -> bool {
    const INTEGERS: [&str; 3] = ["int2", "int4", "int8"];
    const TEXTS: [&str; 2] = ["text", "varchar"];
    let (from, to) = match (from.is_array, to.is_array) {
        (false, false) => (&from.base, &to.base),
        _ => return from.cast == to.cast,
    };
    let both_in = |names: &[&str]| is(from, names) && is(to, names);
    let width = |base: &BaseType| INTEGERS.iter().position(|name| *name == base.name);
    (from.schema == to.schema && from.name == to.name)
        || both_in(&TEXTS)
        || (both_in(&INTEGERS) && width(from) <= width(to))
}

/// Whether the texts of a type are always short, not empty, and never of the form of a digest.
pub(super) fn has_plain_texts(column: &Column) -> bool {
    !column.is_array
        && column.base.schema == "pg_catalog"
        && matches!(
            column.base.name.as_str(),
            "int2"
                | "int4"
                | "int8"
                | "oid"
                | "uuid"
                | "bool"
                | "date"
                | "timestamp"
                | "timestamptz"
                | "time"
                | "float4"
                | "float8"
        )
}

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
            (
                "custom",
                named,
                format!("list {} under postgres", column.type_name),
            )
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
            !column.is_array
                && is(
                    &column.base,
                    &["json", "jsonb", "text", "varchar", "bpchar"],
                ),
            "use two numeric columns, or expose a generated column".to_owned(),
        ),
        _ => return,
    };
    if !fits {
        findings.push(
            Diagnostic::error(
                "E301",
                format!(
                    "{}.{} is {}, which `{word}` does not accept",
                    table.name,
                    column.name.as_str(),
                    column.type_name
                ),
            )
            .help(use_instead)
            .at(path, None),
        );
    }
}

/// Checks that a figure can be computed over a column.
pub(super) fn summable(
    table: &Table,
    column: &Column,
    function: &AggregateFunction,
    path: &str,
    findings: &mut Diagnostics,
) {
    let numeric = !column.is_array
        && is(
            &column.base,
            &[
                "int2", "int4", "int8", "float4", "float8", "numeric", "money",
            ],
        );
    let what = match function {
        AggregateFunction::Sum(..) => "sum",
        AggregateFunction::Avg(_) => "avg",
        _ => return,
    };
    if !numeric {
        findings.push(
            Diagnostic::error(
                "E301",
                format!(
                    "{}.{} is {}, which `{what}` does not accept",
                    table.name,
                    column.name.as_str(),
                    column.type_name
                ),
            )
            .help("use a numeric column")
            .at(path, Some("column")),
        );
    }
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
    let name = plain(name);
    [
        plain(&column.type_name),
        column.base.name.to_lowercase(),
        column.cast.to_lowercase(),
    ]
    .contains(&name)
        || aliases(&column.base.name).contains(&name.as_str())
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
pub(super) fn word(tag: Tag) -> &'static str {
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

fn is(base: &BaseType, names: &[&str]) -> bool {
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
        Tag::Keyword => {
            base.kind != TypeKind::Composite
                && !is(base, &["json", "jsonb", "bytea"])
                && !is_spatial(base)
        }
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

fn is_spatial(base: &BaseType) -> bool {
    matches!(
        base.name.as_str(),
        "geometry" | "geography" | "box2d" | "box3d" | "raster"
    )
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

/// The expression of a field over one column, `column` being the SQL of the column.
pub(super) fn render(kind: &FieldKind, info: &Column, column: &str) -> String {
    match kind {
        FieldKind::Map { .. } => format!(
            "CASE WHEN {column} IS NULL THEN NULL WHEN json{b}_typeof({column}) = 'object' THEN to_json({}) ELSE {MARKED_NULL} END",
            one_line(column, &info.base),
            b = if info.base.name == "jsonb" { "b" } else { "" },
        ),
        FieldKind::Geo { .. } => {
            if is(&info.base, &["json", "jsonb"]) {
                one_line(column, &info.base)
            } else {
                column.to_owned()
            }
        }
        FieldKind::Scalar(scalar) if info.is_array => {
            let element = element(scalar, &info.base, "e");
            format!(
                "CASE WHEN {column} IS NULL THEN NULL ELSE (SELECT coalesce(json_agg({element} ORDER BY n), '[]'::json) \
                 FROM unnest({column}) WITH ORDINALITY AS u(e, n)) END"
            )
        }
        FieldKind::Scalar(scalar) => match &scalar.default {
            None => element(scalar, &info.base, column),
            Some(default) => {
                let literal = super::condition::literal(default);
                let value = element(scalar, &info.base, column);
                // It comes after the transforms.
                let as_written = Scalar {
                    transforms: Vec::new(),
                    ..scalar.clone()
                };
                let other = element(
                    &as_written,
                    &info.base,
                    &format!("{literal}::{}", info.cast),
                );
                let mut arms = format!("WHEN {column} IS NULL THEN to_json({other})");
                let unfit = unfit(scalar.tag, &info.base, column);
                if unfit != "false" {
                    // Such a value is counted, though nothing is left null.
                    arms.push_str(&format!(
                        " WHEN {unfit} THEN (E'\\t' || to_json({other})::text)::json"
                    ));
                }
                format!("CASE {arms} ELSE to_json({value}) END")
            }
        },
        _ => column.to_owned(),
    }
}

/// Whether a value is one that JSON or the index cannot hold.
fn unfit(tag: Tag, base: &BaseType, value: &str) -> String {
    if tag == Tag::Keyword {
        return "false".to_owned();
    }
    match base.name.as_str() {
        "float4" | "float8" => format!("{value} IN ('NaN', 'Infinity', '-Infinity')"),
        "numeric" => {
            format!("({value} IN ('NaN', 'Infinity', '-Infinity') OR abs({value}) > {LARGEST})")
        }
        "date" | "timestamp" | "timestamptz" => format!("NOT isfinite({value})"),
        _ => "false".to_owned(),
    }
}

/// One value of a base type.
fn element(scalar: &Scalar, base: &BaseType, value: &str) -> String {
    let value = transformed(scalar, base, value);
    let value = value.as_str();
    let unfit = unfit(scalar.tag, base, value);
    let checked = |rendered: String| {
        if unfit == "false" {
            rendered
        } else {
            format!("CASE WHEN {unfit} THEN {MARKED_NULL} ELSE {rendered} END")
        }
    };
    let builtin = base.schema == "pg_catalog";
    if scalar.tag == Tag::Keyword {
        return keyword(base, value);
    }
    match base.name.as_str() {
        "oid" if builtin => format!("{value}::int8"),
        "float4" | "float8" | "numeric" if builtin => checked(format!("to_json({value})")),
        "money" if builtin => format!("{value}::numeric"),
        "date" | "timestamp" | "timestamptz" if builtin => moment(base, value, MARKED_NULL),
        "time" if builtin && scalar.tag == Tag::Timestamp => {
            format!("(date '1970-01-01' + {value})")
        }
        "timetz" if builtin && scalar.tag == Tag::Timestamp => {
            format!("(date '1970-01-01' + ({value} AT TIME ZONE 'UTC')::time)")
        }
        "timetz" if builtin => format!("({value} AT TIME ZONE 'UTC')::time"),
        "bytea" if builtin => format!("translate(encode({value}, 'base64'), E'\\n', '')"),
        "json" | "jsonb" if builtin => one_line(value, base),
        _ => value.to_owned(),
    }
}

/// A keyword takes any type, and writes its text.
fn keyword(base: &BaseType, value: &str) -> String {
    let builtin = base.schema == "pg_catalog";
    match base.name.as_str() {
        "date" | "timestamp" | "timestamptz" if builtin => {
            moment(base, value, &format!("to_json({value})"))
        }
        "time" if builtin => value.to_owned(),
        "timetz" if builtin => format!("({value} AT TIME ZONE 'UTC')::time"),
        "money" if builtin => format!("({value}::numeric)::text"),
        _ => output_text(base, value),
    }
}

/// A date or timestamp: ISO; years over 9999 with a sign, before 1 astronomically; `infinite`
/// stands for ±infinity.
fn moment(base: &BaseType, value: &str, infinite: &str) -> String {
    let json = format!("to_json({value})");
    let (first, last) = match base.name.as_str() {
        "date" => ("date '0001-01-01'", "date '9999-12-31'"),
        "timestamptz" => (
            "timestamptz '0001-01-01 00:00:00+00'",
            "timestamptz '9999-12-31 23:59:59.999999+00'",
        ),
        _ => (
            "timestamp '0001-01-01 00:00:00'",
            "timestamp '9999-12-31 23:59:59.999999'",
        ),
    };
    let plain = match base.name.as_str() {
        "timestamptz" => format!("({value} AT TIME ZONE 'UTC')"),
        _ => value.to_owned(),
    };
    // What follows the year in the ordinary form: day, time, offset.
    let rest = format!(
        "to_char({plain}, '-MM-DD') || coalesce(substring({json} #>> '{{}}' FROM 'T[-0-9:.+]+'), '')"
    );
    let year = format!("extract(year FROM {plain})::int");
    format!(
        "CASE WHEN {value} BETWEEN {first} AND {last} THEN {json} \
         WHEN NOT isfinite({value}) THEN {infinite} \
         WHEN {value} > {last} THEN to_json('+' || {year}::text || {rest}) \
         ELSE to_json(CASE WHEN {year} = -1 THEN '' ELSE '-' END || lpad((-{year} - 1)::text, 4, '0') || {rest}) END"
    )
}

/// json as stored; line breaks between tokens become blanks, because a bulk line is one line.
fn one_line(value: &str, base: &BaseType) -> String {
    if base.name == "jsonb" {
        return value.to_owned();
    }
    format!("translate({value}::text, E'\\n\\r\\t', '   ')::json")
}

fn transformed(scalar: &Scalar, base: &BaseType, value: &str) -> String {
    if scalar.transforms.is_empty() {
        return value.to_owned();
    }
    // Functions take text: a cast would drop the padding of char(n), which only `trim` removes.
    let start = output_text(base, value);
    scalar
        .transforms
        .iter()
        .fold(start, |value, transform| match transform {
            Transform::Lowercase => format!("lower({value})"),
            Transform::Trim => format!("btrim({value}, E' \\t\\n\\r\\f\\v')"),
        })
}

/// Two numbers as a point.
pub(super) fn point(lat: &Column, lon: &Column, lat_sql: &str, lon_sql: &str) -> String {
    let bad = |column: &Column, sql: &str| match column.base.name.as_str() {
        "float4" | "float8" | "numeric" => format!("{sql} = 'NaN'"),
        _ => "false".to_owned(),
    };
    format!(
        "CASE WHEN {lat_sql} IS NULL OR {lon_sql} IS NULL THEN NULL WHEN {} OR {} THEN {MARKED_NULL} \
         ELSE json_build_object('lat', {lat_sql}, 'lon', {lon_sql}) END",
        bad(lat, lat_sql),
        bad(lon, lon_sql),
    )
}

/// A figure over the column `sql`.
pub(super) fn figure(function: &AggregateFunction, column: Option<&Column>, sql: &str) -> String {
    let numeric_result = |result: String| {
        format!(
            "(SELECT CASE WHEN f::text IN ('NaN', 'Infinity', '-Infinity') THEN {MARKED_NULL} ELSE to_json(f) END FROM (SELECT {result}) AS figure(f))"
        )
    };
    match function {
        AggregateFunction::Count => "count(*)".to_owned(),
        AggregateFunction::Avg(_) => {
            let number = match column.map(|column| column.base.name.as_str()) {
                Some("money") => format!("{sql}::numeric"),
                _ => sql.to_owned(),
            };
            numeric_result(format!("avg({number})::float8"))
        }
        AggregateFunction::Sum(..) => match column.map(|column| column.base.name.as_str()) {
            Some("int2" | "int4" | "int8") => format!("sum({sql})"),
            Some("money") => format!("sum({sql})::numeric"),
            _ => numeric_result(format!("sum({sql})")),
        },
        AggregateFunction::Min(_, tag) | AggregateFunction::Max(_, tag) => {
            let is_min = matches!(function, AggregateFunction::Min(..));
            let Some(column) = column else {
                return "NULL".to_owned();
            };
            let scalar = Scalar {
                tag: *tag,
                column: column.name.clone(),
                required: false,
                transforms: Vec::new(),
                default: None,
                variants: None,
                custom: None,
            };
            let end = end_of_order(&column.base, is_min, sql);
            format!(
                "(SELECT {} FROM (SELECT {end}) AS figure(f))",
                element(&scalar, &column.base, "f")
            )
        }
        AggregateFunction::Ids { .. } => "NULL".to_owned(),
    }
}

/// The least or greatest value. Not every type that has an order has these aggregates.
fn end_of_order(base: &BaseType, is_min: bool, sql: &str) -> String {
    const WITHOUT: [&str; 5] = ["bool", "uuid", "bit", "varbit", "jsonb"];
    let has_none = match base.kind {
        TypeKind::Range | TypeKind::Multirange => true,
        TypeKind::Base if base.schema == "pg_catalog" => {
            WITHOUT.contains(&base.name.as_str()) || base.name.starts_with("macaddr")
        }
        TypeKind::Base | TypeKind::Enum | TypeKind::Composite => false,
    };
    match (has_none, is_min) {
        (false, true) => format!("min({sql})"),
        (false, false) => format!("max({sql})"),
        (true, true) => format!("(array_agg({sql} ORDER BY {sql} NULLS LAST))[1]"),
        (true, false) => format!("(array_agg({sql} ORDER BY {sql} DESC NULLS LAST))[1]"),
    }
}

/// A key column of `ids`.
pub(super) fn id_element(tag: Tag, column: &Column, sql: &str) -> String {
    let scalar = Scalar {
        tag,
        column: column.name.clone(),
        required: false,
        transforms: Vec::new(),
        default: None,
        variants: None,
        custom: None,
    };
    element(&scalar, &column.base, sql)
}
