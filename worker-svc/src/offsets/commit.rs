//! Hands offsets to Kafka. The only place that commits.
//! In: [`Commit`]s, the fence. Out: stored offsets, committed as the consumer's state.
//! Must hold: W1. Only `store_offsets` is fenced by the client; the broker takes any
//! commit, also for a partition that another member owns by now.
//! Must not: run anywhere but on the consumer's thread: there a revoke cannot come
//! between the look at the fence and the store.

use model::Topics;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};

use super::Commit;
use crate::assignment::Fence;

/// Stores what still counts and commits it. Returns how many partitions were stored.
///
/// # Errors
/// Kafka's. Everything may be given out and committed again.
pub fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &Topics,
    fence: &Fence,
    commits: &[Commit],
    mode: CommitMode,
) -> Result<usize, KafkaError> {
    let stored = store(consumer, topics, fence, commits)?;
    if stored == 0 && matches!(mode, CommitMode::Async) {
        return Ok(0);
    }
    match consumer.commit_consumer_state(mode) {
        // Nothing was stored since the last commit.
        Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) | Ok(()) => Ok(stored),
        Err(error) => Err(error),
    }
}

/// The list lives in here only: one that outlives its consumer hangs the consumer's
/// drop for ever (librdkafka#3796).
fn store<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &Topics,
    fence: &Fence,
    commits: &[Commit],
) -> Result<usize, KafkaError> {
    let mut stored = 0;
    for commit in commits {
        if !fence.lock().counts(commit.part, commit.number) {
            continue;
        }
        let mut list = TopicPartitionList::with_capacity(1);
        let topic = commit.part.lane.topic(topics);
        let mut element = list.add_partition(&topic, commit.part.partition.get());
        element.set_offset(KafkaOffset::Offset(commit.offset.get()))?;
        element.set_metadata(&commit.metadata);
        match consumer.store_offsets(&list) {
            Ok(()) => stored += 1,
            // The client's own fence: revoked, and the callback has not run yet.
            Err(KafkaError::StoreOffset(RDKafkaErrorCode::State)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(stored)
}
