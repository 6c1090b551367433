//! What the language has and this version does not do yet: refused here, in one
//! place, by name. A line goes when the thing works. Schema files are supported whole.

use super::config::Config;
use crate::diagnostic::Diagnostic;

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
