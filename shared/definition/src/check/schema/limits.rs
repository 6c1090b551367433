//! What OpenSearch takes at most, known from the file alone.

use serde_json::Value;

use super::Walk;
use crate::index::{Field, FieldKind};

/// `index.mapping.depth.limit`: a field of the root has depth 1.
const DEEPEST_FIELD: usize = 20;

/// `index.mapping.nested_fields.limit`.
const MOST_NESTED: usize = 50;

impl Walk<'_> {
    /// Checks depth and number of nested fields.
    pub(super) fn limits(&mut self, fields: &[Field]) {
        let mut nested = 0;
        self.measure(fields, "", 1, &mut nested);
        if nested > MOST_NESTED {
            let finding = crate::diagnostic::Diagnostic::error(
                "E215",
                format!("{nested} nested fields are more than OpenSearch's {MOST_NESTED}"),
            )
            .help("options: { type: object } makes a to-many join a plain object");
            let span = 0..0;
            self.reader.push(finding, &span);
        }
    }

    fn measure(&mut self, fields: &[Field], path: &str, depth: usize, nested: &mut usize) {
        if depth > DEEPEST_FIELD {
            let place = self.spans.find(path, None).map_or(0..0, |place| place.span);
            let message =
                format!("`{path}` is nested deeper than OpenSearch's {DEEPEST_FIELD} levels");
            self.reader.error("E215", &place, message);
            return;
        }
        for field in fields {
            let inner = match &field.kind {
                FieldKind::Object(inner) => inner,
                FieldKind::BelongsTo(join) | FieldKind::HasOne(join) => &join.fields,
                FieldKind::HasMany(join) | FieldKind::ManyToMany(join) => {
                    if field.options.get("type").and_then(Value::as_str) != Some("object") {
                        *nested = nested.saturating_add(1);
                    }
                    &join.fields
                }
                FieldKind::Scalar(_)
                | FieldKind::Map { .. }
                | FieldKind::Geo { .. }
                | FieldKind::Constant(_)
                | FieldKind::Aggregate(_) => continue,
            };
            let path = match path {
                "" => field.name.clone(),
                path => format!("{path}.{}", field.name),
            };
            self.measure(inner, &path, depth.saturating_add(1), nested);
        }
    }
}
