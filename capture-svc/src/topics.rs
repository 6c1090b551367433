//! Makes the topics that are missing.
//! In: `[broker]` and what the brokers say. Out: topics, findings about those that exist.
//! Must not: change a topic that exists.

use definition::deployment::Broker;
use runtime::configured::topic_plan;
use runtime::kafka::{ErrorKind, Kafka, NewTopic};

pub use runtime::configured::TopicPlan;

use crate::control::failure;
use crate::error::{Definite, Failure};

/// Looks at all topics of the deployment.
///
/// # Errors
/// The brokers do not answer.
pub async fn plan(kafka: &Kafka, broker: &Broker) -> Result<TopicPlan, Failure> {
    topic_plan(kafka, broker).await.map_err(failure)
}

/// Makes what is missing. Another capture that is faster does no harm.
///
/// # Errors
/// The brokers do not answer, or refuse a topic.
pub async fn create(kafka: &Kafka, missing: &[NewTopic]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let answers = kafka
        .topics()
        .map_err(failure)?
        .create(missing)
        .await
        .map_err(failure)?;
    for answer in answers {
        match answer {
            Err(error) if error.kind() == ErrorKind::TopicExists => {}
            Err(error) if error.kind() == ErrorKind::TopicRefused => {
                let help = error
                    .help()
                    .unwrap_or("mend [broker], or make the topic by hand")
                    .to_owned();
                return Err(Definite::SetUp(format!("{error}: {help}")).into());
            }
            Err(error) => return Err(failure(error)),
            Ok(()) => {}
        }
    }
    for topic in missing {
        tracing::info!(
            topic = topic.name,
            partitions = topic.partitions,
            "made a topic"
        );
    }
    Ok(())
}
