//! Values of `custom` fields whose OpenSearch type reads another form than the column's own.

use crate::catalog::{BaseType, TypeKind};
use crate::index::Scalar;

/// The expression, when the mapping asks for a form of its own.
pub(super) fn render(scalar: &Scalar, base: &BaseType, value: &str) -> Option<String> {
    let mapping = &scalar.custom.as_ref()?.opensearch;
    let kind = mapping.get("type")?.as_str()?;
    let builtin = base.schema == "pg_catalog";
    match base.kind {
        TypeKind::Base if kind == "ip" && builtin && base.name == "inet" => {
            Some(format!("host({value})"))
        }
        TypeKind::Range if kind.ends_with("_range") => Some(range(base, value)),
        TypeKind::Multirange if kind.ends_with("_range") => Some(format!(
            "CASE WHEN {value} IS NULL THEN NULL ELSE (SELECT coalesce(json_agg({}), '[]'::json) FROM unnest({value}) AS part(r)) END",
            range(base, "r")
        )),
        TypeKind::Base
        | TypeKind::Enum
        | TypeKind::Composite
        | TypeKind::Range
        | TypeKind::Multirange => None,
    }
}

/// A range as its bounds; a side without one is left out, and an infinite moment is no bound.
fn range(base: &BaseType, value: &str) -> String {
    let subtype = base
        .name
        .trim_end_matches("range")
        .trim_end_matches("multi");
    let has_moments = base.schema == "pg_catalog" && ["date", "ts", "tstz"].contains(&subtype);
    let bound = |side: &str| {
        let bound = format!("{side}({value})");
        if has_moments {
            format!("CASE WHEN isfinite({bound}) THEN to_json({bound}) END")
        } else {
            format!("to_json({bound})")
        }
    };
    format!(
        "CASE WHEN {value} IS NULL OR isempty({value}) THEN NULL ELSE json_strip_nulls(json_build_object(\
         CASE WHEN lower_inc({value}) THEN 'gte' ELSE 'gt' END, {}, \
         CASE WHEN upper_inc({value}) THEN 'lte' ELSE 'lt' END, {})) END",
        bound("lower"),
        bound("upper")
    )
}
