//! Group D: Kafka and its topics.

use definition::Diagnostic;
use runtime::kafka::{Kafka, TopicDescription, Topics};

use super::Found;
use crate::config::Config;

pub(super) async fn check(config: &Config, found: &mut Found) {
    let broker = &config.deployment.broker;
    let kafka: Kafka = match runtime::configured::kafka(broker, "worker-svc", &config.environment) {
        Ok(kafka) => kafka,
        Err(error) => {
            return found
                .findings
                .push(Diagnostic::error("E509", error.to_string()));
        }
    };
    let described = match kafka.topics() {
        Ok(topics) => describe(config, &topics).await,
        Err(error) => Err(error),
    };
    let topics = match described {
        Ok(topics) => topics,
        Err(error) => {
            let mut finding = Diagnostic::error(
                "E509",
                format!("Kafka at {} cannot be used: {error}", kafka.bootstrap()),
            );
            if let Some(help) = error.help() {
                finding = finding.help(help);
            }
            return found.unreachable(finding);
        }
    };
    let names = config.topics();
    for name in [
        names.changes(),
        names.fanout(),
        names.backfill(),
        names.control(),
        names.dlq(),
    ] {
        if !topics.iter().any(|topic| topic.name == name) {
            let finding = Diagnostic::warning("W502", format!("topic {name} is missing"))
                .help("capture-svc topics creates it; so does capture-svc run");
            found.findings.push(finding);
        }
    }
    for topic in &topics {
        policy(topic, &names.changes(), &names.control(), found);
        partitions(topic, config, found);
    }
}

async fn describe(
    config: &Config,
    topics: &Topics,
) -> Result<Vec<TopicDescription>, runtime::kafka::Error> {
    topics.brokers().await?;
    let names = config.topics();
    let names = [
        names.changes(),
        names.fanout(),
        names.backfill(),
        names.control(),
        names.dlq(),
    ];
    topics.describe(&names.each_ref().map(String::as_str)).await
}

fn policy(topic: &TopicDescription, changes: &str, control: &str, found: &mut Found) {
    let is_compacted = topic
        .settings
        .get("cleanup.policy")
        .is_some_and(|policy| policy.contains("compact"));
    if topic.name == changes && is_compacted {
        found.findings.push(
            Diagnostic::error(
                "E501",
                format!("topic {changes} is compacted: updates would be lost"),
            )
            .help("set cleanup.policy=delete"),
        );
    }
    if topic.name == control && !is_compacted {
        found.findings.push(
            Diagnostic::error(
                "E508",
                format!("topic {control} is not compacted: announcements would expire"),
            )
            .help("set cleanup.policy=compact"),
        );
    }
}

fn partitions(topic: &TopicDescription, config: &Config, found: &mut Found) {
    let names = config.topics();
    let wanted = usize::try_from(config.deployment.broker.partitions).unwrap_or(usize::MAX);
    let is_spread = [names.changes(), names.fanout(), names.backfill()].contains(&topic.name);
    if is_spread && topic.partitions.len() != wanted {
        let message = format!(
            "topic {} has {} partitions, not {wanted}",
            topic.name,
            topic.partitions.len()
        );
        found.findings.push(
            Diagnostic::warning("W504", message)
                .help("an existing topic keeps its count; set broker.partitions to it"),
        );
    }
    if let Some(part) = topic.partitions.iter().find(|part| !part.has_leader) {
        let message = format!(
            "topic {} partition {} has no leader: it can be neither read nor written",
            topic.name, part.partition
        );
        found.findings.push(Diagnostic::error("E510", message));
    }
}
