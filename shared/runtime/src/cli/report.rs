//! `check` of both services: its flags, its report, its exit code.

use std::io::{self, IsTerminal as _};

use clap::Args;
use clap::builder::BoolishValueParser;
use definition::differences::{self, Input};
use definition::report::Report;
use definition::{Catalog, Diagnostics};

use super::{CommonFlags, Disk, Exit, ReportFormat, print};
use crate::Environment;
use crate::telemetry::colour;

/// Flags of `check`.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckFlags {
    /// Only the files
    #[arg(long, env = "FLUSSO_OFFLINE", value_parser = BoolishValueParser::new())]
    pub offline: bool,
    /// Warnings count as errors
    #[arg(long, env = "FLUSSO_STRICT", value_parser = BoolishValueParser::new())]
    pub strict: bool,
    /// Also what these files mean otherwise than in flusso 0.15
    #[arg(long, env = "FLUSSO_EXPLAIN_DIFFERENCES", value_parser = BoolishValueParser::new())]
    pub explain_differences: bool,
}

impl CheckFlags {
    /// Adds what the files mean otherwise than in flusso 0.15, when it is asked for. The findings
    /// of the report are those of loading the files so far; `catalog` holds the files' tables,
    /// when the database was looked at.
    pub fn explain(
        &self,
        report: &mut Report,
        common: &CommonFlags,
        environment: &Environment,
        catalog: Option<&Catalog>,
    ) {
        if self.explain_differences && (common.locked || !common.config.exists()) {
            // A lock of this product has nothing to say about files of 0.15.
            let line = format!(
                "--explain-differences reads {} and its schema files, not a lock",
                common.config.display()
            );
            if !report.information.contains(&line) {
                report.information.push(line);
            }
        } else if self.explain_differences {
            let findings: &Diagnostics = &report.findings;
            let input = Input {
                config: &common.config,
                files: &Disk,
                environment,
                findings,
                catalog,
            };
            report.differences = Some((differences::explain(&input), catalog.is_some()));
        }
    }

    /// Puts a report on standard output and says how the command ends.
    #[must_use]
    pub fn conclude(
        &self,
        report: &Report,
        format: ReportFormat,
        environment: &Environment,
    ) -> Exit {
        match format {
            ReportFormat::Json => print(&report.to_json().to_string()),
            ReportFormat::Human => {
                let is_coloured = colour(io::stdout().is_terminal(), environment);
                print(&report.render_human(is_coloured));
            }
        }
        exit(report, self.strict)
    }
}

fn exit(report: &Report, is_strict: bool) -> Exit {
    let findings = &report.findings;
    if findings.is_unreadable() {
        Exit::Usage
    } else if report.is_unreachable {
        Exit::Failed
    } else if findings.has_errors() || (is_strict && findings.warnings() > 0) {
        Exit::Problems
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use definition::Diagnostic;

    use super::*;

    #[test]
    fn each_outcome_has_its_exit_code() {
        let mut report = Report::default();
        assert_eq!(exit(&report, true), Exit::Done);
        report
            .findings
            .push(Diagnostic::warning("W305", "no index"));
        assert_eq!(exit(&report, false), Exit::Done);
        assert_eq!(exit(&report, true), Exit::Problems);
        report.findings.push(Diagnostic::error("E301", "no"));
        assert_eq!(exit(&report, false), Exit::Problems);
        report.is_unreachable = true;
        assert_eq!(exit(&report, false), Exit::Failed);
        report
            .findings
            .push(Diagnostic::error("E102", "unknown key"));
        assert_eq!(exit(&report, false), Exit::Usage);
    }
}
