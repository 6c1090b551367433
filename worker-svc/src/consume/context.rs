//! librdkafka's callbacks, which run on the thread that polls.
//! In: rebalances, commit results, log lines. Out: the fence, news in the inbox.
//! Must hold: W1: when `pre_rebalance` returns, what is revoked counts no more.
//! Must not: block. A callback that waits keeps the whole group waiting.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Partition, Topics};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::inbox::{Inbox, Trouble};
use crate::assignment::{Fence, Lane, Part};

/// The callbacks of one feed's consumer.
#[derive(Debug)]
pub struct Callbacks {
    inbox: Arc<Inbox>,
    fence: Fence,
    topics: Topics,
    /// Assigned and paused; the thread reads their committed offsets, then resumes them.
    fresh: Mutex<BTreeSet<Part>>,
}

impl Callbacks {
    pub(super) fn new(inbox: Arc<Inbox>, fence: Fence, topics: Topics) -> Self {
        Callbacks {
            inbox,
            fence,
            topics,
            fresh: Mutex::default(),
        }
    }

    pub(super) fn fresh(&self) -> BTreeSet<Part> {
        self.fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn no_longer_fresh(&self, part: Part) {
        self.fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&part);
    }

    fn parts(&self, list: &TopicPartitionList) -> Vec<Part> {
        list.elements()
            .iter()
            .filter_map(|element| {
                let lane = Lane::of_topic(element.topic(), &self.topics)?;
                Some(Part::new(lane, Partition::new(element.partition())))
            })
            .collect()
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility, message, "librdkafka"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(facility, message, "librdkafka");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka error");
        self.inbox
            .trouble(Trouble::Waiting(format!("Kafka: {reason}")));
    }
}

impl ConsumerContext for Callbacks {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                for part in self.parts(list) {
                    self.fence.lock().revoke(part);
                    self.no_longer_fresh(part);
                    self.inbox.revoked(part);
                }
            }
            Rebalance::Assign(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "rebalance failed"),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else {
            return;
        };
        let parts = self.parts(list);
        if parts.is_empty() {
            return;
        }
        // Nothing may arrive before the feed knows where the partition stands.
        if let Err(error) = consumer.pause(list) {
            self.inbox.trouble(Trouble::Broken(format!(
                "new partitions cannot be paused: {error}"
            )));
            return;
        }
        self.fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(parts);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            self.inbox.commit_failed(error.to_string());
        }
    }
}
