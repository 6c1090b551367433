//! Values as JSON: the expression that renders a column under a tag.
//! Must hold: numbers keep all digits, dates are ISO with `T`, what JSON or the index cannot hold
//! becomes null and is marked (a TAB before it, which JSON ignores and nothing else writes).

mod custom;

use super::accept::{is, sum_of};
use super::key::output_text;
use crate::catalog::{BaseType, Column, TypeKind};
use crate::index::{AggregateFunction, FieldKind, Scalar, Tag, Transform};

/// A null that stands for a value that cannot be written.
const MARKED_NULL: &str = "E'\\tnull'::json";

/// The largest finite double: the mapping's `double` refuses more.
const LARGEST: &str = "1.797e308";

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
                let absent = absent(scalar, &info.base, column);
                let mut arms = format!("WHEN {absent} THEN to_json({other})");
                let unfit = unfit(scalar.tag, &info.base, column);
                if unfit != "false" {
                    // Such a value is counted, though nothing is left null.
                    arms.push_str(" WHEN ");
                    arms.push_str(&unfit);
                    arms.push_str(" THEN (E'\\t' || to_json(");
                    arms.push_str(&other);
                    arms.push_str(")::text)::json");
                }
                format!("CASE {arms} ELSE to_json({value}) END")
            }
        },
        FieldKind::Object(_)
        | FieldKind::Constant(_)
        | FieldKind::BelongsTo(_)
        | FieldKind::HasOne(_)
        | FieldKind::HasMany(_)
        | FieldKind::ManyToMany(_)
        | FieldKind::Aggregate(_) => column.to_owned(),
    }
}

/// Whether there is no value, so that a default stands in: an empty range is written as null, and
/// so is the `null` that a JSON column can hold.
fn absent(scalar: &Scalar, base: &BaseType, value: &str) -> String {
    if custom::is_range(scalar, base) {
        return format!("{value} IS NULL OR isempty({value})");
    }
    match base.name.as_str() {
        name @ ("json" | "jsonb") => format!("{value} IS NULL OR {name}_typeof({value}) = 'null'"),
        _ => format!("{value} IS NULL"),
    }
}

/// Whether a value is one that JSON or the index cannot hold.
fn unfit(tag: Tag, base: &BaseType, value: &str) -> String {
    if tag == Tag::Keyword {
        return "false".to_owned();
    }
    match base.name.as_str() {
        "float4" | "float8" | "numeric" => unfit_number(&base.name, value),
        "date" | "timestamp" | "timestamptz" => format!("NOT isfinite({value})"),
        _ => "false".to_owned(),
    }
}

/// One comparison finds NaN too: Postgres orders it behind everything else.
fn unfit_number(name: &str, value: &str) -> String {
    if name == "numeric" {
        format!("abs({value}) > {LARGEST}")
    } else {
        format!("abs({value}) >= 'Infinity'")
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
    if let Some(rendered) = custom::render(scalar, base, value) {
        return rendered;
    }
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
        // A cast to json of its own must not take over.
        _ if base.kind == TypeKind::Base && !builtin => output_text(base, value),
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
        _ if is_written_as_text(base) => value.to_owned(),
        _ => output_text(base, value),
    }
}

/// Whether a value of the type becomes a JSON string that is its output text, by itself.
fn is_written_as_text(base: &BaseType) -> bool {
    const NOT: [&str; 7] = [
        "bool", "int2", "int4", "int8", "float4", "float8", "numeric",
    ];
    match base.kind {
        TypeKind::Base => base.schema == "pg_catalog" && !NOT.contains(&base.name.as_str()),
        TypeKind::Enum => true,
        TypeKind::Composite | TypeKind::Range | TypeKind::Multirange => false,
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
    // What follows the year in the ordinary form: day, time, offset. Not by to_char: it reads a
    // date as a timestamp, and those end earlier.
    let rest = format!("substring({json} #>> '{{}}' FROM '-.*[0-9]')");
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
            // Postgres knows no \v: it would be the letter.
            Transform::Trim => format!("btrim({value}, E' \\t\\n\\r\\f\\x0b')"),
        })
}

/// Two numbers as a point.
pub(super) fn point(lat: &Column, lon: &Column, lat_sql: &str, lon_sql: &str) -> String {
    let bad = |column: &Column, sql: &str| unfit(Tag::Double, &column.base, sql);
    format!(
        "CASE WHEN {lat_sql} IS NULL OR {lon_sql} IS NULL THEN NULL WHEN {} OR {} THEN {MARKED_NULL} \
         ELSE json_build_object('lat', {lat_sql}, 'lon', {lon_sql}) END",
        bad(lat, lat_sql),
        bad(lon, lon_sql),
    )
}

/// A figure over the column `sql`, of the type that Postgres gives it.
pub(super) fn figure(function: &AggregateFunction, column: Option<&Column>, sql: &str) -> String {
    let money = column.is_some_and(|column| is(&column.base, &["money"]));
    let float = column.is_some_and(|column| is(&column.base, &["float4", "float8"]));
    match (function, column) {
        (AggregateFunction::Count, _) => "count(*)".to_owned(),
        (AggregateFunction::Avg(_), _) if money => format!("avg({sql}::numeric)"),
        // avg keeps a sum of squares, too, which overflows at the root of the largest number.
        (AggregateFunction::Avg(_), _) if float => format!("sum({sql}::float8) / count({sql})"),
        (AggregateFunction::Avg(_), _) => format!("avg({sql})"),
        (AggregateFunction::Sum(..), _) => format!("sum({sql})"),
        (AggregateFunction::Min(..), Some(column)) => {
            end_of_order(&column.base, true, &column.operand(sql))
        }
        (AggregateFunction::Max(..), Some(column)) => {
            end_of_order(&column.base, false, &column.operand(sql))
        }
        (
            AggregateFunction::Min(..) | AggregateFunction::Max(..) | AggregateFunction::Ids { .. },
            _,
        ) => "NULL".to_owned(),
    }
}

/// The JSON of a figure, `value` being what [`figure`] gave.
pub(super) fn shown(function: &AggregateFunction, column: Option<&Column>, value: &str) -> String {
    match (function, column) {
        (AggregateFunction::Avg(_), Some(column)) => {
            let wide = match column.base.name.as_str() {
                "float4" | "float8" => "float8",
                _ => "numeric",
            };
            let unfit = unfit_number(wide, value);
            format!("CASE WHEN {unfit} THEN {MARKED_NULL} ELSE to_json({value}::float8) END")
        }
        (AggregateFunction::Sum(_, tag), Some(column)) => {
            element(&plain(*tag, column), &sum_of(&column.base), value)
        }
        (AggregateFunction::Min(_, tag) | AggregateFunction::Max(_, tag), Some(column)) => {
            element(&plain(*tag, column), &column.base, value)
        }
        (
            AggregateFunction::Count
            | AggregateFunction::Avg(_)
            | AggregateFunction::Sum(..)
            | AggregateFunction::Min(..)
            | AggregateFunction::Max(..)
            | AggregateFunction::Ids { .. },
            _,
        ) => value.to_owned(),
    }
}

/// A field of a tag over a column, with nothing else said.
fn plain(tag: Tag, column: &Column) -> Scalar {
    Scalar {
        tag,
        column: column.name.clone(),
        required: false,
        transforms: Vec::new(),
        default: None,
        variants: None,
        custom: None,
    }
}

/// The least or greatest value. Not every type that has an order has these aggregates, and those
/// of other schemas may not be found by their bare names.
fn end_of_order(base: &BaseType, is_min: bool, sql: &str) -> String {
    const WITH: [&str; 21] = [
        "int2",
        "int4",
        "int8",
        "oid",
        "float4",
        "float8",
        "numeric",
        "money",
        "text",
        "varchar",
        "bpchar",
        "name",
        "date",
        "timestamp",
        "timestamptz",
        "time",
        "timetz",
        "interval",
        "inet",
        "pg_lsn",
        "tid",
    ];
    let has_them = base.kind == TypeKind::Enum || is(base, &WITH);
    match (has_them, is_min) {
        (true, true) => format!("min({sql})"),
        (true, false) => format!("max({sql})"),
        (false, true) => format!("(array_agg({sql} ORDER BY {sql} NULLS LAST))[1]"),
        (false, false) => format!("(array_agg({sql} ORDER BY {sql} DESC NULLS LAST))[1]"),
    }
}

/// A key column of `ids`.
pub(super) fn id_element(tag: Tag, column: &Column, sql: &str) -> String {
    element(&plain(tag, column), &column.base, sql)
}
