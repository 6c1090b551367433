//! What the language has and this version does not do yet: refused here, in one
//! place, by name. A line goes when the thing works.

use serde_json::Value;

use super::config::Config;
use crate::diagnostic::{Diagnostic, Spans};
use crate::index::{Field, FieldKind, IndexDefinition};

fn refused(what: &str) -> Diagnostic {
    Diagnostic::error("E299", format!("{what} is not supported yet")).help("remove it")
}

/// A finding for each part of `flusso.toml` that is not supported yet.
pub(crate) fn refuse_unsupported_config(config: &Config) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    if config.broker.schema_registry.is_some() {
        findings.push(refused("`broker.schema_registry_url`"));
    }
    if config.telemetry.otlp_endpoint.is_some() {
        findings.push(refused("`telemetry.otlp_endpoint`"));
    }
    findings
}

/// A finding for each element of a schema file that is not supported yet.
pub(crate) fn refuse_unsupported(definition: &IndexDefinition, spans: &Spans) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    walk(&definition.fields, "", spans, &mut findings);
    findings
}

fn walk(fields: &[Field], around: &str, spans: &Spans, findings: &mut Vec<Diagnostic>) {
    for field in fields {
        let path = match around {
            "" => field.name.clone(),
            around => format!("{around}.{}", field.name),
        };
        match &field.kind {
            FieldKind::Scalar(scalar) => {
                let kind = scalar
                    .custom
                    .as_ref()
                    .and_then(|custom| custom.opensearch.get("type"))
                    .and_then(Value::as_str);
                // Both are written in a form of their own, not as the column's text.
                if let Some(kind) = kind
                    && (kind == "ip" || kind.ends_with("_range"))
                {
                    findings.push(
                        refused(&format!("a `custom` field of the type `{kind}`"))
                            .at(path.clone(), Some("opensearch"))
                            .in_file(spans.file(), spans.find(&path, Some("opensearch"))),
                    );
                }
            }
            FieldKind::Object(inner) => walk(inner, &path, spans, findings),
            FieldKind::BelongsTo(join)
            | FieldKind::HasOne(join)
            | FieldKind::HasMany(join)
            | FieldKind::ManyToMany(join) => walk(&join.fields, &path, spans, findings),
            FieldKind::Map { .. }
            | FieldKind::Geo { .. }
            | FieldKind::Constant(_)
            | FieldKind::Aggregate(_) => {}
        }
    }
}
