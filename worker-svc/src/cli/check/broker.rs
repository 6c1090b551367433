//! Group D: Kafka and its topics.

use definition::Diagnostic;
use definition::report::Report;

use super::unreachable;
use crate::config::Config;

pub(super) async fn check(config: &Config, report: &mut Report) {
    let broker = &config.deployment.broker;
    let kafka = match runtime::configured::kafka(broker, "worker-svc", &config.environment) {
        Ok(kafka) => kafka,
        Err(error) => {
            let finding = Diagnostic::error("E509", error.to_string());
            return report.findings.push(finding);
        }
    };
    match runtime::configured::topic_plan(&kafka, broker).await {
        Ok(plan) => report.findings.extend(plan.findings),
        Err(error) => {
            let message = format!("Kafka at {} cannot be used: {error}", kafka.bootstrap());
            let finding = Diagnostic::error("E509", message);
            let finding = match error.help() {
                Some(help) => finding.help(help),
                None => finding,
            };
            unreachable(report, finding);
        }
    }
}
