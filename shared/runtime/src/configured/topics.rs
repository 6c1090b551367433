//! The topics of a deployment: which are missing, and what is wrong with the others.
//! In: `[broker]` and what the brokers say. Out: topics to be made, findings.
//! Must hold: R2, so a compacted `changes`, which loses updates, is refused.
//! Must not: make or change a topic.

use std::collections::BTreeMap;

use definition::deployment::Broker;
use definition::{Diagnostic, Diagnostics};
use model::Topics;

use crate::kafka::{Error, Kafka, NewTopic, TopicDescription};

/// Segments of the control topic are rolled daily, so that compaction gets at them: a deployment
/// writes a few hundred records a day there.
const CONTROL_SEGMENT_MS: &str = "86400000";

/// What has to be made, and what is wrong with the rest.
#[derive(Debug)]
pub struct TopicPlan {
    /// Topics that are missing.
    pub missing: Vec<NewTopic>,
    /// Findings about those that exist.
    pub findings: Diagnostics,
    /// The partition count of `{p}.changes` as it stands.
    pub changes_partitions: Option<u32>,
}

/// Looks at all topics of the deployment.
///
/// # Errors
/// The brokers do not answer.
pub async fn topic_plan(kafka: &Kafka, broker: &Broker) -> Result<TopicPlan, Error> {
    let wanted = wanted(broker);
    let names: Vec<&str> = wanted.iter().map(|topic| topic.name.as_str()).collect();
    let clients = kafka.topics()?;
    clients.brokers().await?;
    let existing = clients.describe(&names).await?;
    Ok(judge(
        wanted,
        &existing,
        &Topics::new(broker.topic_prefix.as_str()),
    ))
}

/// The topics as the configuration wants them.
fn wanted(broker: &Broker) -> Vec<NewTopic> {
    let topics = Topics::new(broker.topic_prefix.as_str());
    let partitions = u16::try_from(broker.partitions).unwrap_or(u16::MAX);
    let replication = broker
        .replication_factor
        .and_then(|factor| u16::try_from(factor).ok());
    let ms = |duration: std::time::Duration| duration.as_millis().to_string();
    let topic = |name: String, partitions: u16, settings: &[(&str, String)]| NewTopic {
        name,
        partitions,
        replication,
        settings: settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    };
    let kept = [
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", "-1".to_owned()),
    ];
    let mut timed = vec![
        ("cleanup.policy", "delete".to_owned()),
        ("retention.ms", ms(broker.retention)),
    ];
    if let Some(bytes) = broker.retention_bytes {
        timed.push(("retention.bytes", bytes.get().to_string()));
    }
    vec![
        topic(topics.changes(), partitions, &timed),
        topic(topics.backfill(), partitions, &kept),
        topic(topics.fanout(), partitions, &timed),
        topic(
            topics.dlq(),
            1,
            &[
                ("cleanup.policy", "delete".to_owned()),
                ("retention.ms", ms(broker.dlq_retention)),
            ],
        ),
        topic(
            topics.control(),
            1,
            &[
                ("cleanup.policy", "compact".to_owned()),
                ("segment.ms", CONTROL_SEGMENT_MS.to_owned()),
            ],
        ),
    ]
}

fn judge(wanted: Vec<NewTopic>, existing: &[TopicDescription], topics: &Topics) -> TopicPlan {
    let existing: BTreeMap<&str, &TopicDescription> = existing
        .iter()
        .map(|topic| (topic.name.as_str(), topic))
        .collect();
    let mut plan = TopicPlan {
        missing: Vec::new(),
        findings: Diagnostics::new(),
        changes_partitions: None,
    };
    for topic in wanted {
        let Some(found) = existing.get(topic.name.as_str()) else {
            plan.missing.push(topic);
            continue;
        };
        if found.name == topics.changes() {
            plan.changes_partitions = u32::try_from(found.partitions.len()).ok();
        }
        findings(&topic, found, topics, &mut plan.findings);
    }
    missing(&mut plan);
    plan
}

/// One finding for all: they are made together.
fn missing(plan: &mut TopicPlan) {
    let names: Vec<&str> = plan
        .missing
        .iter()
        .map(|topic| topic.name.as_str())
        .collect();
    let (message, it) = match names.as_slice() {
        [] => return,
        [name] => (format!("topic {name} is missing"), "it"),
        names => (format!("topics {} are missing", names.join(", ")), "them"),
    };
    let help = format!("capture-svc topics makes {it}; so does capture-svc run");
    plan.findings
        .push(Diagnostic::warning("W502", message).help(help));
}

fn findings(
    wanted: &NewTopic,
    found: &TopicDescription,
    topics: &Topics,
    findings: &mut Diagnostics,
) {
    let name = &found.name;
    let policy = found
        .settings
        .get("cleanup.policy")
        .map_or("delete", String::as_str);
    let is_control = *name == topics.control();
    if !is_control && policy.contains("compact") {
        findings.push(
            Diagnostic::error(
                "E501",
                format!("topic {name} is compacted: updates would be lost"),
            )
            .help("set cleanup.policy=delete"),
        );
    }
    if is_control && policy.contains("delete") {
        findings.push(
            Diagnostic::error(
                "E508",
                format!("topic {name} is not compacted only: announcements would be lost"),
            )
            .help("set cleanup.policy=compact"),
        );
    }
    if is_control && found.partitions.len() != 1 {
        findings.push(
            Diagnostic::error(
                "E503",
                format!("topic {name} has {} partitions", found.partitions.len()),
            )
            .help("announcements need one order: make it anew with one partition"),
        );
    }
    if !is_control
        && *name != topics.dlq()
        && found.partitions.len() != usize::from(wanted.partitions)
    {
        findings.push(
            Diagnostic::warning(
                "W504",
                format!(
                    "topic {name} has {} partitions, the configuration says {}",
                    found.partitions.len(),
                    wanted.partitions
                ),
            )
            .help("an existing topic keeps its count; set broker.partitions to it"),
        );
    }
    if let Some(part) = found.partitions.iter().find(|part| !part.has_leader) {
        let message = format!(
            "topic {name} partition {} has no leader: it can be neither read nor written",
            part.partition
        );
        findings.push(
            Diagnostic::error("E510", message).help("start the brokers that hold its replicas"),
        );
    }
    for key in ["retention.ms", "retention.bytes"] {
        if let (Some(wanted), Some(found)) = (wanted.settings.get(key), found.settings.get(key))
            && wanted != found
        {
            findings.push(
                Diagnostic::warning("W505", format!("topic {name} has {key} {found}, the configuration says {wanted}"))
                    .help("change the topic or the configuration: a feed that falls behind further than this is seeded anew"),
            );
        }
    }
    let replication = found.replication();
    if let Some(wanted) = wanted.replication
        && replication != usize::from(wanted)
    {
        findings.push(
            Diagnostic::warning(
                "W506",
                format!("topic {name} has {replication} replicas, the configuration says {wanted}"),
            )
            .help("reassign its partitions, or change broker.replication_factor"),
        );
    }
    if replication >= 3
        && found
            .settings
            .get("min.insync.replicas")
            .is_some_and(|least| least == "1")
    {
        findings.push(
            Diagnostic::warning("W507", format!("topic {name} has 3 replicas but min.insync.replicas 1"))
                .help("set min.insync.replicas=2, else an acknowledged record may stand on one broker only"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::TopicPart;
    use model::Partition;

    fn found(name: &str, partitions: usize, settings: &[(&str, &str)]) -> TopicDescription {
        let part = |number| TopicPart {
            partition: Partition::new(number),
            replicas: 1,
            in_sync: 1,
            has_leader: true,
        };
        TopicDescription {
            name: name.to_owned(),
            partitions: (0..i32::try_from(partitions).unwrap()).map(part).collect(),
            settings: settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn judged(existing: &[TopicDescription]) -> TopicPlan {
        judge(wanted(&Broker::default()), existing, &Topics::new("flusso"))
    }

    fn codes(plan: &TopicPlan) -> Vec<&str> {
        plan.findings
            .findings()
            .iter()
            .map(|finding| finding.code)
            .collect()
    }

    #[test]
    fn what_is_missing_is_made_with_the_configured_settings() {
        let plan = judged(&[]);
        let names: Vec<_> = plan
            .missing
            .iter()
            .map(|topic| topic.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "flusso.changes",
                "flusso.backfill",
                "flusso.fanout",
                "flusso.dlq",
                "flusso.control"
            ]
        );
        assert_eq!(plan.missing[0].partitions, 24);
        assert_eq!(plan.missing[0].settings["retention.ms"], "604800000");
        assert_eq!(plan.missing[4].settings["cleanup.policy"], "compact");
        assert!(!plan.findings.has_errors());
    }

    #[test]
    fn r2_a_compacted_topic_of_changes_is_refused() {
        let plan = judged(&[found(
            "flusso.changes",
            24,
            &[("cleanup.policy", "compact"), ("retention.ms", "604800000")],
        )]);
        let finding = plan
            .findings
            .findings()
            .iter()
            .find(|finding| finding.code == "E501")
            .unwrap();
        assert_eq!(
            finding.message,
            "topic flusso.changes is compacted: updates would be lost"
        );
        assert_eq!(finding.help.as_deref(), Some("set cleanup.policy=delete"));
    }

    #[test]
    fn each_way_in_which_a_topic_is_not_as_wanted_has_its_finding() {
        let kept = [("cleanup.policy", "delete"), ("retention.ms", "-1")];
        let mut replicated = found("flusso.backfill", 24, &kept);
        for part in &mut replicated.partitions {
            part.replicas = 3;
        }
        let mut unsafe_writes = replicated.clone();
        unsafe_writes
            .settings
            .insert("min.insync.replicas".to_owned(), "1".to_owned());
        let mut leaderless = found("flusso.backfill", 24, &kept);
        leaderless.partitions[7].has_leader = false;
        let compact = [("cleanup.policy", "compact")];
        let with_replicas = Broker {
            replication_factor: Some(2),
            ..Broker::default()
        };
        let default = Broker::default();
        for (broker, topic, expected) in [
            (&default, found("flusso.backfill", 24, &kept), &[][..]),
            (&default, found("flusso.backfill", 24, &compact), &["E501"]),
            (&default, found("flusso.control", 1, &compact), &[]),
            (
                &default,
                found("flusso.control", 1, &[("cleanup.policy", "compact,delete")]),
                &["E508"],
            ),
            (&default, found("flusso.control", 1, &[]), &["E508"]),
            (&default, found("flusso.control", 2, &compact), &["E503"]),
            (&default, found("flusso.backfill", 3, &kept), &["W504"]),
            (
                &default,
                found("flusso.dlq", 3, &[("retention.ms", "2592000000")]),
                &[],
            ),
            (
                &default,
                found("flusso.dlq", 1, &[("retention.ms", "1000")]),
                &["W505"],
            ),
            (&with_replicas, replicated, &["W506"]),
            (&default, unsafe_writes, &["W507"]),
            (&default, leaderless, &["E510"]),
        ] {
            let plan = judge(
                wanted(broker),
                std::slice::from_ref(&topic),
                &Topics::new("flusso"),
            );
            let mut codes = codes(&plan);
            codes.retain(|code| *code != "W502");
            assert_eq!(codes, expected, "{topic:?}");
        }
    }

    #[test]
    fn an_existing_topic_keeps_its_partition_count_with_a_warning() {
        let plan = judged(&[found(
            "flusso.changes",
            6,
            &[("cleanup.policy", "delete"), ("retention.ms", "604800000")],
        )]);
        assert_eq!(plan.changes_partitions, Some(6));
        assert!(codes(&plan).contains(&"W504"));
    }
}
