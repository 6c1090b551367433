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

/// Whether the field is one range, written as its bounds.
pub(super) fn is_range(scalar: &Scalar, base: &BaseType) -> bool {
    let of_index = scalar
        .custom
        .as_ref()
        .and_then(|custom| custom.opensearch.get("type")?.as_str());
    base.kind == TypeKind::Range && of_index.is_some_and(|name| name.ends_with("_range"))
}

/// A range as its bounds. A side without one is left out, and infinity is no bound.
fn range(base: &BaseType, value: &str) -> String {
    let subtype = base
        .name
        .trim_end_matches("range")
        .trim_end_matches("multi");
    let moments = match subtype {
        "date" => Some("date"),
        "ts" => Some("timestamp"),
        "tstz" => Some("timestamptz"),
        _ => None,
    };
    let bound = |side: &str| {
        let bound = format!("{side}({value})");
        match moments {
            Some(name) if base.schema == "pg_catalog" => {
                let of = BaseType {
                    name: name.to_owned(),
                    kind: TypeKind::Base,
                    ..base.clone()
                };
                format!(
                    "CASE WHEN {bound} IS NOT NULL THEN {} END",
                    super::moment(&of, &bound, "NULL")
                )
            }
            Some(_) | None => format!(
                "CASE WHEN {bound}::text NOT IN ('NaN', 'Infinity', '-Infinity') THEN to_json({bound}) END"
            ),
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
