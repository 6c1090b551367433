//! `check`: A files · B database · D broker · E sinks. Nothing is changed.
//! Exit: 0, 3 for errors (with `--strict` also warnings), 1 when a dependency cannot be
//! reached, 2 when files cannot be read.

mod broker;
mod database;
mod sinks;

use definition::{Diagnostic, Diagnostics};
use runtime::cli::{Exit, print};
use runtime::configured::{self, Part};
use serde_json::{Map, Value};

use super::{CheckFlags, Invocation, report};
use crate::config::Config;

/// What the groups find.
#[derive(Debug, Default)]
pub(super) struct Found {
    findings: Diagnostics,
    /// A dependency did not answer: exit code 1.
    unreachable: bool,
    /// Per index: definition, mappings, needs.
    indexes: Map<String, Value>,
    /// Lines for people, after the findings.
    information: Vec<String>,
}

impl Found {
    /// A dependency cannot be reached.
    fn unreachable(&mut self, finding: Diagnostic) {
        self.unreachable = true;
        self.findings.push(finding);
    }

    fn exit(&self, is_strict: bool) -> Exit {
        if self.findings.is_unreadable() {
            Exit::Usage
        } else if self.unreachable {
            Exit::Failed
        } else if self.findings.has_errors() || (is_strict && self.findings.warnings() > 0) {
            Exit::Problems
        } else {
            Exit::Done
        }
    }
}

pub(super) async fn check(invocation: &Invocation, flags: &CheckFlags) -> Exit {
    let mut found = Found::default();
    match invocation.load(&invocation.overrides()) {
        Err(findings) => found.findings = findings,
        Ok((deployment, warnings)) => {
            found.findings = warnings;
            if !flags.offline {
                let config = Config::new(deployment, invocation.environment.clone());
                let secrets =
                    configured::unresolved(&config.deployment, Part::Worker, &config.environment);
                let all_there = secrets.is_empty();
                found.findings.extend(secrets);
                if all_there {
                    database::check(&config, &mut found).await;
                    broker::check(&config, &mut found).await;
                    sinks::check(&config, &mut found).await;
                }
                found.findings =
                    std::mem::take(&mut found.findings).locate_in_config(&config.deployment.places);
            }
        }
    }
    found.findings.sort();
    show(invocation, &found);
    found.exit(flags.strict)
}

fn show(invocation: &Invocation, found: &Found) {
    if invocation.is_json() {
        let mut json = found.findings.to_json();
        if let Some(json) = json.as_object_mut() {
            json.insert(
                String::from("indexes"),
                Value::Object(found.indexes.clone()),
            );
        }
        return print(&json.to_string());
    }
    if !found.findings.is_empty() {
        report(&found.findings, invocation);
    }
    for line in &found.information {
        print(line);
    }
    print(&format!(
        "{} errors, {} warnings",
        found.findings.errors(),
        found.findings.warnings()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let mut found = Found::default();
        assert_eq!(found.exit(true), Exit::Done);
        found.findings.push(Diagnostic::warning("W305", "no index"));
        assert_eq!(found.exit(false), Exit::Done);
        assert_eq!(found.exit(true), Exit::Problems);
        found.findings.push(Diagnostic::error("E301", "no"));
        assert_eq!(found.exit(false), Exit::Problems);
        found.unreachable(Diagnostic::error("E509", "no broker answers"));
        assert_eq!(found.exit(false), Exit::Failed);
        found
            .findings
            .push(Diagnostic::error("E102", "unknown key"));
        assert_eq!(found.exit(false), Exit::Usage);
    }
}
